//! Sets of fields, as the API server records them for each field manager in a server-side apply.
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>
//!
//! Lists are atomic, except those of Matinee's own kinds and of the metadata that are maps or sets.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// One step from an object to a field in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field of an object.
    Field(String),
    /// An item of a list that is a map: the name of its key, and the key's value as JSON.
    Key(&'static str, String),
    /// An item of a list that is a set, as JSON.
    Item(String),
}

/// Path to a field.
pub type Path = Vec<Step>;
/// Paths to all fields of a manager: to values without parts, and to the items of lists.
pub type Fields = BTreeSet<Path>;

/// Kind of a list.
enum List {
    Atomic,
    /// A list whose items are known by the field of this name.
    Map(&'static str),
    Set,
}

fn list_at(path: &[Step]) -> List {
    let Some(Step::Field(name)) = path.last() else { return List::Atomic };
    match name.as_str() {
        "finalizers" => List::Set,
        "ownerReferences" => List::Map("uid"),
        "conditions" => List::Map("type"),
        "report" | "reported" => List::Map("deploymentId"),
        "approvals" => List::Map("login"),
        "locks" => List::Map("environment"),
        "environments" | "parameters" => List::Map("name"),
        _ => List::Atomic,
    }
}

fn step_of(list: &List, item: &Value) -> Option<Step> {
    match list {
        List::Atomic => None,
        List::Map(key) => item.get(key).map(|value| Step::Key(key, json_text(value))),
        List::Set => Some(Step::Item(json_text(item))),
    }
}

fn child(path: &[Step], step: Step) -> Path {
    let mut path = path.to_vec();
    path.push(step);
    path
}

/// Returns all fields of an object, without those that identify it.
pub fn fields_of(object: &Value) -> Fields {
    let mut fields = Fields::new();
    collect(object, &[], &mut fields);
    let identity = ["name", "namespace", "uid", "generateName", "creationTimestamp", "resourceVersion"];
    let identity = identity.map(|name| vec![field("metadata"), field(name)]);
    let types = ["apiVersion", "kind"].map(|name| vec![field(name)]);
    fields.retain(|path| {
        !identity.contains(path) && !types.contains(path) && path.as_slice() != [field("metadata")]
    });
    fields
}

fn field(name: &str) -> Step {
    Step::Field(name.to_owned())
}

fn collect(value: &Value, path: &[Step], into: &mut Fields) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                collect(value, &child(path, field(name)), into);
            }
        }
        Value::Array(items) => {
            let list = list_at(path);
            let steps: Option<Vec<_>> = items.iter().map(|item| step_of(&list, item)).collect();
            match steps {
                Some(steps) if !steps.is_empty() => {
                    for (item, step) in items.iter().zip(steps) {
                        let path = child(path, step);
                        if item.is_object() {
                            collect(item, &path, into);
                        }
                        into.insert(path);
                    }
                }
                // An empty map or set owns nothing.
                Some(_) if !matches!(list, List::Atomic) => {}
                _ => {
                    into.insert(path.to_vec());
                }
            }
        }
        Value::Null => {}
        _ => {
            into.insert(path.to_vec());
        }
    }
}

/// Returns the value at the path.
pub fn value_at<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut value = object;
    for step in path {
        value = match step {
            Step::Field(name) => value.get(name)?,
            Step::Key(..) | Step::Item(_) => value.as_array()?.iter().find(|item| is_at(step, item))?,
        };
    }
    Some(value)
}

/// Returns a value as JSON, as the steps of a path hold it.
fn json_text(value: &Value) -> String {
    value.to_string()
}

fn is_at(step: &Step, item: &Value) -> bool {
    match step {
        Step::Field(_) => false,
        Step::Key(key, known) => item.get(*key).is_some_and(|value| json_text(value) == *known),
        Step::Item(known) => json_text(item) == *known,
    }
}

/// Removes the value at the path, and the objects that are empty then.
pub fn remove_at(object: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else { return };
    match step {
        Step::Field(name) => {
            let Some(members) = object.as_object_mut() else { return };
            if rest.is_empty() {
                members.remove(name);
            } else if let Some(value) = members.get_mut(name) {
                remove_at(value, rest);
                let is_empty = value.as_object().is_some_and(Map::is_empty)
                    || value.as_array().is_some_and(Vec::is_empty);
                if is_empty {
                    members.remove(name);
                }
            }
        }
        Step::Key(..) | Step::Item(_) => {
            let Some(items) = object.as_array_mut() else { return };
            if rest.is_empty() {
                items.retain(|item| !is_at(step, item));
            } else if let Some(item) = items.iter_mut().find(|item| is_at(step, item)) {
                remove_at(item, rest);
            }
        }
    }
}

/// Merges an applied object into the live one.
pub fn merge(live: &mut Value, applied: &Value) {
    merge_at(live, applied, &[]);
}

fn merge_at(live: &mut Value, applied: &Value, path: &[Step]) {
    match applied {
        Value::Null => {}
        Value::Object(members) if live.is_object() => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let known = live.as_object_mut().map(|live| live.entry(name.clone()).or_insert(Value::Null));
                if let Some(known) = known {
                    merge_at(known, value, &child(path, field(name)));
                }
            }
        }
        Value::Object(members) => {
            *live = json!({});
            if !members.is_empty() {
                merge_at(live, applied, path);
            }
        }
        Value::Array(items) => {
            let list = list_at(path);
            let steps: Option<Vec<_>> = items.iter().map(|item| step_of(&list, item)).collect();
            let (Some(steps), false) = (steps, matches!(list, List::Atomic)) else {
                *live = applied.clone();
                return;
            };
            if !live.is_array() {
                *live = json!([]);
            }
            let Some(known) = live.as_array_mut() else { return };
            let mut left = std::mem::take(known);
            let is_applied = |item: &Value| steps.iter().any(|step| is_at(step, item));
            // The items have the applied order, and the others stay before their successors.
            for (item, step) in items.iter().zip(&steps) {
                if let Some(index) = left.iter().position(|known| is_at(step, known)) {
                    let mut before: Vec<Value> = left.drain(..=index).collect();
                    let mut merged = before.pop().unwrap_or_default();
                    merge_at(&mut merged, item, &child(path, step.clone()));
                    let (ahead, others) = before.into_iter().partition(is_applied);
                    known.extend::<Vec<Value>>(others);
                    left.splice(..0, ahead as Vec<Value>);
                    known.push(merged);
                } else {
                    known.push(item.clone());
                }
            }
            known.append(&mut left);
        }
        _ => *live = applied.clone(),
    }
}

/// Returns the fields in the form of `fieldsV1`.
pub fn to_fields_v1(fields: &Fields) -> Value {
    let mut tree = json!({});
    for path in fields {
        let mut at = &mut tree;
        for (index, step) in path.iter().enumerate() {
            let name = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Key(key, value) => format!("k:{{\"{key}\":{value}}}"),
                Step::Item(value) => format!("v:{value}"),
            };
            let Some(members) = at.as_object_mut() else { break };
            at = members.entry(name).or_insert_with(|| json!({}));
            if index + 1 == path.len() && matches!(step, Step::Key(..)) {
                at["."] = json!({});
            }
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_fields_that_the_api_server_records() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"app": "shop"}, "finalizers": ["x/y"]},
            "data": {"a": "1"}, "empty": {}, "list": [1, 2],
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(
            to_fields_v1(&fields_of(&object)),
            json!({
                "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"x/y\"": {}}},
                "f:data": {"f:a": {}}, "f:empty": {}, "f:list": {},
                "f:status": {"f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:type": {}, "f:status": {}}}},
            })
        );
    }

    #[test]
    fn a_merge_keeps_what_it_does_not_name() {
        let mut live = json!({
            "spec": {"a": 1, "list": [1], "locks": [{"environment": "x", "by": "ada"}]},
        });
        let applied = json!({
            "spec": {"b": {"c": 2}, "list": [2], "locks": [{"environment": "y"}, {"environment": "x", "reason": "r"}]},
        });
        merge(&mut live, &applied);
        assert_eq!(
            live,
            json!({"spec": {
                "a": 1, "b": {"c": 2}, "list": [2],
                "locks": [{"environment": "y"}, {"environment": "x", "by": "ada", "reason": "r"}],
            }})
        );
    }

    #[test]
    fn merged_lists_have_the_applied_order() {
        let list = |names: &str| {
            let items: Vec<Value> =
                names.chars().map(|name| json!({"environment": name.to_string()})).collect();
            json!({"spec": {"locks": items}})
        };
        for (live, applied, merged) in [
            ("abc", "cba", "cba"),
            ("abc", "c", "abc"),
            ("abc", "ca", "bca"),
            ("ab", "bx", "abx"),
            ("", "ba", "ba"),
        ] {
            let mut object = list(live);
            merge(&mut object, &list(applied));
            assert_eq!(object, list(merged), "{live} {applied}");
        }
    }

    #[test]
    fn a_removed_field_takes_its_empty_parents_along() {
        let mut object = json!({
            "metadata": {"name": "a", "annotations": {"x": "1"}}, "spec": {"locks": [{"environment": "x"}]},
        });
        remove_at(&mut object, &[field("metadata"), field("annotations"), field("x")]);
        remove_at(
            &mut object,
            &[field("spec"), field("locks"), Step::Key("environment", "\"x\"".to_owned())],
        );
        assert_eq!(object, json!({"metadata": {"name": "a"}}));
    }
}
