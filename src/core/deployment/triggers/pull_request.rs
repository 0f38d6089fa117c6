//! A pull request that a trigger selects: its head is deployed.

use kube::ResourceExt as _;

use super::{Change, request};
use crate::api::{Origin, PreviewRepository, RequestedBy};
use crate::core::deployment::ownership;
use crate::core::environment::eligibility;
use crate::core::forge::PullRequest;

pub(super) fn changes(
    repositories: &[&PreviewRepository],
    repository: &PreviewRepository,
    pull_request: &PullRequest,
) -> Vec<Change> {
    let namespace = repository.namespace().unwrap_or_default();
    let mut changes = Vec::new();
    let mut is_reconciled = !pull_request.open;
    for environment in &repository.spec.environments {
        let Some(trigger) = environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref())
        else {
            continue;
        };
        if !pull_request.open || eligibility::selects(trigger, pull_request).is_err() {
            is_reconciled = true;
            continue;
        }
        if ownership::holds(repositories, repository, environment).is_err() {
            continue;
        }
        let requested_by = RequestedBy {
            origin: Origin::PullRequest,
            login: Some(eligibility::source(pull_request).author).filter(|login| !login.is_empty()),
            ..RequestedBy::default()
        };
        let (name, spec) =
            request(repository, environment, Some(pull_request.number), &pull_request.head_sha, requested_by);
        changes.push(Change::Request {
            namespace: namespace.clone(),
            name,
            spec,
            version: Some(pull_request.version()),
        });
    }
    if is_reconciled {
        changes.push(Change::Reconcile {
            namespace,
            repository: repository.name_any(),
            number: pull_request.number,
            version: pull_request.version(),
        });
    }
    changes
}
