//! Upgrades and rollbacks with live previews: only the operator's pods are replaced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use kube::ResourceExt as _;
use kube::api::ListParams;
use playground::stage::{Project, RELEASE, Stage};
use serde_json::Value;

use crate::harness::tests;
use crate::pods::replicas;
use crate::quiescence::{at_rest, calls, versions, writes};
use crate::support::{gone, namespace_of, shows, swept};

tests![
    an_upgrade_from_an_older_definition_and_back_disturbs_nothing(node),
    the_default_class_comes_with_an_upgrade(node),
];

/// A field that the older definition lacks and that nothing on the stage uses: opening hours.
const YOUNG: &str = "hours";
const REPOSITORIES: &str = "previewrepositories.matinee.dev";

/// Removes all properties of that name at any depth. Returns their number.
fn remove(schema: &mut Value, name: &str) -> usize {
    match schema {
        Value::Object(fields) => {
            let mut count = 0;
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                count += usize::from(properties.remove(name).is_some());
            }
            count + fields.values_mut().map(|field| remove(field, name)).sum::<usize>()
        }
        Value::Array(items) => items.iter_mut().map(|item| remove(item, name)).sum(),
        _ => 0,
    }
}

/// Creates the chart as it was before a field was added.
fn older_chart(stage: &Stage) -> Result<PathBuf> {
    let older = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("older-chart-{}", std::process::id()));
    copy(&stage.release().chart, &older)?;
    let path = older.join("files/crds/matinee.dev_previewrepositories.yaml");
    let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?)?;
    ensure!(remove(&mut definition, YOUNG) == 1, "{} has no field {YOUNG}", path.display());
    fs::write(&path, serde_json::to_string_pretty(&definition)?)?;
    let path = older.join("Chart.yaml");
    let text = fs::read_to_string(&path)?;
    let line = text.lines().find(|line| line.starts_with("version:")).context("the chart has no version")?;
    fs::write(&path, text.replace(line, "version: 0.0.1"))?;
    Ok(older)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Upgrades to a chart, with the values of the stage and some more, and waits until the upgrade is
/// complete.
pub async fn upgrade(stage: &Stage, chart: &Path, set: &[&str]) -> Result<()> {
    let mut arguments =
        vec!["upgrade", RELEASE, chart.to_str().context("path")?, "--wait", "--timeout", "3m"];
    let values: Vec<_> = stage.release().values.iter().filter_map(|file| file.to_str()).collect();
    arguments.extend(values.iter().flat_map(|file| ["--values", file]));
    arguments.extend(set.iter().flat_map(|value| ["--set", value]));
    stage.helm(&arguments).await.map(drop)
}

/// Returns whether the definition in the cluster has the field.
async fn has_young_field(stage: &Stage) -> Result<bool> {
    let definitions = stage.objects("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
    let mut definition = definitions.get(REPOSITORIES).await?.data;
    Ok(remove(&mut definition, YOUNG) > 0)
}

/// Returns the UIDs of the pods of a preview.
async fn pods(stage: &Stage, project: &Project, number: u64) -> Result<BTreeMap<String, String>> {
    let pods = stage.objects("v1", "Pod", Some(&namespace_of(project, number)));
    let pods = pods.list(&ListParams::default()).await?;
    ensure!(!pods.items.is_empty(), "the preview has no pod");
    Ok(pods.iter().map(|pod| (pod.name_any(), pod.uid().unwrap_or_default())).collect())
}

async fn an_upgrade_from_an_older_definition_and_back_disturbs_nothing(stage: &Stage) -> Result<()> {
    let chart = stage.release().chart.clone();
    let older = older_chart(stage)?;
    upgrade(stage, &older, &["podAnnotations.release=older"]).await?;
    ensure!(!has_young_field(stage).await?, "the older chart brings the young field");
    let (project, number, url) = at_rest(stage, "helm-upgrade").await?;

    for (what, has_field) in [("upgrade", true), ("rollback", false), ("upgrade", true)] {
        let before = versions(stage, &project, number).await?;
        let preview = pods(stage, &project, number).await?;
        let (old, _) = replicas(stage).await?;
        let mark = stage.mark();
        let already = calls(stage, &project, 0).await?.len();
        match what {
            "rollback" => {
                stage.helm(&["rollback", RELEASE, "--wait", "--timeout", "3m"]).await?;
            }
            _ => upgrade(stage, &chart, &["podAnnotations.release=newer"]).await?,
        }
        ensure!(has_young_field(stage).await? == has_field, "after the {what} the definition is another one");
        let (new, _) = replicas(stage).await?;
        ensure!(new.name != old.name, "the {what} replaced no pod");
        // The new leader reconciles everything, and sweeps.
        swept(stage, &project).await?;
        let after = versions(stage, &project, number).await?;
        ensure!(after == before, "the {what} changed objects:\nbefore {before:#?}\nafter {after:#?}");
        ensure!(pods(stage, &project, number).await? == preview, "the {what} replaced pods of the preview");
        let written = writes(stage, &project, number, mark)?;
        ensure!(written.is_empty(), "after the {what} the operator wrote: {written:#?}");
        let asked = calls(stage, &project, already).await?;
        let changing: Vec<_> = asked.iter().filter(|call| !call.starts_with("GET ")).collect();
        ensure!(changing.is_empty(), "after the {what} the operator wrote to GitHub: {changing:#?}");
        shows(stage, &url, "").await?;
    }
    stage.github().close(&project.repository, number).await?;
    gone(stage, &project, number).await?;
    fs::remove_dir_all(older)?;
    Ok(())
}

async fn the_default_class_comes_with_an_upgrade(stage: &Stage) -> Result<()> {
    let chart = stage.release().chart.clone();
    let usual = stage.classes().get(playground::stage::CLASS).await?;
    let values = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("class-{}.json", std::process::id()));
    let spec = &usual.data["spec"];
    let class = serde_json::json!({"defaultClass": {"create": true, "name": "from-chart", "spec": spec}});
    fs::write(&values, class.to_string())?;
    let mut arguments =
        vec!["upgrade", RELEASE, chart.to_str().context("path")?, "--wait", "--timeout", "3m"];
    let files: Vec<_> =
        stage.release().values.iter().chain([&values]).filter_map(|file| file.to_str()).collect();
    arguments.extend(files.iter().flat_map(|file| ["--values", file]));
    stage.helm(&arguments).await?;
    let made = stage.classes().get("from-chart").await?;
    if made.data["spec"] != *spec {
        bail!("the class has {}, not {spec}", made.data["spec"]);
    }
    // Applying it again doesn't replace the object.
    stage.helm(&arguments).await?;
    ensure!(stage.classes().get("from-chart").await?.uid() == made.uid(), "the class was recreated");
    // The right to apply it is deleted with the Job.
    let roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    ensure!(roles.get_opt(&format!("{RELEASE}-class")).await?.is_none(), "the hook's rights are left");
    fs::remove_file(values)?;
    Ok(())
}
