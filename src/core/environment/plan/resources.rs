//! The template's objects. Matinee checks them, converts their fields to the types of their kind,
//! sets the environment's namespace and labels, and sorts them.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::DynamicObject;
use serde_json::{Map, Value};

use super::forbidden::known_group;
use super::guard_rails::DEPLOYER;
use super::labels::{Marks, reserved};
use super::object::{group_of, kind_of, sealed};
use super::{field_types, forbidden, hooks, jobs, mistake, pods, services};
use crate::api::{ANNOTATION_FIXED_DIGEST, ANNOTATION_READY_WHEN};
use crate::core::environment::health::is_built_in;
use crate::core::environment::ready_when::ReadyWhen;
use crate::core::environment::resolved::Target;
use crate::core::mistake::{Mistake, Reason, all_in_one};

/// Checks and completes the objects. Sorts them so that an object comes after the objects that it
/// reads, otherwise in the template's order.
///
/// Errors: one [`Mistake`] that names every invalid object.
pub(super) fn resources(
    target: &Target,
    marks: &Marks,
    rendered: Vec<Value>,
) -> Result<Vec<DynamicObject>, Mistake> {
    let mut seen = BTreeSet::new();
    let mut objects = Vec::with_capacity(rendered.len());
    let mut mistakes = Vec::new();
    for (index, value) in rendered.into_iter().enumerate() {
        let field = format!("resources[{index}]");
        let object = match resource(target, marks, &field, value) {
            Ok(object) => object,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        let name = object.metadata.name.clone().unwrap_or_default();
        let kind = kind_of(&object).to_owned();
        if !seen.insert((group_of(&object).to_owned(), kind.clone(), name.clone())) {
            let message = format!("{field}: {kind}/{name} is in the template twice; remove one or rename it");
            mistakes.push(mistake(Reason::TemplateInvalid, message));
        }
        objects.push(object);
    }
    if let Some(mistake) = all_in_one(&mistakes) {
        return Err(mistake);
    }
    objects.sort_by_key(rank);
    Ok(objects)
}

fn resource(target: &Target, marks: &Marks, field: &str, mut value: Value) -> Result<DynamicObject, Mistake> {
    if !value.is_object() {
        return Err(mistake(Reason::TemplateInvalid, format!("{field}: must be an object")));
    }
    let api_version = required(field, "apiVersion", value.get("apiVersion"))?.to_owned();
    let kind = required(field, "kind", value.get("kind"))?.to_owned();
    let group = match api_version.split_once('/') {
        Some((group, version)) if is_subdomain(group) && is_version(version) => group,
        None if is_version(&api_version) => "",
        _ => {
            let message = format!("{field}.apiVersion: \"{api_version}\" isn't written like v1 or apps/v1");
            return Err(mistake(Reason::TemplateInvalid, message));
        }
    };
    if kind.len() > 63 || !kind.starts_with(char::is_alphabetic) || !kind.chars().all(char::is_alphanumeric) {
        let message = format!("{field}.kind: \"{kind}\" isn't written like Deployment");
        return Err(mistake(Reason::TemplateInvalid, message));
    }
    forbidden::check(field, group, &kind)?;
    if let Err(problems) = field_types::fit(field, &api_version, &kind, &mut value) {
        let mistakes: Vec<_> =
            problems.into_iter().map(|problem| mistake(Reason::TemplateInvalid, problem)).collect();
        return all_in_one(&mistakes).map_or_else(
            || Err(mistake(Reason::TemplateInvalid, format!("{field}: has fields of the wrong type"))),
            Err,
        );
    }
    let Value::Object(mut json) = value else {
        return Err(mistake(Reason::TemplateInvalid, format!("{field}: must be an object")));
    };
    let Some(Value::Object(metadata)) = json.get_mut("metadata") else {
        return Err(mistake(
            Reason::TemplateInvalid,
            format!("{field}.metadata: must be an object with a name"),
        ));
    };
    check_metadata(target, field, group, metadata)?;
    hooks::check(field, &kind, metadata)?;
    check_not_ours(field, group, &kind, metadata)?;
    check_service_account_token(field, group, &kind, &json)?;
    if (group, kind.as_str()) == ("", "Service") {
        services::check(target, field, &json)?;
    }
    // The digest covers only the template's fields: labels that Matinee adds don't cause another
    // run of a Job.
    let fixed = jobs::fixed_digest(group, &kind, &json);
    pods::complete(field, group, &kind, &mut json, marks)?;
    let mut object: DynamicObject = serde_json::from_value(Value::Object(json))
        .map_err(|error| mistake(Reason::TemplateInvalid, format!("{field}.metadata: {error}")))?;
    object.metadata.namespace = Some(target.namespace.clone());
    if let Some(annotations) = &mut object.metadata.annotations {
        check_ready_when(field, group, annotations)?;
        annotations.retain(|name, _| !reserved(name) || name == ANNOTATION_READY_WHEN);
    }
    if let Some(fixed) = fixed {
        object.metadata.annotations.get_or_insert_default().insert(ANNOTATION_FIXED_DIGEST.to_owned(), fixed);
    }
    sealed(object, marks)
}

fn required<'a>(field: &str, name: &str, value: Option<&'a Value>) -> Result<&'a str, Mistake> {
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => {
            Err(mistake(Reason::TemplateInvalid, format!("{field}.{name}: must be a text that isn't empty")))
        }
        None => Err(mistake(Reason::TemplateInvalid, format!("{field}.{name}: is missing"))),
    }
}

/// Fields in the output of `kubectl get -o yaml` that describe an existing object and can't be part
/// of a desired state.
const NOT_WISHES: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
];

fn check_metadata(
    target: &Target,
    field: &str,
    group: &str,
    metadata: &mut Map<String, Value>,
) -> Result<(), Mistake> {
    metadata.retain(|name, _| name != "uid" && !NOT_WISHES.contains(&name.as_str()));
    for (name, value) in &*metadata {
        let remedy = match name.as_str() {
            "name" => continue,
            "labels" | "annotations" => {
                check_texts(&format!("{field}.metadata.{name}"), value)?;
                continue;
            }
            "namespace" if value.as_str() == Some(&target.namespace) || value.is_null() => continue,
            "namespace" => {
                let message = format!(
                    "{field}.metadata.namespace: {value} isn't the preview's namespace \"{}\", and a preview has no other; remove the field",
                    target.namespace
                );
                return Err(mistake(Reason::NamespaceForbidden, message));
            }
            "generateName" => {
                "objects of a preview have fixed names, so that the next revision finds them; use metadata.name"
            }
            "finalizers" => "it could keep the preview from being deleted; remove the field",
            "ownerReferences" => "its owner's UID isn't known when the template is written; remove the field",
            _ => "there is no such field; remove it",
        };
        return Err(mistake(Reason::TemplateInvalid, format!("{field}.metadata.{name}: {remedy}")));
    }
    let name = required(field, "metadata.name", metadata.get("name"))?;
    // Names of roles and their bindings are path segments; all other names are at most DNS
    // subdomains. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    let fits = if group == "rbac.authorization.k8s.io" {
        name.len() <= 253 && !matches!(name, "." | "..") && !name.contains(['/', '%'])
    } else {
        is_subdomain(name)
    };
    if !fits {
        let message = format!(
            "{field}.metadata.name: \"{name}\" is not an object name: at most 253 lower-case letters, digits, dashes and dots, that begins and ends with a letter or digit; the filter slug makes one of any text"
        );
        return Err(mistake(Reason::TemplateInvalid, message));
    }
    Ok(())
}

/// Checks labels or annotations: a map from names to strings.
fn check_texts(field: &str, value: &Value) -> Result<(), Mistake> {
    let texts = match value {
        Value::Null => return Ok(()),
        Value::Object(texts) => texts,
        _ => return Err(mistake(Reason::TemplateInvalid, format!("{field}: must be an object"))),
    };
    match texts.iter().find(|(_, text)| !text.is_string()) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{field}[\"{name}\"]: must be a text; write it in quotes");
            Err(mistake(Reason::TemplateInvalid, message))
        }
    }
}

/// Checks the annotation that says when an object is ready. Only kinds that Kubernetes doesn't
/// define may have it, and Matinee would ignore an invalid value.
fn check_ready_when(field: &str, group: &str, annotations: &BTreeMap<String, String>) -> Result<(), Mistake> {
    let Some(value) = annotations.get(ANNOTATION_READY_WHEN) else { return Ok(()) };
    let remedy = if is_built_in(group) {
        "it is for kinds that Kubernetes doesn't define; remove it".to_owned()
    } else if let Err(remedy) = ReadyWhen::parse(value) {
        remedy
    } else {
        return Ok(());
    };
    let message = format!("{field}.metadata.annotations[\"{ANNOTATION_READY_WHEN}\"]: {remedy}");
    Err(mistake(Reason::TemplateInvalid, message))
}

/// Rejects objects that would overwrite the deployer account or its rights.
fn check_not_ours(
    field: &str,
    group: &str,
    kind: &str,
    metadata: &Map<String, Value>,
) -> Result<(), Mistake> {
    let ours = matches!((group, kind), ("", "ServiceAccount") | ("rbac.authorization.k8s.io", "RoleBinding"));
    if ours && metadata.get("name").and_then(Value::as_str) == Some(DEPLOYER) {
        let message = format!("{field}.metadata.name: {kind}/{DEPLOYER} is Matinee's; choose another name");
        return Err(mistake(Reason::TemplateInvalid, message));
    }
    Ok(())
}

/// Rejects service account token Secrets: such a Secret would hold a token of the account it names.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>
fn check_service_account_token(
    field: &str,
    group: &str,
    kind: &str,
    json: &Map<String, Value>,
) -> Result<(), Mistake> {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let account = json.get("metadata").and_then(|metadata| metadata.get("annotations")?.get(ACCOUNT));
    if (group, kind) == ("", "Secret") && account.and_then(Value::as_str) == Some(DEPLOYER) {
        return Err(mistake(
            Reason::TemplateInvalid,
            format!(
                "{field}.metadata.annotations[\"{ACCOUNT}\"]: the account {DEPLOYER} is Matinee's; name another"
            ),
        ));
    }
    Ok(())
}

/// Position in the order of applying: objects that others use, then workloads, then the rest. The
/// controller of a custom resource (`ExternalSecret`, `Certificate`, `Cluster`) often creates a
/// Secret or a database, so it comes before workloads.
fn rank(object: &DynamicObject) -> u8 {
    match (group_of(object), kind_of(object)) {
        ("", "ServiceAccount") => 0,
        ("rbac.authorization.k8s.io", _) => 1,
        ("", "Secret") => 2,
        ("", "ConfigMap") => 3,
        ("", "PersistentVolumeClaim") => 4,
        (group, _) if !known_group(group) => 5,
        ("", "Service") => 6,
        ("apps" | "batch", _) | ("", "Pod" | "ReplicationController") => 7,
        _ => 8,
    }
}

/// Whether the text is a DNS subdomain (RFC 1123) in lower case.
fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_version(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with('v')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}
