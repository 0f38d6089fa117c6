//! Common parts of the acts: the stage, the state of the play, and repeated checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use playground::stage::github::types::{Deployment, NewPush};
use playground::stage::{APP_CLASS, NewProject, Project, Stage, conditions};

use crate::deployer::Deployer;
use crate::figures::Figures;
use crate::screen::Screen;
use crate::timeline::Timeline;

/// Longest time for anything on a slow machine.
pub(crate) const BOUND: Duration = Duration::from_secs(90);
/// Name of every commit's image, as a build in CI would push it.
pub(crate) const IMAGE: &str = "localhost/matinee/shop";
/// The pull request's head branch.
pub(crate) const BRANCH: &str = "shopping-cart";

/// The stage, and the state of the play.
pub(crate) struct Play {
    pub(crate) stage: Stage,
    pub(crate) screen: Arc<Screen>,
    pub(crate) project: Project,
    pub(crate) figures: Figures,
    pub(crate) timeline: Option<Timeline>,
    pub(crate) pull: u64,
    /// The present commit: first the head of the pull request, then its merge commit, then a
    /// hotfix.
    pub(crate) sha: String,
    /// The URL that serves it.
    pub(crate) url: String,
    /// The preview's namespace.
    pub(crate) namespace: String,
    /// UID of the preview's `PreviewEnvironment`.
    pub(crate) uid: String,
    /// The deployer of production.
    pub(crate) deployer: Option<Deployer>,
    /// When the demo saw staging succeed with the newest commit.
    pub(crate) staged: Option<Instant>,
}

impl Play {
    pub(crate) async fn new(stage: Stage, screen: Arc<Screen>) -> Result<Self> {
        let project = NewProject::new("shop")
            .class(APP_CLASS)
            .image(&format!("{{{{ payload.image | default('{IMAGE}:' ~ shortSha) }}}}"))
            .repository(include_str!("../../../manifests/stage/shop.yaml"));
        let project = stage.project(project).await?;
        Ok(Self {
            stage,
            screen,
            project,
            figures: Figures::default(),
            timeline: None,
            pull: 0,
            sha: String::new(),
            url: String::new(),
            namespace: String::new(),
            uid: String::new(),
            deployer: None,
            staged: None,
        })
    }

    /// Creates a commit on top of the newest one, on a branch that triggers nothing, so that its
    /// image is built first.
    pub(crate) async fn commit(&self, message: &str) -> Result<String> {
        let onto = (!self.sha.is_empty()).then(|| self.sha.clone());
        let branch = "being-built".to_owned();
        let files = [("CHANGES".to_owned(), Some(format!("{message}\n")))].into();
        let author = Some("octocat".to_owned());
        let new = NewPush { branch, files, message: Some(message.to_owned()), author, onto };
        Ok(self.stage.github().push_commit(&self.project.repository, new).await?)
    }

    /// Pushes a commit whose image has been built, and waits for its success. Returns how long that
    /// took.
    pub(crate) async fn push_good(&mut self, message: &str) -> Result<Duration> {
        self.sha = self.commit(message).await?;
        self.stage.publish(&image_of(&self.sha)).await?;
        let began = self.clock().await;
        self.stage.github().set_ref(&self.project.repository, &branch(BRANCH), &self.sha).await?;
        let deployment = self.deployed("success").await?;
        let after = began.elapsed();
        let url = url_of(&deployment)?;
        ensure!(url == self.url, "the URL changed from {} to {url}", self.url);
        Ok(after)
    }

    /// Restarts the timeline's clock.
    pub(crate) async fn clock(&self) -> Instant {
        let began = Instant::now();
        if let Some(timeline) = &self.timeline {
            timeline.restart_clock(began).await;
        }
        began
    }

    pub(crate) async fn deployed(&self, state: &str) -> Result<Deployment> {
        let deployment = self.stage.deployed(&self.project, &self.sha, state, BOUND).await;
        self.catch_up().await;
        deployment
    }

    /// Prints what has happened, so that the next line comes after it.
    pub(crate) async fn catch_up(&self) {
        if let Some(timeline) = &self.timeline {
            timeline.catch_up().await;
        }
    }

    pub(crate) async fn newest(&self) -> Result<Deployment> {
        let mut all = self.stage.github().deployments(&self.project.repository).await?;
        all.pop().ok_or_else(|| anyhow::anyhow!("there is no deployment"))
    }

    pub(crate) async fn inactive(&self, id: u64) -> Result<()> {
        self.stage
            .wait_for("the superseded deployment is inactive", BOUND, async || {
                let all = self.stage.github().deployments(&self.project.repository).await?;
                let state =
                    all.iter().find(|deployment| deployment.id == id).and_then(|found| found.state.clone());
                ensure!(state.as_deref() == Some("inactive"), "deployment {id} is {state:?}");
                Ok(())
            })
            .await?;
        self.catch_up().await;
        Ok(())
    }

    /// Checks that no deployment of the pull request's environment is active.
    pub(crate) async fn all_inactive(&self) -> Result<()> {
        let environment = github_environment(self.pull);
        for deployment in self.stage.github().deployments(&self.project.repository).await? {
            if deployment.environment == environment {
                self.inactive(deployment.id).await?;
            }
        }
        Ok(())
    }

    /// Checks that the URL serves the newest commit.
    pub(crate) async fn serves_head(&self) -> Result<()> {
        if !self.stage.serves() {
            return Ok(());
        }
        let wanted = format!("revision: {}", &self.sha[..7]);
        // The gateway may still send a request to a terminating pod.
        let answer = self
            .stage
            .wait_for(&format!("{} answers \"{wanted}\"", self.url), BOUND, async || {
                let answer = self.stage.fetch(&self.url).await?;
                ensure!(answer.status == 200 && answer.body.contains(&wanted), "{answer:?}");
                Ok(answer)
            })
            .await?;
        let text = answer.body.trim().replace('\n', ", ");
        self.holds(&format!("{} answers \"{text}\"", self.url));
        Ok(())
    }

    pub(crate) async fn gone(&self, environment: &str, namespace: &str) -> Result<()> {
        gone(&self.stage, &self.project, environment, namespace).await
    }

    /// Checks that no object of the pull request's preview is left.
    pub(crate) async fn nothing_left(&self) -> Result<()> {
        let labelled = ListParams::default().labels(&format!("matinee.dev/environment-uid={}", self.uid));
        let namespaces: Api<Namespace> = Api::all(self.stage.client().clone());
        let left: Vec<_> = namespaces
            .list(&labelled)
            .await?
            .items
            .into_iter()
            .filter_map(|found| found.metadata.name)
            .collect();
        ensure!(left.is_empty(), "namespaces of previews are left: {left:?}");
        for (version, kind) in [
            ("v1", "Pod"),
            ("v1", "Service"),
            ("v1", "ServiceAccount"),
            ("apps/v1", "Deployment"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding"),
            ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ] {
            let left = self.stage.objects(version, kind, None).list(&labelled).await?.items.len();
            ensure!(left == 0, "{left} objects of kind {kind} are left");
        }
        Ok(())
    }

    pub(crate) fn environment_name(&self) -> String {
        format!("{}-preview-pr-{}", self.project.name, self.pull)
    }

    pub(crate) fn holds(&self, text: &str) {
        self.screen.holds(text);
    }
}

/// Waits until a pull request's environment, its requests and its namespace have been deleted.
pub(crate) async fn gone(stage: &Stage, project: &Project, environment: &str, namespace: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(stage.client().clone());
    stage
        .wait_for(&format!("{environment} is gone"), BOUND, async || {
            if let Some(left) = stage.environments(&project.namespace).get_opt(environment).await? {
                bail!("{}", conditions(&left));
            }
            let requests = stage.requests(&project.namespace).list(&ListParams::default()).await?;
            let left = requests.items.iter().find(|request| {
                request
                    .metadata
                    .name
                    .as_deref()
                    .is_some_and(|name| name.starts_with(&format!("{environment}-")))
            });
            if let Some(left) = left {
                bail!("{}", conditions(left));
            }
            if let Some(left) = namespaces.get_opt(namespace).await? {
                bail!("namespace {namespace}: {:?}", left.status);
            }
            Ok(())
        })
        .await
}

/// Returns the image of a commit.
pub(crate) fn image_of(sha: &str) -> String {
    format!("{IMAGE}:{}", &sha[..7])
}

/// Returns the name of a pull request's environment on GitHub.
pub(crate) fn github_environment(pull: u64) -> String {
    format!("preview/pr-{pull}")
}

pub(crate) fn branch(name: &str) -> String {
    format!("refs/heads/{name}")
}

pub(crate) fn url_of(deployment: &Deployment) -> Result<&str> {
    match deployment.statuses.last() {
        Some(status) if !status.environment_url.is_empty() => Ok(&status.environment_url),
        _ => bail!("deployment {} has no URL", deployment.id),
    }
}
