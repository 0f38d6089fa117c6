//! A real Prometheus with the chart's rules scrapes the replicas' metrics.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use playground::stage::github::types::NewHook;
use playground::stage::{NewProject, RELEASE, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::pods::{replicas, set};
use crate::support::{SOON, live, open, shows, url_of};

tests![every_metric_is_scraped_and_alerts_fire(node)];

/// A server on loopback with a folder of its own. It stops when dropped.
struct Prometheus {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    async fn start(targets: &[String], rules: &Value) -> Result<Self> {
        let program = playground::prometheus(|line| eprintln!("{line}")).await?;
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("rules.json"), rules.to_string())?;
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.json"],
            "scrape_configs": [{"job_name": "matinee-metrics", "static_configs": [{"targets": targets, "labels": {"namespace": "matinee-system"}}]}],
        });
        std::fs::write(folder.join("prometheus.json"), config.to_string())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program)
            .arg("--config.file=prometheus.json")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.path=data")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log"))?)
            .spawn()?;
        Ok(Self { child, folder, url: format!("http://127.0.0.1:{port}/api/v1") })
    }

    async fn ask(&self, stage: &Stage, path: &str) -> Result<Value> {
        let answer = stage.fetch(&format!("{}/{path}", self.url)).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// Waits until an alert fires.
    async fn fires(&self, stage: &Stage, name: &str) -> Result<()> {
        stage
            .wait_for(&format!("{name} fires"), SOON, async || {
                let alerts = self.ask(stage, "alerts").await?;
                let all = alerts["data"]["alerts"].as_array().context("no alerts")?;
                let fires =
                    |alert: &&Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
                let found = all.iter().find(fires).with_context(|| format!("{all:?}"))?;
                ensure!(
                    found["annotations"]["runbook_url"].as_str().is_some_and(|url| url.contains('#')),
                    "{found}"
                );
                Ok(())
            })
            .await
    }
}

/// Returns the chart's rules for a release with the Prometheus operator, without the waiting times
/// of alerts.
async fn rules(stage: &Stage) -> Result<Value> {
    let chart = stage.release().chart.to_str().context("path")?.to_owned();
    let values = std::fs::read_to_string(stage.release().chart.join("values.yaml"))?;
    let values: Value = serde_saphyr::from_str(&values)?;
    let alerts = values["metrics"]["prometheusRule"]["alerts"].as_object().context("no alerts")?.clone();
    let mut arguments = vec!["template".to_owned(), RELEASE.to_owned(), chart, "--show-only".to_owned()];
    arguments.push("templates/monitoring/prometheusrule.yaml".to_owned());
    arguments.extend(["--set".to_owned(), "metrics.prometheusRule.enabled=true".to_owned()]);
    for name in alerts.keys() {
        arguments.extend(["--set".to_owned(), format!("metrics.prometheusRule.alerts.{name}.for=0s")]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let rule: Value = serde_saphyr::from_str(&stage.helm(&arguments).await?)?;
    ensure!(rule["kind"] == "PrometheusRule", "{rule}");
    Ok(json!({"groups": rule["spec"]["groups"]}))
}

async fn every_metric_is_scraped_and_alerts_fire(stage: &Stage) -> Result<()> {
    let (leader, others) = replicas(stage).await?;
    let targets: Vec<_> = others
        .iter()
        .chain([&leader])
        .map(|pod| pod.admin_url().trim_start_matches("http://").to_owned())
        .collect();
    let prometheus = Prometheus::start(&targets, &rules(stage).await?).await?;
    stage
        .wait_for("Prometheus scrapes every replica", SOON, async || {
            let up = prometheus.ask(stage, "query?query=sum(up)").await?;
            let count = up["data"]["result"][0]["value"][1].as_str().context("none")?;
            ensure!(count.parse() == Ok(targets.len()), "{up}");
            Ok(())
        })
        .await?;

    // A complete life of a preview, so that every metric has counted something.
    let project = stage.project(NewProject::new("helm-metrics")).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    shows(stage, url_of(&deployment)?, &pull.sha[..7]).await?;
    let query = "query?query=count(count%20by(__name__)(%7B__name__%3D~%22matinee_.*%22%7D))";
    stage
        .wait_for("every metric is there", SOON, async || {
            let names = prometheus.ask(stage, "label/__name__/values").await?;
            let names = names["data"].as_array().context("no names")?;
            let missing: Vec<_> = matinee::metrics::ALL
                .iter()
                .map(|metric| metric.name)
                .filter(|wanted| {
                    !names.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with(wanted)))
                })
                .collect();
            ensure!(missing.is_empty(), "{missing:?} of {}", prometheus.ask(stage, query).await?);
            Ok(())
        })
        .await?;
    let previews = "query?query=sum(matinee_previews%7Bstate%3D%22ready%22%7D)";
    stage
        .wait_for("the preview is counted", SOON, async || {
            let ready = prometheus.ask(stage, previews).await?;
            let ready: f64 = ready["data"]["result"][0]["value"][1].as_str().context("none")?.parse()?;
            ensure!(ready >= 1.0, "{ready}");
            Ok(())
        })
        .await?;
    let leaders = prometheus.ask(stage, "query?query=sum(matinee_leader)").await?;
    ensure!(leaders["data"]["result"][0]["value"][1] == "1", "{leaders}");

    // Prometheus can evaluate every rule.
    let found = prometheus.ask(stage, "rules").await?;
    let rules = found["data"]["groups"][0]["rules"].as_array().context("no rules")?;
    ensure!(rules.len() >= 10, "{} rules", rules.len());
    for rule in rules {
        ensure!(rule["health"] == "ok", "{}: {}", rule["name"], rule["lastError"]);
    }

    // The hook signs with another secret.
    let hook = NewHook {
        url: stage.operator().webhook_url(),
        secret: Some("another secret than the one it knows".to_owned()),
        events: vec!["*".to_owned()],
        content_type: None,
    };
    let forged = stage.project(NewProject::new("helm-forged").without_webhook()).await?;
    let hook = stage.github().create_hook(&forged.repository, hook).await?;
    for index in 0..8 {
        open(stage, &forged, &format!("feature-{index}")).await?;
    }
    stage.github().settle_hook(hook, SOON).await?;
    let refused = "query?query=sum(increase(matinee_webhooks_total%7Bresult%3D%22refused%22%7D%5B1m%5D))";
    stage
        .wait_for("refused webhooks are counted", SOON, async || {
            let counted = prometheus.ask(stage, refused).await?;
            let counted: f64 = counted["data"]["result"][0]["value"][1].as_str().context("none")?.parse()?;
            ensure!(counted > 8.0, "{counted}");
            Ok(())
        })
        .await?;
    set(stage, "drain", json!("true")).await?;
    let fired = prometheus.fires(stage, "MatineeDraining").await;
    set(stage, "drain", Value::Null).await?;
    fired?;
    // There is no target to scrape.
    stage
        .helm(&[
            "upgrade",
            RELEASE,
            stage.release().chart.to_str().context("path")?,
            "--reuse-values",
            "--set",
            "replicaCount=0",
        ])
        .await?;
    let fired = prometheus.fires(stage, "MatineeDown").await;
    crate::upgrade::upgrade(stage, &stage.release().chart, &[]).await?;
    fired?;
    drop(prometheus);
    replicas(stage).await?;
    stage.github().close(&project.repository, pull.number).await?;
    crate::support::gone(stage, &project, pull.number).await
}
