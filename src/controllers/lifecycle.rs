//! Life of a replica after the initial lists: it waits for the Lease, leads, and hands over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use kube::runtime::reflector::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::assembly::Controllers;
use super::{class_and_template, command, environment, repository, request};
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::metrics::Controller;
use crate::runtime::election::Leader;
use crate::runtime::runner::{Controlled, drive};
use crate::runtime::trouble::explain;

/// Time to record the results of the last writes to GitHub.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// The objects of all kinds, from which the runners take them.
#[derive(Clone)]
pub struct Stores {
    pub(crate) classes: Store<PreviewClass>,
    pub(crate) templates: Store<PreviewTemplate>,
    pub(crate) repositories: Store<PreviewRepository>,
    pub(crate) requests: Store<DeploymentRequest>,
    pub(crate) commands: Store<DeploymentCommand>,
    pub(crate) environments: Store<PreviewEnvironment>,
}

/// Parts of a replica, from the initial lists to its end.
pub struct Replica {
    pub(crate) controllers: Arc<Controllers>,
    pub(crate) stores: Stores,
    /// `None` if this is the only replica.
    pub(crate) leader: Option<Leader>,
    /// The watches, which normally never end.
    pub(crate) follow: JoinSet<()>,
    /// Completes when the stores of PreviewRepositories, requests, commands and environments show
    /// the last writes of the previous leader.
    pub(crate) caught_up: BoxFuture<'static, ()>,
    /// Maximum number of concurrent reconciles of one kind.
    pub(crate) concurrency: u16,
    pub(crate) shutdown: CancellationToken,
}

impl Replica {
    /// Runs until the shutdown, and completes the running work.
    ///
    /// # Errors
    /// A watch or controller ended by itself, or this replica lost the Lease.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut leader = self.leader.take();
        if let Some(leader) = &mut leader {
            tokio::select! {
                () = leader.acquire() => {}
                () = self.shutdown.cancelled() => return Ok(()),
                ended = self.follow.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
            }
            tokio::select! {
                biased;
                why = leader.renew_until_lost() => anyhow::bail!("this replica no longer leads: {why}"),
                () = &mut self.caught_up => {}
                () = self.shutdown.cancelled() => {}
                ended = self.follow.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
            }
        }
        if self.shutdown.is_cancelled() {
            if let Some(leader) = leader {
                leader.release().await;
            }
            return Ok(());
        }
        tracing::info!("this replica leads");
        let Some(mut leader) = leader else { return self.work().await };
        let controllers = Arc::clone(&self.controllers);
        tokio::select! {
            biased;
            why = leader.renew_until_lost() => {
                // Other tasks end with the process a moment later.
                controllers.common.forges.close();
                controllers.publisher.stop();
                anyhow::bail!("this replica no longer leads: {why}");
            }
            ended = self.work() => ended?,
        }
        leader.release().await;
        Ok(())
    }

    /// Does the leader's work until the shutdown.
    async fn work(self) -> anyhow::Result<()> {
        let Self { controllers, stores, mut follow, concurrency, shutdown, .. } = self;
        let mut running = controllers.lead(stores, concurrency, &shutdown);
        tokio::select! {
            // Check this first: the controllers end at a shutdown too, which is no failure.
            biased;
            () = shutdown.cancelled() => {}
            ended = running.join_next() => anyhow::bail!("a controller ended: {ended:?}"),
            ended = follow.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
        }
        controllers.close(running).await;
        Ok(())
    }
}

impl Controllers {
    /// Makes this replica the leader: starts all controllers, each with all its objects in its
    /// queue. They end with the shutdown, after their running reconciles.
    pub fn lead(&self, stores: Stores, concurrency: u16, shutdown: &CancellationToken) -> JoinSet<()> {
        let common = &self.common;
        common.leadership.lead();
        common.metrics.leader(true);
        self.environments.begin();
        let mut running = JoinSet::new();
        macro_rules! controller {
            ($kind:ident, $objects:ident, $context:ident, $reconcile:path, $explain:path) => {
                if let Some(queued) = common.queues.$objects.open() {
                    let controlled = Controlled {
                        controller: Controller::$kind,
                        store: stores.$objects,
                        queued,
                        context: Arc::clone(&self.$context),
                        reconcile: $reconcile,
                        explain: $explain,
                    };
                    running.spawn(drive(controlled, concurrency, shutdown, common));
                }
            };
        }
        controller!(PreviewClass, classes, configuration, class_and_template::reconcile_class, explain);
        controller!(
            PreviewTemplate,
            templates,
            configuration,
            class_and_template::reconcile_template,
            explain
        );
        controller!(PreviewRepository, repositories, repositories, repository::reconcile, explain);
        controller!(DeploymentRequest, requests, requests, request::reconcile, explain);
        controller!(DeploymentCommand, commands, commands, command::reconcile, explain);
        controller!(
            PreviewEnvironment,
            environments,
            environments,
            environment::reconcile,
            environment::explain
        );
        self.enqueue_everything();
        running
    }

    /// Ends the leader's work after the shutdown: waits for the running reconciles and for the writes
    /// that are being sent, and records the results. It doesn't wait for GitHub's rate limits; the
    /// next leader starts the remaining writes.
    pub async fn close(&self, mut running: JoinSet<()>) {
        self.common.forges.close();
        while running.join_next().await.is_some() {}
        self.publisher.close().await;
        self.record_the_last().await;
    }

    /// Records the results of the last writes. Nothing else starts a reconcile any more.
    async fn record_the_last(&self) {
        let (objects, publisher) = (&self.common.objects, &self.publisher);
        let of_requests = publisher.deployments.finished().into_iter();
        let of_requests: HashSet<_> = of_requests.chain(publisher.commit_statuses.finished()).collect();
        let requests = of_requests.into_iter().filter_map(|found| {
            objects.requests.get(found.namespace.as_deref().unwrap_or_default(), &found.name)
        });
        let commands = publisher.answers.finished().into_iter().filter_map(|found| {
            objects.commands.get(found.namespace.as_deref().unwrap_or_default(), &found.name)
        });
        let environments = publisher.deployment_statuses.finished().into_iter().filter_map(|found| {
            objects.environments.get(found.namespace.as_deref().unwrap_or_default(), &found.name)
        });
        let last = requests
            .map(|found| request::reconcile(found, Arc::clone(&self.requests)))
            .chain(commands.map(|found| command::reconcile(found, Arc::clone(&self.commands))))
            .chain(environments.map(|found| environment::reconcile(found, Arc::clone(&self.environments))));
        let Ok(results) = tokio::time::timeout(LAST_RECORDS, join_all(last)).await else {
            tracing::warn!(
                "timed out recording the result of a write to GitHub, the next leader reads it from GitHub"
            );
            return;
        };
        for failure in results.into_iter().filter_map(Result::err) {
            tracing::warn!(%failure, "failed to record the result of a write to GitHub, the next leader reads it from GitHub");
        }
    }
}
