//! Bounds, patterns, enums and required fields: the test breaks each one in the definitions once,
//! beginning with an object that has every field. It derives the list from the definitions in the
//! cluster, so a new field that no object here has fails the test.

use anyhow::{Context as _, Result, ensure};
use kube::api::ListParams;
use playground::stage::Stage;
use serde_json::{Map, Value, json};

use super::rules::set;
use super::{FULL, objects, refusals, told};

/// A text that matches no pattern here.
const NONSENSE: &str = "§ §";

/// A violation of one bound.
struct Broken {
    /// JSON pointer to the changed value.
    pointer: String,
    /// The new value; null removes the field.
    value: Value,
    /// The field that the rejection names.
    field: String,
    /// Texts that the rejection contains.
    says: Vec<String>,
}

pub(super) async fn every_bound_is_kept(stage: &Stage) -> Result<()> {
    let mut count = 0;
    for (kind, schema) in schemas(stage).await? {
        let full: Vec<_> =
            objects(FULL)?.into_iter().filter(|object| object["kind"] == kind.as_str()).collect();
        let spec = &schema["properties"]["spec"];
        let missing: Vec<_> = fields(spec, "/spec")
            .into_iter()
            .filter(|field| !full.iter().any(|object| has(object, field)))
            .collect();
        ensure!(missing.is_empty(), "no {kind} here has {missing:?}: add them to full.yaml");
        for object in &full {
            let mut all = Vec::new();
            breaks(spec, &object["spec"], "/spec", "spec", &mut all);
            count += all.len();
            for broken in all {
                refused(stage, &kind, object, &broken).await?;
            }
        }
    }
    // Far fewer would mean that the test doesn't understand the definitions.
    ensure!(count > 150, "{count} bounds were found");
    Ok(())
}

async fn refused(stage: &Stage, kind: &str, object: &Value, broken: &Broken) -> Result<()> {
    let mut given = object.clone();
    set(&mut given, &broken.pointer, broken.value.clone())?;
    let refusals = refusals(stage, &given).await.with_context(|| broken.pointer.clone())?;
    let found = refusals.iter().any(|cause| {
        cause.field == broken.field && broken.says.iter().all(|part| cause.message.contains(part.as_str()))
    });
    let shown: String = broken.value.to_string().chars().take(60).collect();
    ensure!(
        found,
        "{kind} with {} = {shown}: not {} with {:?} but {}",
        broken.pointer,
        broken.field,
        broken.says,
        told(&refusals)
    );
    Ok(())
}

/// Returns kind and schema of every definition.
async fn schemas(stage: &Stage) -> Result<Vec<(String, Value)>> {
    let definitions = stage.objects("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
    let found: Vec<_> = definitions
        .list(&ListParams::default())
        .await?
        .into_iter()
        .filter(|definition| definition.data["spec"]["group"] == "matinee.dev")
        .map(|definition| {
            let spec = &definition.data["spec"];
            let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
            (kind, spec["versions"][0]["schema"]["openAPIV3Schema"].clone())
        })
        .collect();
    ensure!(found.len() == 6, "{} kinds are defined", found.len());
    Ok(found)
}

/// Returns pointers to every field of a schema; `0` stands for any item, `*` for any key.
fn fields(schema: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        found.extend(fields(field, &at));
        found.push(at);
    }
    for (inner, step) in [("items", "0"), ("additionalProperties", "*")] {
        if schema[inner].is_object() {
            let at = format!("{at}/{step}");
            found.extend(fields(&schema[inner], &at));
            found.push(at);
        }
    }
    found
}

fn has(object: &Value, field: &str) -> bool {
    field
        .split('/')
        .skip(1)
        .try_fold(object, |object, step| match (object, step) {
            (Value::Object(fields), "*") => fields.values().next(),
            (Value::Object(fields), step) => fields.get(step),
            (Value::Array(items), _) => items.first(),
            _ => None,
        })
        .is_some()
}

/// Returns every way to violate the schema at this value and below.
fn breaks(schema: &Value, value: &Value, pointer: &str, field: &str, all: &mut Vec<Broken>) {
    let mut broken = |value: Value, says: &[&str]| {
        all.push(Broken {
            pointer: pointer.to_owned(),
            value,
            field: field.to_owned(),
            says: says.iter().map(ToString::to_string).collect(),
        });
    };
    let bound = |name: &str| schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    if let Some(most) = bound("maxLength") {
        broken("a".repeat(most + 1).into(), &["Too long", &most.to_string()]);
    }
    if bound("minLength").is_some_and(|least| least > 0) {
        broken("".into(), &["should be at least"]);
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        broken(NONSENSE.into(), &["should match", pattern]);
    }
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<_> = choices.iter().map(ToString::to_string).collect();
        let mut says = vec!["Unsupported value"];
        says.extend(choices.iter().map(String::as_str));
        broken("Nonsense".into(), &says);
    }
    if let Some(least) = schema["minimum"].as_f64() {
        broken(json!(whole(least) - 1), &["greater than or equal to", &whole(least).to_string()]);
    }
    if let Some(most) = schema["maximum"].as_f64() {
        broken(json!(whole(most) + 1), &["less than or equal to", &whole(most).to_string()]);
    }
    match value {
        Value::Array(items) => breaks_of_list(schema, items, pointer, field, all),
        Value::Object(fields) => breaks_of_map(schema, fields, pointer, field, all),
        _ => {}
    }
}

fn breaks_of_list(schema: &Value, items: &[Value], pointer: &str, field: &str, all: &mut Vec<Broken>) {
    let Some(first) = items.first() else { return };
    let mut broken = |value: Vec<Value>, field: String, says: &[&str]| {
        let says = says.iter().map(ToString::to_string).collect();
        all.push(Broken { pointer: pointer.to_owned(), value: value.into(), field, says });
    };
    if let Some(most) = schema["maxItems"].as_u64() {
        let many = vec![first.clone(); usize::try_from(most).unwrap_or_default() + 1];
        broken(many, field.to_owned(), &["Too many", &most.to_string()]);
    }
    if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
        broken(Vec::new(), field.to_owned(), &["should have at least"]);
    }
    if schema["x-kubernetes-list-type"] == "map" || schema["x-kubernetes-list-type"] == "set" {
        broken(vec![first.clone(), first.clone()], format!("{field}[1]"), &["Duplicate value"]);
    }
    breaks(&schema["items"], first, &format!("{pointer}/0"), &format!("{field}[0]"), all);
}

fn breaks_of_map(
    schema: &Value,
    fields: &Map<String, Value>,
    pointer: &str,
    field: &str,
    all: &mut Vec<Broken>,
) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        all.push(Broken {
            pointer: format!("{pointer}/{name}"),
            value: Value::Null,
            field: format!("{field}.{name}"),
            says: vec!["Required value".to_owned()],
        });
    }
    if let (Some(most), Some(value)) = (schema["maxProperties"].as_u64(), fields.values().next()) {
        let many: Map<_, _> = (0..=most).map(|number| (format!("key-{number}"), value.clone())).collect();
        all.push(Broken {
            pointer: pointer.to_owned(),
            value: many.into(),
            field: field.to_owned(),
            says: vec!["Too many".to_owned(), most.to_string()],
        });
    }
    for (name, value) in fields {
        let schema = match &schema["properties"][name] {
            Value::Null if schema["additionalProperties"].is_object() => &schema["additionalProperties"],
            // The schema doesn't cover the objects of a template.
            Value::Null => continue,
            property => property,
        };
        let step = name.replace('~', "~0").replace('/', "~1");
        breaks(schema, value, &format!("{pointer}/{step}"), &format!("{field}.{name}"), all);
    }
}

/// Converts a bound, which the schema writes as a floating point number; all are small and whole.
#[allow(clippy::cast_possible_truncation)]
fn whole(bound: f64) -> i64 {
    bound as i64
}
