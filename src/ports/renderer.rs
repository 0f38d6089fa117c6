//! The evaluation of expressions in templates.

use crate::api::PreviewTemplateSpec;
use crate::core::environment::resolved::{About, Target};
use crate::core::mistake::Mistake;

/// Evaluates the expressions in templates.
pub trait Renderer: Send + Sync {
    /// Renders the template's objects: one for each of `target.template.resources`, in their order.
    /// Evaluation is limited in steps and size, and has no side effects. The value of an expression
    /// is never evaluated itself.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with the path of the field, as
    /// `resources[1].spec.replicas`.
    fn render(&self, target: &Target) -> Result<Vec<serde_json::Value>, Mistake>;
    /// Finds the mistakes that don't depend on values: invalid expressions, unknown names,
    /// undeclared parameters.
    ///
    /// Errors: those of [`Self::render`].
    fn check(&self, template: &PreviewTemplateSpec) -> Result<(), Mistake>;
    /// Renders a text outside of a template, such as the name of an image. `field` is its path, for
    /// errors. Names that need a running environment (`host`, `url`, `namespace`, `payload`) are
    /// undefined.
    ///
    /// Errors: reason `TemplateInvalid`; the message begins with `field`.
    fn text(&self, field: &str, text: &str, about: &About) -> Result<String, Mistake>;
}
