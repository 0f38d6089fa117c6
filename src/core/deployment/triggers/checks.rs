//! A change of a commit's checks: requests for that commit are reconciled again.

use kube::ResourceExt as _;

use super::Change;
use crate::api::PreviewRepository;

/// Requests that wait for an image are reconciled too, since most images are pushed by a check.
pub(super) fn changes(repository: &PreviewRepository, sha: &str) -> Vec<Change> {
    let gates = repository.spec.environments.iter().filter_map(|environment| environment.gates.as_ref());
    let waits = gates.into_iter().any(|gates| !gates.checks.is_empty() || gates.image.is_some());
    let checked = waits.then(|| Change::Checked {
        namespace: repository.namespace().unwrap_or_default(),
        repository: repository.name_any(),
        sha: sha.to_owned(),
    });
    checked.into_iter().collect()
}
