//! What can be told of a template before there is anything to fill its holes with.

use minijinja::Environment;
use serde_json::Value;

use super::context::TOP;
use super::hole::{Piece, pieces};
use crate::api::PreviewTemplateSpec;

/// Every hole is an expression, begins with a name there is, and uses declared parameters only.
pub(super) fn check(
    environment: &Environment<'static>,
    template: &PreviewTemplateSpec,
) -> Result<(), String> {
    template.resources.iter().enumerate().try_for_each(|(index, resource)| {
        value(environment, template, &format!("spec.resources[{index}]"), &resource.0)
    })
}

fn value(
    environment: &Environment<'static>,
    template: &PreviewTemplateSpec,
    path: &str,
    of: &Value,
) -> Result<(), String> {
    match of {
        Value::String(of) => text(environment, template, of).map_err(|problem| format!("{path}: {problem}")),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| value(environment, template, &format!("{path}[{index}]"), item)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, field)| {
            let path = format!("{path}.{key}");
            text(environment, template, key).map_err(|problem| format!("{path}: {problem}"))?;
            value(environment, template, &path, field)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn text(environment: &Environment<'static>, template: &PreviewTemplateSpec, of: &str) -> Result<(), String> {
    for piece in pieces(environment, of)? {
        let Piece::Hole(hole) = piece else { continue };
        for used in hole.expression.undeclared_variables(true) {
            let (name, rest) = used.split_once('.').unwrap_or((&used, ""));
            if !TOP.contains(&name) {
                return Err(format!("{}: there is no {name}; there are {}", hole.shown(), TOP.join(", ")));
            }
            let parameter = rest.split('.').next().unwrap_or_default();
            if name == "parameters"
                && !parameter.is_empty()
                && !template.parameters.iter().any(|declared| declared.name == parameter)
            {
                return Err(format!(
                    "{}: parameter {parameter} isn't declared: add it to spec.parameters",
                    hole.shown()
                ));
            }
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
    fn what_never_can_is_named_with_its_field() {
        for (text, wanted) in [
            ("{{ sah }}", "there is no sah"),
            ("{{ parameters.sise }}", "parameter sise isn't declared"),
            ("{{ sha", "spec.resources[0].spec.items[0]"),
            ("{{ 1 + }}", "spec.resources[0].spec.items[0]"),
        ] {
            let refusal = checked(text).expect_err(text);
            assert!(refusal.contains(wanted), "{text}: {refusal}");
        }
    }
}
