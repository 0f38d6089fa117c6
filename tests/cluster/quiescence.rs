//! Tells whether the operator wrote or read anything of a project with one environment since a
//! mark.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams};
use playground::Mark;
use playground::stage::{NewProject, Project, Stage};

use crate::support::{condition_is, live, name_of, namespace_of, settle, shows, swept, url_of};

/// Kinds that an environment consists of.
pub const KINDS: [(&str, &str); 7] = [
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
];

/// Returns the resource versions of everything that belongs to a project with one environment, by
/// kind and name.
pub async fn versions(stage: &Stage, project: &Project, number: u64) -> Result<BTreeMap<String, String>> {
    let namespace = namespace_of(project, number);
    let mut versions = BTreeMap::new();
    let mut add = |kind: &str, object: &DynamicObject| {
        let version = object.resource_version().unwrap_or_default();
        versions.insert(format!("{kind} {}", object.name_any()), version);
    };
    add("Namespace", &stage.objects("v1", "Namespace", None).get(&namespace).await?);
    for (kind, objects) in [
        ("PreviewRepository", stage.repositories(&project.namespace)),
        ("PreviewTemplate", stage.templates(&project.namespace)),
        ("DeploymentRequest", stage.requests(&project.namespace)),
        ("PreviewEnvironment", stage.environments(&project.namespace)),
    ] {
        objects.list(&ListParams::default()).await?.iter().for_each(|object| add(kind, object));
    }
    for (version, kind) in KINDS {
        let found = stage.objects(version, kind, Some(&namespace)).list(&ListParams::default()).await?;
        found.iter().for_each(|object| add(kind, object));
    }
    Ok(versions)
}

/// Returns what the operator wrote for a project since a mark.
pub fn writes(stage: &Stage, project: &Project, number: u64, since: Mark) -> Result<Vec<String>> {
    let namespace = namespace_of(project, number);
    let all = stage.writes(since)?;
    Ok(all
        .iter()
        .filter(|write| {
            write.namespace == project.namespace || write.namespace == namespace || write.name == namespace
        })
        .map(|write| {
            format!("{} {} {}/{} {}", write.verb, write.resource, write.namespace, write.name, write.code)
        })
        .collect())
}

/// Returns the operator's requests to GitHub about a project's repository after the first `already`
/// ones.
pub async fn calls(stage: &Stage, project: &Project, already: usize) -> Result<Vec<String>> {
    let prefix = format!("/repos/{}/", project.repository);
    let all = stage.github().requests().await?;
    Ok(all
        .iter()
        .filter(|request| request.path.starts_with(&prefix))
        .skip(already)
        .map(|request| format!("{} {} {}", request.method, request.path, request.status))
        .collect())
}

/// Creates a live environment and waits until everything is reported and written.
pub async fn at_rest(stage: &Stage, name: &str) -> Result<(Project, u64, String)> {
    let project = stage.project(NewProject::new(name)).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let url = url_of(&deployment)?;
    shows(stage, url, &pull.sha[..7]).await?;
    let environments = stage.environments(&project.namespace);
    condition_is(stage, &environments, &name_of(&project, pull.number), "Reported", "True").await?;
    settle(stage, &project).await?;
    // The cluster's own controllers write statuses for a moment, and a sweep finds the new
    // deployment.
    let mut before = versions(stage, &project, pull.number).await?;
    for _ in 0..6 {
        swept(stage, &project).await?;
        let now = versions(stage, &project, pull.number).await?;
        if now == before {
            return Ok((project, pull.number, url.to_owned()));
        }
        before = now;
    }
    bail!("the environment never comes to rest: {before:#?}")
}
