//! The option `--keep`: leaves everything running with a preview in it.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use playground::stage::github::types::NewPullRequest;
use playground::stage::{NewProject, Place, RELEASE, SYSTEM, conditions};

use crate::chain::CHECK;
use crate::play::{BOUND, Play, github_environment, url_of};
use crate::slack::HOTFIX;
use crate::timeline::Timeline;

impl Play {
    /// Prepares a preview to be left running, and prints how to reach everything.
    pub(crate) async fn keep(&mut self) -> Result<()> {
        // No build makes images for commits that are pushed by hand.
        let any = NewProject::new(&self.project.name).template_object()?;
        self.stage.apply_object_within(&self.project.namespace, any).await?;
        self.stage
            .wait_for("the operator sees the changed template", BOUND, async || {
                let template = self.stage.templates(&self.project.namespace).get(&self.project.name).await?;
                let observed = template.data["status"]["observedGeneration"].as_i64();
                ensure!(observed == template.metadata.generation, "{}", conditions(&template));
                Ok(())
            })
            .await?;
        let staging = self.url.clone();
        self.open_again().await?;
        let pages = self.stage.github_pages();
        let repository = &self.project.repository;
        let screen = &self.screen;
        screen.act("Everything keeps running. Press Ctrl-C to stop");
        screen.line(&format!("   pull request   {pages}/{repository}/pull/{}", self.pull));
        screen.line(&format!("   preview        {}", self.url));
        screen.line(&format!("   staging        {staging}"));
        screen.line(&format!(
            "   cluster        export KUBECONFIG={}",
            self.stage.playground().kubeconfig().display()
        ));
        screen.line("                  kubectl get previews -A");
        match self.stage.place() {
            Place::Process => screen.line(&format!(
                "   operator       {}, log {}",
                self.stage.operator().url(),
                self.stage.operator().log().display()
            )),
            Place::Cluster { .. } => screen.line(&format!(
                "   operator       {}, log: kubectl -n {SYSTEM} logs deploy/{RELEASE} --follow",
                self.stage.operator().url()
            )),
        }
        let helm = playground::helm(|_| {}).await?;
        screen.line(&format!("   Helm           {} -n {SYSTEM} status {RELEASE}", helm.display()));
        screen.line(&format!(
            "   GitHub's API   {} with the token {}",
            self.stage.github_api(),
            self.stage.token()
        ));
        screen.aside("Open, push to and close pull requests on GitHub's pages; label them `preview`. Every commit is served");
        screen.aside("by the sample application now.");
        screen.aside(&format!("What is pushed to main goes to staging once the commit has a check or status `{CHECK}` that passed:"));
        screen.aside(&format!(
            "curl -H 'Authorization: Bearer {}' {}/repos/{repository}/statuses/<sha> -d '{{\"context\":\"{CHECK}\",\"state\":\"success\"}}'",
            self.stage.token(),
            self.stage.github_api()
        ));
        Ok(())
    }

    /// Opens a pull request from the hotfix, which gets a preview.
    async fn open_again(&mut self) -> Result<()> {
        self.screen.act("The hotfix becomes a pull request");
        let printed = match self.timeline.take() {
            Some(timeline) => timeline.stop().await,
            None => 0,
        };
        let began = Instant::now();
        let pull = NewPullRequest {
            head: HOTFIX.to_owned(),
            title: Some("Round to the cent".to_owned()),
            author: Some("octocat".to_owned()),
            labels: vec!["preview".to_owned()],
            ..NewPullRequest::default()
        };
        self.pull = self.stage.github().open(&self.project.repository, pull).await?.number;
        let (github, screen) = (self.stage.github(), Arc::clone(&self.screen));
        let timeline =
            Timeline::follow(github, screen, &self.project.repository, (self.pull, printed), began);
        self.timeline = Some(timeline);
        let deployment = self.deployed_in(&github_environment(self.pull), "success").await?;
        url_of(&deployment)?.clone_into(&mut self.url);
        self.serves_head().await
    }
}
