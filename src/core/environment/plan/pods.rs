//! Labels pod templates in the template's objects with the environment's labels, so that Matinee
//! finds their pods and ReplicaSets. It doesn't change selectors.

use serde_json::{Map, Value};

use super::guard_rails::DEPLOYER;
use super::labels::Marks;
use super::mistake;
use crate::core::mistake::{Mistake, Reason};

/// Labels the object's pod template, if its kind has one, and for a `CronJob` also that of its
/// Jobs. Rejects pods that run as the deployer account.
pub(super) fn complete(
    field: &str,
    group: &str,
    kind: &str,
    object: &mut Map<String, Value>,
    marks: &Marks,
) -> Result<(), Mistake> {
    let pod_template: &[&str] = match (group, kind) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => &["spec", "template"],
        ("batch", "CronJob") => {
            label(field, object, &["spec", "jobTemplate"], marks)?;
            &["spec", "jobTemplate", "spec", "template"]
        }
        // A Pod gets its labels as every object does.
        ("", "Pod") => return check_account(field, &[], object),
        _ => return Ok(()),
    };
    label(field, object, pod_template, marks)?;
    match descend(object, pod_template) {
        Some(template) => check_account(field, pod_template, template),
        None => Ok(()),
    }
}

/// Returns the object at the path; `None` if there is none. The API server reports what is missing.
fn descend<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(object, |object, name| object.get_mut(*name)?.as_object_mut())
}

fn label(field: &str, object: &mut Map<String, Value>, path: &[&str], marks: &Marks) -> Result<(), Mistake> {
    let Some(template) = descend(object, path) else {
        return Ok(());
    };
    let Some(labels) = inner(template, "metadata").and_then(|metadata| inner(metadata, "labels")) else {
        let message = format!("{field}.{}.metadata.labels: must be an object", path.join("."));
        return Err(mistake(Reason::TemplateInvalid, message));
    };
    marks.add_to_json(labels);
    Ok(())
}

/// Returns the object in the field `name`, which it creates if it is missing or null; `None` if the
/// field holds something else.
fn inner<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let value = object.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

fn check_account(field: &str, path: &[&str], template: &Map<String, Value>) -> Result<(), Mistake> {
    let Some(spec) = template.get("spec") else { return Ok(()) };
    for name in ["serviceAccountName", "serviceAccount"] {
        if spec.get(name).and_then(Value::as_str) == Some(DEPLOYER) {
            let path: Vec<&str> = path.iter().copied().chain(["spec", name]).collect();
            let message =
                format!("{field}.{}: no pod can run as {DEPLOYER}; name another account", path.join("."));
            return Err(mistake(Reason::TemplateInvalid, message));
        }
    }
    Ok(())
}
