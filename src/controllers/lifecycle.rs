//! Life of a replica after the initial lists: it waits for the Lease, leads, and hands over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Context, command, environment, repository, request, trouble};
use crate::adapters::kubernetes::caught_up;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::controllers::class_and_template;
use crate::controllers::election::Leader;
use crate::controllers::queues::Late;
use crate::controllers::runner::{Asked, drive};
use crate::metrics::Controller;

/// Time to record the results of the last writes to GitHub.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Queues of all controllers.
pub(super) struct AllAsked {
    pub(super) classes: Asked<PreviewClass>,
    pub(super) templates: Asked<PreviewTemplate>,
    pub(super) repositories: Asked<PreviewRepository>,
    pub(super) requests: Asked<DeploymentRequest>,
    pub(super) commands: Asked<DeploymentCommand>,
    pub(super) environments: Asked<PreviewEnvironment>,
}

/// Work of a replica.
pub(super) struct Work {
    pub(super) context: Arc<Context>,
    pub(super) client: Client,
    /// `None` if this is the only replica.
    pub(super) leader: Option<Leader>,
    /// The watches, which normally never end.
    pub(super) follow: JoinSet<()>,
    pub(super) asked: AllAsked,
    pub(super) late: Arc<Late>,
    /// Maximum number of concurrent reconciles of one kind.
    pub(super) concurrency: u16,
    pub(super) shutdown: CancellationToken,
}

impl Work {
    /// Runs until the shutdown, and completes the running work.
    ///
    /// # Errors
    /// A watch or controller ended by itself, or this replica lost the Lease.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let mut leader = self.leader.take();
        if let Some(leader) = &mut leader {
            tokio::select! {
                () = leader.elected() => {}
                () = self.shutdown.cancelled() => return Ok(()),
                ended = self.follow.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
            }
            let seen = all_caught_up(&self.client, &self.context);
            tokio::select! {
                biased;
                why = leader.keep() => anyhow::bail!("this replica leads no more: {why}"),
                () = seen => {}
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
        tracing::info!("leading: reconciling");
        let Some(mut leader) = leader else { return self.lead().await };
        let context = Arc::clone(&self.context);
        tokio::select! {
            biased;
            why = leader.keep() => {
                // Other tasks end with the process a moment later.
                context.forges.close();
                context.reporter.stop();
                context.writes.stop();
                anyhow::bail!("this replica leads no more: {why}");
            }
            ended = self.lead() => ended?,
        }
        leader.release().await;
        Ok(())
    }

    /// Does the leader's work until the shutdown.
    async fn lead(self) -> anyhow::Result<()> {
        let Self { context, mut follow, asked, late, concurrency, shutdown, .. } = self;
        context.standing.lead();
        context.metrics.leader(true);
        context.reporter.open(&context.environments.state());
        let mut drivers = JoinSet::new();
        macro_rules! controller {
            ($kind:ident, $store:ident, $reconcile:path, $explain:path) => {
                let (kind, store) = (Controller::$kind, context.$store.clone());
                let work = ($reconcile as _, $explain as _);
                drivers.spawn(drive(kind, store, asked.$store, concurrency, &shutdown, &context, work));
            };
        }
        controller!(PreviewClass, classes, class_and_template::reconcile_class, trouble::explain);
        controller!(PreviewTemplate, templates, class_and_template::reconcile_template, trouble::explain);
        controller!(PreviewRepository, repositories, repository::reconcile, trouble::explain);
        controller!(DeploymentRequest, requests, request::reconcile, trouble::explain);
        controller!(DeploymentCommand, commands, command::reconcile, trouble::explain);
        controller!(PreviewEnvironment, environments, environment::reconcile, environment::explain);
        late.with(|context, pokes| pokes.everything(context));
        tokio::select! {
            // Check this first: the controllers end at a shutdown too, which is no failure.
            biased;
            () = shutdown.cancelled() => {}
            ended = drivers.join_next() => anyhow::bail!("a controller ended: {ended:?}"),
            ended = follow.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
        }
        // The queues close at the shutdown, and each runner ends after its running reconciles. It
        // doesn't wait for GitHub's rate limits.
        context.forges.close();
        while drivers.join_next().await.is_some() {}
        context.reporter.close().await;
        context.writes.close().await;
        record_the_last(&context).await;
        Ok(())
    }
}

/// Records the results of the last writes. Nothing else enqueues a reconcile any more.
async fn record_the_last(context: &Arc<Context>) {
    let (requests, commands) = (&context.requests, &context.commands);
    let mut of_requests: Vec<_> = context.writes.deployments.finished();
    of_requests.extend(context.writes.commit_statuses.finished());
    let of_requests: HashSet<_> = of_requests.into_iter().collect();
    let of_requests = of_requests.into_iter().filter_map(|reference| requests.get(&reference));
    let of_commands = context.writes.answers.finished().into_iter();
    let of_commands = of_commands.filter_map(|reference| commands.get(&reference));
    let last = of_requests
        .map(|found| request::reconcile(found, Arc::clone(context)))
        .chain(of_commands.map(|found| command::reconcile(found, Arc::clone(context))));
    let Ok(results) = tokio::time::timeout(LAST_RECORDS, join_all(last)).await else {
        tracing::warn!("result of a write to GitHub not recorded in time, the next replica looks it up");
        return;
    };
    for failure in results.into_iter().filter_map(Result::err) {
        tracing::warn!(%failure, "result of a write to GitHub not recorded, the next replica looks it up");
    }
}

/// Completes when every store shows the last writes of the previous leader.
async fn all_caught_up(client: &Client, context: &Context) {
    tokio::join!(
        caught_up(Api::all(client.clone()), &context.repositories),
        caught_up(Api::all(client.clone()), &context.requests),
        caught_up(Api::all(client.clone()), &context.environments),
        caught_up(Api::all(client.clone()), &context.commands),
    );
}
