//! Detects changes that other clients made to applied objects.
//!
//! The API server keeps the set of fields that an apply owns. When another manager sets a field to
//! another value, the API server removes the field from the set. Matinee therefore compares a
//! fingerprint of the set. Other clients may change fields that Matinee doesn't set.
//! `spec.replicas` is compared separately, because an autoscaler may change it.
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::scale::replicas;
use crate::api::ANNOTATION_DIGEST;

/// Field manager with which Matinee applies the objects of environments.
pub const MANAGER: &str = "matinee-environment";
/// In-memory annotation: [`fingerprint`] of the object before its content was dropped.
pub const ANNOTATION_FINGERPRINT: &str = "matinee.dev/live-fingerprint";
/// In-memory annotation: the manager that set `spec.replicas` through the subresource `scale`, if
/// any.
const ANNOTATION_SCALED_BY: &str = "matinee.dev/live-scaled-by";
/// In-memory annotation: the last manager, other than Matinee, that changed something that a
/// fingerprint covers.
const ANNOTATION_CHANGED_BY: &str = "matinee.dev/live-changed-by";
/// Name of a manager that gives none.
const UNKNOWN: &str = "unknown";
/// Prefix of Matinee's own field managers.
const OWN_MANAGERS: &str = "matinee-";

/// Records the facts from an object's managed fields and content as annotations, so that both can
/// be dropped.
pub fn mark(object: &mut DynamicObject) {
    let notes = [
        (ANNOTATION_FINGERPRINT, Some(fingerprint(object))),
        (ANNOTATION_SCALED_BY, scaled_by(object)),
        (ANNOTATION_CHANGED_BY, changed_by(object)),
    ];
    object.managed_fields_mut().clear();
    for (name, value) in notes {
        match value {
            Some(value) => object.annotations_mut().insert(name.to_owned(), value),
            None => object.annotations_mut().remove(name),
        };
    }
}

/// Whether an annotation is a mark.
pub fn is_mark(name: &str) -> bool {
    [ANNOTATION_FINGERPRINT, ANNOTATION_SCALED_BY, ANNOTATION_CHANGED_BY].contains(&name)
}

/// Returns a digest of the set of fields that Matinee's apply owns. For an object that was never
/// applied, such as a Namespace that was just created, it covers everything but status and
/// bookkeeping. Both forms leave out `spec.replicas`.
pub fn fingerprint(object: &DynamicObject) -> String {
    let mut hasher = DefaultHasher::new();
    let owned = object.managed_fields().iter().find(|entry| {
        entry.manager.as_deref() == Some(MANAGER)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.is_none()
    });
    if let Some(owned) = owned.and_then(fields) {
        hash_but(owned, "f:replicas", "f:spec", &mut hasher);
    } else {
        object.labels().hash(&mut hasher);
        let mut data = object.data.clone();
        if let Some(data) = data.as_object_mut() {
            data.remove("status");
        }
        hash_but(&data, "replicas", "spec", &mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Hashes a value without the field `but` of its field `of`.
fn hash_but(value: &Value, but: &str, of: &str, hasher: &mut DefaultHasher) {
    for (key, value) in value.as_object().into_iter().flatten() {
        key.hash(hasher);
        match value {
            Value::Object(fields) if key == of => {
                for (key, value) in fields.iter().filter(|(key, _)| *key != but) {
                    (key, value.to_string()).hash(hasher);
                }
            }
            value => value.to_string().hash(hasher),
        }
    }
}

/// Returns the manager that set `spec.replicas` through the subresource `scale`. For a scaling to 0
/// it returns `unknown`: a `Scale` leaves a 0 out, so the API server records no manager for it and
/// removes the field from its previous owner.
pub fn scaled_by(object: &DynamicObject) -> Option<String> {
    let owns = |entry: &&ManagedFieldsEntry| {
        fields(entry).and_then(|fields| fields.pointer("/f:spec/f:replicas")).is_some()
    };
    let scales = |entry: &&ManagedFieldsEntry| entry.subresource.as_deref() == Some("scale") && owns(entry);
    let managed = object.managed_fields();
    let to_zero =
        || replicas(object) == Some(0) && !managed.is_empty() && !managed.iter().any(|entry| owns(&entry));
    note(object, ANNOTATION_SCALED_BY)
        .or_else(|| managed.iter().find(scales).map(manager))
        .or_else(|| to_zero().then(|| UNKNOWN.to_owned()))
}

/// Returns the last manager, other than Matinee, that changed something that a fingerprint covers.
pub fn changed_by(object: &DynamicObject) -> Option<String> {
    let changes = |entry: &&ManagedFieldsEntry| {
        entry.subresource.is_none()
            && !entry.manager.as_deref().unwrap_or_default().starts_with(OWN_MANAGERS)
            && fields(entry).and_then(Value::as_object).is_some_and(|fields| {
                fields.keys().any(|field| field != "f:metadata" && field != "f:status")
                    || fields.get("f:metadata").and_then(|metadata| metadata.get("f:labels")).is_some()
            })
    };
    let last = || object.managed_fields().iter().filter(changes).max_by_key(|entry| entry.time.clone());
    note(object, ANNOTATION_CHANGED_BY).or_else(|| Some(manager(last()?)))
}

fn note(object: &DynamicObject, name: &str) -> Option<String> {
    object.annotations().get(name).cloned()
}

fn fields(entry: &ManagedFieldsEntry) -> Option<&Value> {
    entry.fields_v1.as_ref().map(|fields| &fields.0)
}

/// Returns the name of a manager: `unknown` for a client with neither a field manager nor a user
/// agent.
fn manager(entry: &ManagedFieldsEntry) -> String {
    entry.manager.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Facts about an object in the API server's response to its apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Digest of the applied object.
    pub digest: String,
    /// `metadata.generation` in the response.
    pub generation: Option<i64>,
    fingerprint: Option<String>,
    replicas: Option<i64>,
}

impl Application {
    /// Records the facts of an object from the response to a write, or as first read after a
    /// restart.
    pub fn of(object: &DynamicObject) -> Self {
        let marked = note(object, ANNOTATION_FINGERPRINT);
        Self {
            digest: note(object, ANNOTATION_DIGEST).unwrap_or_default(),
            generation: object.metadata.generation,
            fingerprint: Some(marked.unwrap_or_else(|| fingerprint(object))),
            replicas: replicas(object),
        }
    }

    /// Whether no other client has changed the object since. Scaling doesn't count as a change.
    pub fn is_kept(&self, live: &DynamicObject) -> bool {
        let live_now = Self::of(live);
        self.fingerprint == live_now.fingerprint
            && (self.replicas == live_now.replicas || scaled_by(live).is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i64, image: &str, managed: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"app": "web"}, "managedFields": managed},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}},
            "status": {"replicas": replicas},
        }))
        .unwrap()
    }

    fn by(manager: &str, subresource: Option<&str>, time: &str, fields: &Value) -> Value {
        let mut entry = json!({"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields});
        if let Some(subresource) = subresource {
            entry["subresource"] = subresource.into();
        }
        entry
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:00:01Z";

    fn marked(mut object: DynamicObject) -> DynamicObject {
        mark(&mut object);
        assert!(object.managed_fields().is_empty());
        object
    }

    #[test]
    fn replicas_set_through_scale_are_no_drift() {
        let known = Application::of(&deployment(1, "a", &json!([])));
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let scaled = by("kube-controller-manager", Some("scale"), EARLY, &replicas);
        assert!(known.is_kept(&marked(deployment(3, "a", &json!([scaled.clone()])))));
        assert!(
            known.is_kept(&deployment(3, "a", &json!([scaled.clone()]))),
            "also in the API server's response"
        );
        assert!(!known.is_kept(&marked(deployment(1, "b", &json!([scaled])))), "the image is drift");
        let nameless = by("", Some("scale"), EARLY, &replicas);
        assert!(known.is_kept(&marked(deployment(3, "a", &json!([nameless])))), "a nameless client");
        let edited = by("kubectl-edit", None, EARLY, &replicas);
        assert!(!known.is_kept(&marked(deployment(3, "a", &json!([edited])))), "not through scale");
        let status = by("kubelet", Some("status"), EARLY, &json!({"f:status": {}}));
        assert!(known.is_kept(&marked(deployment(1, "a", &json!([status])))));
    }

    #[test]
    fn what_takes_a_field_from_matinee_is_drift_and_nothing_else() {
        let own = |fields: Value| json!({"manager": MANAGER, "operation": "Apply", "fieldsV1": fields});
        let all = json!({"f:spec": {"f:template": {"f:image": {}}, "f:replicas": {}}});
        let known = Application::of(&deployment(1, "a", &json!([own(all.clone())])));
        let restart = by("kubectl-rollout", None, LATE, &json!({"f:spec": {"f:template": {"f:at": {}}}}));
        let restarted = deployment(1, "restarted", &json!([own(all.clone()), restart]));
        assert!(known.is_kept(&marked(restarted)), "a field that Matinee doesn't set");
        let taken = own(json!({"f:spec": {"f:template": {}, "f:replicas": {}}}));
        assert!(!known.is_kept(&marked(deployment(1, "b", &json!([taken])))), "the image was set");
        let scaled = by("kubectl", Some("scale"), LATE, &json!({"f:spec": {"f:replicas": {}}}));
        let left = own(json!({"f:spec": {"f:template": {"f:image": {}}}}));
        assert!(known.is_kept(&marked(deployment(3, "a", &json!([left.clone(), scaled])))));
        assert!(known.is_kept(&marked(deployment(0, "a", &json!([left.clone()])))), "scaled to 0");
        let edited = by("kubectl-edit", None, LATE, &json!({"f:spec": {"f:replicas": {}}}));
        assert!(!known.is_kept(&marked(deployment(0, "a", &json!([left.clone(), edited])))), "edited to 0");
        assert!(!known.is_kept(&marked(deployment(3, "a", &json!([left])))), "not through scale");
        assert!(!known.is_kept(&marked(deployment(1, "a", &json!([])))), "no managed fields");
    }

    #[test]
    fn the_manager_that_last_changed_an_object_is_known() {
        let managed = json!([
            by("matinee-environment", None, LATE, &json!({"f:spec": {}})),
            by("kubectl-edit", None, EARLY, &json!({"f:spec": {"f:paused": {}}})),
            by("mutator", None, LATE, &json!({"f:metadata": {"f:labels": {"f:a": {}}}})),
            by("kube-controller-manager", None, LATE, &json!({"f:metadata": {"f:annotations": {}}})),
            by("kube-controller-manager", Some("status"), LATE, &json!({"f:status": {}})),
        ]);
        let object = deployment(1, "a", &managed);
        assert_eq!(changed_by(&object).as_deref(), Some("mutator"));
        assert_eq!(changed_by(&marked(object)).as_deref(), Some("mutator"));
        assert_eq!(changed_by(&deployment(1, "a", &json!([]))), None);
    }

    #[test]
    fn marks_of_an_earlier_look_are_replaced() {
        let scaled = by("kubectl", Some("scale"), EARLY, &json!({"f:spec": {"f:replicas": {}}}));
        let object = marked(deployment(3, "a", &json!([scaled])));
        assert_eq!(scaled_by(&object).as_deref(), Some("kubectl"));
        assert_eq!(scaled_by(&marked(deployment(1, "a", &json!([])))), None);
    }
}
