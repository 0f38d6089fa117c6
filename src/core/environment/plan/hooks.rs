//! Hooks of other deployers. Matinee rejects them: applied like any other object, a hook would run
//! at an unintended time, and a test that failed once would make the preview fail for good.

use serde_json::{Map, Value};

use super::mistake;
use crate::core::mistake::{Mistake, Reason};

/// Annotations that mark an object as a hook, with their deployer and the way to leave hooks out.
/// <https://helm.sh/docs/topics/charts_hooks/>,
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/resource_hooks/>
const HOOKS: [(&str, &str, &str); 2] = [
    ("helm.sh/hook", "Helm", "leave it out (helm template --no-hooks)"),
    ("argocd.argoproj.io/hook", "Argo CD", "leave it out"),
];

/// Rejects a hook. `field` is the object's position, such as `resources[1]`.
pub(super) fn check(field: &str, kind: &str, metadata: &Map<String, Value>) -> Result<(), Mistake> {
    let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) else { return Ok(()) };
    for (annotation, deployer, remedy) in HOOKS {
        let Some(when) = annotations.get(annotation).and_then(Value::as_str) else { continue };
        let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
        let message = format!(
            "{field}: {kind}/{name} is a hook of {deployer} ({when}), and hooks are not supported: {remedy}, or remove the annotation {annotation} if \
             it is to be applied like any other object"
        );
        return Err(mistake(Reason::HookUnsupported, message));
    }
    Ok(())
}
