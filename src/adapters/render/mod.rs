//! Renders the placeholders in a template's objects with minijinja.
//!
//! - Placeholders `{{ expression }}` may be in string values, and in the keys of string maps
//!   (labels, annotations, selectors and data). Objects are parsed before they are rendered, so a
//!   value can never change their structure, and values aren't searched for placeholders. The
//!   braces themselves are written as `{{ "{{" }}`. Statements (`{% %}`) and comments (`{# #}`) are
//!   plain text, since shell scripts and configuration files often contain them.
//! - A string that consists of one placeholder takes the type of its expression; in any other
//!   string the value becomes text. Parameters are given as strings. Whole numbers and booleans in
//!   canonical form (`2`, `-1`, `true`; not `007`, `1.10` or `yes`) are numbers and booleans in
//!   expressions: `replicas: "{{ parameters.replicas }}"` becomes a number. (Within an expression,
//!   minijinja joins a boolean to text as Python does, as `True`. Write two placeholders, or use
//!   the filter `string`.)
//! - Where Kubernetes accepts only text, a single placeholder becomes text too: values of labels,
//!   annotations, selectors and data, of environment variables and HTTP headers, items of `args`,
//!   `command` and `values`, and `apiVersion`, `kind`, `image`, `name`, `namespace` and all fields
//!   that end with `Name`. (The plan, which knows the kinds, converts literals to the types of
//!   their fields.)
//! - Undefined names are errors that name the field. Attributes of `payload` may be missing or null
//!   if the filter `default` is used. `pr` is undefined without a pull request; test it with
//!   `pr is defined`.
//! - All resources are bounded: see [`limits`].

mod check;
mod context;
mod hole;
mod limits;
mod position;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde_json::Value;

use crate::api::PreviewTemplateSpec;
use crate::core::deployment::payload;
use crate::core::environment::resolved::{About, Target};
use crate::core::mistake::{Mistake, Reason};
use crate::core::naming::slug;
use crate::ports::Renderer;

/// Renders templates with minijinja. It keeps no state of a target.
#[derive(Debug)]
pub struct MinijinjaRenderer {
    environment: Environment<'static>,
}

impl MinijinjaRenderer {
    /// Creates a renderer with minijinja's own filters except those for HTML, with `slug`, and
    /// without minijinja's functions.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        let functions: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        for name in functions {
            environment.remove_global(&name);
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(limits::FUEL));
        // `slug(20)` makes a DNS label of at most 20 characters from any text.
        environment
            .add_filter("slug", |text: &str, max: Option<usize>| slug(text, max.unwrap_or(63).clamp(16, 63)));
        environment.add_filter("string", string);
        for filter in ["default", "d"] {
            environment.add_filter(filter, default);
        }
        // These filters accept undefined values as empty, or are for HTML.
        for filter in ["chain", "e", "escape", "indent", "pprint", "safe", "zip"] {
            environment.remove_filter(filter);
        }
        Self { environment }
    }
}

/// The filter `default`. It also replaces null, since senders of payloads write null for unknown
/// values.
fn default(
    state: &State<'_, '_>,
    value: &minijinja::Value,
    others: Rest<minijinja::Value>,
) -> Result<minijinja::Value, Error> {
    let value = if value.is_none() { &minijinja::Value::UNDEFINED } else { value };
    minijinja::filters::default(state, value, others)
}

/// The filter `string`. It writes booleans as JSON does.
fn string(value: &minijinja::Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        ValueKind::Bool => Ok(value.is_true().to_string()),
        _ => Ok(value.to_string()),
    }
}

impl Default for MinijinjaRenderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer for MinijinjaRenderer {
    fn render(&self, target: &Target) -> Result<Vec<Value>, Mistake> {
        if !target.payload.is_object()
            && !target.payload.is_null()
            && let Some((reads, field)) = check::reads_payload(&self.environment, &target.template)
        {
            return Err(payload::no_object(&target.payload, &reads, &field));
        }
        let names = context::Names::of(target);
        let mut walk = walk::Walk::new(&self.environment, &names);
        let resources = target.template.resources.iter().enumerate();
        resources
            .map(|(index, resource)| walk.resource(index, &resource.0))
            .collect::<Result<_, _>>()
            .map_err(|message| Mistake { reason: Reason::TemplateInvalid, message })
    }

    fn text(&self, field: &str, text: &str, about: &About) -> Result<String, Mistake> {
        text::fill(&self.environment, text, about).map_err(|problem| Mistake {
            reason: Reason::TemplateInvalid,
            message: format!("{field}: {problem}"),
        })
    }

    fn check(&self, template: &PreviewTemplateSpec) -> Result<(), Mistake> {
        check::check(&self.environment, template)
            .map_err(|message| Mistake { reason: Reason::TemplateInvalid, message })
    }
}
