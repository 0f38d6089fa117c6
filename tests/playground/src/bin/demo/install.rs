//! The act before the pull request: the platform team installs Matinee with Helm.

use anyhow::{Context as _, Result, ensure};
use playground::stage::{Place, RELEASE, SYSTEM};
use serde_json::Value;

use crate::play::Play;
use crate::screen::took;

impl Play {
    /// Act: the chart is installed.
    pub(crate) async fn installed(&self) -> Result<()> {
        let release = self.stage.release();
        self.screen.act("Matinee is installed with Helm");
        let values = release.values.first().context("the chart was given no values")?;
        self.screen.aside(&format!(
            "helm install {RELEASE} charts/matinee --namespace {SYSTEM} --values {} --wait",
            values.display()
        ));
        let status = self.stage.helm(&["status", RELEASE, "--output", "json"]).await?;
        let status: Value = serde_json::from_str(&status).context("helm status prints no JSON")?;
        let status = &status["info"]["status"];
        ensure!(status == "deployed", "the release is {status}");
        self.holds(&format!("The release {RELEASE} is deployed after {}", took(release.took)));
        match self.stage.place() {
            Place::Process => {
                let deployment =
                    self.stage.objects("apps/v1", "Deployment", Some(SYSTEM)).get(RELEASE).await?;
                ensure!(
                    deployment.data["spec"]["replicas"] == 0,
                    "{:?}",
                    deployment.data["spec"]["replicas"]
                );
                self.holds("It has no pods: the operator is a process of this machine, with the rights of the chart's account");
                Ok(())
            }
            Place::Cluster { replicas } => self.runs_in_pods(replicas).await,
        }
    }

    async fn runs_in_pods(&self, replicas: u32) -> Result<()> {
        let pods = self.stage.operator().pods().await?;
        let ready = pods.iter().filter(|pod| pod.ready).count();
        ensure!(
            u32::try_from(ready) == Ok(replicas),
            "{ready} of {replicas} pods of the operator are ready: {pods:#?}"
        );
        let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
        self.holds(&format!("It runs in the cluster, in {}", names.join(" and ")));
        let operator = self.stage.operator();
        let webhooks = self.stage.fetch(&operator.webhook_url()).await?;
        ensure!(webhooks.status == 405, "a GET of {} is answered {webhooks:?}", operator.webhook_url());
        self.holds(&format!("GitHub reaches it through the Gateway at {}", operator.webhook_url()));
        let metrics = self.stage.fetch(&format!("{}/metrics", operator.url())).await?;
        ensure!(metrics.status == 404, "metrics can be read from outside: {metrics:?}");
        self.holds("Health and metrics are not reached from there");
        Ok(())
    }
}
