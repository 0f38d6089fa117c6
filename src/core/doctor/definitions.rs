//! Custom resource definitions: whether they exist, are served, and match this program.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{Finding, Looked, Unread, some_of};
use crate::api::VERSION;

/// Most fields to name in a finding.
const NAMED: usize = 3;
/// Remedy that updates the cluster's definitions to this program's version.
const REMEDY: &str =
    "`helm upgrade` to this version, or `matinee crds | kubectl apply --server-side --force-conflicts -f -`";

/// A definition in the cluster.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The definition itself.
    Whole(Box<CustomResourceDefinition>),
    /// Its published schema (`/openapi/v3`), for accounts without permission to read definitions.
    /// The check skips bounds and rules, which are published in another form.
    Published(Value),
}

/// Compares a definition in the cluster with this program's own.
pub fn check(own: &CustomResourceDefinition, seen: &Looked<Seen>) -> Finding {
    let what = own.metadata.name.clone().unwrap_or_default();
    let ours = schema_of(own);
    match seen {
        Err(Unread::NotServed) | Ok(None) => Finding::problem(what, "it isn't installed", REMEDY),
        Err(unread) => unread.finding(what),
        Ok(Some(Seen::Published(schema))) => compare(what, &ours, schema, false),
        Ok(Some(Seen::Whole(crd))) => {
            let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let wrong = conditions
                .filter(|condition| {
                    matches!(condition.type_.as_str(), "Established" | "NamesAccepted")
                        && condition.status != "True"
                })
                .map(|found| found.message.clone().unwrap_or_else(|| found.type_.clone()))
                .next();
            let established = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
            if !established.into_iter().any(|found| found.type_ == "Established" && found.status == "True") {
                return Finding::problem(
                    what,
                    format!(
                        "it isn't established: {}",
                        wrong.unwrap_or_else(|| "no condition says so".into())
                    ),
                    "see `kubectl describe crd`, and remove what has the same names",
                );
            }
            if !crd.spec.versions.iter().any(|version| version.name == VERSION && version.served) {
                return Finding::problem(what, format!("it doesn't serve {VERSION}"), REMEDY);
            }
            compare(what, &ours, &schema_of(crd), true)
        }
    }
}

/// Returns the schema of the only version, as JSON.
fn schema_of(crd: &CustomResourceDefinition) -> Value {
    let found = crd.spec.versions.iter().find(|version| version.name == VERSION);
    let schema = found.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default()
}

/// Compares two schemas. If the cluster's one lacks fields, it is older than this program; if it
/// has additional fields, it is newer.
fn compare(what: String, ours: &Value, theirs: &Value, whole: bool) -> Finding {
    let (ours, theirs) = (fields(ours), fields(theirs));
    let missing: Vec<&String> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    let more: Vec<&String> = theirs.keys().filter(|path| !ours.contains_key(*path)).collect();
    let differ: Vec<&String> = ours
        .iter()
        .filter(|(path, field)| theirs.get(*path).is_some_and(|there| there != *field))
        .map(|(path, _)| path)
        .collect();
    if !missing.is_empty() {
        let older =
            if more.is_empty() { "it is older than this program" } else { "it is of another version" };
        return Finding::problem(what, format!("{older}: it has no {}", some_of(&missing, NAMED)), REMEDY);
    }
    if !more.is_empty() {
        return Finding::warning(
            what,
            format!("it is newer than this program, which doesn't know {}", some_of(&more, NAMED)),
            "bring the operator, and this program, to the version of the definitions",
        );
    }
    if whole && !differ.is_empty() {
        return Finding::warning(
            what,
            format!("bounds, defaults or rules of another version: {}", some_of(&differ, NAMED)),
            REMEDY,
        );
    }
    Finding::ok(what, if whole { "served, and this version's" } else { "served, with this version's fields" })
}

/// Returns every field below `spec` and `status` by its path, with its schema without descriptions,
/// and the validation rules of the whole object.
fn fields(schema: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for part in ["spec", "status"] {
        walk(part.to_owned(), &schema["properties"][part], &mut found);
    }
    found
}

fn walk(path: String, schema: &Value, found: &mut BTreeMap<String, Value>) {
    let Some(node) = schema.as_object() else { return };
    for (name, field) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(format!("{path}.{name}"), field, found);
    }
    for (inside, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = node.get(inside).filter(|inner| inner.is_object()) {
            walk(format!("{path}{mark}"), inner, found);
        }
    }
    let mut own = node.clone();
    for word in ["properties", "items", "additionalProperties", "description"] {
        own.remove(word);
    }
    found.insert(path, Value::Object(own));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinitionCondition, CustomResourceDefinitionStatus, JSONSchemaProps,
    };

    use super::super::Verdict;
    use super::*;
    use crate::api::custom_resource_definitions;

    fn own() -> CustomResourceDefinition {
        custom_resource_definitions().remove(0)
    }

    fn established(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
        let condition = CustomResourceDefinitionCondition {
            type_: "Established".into(),
            status: "True".into(),
            ..CustomResourceDefinitionCondition::default()
        };
        crd.status = Some(CustomResourceDefinitionStatus {
            conditions: Some(vec![condition]),
            ..CustomResourceDefinitionStatus::default()
        });
        crd
    }

    fn spec(crd: &mut CustomResourceDefinition) -> &mut JSONSchemaProps {
        let schema = crd.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        schema.properties.as_mut().unwrap().get_mut("spec").unwrap()
    }

    fn seen(crd: CustomResourceDefinition) -> Finding {
        check(&own(), &Ok(Some(Seen::Whole(Box::new(crd)))))
    }

    #[test]
    fn the_same_is_well_whatever_its_descriptions_say() {
        let mut crd = established(own());
        spec(&mut crd).description = Some("Another.".into());
        let finding = seen(crd);
        assert_eq!(finding, Finding::ok("previewclasses.matinee.dev", "served, and this version's"));
    }

    #[test]
    fn a_missing_one_is_a_problem() {
        for looked in [Ok(None), Err(Unread::NotServed)] {
            let finding = check(&own(), &looked);
            assert_eq!(finding.verdict, Verdict::Problem);
            assert!(finding.remedy.unwrap().contains("kubectl apply --server-side"));
        }
        assert_eq!(check(&own(), &Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }

    #[test]
    fn one_that_is_not_established_says_why() {
        let mut crd = own();
        assert!(seen(crd.clone()).message.contains("it isn't established"));
        crd = established(crd);
        let condition = &mut crd.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
        condition.status = "False".into();
        condition.message = Some("\"pclass\" is taken".into());
        let finding = seen(crd);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.message.contains("\"pclass\" is taken"), "{finding:?}");
    }

    #[test]
    fn one_that_does_not_serve_the_version_is_a_problem() {
        let mut crd = established(own());
        crd.spec.versions[0].served = false;
        assert!(seen(crd).message.contains("doesn't serve v1alpha1"));
    }

    #[test]
    fn an_older_one_lacks_fields_and_a_newer_one_has_more() {
        let mut older = established(own());
        spec(&mut older).properties.as_mut().unwrap().remove("slack");
        let finding = seen(older.clone());
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(
            finding.message.starts_with("it is older than this program: it has no spec.slack"),
            "{finding:?}"
        );
        assert!(finding.message.ends_with("more"), "{finding:?}");
        assert!(finding.remedy.unwrap().contains("helm upgrade"));

        let mut newer = established(own());
        let field = JSONSchemaProps { type_: Some("string".into()), ..JSONSchemaProps::default() };
        spec(&mut newer).properties.as_mut().unwrap().insert("sleep".into(), field.clone());
        let finding = seen(newer);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(
            finding.message.contains("newer than this program, which doesn't know spec.sleep"),
            "{finding:?}"
        );
        assert!(finding.remedy.unwrap().contains("operator"));

        spec(&mut older).properties.as_mut().unwrap().insert("sleep".into(), field);
        assert!(seen(older).message.starts_with("it is of another version: it has no spec.slack"));
    }

    #[test]
    fn other_bounds_are_told_where_they_are_known() {
        let mut crd = established(own());
        spec(&mut crd).properties.as_mut().unwrap().get_mut("grants").unwrap().max_items = Some(7);
        let schema = schema_of(&crd);
        let finding = seen(crd);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.contains("spec.grants"), "{finding:?}");
        let published = check(&own(), &Ok(Some(Seen::Published(schema))));
        assert_eq!(
            published,
            Finding::ok("previewclasses.matinee.dev", "served, with this version's fields")
        );
    }
}
