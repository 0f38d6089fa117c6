//! Fills the holes of a template's objects with minijinja.
//!
//! - Holes `{{ expression }}` are in string values, and in the keys of maps of texts (labels, annotations, selectors and data). The
//!   objects are structured already, so nothing that fills a hole can become structure, and it isn't looked at for holes again.
//!   `{{ "{{" }}` writes the braces themselves. Statements (`{% %}`) and comments (`{# #}`) are text like any other, as shell scripts and
//!   configuration files are full of them.
//! - A string that is one hole alone takes the type of its expression, else a hole becomes text. Parameters are given as strings;
//!   those that are whole numbers or booleans in their usual form (`2`, `-1`, `true`; not `007`, `1.10` or `yes`) are numbers and booleans
//!   in expressions: `replicas: "{{ parameters.replicas }}"` becomes a number.
//!   (Inside an expression minijinja joins a boolean to text as Python would, as `True`: write two holes, or use the filter `string`.)
//! - Where Kubernetes takes nothing but text, a hole alone becomes text too: values of labels, annotations, selectors and data, of
//!   environment variables and HTTP headers, items of `args`, `command` and `values`, and `apiVersion`, `kind`, `image`, `name`,
//!   `namespace` and whatever ends in `Name`.
//!   (The plan, which knows the kinds, gives literals the types of their fields.)
//! - Undefined names are errors that name the field. Attributes of `payload` may be missing, or null, where the filter `default` fills in;
//!   `pr` is undefined where there is no pull request, which `pr is defined` tells.
//! - Everything is bounded: see [`limits`].

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
use crate::core::environment::resolved::{About, Mistake, Target};
use crate::core::naming::slug;
use crate::ports::Renderer;

/// Fills holes with minijinja. Holds no state of a target's.
#[derive(Debug)]
pub struct MinijinjaRenderer {
    environment: Environment<'static>,
}

impl MinijinjaRenderer {
    /// A renderer with minijinja's own filters, those for HTML left out, and `slug`; without its functions.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        let functions: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        for name in functions {
            environment.remove_global(&name);
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(limits::FUEL));
        // `slug(20)`: a DNS label of at most 20 characters out of any text.
        environment
            .add_filter("slug", |text: &str, max: Option<usize>| slug(text, max.unwrap_or(63).clamp(16, 63)));
        environment.add_filter("string", string);
        for filter in ["default", "d"] {
            environment.add_filter(filter, default);
        }
        // They take something undefined for empty; those for HTML have no place here either.
        for filter in ["chain", "e", "escape", "indent", "pprint", "safe", "zip"] {
            environment.remove_filter(filter);
        }
        Self { environment }
    }
}

/// The filter `default`, to which null is as good as missing: what a payload was written by has a
/// key for what it doesn't know.
fn default(
    state: &State<'_, '_>,
    value: &minijinja::Value,
    others: Rest<minijinja::Value>,
) -> Result<minijinja::Value, Error> {
    let value = if value.is_none() { &minijinja::Value::UNDEFINED } else { value };
    minijinja::filters::default(state, value, others)
}

/// The filter `string`, with booleans as JSON has them.
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
            .map_err(|message| Mistake { reason: "TemplateInvalid", message })
    }

    fn text(&self, field: &str, text: &str, about: &About) -> Result<String, Mistake> {
        text::fill(&self.environment, text, about)
            .map_err(|problem| Mistake { reason: "TemplateInvalid", message: format!("{field}: {problem}") })
    }

    fn check(&self, template: &PreviewTemplateSpec) -> Result<(), Mistake> {
        check::check(&self.environment, template)
            .map_err(|message| Mistake { reason: "TemplateInvalid", message })
    }
}
