//! The Helm release: the chart as users install it, and its values.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::process::seconds;
use super::{Place, SYSTEM, Settings, Stage, pods};
use crate::{Playground, helm, network};

/// The release's name.
pub const RELEASE: &str = "matinee";
/// The Secret with the key that signs webhooks.
pub(super) const WEBHOOK_SECRET: &str = "webhook";
/// The chart's ConfigMap with the settings that the operator reads while it runs.
pub(super) const SETTINGS: &str = "matinee-settings";
/// Longest time for the installation.
const INSTALLED_WITHIN: &str = "2m";
/// The host name of the chart's HTTPRoute, below the domain of the previews.
const HOST: &str = "matinee.preview.localhost";

/// Facts outside the cluster that the chart's values need.
pub(super) struct Told<'a> {
    pub(super) webhook_secret: &'a str,
    pub(super) slack_api_url: String,
    pub(super) slack_response_url: String,
}

/// The installed chart.
#[derive(Clone, Debug)]
pub struct Release {
    /// The chart's folder.
    pub chart: PathBuf,
    /// The operator's image; `None` where it runs as a process.
    pub image: Option<String>,
    /// The values files of its installation, of which later ones override earlier ones.
    pub values: Vec<PathBuf>,
    /// Duration of `helm install`, including the wait until everything was ready.
    pub took: Duration,
}

/// Returns the operator's URL when it runs in the cluster.
pub(super) fn url(playground: &Playground) -> String {
    format!("http://{HOST}:{}", playground.gateway_port())
}

/// Installs the chart, and waits until everything is ready.
pub(super) async fn install(
    playground: &Playground,
    settings: &Settings,
    told: &Told<'_>,
    image: Option<String>,
) -> Result<Release> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/matinee").canonicalize()?;
    let folder = playground.home.make("operator")?;
    let mut values = vec![folder.join("values.json")];
    let usual = usual_values(settings, told, &url(playground), image.as_deref())?;
    std::fs::write(&values[0], format!("{usual:#}\n"))?;
    if !settings.values.is_null() {
        let further = folder.join("further-values.json");
        std::fs::write(&further, format!("{:#}\n", settings.values))?;
        values.push(further);
    }
    let began = Instant::now();
    let mut command = playground.helm_command().await?;
    command.args(["install", RELEASE]).arg(&chart).args(["--namespace", SYSTEM]);
    command.args(values.iter().flat_map(|file| [Path::new("--values"), file]));
    command.args(["--wait", "--timeout", INSTALLED_WITHIN]);
    if let Err(problem) = helm::run(&mut command).await {
        let words = pods::last_words(&playground.directory().join("pods"));
        return Err(
            problem.context(format!("the chart can't be installed; the operator's last words:\n{words}"))
        );
    }
    Ok(Release { chart, image, values, took: began.elapsed() })
}

/// Returns the stage's values for the chart. The stage creates the classes itself, since there are
/// two. It disables the teardown of previews, which are deleted with the whole cluster.
fn usual_values(settings: &Settings, told: &Told<'_>, url: &str, image: Option<&str>) -> Result<Value> {
    let mut values = json!({
        "replicaCount": 0,
        "webhook": {"existingSecret": {"name": WEBHOOK_SECRET}},
        "config": {
            "logLevel": settings.log,
            "sweepInterval": seconds(settings.sweep_interval)?,
            "githubWriteInterval": seconds(settings.github_write_interval)?,
            "slackApiUrl": told.slack_api_url,
            "slackResponseUrl": told.slack_response_url,
        },
        "defaultClass": {"create": false},
        "teardown": {"enabled": false},
    });
    if let Place::Cluster { replicas } = settings.place {
        let image = image.context("the operator has no image")?;
        let (name, tag) = image.rsplit_once(':').context("the operator's image has no tag")?;
        let (registry, repository) = name.split_once('/').context("the operator's image has no registry")?;
        values["replicaCount"] = replicas.into();
        values["image"] = json!({"registry": registry, "repository": repository, "tag": tag});
        values["config"]["publicUrl"] = url.into();
        values["pages"] = true.into();
        values["httpRoute"] = json!({
            "enabled": true,
            "parentRefs": [{"name": "previews", "namespace": "gateway-system"}],
            "hostnames": [HOST],
        });
        values["extraArgs"] = json!(settings.flags);
        // The stage and the tests read health and metrics from this machine, which is no pod of the
        // cluster.
        let machine = format!("{}/32", network::HOST_ADDRESS);
        values["networkPolicy"] =
            json!({"adminFrom": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": machine}}]});
    }
    Ok(values)
}

impl Stage {
    /// Returns the installed chart.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Runs Helm with the administrator's rights in the namespace [`super::SYSTEM`]. Returns its
    /// output. To upgrade: `stage.helm(&["upgrade", RELEASE, chart, "--reuse-values", "--set",
    /// "replicaCount=2", "--wait"])`.
    ///
    /// # Errors
    /// When it fails; the message has its output.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        helm::run(self.playground.helm_command().await?.env("HELM_NAMESPACE", SYSTEM).args(arguments)).await
    }
}
