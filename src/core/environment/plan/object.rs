//! Turns typed or free-form objects into objects that are ready to apply.

use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::labels::Marks;
use super::mistake;
use crate::api::{ANNOTATION_DIGEST, LABEL_ENVIRONMENT_UID};
use crate::core::mistake::{Mistake, Reason};

/// Returns a typed object with labels and digest.
pub(super) fn typed<T: Serialize>(object: &T, marks: &Marks) -> Result<DynamicObject, Mistake> {
    let object =
        serde_json::to_value(object).and_then(serde_json::from_value::<DynamicObject>).map_err(|error| {
            mistake(Reason::TemplateInvalid, format!("an object can't be written as JSON: {error}"))
        })?;
    sealed(object, marks)
}

/// Adds the labels and the digest to the object.
pub(super) fn sealed(mut object: DynamicObject, marks: &Marks) -> Result<DynamicObject, Mistake> {
    marks.add_to(object.metadata.labels.get_or_insert_default());
    let digest = digest(&object).map_err(|error| {
        mistake(Reason::TemplateInvalid, format!("an object can't be written as JSON: {error}"))
    })?;
    object.metadata.annotations.get_or_insert_default().insert(ANNOTATION_DIGEST.to_owned(), digest);
    Ok(object)
}

/// Returns the SHA-256, in hexadecimal, of the object as compact JSON with sorted keys, without the
/// digest's own annotation.
fn digest(object: &DynamicObject) -> Result<String, serde_json::Error> {
    let mut json = serde_json::to_value(object)?;
    if let Some(Value::Object(annotations)) = json.pointer_mut("/metadata/annotations") {
        annotations.remove(ANNOTATION_DIGEST);
    }
    digest_of(json)
}

/// Returns the SHA-256, in hexadecimal, of a value as compact JSON with sorted keys.
pub(super) fn digest_of(mut json: Value) -> Result<String, serde_json::Error> {
    json.sort_all_objects();
    let digest = Sha256::digest(serde_json::to_vec(&json)?);
    let half = |bytes: &[u8]| bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let (left, right) = digest.split_at(16);
    Ok(format!("{:032x}{:032x}", half(left), half(right)))
}

/// Whether the live object has the digest of the planned one and belongs to the same environment,
/// so that another apply would change nothing.
///
/// It compares the digest annotation and the UID label. Both are in `metadata`, so the live object
/// needs nothing else, and a restarted operator writes nothing. It doesn't detect changes by other
/// clients. To detect those, the caller compares the live object with the `Application` of the last
/// write.
pub fn unchanged(planned: &DynamicObject, live: &DynamicObject) -> bool {
    let mark = |object: &DynamicObject| {
        let metadata = &object.metadata;
        let digest = metadata.annotations.as_ref()?.get(ANNOTATION_DIGEST)?.clone();
        let uid = metadata.labels.as_ref()?.get(LABEL_ENVIRONMENT_UID)?.clone();
        Some((digest, uid))
    };
    mark(planned).is_some_and(|planned| Some(planned) == mark(live))
}

/// Returns the API group of an object; empty for the core group.
pub(super) fn group_of(object: &DynamicObject) -> &str {
    let api_version = object.types.as_ref().map_or("", |types| types.api_version.as_str());
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Returns the kind of an object.
pub(super) fn kind_of(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}
