//! Holds deployments back that repeat what was deployed to the environment, again and again. GitHub's list of deployments is what is counted,
//! so a restart forgets nothing; it is asked only where a deployment may be a repetition.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;

use super::Visit;
use crate::controllers::runner::Failure;
use crate::core::deployment::gates::repeats;
use crate::core::deployment::gates::repeats::{Hold, Next};

/// Time for which a creation is remembered.
const REMEMBERED: Duration = Duration::from_secs(repeats::WINDOW.as_secs().unsigned_abs());
/// Creations that are remembered before those are forgotten that are too long ago.
const MANY: usize = 4_096;

/// The commits for which this process had a deployment created lately: repository, environment and commit.
#[derive(Default)]
pub struct Creations(Mutex<HashMap<(String, String, String), Instant>>);

impl Creations {
    /// Remembers a creation; says whether there was one before.
    fn remember(&self, key: (String, String, String)) -> bool {
        let Ok(mut known) = self.0.lock() else { return true };
        if known.len() >= MANY {
            known.retain(|_, when| when.elapsed() < REMEMBERED);
        }
        known.insert(key, Instant::now()).is_some_and(|when| when.elapsed() < REMEMBERED)
    }
}

/// Whether the deployment that the request is about to have created is held back.
pub(super) async fn hold(visit: &Visit<'_>, reruns: i64) -> Result<Option<Hold>, Failure> {
    let spec = &visit.request.spec;
    if !repeats::bounds(spec.requested_by.origin) {
        return Ok(None);
    }
    let repository = visit.name.to_string().to_lowercase();
    let known = visit.context.creations.remember((repository, visit.place.to_lowercase(), spec.sha.clone()));
    if !known && reruns == 0 {
        return Ok(None);
    }
    let uid = visit.request.uid().unwrap_or_default();
    let mark = if reruns == 0 { uid } else { format!("{uid}.{reruns}") };
    let next =
        Next { cluster: &visit.context.cluster_id, mark: &mark, environment: &visit.place, sha: &spec.sha };
    let recent = visit.forge.recent_deployments(&visit.name).await?;
    // A repository with many environments has more of an hour than the newest hundred: this commit's are all there.
    let mut all = visit.forge.deployments(&visit.name, &visit.place, Some(&spec.sha)).await?;
    all.extend(recent.items.iter().cloned());
    let held = repeats::hold(next, &all, visit.now);
    if held.is_some() && super::ready(visit.request).is_none_or(|(_, reason, _)| reason != repeats::REASON) {
        visit.context.metrics.deployment_loop();
    }
    Ok(held)
}
