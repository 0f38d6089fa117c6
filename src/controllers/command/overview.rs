//! Overview of the environments: for each one the last deployment, its state, and the waiting
//! requests.

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::CommandScope;
use crate::api::{Lock, RepositoryEnvironment};
use crate::controllers::request;
use crate::core::chatops::{self, Reply, Row};
use crate::core::forge::StatusState;
use crate::core::naming;
use crate::core::truncate::short_sha;
use crate::runtime::failure::Failure;

/// State of one environment.
struct Found<'a> {
    environment: &'a str,
    sha: Option<String>,
    state: String,
    url: Option<String>,
    since: Option<Timestamp>,
    lock: Option<&'a Lock>,
    waiting: Option<String>,
}

/// Returns the answer to `where`.
pub(super) async fn survey(scope: &CommandScope<'_>) -> Result<String, Failure> {
    let number = scope.command.spec.comment.as_ref().map(|comment| comment.pull_request.number);
    let mut found = Vec::new();
    for entry in &scope.repository.spec.environments {
        // Environments of pull requests appear only in the answer on a pull request.
        if let Some(github_environment) = naming::place_seen_from(entry, number) {
            found.push(look(scope, entry, &github_environment).await?);
        }
    }
    let rows: Vec<Row<'_>> = found
        .iter()
        .map(|found| Row {
            environment: found.environment,
            sha: found.sha.as_deref(),
            state: &found.state,
            url: found.url.as_deref(),
            since: found.since,
            lock: found.lock,
            waiting: found.waiting.as_deref(),
        })
        .collect();
    Ok(chatops::reply(&Reply::Where(&rows), scope.channel, &scope.command.uid().unwrap_or_default()))
}

async fn look<'a>(
    scope: &'a CommandScope<'_>,
    entry: &'a RepositoryEnvironment,
    github_environment: &str,
) -> Result<Found<'a>, Failure> {
    let deployments = scope.forge.deployments(&scope.name, github_environment, None).await?;
    let mut found = Found {
        environment: &entry.name,
        sha: None,
        state: "empty".to_owned(),
        url: None,
        since: None,
        lock: scope.repository.spec.locks.iter().find(|lock| lock.environment == entry.name),
        waiting: waiting(scope, entry),
    };
    if let Some(newest) = deployments.first() {
        let statuses = scope.forge.deployment_statuses(&scope.name, newest.id).await?;
        let status = statuses.items.first();
        found.sha = Some(newest.sha.clone());
        let state = match status.map(|status| &status.state) {
            Some(StatusState::Success) => "live",
            Some(state) if state.is_failed() => "failed",
            Some(StatusState::Inactive) => "inactive",
            Some(_) => "in progress",
            None => "requested",
        };
        state.clone_into(&mut found.state);
        found.url = status.and_then(|status| status.environment_url.clone());
        found.since = status.map_or(&newest.created_at, |status| &status.created_at).parse().ok();
    }
    Ok(found)
}

/// Returns the commits that wait to be deployed there, each with what it waits for.
fn waiting(scope: &CommandScope<'_>, entry: &RepositoryEnvironment) -> Option<String> {
    let mut requests = scope.requests();
    requests.retain(|request| {
        request.spec.environment == entry.name
            && request.status.as_ref().is_some_and(|status| status.deployment_id.is_none())
    });
    let waiting = requests.iter().filter_map(|request| {
        let (status, _, message) = request::ready(request)?;
        let sha = short_sha(&request.spec.sha);
        (status == "Unknown" && !message.is_empty()).then(|| format!("{sha}: {message}"))
    });
    let all: Vec<String> = waiting.collect();
    (!all.is_empty()).then(|| all.join("; "))
}
