//! What `kubectl get` prints, and the names under which it finds the resources. The API server
//! makes the tables; `kubectl` only prints them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use kube::api::{DynamicObject, PostParams};
use playground::stage::{CLASS, NewProject, Stage};
use serde_json::{Value, json};

use super::VERSION;
use crate::support::{condition_is, live, name_of, url_of};

/// Returns a page of the API as JSON.
async fn get(stage: &Stage, path: &str, accept: &str) -> Result<Value> {
    let request = http::Request::get(path).header("Accept", accept).body(Vec::new())?;
    stage.client().request(request).await.with_context(|| path.to_owned())
}

/// Returns the cells of the row with that name, by the headings of their columns; columns that only
/// `-o wide` shows begin with `+`.
async fn row(stage: &Stage, path: &str, name: &str) -> Result<(Vec<String>, BTreeMap<String, String>)> {
    let table = get(
        stage,
        &format!("/apis/matinee.dev/v1alpha1/{path}"),
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    )
    .await?;
    let headings: Vec<_> = table["columnDefinitions"]
        .as_array()
        .with_context(|| format!("{path} is no table"))?
        .iter()
        .map(|column| {
            let name = column["name"].as_str().unwrap_or_default().to_uppercase();
            if column["priority"] == 0 { name } else { format!("+{name}") }
        })
        .collect();
    let rows = table["rows"].as_array().cloned().unwrap_or_default();
    let row =
        rows.iter().find(|row| row["cells"][0] == name).with_context(|| format!("{path} has no {name}"))?;
    let cells = row["cells"].as_array().into_iter().flatten();
    let cells = cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned));
    Ok((headings.clone(), headings.into_iter().zip(cells).collect()))
}

pub(super) async fn every_kind_is_listed_as_people_read_it(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("schema-tables")).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let namespaced = |plural: &str| format!("namespaces/{}/{plural}", project.namespace);
    let number = pull.number.to_string();
    let name = name_of(&project, pull.number);
    let request = format!("{name}-{}", &pull.sha[..12]);
    let id = deployment.id.to_string();
    // The DeploymentRequest follows GitHub's acknowledgement after a moment.
    condition_is(stage, &stage.requests(&project.namespace), &request, "Succeeded", "True").await?;
    let command = command(stage, &project.namespace, &project.name, pull.number).await?;

    for (path, name, expected) in [
        (
            "previewclasses".to_owned(),
            CLASS,
            &[("DOMAIN", "preview.localhost"), ("READY", "True"), ("STATUS", "Ready"), ("AGE", "")][..],
        ),
        (
            namespaced("previewrepositories"),
            &project.name,
            &[
                ("REPOSITORY", project.repository.as_str()),
                ("CLASS", CLASS),
                ("READY", "True"),
                ("STATUS", "Ready"),
                ("LOCKED", ""),
                ("AGE", ""),
            ],
        ),
        (
            namespaced("previewtemplates"),
            &project.name,
            &[("READY", "True"), ("STATUS", "Ready"), ("AGE", "")],
        ),
        (
            namespaced("deploymentrequests"),
            &request,
            &[
                ("ENVIRONMENT", "preview"),
                ("PR", &number),
                ("+SHA", &pull.sha),
                ("CREATED", "True"),
                ("STATUS", "Succeeded"),
                ("DEPLOYMENT", &id),
                ("AGE", ""),
            ],
        ),
        (
            namespaced("deploymentcommands"),
            &command,
            &[
                ("TEXT", "/status"),
                ("BY", "octocat"),
                ("PR", &number),
                ("STATUS", ""),
                ("+MESSAGE", ""),
                ("AGE", ""),
            ],
        ),
        (
            namespaced("previewenvironments"),
            &name,
            &[
                ("PR", &number),
                ("READY", "True"),
                ("STATUS", "Ready"),
                ("URL", url_of(&deployment)?),
                ("SHA", &pull.sha[..7]),
                ("EXPIRES", ""),
                ("+MESSAGE", ""),
                ("AGE", ""),
            ],
        ),
    ] {
        let (headings, cells) = row(stage, &path, name).await?;
        let expected_headings: Vec<_> =
            std::iter::once("NAME").chain(expected.iter().map(|(heading, _)| *heading)).collect();
        ensure!(headings == expected_headings, "{path} has {headings:?}, not {expected_headings:?}");
        for (heading, text) in expected.iter().filter(|(_, text)| !text.is_empty()) {
            ensure!(cells[*heading] == *text, "{path}: {heading} is {:?}, not {text:?}", cells[*heading]);
        }
        let age = cells["AGE"].trim_end_matches(['s', 'm']).replace('m', "");
        ensure!(!age.is_empty() && age.bytes().all(|byte| byte.is_ascii_digit()), "{path}: {cells:?}");
    }
    // `kubectl` would print a date in the future as `<invalid>`, so the column is text.
    let (_, cells) = row(stage, &namespaced("previewenvironments"), &name).await?;
    ensure!(cells["EXPIRES"].starts_with("20") && cells["EXPIRES"].ends_with('Z'), "{cells:?}");
    stage.github().close(&project.repository, pull.number).await?;
    Ok(())
}

/// Creates a command that nobody gave on GitHub, and returns its name. Its outcome doesn't matter
/// for the table.
async fn command(stage: &Stage, namespace: &str, repository: &str, number: u64) -> Result<String> {
    let name = format!("{repository}-comment-1");
    let given = json!({
        "apiVersion": VERSION,
        "kind": "DeploymentCommand",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "repositoryRef": {"name": repository},
            "text": "/status",
            "login": "octocat",
            "comment": {"id": 1, "pullRequest": {"number": number}},
        },
    });
    let given: DynamicObject = serde_json::from_value(given)?;
    stage
        .objects(VERSION, "DeploymentCommand", Some(namespace))
        .create(&PostParams::default(), &given)
        .await?;
    Ok(name)
}

pub(super) async fn short_names_are_short_and_nobody_elses(stage: &Stage) -> Result<()> {
    let groups = get(stage, "/apis", "application/json").await?;
    let mut paths = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().into_iter().flatten() {
        let version =
            group["preferredVersion"]["groupVersion"].as_str().context("a group without a version")?;
        paths.push(format!("/apis/{version}"));
    }
    let (mut ours, mut others) = (BTreeMap::new(), BTreeSet::new());
    for path in paths {
        let found = get(stage, &path, "application/json").await?;
        for resource in found["resources"].as_array().into_iter().flatten() {
            let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
            if text(&resource["name"]).contains('/') {
                continue;
            }
            let short = resource["shortNames"].as_array().into_iter().flatten().map(text);
            if path == "/apis/matinee.dev/v1alpha1" {
                ensure!(resource["categories"] == json!(["matinee"]), "{resource}");
                ours.insert(text(&resource["kind"]), short.collect::<Vec<_>>());
            } else {
                others.extend(short);
                others.extend([text(&resource["name"]), text(&resource["singularName"])]);
            }
        }
    }
    // People type `previews` for many of them.
    let expected = [
        ("DeploymentCommand", "dcmd"),
        ("DeploymentRequest", "dreq"),
        ("PreviewClass", "pclass"),
        ("PreviewEnvironment", "preview previews"),
        ("PreviewTemplate", "ptpl"),
        ("PreviewRepository", "prepo"),
    ];
    let expected =
        expected.map(|(kind, short)| (kind.to_owned(), short.split(' ').map(str::to_owned).collect()));
    ensure!(ours == BTreeMap::from(expected), "{ours:?}");
    for (kind, short) in &ours {
        for name in short {
            ensure!(!others.contains(name), "{name} is not {kind}'s alone");
        }
    }
    Ok(())
}
