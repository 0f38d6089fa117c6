//! A push: the new head of a branch that a trigger selects is deployed.

use kube::ResourceExt as _;

use super::{Change, request};
use crate::api::{Origin, PreviewRepository, PushTrigger, RequestedBy, Trigger};
use crate::core::deployment::ownership;
use crate::core::glob::{Filter, FilterOf};

/// Reads the trigger's branch filter.
///
/// # Errors
/// All mistakes in the patterns.
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
        // A filter that can't be read selects nothing. The PreviewRepository's condition reports
        // the mistake.
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
