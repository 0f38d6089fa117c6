//! Checks of a template that need no values for its placeholders.

use minijinja::Environment;
use serde_json::Value;

use super::context::{TOP, no_such};
use super::placeholder::{OWN_BRACES, Piece, Placeholder, pieces};
use crate::api::PreviewTemplateSpec;

/// Checks that every placeholder is an expression, uses a known top-level name, and uses only
/// declared parameters.
pub(super) fn check(
    environment: &Environment<'static>,
    template: &PreviewTemplateSpec,
) -> Result<(), String> {
    each_placeholder(environment, template, &mut |path, placeholder| {
        names(template, placeholder)
            .map_err(|problem| format!("spec.{path}: {}: {problem}", placeholder.shown()))
    })
    .map_err(|problem| if problem.starts_with("spec.") { problem } else { format!("spec.{problem}") })
}

/// Returns the first expression that reads `payload`, as `payload.image`, and the field that it is
/// in.
pub(super) fn reads_payload(
    environment: &Environment<'static>,
    template: &PreviewTemplateSpec,
) -> Option<(String, String)> {
    let mut found = None;
    // Rendering reports an unreadable placeholder.
    let _ = each_placeholder(environment, template, &mut |path, placeholder| {
        let mut reads = placeholder.expression.undeclared_variables(true).into_iter();
        match reads.find(|read| read == "payload" || read.starts_with("payload.")) {
            Some(read) => {
                found = Some((read, path.to_owned()));
                Err(String::new())
            }
            None => Ok(()),
        }
    });
    found
}

type OnPlaceholder<'a> = &'a mut dyn FnMut(&str, &Placeholder<'_>) -> Result<(), String>;

/// Calls `on_placeholder` for every placeholder with its field, until a call fails.
fn each_placeholder(
    environment: &Environment<'static>,
    template: &PreviewTemplateSpec,
    on_placeholder: OnPlaceholder<'_>,
) -> Result<(), String> {
    template.resources.iter().enumerate().try_for_each(|(index, resource)| {
        in_value(environment, &format!("resources[{index}]"), &resource.0, on_placeholder)
    })
}

fn in_value(
    environment: &Environment<'static>,
    path: &str,
    of: &Value,
    on_placeholder: OnPlaceholder<'_>,
) -> Result<(), String> {
    match of {
        Value::String(of) => in_text(environment, path, of, on_placeholder),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            in_value(environment, &format!("{path}[{index}]"), item, on_placeholder)
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(key, field)| {
            let path = format!("{path}.{key}");
            in_text(environment, &path, key, on_placeholder)?;
            in_value(environment, &path, field, on_placeholder)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn in_text(
    environment: &Environment<'static>,
    path: &str,
    of: &str,
    on_placeholder: OnPlaceholder<'_>,
) -> Result<(), String> {
    for piece in pieces(environment, of).map_err(|problem| format!("{path}: {problem}"))? {
        if let Piece::Placeholder(placeholder) = piece {
            on_placeholder(path, &placeholder)?;
        }
    }
    Ok(())
}

fn names(template: &PreviewTemplateSpec, placeholder: &Placeholder<'_>) -> Result<(), String> {
    for used in placeholder.expression.undeclared_variables(true) {
        let (name, rest) = used.split_once('.').unwrap_or((&used, ""));
        if !TOP.contains(&name) {
            return Err(format!("{}; {OWN_BRACES}", no_such(name)));
        }
        let parameter = rest.split('.').next().unwrap_or_default();
        if name == "parameters"
            && !parameter.is_empty()
            && !template.parameters.iter().any(|declared| declared.name == parameter)
        {
            return Err(format!("parameter {parameter} isn't declared: add it to spec.parameters"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::MinijinjaRenderer;
    use crate::api::{ParameterDeclaration, PreviewTemplateSpec, TemplateResource};
    use crate::ports::Renderer as _;

    fn checked(text: &str) -> Result<(), String> {
        let template = PreviewTemplateSpec {
            parameters: vec![ParameterDeclaration { name: "size".into(), default: None, description: None }],
            resources: vec![TemplateResource(json!({ "spec": { "items": [text] } }))],
            endpoints: Vec::new(),
        };
        MinijinjaRenderer::new().check(&template).map_err(|mistake| mistake.message)
    }

    #[test]
    fn what_can_be_filled_passes() {
        for text in [
            "plain",
            "{{ sha }}",
            "{{ parameters.size }}",
            "{{ payload.image | default('x') }}",
            "a {{ pr.number }} b",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn braces_of_other_tools_are_refused_with_how_to_write_them() {
        for text in [
            "postgres://u:{{ .password | toString }}@db",
            "{{ $labels.pod }} is down",
            "{{workflow.name}}",
            "{{- range .items }}x{{ end -}}",
            "{{ if .Values.x }}",
        ] {
            let refusal = checked(text).expect_err(text);
            assert!(refusal.starts_with("spec.resources[0].spec.items[0]: {{ "), "{refusal}");
            assert!(refusal.contains("write {{ \"{{\" }} for {{"), "{refusal}");
        }
        assert_eq!(checked("{{ \"{{\" }} .password }} of {{ sha }}"), Ok(()));
    }

    #[test]
    fn what_never_can_is_named_with_its_field() {
        for (text, wanted) in [
            ("{{ sah }}", "there is no \"sah\""),
            ("{{ parameters.sise }}", "parameter sise isn't declared"),
            ("{{ sha", "spec.resources[0].spec.items[0]"),
            ("{{ 1 + }}", "spec.resources[0].spec.items[0]"),
        ] {
            let refusal = checked(text).expect_err(text);
            assert!(refusal.contains(wanted), "{text}: {refusal}");
        }
    }
}
