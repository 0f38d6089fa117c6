//! <https://docs.github.com/rest/checks/runs> and <https://docs.github.com/rest/checks/suites>

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::api::auth::{Identity, Need};
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, commits, number};
use crate::show::commits::{check_run, check_suite};
use crate::state::checks::{CheckChange, CheckRun, CheckSuite};

const READ: Need = Need::read(&["checks"]);
const WRITE: Need = Need::write(&["checks"]);

pub(crate) const STATUSES: [&str; 6] =
    ["queued", "in_progress", "completed", "waiting", "requested", "pending"];
pub(crate) const CONCLUSIONS: [&str; 8] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"];

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("POST", ["check-runs"]) => ("checks/runs#create-a-check-run", create(cx, repo)),
        ("GET", ["check-runs", id]) => ("checks/runs#get-a-check-run", get(cx, repo, id)),
        ("PATCH", ["check-runs", id]) => ("checks/runs#update-a-check-run", update(cx, repo, id)),
        ("GET", ["check-suites", id]) => ("checks/suites#get-a-check-suite", suite(cx, repo, id)),
        ("GET", ["check-suites", id, "check-runs"]) => {
            ("checks/runs#list-check-runs-in-a-check-suite", of_suite(cx, repo, id))
        }
        _ => ("", Err(Problem::not_found())),
    }
}

/// Returns the check runs or suites of the commit that a ref names.
pub(crate) fn for_ref(
    cx: &mut Cx<'_>,
    repo: (&str, &str),
    reference: &str,
    kind: &str,
) -> (&'static str, Answer) {
    if kind == "check-runs" {
        ("checks/runs#list-check-runs-for-a-git-reference", runs_of_ref(cx, repo, reference))
    } else {
        ("checks/suites#list-check-suites-for-a-git-reference", suites_of_ref(cx, repo, reference))
    }
}

fn runs_of_ref(cx: &mut Cx<'_>, (owner, name): (&str, &str), reference: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let sha = commits::resolve(cx, id, reference)?;
    list(cx, id, |run| run.sha == sha)
}

fn of_suite(cx: &mut Cx<'_>, (owner, name): (&str, &str), suite: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let suite = number(suite)?;
    if !cx.found(id)?.suites.contains_key(&suite) {
        return Err(Problem::not_found());
    }
    list(cx, id, |run| run.suite == suite)
}

fn list(cx: &Cx<'_>, id: u64, belongs: impl Fn(&CheckRun) -> bool) -> Answer {
    let repo = cx.found(id)?;
    let call = cx.call;
    let (name, status) = (call.query("check_name"), call.query("status"));
    let app = call.query("app_id").and_then(|id| id.parse::<u64>().ok());
    let all = call.query("filter") == Some("all");
    let mut runs: Vec<&CheckRun> = Vec::new();
    for run in repo.checks.values().rev().filter(|run| belongs(run)) {
        // "latest" is the latest run of each name in its suite.
        if all || !runs.iter().any(|known| known.name == run.name && known.suite == run.suite) {
            runs.push(run);
        }
    }
    runs.retain(|run| {
        name.is_none_or(|name| run.name == name)
            && status.is_none_or(|status| run.status == status)
            && app.is_none_or(|app| run.app == Some(app))
    });
    Ok(cx.wrapped(
        id,
        &runs,
        |run| check_run(cx.state, repo, run),
        |shown, total| json!({"total_count": total, "check_runs": shown}),
    ))
}

fn suites_of_ref(cx: &mut Cx<'_>, (owner, name): (&str, &str), reference: &str) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let sha = commits::resolve(cx, id, reference)?;
    let repo = cx.found(id)?;
    let suites: Vec<&CheckSuite> = repo.suites.values().filter(|suite| suite.sha == sha).collect();
    Ok(cx.wrapped(
        id,
        &suites,
        |suite| check_suite(cx.state, repo, suite),
        |shown, total| json!({"total_count": total, "check_suites": shown}),
    ))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let run = repo.checks.get(&number(id)?).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(check_run(cx.state, repo, run)))
}

fn suite(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let repo = cx.found(repo)?;
    let suite = repo.suites.get(&number(id)?).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(check_suite(cx.state, repo, suite)))
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    only_apps(cx)?;
    let mut fields = Fields::read(cx.call)?;
    let (run_name, sha) = (fields.required("name"), fields.required("head_sha"));
    let change = read(&mut fields)?;
    if sha.len() != 40 || !cx.state.commits.contains_key(&sha) {
        return Err(Problem::unprocessable(format!("No commit found for SHA: {sha}")));
    }
    let (actor, app) = (cx.login(), cx.who.app());
    let change = CheckChange { name: Some(run_name), ..change };
    let id = cx.state.add_check(repo, &sha, change, (app, None), &actor)?;
    let found = cx.found(repo)?;
    Ok(Reply::created(check_run(cx.state, found, &found.checks[&id])))
}

fn update(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    only_apps(cx)?;
    let id = number(id)?;
    let run = cx.found(repo)?.checks.get(&id).ok_or_else(Problem::not_found)?;
    if run.app != cx.who.app() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Invalid app_id `check_run` not owned by app"));
    }
    let mut fields = Fields::read(cx.call)?;
    let name = fields.string("name");
    let change = CheckChange { name, ..read(&mut fields)? };
    let actor = cx.login();
    cx.state.change_check(repo, id, change, &actor)?;
    let found = cx.found(repo)?;
    Ok(Reply::ok(check_run(cx.state, found, &found.checks[&id])))
}

fn only_apps(cx: &Cx<'_>) -> Result<(), Problem> {
    if matches!(cx.who, Identity::Installation { .. }) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "You must authenticate via a GitHub App."))
}

fn read(fields: &mut Fields) -> Result<CheckChange, Problem> {
    let status = fields.word("status", &STATUSES);
    let conclusion = fields.word("conclusion", &CONCLUSIONS);
    let details_url = fields.string("details_url");
    let external_id = fields.string("external_id");
    let output = fields.object("output");
    let text = |name: &str| output.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let (title, summary) = (text("title"), text("summary"));
    if output.is_some() && (title.is_none() || summary.is_none()) {
        let missing = if title.is_none() { "title" } else { "summary" };
        fields.complain(format!("For 'properties/output', \"{missing}\" wasn't supplied."));
    }
    if status.as_deref() == Some("completed") && conclusion.is_none() {
        fields.complain("No subschema in \"anyOf\" matched.\n\"conclusion\" wasn't supplied.".to_owned());
    }
    let body = text("text");
    fields.check()?;
    Ok(CheckChange { name: None, status, conclusion, details_url, external_id, title, summary, text: body })
}
