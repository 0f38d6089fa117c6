//! Converts scalars to the types that the API server requires.
//!
//! YAML reads `8080` and `true` as a number and a boolean, and the API server rejects them where it
//! requires a string. So an unquoted scalar becomes a string there, and a string with a whole
//! number becomes a number where one is required. Any other wrong type is a mistake that names the
//! field, never its value.
//!
//! The types are those of `k8s-openapi`: a deserializer reads the object as its kind and continues
//! after a wrong type. For kinds that Kubernetes doesn't define, it checks only the metadata.

use std::cell::RefCell;

use k8s_openapi::api::{apps, autoscaling, batch, coordination, core, discovery, policy, rbac};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer as _, MapAccess};
use serde::de::{SeqAccess, Visitor};
use serde_json::{Error, Value};

use crate::core::truncate::cut;

/// Converts each scalar of the object to the type that its kind requires. `field` is the object's
/// position, such as `resources[1]`.
///
/// Errors: one message for each field whose value can't have its type.
pub(super) fn fit(field: &str, api_version: &str, kind: &str, object: &mut Value) -> Result<(), Vec<String>> {
    let report = RefCell::new(Report::default());
    // Other errors are for the API server to report.
    drop(examine(api_version, kind, object, &report));
    let Report { fixes, mistakes } = report.into_inner();
    for (path, value) in fixes {
        if let Some(place) = path.iter().try_fold(&mut *object, |inside, step| match step {
            Step::Key(key) => inside.get_mut(key),
            Step::Index(index) => inside.get_mut(index),
        }) {
            *place = value;
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(mistakes.into_iter().map(|(path, problem)| format!("{field}{}: {problem}", shown(&path))).collect())
}

fn examine(api_version: &str, kind: &str, object: &Value, report: &RefCell<Report>) -> Result<(), Error> {
    macro_rules! as_kind {
        ($($api_version:literal { $($kind:literal: $type:ty),+ })+) => {
            match (api_version, kind) {
                $($(($api_version, $kind) => read::<$type>(object, Path::Root, report),)+)+
                _ => {
                    let Some(metadata) = object.get("metadata") else { return Ok(()) };
                    read::<ObjectMeta>(metadata, Path::Key(&Path::Root, "metadata"), report)
                }
            }
        };
    }
    as_kind! {
        "v1" {
            "ConfigMap": core::v1::ConfigMap,
            "Endpoints": core::v1::Endpoints,
            "PersistentVolumeClaim": core::v1::PersistentVolumeClaim,
            "Pod": core::v1::Pod,
            "PodTemplate": core::v1::PodTemplate,
            "ReplicationController": core::v1::ReplicationController,
            "Secret": core::v1::Secret,
            "Service": core::v1::Service,
            "ServiceAccount": core::v1::ServiceAccount
        }
        "apps/v1" {
            "DaemonSet": apps::v1::DaemonSet,
            "Deployment": apps::v1::Deployment,
            "ReplicaSet": apps::v1::ReplicaSet,
            "StatefulSet": apps::v1::StatefulSet
        }
        "autoscaling/v1" { "HorizontalPodAutoscaler": autoscaling::v1::HorizontalPodAutoscaler }
        "autoscaling/v2" { "HorizontalPodAutoscaler": autoscaling::v2::HorizontalPodAutoscaler }
        "batch/v1" { "CronJob": batch::v1::CronJob, "Job": batch::v1::Job }
        "coordination.k8s.io/v1" { "Lease": coordination::v1::Lease }
        "discovery.k8s.io/v1" { "EndpointSlice": discovery::v1::EndpointSlice }
        "policy/v1" { "PodDisruptionBudget": policy::v1::PodDisruptionBudget }
        "rbac.authorization.k8s.io/v1" { "Role": rbac::v1::Role, "RoleBinding": rbac::v1::RoleBinding }
    }
}

fn read<'de, T: Deserialize<'de>>(
    value: &'de Value,
    path: Path<'_>,
    report: &RefCell<Report>,
) -> Result<(), Error> {
    T::deserialize(Probe { value, path, report }).map(drop)
}

/// Result of reading an object.
#[derive(Default)]
struct Report {
    fixes: Vec<(Vec<Step>, Value)>,
    mistakes: Vec<(Vec<Step>, &'static str)>,
}

#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// Path to a value, linked from its end.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn steps(&self) -> Vec<Step> {
        let (mut steps, last) = match self {
            Self::Root => return Vec::new(),
            Self::Key(parent, key) => (parent.steps(), Step::Key((*key).to_owned())),
            Self::Index(parent, index) => (parent.steps(), Step::Index(*index)),
        };
        steps.push(last);
        steps
    }
}

/// Formats a path such as `.spec.containers[0].image`, with quotes around keys that aren't plain
/// names.
fn shown(path: &[Step]) -> String {
    let plain = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let steps = path.iter().map(|step| match step {
        Step::Index(index) => format!("[{index}]"),
        Step::Key(key) if plain(key) => format!(".{key}"),
        Step::Key(key) => format!("[{:?}]", cut(key, 100)),
    });
    steps.collect()
}

const TEXT: &str = "must be text";
const BASE64: &str =
    "must be text in base64; plain text belongs in a Secret's stringData or a ConfigMap's data";
const NUMBER: &str = "must be a whole number";
const BOOLEAN: &str = "must be true or false";
const LIST: &str = "must be a list";
const OBJECT: &str = "must be an object";

/// Deserializer that reads a value as any requested type and records where the type is different.
struct Probe<'p, 'de> {
    value: &'de Value,
    path: Path<'p>,
    report: &'p RefCell<Report>,
}

impl Probe<'_, '_> {
    fn fix(&self, value: Value) {
        self.report.borrow_mut().fixes.push((self.path.steps(), value));
    }

    /// Records a mistake, except for null, which counts as a missing field.
    fn wrong(&self, problem: &'static str) {
        if !self.value.is_null() {
            self.report.borrow_mut().mistakes.push((self.path.steps(), problem));
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let base64 = (&visitor as &dyn Expected).to_string() == "a base64-encoded string";
        match self.value {
            // The API server checks the base64.
            Value::String(_) if base64 => {}
            Value::String(text) => return visitor.visit_str(text),
            Value::Bool(_) | Value::Number(_) if !base64 => self.fix(Value::String(literal(self.value))),
            _ => self.wrong(if base64 { BASE64 } else { TEXT }),
        }
        visitor.visit_str("")
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Number(number) if number.is_i64() => {}
            value => match whole(value) {
                Some(number) => self.fix(number.into()),
                None => self.wrong(NUMBER),
            },
        }
        // The API server checks the range.
        visitor.visit_i64(0)
    }
}

/// Returns a scalar as JSON writes it.
fn literal(value: &Value) -> String {
    match whole(value) {
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}

/// Returns the whole number that a number or a text contains, in its usual form: not `007` or
/// `1e3`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64()?;
            // Exact up to 2^53, as in JSON.
            #[allow(clippy::cast_possible_truncation)]
            (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
        }),
        Value::String(text) => text.parse().ok().filter(|number: &i64| number.to_string() == *text),
        _ => None,
    }
}

impl<'de> Deserializer<'de> for Probe<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let either = (&visitor as &dyn Expected).to_string() == "IntOrString";
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(_) if either => {
                self.wrong("must be a whole number or text");
                visitor.visit_i64(0)
            }
            Value::Bool(value) => visitor.visit_bool(*value),
            // For a port or a percentage, a string is a name or ends in "%", so digits alone are a
            // number.
            Value::String(_) if either && whole(self.value).is_some() => self.number(visitor),
            Value::Number(_) if either => self.number(visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (None, Some(number)) => visitor.visit_f64(number),
                (None, None) => Err(Error::custom("no number")),
            },
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Bool(_) => {}
            Value::String(text) if text == "true" => self.fix(true.into()),
            Value::String(text) if text == "false" => self.fix(false.into()),
            _ => self.wrong(BOOLEAN),
        }
        visitor.visit_bool(false)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items = if let Value::Array(items) = self.value {
            items.as_slice()
        } else {
            self.wrong(LIST);
            &[]
        };
        visitor.visit_seq(Items { items: items.iter().enumerate(), of: &self })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Object(fields) = self.value else {
            self.wrong(OBJECT);
            return visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()));
        };
        visitor.visit_map(Fields { rest: fields.iter(), value: None, of: &self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

struct Items<'p, 'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    of: &'p Probe<'p, 'de>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        let path = Path::Index(&self.of.path, index);
        seed.deserialize(Probe { value, path, report: self.of.report }).map(Some)
    }
}

struct Fields<'p, 'de> {
    rest: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
    of: &'p Probe<'p, 'de>,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key, value));
        let key: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.value.take().ok_or_else(|| Error::custom("a value without a key"))?;
        let path = Path::Key(&self.of.path, key);
        seed.deserialize(Probe { value, path, report: self.of.report })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the object with converted fields, or its mistakes.
    fn fitted(yaml: &str) -> Result<Value, Vec<String>> {
        let mut object: Value = serde_saphyr::from_str(yaml).unwrap();
        let text = |field: &str| object[field].as_str().unwrap().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        fit("resources[0]", &api_version, &kind, &mut object)?;
        Ok(object)
    }

    fn deployment(spec: &str) -> String {
        format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: x}}, spec: {spec}}}")
    }

    #[test]
    fn literals_become_text_where_kubernetes_takes_nothing_else() {
        for (yaml, field, wanted) in [
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {PORT: 8080}}",
                "/data/PORT",
                "8080",
            ),
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {DEBUG: true}}",
                "/data/DEBUG",
                "true",
            ),
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {RATIO: 0.5}}",
                "/data/RATIO",
                "0.5",
            ),
            ("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {V: 2.0}}", "/data/V", "2"),
            (
                "{apiVersion: v1, kind: Secret, metadata: {name: x}, stringData: {PIN: 13579246}}",
                "/stringData/PIN",
                "13579246",
            ),
            ("{apiVersion: v1, kind: Secret, metadata: {name: 7}}", "/metadata/name", "7"),
            (
                "{apiVersion: x.example/v1, kind: Thing, metadata: {name: x, labels: {a: 1}}}",
                "/metadata/labels/a",
                "1",
            ),
            (
                "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {selector: {version: 1}}}",
                "/spec/selector/version",
                "1",
            ),
            (
                &deployment("{selector: {matchLabels: {version: 1}}}"),
                "/spec/selector/matchLabels/version",
                "1",
            ),
            (
                &deployment("{template: {metadata: {labels: {version: 1}}}}"),
                "/spec/template/metadata/labels/version",
                "1",
            ),
            (
                &deployment("{template: {metadata: {annotations: {on: false}}}}"),
                "/spec/template/metadata/annotations/on",
                "false",
            ),
            (
                &deployment("{template: {spec: {nodeSelector: {pool: 3}}}}"),
                "/spec/template/spec/nodeSelector/pool",
                "3",
            ),
            (
                &deployment("{template: {spec: {containers: [{env: [{name: A, value: 8080}]}]}}}"),
                "/spec/template/spec/containers/0/env/0/value",
                "8080",
            ),
            (
                &deployment("{template: {spec: {containers: [{args: [--port, 8080]}]}}}"),
                "/spec/template/spec/containers/0/args/1",
                "8080",
            ),
            (
                &deployment("{template: {spec: {initContainers: [{command: [sleep, 5]}]}}}"),
                "/spec/template/spec/initContainers/0/command/1",
                "5",
            ),
            (
                "{apiVersion: batch/v1, kind: CronJob, metadata: {name: x}, spec: {jobTemplate: {spec: {template: {spec: {containers: [{env: [{name: A, value: true}]}]}}}}}}",
                "/spec/jobTemplate/spec/template/spec/containers/0/env/0/value",
                "true",
            ),
        ] {
            assert_eq!(fitted(yaml).unwrap().pointer(field), Some(&Value::from(wanted)), "{yaml}");
        }
    }

    #[test]
    fn text_becomes_a_number_where_the_schema_requires_a_number() {
        for (yaml, field, wanted) in [
            (
                "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: '80', targetPort: '8080'}]}}",
                "/spec/ports/0/port",
                Value::from(80),
            ),
            (
                "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: '80', targetPort: '8080'}]}}",
                "/spec/ports/0/targetPort",
                8080.into(),
            ),
            (
                "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 80, targetPort: http}]}}",
                "/spec/ports/0/targetPort",
                "http".into(),
            ),
            (&deployment("{replicas: '2'}"), "/spec/replicas", 2.into()),
            (&deployment("{replicas: 2.0}"), "/spec/replicas", 2.into()),
            (&deployment("{paused: 'true'}"), "/spec/paused", true.into()),
            (
                &deployment("{strategy: {rollingUpdate: {maxSurge: '25%'}}}"),
                "/spec/strategy/rollingUpdate/maxSurge",
                "25%".into(),
            ),
            // A field that accepts both types keeps its value.
            (
                &deployment(
                    "{template: {spec: {containers: [{resources: {limits: {cpu: 2, memory: 1Gi}}}]}}}",
                ),
                "/spec/template/spec/containers/0/resources/limits/cpu",
                2.into(),
            ),
        ] {
            assert_eq!(fitted(yaml).unwrap().pointer(field), Some(&wanted), "{yaml}");
        }
    }

    #[test]
    fn every_field_of_a_wrong_type_is_named_without_its_value() {
        let wrong = fitted(
            "{apiVersion: v1, kind: Service, metadata: {name: [x]}, spec: {type: {a: b}, ports: [{port: s3cret}, {port: '080', targetPort: true}], selector: [s3cret]}}",
        )
        .unwrap_err();
        assert_eq!(
            wrong,
            [
                "resources[0].metadata.name: must be text",
                "resources[0].spec.ports[0].port: must be a whole number",
                "resources[0].spec.ports[1].port: must be a whole number",
                "resources[0].spec.ports[1].targetPort: must be a whole number or text",
                "resources[0].spec.selector: must be an object",
                "resources[0].spec.type: must be text",
            ]
        );
        let wrong = fitted(&deployment(
            "{paused: 1, replicas: 1.5, template: {spec: {containers: [{command: s3cret}]}}}",
        ));
        assert_eq!(
            wrong.unwrap_err(),
            [
                "resources[0].spec.paused: must be true or false",
                "resources[0].spec.replicas: must be a whole number",
                "resources[0].spec.template.spec.containers[0].command: must be a list",
            ]
        );
        let wrong =
            fitted("{apiVersion: v1, kind: Secret, metadata: {name: x}, data: {PIN: 1234, OK: eA==}}");
        assert_eq!(wrong.unwrap_err(), [format!("resources[0].data.PIN: {BASE64}")]);
    }

    #[test]
    fn correct_unknown_and_null_values_are_unchanged() {
        for yaml in [
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, creationTimestamp: null}, data: null}",
            "{apiVersion: v1, kind: Secret, metadata: {name: x}, data: {a: 'not base64'}}",
            "{apiVersion: x.example/v1, kind: Thing, metadata: {name: x}, spec: {args: [1], selector: {a: 1}, name: 7}}",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {later: [1], template: {spec: {laterToo: {a: 1}}}}}",
            "{apiVersion: v1, kind: Pod, metadata: {name: x, labels: {a: null}}, spec: {containers: [{name: null}]}}",
        ] {
            let object: Value = serde_saphyr::from_str(yaml).unwrap();
            assert_eq!(fitted(yaml), Ok(object), "{yaml}");
        }
    }
}
