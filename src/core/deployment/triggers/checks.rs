//! Whoever waits for a commit's checks is told that they may stand otherwise.

use kube::ResourceExt as _;

use super::Change;
use crate::api::PreviewRepository;

/// An image is looked for again too: it is most often a check that pushes it.
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
