//! Step 4: resolves the template and the parameters, renders the objects, and plans them.

use super::dereference::References;
use super::{EnvironmentScope, Stop};
use crate::api::PullRequestSource;
use crate::core::environment::plan::{self, Plan};
use crate::core::environment::resolve::{self, Admitted};
use crate::core::environment::resolved::Target;
use crate::runtime::objects::Key;

/// Resolves the references, renders the template and plans the objects.
pub(super) fn render(
    scope: &mut EnvironmentScope<'_>,
    references: &References,
    admitted: &Admitted<'_>,
    pull_request: Option<&PullRequestSource>,
) -> Result<(Target, Plan), Stop> {
    let target = resolve(scope, references, admitted, pull_request)?;
    let rendered = scope.context.renderer.render(&target)?;
    let plan = plan::plan(&target, rendered)?;
    Ok((target, plan))
}

/// Resolves everything that the plan needs.
fn resolve(
    scope: &mut EnvironmentScope<'_>,
    references: &References,
    admitted: &Admitted<'_>,
    pull_request: Option<&PullRequestSource>,
) -> Result<Target, Stop> {
    let environments = &scope.context.common.objects.environments;
    let holders = |host: &str| environments.with(&Key::Host(host.to_owned()));
    let template = references.template.as_deref();
    let target = resolve::validate(scope.environment, pull_request, admitted, template, holders)?;
    scope.findings.hosts = Some(plan::hosts(&target));
    // Without endpoints there is no URL.
    if !target.template.endpoints.is_empty() {
        scope.findings.host = Some(target.host.clone());
        scope.findings.url = Some(target.url.clone());
    }
    Ok(target)
}
