//! The acts: what somebody does on GitHub, and what must come of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use playground::stage::github::types::{Deployment, NewPullRequest, NewPush, Request};
use playground::stage::{APP_CLASS, NewProject, Project, Stage, conditions};
use serde_json::json;

use crate::figures::Figures;
use crate::screen::{Screen, took};
use crate::timeline::Timeline;

/// How long anything may take on a slow machine.
pub(crate) const BOUND: Duration = Duration::from_secs(90);
/// "Within seconds", for what is told of a broken commit.
const SECONDS: Duration = Duration::from_secs(20);
/// Where every commit's image is found, as a build in CI would have pushed it.
const IMAGE: &str = "localhost/matinee/shop";
const BRANCH: &str = "shopping-cart";

/// The stage, and how far the play is.
pub(crate) struct Play {
    stage: Stage,
    screen: Arc<Screen>,
    project: Project,
    figures: Figures,
    timeline: Option<Timeline>,
    pull: u64,
    /// The head of the pull request.
    sha: String,
    /// The URL of the preview.
    url: String,
    /// The preview's namespace.
    namespace: String,
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
        })
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// A pull request is opened and gets a URL that answers.
    pub(crate) async fn open(&mut self) -> Result<()> {
        self.screen.act("A pull request is opened");
        self.sha = self.commit("Add a shopping cart").await?;
        self.stage.publish(&image_of(&self.sha)).await?;
        self.stage.github().set_ref(&self.project.repository, &branch(BRANCH), &self.sha).await?;
        let measure = self.figures.begin(&self.stage).await?;
        let began = Instant::now();
        let pull = NewPullRequest {
            head: BRANCH.to_owned(),
            title: Some("Add a shopping cart".to_owned()),
            author: Some("octocat".to_owned()),
            labels: vec!["preview".to_owned()],
            ..NewPullRequest::default()
        };
        self.pull = self.stage.github().open(&self.project.repository, pull).await?.number;
        let github = self.stage.github();
        let timeline =
            Timeline::follow(github, Arc::clone(&self.screen), &self.project.repository, self.pull, began);
        self.timeline = Some(timeline);
        let deployment = self.deployed("success").await?;
        let after = began.elapsed();
        url_of(&deployment)?.clone_into(&mut self.url);
        self.holds(&format!("GitHub shows a deployment with the URL {} after {}", self.url, took(after)));
        self.serves_head().await?;
        let environment =
            self.stage.environments(&self.project.namespace).get(&self.environment_name()).await?;
        let name = environment.data["status"]["namespace"]["name"].as_str();
        name.unwrap_or_default().clone_into(&mut self.namespace);
        ensure!(!self.namespace.is_empty(), "no namespace in {}", conditions(&environment));
        self.figures.end("create", measure, &self.stage, after).await?;
        self.figures.memory(&self.stage)
    }

    /// A second commit is served at the same URL.
    pub(crate) async fn push(&mut self) -> Result<()> {
        self.screen.act("A second commit is pushed");
        let before = self.newest().await?;
        let measure = self.figures.begin(&self.stage).await?;
        let after = self.push_good("Show prices with tax").await?;
        self.holds(&format!("The same URL serves it after {}", took(after)));
        self.serves_head().await?;
        self.inactive(before.id).await?;
        self.holds("The first deployment is inactive");
        self.figures.end("update", measure, &self.stage, after).await
    }

    /// A commit whose image does not exist fails with its cause, and the next one is fine again.
    pub(crate) async fn break_and_fix(&mut self) -> Result<()> {
        if !self.stage.serves() {
            self.screen
                .act("A commit whose image does not exist: left out, for nothing fails on a simulated node");
            return Ok(());
        }
        self.screen.act("A broken commit is pushed: its image does not exist");
        let served = self.sha.clone();
        let began = self.clock().await;
        self.sha = self.commit("Round prices").await?;
        self.stage.github().set_ref(&self.project.repository, &branch(BRANCH), &self.sha).await?;
        let failed = self.deployed("failure").await?;
        let after = began.elapsed();
        let description = failed.statuses.last().map(|status| status.description.clone()).unwrap_or_default();
        ensure!(after < SECONDS, "it took {} to tell of the failure", took(after));
        ensure!(
            description.contains("web") && description.to_lowercase().contains("image"),
            "the failure's description names neither container nor cause: {description}"
        );
        self.holds(&format!("The deployment failed after {}: {description}", took(after)));
        let answer = self.stage.fetch(&self.url).await?;
        ensure!(
            answer.body.contains(&served[..7]),
            "meanwhile the URL should serve {}, but answers {answer:?}",
            &served[..7]
        );
        self.holds(&format!("Meanwhile the URL goes on serving {}", &served[..7]));
        self.figures.time("broken push → failure on GitHub", after);

        self.screen.act("A commit that fixes it is pushed");
        let after = self.push_good("Round prices, and build").await?;
        self.holds(&format!("The deployment succeeded after {}", took(after)));
        self.serves_head().await?;
        self.inactive(failed.id).await
    }

    /// Somebody creates a deployment with a payload by hand.
    pub(crate) async fn deploy_by_hand(&mut self) -> Result<()> {
        self.screen.act("Somebody creates a deployment by hand, with an image in its payload");
        let image = format!("{IMAGE}:nightly");
        self.stage.publish(&image).await?;
        let before = self.newest().await?;
        let path = format!("repos/{}/deployments", self.project.repository);
        let body = json!({
            "ref": self.sha,
            "environment": before.environment,
            "payload": {"image": image},
            "auto_merge": false,
            "required_contexts": [],
            "transient_environment": true,
        });
        self.screen.aside(&format!("gh api {path} --input - <<< '{body}'"));
        let began = self.clock().await;
        let (status, answer) = self.stage.gh_api("POST", &path, Some(&body)).await?;
        ensure!(status == 201, "GitHub answered {status}: {answer}");
        let deployment = self.deployed("success").await?;
        let after = began.elapsed();
        ensure!(
            answer["id"] == deployment.id,
            "the newest deployment is {} rather than {answer}",
            deployment.id
        );
        let web = self.stage.objects("apps/v1", "Deployment", Some(&self.namespace)).get("web").await?;
        let used = &web.data["spec"]["template"]["spec"]["containers"][0]["image"];
        ensure!(used == &image, "the container's image is {used}");
        self.holds(&format!("It was carried out after {}: the container's image is {image}", took(after)));
        self.serves_head().await?;
        self.inactive(before.id).await
    }

    /// Events that change nothing, and a restart, write nothing.
    pub(crate) async fn change_nothing(&mut self) -> Result<()> {
        self.screen
            .act("Nothing changes: a webhook comes twice, and the operator is killed and started again");
        // What the acts before left to do is done first.
        self.figures.settle(&self.stage).await?;
        let measure = self.figures.begin(&self.stage).await?;
        let began = Instant::now();
        let Some(hook) = self.project.hook else { bail!("the repository has no webhook") };
        let github = self.stage.github();
        let deliveries = github.deliveries(hook).await?;
        let Some(last) = deliveries.iter().rfind(|delivery| delivery.event == "pull_request") else {
            bail!("no pull_request webhook was delivered")
        };
        github.redeliver(hook, last.id).await?;
        github.settle(BOUND).await?;
        self.stage.operator().kill()?;
        let restarted = Instant::now();
        self.stage.operator().restart().await?;
        self.figures.time("operator start until ready, cold, with one preview", restarted.elapsed());
        self.figures.swept(&self.stage, &measure).await?;
        self.figures.end("no-op", measure, &self.stage, began.elapsed()).await?;
        if let Some(part) = self.figures.newest("no-op") {
            ensure!(part.writes.is_empty(), "it wrote to the cluster: {:#?}", part.writes);
            let wrote: Vec<_> = part.calls.iter().filter(|call| is_write(call)).collect();
            ensure!(wrote.is_empty(), "it wrote to GitHub: {wrote:#?}");
        }
        self.holds("Nothing was written to the cluster or to GitHub");
        self.serves_head().await
    }

    /// The pull request is closed, and everything goes.
    pub(crate) async fn close(&mut self) -> Result<()> {
        self.screen.act("The pull request is closed");
        let measure = self.figures.begin(&self.stage).await?;
        let began = self.clock().await;
        self.stage.github().close(&self.project.repository, self.pull).await?;
        self.all_inactive().await?;
        self.holds(&format!("No deployment is active any more after {}", took(began.elapsed())));
        let environment = self.environment_name();
        self.gone(&environment, &self.namespace).await?;
        let after = began.elapsed();
        self.holds(&format!(
            "Its PreviewEnvironment and the namespace {} are gone after {}",
            self.namespace,
            took(after)
        ));
        self.nothing_left().await?;
        self.holds("No object of a preview is left in the cluster");
        if self.stage.serves() {
            let answer = self.stage.fetch(&self.url).await?;
            ensure!(answer.status == 404, "the URL still answers {answer:?}");
            self.holds("The URL answers 404, from the gateway");
        }
        self.figures.end("delete", measure, &self.stage, after).await
    }

    /// Leaves a preview running until Ctrl-C.
    pub(crate) async fn keep(&mut self) -> Result<()> {
        // Nobody builds images for commits that are pushed by hand.
        let any = NewProject::new(&self.project.name).template_object()?;
        self.stage.apply_object_within(&self.project.namespace, any).await?;
        let pages = self.stage.github_pages();
        let repository = &self.project.repository;
        let screen = &self.screen;
        screen.act("Everything goes on running. Ctrl-C ends it");
        screen.line(&format!("   pull request   {pages}/{repository}/pull/{}", self.pull));
        screen.line(&format!("   preview        {}", self.url));
        screen.line(&format!(
            "   cluster        export KUBECONFIG={}",
            self.stage.playground().kubeconfig().display()
        ));
        screen.line("                  kubectl get previews -A");
        screen.line(&format!(
            "   operator       {}, log {}",
            self.stage.operator().url(),
            self.stage.operator().log().display()
        ));
        screen.line(&format!(
            "   GitHub's API   {} with the token {}",
            self.stage.github_api(),
            self.stage.token()
        ));
        screen.aside("Open, push to and close pull requests on GitHub's pages; label them `preview`. Every commit is served");
        screen.aside("by the sample application now.");
        screen.line("");
        // Ends by the signal, which is how this is meant to end.
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        screen.line("");
        Ok(())
    }

    /// Ends everything.
    pub(crate) async fn end(self) -> Result<()> {
        drop(self.timeline);
        self.stage.stop().await
    }

    pub(crate) fn print_figures(&self, markdown: bool) {
        crate::table::print(&self.figures, &self.stage, &self.screen, markdown);
    }

    pub(crate) async fn more_lives(&mut self, count: usize) -> Result<()> {
        self.screen.act(&format!("{count} more pull requests come and go, for the figures"));
        for _ in 0..count {
            crate::lives::life(&self.stage, &self.project, &mut self.figures).await?;
        }
        Ok(())
    }

    /// Makes a commit on top of the pull request's head that no branch of the pull request has yet: a build comes first.
    async fn commit(&self, message: &str) -> Result<String> {
        let onto = (!self.sha.is_empty()).then(|| self.sha.clone());
        let branch = "being-built".to_owned();
        let files = [("CHANGES".to_owned(), Some(format!("{message}\n")))].into();
        let author = Some("octocat".to_owned());
        let new = NewPush { branch, files, message: Some(message.to_owned()), author, onto };
        Ok(self.stage.github().push_commit(&self.project.repository, new).await?)
    }

    /// Pushes a commit whose image was built, waits for its success, and tells how long that took.
    async fn push_good(&mut self, message: &str) -> Result<Duration> {
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

    /// The clock on the timeline begins anew.
    async fn clock(&self) -> Instant {
        let began = Instant::now();
        if let Some(timeline) = &self.timeline {
            timeline.restart_clock(began).await;
        }
        began
    }

    async fn deployed(&self, state: &str) -> Result<Deployment> {
        let deployment = self.stage.deployed(&self.project, &self.sha, state, BOUND).await;
        if let Some(timeline) = &self.timeline {
            timeline.catch_up().await;
        }
        deployment
    }

    async fn newest(&self) -> Result<Deployment> {
        let mut all = self.stage.github().deployments(&self.project.repository).await?;
        all.pop().ok_or_else(|| anyhow::anyhow!("there is no deployment"))
    }

    async fn inactive(&self, id: u64) -> Result<()> {
        self.stage
            .wait_for("the superseded deployment is inactive", BOUND, async || {
                let all = self.stage.github().deployments(&self.project.repository).await?;
                let state =
                    all.iter().find(|deployment| deployment.id == id).and_then(|found| found.state.clone());
                ensure!(state.as_deref() == Some("inactive"), "deployment {id} is {state:?}");
                Ok(())
            })
            .await?;
        if let Some(timeline) = &self.timeline {
            timeline.catch_up().await;
        }
        Ok(())
    }

    async fn all_inactive(&self) -> Result<()> {
        for deployment in self.stage.github().deployments(&self.project.repository).await? {
            self.inactive(deployment.id).await?;
        }
        Ok(())
    }

    /// The URL shows the pull request's head.
    async fn serves_head(&self) -> Result<()> {
        if !self.stage.serves() {
            return Ok(());
        }
        let answer = self.stage.fetch(&self.url).await?;
        let wanted = format!("revision: {}", &self.sha[..7]);
        ensure!(
            answer.status == 200 && answer.body.contains(&wanted),
            "{} should answer \"{wanted}\", but answers {answer:?}",
            self.url
        );
        let text = answer.body.trim().replace('\n', ", ");
        self.holds(&format!("{} answers \"{text}\"", self.url));
        Ok(())
    }

    pub(crate) async fn gone(&self, environment: &str, namespace: &str) -> Result<()> {
        gone(&self.stage, &self.project, environment, namespace).await
    }

    async fn nothing_left(&self) -> Result<()> {
        let labelled = ListParams::default().labels("matinee.dev/environment-uid");
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

    fn environment_name(&self) -> String {
        format!("{}-preview-pr-{}", self.project.name, self.pull)
    }

    fn holds(&self, text: &str) {
        self.screen.holds(text);
    }
}

/// Waits until a pull request's environment, its requests and its namespace are gone.
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

/// A new token for an installation is asked for by POST, but writes nothing that anybody sees.
fn is_write(call: &Request) -> bool {
    call.method != "GET" && !call.path.ends_with("/access_tokens")
}

/// The image of a commit.
pub(crate) fn image_of(sha: &str) -> String {
    format!("{IMAGE}:{}", &sha[..7])
}

fn branch(name: &str) -> String {
    format!("refs/heads/{name}")
}

fn url_of(deployment: &Deployment) -> Result<&str> {
    match deployment.statuses.last() {
        Some(status) if !status.environment_url.is_empty() => Ok(&status.environment_url),
        _ => bail!("deployment {} has no URL", deployment.id),
    }
}
