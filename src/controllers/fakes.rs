//! In-memory fakes of the outside world, for reconciles of requests and commands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, GroupVersionKind};
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::assembly::{Controllers, Ports, Watched};
use super::lifecycle::Stores;
use super::{command, request};
use crate::adapters::kubernetes::Change;
use crate::api::{
    DeploymentCommand, DeploymentReport, DeploymentRequest, GithubConnection, PreviewRepository,
    PreviewTemplateSpec,
};
use crate::core::environment::plan::jobs::JobEnd;
use crate::core::environment::resolved::{About, Target};
use crate::core::forge::{
    Branch, Check, Comment, Deployment, DeploymentStatus, Emoji, NewCommitStatus, NewDeployment, PullRequest,
    RepositoryName, RepositoryRole,
};
use crate::core::image::{Credentials, ImageReference};
use crate::core::mistake::Mistake;
use crate::core::slack::ChatMessage;
use crate::metrics::{Controller, Metrics};
use crate::ports::{
    Actor, Chat, ChatError, Clock, Cluster, ClusterError, EventType, Events, Forge, ForgeError, Forges,
    Listing, LiveObjects, Prober, Registry, RegistryError, Renderer, Secrets,
};
use crate::runtime::common::Settings;
use crate::runtime::runner::{Controlled, drive};
use crate::runtime::trouble::explain;
use crate::runtime::write;

/// Fake GitHub. Some installations never answer a write.
#[derive(Default)]
pub struct FakeForge {
    /// Whether writes are never answered.
    hangs: bool,
    /// Errors of the next writes, in reverse order.
    pub errors: Mutex<Vec<ForgeError>>,
    created: Mutex<Vec<Deployment>>,
    comments: Mutex<Vec<Comment>>,
    pub commit_statuses: Mutex<Vec<NewCommitStatus>>,
    ids: AtomicI64,
    /// Number of writes that wait for an answer.
    pub waiting: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeForge {
    /// Creates an installation that never answers a write.
    pub fn hanging() -> Self {
        Self { hangs: true, ..Self::default() }
    }

    /// Returns the numbers of created deployments and comments.
    pub fn counts(&self) -> (usize, usize) {
        (self.created.lock().unwrap().len(), self.comments.lock().unwrap().len())
    }

    async fn answer(&self) -> Result<i64, ForgeError> {
        if self.hangs {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(Arc::clone(&self.waiting));
            std::future::pending::<()>().await;
        }
        match self.errors.lock().unwrap().pop() {
            Some(error) => Err(error),
            None => Ok(self.ids.fetch_add(1, Ordering::SeqCst) + 1),
        }
    }
}

fn listing<T>(items: Vec<T>) -> Listing<T> {
    Listing { items: Arc::new(items), version: 1 }
}

fn nowhere<T>() -> Result<T, ForgeError> {
    Err(ForgeError::NotFound("not part of this GitHub".to_owned()))
}

#[async_trait]
impl Forge for FakeForge {
    async fn pull_request(&self, _: &RepositoryName, _: i64, _: Duration) -> Result<PullRequest, ForgeError> {
        nowhere()
    }
    async fn pull_request_commits(&self, _: &RepositoryName, _: i64) -> Result<Vec<String>, ForgeError> {
        nowhere()
    }
    async fn open_pull_requests(&self, _: &RepositoryName) -> Result<Listing<PullRequest>, ForgeError> {
        Ok(listing(Vec::new()))
    }
    async fn recent_deployments(&self, _: &RepositoryName) -> Result<Listing<Deployment>, ForgeError> {
        Ok(listing(self.created.lock().unwrap().clone()))
    }
    async fn deployments(
        &self,
        _: &RepositoryName,
        environment: &str,
        sha: Option<&str>,
    ) -> Result<Vec<Deployment>, ForgeError> {
        let all = self.created.lock().unwrap().clone();
        let fits = |one: &Deployment| one.environment == environment && sha.is_none_or(|sha| one.sha == sha);
        Ok(all.into_iter().filter(fits).collect())
    }
    async fn deployment_statuses(
        &self,
        _: &RepositoryName,
        _: i64,
    ) -> Result<Listing<DeploymentStatus>, ForgeError> {
        Ok(listing(Vec::new()))
    }
    async fn checks(&self, _: &RepositoryName, _: &str) -> Result<Vec<Check>, ForgeError> {
        Ok(Vec::new())
    }
    async fn branches(&self, _: &RepositoryName) -> Result<Listing<Branch>, ForgeError> {
        Ok(listing(Vec::new()))
    }
    async fn branch(&self, _: &RepositoryName, _: &str) -> Result<Option<Branch>, ForgeError> {
        Ok(None)
    }
    async fn commit(&self, _: &RepositoryName, git_ref: &str) -> Result<Option<String>, ForgeError> {
        Ok(Some(git_ref.to_owned()))
    }
    async fn changed_files(&self, _: &RepositoryName, _: i64) -> Result<Vec<String>, ForgeError> {
        Ok(Vec::new())
    }
    async fn recent_comments(&self, _: &RepositoryName) -> Result<Listing<Comment>, ForgeError> {
        Ok(listing(Vec::new()))
    }
    async fn comments(&self, _: &RepositoryName, _: i64) -> Result<Vec<Comment>, ForgeError> {
        Ok(self.comments.lock().unwrap().clone())
    }
    async fn permission(&self, _: &RepositoryName, _: &str) -> Result<RepositoryRole, ForgeError> {
        Ok(RepositoryRole::Admin)
    }
    async fn create_deployment(
        &self,
        _: &RepositoryName,
        deployment: &NewDeployment,
    ) -> Result<Deployment, ForgeError> {
        let created = Deployment {
            id: self.answer().await?,
            sha: deployment.sha.clone(),
            environment: deployment.environment.clone(),
            payload: deployment.payload.clone(),
            creator: "matinee[bot]".to_owned(),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        };
        self.created.lock().unwrap().push(created.clone());
        Ok(created)
    }
    async fn create_deployment_status(
        &self,
        _: &RepositoryName,
        _: &DeploymentReport,
    ) -> Result<(), ForgeError> {
        self.answer().await.map(drop)
    }
    async fn create_comment(&self, _: &RepositoryName, _: i64, body: &str) -> Result<Comment, ForgeError> {
        // The comment exists even if the response is lost.
        let answer = self.answer().await;
        let comment = Comment {
            id: answer.clone().unwrap_or(99),
            number: 1,
            on_pull_request: true,
            author: "matinee[bot]".to_owned(),
            bot: true,
            edited: false,
            body: body.to_owned(),
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        };
        self.comments.lock().unwrap().push(comment.clone());
        answer.map(|_| comment)
    }
    async fn edit_comment(&self, _: &RepositoryName, _: i64, _: &str) -> Result<(), ForgeError> {
        self.answer().await.map(drop)
    }
    async fn react(&self, _: &RepositoryName, _: i64, _: Emoji) -> Result<(), ForgeError> {
        if self.hangs { self.answer().await.map(drop) } else { Ok(()) }
    }
    async fn create_commit_status(
        &self,
        _: &RepositoryName,
        _: &str,
        status: &NewCommitStatus,
    ) -> Result<(), ForgeError> {
        self.answer().await?;
        self.commit_statuses.lock().unwrap().push(status.clone());
        Ok(())
    }
}

/// One client for each name of a Secret.
struct FakeForges(BTreeMap<String, Arc<FakeForge>>);

#[async_trait]
impl Forges for FakeForges {
    async fn forge(
        &self,
        connection: &GithubConnection,
        _: &RepositoryName,
    ) -> Result<Arc<dyn Forge>, ForgeError> {
        match self.0.get(&connection.secret_name) {
            Some(forge) => Ok(Arc::<FakeForge>::clone(forge)),
            None => Err(ForgeError::Credentials(format!("there is no Secret {}", connection.secret_name))),
        }
    }
    fn close(&self) {}
}

type At = (String, Option<String>, String);

/// Fake Kubernetes API, which merges applied objects into existing ones.
#[derive(Default)]
pub struct FakeCluster {
    objects: Mutex<BTreeMap<At, DynamicObject>>,
    versions: AtomicI64,
}

impl FakeCluster {
    fn merge(&self, object: &DynamicObject) -> DynamicObject {
        let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        let mut objects = self.objects.lock().unwrap();
        let known =
            objects.entry((kind, object.namespace(), object.name_any())).or_insert_with(|| object.clone());
        if let (Some(known), Some(new)) = (known.data.as_object_mut(), object.data.as_object()) {
            known.extend(new.clone());
        }
        known.metadata.annotations =
            object.metadata.annotations.clone().or(known.metadata.annotations.take());
        let version = self.versions.fetch_add(1, Ordering::SeqCst) + 1;
        known.metadata.resource_version = Some(version.to_string());
        known.clone()
    }

    /// Returns the current object.
    pub fn read<K>(&self, namespace: &str, name: &str) -> K
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let at = (K::kind(&()).into_owned(), Some(namespace.to_owned()), name.to_owned());
        write::typed(self.objects.lock().unwrap()[&at].clone()).unwrap()
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn create(&self, _: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        Ok(self.merge(object))
    }
    async fn apply(&self, _: &Actor, _: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        Ok(self.merge(object))
    }
    async fn try_apply(&self, _: &Actor, _: &str, _: &DynamicObject) -> Result<(), ClusterError> {
        Ok(())
    }
    async fn apply_status(&self, _: &str, object: &DynamicObject) -> Result<DynamicObject, ClusterError> {
        Ok(self.merge(object))
    }
    async fn remove_finalizer(
        &self,
        kind: &GroupVersionKind,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), ClusterError> {
        let at = (kind.kind.clone(), object.namespace.clone(), object.name.clone().unwrap_or_default());
        if let Some(known) = self.objects.lock().unwrap().get_mut(&at) {
            known.finalizers_mut().retain(|known| known != finalizer);
        }
        Ok(())
    }
    async fn delete(
        &self,
        _: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
        _: &str,
    ) -> Result<(), ClusterError> {
        let at = (kind.kind.clone(), namespace.map(str::to_owned), name.to_owned());
        self.objects.lock().unwrap().remove(&at);
        Ok(())
    }
    async fn get(
        &self,
        _: &Actor,
        kind: &GroupVersionKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        let at = (kind.kind.clone(), namespace.map(str::to_owned), name.to_owned());
        Ok(self.objects.lock().unwrap().get(&at).cloned())
    }
}

/// All interfaces that these tests don't use.
struct Nothing;

#[async_trait]
impl Secrets for Nothing {
    async fn secret(&self, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        Ok(None)
    }
}

impl LiveObjects for Nothing {
    fn of_environment(&self, _: &str) -> Vec<Arc<DynamicObject>> {
        Vec::new()
    }
    fn find(&self, _: &GroupVersionKind, _: Option<&str>, _: &str) -> Option<Arc<DynamicObject>> {
        None
    }
    fn follows(&self, _: &GroupVersionKind) -> bool {
        false
    }
    fn follow(&self, _: &GroupVersionKind) {}
    fn record(&self, _: &DynamicObject) {}
    fn end_of_removed_job(&self, _: &str) -> Option<JobEnd> {
        None
    }
}

#[async_trait]
impl Events for Nothing {
    async fn publish(&self, _: &ObjectReference, _: EventType, _: &str, _: &str) {}
}

impl Renderer for Nothing {
    fn render(&self, _: &Target) -> Result<Vec<Value>, Mistake> {
        Ok(Vec::new())
    }
    fn check(&self, _: &PreviewTemplateSpec) -> Result<(), Mistake> {
        Ok(())
    }
    fn text(&self, _: &str, text: &str, _: &About) -> Result<String, Mistake> {
        Ok(text.to_owned())
    }
}

#[async_trait]
impl Prober for Nothing {
    async fn probe(&self, _: &str, _: Option<&str>) -> Result<u16, String> {
        Ok(200)
    }
}

#[async_trait]
impl Registry for Nothing {
    async fn exists(
        &self,
        _: &ImageReference,
        _: Option<&Credentials>,
        _: bool,
    ) -> Result<bool, RegistryError> {
        Ok(true)
    }
}

#[async_trait]
impl Chat for Nothing {
    async fn respond(&self, _: &str, _: &ChatMessage) -> Result<(), ChatError> {
        Ok(())
    }
    async fn post(
        &self,
        _: &SecretString,
        _: &str,
        _: &ChatMessage,
        _: Option<&str>,
    ) -> Result<String, ChatError> {
        Ok("1".to_owned())
    }
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Controllers with in-memory fakes. They have no watches: a test reconciles objects or runs a
/// controller.
pub struct World {
    pub controllers: Controllers,
    pub cluster: Arc<FakeCluster>,
    requests: Writer<DeploymentRequest>,
    commands: Writer<DeploymentCommand>,
    stores: Stores,
}

impl World {
    /// Creates a class, a PreviewRepository and a client for each name. Each PreviewRepository has
    /// the environments `e0` to `e29`, which Matinee doesn't deploy.
    pub fn new(forges: impl IntoIterator<Item = (&'static str, Arc<FakeForge>)>) -> Self {
        let forges: BTreeMap<_, _> =
            forges.into_iter().map(|(name, forge)| (name.to_owned(), forge)).collect();
        let cluster = Arc::new(FakeCluster::default());
        let names: Vec<String> = forges.keys().cloned().collect();
        let ports = Ports {
            cluster: cluster.clone(),
            secrets: Arc::new(Nothing),
            live: Arc::new(Nothing),
            forges: Arc::new(FakeForges(forges)),
            renderer: Arc::new(Nothing),
            prober: Arc::new(Nothing),
            registry: Arc::new(Nothing),
            chat: Arc::new(Nothing),
            events: Arc::new(Nothing),
            clock: Arc::new(Now),
        };
        let settings = Settings {
            cluster_id: "cluster".to_owned(),
            own_namespace: "matinee-system".to_owned(),
            public_url: None,
            sweep_interval: Duration::from_mins(1),
        };
        let watched = Watched::default();
        let controllers = Controllers::new(ports, &watched, Arc::default(), Metrics::default(), settings);
        for name in &names {
            let spec = json!({
                "grants": [{"repositories": ["acme/*"], "namespaces": ["*"]}], "forge": {"github": {"secretName": name}},
                "routing": {"domain": "dev.example", "gateway": {"name": "g", "namespace": "g"}},
            });
            controllers.on_class(Change::Applied(Arc::new(object(None, name, &spec))));
            let entries: Vec<_> = (0..30).map(|number| json!({"name": format!("e{number}")})).collect();
            let spec =
                json!({"repository": format!("acme/{name}"), "className": name, "environments": entries});
            controllers.on_repository(Change::Applied(Arc::new(object(Some("team"), name, &spec))));
        }
        let ((classes, _), (templates, _)) = (reflector::store(), reflector::store());
        let ((repositories, _), (environments, _)) = (reflector::store(), reflector::store());
        let (requests, mut request_writer) = reflector::store();
        let (commands, mut command_writer) = reflector::store();
        // A controller doesn't start before the first list is complete.
        for event in [watcher::Event::Init, watcher::Event::InitDone] {
            request_writer.apply_watcher_event(&event);
        }
        for event in [watcher::Event::Init, watcher::Event::InitDone] {
            command_writer.apply_watcher_event(&event);
        }
        let stores = Stores { classes, templates, repositories, requests, commands, environments };
        Self { controllers, cluster, requests: request_writer, commands: command_writer, stores }
    }

    /// Runs the controller of requests until the shutdown.
    pub fn drive_requests(&self, shutdown: &CancellationToken) -> JoinHandle<()> {
        let common = &self.controllers.common;
        let controlled = Controlled {
            controller: Controller::DeploymentRequest,
            store: self.stores.requests.clone(),
            queued: common.queues.requests.open().unwrap(),
            context: Arc::clone(&self.controllers.requests),
            reconcile: request::reconcile,
            explain,
        };
        // The default concurrency.
        tokio::spawn(drive(controlled, 16, shutdown, common))
    }

    /// Runs the controller of commands until the shutdown.
    pub fn drive_commands(&self, shutdown: &CancellationToken) -> JoinHandle<()> {
        let common = &self.controllers.common;
        let controlled = Controlled {
            controller: Controller::DeploymentCommand,
            store: self.stores.commands.clone(),
            queued: common.queues.commands.open().unwrap(),
            context: Arc::clone(&self.controllers.commands),
            reconcile: command::reconcile,
            explain,
        };
        tokio::spawn(drive(controlled, 16, shutdown, common))
    }

    /// Changes a PreviewRepository.
    pub fn repository(&self, name: &str, change: impl FnOnce(&mut PreviewRepository)) {
        let known = self.controllers.common.objects.repositories.get("team", name).unwrap();
        let mut repository = (*known).clone();
        change(&mut repository);
        self.controllers.on_repository(Change::Applied(Arc::new(repository)));
    }

    /// Adds a request for an environment of a PreviewRepository. Returns its name, which is also
    /// its UID.
    pub fn request(&mut self, repository: &str, environment: &str) -> String {
        let name = format!("{repository}-{environment}");
        let spec = json!({
            "repositoryRef": {"name": repository}, "environment": environment, "sha": "1".repeat(40),
        });
        let request: DeploymentRequest = object(Some("team"), &name, &spec);
        self.add(&request);
        self.requests.apply_watcher_event(&watcher::Event::Apply(request.clone()));
        self.controllers.on_request(Change::Applied(Arc::new(request)));
        name
    }

    /// Adds a command in a comment on a pull request. Returns its name, which is also its UID.
    pub fn command(&mut self, repository: &str, number: i64, text: &str) -> String {
        let name = format!("{repository}-{number}");
        let spec = json!({
            "repositoryRef": {"name": repository}, "text": text, "login": "ada",
            "comment": {"id": number, "pullRequest": {"number": 1}},
        });
        let command: DeploymentCommand = object(Some("team"), &name, &spec);
        self.add(&command);
        self.commands.apply_watcher_event(&watcher::Event::Apply(command.clone()));
        self.controllers.on_command(Change::Applied(Arc::new(command)));
        name
    }

    fn add<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        self.cluster.merge(&serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap());
    }
}

fn object<K: Resource<DynamicType = ()> + DeserializeOwned>(
    namespace: Option<&str>,
    name: &str,
    spec: &Value,
) -> K {
    let mut metadata = json!({
        "name": name, "uid": name, "resourceVersion": "0", "generation": 1,
        "creationTimestamp": Timestamp::now().to_string(),
    });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    let kind = K::kind(&());
    serde_json::from_value(
        json!({"apiVersion": K::api_version(&()), "kind": kind, "metadata": metadata, "spec": spec}),
    )
    .unwrap()
}

/// Returns status, reason and message of a condition.
pub fn condition(
    conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> String {
    crate::api::find_condition(conditions, kind).map_or_else(
        || "none".to_owned(),
        |found| format!("{} {}: {}", found.status, found.reason, found.message),
    )
}

/// Waits until the condition holds, at most 5 seconds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 5 s");
}
