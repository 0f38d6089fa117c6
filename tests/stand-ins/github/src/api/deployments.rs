//! <https://docs.github.com/rest/deployments/deployments>

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::auth::Need;
use crate::api::call::{Answer, Problem, Reply};
use crate::api::input::Fields;
use crate::api::{Cx, number};
use crate::show;
use crate::state::checks;
use crate::state::deployments::Deployment;
use crate::state::environments::MAX_NAME;
use crate::state::merge::Merge;
use crate::state::{Refusal, now};

const READ: Need = Need::read(&["deployments"]);
const WRITE: Need = Need::write(&["deployments"]);

/// The longest description, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 140;

pub(crate) fn route(
    cx: &mut Cx<'_>,
    method: &Method,
    repo: (&str, &str),
    rest: &[&str],
) -> (&'static str, Answer) {
    match (method.as_str(), rest) {
        ("GET", []) => ("deployments/deployments#list-deployments", list(cx, repo)),
        ("POST", []) => ("deployments/deployments#create-a-deployment", create(cx, repo)),
        ("GET", [id]) => ("deployments/deployments#get-a-deployment", get(cx, repo, id)),
        ("DELETE", [id]) => ("deployments/deployments#delete-a-deployment", delete(cx, repo, id)),
        _ => ("", Err(Problem::not_found())),
    }
}

fn list(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let id = cx.repo(owner, name, READ)?;
    let repo = cx.found(id)?;
    // "none" is the documented default of each filter and filters nothing.
    let wanted = |filter: &str| cx.call.query(filter).filter(|value| *value != "none");
    let (sha, reference) = (wanted("sha"), wanted("ref"));
    let (task, environment) = (wanted("task"), wanted("environment"));
    let fits = |deployment: &&Deployment| {
        sha.is_none_or(|sha| deployment.sha == sha)
            && reference.is_none_or(|reference| deployment.reference == reference)
            && task.is_none_or(|task| deployment.task == task)
            && environment.is_none_or(|name| deployment.environment.eq_ignore_ascii_case(name))
    };
    let found: Vec<&Deployment> = repo.deployments.values().rev().filter(fits).collect();
    Ok(cx.list(id, &found, |deployment| show::deployments::deployment(cx.state, repo, deployment)))
}

fn get(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, READ)?;
    let found = cx.found(repo)?;
    let deployment = found.deployments.get(&number(id)?).ok_or_else(Problem::not_found)?;
    Ok(Reply::ok(show::deployments::deployment(cx.state, found, deployment)))
}

fn delete(cx: &mut Cx<'_>, (owner, name): (&str, &str), id: &str) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let id = number(id)?;
    let found = cx.state.repo_mut(repo)?;
    let deployment = found.deployments.get(&id).ok_or_else(Problem::not_found)?;
    if found.deployments.len() > 1 && is_active(deployment) {
        return Err(Problem::unprocessable(
            "We cannot delete an active deployment unless it is the only deployment in a given repository.",
        ));
    }
    let entry = crate::control::types::TimelineEntry {
        kind: "deployment_deleted".to_owned(),
        deployment: Some(id),
        sha: Some(deployment.sha.clone()),
        environment: Some(deployment.environment.clone()),
        actor: cx.who.login(cx.state),
        ..crate::control::types::TimelineEntry::default()
    };
    cx.state.repo_mut(repo)?.deployments.remove(&id);
    cx.state.record(repo, entry);
    Ok(Reply::no_content())
}

/// Returns whether a deployment is active: "Mark the active deployment as inactive by adding any
/// non-successful deployment status." A deployment without a status is active too.
fn is_active(deployment: &Deployment) -> bool {
    matches!(deployment.state(), None | Some("success"))
}

/// Fields of a request to create a deployment.
struct Wanted {
    reference: String,
    task: String,
    auto_merge: bool,
    contexts: Option<Vec<String>>,
    payload: Value,
    environment: String,
    description: Option<String>,
    transient: bool,
    production: Option<bool>,
}

fn create(cx: &mut Cx<'_>, (owner, name): (&str, &str)) -> Answer {
    let repo = cx.repo(owner, name, WRITE)?;
    let wanted = read(&mut Fields::read(cx.call)?)?;
    let found = cx.found(repo)?;
    let sha = cx
        .state
        .resolve(found, &wanted.reference)
        .ok_or_else(|| Problem::unprocessable(format!("No ref found for: {}", wanted.reference)))?;
    if wanted.auto_merge
        && let Some(reply) = auto_merge(cx, repo, &wanted.reference, &sha)?
    {
        return Ok(reply);
    }
    check_contexts(cx, repo, &wanted, &sha)?;
    let production =
        wanted.production.unwrap_or_else(|| wanted.environment.eq_ignore_ascii_case("production"));
    let deployment = Deployment {
        id: 0,
        sha,
        reference: wanted.reference,
        task: wanted.task,
        payload: wanted.payload,
        original_environment: wanted.environment.clone(),
        environment: wanted.environment,
        description: wanted.description,
        creator: cx.login(),
        created_at: now(),
        updated_at: now(),
        transient: wanted.transient,
        production,
        app: cx.who.app(),
        statuses: Vec::new(),
    };
    let id = cx.state.add_deployment(repo, deployment)?;
    let found = cx.found(repo)?;
    Ok(Reply::created(show::deployments::deployment(cx.state, found, &found.deployments[&id])))
}

fn read(fields: &mut Fields) -> Result<Wanted, Problem> {
    let reference = fields.required("ref");
    let payload = match fields.any("payload") {
        None | Some(Value::Null) => json!({}),
        Some(payload @ (Value::Object(_) | Value::String(_))) => payload.clone(),
        Some(other) => {
            let complaint = format!(
                "No subschema in \"oneOf\" matched.\nFor 'oneOf/0', {other} is not an object.\nFor 'oneOf/1', \
                 {other} is not a string."
            );
            fields.complain(complaint);
            Value::Null
        }
    };
    let wanted = Wanted {
        reference,
        task: fields.string("task").unwrap_or_else(|| "deploy".to_owned()),
        auto_merge: fields.boolean("auto_merge").unwrap_or(true),
        contexts: fields.strings("required_contexts"),
        payload,
        environment: fields.string("environment").unwrap_or_else(|| "production".to_owned()),
        description: fields.string("description").filter(|text| !text.is_empty()),
        transient: fields.boolean("transient_environment").unwrap_or(false),
        production: fields.boolean("production_environment"),
    };
    fields.check()?;
    check_name("Deployment", &wanted.environment)?;
    check_description("Deployment", wanted.description.as_deref().unwrap_or_default())?;
    Ok(wanted)
}

/// Rejects an environment's name that is empty or too long.
pub(crate) fn check_name(resource: &str, name: &str) -> Result<(), Problem> {
    if name.trim().is_empty() {
        return Err(Problem::validation(resource, "missing_field", "environment", None));
    }
    if name.chars().count() > MAX_NAME {
        let message = format!("environment is too long (maximum is {MAX_NAME} characters)");
        return Err(Problem::validation(resource, "custom", "environment", Some(&message)));
    }
    Ok(())
}

/// Rejects a description that is too long.
pub(crate) fn check_description(resource: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > MAX_DESCRIPTION {
        let message = format!("description is too long (maximum is {MAX_DESCRIPTION} characters)");
        return Err(Problem::validation(resource, "custom", "description", Some(&message)));
    }
    Ok(())
}

/// Merges the default branch into a branch that is behind it. Returns `None` when there is nothing
/// to merge.
fn auto_merge(cx: &mut Cx<'_>, repo: u64, reference: &str, sha: &str) -> Result<Option<Reply>, Problem> {
    let found = cx.found(repo)?;
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned();
    let default = found.default_branch.clone();
    let Some(tip) = found.branches.get(&default).cloned() else { return Ok(None) };
    // GitHub can merge only into a branch; it deploys a tag or SHA as it is.
    if branch == default || found.branches.get(&branch).is_none_or(|head| head != sha) {
        return Ok(None);
    }
    match cx.state.try_merge(sha, &tip) {
        Merge::UpToDate => Ok(None),
        Merge::Conflict(_) => {
            Err(Problem::new(StatusCode::CONFLICT, format!("Conflict merging {default} into {reference}")))
        }
        Merge::Clean(_) => {
            let actor = cx.login();
            let message = format!("Auto-merged {default} into {branch} on deployment.");
            cx.state
                .merge_into(repo, &branch, &tip, &message, &actor)
                .map_err(|refusal: Refusal| Problem::new(StatusCode::CONFLICT, refusal.to_string()))?;
            Ok(Some(Reply::with_status(StatusCode::ACCEPTED, json!({"message": message}))))
        }
    }
}

/// Checks the contexts that a deployment requires: the named ones, or all that were ever submitted.
/// GitHub counts check runs by their names as contexts.
fn check_contexts(cx: &Cx<'_>, repo: u64, wanted: &Wanted, sha: &str) -> Result<(), Problem> {
    let found = cx.found(repo)?;
    let mut states: Vec<(String, String)> = checks::latest(&found.statuses, sha)
        .into_iter()
        .map(|status| (status.context.clone(), status.state.clone()))
        .collect();
    for run in found.checks.values().rev().filter(|run| run.sha == sha) {
        if !states.iter().any(|(context, _)| *context == run.name) {
            states.push((run.name.clone(), run_state(run)));
        }
    }
    let missing: Vec<&String> = wanted
        .contexts
        .iter()
        .flatten()
        .filter(|context| !states.iter().any(|(known, _)| known == *context))
        .collect();
    let concerns = |context: &String| wanted.contexts.as_ref().is_none_or(|some| some.contains(context));
    let failed = states.iter().any(|(context, state)| concerns(context) && state != "success");
    if missing.is_empty() && !failed {
        return Ok(());
    }
    let contexts: Vec<Value> = states
        .iter()
        .filter(|(context, _)| concerns(context))
        .map(|(context, state)| json!({"context": context, "state": state}))
        .chain(missing.iter().map(|context| json!({"context": context, "state": "missing"})))
        .collect();
    let message = format!("Conflict: Commit status checks failed for {}.", wanted.reference);
    let mut problem = Problem::new(StatusCode::CONFLICT, message);
    problem.errors.push(json!({
        "contexts": contexts,
        "resource": "Deployment",
        "field": "required_contexts",
        "code": "invalid",
    }));
    Err(problem)
}

/// Returns a check run's state as a required context sees it: skipped or neutral is not a success.
fn run_state(run: &checks::CheckRun) -> String {
    run.conclusion.clone().unwrap_or_else(|| "pending".to_owned())
}
