//! Waits for conditions, with a helpful error after a timeout.

use std::fmt::Write as _;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use github_stand_in::control::types::Deployment;
use kube::Api;
use kube::api::{DynamicObject, ListParams};

use super::{Project, Stage, conditions};

/// Interval of polling.
const PAUSE: Duration = Duration::from_millis(50);

impl Stage {
    /// Polls `check` until it succeeds, for `bound` at most. Let the check fail with the present
    /// state as its error: `bail!("the state is {state}")`.
    ///
    /// # Errors
    /// When the time is over, with the last error of `check` and the end of the operator's log; at
    /// once when the operator has ended by itself.
    pub async fn wait_for<F, T>(&self, what: &str, bound: Duration, mut check: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let deadline = Instant::now() + bound;
        let mut reason = anyhow::anyhow!("no answer");
        loop {
            self.operator.check_alive().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, check()).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(problem)) => reason = problem,
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                anyhow::bail!(
                    "{what}: not in {} s; last seen: {reason:#}\nlogs are in {}; the operator's last words:\n{}",
                    bound.as_secs(),
                    self.playground.directory().display(),
                    self.operator.last_words(),
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the newest deployment of a commit has a state on GitHub, and returns it with all its statuses.
    ///
    /// # Errors
    /// When that takes longer than `bound`; the message has the deployments and the conditions of the project's objects.
    pub async fn deployed(
        &self,
        project: &Project,
        sha: &str,
        state: &str,
        bound: Duration,
    ) -> Result<Deployment> {
        let short = &sha[..sha.len().min(7)];
        let what = format!("the deployment of {short} in {} is {state}", project.repository);
        let found = self
            .wait_for(&what, bound, async || {
                let all = self.github().deployments(&project.repository).await?;
                let newest = all.iter().rfind(|deployment| deployment.sha == sha);
                match newest {
                    Some(deployment) if deployment.state.as_deref() == Some(state) => Ok(deployment.clone()),
                    Some(deployment) => anyhow::bail!("{}", describe(deployment)),
                    None => anyhow::bail!("no deployment of it among {}", all.len()),
                }
            })
            .await;
        match found {
            Ok(found) => Ok(found),
            Err(problem) => {
                let objects = self.explain(&project.namespace).await;
                Err(problem).context(objects)
            }
        }
    }

    /// Returns the conditions of all Matinee objects in a namespace, for messages.
    pub async fn explain(&self, namespace: &str) -> String {
        let mut text = format!("the objects in {namespace}:");
        for objects in [
            self.repositories(namespace),
            self.templates(namespace),
            self.requests(namespace),
            self.environments(namespace),
        ] {
            // Writing into a string can't fail.
            let _ = write!(text, "\n{}", list(&objects).await);
        }
        text
    }
}

async fn list(objects: &Api<DynamicObject>) -> String {
    match objects.list(&ListParams::default()).await {
        Ok(found) => {
            let all: Vec<_> = found.items.iter().map(conditions).collect();
            all.join("\n")
        }
        Err(problem) => problem.to_string(),
    }
}

fn describe(deployment: &Deployment) -> String {
    let statuses: Vec<_> = deployment
        .statuses
        .iter()
        .map(|status| format!("{} \"{}\"", status.state, status.description))
        .collect();
    format!("deployment {} of {} has the statuses {statuses:?}", deployment.id, deployment.environment)
}
