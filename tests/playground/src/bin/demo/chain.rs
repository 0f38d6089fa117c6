//! The acts after the merge: the preview is deleted, and the merge commit is deployed to staging
//! and to production.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DynamicObject, ListParams};
use playground::stage::github::types::Deployment;
use playground::stage::{condition, conditions};

use crate::deployer::{self, Deployer};
use crate::play::{BOUND, Play, image_of, url_of};
use crate::screen::{GREEN, YELLOW, took};

/// The check that staging waits for.
pub(crate) const CHECK: &str = "test";
/// The soak time of the PreviewRepository's production entry, less one second because GitHub's
/// times are whole seconds, and less another for polling.
const SOAKED: Duration = Duration::from_secs(1);

impl Play {
    /// Act: a person merges the pull request, its preview is deleted, and staging waits for a check
    /// of the merge commit.
    pub(crate) async fn merge(&mut self) -> Result<()> {
        self.screen.act("The pull request is merged");
        let repository = self.project.repository.clone();
        let began = self.clock().await;
        self.stage.github().merge(&repository, self.pull).await?;
        self.sha = self.stage.github().head(&repository, "main").await?;
        self.all_inactive().await?;
        self.holds(&format!(
            "No deployment of its preview is active any more after {}",
            took(began.elapsed())
        ));
        self.reviewer_sees("staging", "pending", CHECK).await?;
        let early = self.deployments_in("staging").await?;
        ensure!(early.is_empty(), "staging does not wait for the check {CHECK}: {early:#?}");
        self.holds(&format!(
            "staging is not requested yet: it waits for the check {CHECK} of the merge commit"
        ));
        let environment = self.environment_name();
        self.gone(&environment, &self.namespace).await?;
        let after = began.elapsed();
        self.holds(&format!(
            "The PreviewEnvironment and the namespace {} were deleted after {}",
            self.namespace,
            took(after)
        ));
        self.figures.time("merge → preview's namespace gone", after);
        self.nothing_left().await?;
        self.holds("No object of the preview is left in the cluster");
        if self.stage.serves() {
            // The gateway drops the route after a moment.
            self.stage
                .wait_for(&format!("{} answers 404", self.url), BOUND, async || {
                    let answer = self.stage.fetch(&self.url).await?;
                    ensure!(answer.status == 404, "{answer:?}");
                    Ok(())
                })
                .await?;
            self.holds("The preview's URL answers 404, from the gateway");
        }
        Ok(())
    }

    /// Act: the check passes, and the merge commit is deployed to staging.
    pub(crate) async fn test(&mut self) -> Result<()> {
        self.screen.act(&format!("The check {CHECK} of the merge commit passes"));
        self.stage.publish(&image_of(&self.sha)).await?;
        let repository = &self.project.repository;
        self.deployer = Some(Deployer::start(&self.stage, repository).await?);
        let began = self.clock().await;
        self.stage.github().conclude_check(repository, &self.sha, CHECK, "success").await?;
        let deployment = self.deployed_in("staging", "success").await?;
        self.staged = Some(Instant::now());
        let after = began.elapsed();
        ensure!(!deployment.transient, "staging is lasting, but its deployment transient");
        url_of(&deployment)?.clone_into(&mut self.url);
        self.holds(&format!("staging is deployed at {} after {}", self.url, took(after)));
        self.figures.time("check passes → success in staging", after);
        self.serves_head().await?;
        self.reviewer_sees("staging", "success", "deployed to staging").await
    }

    /// Act: after the soak time in staging Matinee creates the deployment to production, and
    /// another tool deploys it.
    pub(crate) async fn produce(&mut self) -> Result<()> {
        self.screen.act("production follows staging, and another tool deploys it");
        self.screen.aside(&format!(
            "{} polls GET repos/{}/deployments?environment={} with a token of its own, and posts statuses",
            deployer::LOGIN,
            self.project.repository,
            deployer::ENVIRONMENT
        ));
        let after = self.followed().await?;
        self.figures.time("success in staging → production requested, after a soak of 3 s", after);
        let environments = self.stage.environments(&self.project.namespace);
        let all = environments.list(&ListParams::default()).await?.items;
        ensure!(all.len() == 1, "only staging is deployed by Matinee, but there are {:?}", names(&all));
        self.holds("Matinee deployed nothing there: staging is its only PreviewEnvironment");
        Ok(())
    }

    /// Waits until the commit that succeeded in staging is deployed to production. Returns the time
    /// from staging's success to the deployment's creation.
    pub(crate) async fn followed(&mut self) -> Result<Duration> {
        let Some(staged) = self.staged.take() else { bail!("nothing was deployed to staging") };
        let asked = self
            .stage
            .wait_for("production is requested", BOUND, async || {
                let all = self.deployments_in(deployer::ENVIRONMENT).await?;
                all.into_iter().rfind(|one| one.sha == self.sha).context("there is no deployment of it")
            })
            .await?;
        let after = staged.elapsed();
        ensure!(after >= SOAKED, "production was requested {} after staging's success", took(after));
        ensure!(asked.production && !asked.transient, "{asked:#?}");
        let deployment = self.deployed_in(deployer::ENVIRONMENT, "success").await?;
        self.holds(&format!(
            "production was requested {} after staging's success: it soaks for 3 s",
            took(after)
        ));
        let posted: Vec<_> = deployment.statuses.iter().map(|status| status.state.as_str()).collect();
        ensure!(posted == ["in_progress", "success"], "production's deployment has the statuses {posted:?}");
        let url = url_of(&deployment)?;
        let answer = self.stage.fetch(url).await?;
        ensure!(answer.body.contains(&self.sha[..7]), "{url} answers {answer:?}");
        self.holds(&format!("{url} answers \"{}\"", answer.body.trim()));
        let name = self.succeeded(url).await?;
        self.holds(&format!("DeploymentRequest {name} has the condition Succeeded=True: {url}"));
        self.reviewer_sees(deployer::ENVIRONMENT, "success", "deployed to production").await?;
        Ok(after)
    }

    /// Returns the newest commit's deployment in an environment, once it has a state.
    pub(crate) async fn deployed_in(&self, environment: &str, state: &str) -> Result<Deployment> {
        let what = format!("{} in {environment} is {state}", &self.sha[..7]);
        let found = self
            .stage
            .wait_for(&what, BOUND, async || {
                if let Some(deployer) = &self.deployer {
                    deployer.check()?;
                }
                let all = self.deployments_in(environment).await?;
                match all.into_iter().rfind(|one| one.sha == self.sha) {
                    Some(found) if found.state.as_deref() == Some(state) => Ok(found),
                    Some(found) => bail!("it has {:?}", found.statuses),
                    None => bail!("there is no deployment of it"),
                }
            })
            .await;
        self.catch_up().await;
        match found {
            Ok(found) => Ok(found),
            Err(problem) => Err(problem).context(self.stage.explain(&self.project.namespace).await),
        }
    }

    async fn deployments_in(&self, environment: &str) -> Result<Vec<Deployment>> {
        let mut all = self.stage.github().deployments(&self.project.repository).await?;
        all.retain(|deployment| deployment.environment == environment);
        Ok(all)
    }

    /// Waits until the newest commit's request for production has succeeded with a URL. Returns the
    /// request's name.
    async fn succeeded(&self, url: &str) -> Result<String> {
        self.stage
            .wait_for("the request for production has succeeded", BOUND, async || {
                let ours = self.request(deployer::ENVIRONMENT).await?;
                match condition(&ours, "Succeeded") {
                    Some(found) if found.status == "True" && found.message == url => {
                        Ok(ours.metadata.name.unwrap_or_default())
                    }
                    _ => bail!("{}", conditions(&ours)),
                }
            })
            .await
    }

    /// Returns the newest commit's DeploymentRequest for an environment.
    pub(crate) async fn request(&self, environment: &str) -> Result<DynamicObject> {
        let all = self.stage.requests(&self.project.namespace).list(&ListParams::default()).await?.items;
        all.into_iter()
            .find(|one| {
                let spec = &one.data["spec"];
                spec["environment"] == environment && spec["sha"] == self.sha.as_str()
            })
            .with_context(|| format!("there is no request for {} in {environment}", &self.sha[..7]))
    }

    /// Waits until the newest commit's status for an environment has a state, and prints it.
    pub(crate) async fn reviewer_sees(&self, environment: &str, state: &str, word: &str) -> Result<()> {
        let path = format!("repos/{}/commits/{}/statuses", self.project.repository, self.sha);
        let context = format!("matinee/{environment}");
        let told = self
            .stage
            .wait_for(&format!("the commit status {context} is {state} with \"{word}\""), BOUND, async || {
                let (_, all) = self.stage.gh_api("GET", &path, None).await?;
                let newest =
                    all.as_array().into_iter().flatten().find(|one| one["context"] == context.as_str());
                let newest = newest.with_context(|| format!("there is none: {all}"))?;
                let told = newest["description"].as_str().unwrap_or_default();
                ensure!(
                    newest["state"] == state && told.contains(word),
                    "it is {} \"{told}\"",
                    newest["state"]
                );
                Ok(told.to_owned())
            })
            .await?;
        self.catch_up().await;
        let (sign, colour) = if state == "success" { ("✓", GREEN) } else { ("●", YELLOW) };
        let sign = self.screen.paint(colour, sign);
        self.holds(&format!("A reviewer sees on {}:  {sign} {context} — {told}", &self.sha[..7]));
        Ok(())
    }
}

fn names(objects: &[DynamicObject]) -> Vec<&str> {
    objects.iter().filter_map(|object| object.metadata.name.as_deref()).collect()
}
