//! Reconciles a `DeploymentCommand`: parse, authorize, execute, answer. A command is executed once,
//! and its answer is updated with the result.

mod answer;
mod execute;
mod overview;
mod record;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

use self::answer::Answering;
pub(super) use self::answer::Responses;
pub use self::answer::relay;
pub(super) use self::record::{CONDITIONS, STAGES, is_decided};
use self::record::{UNDERSTOOD, decided, is_over, unanswered};
use super::ingest::{EventIngest, PullRequestFreshness};
use crate::api::{self, PreviewRepository, find_condition};
use crate::core::chatops::{self, Channel, CommandError, Reply, Resolved};
use crate::core::deployment::ownership;
use crate::core::environment::resolve::{self, Admitted};
use crate::core::forge::{Emoji, RepositoryName, RepositoryRole};
use crate::core::mistake::{Mistake, Reason};
use crate::ports::{Actor, Chat, Forge, Secrets};
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::objects::Key;
use crate::runtime::publisher::Publisher;
use crate::runtime::write;
/// Minimum delay before a failed answer is retried.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Time for which a command is kept. It is longer than the maximum age of comments in a sweep, so
/// that no sweep takes an old comment for a new command.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Dependencies of the reconciles of commands.
pub struct CommandContext {
    pub(super) common: Arc<Common>,
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) chat: Arc<dyn Chat>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ingest: Arc<EventIngest>,
    pub(super) freshness: Arc<PullRequestFreshness>,
    pub(super) responses: Responses,
}

/// Reconciles a command, within the runner's limits.
pub fn reconcile(
    command: Arc<api::DeploymentCommand>,
    context: Arc<CommandContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { run(&context.common.objects.commands.newest(command), &context).await }.boxed()
}

/// State of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CommandState {
    /// The text is no valid command here.
    NotUnderstood(CommandError),
    /// The commander isn't permitted to give it.
    NotPermitted,
    /// The requested deployment is under way.
    UnderWay,
    /// The command is complete.
    Done,
    /// The deployment failed and may still succeed, for example when a check is run again or a
    /// container starts. Reason and message.
    Failing(String, String),
    /// The command failed. Reason and message.
    Failed(String, String),
}

impl CommandState {
    /// Returns the reaction to the comment of a command that has ended.
    const fn emoji(&self) -> Option<Emoji> {
        match self {
            Self::NotUnderstood(_) => Some(Emoji::Confused),
            Self::NotPermitted | Self::Failing(..) | Self::Failed(..) => Some(Emoji::MinusOne),
            Self::UnderWay => None,
            Self::Done => Some(Emoji::PlusOne),
        }
    }
}

/// Result of a reconcile.
struct CommandOutcome {
    state: CommandState,
    /// Text of the answer; `None` if there is none yet.
    answer: Option<String>,
    /// Name of the request that the command created.
    request: Option<String>,
}

/// Context of one reconcile.
struct CommandScope<'a> {
    command: &'a Arc<api::DeploymentCommand>,
    repository: &'a PreviewRepository,
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    channel: Channel,
    context: &'a Arc<CommandContext>,
}

impl CommandScope<'_> {
    /// Returns the answer in the markup of GitHub or Slack.
    fn say(&self, reply: &Reply<'_>) -> String {
        chatops::reply(reply, self.channel, &self.command.uid().unwrap_or_default())
    }

    /// Returns the requests of the command's PreviewRepository.
    fn requests(&self) -> Vec<Arc<api::DeploymentRequest>> {
        let namespace = self.command.namespace().unwrap_or_default();
        let name = self.command.spec.repository_ref.name.clone();
        self.context.common.objects.requests.with(&Key::Repository(namespace, name))
    }

    fn not_understood(&self, error: CommandError) -> CommandOutcome {
        let answer = Some(self.say(&Reply::NotUnderstood(&error)));
        CommandOutcome { state: CommandState::NotUnderstood(error), answer, request: None }
    }
}

async fn run(
    command: &Arc<api::DeploymentCommand>,
    context: &Arc<CommandContext>,
) -> Result<Action, Failure> {
    if command.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = context.common.clock.now();
    let given = command.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let left = KEPT - now.duration_since(given);
    let Ok(left) = Duration::try_from(left) else {
        return delete(command, context).await;
    };
    if command.status.as_ref().is_some_and(is_over) {
        return Ok(Action::requeue(left));
    }
    let namespace = command.namespace().unwrap_or_default();
    let name = &command.spec.repository_ref.name;
    let repository = context.common.repository(&namespace, name).await?;
    let class = context.common.class_of(repository.as_deref()).await?;
    let admitted = match admit(&namespace, name, repository.as_deref(), class.as_deref()) {
        Ok(admitted) => admitted,
        // Without an admitted PreviewRepository there are no credentials, so nothing more is written.
        Err(mistake) => {
            context.publisher.answers.forget(command);
            record::stall(command, &mistake, context).await?;
            return Ok(Action::requeue(left.min(context.common.settings.sweep_interval)));
        }
    };
    let (forge, name) = context.common.forge(&admitted).await?;
    let channel = if command.spec.comment.is_some() { Channel::Comment } else { Channel::Slack };
    let Admitted { repository, class, .. } = admitted;
    let scope = CommandScope { command, repository, forge, name, channel, context };
    let known = command.status.as_ref().and_then(|status| Some((status.clone(), decided(status)?)));
    let (status, emoji) = if let Some((status, emoji)) = known {
        // The command was executed, so only its answer is missing.
        (status, Some(emoji))
    } else {
        let outcome = steps(&scope, class).await?;
        // Record the result before the answer is sent.
        (record::outcome(&scope, &outcome).await?, outcome.state.emoji())
    };
    let status = record::answer_result(&scope, status, emoji).await?;
    let answering = unanswered(&status).map(|text| answer::start(&scope, class, &status, text, emoji));
    // The request and the writes enqueue their command on a change. The sweep interval covers a
    // request that was deleted without one.
    Ok(Action::requeue(match answering {
        None if decided(&status).is_some() => left,
        Some(Answering::Paused(wait)) => left.min(wait.max(FIRST_WAIT)),
        Some(Answering::UnderWay) | None => left.min(context.common.settings.sweep_interval),
    }))
}

/// Returns the PreviewRepository and its class, if the class admits the PreviewRepository.
fn admit<'a>(
    namespace: &str,
    name: &str,
    repository: Option<&'a PreviewRepository>,
    class: Option<&'a api::PreviewClass>,
) -> Result<Admitted<'a>, Mistake> {
    let missing = || Mistake {
        reason: Reason::RepositoryMissing,
        message: format!(
            "spec.repositoryRef.name: there is no PreviewRepository {namespace}/{name}: delete this object"
        ),
    };
    let repository = repository.ok_or_else(missing)?;
    let entry = repository.spec.environments.first().ok_or_else(missing)?;
    let class = class.ok_or_else(|| resolve::class_missing(repository))?;
    ownership::class_admits(class, repository)?;
    Ok(Admitted { repository, entry, class })
}

async fn steps(scope: &CommandScope<'_>, class: &api::PreviewClass) -> Result<CommandOutcome, Failure> {
    let command = scope.command;
    let said = match chatops::parse(&command.spec.text, scope.channel) {
        Ok(said) => said,
        Err(error) => return Ok(scope.not_understood(error)),
    };
    let resolved = match chatops::resolve(&said.command, &scope.repository.spec) {
        Ok(resolved) => resolved,
        Err(error) => return Ok(scope.not_understood(error)),
    };
    if let Some(request) = command.status.as_ref().and_then(|status| status.request_ref.as_ref()) {
        return execute::follow(scope, &resolved, &request.name).await;
    }
    let known = command.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if let Some(comment) = &command.spec.comment
        && find_condition(known, UNDERSTOOD).is_none()
    {
        // The reaction is optional, so nothing waits for it.
        let (forge, name, comment) = (Arc::clone(&scope.forge), scope.name.clone(), comment.id);
        scope.context.publisher.courtesy(async move {
            if let Err(error) = forge.react(&name, comment, Emoji::Eyes).await {
                tracing::debug!(repository = %name, comment, %error, "failed to create reaction");
            }
        });
    }
    let needed = chatops::needed(&resolved);
    let role = scope.forge.permission(&scope.name, &command.spec.login).await?;
    if !chatops::permits(role, needed) {
        return Ok(not_permitted(scope, needed));
    }
    execute::act(scope, class, &resolved, said.reference.as_deref()).await
}

fn not_permitted(scope: &CommandScope<'_>, needed: RepositoryRole) -> CommandOutcome {
    let answer = Some(scope.say(&Reply::NotPermitted { login: &scope.command.spec.login, needed }));
    CommandOutcome { state: CommandState::NotPermitted, answer, request: None }
}

async fn delete(command: &api::DeploymentCommand, context: &CommandContext) -> Result<Action, Failure> {
    let kind = write::kind::<api::DeploymentCommand>();
    let uid = command.uid().unwrap_or_default();
    let namespace = command.namespace();
    context
        .common
        .cluster
        .delete(&Actor::Operator, &kind, namespace.as_deref(), &command.name_any(), &uid)
        .await?;
    context.common.objects.commands.deleted(command);
    context.responses.forget(&uid);
    context.publisher.answers.forget(command);
    Ok(Action::await_change())
}

/// Returns the name of the environment that a parsed command is about.
fn environment<'a>(resolved: &'a Resolved<'_>) -> &'a str {
    resolved.entry.map(|entry| entry.name.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
