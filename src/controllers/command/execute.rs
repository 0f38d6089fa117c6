//! Step 3: executes a command. It only writes the requested object into the cluster and doesn't
//! deploy anything itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::json;

use super::{CommandOutcome, CommandScope, CommandState, environment};
use crate::api::{Approval, DeploymentRequest, Lock, PreviewClass, PreviewRepository};
use crate::controllers::command::overview;
use crate::controllers::request;
use crate::core::chatops::{self, Command, CommandError, Reply, Resolved};
use crate::core::deployment::reason::RequestReason;
use crate::core::environment::eligibility;
use crate::core::forge::{PullRequest, StatusState};
use crate::core::{conditions, naming, trouble};
use crate::ports::{Actor, ClusterError};
use crate::runtime::failure::Failure;
use crate::runtime::write;

/// Executes a command.
pub(super) async fn act(
    scope: &CommandScope<'_>,
    class: &PreviewClass,
    resolved: &Resolved<'_>,
    reference: Option<&str>,
) -> Result<CommandOutcome, Failure> {
    match &resolved.command {
        Command::Deploy { .. } | Command::Preview { .. } => match commit(scope, class, reference).await? {
            Ok(sha) => ask(scope, resolved, &sha).await,
            Err(error) => Ok(failed(scope, resolved, "", &error)),
        },
        Command::Promote { .. } => match promoted(scope, resolved).await? {
            Ok(sha) => ask(scope, resolved, &sha).await,
            Err(error) => Ok(failed(scope, resolved, "", &error)),
        },
        Command::Lock { environment, reason } => lock(scope, environment, reason).await,
        Command::Unlock { environment } => unlock(scope, environment).await,
        Command::Approve { .. } => approve(scope, resolved, reference).await,
        Command::Where => {
            let answer = overview::survey(scope).await?;
            Ok(CommandOutcome { state: CommandState::Done, answer: Some(answer), request: None })
        }
        Command::Help => {
            let names: Vec<&str> =
                scope.repository.spec.environments.iter().map(|entry| entry.name.as_str()).collect();
            Ok(CommandOutcome {
                state: CommandState::Done,
                answer: Some(scope.say(&Reply::Help(&names))),
                request: None,
            })
        }
    }
}

fn failed(
    scope: &CommandScope<'_>,
    resolved: &Resolved<'_>,
    sha: &str,
    error: &CommandError,
) -> CommandOutcome {
    let cause = &error.message;
    let answer = Some(scope.say(&Reply::Failed { environment: environment(resolved), sha, cause }));
    CommandOutcome {
        state: CommandState::Failed(error.reason.to_owned(), error.message.clone()),
        answer,
        request: None,
    }
}

fn cannot(reason: &'static str, message: String) -> CommandError {
    CommandError { reason, message, usage: None }
}

/// Returns the commit that a command is about: the pull request's head, or the commit of the ref.
async fn commit(
    scope: &CommandScope<'_>,
    class: &PreviewClass,
    reference: Option<&str>,
) -> Result<Result<String, CommandError>, Failure> {
    let Some(pull_request) = pull_request(scope).await? else {
        let reference = reference.unwrap_or("HEAD");
        let found = scope.forge.commit(&scope.name, reference).await?;
        return Ok(found.ok_or_else(|| {
            cannot(
                "CommitUnknown",
                format!("{} has no commit, branch or tag {reference}: name one that it has", scope.name),
            )
        }));
    };
    if !pull_request.open {
        let message =
            format!("pull request {} is closed: push, or promote what is live", pull_request.number);
        return Ok(Err(cannot("PullRequestClosed", message)));
    }
    let allowed = eligibility::command_allowed(&class.spec.pull_requests, &class.name_any(), &pull_request);
    Ok(match allowed {
        Ok(()) => Ok(pull_request.head_sha),
        Err(mistake) => Err(cannot(mistake.reason.as_str(), mistake.message)),
    })
}

/// Returns the pull request on which the command was given, in its current state.
async fn pull_request(scope: &CommandScope<'_>) -> Result<Option<PullRequest>, Failure> {
    let Some(comment) = &scope.command.spec.comment else { return Ok(None) };
    let number = comment.pull_request.number;
    let max_age = scope.context.freshness.max_age(&scope.name, number);
    Ok(Some(scope.forge.pull_request(&scope.name, number, max_age).await?))
}

/// Returns the live commit of the environment from which the command promotes.
async fn promoted(
    scope: &CommandScope<'_>,
    resolved: &Resolved<'_>,
) -> Result<Result<String, CommandError>, Failure> {
    let Some(entry) = resolved.entry else { return Ok(Err(cannot("EnvironmentUnknown", String::new()))) };
    let from = match chatops::promoted_from(entry) {
        Ok(from) => from,
        Err(error) => return Ok(Err(error)),
    };
    let source = scope.repository.spec.environments.iter().find(|entry| entry.name == from);
    let number = scope.command.spec.comment.as_ref().map(|comment| comment.pull_request.number);
    let github_environment = source.and_then(|source| naming::place_seen_from(source, number));
    let Some(github_environment) = github_environment else {
        let message =
            format!("there is no environment {from} to promote from: correct the PreviewRepository");
        return Ok(Err(cannot("NothingToPromote", message)));
    };
    for deployment in scope.forge.deployments(&scope.name, &github_environment, None).await? {
        if scope.forge.deployment_state(&scope.name, deployment.id).await? == Some(StatusState::Success) {
            return Ok(Ok(deployment.sha));
        }
    }
    Ok(Err(cannot("NothingToPromote", format!("nothing is live in {from}"))))
}

/// Creates the request.
async fn ask(
    scope: &CommandScope<'_>,
    resolved: &Resolved<'_>,
    sha: &str,
) -> Result<CommandOutcome, Failure> {
    let asked = match chatops::request(scope.command, resolved, sha) {
        Ok(Some(asked)) => asked,
        Ok(None) => return Ok(CommandOutcome { state: CommandState::Done, answer: None, request: None }),
        Err(error) => return Ok(failed(scope, resolved, sha, &error)),
    };
    let (name, spec) = asked;
    let namespace = scope.command.namespace().unwrap_or_default();
    match scope.context.ingest.create_for_command(&namespace, &name, spec).await {
        // An existing request is the same one: a command creates one request.
        Ok(()) | Err(ClusterError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(CommandOutcome { state: CommandState::UnderWay, answer: None, request: Some(name) })
}

/// Returns the result of the request that the command created.
pub(super) async fn follow(
    scope: &CommandScope<'_>,
    resolved: &Resolved<'_>,
    name: &str,
) -> Result<CommandOutcome, Failure> {
    let environment = environment(resolved);
    let namespace = scope.command.namespace().unwrap_or_default();
    let Some(request) = scope.context.common.objects.requests.get(&namespace, name) else {
        // The watch may not show the request yet.
        let kind = write::kind::<DeploymentRequest>();
        if scope.context.common.cluster.get(&Actor::Operator, &kind, Some(&namespace), name).await?.is_some()
        {
            return Ok(CommandOutcome { state: CommandState::UnderWay, answer: None, request: None });
        }
        let cause = "its DeploymentRequest has been deleted, with its environment or by a user";
        let answer = Some(scope.say(&Reply::Failed { environment, sha: "", cause }));
        let state = CommandState::Failed("RequestGone".to_owned(), cause.to_owned());
        return Ok(CommandOutcome { state, answer, request: None });
    };
    let sha = &request.spec.sha;
    let Some((status, reason, message)) = request::ready(&request) else {
        return Ok(CommandOutcome { state: CommandState::UnderWay, answer: None, request: None });
    };
    Ok(match status {
        "True" => {
            let url = Some(message).filter(|url| !url.is_empty());
            let answer = Some(scope.say(&Reply::Deployed { environment, sha, url }));
            CommandOutcome { state: CommandState::Done, answer, request: None }
        }
        "False" => {
            let answer = Some(scope.say(&Reply::Failed { environment, sha, cause: message }));
            let (reason, message) = (reason.to_owned(), message.to_owned());
            let state = if request::has_ended(&request) {
                CommandState::Failed(reason, message)
            } else {
                CommandState::Failing(reason, message)
            };
            CommandOutcome { state, answer, request: None }
        }
        // Don't answer an outage: the answer would change again after it.
        _ if matches!(
            RequestReason::parse(reason),
            Some(RequestReason::Creating | RequestReason::Deploying)
        ) || reason == conditions::NOT_REACHED
            || trouble::OUTAGES.contains(&reason) =>
        {
            CommandOutcome { state: CommandState::UnderWay, answer: None, request: None }
        }
        _ => {
            let answer = Some(scope.say(&Reply::Waiting { environment, sha, what: message }));
            CommandOutcome { state: CommandState::UnderWay, answer, request: None }
        }
    })
}

async fn lock(scope: &CommandScope<'_>, environment: &str, reason: &str) -> Result<CommandOutcome, Failure> {
    if let Some(lock) = scope.repository.spec.locks.iter().find(|lock| lock.environment == environment) {
        let answer = Some(scope.say(&Reply::Locked { environment, lock }));
        return Ok(CommandOutcome { state: CommandState::Done, answer, request: None });
    }
    let lock = Lock {
        environment: environment.to_owned(),
        by: scope.command.spec.login.clone(),
        reason: reason.to_owned(),
        lock_time: Some(Time(scope.context.common.clock.now())),
    };
    apply_locks(scope, environment, std::slice::from_ref(&lock)).await?;
    let answer = Some(scope.say(&Reply::Locked { environment, lock: &lock }));
    Ok(CommandOutcome { state: CommandState::Done, answer, request: None })
}

/// Removes a lock that a command set. A lock in a PreviewRepository's manifest stays: its owner
/// would apply it again.
async fn unlock(scope: &CommandScope<'_>, environment: &str) -> Result<CommandOutcome, Failure> {
    let by = &scope.command.spec.login;
    let after = apply_locks(scope, environment, &[]).await?;
    if after.spec.locks.iter().any(|lock| lock.environment == environment) {
        let message = format!(
            "the manifest of PreviewRepository {}/{} sets the lock in spec.locks: remove it there",
            scope.repository.namespace().unwrap_or_default(),
            scope.repository.name_any()
        );
        let answer = Some(scope.say(&Reply::Failed { environment, sha: "", cause: &message }));
        let state = CommandState::Failed("LockedElsewhere".to_owned(), message);
        return Ok(CommandOutcome { state, answer, request: None });
    }
    Ok(CommandOutcome {
        state: CommandState::Done,
        answer: Some(scope.say(&Reply::Unlocked { environment, by })),
        request: None,
    })
}

/// Applies the lock of one environment under its own field manager, so that neither other locks nor
/// other fields of the PreviewRepository change.
async fn apply_locks(
    scope: &CommandScope<'_>,
    environment: &str,
    locks: &[Lock],
) -> Result<PreviewRepository, Failure> {
    let metadata = write::identity(scope.repository);
    let object = write::object::<PreviewRepository>(metadata, json!({ "spec": { "locks": locks } }));
    let manager = format!("{}-{environment}", write::LOCK);
    let written = scope.context.common.cluster.apply(&Actor::Operator, &manager, &object).await?;
    Ok(write::typed(written)?)
}

/// Approves the waiting requests for the pull request's head, for its merge commit, or for the ref.
async fn approve(
    scope: &CommandScope<'_>,
    resolved: &Resolved<'_>,
    reference: Option<&str>,
) -> Result<CommandOutcome, Failure> {
    let environment = environment(resolved);
    let shas: Vec<String> = match pull_request(scope).await? {
        Some(pull_request) => {
            std::iter::once(pull_request.head_sha).chain(pull_request.merge_commit_sha).collect()
        }
        None => scope.forge.commit(&scope.name, reference.unwrap_or("HEAD")).await?.into_iter().collect(),
    };
    let by = &scope.command.spec.login;
    let mut requested = scope.requests();
    requested.retain(|request| {
        request.spec.environment == environment
            && shas.contains(&request.spec.sha)
            // The approver hasn't seen commits that were pushed later.
            && request.metadata.creation_timestamp <= scope.command.metadata.creation_timestamp
    });
    requested.sort_by_key(|request| {
        std::cmp::Reverse(request.metadata.creation_timestamp.as_ref().map(|time| time.0))
    });
    let gates = resolved.entry.and_then(|entry| entry.gates.as_ref());
    let mut refusal = None;
    let mut waiting = Vec::new();
    for request in requested {
        match chatops::approvable(&request, gates, by) {
            Ok(()) => waiting.push(request),
            // Report the error of the newest request.
            Err(error) => refusal = refusal.or(Some((request.spec.sha.clone(), error))),
        }
    }
    let Some(first) = waiting.first() else {
        let (sha, error) = refusal.unwrap_or_else(|| {
            (String::new(), cannot("NothingToApprove", "no deployment of this commit is waiting".to_owned()))
        });
        let (sha, cause) = (sha.as_str(), error.message.as_str());
        let answer = Some(scope.say(&Reply::NotApproved { environment, sha, cause }));
        let state = CommandState::Failed(error.reason.to_owned(), error.message.clone());
        return Ok(CommandOutcome { state, answer, request: None });
    };
    for request in &waiting {
        let approval = Approval { login: by.clone(), time: Time(scope.context.common.clock.now()) };
        let status = json!({ "approvals": [approval] });
        let manager = format!("{}-{}", write::APPROVAL, by.to_lowercase());
        write::status::<DeploymentRequest, _>(&*scope.context.common.cluster, &manager, &**request, &status)
            .await?;
    }
    let answer = Some(scope.say(&Reply::Approved { environment, sha: &first.spec.sha, by }));
    Ok(CommandOutcome { state: CommandState::Done, answer, request: None })
}
