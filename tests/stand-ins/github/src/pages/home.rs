//! Pages of repositories with their pull requests, and of commits.

use maud::{Markup, html};

use super::Missing;
use super::layout::{ago, commit as commit_link, page, picture, short, tabs, trail};
use crate::state::State;
use crate::state::pulls::Pull;
use crate::state::repos::Repo;

/// Returns all repositories.
pub(super) fn all(state: &State) -> Markup {
    let content = html! {
        h1 { "Repositories" }
        div id="repositories" data-live {
            @if state.repos.is_empty() {
                p.empty { "There are none yet. Make one with " code { "POST /_control/repos" } "." }
            }
            @for repo in state.repos.values() {
                h2 {
                    a href=(format!("/{}", repo.full_name())) { (repo.full_name()) } " "
                    @if repo.private { span.label { "Private" } }
                    @if let Some(parent) = repo.parent.and_then(|id| state.repos.get(&id)) {
                        span.label { "Fork of " (parent.full_name()) }
                    }
                }
                (pulls(repo))
            }
        }
    };
    page("Repositories", &[], &content)
}

/// Returns one repository, with forms to push and to open a pull request.
pub(super) fn repository(state: &State, owner: &str, name: &str) -> Result<Markup, Missing> {
    let repo = state.find_repo(owner, name).ok_or(Missing)?;
    let place = format!("/{}", repo.full_name());
    let content = html! {
        (tabs(&place, "Pull requests"))
        div.columns {
            div {
                div id="pulls" data-live { (pulls(repo)) (branches(state, repo)) }
            }
            aside {
                section {
                    h3 { "Open a pull request" }
                    form.stack method="post" action=(format!("{place}/pulls")) {
                        input name="head" placeholder="branch, or owner:branch" required aria-label="Head";
                        input name="title" placeholder="Title" aria-label="Title";
                        input name="label" placeholder="Label, such as preview" aria-label="Label";
                        label { input type="checkbox" name="draft" value="1"; " Draft" }
                        button.primary { "Open pull request" }
                    }
                }
                section {
                    h3 { "Push a commit" }
                    form.stack method="post" action=(format!("{place}/push")) {
                        input name="branch" value=(repo.default_branch) required aria-label="Branch";
                        input name="path" placeholder="File (optional)" aria-label="File";
                        textarea name="content" placeholder="What is in it" aria-label="Content" {}
                        input name="message" placeholder="Message" aria-label="Message";
                        button { "Push" }
                    }
                }
            }
        }
    };
    Ok(page(&repo.full_name(), &trail(&repo.owner, &repo.name), &content))
}

/// Returns the badge of a pull request's state.
pub(super) fn badge(pull: &Pull) -> Markup {
    let (class, text) = match (pull.merged_at.is_some(), pull.open, pull.draft) {
        (true, ..) => ("merged", "Merged"),
        (_, false, _) => ("closed", "Closed"),
        (_, _, true) => ("draft", "Draft"),
        _ => ("open", "Open"),
    };
    html! { span class=(format!("badge {class}")) { (text) } }
}

fn pulls(repo: &Repo) -> Markup {
    html! {
        div.list {
            div.head { (repo.pulls.values().filter(|pull| pull.open).count()) " open pull requests" }
            @if repo.pulls.is_empty() { div.empty { "No pull requests yet" } }
            @for pull in repo.pulls.values().rev() {
                div.row {
                    (badge(pull))
                    div.grow {
                        a href=(format!("/{}/pull/{}", repo.full_name(), pull.number)) { (pull.title) } " "
                        @for label in &pull.labels { span.label { (label) } }
                        div.muted { "#" (pull.number) " by " (pull.author) " from " span.branch { (pull.head.branch) } }
                    }
                    (ago(pull.updated_at))
                }
            }
        }
    }
}

fn branches(state: &State, repo: &Repo) -> Markup {
    let place = format!("/{}", repo.full_name());
    html! {
        div.list {
            div.head { "Branches" }
            @for (name, sha) in &repo.branches {
                div.row {
                    span.branch { (name) }
                    div.grow { (first_line(&state.commits[sha].message)) }
                    (commit_link(&place, sha))
                    (ago(state.commits[sha].at))
                }
            }
        }
    }
}

/// Returns a text's first line.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Returns one commit with what it changed.
pub(super) fn commit(state: &State, owner: &str, name: &str, sha: &str) -> Result<Markup, Missing> {
    let repo = state.find_repo(owner, name).ok_or(Missing)?;
    let commit = state.commits.get(sha).filter(|commit| commit.network == repo.network).ok_or(Missing)?;
    let content = html! {
        h1 { (first_line(&commit.message)) }
        div.meta {
            (picture(state, commit.author.login.as_deref().unwrap_or_default()))
            strong { (commit.author.name) } " committed " (ago(commit.at)) code { (commit.sha) }
        }
        @for change in state.diff(commit.parents.first().map(String::as_str), sha) {
            div.list {
                div.head { (change.path) " " span.muted { "+" (change.additions) " −" (change.deletions) } }
                pre { (change.patch) }
            }
        }
    };
    Ok(page(&format!("Commit {}", short(sha)), &trail(&repo.owner, &repo.name), &content))
}
