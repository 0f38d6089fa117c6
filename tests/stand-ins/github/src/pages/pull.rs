//! The page of a pull request, with what GitHub's own page shows.

use maud::{Markup, html};

use super::deployments::{card, links, state_badge};
use super::home::{badge, first_line};
use super::layout::{ago, commit, page as whole, picture, tabs, trail};
use super::{Missing, markdown};
use crate::state::checks::latest;
use crate::state::deployments::Deployment;
use crate::state::pulls::Pull;
use crate::state::repos::Repo;
use crate::state::timeline::Entry;
use crate::state::{Moment, State};

/// Returns the page of one pull request.
pub(super) fn page(state: &State, owner: &str, name: &str, number: &str) -> Result<Markup, Missing> {
    let repo = state.find_repo(owner, name).ok_or(Missing)?;
    let number: u64 = number.parse().map_err(|_| Missing)?;
    let pull = repo.pulls.get(&number).ok_or(Missing)?;
    let place = format!("/{}", repo.full_name());
    let own = format!("{place}/pull/{number}");
    let entries = state.pull_timeline(repo.id, number).map_err(|_| Missing)?;
    let content = html! {
        (tabs(&place, "Pull requests"))
        div.columns {
            div {
                div id="live" data-live {
                    h1 { (pull.title) " " span.number { "#" (number) } }
                    div.meta {
                        (badge(pull))
                        span.muted {
                            strong { (pull.author) } " wants to merge "
                            (state.commits_between(&pull.base.sha, &pull.head.sha).len()) " commits into "
                            span.branch { (pull.base.branch) } " from "
                            @match pull.head.repo {
                                Some(id) if id == repo.id => span.branch { (pull.head.branch) },
                                Some(_) => span.branch { (pull.head.owner) ":" (pull.head.branch) },
                                None => span.branch { "unknown repository" },
                            }
                        }
                    }
                    div.timeline {
                        @if let Some(body) = pull.body.as_deref().filter(|body| !body.is_empty()) {
                            (comment_box(state, &pull.author, body, pull.created_at))
                        }
                        (first_commits(state, repo, pull, &place))
                        @for entry in &entries { (event(state, repo, entry, &place)) }
                    }
                    (merge_box(state, repo, pull))
                }
                (comment_form(&own, pull))
            }
            (sidebar(pull, &own))
        }
    };
    Ok(whole(&format!("{} #{number}", pull.title), &trail(&repo.owner, &repo.name), &content))
}

/// Returns the commits that the pull request had when it was opened.
fn first_commits(state: &State, repo: &Repo, pull: &Pull, place: &str) -> Markup {
    let first = pull.heads.first().map_or(pull.head.sha.as_str(), String::as_str);
    let base = state.merge_base(&pull.base.sha, first).map_or(pull.base.sha.as_str(), |base| &base.sha);
    let base =
        if base == first { repo.branches.get(&pull.base.branch).map_or(base, String::as_str) } else { base };
    html! {
        @for one in state.commits_between(base, first) {
            (line("●", &html! {
                (commit(place, &one.sha)) " " (first_line(&one.message)) " " (ago(one.at))
            }))
        }
    }
}

fn line(dot: &str, content: &Markup) -> Markup {
    html! { div.event { span.dot { (dot) } (content) } }
}

fn comment_box(state: &State, author: &str, body: &str, at: Moment) -> Markup {
    html! {
        div.event {
            span.dot { (picture(state, author)) }
            div.comment {
                div.head { strong { (author) } " commented " (ago(at)) }
                div.body { (markdown::render(body)) }
            }
        }
    }
}

/// Returns one event of the timeline. A deployment occurs once, with its present state.
fn event(state: &State, repo: &Repo, entry: &Entry, place: &str) -> Markup {
    let at = chrono::DateTime::parse_from_rfc3339(&entry.at).map_or_else(|_| crate::state::now(), Into::into);
    let text = entry.text.as_deref().unwrap_or_default();
    let said =
        |dot: &str, what: Markup| line(dot, &html! { strong { (entry.actor) } " " (what) " " (ago(at)) });
    match entry.kind.as_str() {
        "commented" => html! {
            @if let Some(comment) = entry.comment.and_then(|id| repo.comments.get(&id)) {
                (comment_box(state, &comment.author, &comment.body, comment.created_at))
            }
        },
        "committed" => {
            let sha = entry.sha.as_deref().unwrap_or_default();
            line("●", &html! { (commit(place, sha)) " " (first_line(text)) " " (ago(at)) })
        }
        "labeled" => said("◈", html! { "added the " span.label { (text) } " label" }),
        "unlabeled" => said("◈", html! { "removed the " span.label { (text) } " label" }),
        "opened" => said("⌥", html! { "opened this pull request" }),
        "closed" => said("✕", html! { "closed this" }),
        "reopened" => said("↺", html! { "reopened this" }),
        "merged" => {
            said("⑃", html! { "merged commit " (commit(place, entry.sha.as_deref().unwrap_or_default())) })
        }
        "ready_for_review" => said("◉", html! { "marked this as ready for review" }),
        "convert_to_draft" => said("◌", html! { "marked this as a draft" }),
        "edited" => said("✎", html! { "changed the " (text) }),
        "head_repository_deleted" => said("✕", html! { "deleted the head repository" }),
        "deployment" => html! {
            @if let Some(deployment) = entry.deployment.and_then(|id| repo.deployments.get(&id)) {
                (line("▲", &card(deployment)))
            }
        },
        _ => html! {},
    }
}

/// Returns the merge box: deployments of the head, checks, and whether the pull request can be
/// merged.
fn merge_box(state: &State, repo: &Repo, pull: &Pull) -> Markup {
    if !pull.open {
        return html! {};
    }
    // Only deployments of the head itself count.
    let mut current: Vec<&Deployment> = Vec::new();
    for one in repo.deployments.values().rev().filter(|one| one.sha == pull.head.sha) {
        if !current.iter().any(|known| known.environment.eq_ignore_ascii_case(&one.environment)) {
            current.push(one);
        }
    }
    let checks: Vec<(String, String)> = latest(&repo.statuses, &pull.head.sha)
        .into_iter()
        .map(|status| (status.context.clone(), status.state.clone()))
        .chain(
            repo.checks
                .values()
                .filter(|run| run.sha == pull.head.sha)
                .map(|run| (run.name.clone(), run.conclusion.clone().unwrap_or_else(|| run.status.clone()))),
        )
        .collect();
    let red = checks.iter().any(|(_, state)| matches!(state.as_str(), "failure" | "error"));
    let bad = red || current.iter().any(|one| matches!(one.state(), Some("failure" | "error")));
    let clean = state.mergeable(pull);
    html! {
        div.merge.good[clean && !bad && !pull.draft].bad[bad || !clean] {
            @if !current.is_empty() {
                div {
                    strong { (headline(&current)) }
                    @for one in &current {
                        div.row { span.grow { (one.environment) } (state_badge(one)) (links(one)) }
                    }
                }
            }
            @if !checks.is_empty() {
                div {
                    strong { @if red { "Some checks were not successful" } @else { "Checks" } }
                    @for (name, state) in &checks {
                        div.row { span.grow { (name) } span class=(format!("state {state}")) { (state) } }
                    }
                }
            }
            div {
                @if pull.draft { strong { "This pull request is still a work in progress" } }
                @else if clean { strong { "This branch has no conflicts with the base branch" } }
                @else { strong { "This branch has conflicts that must be resolved" } }
            }
        }
    }
}

fn headline(current: &[&Deployment]) -> &'static str {
    let any =
        |states: &[&str]| current.iter().any(|one| one.state().is_some_and(|state| states.contains(&state)));
    if any(&["failure", "error"]) {
        "This branch had an error being deployed"
    } else if any(&["queued", "pending", "in_progress"]) || current.iter().any(|one| one.state().is_none()) {
        "This branch is being deployed"
    } else if any(&["success"]) {
        "This branch was successfully deployed"
    } else {
        "This branch has inactive deployments"
    }
}

fn comment_form(own: &str, pull: &Pull) -> Markup {
    html! {
        form.stack method="post" action=(format!("{own}/comment")) {
            textarea name="body" placeholder="Add a comment, such as /preview" required aria-label="Comment" {}
            div.row {
                input.grow name="author" value=(pull.author) aria-label="As";
                button.primary { "Comment" }
            }
        }
    }
}

fn sidebar(pull: &Pull, own: &str) -> Markup {
    let button = |action: &str, class: &str, text: &str| {
        html! { form.inline method="post" action=(format!("{own}/{action}")) { button class=(class) { (text) } } }
    };
    html! {
        aside {
            section id="state" data-live {
                h3 { "State" }
                div.buttons {
                    @if pull.open {
                        (button("merge", "primary", "Merge"))
                        @if pull.draft { (button("ready", "", "Ready for review")) }
                        @else { (button("draft", "", "Convert to draft")) }
                        (button("close", "danger", "Close"))
                    } @else if pull.merged_at.is_none() { (button("reopen", "", "Reopen")) }
                }
            }
            section {
                h3 { "Labels" }
                div.labels id="labels" data-live {
                    @for label in &pull.labels {
                        form.inline method="post" action=(format!("{own}/unlabel")) {
                            input type="hidden" name="label" value=(label);
                            button title="Remove" { (label) " ✕" }
                        }
                    }
                }
                form.stack method="post" action=(format!("{own}/label")) {
                    input name="label" placeholder="preview" required aria-label="Label";
                    button { "Add label" }
                }
            }
            section {
                h3 { "Push a commit to " span.branch { (pull.head.branch) } }
                form.stack method="post" action=(format!("{own}/push")) {
                    input name="path" placeholder="File (optional)" aria-label="File";
                    textarea name="content" placeholder="What is in it" aria-label="Content" {}
                    input name="message" placeholder="Message" aria-label="Message";
                    button { "Push" }
                }
            }
        }
    }
}
