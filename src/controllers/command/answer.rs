//! Step 4: answers the command where it was given. On GitHub the answer is one comment, which
//! Matinee edits as the command progresses. In Slack it is a response to the slash command and a
//! message in the class's channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::ResourceExt as _;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{CommandContext, CommandScope};
use crate::api::{
    CommentReference, DeploymentCommand, DeploymentCommandStatus, PreviewClass, SlackConnection,
};
use crate::controllers::slack_commands::{self, BOT_TOKEN};
use crate::core::chatops::marker;
use crate::core::forge::{Emoji, RepositoryName};
use crate::core::slack::{ChatMessage, ResponseType, ResponseUrl};
use crate::ports::{Forge, ForgeError};
use crate::runtime::publisher::{WriteError, WriteProgress};

/// Time in which Slack accepts responses to a slash command. Their maximum number is
/// [`MOST_ANSWERS`].
/// <https://docs.slack.dev/interactivity/handling-user-interaction#message_responses>
const ANSWERABLE: Duration = Duration::from_mins(30);
const MOST_ANSWERS: u32 = 5;
/// Maximum number of retries of an answer that this replica relays, and the first delay. Each
/// further delay is longer by the first one.
const RELAY_TRIES: u32 = 4;
const RELAY_WAIT: Duration = Duration::from_secs(2);

/// Response URLs of commands from Slack, by the DeploymentCommand's UID. Only the replica that
/// received the command keeps its URL, in memory, because anybody with such a URL can write into
/// the channel. After a restart, only the class's channel receives the answer.
#[derive(Default)]
pub struct Responses(Mutex<HashMap<String, Response>>);

struct Response {
    url: ResponseUrl,
    since: Instant,
    sent: u32,
    /// The last answer of the leader that this replica relayed.
    relayed: Option<String>,
}

impl Responses {
    /// Remembers the response URL of a command.
    pub(in crate::controllers) fn remember(&self, uid: String, url: ResponseUrl) {
        if let Ok(mut known) = self.0.lock() {
            known.retain(|_, response| response.since.elapsed() < ANSWERABLE);
            known.entry(uid).or_insert(Response { url, since: Instant::now(), sent: 0, relayed: None });
        }
    }

    /// Forgets a command that has been deleted.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.remove(uid);
        }
    }

    /// Returns the response URL if the text is new and Slack accepts one more response.
    fn take_for(&self, uid: &str, text: &str) -> Option<ResponseUrl> {
        {
            let mut known = self.0.lock().ok()?;
            let response = known.get_mut(uid)?;
            if response.relayed.as_deref() == Some(text) {
                return None;
            }
            response.relayed = Some(text.to_owned());
        }
        self.take(uid)
    }

    /// Whether `text` is the last relayed answer.
    fn last_was(&self, uid: &str, text: &str) -> bool {
        let known = self.0.lock().ok();
        known.is_some_and(|known| known.get(uid).is_some_and(|one| one.relayed.as_deref() == Some(text)))
    }

    /// Returns the response URL if Slack accepts one more response.
    fn take(&self, uid: &str) -> Option<ResponseUrl> {
        let mut known = self.0.lock().ok()?;
        let response = known.get_mut(uid)?;
        if response.since.elapsed() >= ANSWERABLE || response.sent >= MOST_ANSWERS {
            return None;
        }
        response.sent += 1;
        Some(response.url.clone())
    }
}

/// Relays the leader's answer to Slack. Only the replica that received the slash command knows its
/// response URL.
pub fn relay(context: &Arc<CommandContext>, command: &DeploymentCommand) {
    let Some(text) = command.status.as_ref().and_then(|status| status.answer.clone()) else { return };
    // The leader sends its answers itself.
    if context.common.leadership.leads() {
        return;
    }
    let Some(url) = context.responses.take_for(&command.uid().unwrap_or_default(), &text) else { return };
    let (context, name, uid) = (Arc::clone(context), command.name_any(), command.uid().unwrap_or_default());
    tokio::spawn(async move {
        let message = ephemeral(&text);
        let mut tries = (1..=RELAY_TRIES).map(|number| RELAY_WAIT * number);
        while let Err(error) = context.chat.respond(url.as_str(), &message).await {
            let Some(wait) = tries.next().filter(|_| error.may_pass()) else {
                tracing::info!(command = name, %error, "failed to answer in Slack");
                return;
            };
            tokio::time::sleep(wait).await;
            // Another task relays a newer answer, if there is one by now.
            if !context.responses.last_was(&uid, &text) {
                return;
            }
        }
    });
}

fn ephemeral(text: &str) -> ChatMessage {
    ChatMessage { text: text.to_owned(), response_type: ResponseType::Ephemeral, ..ChatMessage::default() }
}

/// An answer, with the reaction to a command that has ended. It owns all its data, because no
/// reconcile waits for it.
struct Answer {
    context: Arc<CommandContext>,
    command: Arc<DeploymentCommand>,
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    slack: Option<SlackConnection>,
    /// Id of the existing answer.
    known: Option<String>,
    text: String,
    emoji: Option<Emoji>,
}

/// State of an answer that isn't complete.
pub(super) enum Answering {
    /// It is being written. Its end enqueues the command.
    UnderWay,
    /// It failed, and is retried after this time.
    Paused(Duration),
}

/// Returns the content of an answer, to compare it with another one.
pub(super) fn about(text: &str, emoji: Option<Emoji>) -> String {
    format!("{emoji:?} {text}")
}

/// Starts to write the answer, unless that is under way or paused.
pub(super) fn start(
    scope: &CommandScope<'_>,
    class: &PreviewClass,
    status: &DeploymentCommandStatus,
    text: &str,
    emoji: Option<Emoji>,
) -> Answering {
    let (writes, about) = (&scope.context.publisher.answers, about(text, emoji));
    // An edit of a comment may replace an older edit. Any other write has to end first, or there
    // would be two answers.
    let can_be_replaced = scope.command.spec.comment.is_some() && status.reply.is_some();
    match writes.look(scope.command) {
        WriteProgress::Paused { wait, .. } => return Answering::Paused(wait),
        WriteProgress::UnderWay { about: said } if said == about || !can_be_replaced => {
            return Answering::UnderWay;
        }
        _ => {}
    }
    let answer = Answer {
        context: Arc::clone(scope.context),
        command: Arc::clone(scope.command),
        forge: Arc::clone(&scope.forge),
        name: scope.name.clone(),
        slack: class.spec.slack.clone(),
        known: status.reply.clone(),
        text: text.to_owned(),
        emoji,
    };
    writes.start(scope.command, about, async move {
        match &answer.command.spec.comment {
            Some(reference) => Ok(comment(&answer, reference).await?),
            None => slack(&answer).await,
        }
    });
    Answering::UnderWay
}

async fn comment(answer: &Answer, reference: &CommentReference) -> Result<Option<String>, ForgeError> {
    let (forge, name) = (&answer.forge, &answer.name);
    let number = reference.pull_request.number;
    let known = answer.known.as_deref().and_then(|id| id.parse::<i64>().ok());
    let known = if known.is_some() {
        known
    } else {
        // Creating a comment isn't idempotent: look for the mark of an earlier attempt that had an
        // effect.
        let mark = marker(&answer.command.uid().unwrap_or_default());
        let all = forge.comments(name, number).await?;
        all.iter().find(|comment| comment.body.contains(&mark)).map(|comment| comment.id)
    };
    let id = match known {
        Some(id) => {
            match forge.edit_comment(name, id, &answer.text).await {
                // Somebody has deleted the answer. Respect that.
                Ok(()) | Err(ForgeError::Superseded | ForgeError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
            id
        }
        None => forge.create_comment(name, number, &answer.text).await?.id,
    };
    if let Some(emoji) = answer.emoji {
        match forge.react(name, reference.id, emoji).await {
            Ok(()) | Err(ForgeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(id.to_string()))
}

async fn slack(answer: &Answer) -> Result<Option<String>, WriteError> {
    let Answer { context, command, text, .. } = answer;
    let chat = &context.chat;
    if let Some(url) = context.responses.take(&command.uid().unwrap_or_default()) {
        match chat.respond(url.as_str(), &ephemeral(text)).await {
            Ok(()) => {}
            Err(error) if error.may_pass() => return Err(error.into()),
            // The response URL has expired: 30 minutes or five responses.
            Err(error) => {
                tracing::info!(command = command.name_any(), %error, "Slack rejects further answers");
            }
        }
    }
    let Some(SlackConnection { secret_name, channel: Some(channel), .. }) = &answer.slack else {
        return Ok(None);
    };
    let token = slack_commands::secret(&*context.secrets, secret_name, BOT_TOKEN).await;
    let Some(token) = token.map_err(|error| WriteError::Unready(error.to_string()))? else { return Ok(None) };
    let user = command.spec.slack.as_ref().map(|slack| slack.user.as_str()).unwrap_or_default();
    let message = ChatMessage { text: format!("<@{user}> {text}"), ..ChatMessage::default() };
    match chat.post(&SecretString::from(token), channel, &message, answer.known.as_deref()).await {
        Ok(timestamp) => Ok(Some(timestamp)),
        Err(error) if error.may_pass() => Err(error.into()),
        Err(error) => {
            tracing::warn!(command = command.name_any(), %error, "failed to post in the Slack channel");
            Ok(None)
        }
    }
}
