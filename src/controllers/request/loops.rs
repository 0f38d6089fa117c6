//! Detects deployment loops: it holds a deployment that would deploy the same commit to the same
//! environment again and again. It counts the deployments on GitHub, so a restart loses nothing,
//! and reads them only for a possible repetition.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::time::Instant;

use super::RequestScope;
use crate::core::deployment::gates::repeats::{self, Hold, Next};
use crate::core::deployment::reason::RequestReason;
use crate::runtime::failure::Failure;

/// Time for which a creation is remembered.
const REMEMBERED: Duration = Duration::from_secs(repeats::WINDOW.as_secs().unsigned_abs());
/// Maximum number of creations. When it is reached, those older than [`REMEMBERED`] are deleted.
const MANY: usize = 4_096;

/// The creations of this process, by repository, environment and commit.
#[derive(Default)]
pub struct Creations(Mutex<HashMap<(String, String, String), Instant>>);

impl Creations {
    /// Records a creation. Returns whether there already was one.
    fn remember(&self, key: (String, String, String)) -> bool {
        let Ok(mut known) = self.0.lock() else { return true };
        if known.len() >= MANY {
            known.retain(|_, when| when.elapsed() < REMEMBERED);
        }
        known.insert(key, Instant::now()).is_some_and(|when| when.elapsed() < REMEMBERED)
    }
}

/// Returns the hold if the deployment that the request is about to create repeats earlier ones too
/// often.
pub(super) async fn hold(scope: &RequestScope<'_>, reruns: i64) -> Result<Option<Hold>, Failure> {
    let spec = &scope.request.spec;
    if !repeats::bounds(spec.requested_by.origin) {
        return Ok(None);
    }
    let repository = scope.name.to_string().to_lowercase();
    let known = scope.context.creations.remember((repository, scope.place.to_lowercase(), spec.sha.clone()));
    if !known && reruns == 0 {
        return Ok(None);
    }
    let uid = scope.request.uid().unwrap_or_default();
    let mark = if reruns == 0 { uid } else { format!("{uid}.{reruns}") };
    let next = Next {
        cluster: &scope.context.common.settings.cluster_id,
        mark: &mark,
        environment: &scope.place,
        sha: &spec.sha,
    };
    let recent = scope.forge.recent_deployments(&scope.name).await?;
    // In a repository with many environments the newest hundred deployments may not cover the whole
    // window. This commit's deployments are therefore listed completely.
    let mut all = scope.forge.deployments(&scope.name, &scope.place, Some(&spec.sha)).await?;
    all.extend(recent.items.iter().cloned());
    let held = repeats::hold(next, &all, scope.now);
    if held.is_some() && RequestReason::of(scope.request) != Some(RequestReason::DeploymentLoop) {
        scope.context.common.metrics.deployment_loop();
    }
    Ok(held)
}
