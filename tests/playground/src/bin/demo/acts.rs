//! The acts of the pull request: what a person does on GitHub, and the effects that the demo
//! checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use playground::stage::conditions;
use playground::stage::github::types::{NewPullRequest, Request};
use serde_json::json;

use crate::play::{BOUND, BRANCH, IMAGE, Play, branch, image_of, url_of};
use crate::screen::took;
use crate::timeline::Timeline;

/// Longest time until a broken commit is reported, on a busy machine.
const REPORTED: Duration = Duration::from_mins(1);

impl Play {
    /// Act: a person opens a pull request, which gets a URL that answers.
    pub(crate) async fn open(&mut self) -> Result<()> {
        // The first sweep of a new repository doesn't count for the pull request.
        self.figures.settle(&self.stage).await?;
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
        let timeline = Timeline::follow(
            github,
            Arc::clone(&self.screen),
            &self.project.repository,
            (self.pull, 0),
            began,
        );
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
        self.uid = environment.metadata.uid.clone().unwrap_or_default();
        ensure!(!self.namespace.is_empty(), "no namespace in {}", conditions(&environment));
        self.figures.end("create", measure, &self.stage, after).await?;
        self.figures.memory(&self.stage).await
    }

    /// Act: a second commit is served at the same URL.
    pub(crate) async fn push(&mut self) -> Result<()> {
        self.screen.act("A second commit is pushed");
        let before = self.newest().await?;
        let measure = self.figures.begin(&self.stage).await?;
        let after = self.push_good("Show prices with tax").await?;
        self.holds(&format!("The deployment of it succeeded, with the same URL, after {}", took(after)));
        self.serves_head().await?;
        self.inactive(before.id).await?;
        self.holds("The first deployment is inactive");
        self.figures.end("update", measure, &self.stage, after).await
    }

    /// Act: a commit without an image fails with its cause, and the next one succeeds.
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
        ensure!(after < REPORTED, "it took {} to report the failure", took(after));
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
        self.holds(&format!("The URL still serves {}", &served[..7]));
        self.figures.time("broken push → failure on GitHub", after);

        self.screen.act("A commit that fixes it is pushed");
        let after = self.push_good("Round prices, and build").await?;
        self.holds(&format!("The deployment succeeded after {}", took(after)));
        self.serves_head().await?;
        self.inactive(failed.id).await
    }

    /// Act: a person creates a deployment with a payload by hand.
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
        self.holds(&format!("It was deployed after {}: the container's image is {image}", took(after)));
        self.serves_head().await?;
        self.inactive(before.id).await
    }

    /// Act: events without changes and a restart write nothing.
    pub(crate) async fn change_nothing(&mut self) -> Result<()> {
        self.screen
            .act("Nothing changes: a webhook comes twice, and the operator is killed and started again");
        // The previous acts' pending work must not count for this one.
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
        let killed = Instant::now();
        self.stage.operator().restart().await?;
        self.figures.time("operator killed → ready again, with one preview", killed.elapsed());
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

    /// Stops everything.
    pub(crate) async fn end(self) -> Result<()> {
        drop(self.timeline);
        drop(self.deployer);
        self.stage.stop().await
    }

    pub(crate) async fn print_figures(&self, markdown: bool) {
        crate::table::print(&self.figures, &self.stage, &self.screen, markdown).await;
    }

    pub(crate) async fn more_lives(&mut self, count: usize) -> Result<()> {
        self.screen.act(&format!("{count} more pull requests come and go, for the figures"));
        for _ in 0..count {
            crate::lives::life(&self.stage, &self.project, &mut self.figures).await?;
        }
        Ok(())
    }
}

/// Returns whether a request writes. Requests for installation tokens are POSTs but change nothing
/// visible.
fn is_write(call: &Request) -> bool {
    call.method != "GET" && !call.path.ends_with("/access_tokens")
}
