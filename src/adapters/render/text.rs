//! Renders a text outside of a template, such as an image's name.

use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde_json::json;

use super::placeholder::{Piece, pieces};
use crate::core::environment::resolved::About;
use crate::core::truncate::short_sha;

/// Most characters of the rendered text.
const LONGEST: usize = 1_024;

/// Renders a text. The error names the placeholder and the mistake.
pub(super) fn fill(environment: &Environment<'static>, text: &str, about: &About) -> Result<String, String> {
    let mut context = json!({
        "sha": about.sha,
        "shortSha": short_sha(&about.sha),
        "repository": about.repository,
        "environment": about.environment,
        "parameters": about.parameters,
    });
    if let Some(number) = about.pull_request {
        context["pr"] = json!({ "number": number });
    }
    let context = Value::from(Serde(&context));
    let mut filled = String::new();
    for piece in pieces(environment, text)? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(placeholder) => {
                let value = placeholder.expression.eval(&context).map_err(|error| {
                    let names = "sha, shortSha, repository, environment, pr.number, parameters.*";
                    format!(
                        "{}: {}; there are {names}",
                        placeholder.shown(),
                        error.detail().unwrap_or("has no value")
                    )
                })?;
                if value.is_undefined() || value.is_none() {
                    return Err(format!("{}: has no value; use the filter default", placeholder.shown()));
                }
                filled.push_str(&value.to_string());
            }
        }
    }
    if filled.chars().count() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters when it is rendered"));
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::render::MinijinjaRenderer;
    use crate::ports::Renderer as _;

    fn filled(text: &str) -> Result<String, String> {
        let about = About {
            sha: "0123456789abcdef".into(),
            repository: "acme/shop".into(),
            environment: "staging".into(),
            pull_request: None,
            parameters: [("tag".to_owned(), "{{ sha }}".to_owned())].into(),
        };
        MinijinjaRenderer::new().text("gates.image", text, &about).map_err(|mistake| mistake.message)
    }

    #[test]
    fn an_images_name_is_filled() {
        assert_eq!(
            filled("r.example/{{ repository }}:{{ shortSha }}").unwrap(),
            "r.example/acme/shop:0123456"
        );
        assert_eq!(filled("r.example/a:1").unwrap(), "r.example/a:1");
        assert_eq!(filled("{{ parameters.tag }}").unwrap(), "{{ sha }}", "a value is not a template");
        assert_eq!(filled("{{ pr.number if pr is defined else 'none' }}").unwrap(), "none");
    }

    #[test]
    fn unknown_name_is_reported() {
        for (text, word) in [
            ("{{ payload.image }}", "payload.image"),
            ("{{ pr.number }}", "pr.number"),
            ("{{ sha", "has no end"),
        ] {
            let error = filled(text).unwrap_err();
            assert!(error.starts_with("gates.image: ") && error.contains(word), "{error}");
        }
    }
}
