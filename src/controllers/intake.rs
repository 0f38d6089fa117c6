//! Takes in events: from webhooks, from the sweep, and from the requests that were just carried out. Writes to Kubernetes, and does
//! nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use super::standing::Standing;
use super::write;
use crate::api::{
    ANNOTATION_NEWS, ANNOTATION_PULL_REQUEST_UPDATED, Command, CommandSpec, DeploymentRequest,
    DeploymentRequestSpec, FINALIZER, LABEL_PULL_REQUEST, LABEL_REPOSITORY, Origin, PreviewEnvironment,
    PreviewEnvironmentSpec, Repository, find_condition,
};
use crate::core::conditions::READY;
use crate::core::deletion;
use crate::core::event::Event;
use crate::core::forge::RepositoryName;
use crate::core::gates::{IN_ORDER, supersede};
use crate::core::heard;
use crate::core::trigger::{self, Change};
use crate::ports::{Actor, Cluster, ClusterError, Intake, IntakeError};

/// Longest time for which an earlier reading of a pull request is used again.
const READING_LASTS: Duration = Duration::from_secs(30);

/// Time after which what a sweep missed is looked at again, though nothing was heard of it: it should have been gone long ago.
const MISSED_AGAIN: Duration = Duration::from_mins(10);

/// For how long a watch may not show what was just written.
const STORE_LAGS: Duration = Duration::from_secs(5);

/// How many pull requests are remembered before those are forgotten of which nothing was heard for a while.
const MANY_HINTS: usize = 4_096;

/// When something new was last heard of a pull request: a reading from before is worth nothing.
#[derive(Default)]
pub struct Hints(Mutex<HashMap<(RepositoryName, i64), Heard>>);

struct Heard {
    when: Instant,
    word: String,
}

/// How an event was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// GitHub told of it when it happened.
    Told,
    /// It was found, perhaps for the hundredth time.
    Found,
}

impl Hints {
    /// Something was heard by this replica.
    fn heard(&self, repository: &RepositoryName, number: i64, word: &str) {
        let Ok(mut hints) = self.0.lock() else { return };
        if hints.len() >= MANY_HINTS {
            hints.retain(|_, heard| heard.when.elapsed() < READING_LASTS);
        }
        let heard = Heard { when: Instant::now(), word: word.to_owned() };
        hints.insert((repository.clone(), number), heard);
    }

    /// Word of it stands on an object: when it is news here, another replica heard it.
    pub fn noticed(&self, repository: &RepositoryName, number: i64, word: &str) {
        if self.is_new(repository, number, |known| heard::is_news(known, word)) {
            self.heard(repository, number, word);
        }
    }

    /// A sweep found the pull request to be of this version.
    fn found(&self, repository: &RepositoryName, number: i64, version: &str) {
        if self.is_new(repository, number, |known| heard::is_new_version(known, version)) {
            self.heard(repository, number, version);
        }
    }

    fn is_new(&self, repository: &RepositoryName, number: i64, judge: impl Fn(Option<&str>) -> bool) -> bool {
        let at = (repository.clone(), number);
        self.0.lock().is_ok_and(|hints| judge(hints.get(&at).map(|known| known.word.as_str())))
    }

    /// How old a reading of the pull request may be.
    pub fn max_age(&self, repository: &RepositoryName, number: i64) -> Duration {
        let hints = self.0.lock().ok();
        let heard = hints.and_then(|hints| Some(hints.get(&(repository.clone(), number))?.when.elapsed()));
        heard.unwrap_or(READING_LASTS).min(READING_LASTS)
    }
}

/// See the module.
pub struct Reception {
    cluster: Arc<dyn Cluster>,
    repositories: Store<Repository>,
    requests: Store<DeploymentRequest>,
    environments: Store<PreviewEnvironment>,
    commands: Store<Command>,
    cluster_id: String,
    hints: Arc<Hints>,
    standing: Arc<Standing>,
    /// Deployments carried out a moment ago, which the store may not show yet: the request and the webhook tell of the same one.
    carried_out: Mutex<HashMap<i64, Instant>>,
}

impl Reception {
    /// A reception that decides by what the stores show.
    #[allow(clippy::too_many_arguments)] // wiring
    pub fn new(
        cluster: Arc<dyn Cluster>,
        repositories: Store<Repository>,
        requests: Store<DeploymentRequest>,
        environments: Store<PreviewEnvironment>,
        commands: Store<Command>,
        cluster_id: String,
        hints: Arc<Hints>,
        standing: Arc<Standing>,
    ) -> Self {
        let carried_out = Mutex::default();
        Self {
            cluster,
            repositories,
            requests,
            environments,
            commands,
            cluster_id,
            hints,
            standing,
            carried_out,
        }
    }

    /// Makes the changes that an event asks for, and says what was done.
    ///
    /// # Errors
    /// When the Kubernetes API can't be asked, or an environment of the same name is still being deleted.
    pub async fn take_in(&self, event: &Event, learned: Learned) -> Result<String, ClusterError> {
        let word = Word { learned, now: Timestamp::now() };
        if let Event::PullRequest { repository, pull_request } = event {
            let version = pull_request.version();
            match learned {
                Learned::Told => self.hints.heard(repository, pull_request.number, &word.of(&version)),
                Learned::Found => self.hints.found(repository, pull_request.number, &version),
            }
        }
        let repositories = self.repositories.state();
        let repositories: Vec<&Repository> = repositories.iter().map(AsRef::as_ref).collect();
        let changes = trigger::changes(event, &repositories, &self.cluster_id);
        let mut done = Vec::new();
        for change in changes {
            done.extend(self.make(change, word).await?);
        }
        Ok(if done.is_empty() { "nothing to do".to_owned() } else { done.join("; ") })
    }

    async fn make(&self, change: Change, word: Word) -> Result<Vec<String>, ClusterError> {
        if matches!(change, Change::Request { .. } | Change::CarryOut { .. } | Change::Command { .. }) {
            self.standing.may_make()?;
        }
        match change {
            Change::Request { namespace, name, spec, version } => {
                self.request(&namespace, &name, spec, version.as_deref(), word).await
            }
            Change::CarryOut { namespace, name, spec, request } => {
                if request.is_some_and(|request| self.is_over(&namespace, &request, &spec)) {
                    return Ok(vec![format!(
                        "PreviewEnvironment {namespace}/{name} is left: its request is over"
                    )]);
                }
                self.carry_out(&namespace, &name, *spec).await
            }
            Change::LookAgain { namespace, repository, number, version } => {
                self.look_again(&namespace, &repository, number, &word.of(&version), |known| {
                    word.is_news(known, &version)
                })
                .await
            }
            Change::Followed { namespace, repository, deployment_id } => {
                // What Matinee carries out itself it has told GitHub, and whoever asked for it has been poked.
                let carries_out = |environment: &PreviewEnvironment| {
                    environment.namespace().as_deref() == Some(&namespace)
                        && environment.spec.revision.deployment_id == Some(deployment_id)
                };
                let own = self.environments.find(carries_out).is_some();
                self.wake(&namespace, &repository, |request| follows(request, deployment_id, own)).await
            }
            Change::Checked { namespace, repository, sha } => {
                self.wake(&namespace, &repository, |request| {
                    request.spec.sha == sha && supersede::waits(request)
                })
                .await
            }
            Change::Command { namespace, name, spec } => self.command(&namespace, &name, spec).await,
        }
    }

    async fn request(
        &self,
        namespace: &str,
        name: &str,
        spec: DeploymentRequestSpec,
        version: Option<&str>,
        word: Word,
    ) -> Result<Vec<String>, ClusterError> {
        let known = self.requests.get(&ObjectRef::new(name).within(namespace));
        if let Some(known) = known {
            match version {
                None if spec.requested_by.origin == Origin::Push => return self.pushed_back(&known).await,
                None => return Ok(Vec::new()),
                Some(version) if !word.is_news(last_word(&*known), version) => return Ok(Vec::new()),
                // Its spec can't be changed: who asked may be called otherwise by now.
                Some(version) => {
                    self.annotate(&*known, &word.of(version)).await?;
                    return Ok(vec![format!("DeploymentRequest {namespace}/{name} is looked at")]);
                }
            }
        }
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = ObjectMeta {
            annotations: version.map(|version| {
                BTreeMap::from([(ANNOTATION_PULL_REQUEST_UPDATED.to_owned(), word.of(version))])
            }),
            ..self.metadata(namespace, name, &spec.repository_ref.name, number)
        };
        let object = write::object::<DeploymentRequest>(metadata, json!({ "spec": spec }));
        match self.cluster.apply(&Actor::Operator, write::INTAKE, &object).await {
            Ok(_) => Ok(vec![format!("DeploymentRequest {namespace}/{name} applied")]),
            // The watch doesn't show it yet: it is there, asked for because of another branch or status.
            Err(ClusterError::Refused { code: 422, message })
                if version.is_none() && message.contains("spec is immutable") =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// A branch's head is a commit that was asked for before: when a push had another one deployed since, it is to be deployed again. What
    /// somebody asked for explicitly stays until the next push.
    async fn pushed_back(&self, known: &DeploymentRequest) -> Result<Vec<String>, ClusterError> {
        if !supersede::overtaken(known, self.requests.state().iter().map(AsRef::as_ref)) {
            return Ok(Vec::new());
        }
        self.annotate(known, &Timestamp::now().to_string()).await?;
        Ok(vec![format!("DeploymentRequest {} is looked at", known.name_any())])
    }

    /// Has the requests of a Repository looked at that fit.
    async fn wake(
        &self,
        namespace: &str,
        repository: &str,
        fits: impl Fn(&DeploymentRequest) -> bool,
    ) -> Result<Vec<String>, ClusterError> {
        let requests = self.requests.state_filter(|request| {
            request.namespace().as_deref() == Some(namespace)
                && request.spec.repository_ref.name == repository
                && request.metadata.deletion_timestamp.is_none()
                && fits(request)
        });
        let now = Timestamp::now().to_string();
        let mut done = Vec::new();
        for request in requests {
            if write::annotate(&*self.cluster, write::NEWS, &*request, ANNOTATION_NEWS, &now).await? {
                done.push(format!("DeploymentRequest {namespace}/{} is looked at", request.name_any()));
            }
        }
        Ok(done)
    }

    /// Writes a command that was given in a comment, once.
    async fn command(
        &self,
        namespace: &str,
        name: &str,
        spec: CommandSpec,
    ) -> Result<Vec<String>, ClusterError> {
        if self.commands.get(&ObjectRef::new(name).within(namespace)).is_some() {
            return Ok(Vec::new());
        }
        let number = spec.comment.as_ref().map(|comment| comment.pull_request.number);
        let metadata = self.metadata(namespace, name, &spec.repository_ref.name, number);
        let object = write::object::<Command>(metadata, json!({ "spec": spec }));
        match self.cluster.create(write::INTAKE, &object).await {
            Ok(_) => Ok(vec![format!("Command {namespace}/{name} created")]),
            Err(ClusterError::Conflict(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Writes a command that was given in Slack; its UID.
    ///
    /// # Errors
    /// When the Kubernetes API refuses it or can't be asked.
    pub async fn command_from_slack(
        &self,
        namespace: &str,
        repository: &str,
        spec: CommandSpec,
    ) -> Result<String, ClusterError> {
        self.standing.may_make()?;
        let mut metadata = self.metadata(namespace, "", repository, None);
        metadata.name = None;
        metadata.generate_name = Some(format!("{repository}-slack-"));
        let object = write::object::<Command>(metadata, json!({ "spec": spec }));
        let created = self.cluster.create(write::INTAKE, &object).await?;
        Ok(created.uid().unwrap_or_default())
    }

    /// Writes the request that a command asks for, once.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it is there already, or what else the Kubernetes API says.
    pub async fn ask(
        &self,
        namespace: &str,
        name: &str,
        spec: DeploymentRequestSpec,
    ) -> Result<(), ClusterError> {
        self.standing.may_make()?;
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = self.metadata(namespace, name, &spec.repository_ref.name, number);
        let object = write::object::<DeploymentRequest>(metadata, json!({ "spec": spec }));
        self.cluster.create(write::INTAKE, &object).await.map(|_| ())
    }

    /// Whether a request is gone, or has had this deployment carried out: then the environment has been made, and if it isn't there any
    /// more it has come to its end since. A request that is under way has not recorded the deployment yet.
    fn is_over(&self, namespace: &str, request: &str, spec: &PreviewEnvironmentSpec) -> bool {
        let under_way = self.requests.find(|known| {
            known.uid().as_deref() == Some(request)
                && known.namespace().as_deref() == Some(namespace)
                && known.metadata.deletion_timestamp.is_none()
                && known.status.as_ref().and_then(|status| status.deployment_id)
                    != spec.revision.deployment_id
        });
        under_way.is_none()
    }

    async fn carry_out(
        &self,
        namespace: &str,
        name: &str,
        spec: PreviewEnvironmentSpec,
    ) -> Result<Vec<String>, ClusterError> {
        if let Some(known) = self.environments.get(&ObjectRef::new(name).within(namespace)) {
            if known.spec.revision.deployment_id >= spec.revision.deployment_id {
                return Ok(Vec::new());
            }
            if known.metadata.deletion_timestamp.is_some() {
                return Err(ClusterError::NotYet {
                    reason: "EnvironmentTerminating",
                    message: deletion::still_deleting(&known),
                });
            }
        }
        let deployment = spec.revision.deployment_id.unwrap_or_default();
        let just_now = self.carried_out.lock().is_ok_and(|mut done| {
            done.retain(|_, at| at.elapsed() < STORE_LAGS);
            done.contains_key(&deployment)
        });
        if just_now {
            return Ok(Vec::new());
        }
        let number = spec.pull_request.as_ref().map(|reference| reference.number);
        let metadata = ObjectMeta {
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..self.metadata(namespace, name, &spec.repository_ref.name, number)
        };
        let object = write::object::<PreviewEnvironment>(metadata, json!({ "spec": spec }));
        match self.cluster.apply(&Actor::Operator, write::INTAKE, &object).await {
            Ok(_) => {
                if let Ok(mut done) = self.carried_out.lock() {
                    done.insert(deployment, Instant::now());
                }
                Ok(vec![format!("PreviewEnvironment {namespace}/{name} applied")])
            }
            // A newer deployment was faster; the schema's rule says so.
            Err(ClusterError::Refused { code: 422, message })
                if message.contains("revision.deploymentId never goes back") =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Has everything looked at of a pull request that a sweep at `now` missed among the open ones; what was looked at lately because of that
    /// isn't again.
    ///
    /// # Errors
    /// When the Kubernetes API can't be asked.
    pub async fn missed(
        &self,
        namespace: &str,
        repository: &str,
        number: i64,
        now: Timestamp,
    ) -> Result<(), ClusterError> {
        let word = heard::gone(now);
        self.look_again(namespace, repository, number, &word, |known| {
            known.is_none_or(|known| !heard::is_gone_since(known, now - MISSED_AGAIN))
        })
        .await?;
        Ok(())
    }

    /// Has everything of a pull request looked at again that knows a word to which this one is news.
    async fn look_again(
        &self,
        namespace: &str,
        repository: &str,
        number: i64,
        word: &str,
        is_news: impl Fn(Option<&str>) -> bool,
    ) -> Result<Vec<String>, ClusterError> {
        // A reading from before is worth nothing: somebody knows better.
        let known = self.repositories.get(&ObjectRef::new(repository).within(namespace));
        if let Some(name) = known.and_then(|known| known.spec.repository.parse::<RepositoryName>().ok()) {
            self.hints.noticed(&name, number, word);
        }
        let mut done = Vec::new();
        let environments = self.environments.state_filter(|environment| {
            environment.namespace().as_deref() == Some(namespace)
                && environment.spec.repository_ref.name == repository
                && environment.spec.pull_request.as_ref().is_some_and(|reference| reference.number == number)
        });
        for environment in environments {
            if environment.metadata.deletion_timestamp.is_none() && is_news(last_word(&*environment)) {
                self.annotate(&*environment, word).await?;
                done.push(format!("PreviewEnvironment {namespace}/{} is looked at", environment.name_any()));
            }
        }
        let requests = self.requests.state_filter(|request| {
            request.namespace().as_deref() == Some(namespace)
                && request.spec.repository_ref.name == repository
                && request.spec.pull_request.as_ref().is_some_and(|reference| reference.number == number)
        });
        for request in requests {
            if request.metadata.deletion_timestamp.is_none() && is_news(last_word(&*request)) {
                self.annotate(&*request, word).await?;
                done.push(format!("DeploymentRequest {namespace}/{} is looked at", request.name_any()));
            }
        }
        Ok(done)
    }

    /// Has a request looked at again whose pull request's state is as it was.
    ///
    /// # Errors
    /// When the Kubernetes API can't be asked.
    pub async fn look_at(&self, request: &DeploymentRequest, now: Timestamp) -> Result<(), ClusterError> {
        let word = heard::again(last_word(request), now);
        self.annotate(request, &word).await.map(drop)
    }

    async fn annotate<K: kube::Resource<DynamicType = ()> + Sync>(
        &self,
        object: &K,
        word: &str,
    ) -> Result<bool, ClusterError> {
        let annotation = ANNOTATION_PULL_REQUEST_UPDATED;
        write::annotate(&*self.cluster, write::LOOK, object, annotation, word).await
    }

    fn metadata(&self, namespace: &str, name: &str, repository: &str, number: Option<i64>) -> ObjectMeta {
        let mut labels = BTreeMap::from([(LABEL_REPOSITORY.to_owned(), repository.to_owned())]);
        if let Some(number) = number {
            labels.insert(LABEL_PULL_REQUEST.to_owned(), number.to_string());
        }
        let owner = self.repositories.get(&ObjectRef::new(repository).within(namespace)).map(|owner| {
            OwnerReference {
                api_version: Repository::api_version(&()).into_owned(),
                kind: Repository::kind(&()).into_owned(),
                name: owner.name_any(),
                uid: owner.uid().unwrap_or_default(),
                controller: None,
                block_owner_deletion: None,
            }
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

/// Whether a request has to be looked at when a deployment has a new status: its own, as long as it isn't known how it ends; or another
/// environment's, which it may wait for. Of its `own` deployment that Matinee carries out it learns otherwise.
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
        None => supersede::waits(request) && waits_for_others(request),
    }
}

/// Whether what a request waits for, or comes of, is another environment's deployment.
fn waits_for_others(request: &DeploymentRequest) -> bool {
    let in_order = request.status.as_ref().and_then(|status| find_condition(&status.conditions, IN_ORDER));
    request.spec.requested_by.origin == Origin::DeploymentStatus
        || in_order.is_none_or(|in_order| in_order.reason == "NotInOrder")
}

/// What is to be written of a pull request because of an event.
#[derive(Clone, Copy)]
struct Word {
    learned: Learned,
    now: Timestamp,
}

impl Word {
    fn of(self, version: &str) -> String {
        match self.learned {
            Learned::Told => heard::told(version, self.now),
            Learned::Found => version.to_owned(),
        }
    }

    /// Whether an object has to be looked at that was last looked at because of `known`.
    fn is_news(self, known: Option<&str>, version: &str) -> bool {
        match self.learned {
            Learned::Told => heard::is_news(known, &self.of(version)),
            Learned::Found => heard::is_new_version(known, version),
        }
    }
}

/// The word that the object was last asked to be looked at because of.
pub(super) fn last_word<K: kube::Resource>(object: &K) -> Option<&str> {
    object.meta().annotations.as_ref()?.get(ANNOTATION_PULL_REQUEST_UPDATED).map(String::as_str)
}

#[async_trait]
impl Intake for Reception {
    async fn accept(&self, event: Event) -> Result<String, IntakeError> {
        self.take_in(&event, Learned::Told).await.map_err(|error| match error {
            ClusterError::Refused { message, .. } => IntakeError::Refused(message),
            error => IntakeError::Unavailable(error.to_string()),
        })
    }
}
