//! Writes the objects that events and commands request. Events come from webhooks, from the sweep,
//! and from requests that have just created a deployment. This module only writes to Kubernetes.

mod pull_request_freshness;
mod source;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use self::pull_request_freshness::PullRequestFreshness;
use self::source::EventContext;
pub use self::source::EventSource;
use crate::api::{
    ANNOTATION_EVENT_TIME, ANNOTATION_PULL_REQUEST_UPDATED, DeploymentCommand, DeploymentCommandSpec,
    DeploymentRequest, DeploymentRequestSpec, FINALIZER, LABEL_PULL_REQUEST, LABEL_REPOSITORY, Origin,
    PreviewEnvironment, PreviewEnvironmentSpec, PreviewRepository, find_condition,
};
use crate::core::conditions::READY;
use crate::core::deployment::gates::pushes::{self, Push};
use crate::core::deployment::gates::{PRIOR_ENVIRONMENT_SUCCEEDED, supersession};
use crate::core::deployment::triggers::{self, Change};
use crate::core::environment::deletion_status;
use crate::core::event::Event;
use crate::core::forge::RepositoryName;
use crate::core::freshness::{self, Delivery};
use crate::core::naming;
use crate::ports::{Actor, ClusterError, Ingest, IngestError};
use crate::runtime::common::Common;
use crate::runtime::objects::Key;
use crate::runtime::write;

/// Time after which a pull request that a sweep didn't find open is reconciled again. Normally its
/// objects have been deleted by then.
const MISSED_AGAIN: Duration = Duration::from_mins(10);

/// Time for which a deployment counts as already handled. A watch may take this long to show a
/// write.
const INDEX_LAG: Duration = Duration::from_secs(5);

/// Writes the objects that an event requests.
pub struct EventIngest {
    common: Arc<Common>,
    freshness: Arc<PullRequestFreshness>,
    /// Deployments handled within [`INDEX_LAG`]. The index may not show their environments yet,
    /// and both the request and the webhook report the same deployment.
    recently_applied: Mutex<HashMap<i64, Arc<OnceCell<Instant>>>>,
}

impl EventIngest {
    /// Creates an ingest without any handled event.
    pub fn new(common: Arc<Common>, freshness: Arc<PullRequestFreshness>) -> Self {
        Self { common, freshness, recently_applied: Mutex::default() }
    }

    /// Makes the changes that an event requests. Returns a sentence about what was done.
    ///
    /// # Errors
    /// The Kubernetes API is not available, or an environment of the same name is still being
    /// deleted.
    pub async fn apply(&self, event: &Event, source: EventSource) -> Result<String, ClusterError> {
        self.apply_at(event, source, self.common.clock.now()).await
    }

    /// Like [`Self::apply`], for an event received at `now`. When one commit was pushed to
    /// several branches, this time decides which push is the newest.
    ///
    /// # Errors
    /// The same as [`Self::apply`] returns.
    pub async fn apply_at(
        &self,
        event: &Event,
        source: EventSource,
        now: Timestamp,
    ) -> Result<String, ClusterError> {
        let mut context = EventContext { source, now, pushed_at: None };
        match event {
            Event::PullRequest { repository, pull_request } => {
                let version = pull_request.version();
                self.freshness.receive(repository, pull_request.number, &context, &version);
            }
            Event::Push { pushed_at, .. } => context.pushed_at = *pushed_at,
            Event::Comment { comment, .. } if triggers::is_too_old(comment, now) => {
                return Ok("ignored: the comment is too old".to_owned());
            }
            _ => {}
        }
        let repositories = self.concerned(event);
        let repositories: Vec<&PreviewRepository> = repositories.values().map(AsRef::as_ref).collect();
        let changes = triggers::changes(event, &repositories, &self.common.settings.cluster_id);
        let mut done = Vec::new();
        for change in changes {
            done.extend(self.apply_change(change, &context).await?);
        }
        Ok(if done.is_empty() { "nothing to do".to_owned() } else { done.join("; ") })
    }

    /// Returns the PreviewRepositories of the event's repository, and those with which they may
    /// conflict, by UID.
    fn concerned(&self, event: &Event) -> BTreeMap<Option<String>, Arc<PreviewRepository>> {
        let Some(name) = event.repository() else { return BTreeMap::new() };
        let table = &self.common.objects.repositories;
        let own = table.with(&Key::Github(name.to_string().to_lowercase()));
        let all = own.iter().flat_map(|repository| table.rivals(repository));
        all.map(|repository| (repository.uid(), repository)).collect()
    }

    async fn apply_change(
        &self,
        change: Change,
        context: &EventContext,
    ) -> Result<Vec<String>, ClusterError> {
        if matches!(change, Change::Request { .. } | Change::Deploy { .. } | Change::Command { .. }) {
            self.common.leadership.may_create()?;
        }
        match change {
            Change::Request { namespace, name, spec, version } => {
                self.request(&namespace, name, spec, version.as_deref(), context).await
            }
            Change::Deploy { namespace, name, spec, request } => {
                if request.is_some_and(|request| self.is_over(&namespace, &request, &spec)) {
                    return Ok(vec![format!(
                        "PreviewEnvironment {namespace}/{name} not applied: its request has ended"
                    )]);
                }
                self.apply_environment(&namespace, &name, *spec).await
            }
            Change::Reconcile { namespace, repository, number, version } => {
                self.enqueue_pull_request(&namespace, &repository, number, |known| {
                    context.record(known, &version)
                })
                .await
            }
            Change::Followed { namespace, repository, deployment_id } => {
                // For a deployment that Matinee itself deploys, its environment enqueues the
                // request when GitHub acknowledges a status.
                let deployers = self.common.objects.environments.with(&Key::Deployment(deployment_id));
                let own = deployers.iter().any(|environment| {
                    environment.namespace().as_deref() == Some(&namespace)
                        && environment.spec.revision.deployment_id == Some(deployment_id)
                });
                self.enqueue_requests(&namespace, &repository, context, |request| {
                    follows(request, deployment_id, own)
                })
                .await
            }
            Change::Checked { namespace, repository, sha } => {
                self.enqueue_requests(&namespace, &repository, context, |request| {
                    request.spec.sha == sha && supersession::waits(request)
                })
                .await
            }
            Change::Command { namespace, name, spec } => self.command(&namespace, &name, spec).await,
        }
    }

    async fn request(
        &self,
        namespace: &str,
        name: String,
        spec: DeploymentRequestSpec,
        version: Option<&str>,
        context: &EventContext,
    ) -> Result<Vec<String>, ClusterError> {
        if spec.requested_by.origin == Origin::Push {
            return self.pushed(namespace, name, spec, context).await;
        }
        let record = |known: Option<&str>| version.and_then(|version| context.record(known, version));
        self.create_or_enqueue(
            namespace,
            name,
            &spec,
            record(None),
            |known| is_same(&known.spec, &spec),
            |known| record(newest_event(known)),
        )
        .await
    }

    /// Handles a push that made a commit the head of a branch. An existing request for that commit
    /// is reconciled again if the branch had another head in between (somebody pushed the commit
    /// back). A deployment that somebody requested explicitly stays until the next push.
    async fn pushed(
        &self,
        namespace: &str,
        name: String,
        spec: DeploymentRequestSpec,
        context: &EventContext,
    ) -> Result<Vec<String>, ClusterError> {
        let repository = Key::Repository(namespace.to_owned(), spec.repository_ref.name.clone());
        let all = self.common.objects.requests.with(&repository);
        let all: Vec<&DeploymentRequest> = all.iter().map(AsRef::as_ref).collect();
        let push = Push::new(context.pushed_at, context.now);
        let is_reported = context.source != EventSource::Found;
        let next = |known: &DeploymentRequest| pushes::next_record(known, push, is_reported, &all);
        if let Some(known) = pushes::known(namespace, &spec, &all) {
            return self.enqueue(known, next(known)).await;
        }
        let is_same = |known: &DeploymentRequest| {
            known.metadata.deletion_timestamp.is_none()
                && is_same(&known.spec, &spec)
                && known.spec.requested_by.branch == spec.requested_by.branch
        };
        self.create_or_enqueue(namespace, name, &spec, Some(push.record()), is_same, next).await
    }

    /// Creates a request with its first record, or enqueues the existing one, for which `is_same`
    /// is true, if it has a `next` record. A request's name is made from its commit, which another
    /// place may have requested under the same name.
    async fn create_or_enqueue(
        &self,
        namespace: &str,
        name: String,
        spec: &DeploymentRequestSpec,
        first: Option<String>,
        is_same: impl Fn(&DeploymentRequest) -> bool,
        next: impl Fn(&DeploymentRequest) -> Option<String>,
    ) -> Result<Vec<String>, ClusterError> {
        let distinct = naming::distinct_request(&name, spec);
        for name in [&name, &distinct] {
            match self.create_request(namespace, name, spec, first.clone()).await? {
                None => return Ok(vec![format!("DeploymentRequest {namespace}/{name} created")]),
                Some(known) if is_same(&known) => return self.enqueue(&*known, next(&known)).await,
                Some(_) => {}
            }
        }
        Ok(vec![format!(
            "DeploymentRequest {namespace}/{name} not created: other requests already have its names"
        )])
    }

    fn known_request(&self, namespace: &str, name: &str) -> Option<Arc<DeploymentRequest>> {
        self.common.objects.requests.get(namespace, name)
    }

    /// Creates a request. Returns the one that has its name already: two events may request the same
    /// at the same time, as a sweep and a delivery do, and the index doesn't show at once what the
    /// other created.
    async fn create_request(
        &self,
        namespace: &str,
        name: &str,
        spec: &DeploymentRequestSpec,
        record: Option<String>,
    ) -> Result<Option<Arc<DeploymentRequest>>, ClusterError> {
        if let Some(known) = self.known_request(namespace, name) {
            return Ok(Some(known));
        }
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = ObjectMeta {
            annotations: record
                .map(|record| BTreeMap::from([(ANNOTATION_PULL_REQUEST_UPDATED.to_owned(), record)])),
            ..self.metadata(namespace, name, &spec.repository_ref.name, number)
        };
        let object = write::object::<DeploymentRequest>(metadata, json!({ "spec": spec }));
        let conflict = match self.common.cluster.create(write::INGEST, &object).await {
            Ok(_) => return Ok(None),
            Err(conflict @ ClusterError::Conflict(_)) => conflict,
            Err(error) => return Err(error),
        };
        let kind = write::kind::<DeploymentRequest>();
        let found = self.common.cluster.get(&Actor::Operator, &kind, Some(namespace), name).await?;
        // Deleted since: a sweep creates it.
        let found = found.ok_or(conflict)?;
        write::typed(found).map(|found| Some(Arc::new(found)))
    }

    fn requests_of(&self, namespace: &str, repository: &str) -> Vec<Arc<DeploymentRequest>> {
        self.common.objects.requests.with(&Key::Repository(namespace.to_owned(), repository.to_owned()))
    }

    /// Enqueues the requests of a PreviewRepository for which `fits` is true, by an annotation.
    async fn enqueue_requests(
        &self,
        namespace: &str,
        repository: &str,
        context: &EventContext,
        fits: impl Fn(&DeploymentRequest) -> bool,
    ) -> Result<Vec<String>, ClusterError> {
        let mut requests = self.requests_of(namespace, repository);
        requests.retain(|request| request.metadata.deletion_timestamp.is_none() && fits(request));
        let delivery = context.delivery().unwrap_or_else(|| context.now.to_string());
        let mut done = Vec::new();
        for request in requests {
            let known = request.annotations().get(ANNOTATION_EVENT_TIME).map(String::as_str);
            let Some(record) = freshness::delivered(known, &delivery) else { continue };
            if write::annotate(
                &*self.common.cluster,
                write::EVENT_TIME,
                &*request,
                ANNOTATION_EVENT_TIME,
                &record,
            )
            .await?
            {
                done.push(format!("DeploymentRequest {namespace}/{} enqueued", request.name_any()));
            }
        }
        Ok(done)
    }

    /// Creates the DeploymentCommand for a comment, unless it exists.
    async fn command(
        &self,
        namespace: &str,
        name: &str,
        spec: DeploymentCommandSpec,
    ) -> Result<Vec<String>, ClusterError> {
        if self.common.objects.commands.get(namespace, name).is_some() {
            return Ok(Vec::new());
        }
        let number = spec.comment.as_ref().map(|comment| comment.pull_request.number);
        let metadata = self.metadata(namespace, name, &spec.repository_ref.name, number);
        let object = write::object::<DeploymentCommand>(metadata, json!({ "spec": spec }));
        match self.common.cluster.create(write::INGEST, &object).await {
            Ok(_) => Ok(vec![format!("DeploymentCommand {namespace}/{name} created")]),
            Err(ClusterError::Conflict(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Creates the DeploymentCommand for a slash command. Returns its UID.
    ///
    /// # Errors
    /// The Kubernetes API rejects the object or is not available.
    pub async fn command_from_slack(
        &self,
        namespace: &str,
        repository: &str,
        spec: DeploymentCommandSpec,
    ) -> Result<String, ClusterError> {
        self.common.leadership.may_create()?;
        let mut metadata = self.metadata(namespace, "", repository, None);
        metadata.name = None;
        metadata.generate_name = Some(format!("{repository}-slack-"));
        let object = write::object::<DeploymentCommand>(metadata, json!({ "spec": spec }));
        let created = self.common.cluster.create(write::INGEST, &object).await?;
        Ok(created.uid().unwrap_or_default())
    }

    /// Creates the DeploymentRequest that a command requests.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it exists already; any other error of the Kubernetes API.
    pub async fn create_for_command(
        &self,
        namespace: &str,
        name: &str,
        spec: DeploymentRequestSpec,
    ) -> Result<(), ClusterError> {
        self.common.leadership.may_create()?;
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = self.metadata(namespace, name, &spec.repository_ref.name, number);
        let object = write::object::<DeploymentRequest>(metadata, json!({ "spec": spec }));
        self.common.cluster.create(write::INGEST, &object).await.map(|_| ())
    }

    /// Whether the request has been deleted, or has recorded this deployment. Then the environment
    /// was already created, and if it doesn't exist now, it was deleted. A request in progress
    /// hasn't recorded the deployment yet.
    fn is_over(&self, namespace: &str, request: &str, spec: &PreviewEnvironmentSpec) -> bool {
        let known = self.common.objects.requests.by_uid(request);
        let under_way = known.filter(|known| {
            known.namespace().as_deref() == Some(namespace)
                && known.metadata.deletion_timestamp.is_none()
                && known.status.as_ref().and_then(|status| status.deployment_id)
                    != spec.revision.deployment_id
        });
        under_way.is_none()
    }

    async fn apply_environment(
        &self,
        namespace: &str,
        name: &str,
        spec: PreviewEnvironmentSpec,
    ) -> Result<Vec<String>, ClusterError> {
        if let Some(existing) = self.common.objects.environments.get(namespace, name) {
            if !is_same_environment(&existing.spec, &spec) {
                return Ok(vec![name_taken(namespace, name)]);
            }
            let is_terminating = existing.metadata.deletion_timestamp.is_some();
            match existing.spec.revision.deployment_id.cmp(&spec.revision.deployment_id) {
                Ordering::Greater => return Ok(Vec::new()),
                Ordering::Equal if !is_terminating => return Ok(Vec::new()),
                _ if is_terminating => return Err(terminating(&existing)),
                _ => {}
            }
        }
        let Some(deployment) = spec.revision.deployment_id else {
            return self.write_environment(namespace, name, &spec).await;
        };
        // The request and the webhook report the same deployment at nearly the same time.
        let cell = self.recently_applied(deployment);
        let mut done = Vec::new();
        cell.get_or_try_init(async || {
            done = self.write_environment(namespace, name, &spec).await?;
            Ok::<_, ClusterError>(Instant::now())
        })
        .await?;
        Ok(done)
    }

    /// Returns the cell of a deployment, which has the time when it was handled.
    fn recently_applied(&self, deployment: i64) -> Arc<OnceCell<Instant>> {
        let mut known = self.recently_applied.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, cell| match cell.get() {
            Some(at) => at.elapsed() < INDEX_LAG,
            None => Arc::strong_count(cell) > 1,
        });
        Arc::clone(known.entry(deployment).or_default())
    }

    async fn write_environment(
        &self,
        namespace: &str,
        name: &str,
        spec: &PreviewEnvironmentSpec,
    ) -> Result<Vec<String>, ClusterError> {
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = ObjectMeta {
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..self.metadata(namespace, name, &spec.repository_ref.name, number)
        };
        let object = write::object::<PreviewEnvironment>(metadata, json!({ "spec": spec }));
        match self.common.cluster.apply(&Actor::Operator, write::INGEST, &object).await {
            Ok(applied) => {
                let applied: PreviewEnvironment = write::typed(applied)?;
                self.common.objects.environments.wrote(applied.clone());
                if applied.metadata.deletion_timestamp.is_some() {
                    // The watch didn't show the deletion yet. Nobody deploys this revision until
                    // the environment has been deleted and created again.
                    return Err(terminating(&applied));
                }
                Ok(vec![format!("PreviewEnvironment {namespace}/{name} applied")])
            }
            // The schema's validation rule rejects an older deployment: a newer one was written
            // first.
            Err(ClusterError::Refused { code: 422, message })
                if message.contains("revision.deploymentId never goes back") =>
            {
                Ok(Vec::new())
            }
            // The watch doesn't show the environment yet.
            Err(ClusterError::Refused { code: 422, message }) if message.contains("immutable") => {
                Ok(vec![name_taken(namespace, name)])
            }
            Err(error) => Err(error),
        }
    }

    /// Enqueues all objects of a pull request that a sweep at `now` didn't find among the open
    /// ones, unless they were enqueued for that reason within [`MISSED_AGAIN`].
    ///
    /// # Errors
    /// The Kubernetes API is not available.
    pub async fn missed(
        &self,
        namespace: &str,
        repository: &str,
        number: i64,
        now: Timestamp,
    ) -> Result<(), ClusterError> {
        if let Some(name) = self.repository_name(namespace, repository) {
            self.freshness.observe(&name, number, &freshness::gone(None, now));
        }
        self.enqueue_pull_request(namespace, repository, number, |known| {
            let is_newer = known.is_none_or(|known| !freshness::is_gone_since(known, now - MISSED_AGAIN));
            is_newer.then(|| freshness::gone(known, now))
        })
        .await?;
        Ok(())
    }

    /// Enqueues the environments and requests of a pull request for which `next` returns a new
    /// annotation. `next` receives the current annotation.
    async fn enqueue_pull_request(
        &self,
        namespace: &str,
        repository: &str,
        number: i64,
        next: impl Fn(Option<&str>) -> Option<String>,
    ) -> Result<Vec<String>, ClusterError> {
        let mut done = Vec::new();
        let of_repository = Key::Repository(namespace.to_owned(), repository.to_owned());
        let mut environments = self.common.objects.environments.with(&of_repository);
        environments.retain(|environment| {
            environment.metadata.deletion_timestamp.is_none()
                && environment.spec.pull_request.as_ref().is_some_and(|reference| reference.number == number)
        });
        for environment in environments {
            done.extend(self.enqueue(&*environment, next(newest_event(&*environment))).await?);
        }
        let mut requests = self.requests_of(namespace, repository);
        requests.retain(|request| {
            request.metadata.deletion_timestamp.is_none()
                && request.spec.pull_request.as_ref().is_some_and(|reference| reference.number == number)
        });
        for request in requests {
            done.extend(self.enqueue(&*request, next(newest_event(&*request))).await?);
        }
        Ok(done)
    }

    fn repository_name(&self, namespace: &str, repository: &str) -> Option<RepositoryName> {
        let known = self.common.objects.repositories.get(namespace, repository)?;
        known.spec.repository.parse().ok()
    }

    /// Enqueues a request although the state of its pull request hasn't changed.
    ///
    /// # Errors
    /// The Kubernetes API is not available.
    pub async fn enqueue_again(
        &self,
        request: &DeploymentRequest,
        now: Timestamp,
    ) -> Result<(), ClusterError> {
        let record = freshness::again(newest_event(request), now);
        self.annotate(request, &record).await.map(drop)
    }

    /// Enqueues an object by its next record, and says so; does nothing without one.
    async fn enqueue<K: kube::Resource<DynamicType = ()> + Sync>(
        &self,
        object: &K,
        record: Option<String>,
    ) -> Result<Vec<String>, ClusterError> {
        let Some(record) = record else { return Ok(Vec::new()) };
        self.annotate(object, &record).await?;
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        Ok(vec![format!("{} {namespace}/{} enqueued", K::kind(&()), object.name_any())])
    }

    async fn annotate<K: kube::Resource<DynamicType = ()> + Sync>(
        &self,
        object: &K,
        record: &str,
    ) -> Result<bool, ClusterError> {
        let annotation = ANNOTATION_PULL_REQUEST_UPDATED;
        write::annotate(&*self.common.cluster, write::PULL_REQUEST_TIME, object, annotation, record).await
    }

    fn metadata(&self, namespace: &str, name: &str, repository: &str, number: Option<i64>) -> ObjectMeta {
        let mut labels = BTreeMap::from([(LABEL_REPOSITORY.to_owned(), repository.to_owned())]);
        if let Some(number) = number {
            labels.insert(LABEL_PULL_REQUEST.to_owned(), number.to_string());
        }
        let owner = self.common.objects.repositories.get(namespace, repository).map(|owner| OwnerReference {
            api_version: PreviewRepository::api_version(&()).into_owned(),
            kind: PreviewRepository::kind(&()).into_owned(),
            name: owner.name_any(),
            uid: owner.uid().unwrap_or_default(),
            controller: None,
            block_owner_deletion: None,
        });
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        }
    }
}

/// Whether a request has to be reconciled when a deployment has a new status. This is so for its
/// own deployment until it succeeds, and for another environment's deployment that it may wait for.
/// `own` says that Matinee itself deploys it: then its environment enqueues the request.
fn follows(request: &DeploymentRequest, deployment_id: i64, own: bool) -> bool {
    let status = request.status.as_ref();
    match status.and_then(|status| status.deployment_id) {
        Some(id) => {
            id == deployment_id
                && !own
                && status
                    .and_then(|status| find_condition(&status.conditions, READY))
                    .is_none_or(|ready| ready.status != "True")
        }
        None => supersession::waits(request) && waits_for_others(request),
    }
}

/// Whether another environment's deployment triggered the request or may be what it waits for.
fn waits_for_others(request: &DeploymentRequest) -> bool {
    let in_order = request
        .status
        .as_ref()
        .and_then(|status| find_condition(&status.conditions, PRIOR_ENVIRONMENT_SUCCEEDED));
    request.spec.requested_by.origin == Origin::DeploymentStatus
        || in_order.is_none_or(|in_order| in_order.reason == "NotInOrder")
}

/// Whether two requests are for the same commit and environment. Their requesters may differ.
fn is_same(known: &DeploymentRequestSpec, spec: &DeploymentRequestSpec) -> bool {
    supersession::have_same_environment(known, spec) && known.sha == spec.sha
}

/// Returns the error for a deployment to an environment that is being deleted.
fn terminating(environment: &PreviewEnvironment) -> ClusterError {
    ClusterError::NotYet {
        reason: "EnvironmentTerminating",
        message: deletion_status::still_deleting(environment),
    }
}

/// Whether two specs are for the same environment. Their revisions may differ.
fn is_same_environment(known: &PreviewEnvironmentSpec, spec: &PreviewEnvironmentSpec) -> bool {
    known.repository_ref == spec.repository_ref
        && known.environment == spec.environment
        && known.github_environment == spec.github_environment
        && known.pull_request == spec.pull_request
}

/// Returns the sentence for a deployment that isn't deployed because another environment has its
/// name. The sweep reports it on GitHub and on the PreviewRepository.
fn name_taken(namespace: &str, name: &str) -> String {
    format!("PreviewEnvironment {namespace}/{name} not applied: another environment has its name")
}

/// Returns the annotation with the newest event of the object's pull request.
pub(super) fn newest_event<K: kube::Resource>(object: &K) -> Option<&str> {
    object.meta().annotations.as_ref()?.get(ANNOTATION_PULL_REQUEST_UPDATED).map(String::as_str)
}

#[async_trait]
impl Ingest for EventIngest {
    async fn accept(&self, event: Event, delivery: Option<Delivery>) -> Result<String, IngestError> {
        Ok(self.apply(&event, EventSource::Reported(delivery)).await?)
    }
}
