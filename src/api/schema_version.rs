//! Marks on the custom resource definitions, by which `matinee doctor` recognizes definitions of
//! another version.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Annotation on each custom resource definition: the version of Matinee that it is from.
pub const ANNOTATION_VERSION: &str = "matinee.dev/version";
/// Annotation on each custom resource definition: the digest of its spec without descriptions. It
/// changes with each field, bound, default and rule.
pub const ANNOTATION_SCHEMA_DIGEST: &str = "matinee.dev/schema-digest";

/// Characters of the digest.
const DIGEST: usize = 16;

/// Adds the annotations to a definition.
pub(super) fn mark(crd: &mut CustomResourceDefinition) {
    let mut text = String::new();
    // A definition is always valid JSON: `matinee crds` prints it.
    write_canonical(&serde_json::to_value(&crd.spec).unwrap_or_default(), &mut text);
    let digest = hex::encode(Sha256::digest(text))[..DIGEST].to_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    crd.annotations_mut()
        .extend([(ANNOTATION_SCHEMA_DIGEST.to_owned(), digest), (ANNOTATION_VERSION.to_owned(), version)]);
}

/// Appends a value without descriptions, with the keys of objects in order. `serde_json` keeps them
/// in order only if no dependency enables its feature `preserve_order`.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let is_description = |key: &str, value: &Value| key == "description" && value.is_string();
            let sorted: BTreeMap<&String, &Value> =
                fields.iter().filter(|(key, value)| !is_description(key, value)).collect();
            text.push('{');
            for (key, value) in sorted {
                let _ = write!(text, "{key:?}:");
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

    use super::*;
    use crate::api::custom_resource_definitions;

    fn digest_after(change: impl FnOnce(&mut JSONSchemaProps)) -> String {
        let mut crd = custom_resource_definitions().remove(0);
        change(crd.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap());
        mark(&mut crd);
        crd.annotations()[ANNOTATION_SCHEMA_DIGEST].clone()
    }

    fn field<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> &'a mut JSONSchemaProps {
        let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
        spec.properties.as_mut().unwrap().get_mut(name).unwrap()
    }

    #[test]
    fn every_definition_has_its_version_and_a_digest_of_its_own() {
        let all = custom_resource_definitions();
        let digests: std::collections::BTreeSet<&String> =
            all.iter().map(|crd| &crd.annotations()[ANNOTATION_SCHEMA_DIGEST]).collect();
        assert_eq!(digests.len(), all.len());
        assert!(
            all.iter().all(|crd| crd.annotations()[ANNOTATION_VERSION] == env!("CARGO_PKG_VERSION")),
            "{digests:?}"
        );
    }

    #[test]
    fn the_digest_follows_the_schema_and_not_its_descriptions() {
        let own = digest_after(|_| ());
        assert_eq!(own, custom_resource_definitions()[0].annotations()[ANNOTATION_SCHEMA_DIGEST]);
        assert_eq!(own, digest_after(|schema| field(schema, "grants").description = Some("Other.".into())));
        let changes: [fn(&mut JSONSchemaProps); 2] = [
            |schema| drop(schema.properties.as_mut().unwrap().remove("spec")),
            |schema| field(schema, "grants").max_items = Some(7),
        ];
        for change in changes {
            assert_ne!(own, digest_after(change));
        }
        // A property that is named `description` is no description.
        let mut text = String::new();
        write_canonical(&serde_json::json!({"description": {"type": "string"}, "a": [1, null]}), &mut text);
        assert_eq!(text, r#"{"a":[1,null,],"description":{"type":"string",},}"#);
    }
}
