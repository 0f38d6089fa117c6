//! Reference of all custom resources' fields as Markdown, generated from the same definitions as
//! `crds/`.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// First lines of the page.
const HEAD: &str = "# Fields\n\nGenerated from [src/api](../src/api) by `cargo run --package matinee -- crds --reference docs/api.md`. \
    `[]` is an item of a list, `{}` a value of a map.\n";

/// Returns the page.
///
/// # Errors
/// A definition can't be serialized as JSON.
pub(super) fn page(definitions: &[CustomResourceDefinition]) -> serde_json::Result<String> {
    let mut page = HEAD.to_owned();
    for definition in definitions {
        let names = &definition.spec.names;
        for version in &definition.spec.versions {
            let schema = serde_json::to_value(&version.schema)?;
            let schema = &schema["openAPIV3Schema"];
            // Writing into a string can't fail.
            let scope =
                if definition.spec.scope == "Namespaced" { "in a namespace" } else { "of the whole cluster" };
            let also = names.short_names.iter().flatten().cloned();
            let calls: Vec<String> = std::iter::once(names.plural.clone()).chain(also).collect();
            let _ = write!(
                page,
                "\n## {}\n\n{}\n\n`{}/{}`, {scope}. `kubectl get {}`\n",
                names.kind,
                text(schema),
                definition.spec.group,
                version.name,
                calls.join("`, `"),
            );
            for part in ["spec", "status"] {
                page.push_str("\n| field | type | |\n|---|---|---|\n");
                fields(part, &schema["properties"][part], &mut page);
            }
            let mut rules = Vec::new();
            messages("", schema, &mut rules);
            if !rules.is_empty() {
                let _ = write!(page, "\nRules:\n\n- {}\n", rules.join("\n- "));
            }
        }
    }
    Ok(page)
}

/// Adds a row for every nested field.
fn fields(path: &str, schema: &Value, page: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let must =
            if path.starts_with("spec") && required.contains(&name.as_str()) { ", required" } else { "" };
        let _ = writeln!(page, "| `{path}` | {}{must} | {} |", kind(field), cell(&text(field)));
        // Conditions are the same in all of Kubernetes.
        if name != "conditions" {
            fields(&path, field, page);
            fields(&format!("{path}[]"), &field["items"], page);
            fields(&format!("{path}{{}}"), &field["additionalProperties"], page);
        }
    }
}

/// Returns the type of a field, its limits and its default.
fn kind(field: &Value) -> String {
    let mut parts = vec![match &field["enum"] {
        // The values of an optional field include null.
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        _ => match (field["type"].as_str(), &field["items"]["type"]) {
            (Some("array"), Value::String(item)) => format!("list of {item}s"),
            (Some("object"), _) if field["additionalProperties"].is_object() => "map".to_owned(),
            (Some(plain), _) => plain.to_owned(),
            (None, _) if field["x-kubernetes-preserve-unknown-fields"] == true => "anything".to_owned(),
            (None, _) => "number or string".to_owned(),
        },
    }];
    for (name, shown) in [
        ("minimum", "at least "),
        ("maximum", "at most "),
        ("maxLength", "length at most "),
        ("maxItems", "at most "),
    ] {
        if let Some(bound) = field[name].as_f64() {
            parts.push(format!("{shown}{bound}"));
        }
    }
    match &field["default"] {
        Value::Null | Value::Object(_) => {}
        default => parts.push(format!("default `{default}`")),
    }
    parts.join(", ")
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Adds the messages of validation rules, each with its field.
fn messages(path: &str, schema: &Value, found: &mut Vec<String>) {
    let about = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    found
        .extend(rules.filter_map(|rule| rule["message"].as_str()).map(|message| format!("{about}{message}")));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        messages(&format!("{path}{dot}{name}"), field, found);
    }
    for (inside, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[inside].is_object() {
            messages(&format!("{path}{mark}"), &schema[inside], found);
        }
    }
}
