//! The act in Slack: a command deploys a hotfix, along the same way as everything else.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use playground::stage::SLACK_CHANNEL;
use playground::stage::github::types::Role;
use playground::stage::slack::types::{Invocation, Sees, Typed};

use crate::chain::CHECK;
use crate::play::{BOUND, Play, branch, image_of, url_of};
use crate::screen::{BLUE, took};

/// The hotfix's branch.
pub(crate) const HOTFIX: &str = "hotfix";
/// The person who types the command, in Slack and on GitHub.
const USER: &str = "mona";
const LOGIN: &str = "monalisa";
/// The app that answers.
const APP: &str = "Matinee";

impl Play {
    /// Act: a person deploys a branch from Slack, and gets an answer at once and another when it is
    /// live.
    pub(crate) async fn fix_from_slack(&mut self) -> Result<()> {
        self.screen.act("A hotfix is deployed from Slack");
        let repository = self.project.repository.clone();
        self.sha = self.commit("Round to the cent").await?;
        self.stage.publish(&image_of(&self.sha)).await?;
        let github = self.stage.github();
        github.set_ref(&repository, &branch(HOTFIX), &self.sha).await?;
        github.conclude_check(&repository, &self.sha, CHECK, "success").await?;
        self.screen.aside(&format!(
            "{} is on the branch {HOTFIX}, and its check {CHECK} has passed",
            &self.sha[..7]
        ));
        github.set_role(&repository, LOGIN, Role::Write).await?;
        let id = self.stage.slack_user(USER, LOGIN).await?;

        let line = format!("/deploy {repository}@{HOTFIX} to staging");
        self.said(USER, &line);
        let began = self.clock().await;
        let typed = Typed::new(USER, SLACK_CHANNEL, &line);
        let invocation = self.stage.slack().type_command(typed).await?;
        let answer = &invocation.answer;
        let Sees::Message { text, .. } = &answer.sees else { bail!("Slack shows {answer:?}") };
        ensure!(answer.milliseconds < 3_000, "the answer took {} ms", answer.milliseconds);
        self.said(APP, text);
        self.holds(&format!("It is answered after {} ms; Slack waits for 3 s", answer.milliseconds));
        self.figures.time("/deploy in Slack → answered", began.elapsed());

        let deployment = self.deployed_in("staging", "success").await?;
        self.staged = Some(Instant::now());
        let after = began.elapsed();
        let url = url_of(&deployment)?;
        ensure!(url == self.url, "staging's URL changed from {} to {url}", self.url);
        self.figures.time("/deploy in Slack → success in staging", after);
        let told = self.responded(&invocation, url).await?;
        let posted = self.posted(&id, url).await?;
        self.said(APP, &told);
        self.holds(&format!("It is answered again, since it is live after {}", took(after)));
        self.said(
            &format!("{APP} to #{SLACK_CHANNEL}"),
            &posted.replace(&format!("<@{id}>"), &format!("@{USER}")),
        );
        self.holds("The channel gets a message, too");
        self.serves_head().await?;
        self.asked_for_by_slack().await?;
        self.followed().await?;
        // The following measurement must not include earlier work.
        self.figures.settle(&self.stage).await
    }

    /// Waits for a later answer to a command that contains a text.
    async fn responded(&self, invocation: &Invocation, word: &str) -> Result<String> {
        self.stage
            .wait_for("Slack is told that it is live", BOUND, async || {
                let mut all = self.stage.slack().responses().await?;
                all.retain(|response| response.invocation == invocation.id);
                let told: Vec<_> = all.into_iter().map(|response| response.text).collect();
                told.iter()
                    .find(|text| text.contains(word))
                    .cloned()
                    .with_context(|| format!("it was told {told:?}"))
            })
            .await
    }

    /// Waits for a message to a user in the channel that contains a text.
    async fn posted(&self, user: &str, word: &str) -> Result<String> {
        self.stage
            .wait_for("the channel is told that it is live", BOUND, async || {
                let all = self.stage.slack().messages().await?;
                let ours: Vec<_> =
                    all.into_iter().map(|message| message.text).filter(|text| text.contains(user)).collect();
                ensure!(ours.len() < 2, "the channel has more than one message: {ours:?}");
                let found = ours.iter().find(|text| text.contains(word)).cloned();
                found.with_context(|| format!("the channel has {ours:?}"))
            })
            .await
    }

    async fn asked_for_by_slack(&self) -> Result<()> {
        let request = self.request("staging").await?;
        let by = &request.data["spec"]["requestedBy"];
        ensure!(by["origin"] == "Slack" && by["login"] == LOGIN, "the request was made by {by}");
        self.holds(&format!(
            "The request says by whom: {LOGIN}, from Slack, who has the role Write on GitHub"
        ));
        Ok(())
    }

    /// Prints a message as Slack shows it.
    fn said(&self, who: &str, text: &str) {
        let text = text.replace("<http", "http").replace('>', "");
        self.screen.line(&format!("   {}  {text}", self.screen.paint(BLUE, who)));
    }
}
