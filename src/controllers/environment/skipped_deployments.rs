//! Finds deployments that a newer one replaced before the environment was reconciled. If Matinee
//! didn't create them, no other part reports them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::ResourceExt as _;

use super::EnvironmentScope;
use crate::api::PreviewEnvironment;
use crate::core::environment::resolve::Admitted;
use crate::core::environment::status;
use crate::core::publish::deployment_status;
use crate::ports::ForgeError;

/// Maximum number of deployments of one environment whose state is read.
const MOST: usize = 50;
/// Time until the next attempt after a GitHub outage.
const AGAIN: Duration = Duration::from_secs(30);

/// Whether the deployments before a revision were read from GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    /// Not yet: the environment hasn't been admitted.
    Pending,
    /// GitHub didn't answer.
    Failed,
    /// GitHub answered.
    Done,
}

/// Environments with a new revision, by UID. An environment stays here until its status contains
/// the earlier deployments.
#[derive(Default)]
pub struct Lookups(Mutex<HashMap<String, Lookup>>);

impl Lookups {
    fn set(&self, uid: &str, lookup: Lookup) {
        if let Ok(mut known) = self.0.lock() {
            known.insert(uid.to_owned(), lookup);
        }
    }

    /// Records the environments for which an earlier process may have ended before the status
    /// contained the result: those whose newest attempt isn't over, or isn't completely reported.
    pub(super) fn begin(&self, environments: &[Arc<PreviewEnvironment>]) {
        for environment in environments {
            let is_open = status::is_attempt_open(environment.status.as_ref())
                || !deployment_status::doubtful(environment).is_empty();
            if is_open && environment.metadata.deletion_timestamp.is_none() {
                self.set(&environment.uid().unwrap_or_default(), Lookup::Pending);
            }
        }
    }

    fn has(&self, uid: &str) -> bool {
        self.0.lock().is_ok_and(|known| known.contains_key(uid))
    }

    /// Records that the status contains the result. Returns the time until the next attempt if
    /// GitHub didn't answer.
    pub(super) fn settle(&self, uid: &str) -> Option<Duration> {
        let mut known = self.0.lock().ok()?;
        let lookup = *known.get(uid)?;
        if lookup == Lookup::Done {
            known.remove(uid);
        }
        (lookup == Lookup::Failed).then_some(AGAIN)
    }

    /// Forgets an environment that has been deleted.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.remove(uid);
        }
    }
}

/// Records an environment with a new revision before anything can fail. Its status may already
/// contain the revision when GitHub is read.
pub(super) fn begin_lookup(scope: &EnvironmentScope<'_>) {
    let uid = scope.environment.uid().unwrap_or_default();
    let lookups = &scope.context.memory.skipped_deployments;
    let is_new = status::is_first_look(scope.environment.status.as_ref(), scope.revision());
    if scope.revision().deployment_id.is_some() && is_new && !lookups.has(&uid) {
        lookups.set(&uid, Lookup::Pending);
    }
}

/// Finds the earlier deployments of the environment that its status doesn't contain and that
/// haven't ended. Reads them from GitHub once for each revision. An outage blocks nothing.
pub(super) async fn find(scope: &mut EnvironmentScope<'_>, admitted: &Admitted<'_>) {
    let uid = scope.environment.uid().unwrap_or_default();
    let lookups = &scope.context.memory.skipped_deployments;
    if !lookups.has(&uid) {
        return;
    }
    match look_up(scope, admitted).await {
        Ok(found) => {
            lookups.set(&uid, Lookup::Done);
            scope.findings.skipped = found;
        }
        Err(error) => {
            lookups.set(&uid, Lookup::Failed);
            let (namespace, name) = (scope.environment.namespace(), scope.environment.name_any());
            tracing::warn!(namespace, name, %error, "failed to read earlier deployments, retrying");
        }
    }
}

async fn look_up(scope: &EnvironmentScope<'_>, admitted: &Admitted<'_>) -> Result<Vec<i64>, ForgeError> {
    let common = scope.common();
    let (forge, repository) = common.forge(admitted).await?;
    let recent = forge.recent_deployments(&repository).await?;
    let cluster = &common.settings.cluster_id;
    let candidates = deployment_status::skipped_deployments(scope.environment, &recent.items, cluster);
    let mut found = Vec::new();
    for id in candidates.into_iter().take(MOST) {
        let state = forge.deployment_state(&repository, id).await?;
        if !deployment_status::is_settled(state.as_ref()) {
            found.push(id);
        }
    }
    Ok(found)
}
