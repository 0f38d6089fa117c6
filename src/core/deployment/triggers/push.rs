//! A new head of a branch that an environment follows is asked a deployment for.

use kube::ResourceExt as _;

use super::{Change, request};
use crate::api::{Origin, PreviewRepository, PushTrigger, RequestedBy, Trigger};
use crate::core::deployment::ownership;
use crate::core::glob::{Filter, FilterOf};

/// The trigger's filter of branches.
///
/// # Errors
/// Every mistake.
pub fn branches(push: &PushTrigger) -> Result<Filter, Vec<String>> {
    Filter::read(FilterOf::Branches, "trigger.push.branches", &push.branches)
}

pub(super) fn changes(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    branch: &str,
    sha: &str,
) -> Vec<Change> {
    let follows = |trigger: &Trigger| {
        // What can't be read follows nothing; the PreviewRepository's own condition says so.
        trigger.push.as_ref().is_some_and(|push| branches(push).is_ok_and(|filter| filter.selects(branch)))
    };
    repository
        .spec
        .environments
        .iter()
        .filter(|environment| environment.trigger.as_ref().is_some_and(follows))
        .filter(|environment| ownership::holds(repositories, repository, environment).is_ok())
        .map(|environment| {
            let requested_by = RequestedBy {
                origin: Origin::Push,
                branch: Some(branch.to_owned()),
                ..RequestedBy::default()
            };
            let (name, spec) = request(repository, environment, None, sha, requested_by);
            Change::Request {
                namespace: repository.namespace().unwrap_or_default(),
                name,
                spec,
                version: None,
            }
        })
        .collect()
}
