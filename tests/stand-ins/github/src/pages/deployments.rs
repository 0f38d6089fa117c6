//! Deployments, as boxes on pull requests and as a list.

use maud::{Markup, html};

use super::layout::{ago, commit, tabs, trail};
use super::{Missing, layout};
use crate::state::State;
use crate::state::deployments::Deployment;

/// Returns GitHub's word for a deployment's state, and its CSS class.
pub(super) fn word(deployment: &Deployment) -> (&'static str, &'static str) {
    match deployment.state() {
        Some("success") => ("success", "Active"),
        Some("failure") => ("failure", "Failure"),
        Some("error") => ("error", "Error"),
        Some("in_progress") => ("in_progress", "In progress"),
        Some("queued") => ("queued", "Queued"),
        Some("inactive") if deployment.transient => ("destroyed", "Destroyed"),
        Some("inactive") => ("inactive", "Inactive"),
        _ => ("pending", "Pending"),
    }
}

/// Returns the state as a badge.
pub(super) fn state_badge(deployment: &Deployment) -> Markup {
    let (class, text) = word(deployment);
    html! { span class=(format!("state {class}")) { (text) } }
}

/// Returns links to the environment, while it exists, and to the log.
pub(super) fn links(deployment: &Deployment) -> Markup {
    let last = deployment.statuses.last();
    let url = last.map(|status| status.environment_url.as_str()).filter(|url| !url.is_empty());
    let log = last.map(|status| status.log_url.as_str()).filter(|url| !url.is_empty());
    let there = deployment.state() != Some("inactive");
    html! {
        @if let Some(url) = url.filter(|_| there) {
            a.button href=(url) rel="noreferrer noopener" target="_blank" { "View deployment" }
        }
        @if let Some(log) = log { a href=(log) rel="noreferrer noopener" target="_blank" { "Log" } }
    }
}

/// Returns GitHub's sentence about the deployment.
fn sentence(deployment: &Deployment) -> &'static str {
    match (deployment.state(), deployment.transient) {
        (Some("success" | "inactive"), true) => "temporarily deployed to",
        (Some("success" | "inactive"), false) => "deployed to",
        (Some("failure" | "error"), _) => "had a problem deploying to",
        (Some("in_progress"), _) => "is deploying to",
        _ => "requested a deployment to",
    }
}

/// Returns a deployment on a timeline.
pub(super) fn card(deployment: &Deployment) -> Markup {
    let last = deployment.statuses.last().map_or("", |status| status.description.as_str());
    html! {
        div.deploy {
            div.grow {
                strong { (deployment.creator) } " " (sentence(deployment)) " "
                strong { (deployment.environment) } " " (ago(deployment.created_at))
                @if !last.is_empty() { div.muted { (last) } }
            }
            (state_badge(deployment)) (links(deployment))
            (history(deployment))
        }
    }
}

fn history(deployment: &Deployment) -> Markup {
    html! {
        @if !deployment.statuses.is_empty() {
            details id=(format!("history-{}", deployment.id)) {
                summary {
                    (deployment.statuses.len()) @if deployment.statuses.len() == 1 { " status" } @else { " statuses" }
                }
                ol {
                    @for status in &deployment.statuses {
                        li {
                            strong { (status.state) } " "
                            @if status.automatic { span.muted { "(superseded) " } }
                            (status.description) " " (ago(status.created_at))
                        }
                    }
                }
            }
        }
    }
}

/// Returns all deployments of a repository, newest first.
pub(super) fn page(state: &State, owner: &str, name: &str) -> Result<Markup, Missing> {
    let repo = state.find_repo(owner, name).ok_or(Missing)?;
    let place = format!("/{}", repo.full_name());
    let content = html! {
        (tabs(&place, "Deployments"))
        div id="deployments" data-live {
            @if repo.deployments.is_empty() { p.empty { "Nothing has been deployed yet." } } @else {
                table.wide {
                    tr { th { "Environment" } th { "State" } th { "Commit" } th { "By" } th { "Description" } th {} }
                    @for deployment in repo.deployments.values().rev() {
                        tr {
                            td { strong { (deployment.environment) } br; (ago(deployment.created_at)) }
                            td { (state_badge(deployment)) }
                            td { (commit(&place, &deployment.sha)) }
                            td { (deployment.creator) }
                            td { (deployment.statuses.last().map_or("", |status| status.description.as_str())) }
                            td { (links(deployment)) }
                        }
                    }
                }
            }
        }
    };
    let title = format!("Deployments of {}", repo.full_name());
    Ok(layout::page(&title, &trail(&repo.owner, &repo.name), &content))
}
