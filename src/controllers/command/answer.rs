//! Step 4: the answer, where the command was given. One comment, edited as things go on; in Slack the answers to the command, and a message in
//! the class's channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use secrecy::SecretString;

use super::Visit;
use crate::api::{
    CommentReference, DeploymentCommand, DeploymentCommandStatus, PreviewClass, SlackConnection,
};
use crate::controllers::Context;
use crate::controllers::github_writes::{Progress, WriteError};
use crate::controllers::slack_commands;
use crate::controllers::slack_commands::BOT_TOKEN;
use crate::core::chatops::marker;
use crate::core::forge::{Emoji, RepositoryName};
use crate::core::slack::{ChatMessage, ResponseType, ResponseUrl};
use crate::ports::{Forge, ForgeError};

/// For how long, and how often, Slack lets a command be answered.
/// <https://docs.slack.dev/interactivity/handling-user-interaction#message_responses>
const ANSWERABLE: Duration = Duration::from_mins(30);
const MOST_ANSWERS: u32 = 5;
/// How often an answer is tried again that another replica gave, and the first wait, which grows by itself each time.
const RELAY_TRIES: u32 = 4;
const RELAY_WAIT: Duration = Duration::from_secs(2);

/// Where commands from Slack are answered, by the DeploymentCommand's UID. Kept in memory alone, by the replica that took the command: whoever has such a
/// URL can write into the channel. A restart forgets them; then only the class's channel tells what came of a command.
#[derive(Default)]
pub struct Responses(Mutex<HashMap<String, Response>>);

struct Response {
    url: ResponseUrl,
    since: Instant,
    sent: u32,
    /// What was last relayed of what the leader said.
    relayed: Option<String>,
}

impl Responses {
    /// Remembers where a command is answered.
    pub(in crate::controllers) fn remember(&self, uid: String, url: ResponseUrl) {
        if let Ok(mut known) = self.0.lock() {
            known.retain(|_, response| response.since.elapsed() < ANSWERABLE);
            known.entry(uid).or_insert(Response { url, since: Instant::now(), sent: 0, relayed: None });
        }
    }

    /// Forgets a command that is gone.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.remove(uid);
        }
    }

    /// Where to say it, if it is news and Slack takes one more answer.
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

    /// Whether this is the last that was relayed.
    fn last_was(&self, uid: &str, text: &str) -> bool {
        let known = self.0.lock().ok();
        known.is_some_and(|known| known.get(uid).is_some_and(|one| one.relayed.as_deref() == Some(text)))
    }

    /// Where to answer, if Slack takes one more answer.
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

/// Says what the leader answered where only this replica can: the one that took a command from Slack knows where that is.
pub fn relay(context: &Arc<Context>, command: &DeploymentCommand) {
    let Some(text) = command.status.as_ref().and_then(|status| status.answer.clone()) else { return };
    // The leader answers by itself.
    if context.standing.leads() {
        return;
    }
    let Some(url) = context.responses.take_for(&command.uid().unwrap_or_default(), &text) else { return };
    let (context, name, uid) = (Arc::clone(context), command.name_any(), command.uid().unwrap_or_default());
    tokio::spawn(async move {
        let message = ephemeral(&text);
        let mut tries = (1..=RELAY_TRIES).map(|number| RELAY_WAIT * number);
        while let Err(error) = context.chat.respond(url.as_str(), &message).await {
            let Some(wait) = tries.next().filter(|_| error.may_pass()) else {
                tracing::info!(command = name, %error, "Slack could not be answered");
                return;
            };
            tokio::time::sleep(wait).await;
            // By now there may be something newer to say, which has its own task.
            if !context.responses.last_was(&uid, &text) {
                return;
            }
        }
    });
}

fn ephemeral(text: &str) -> ChatMessage {
    ChatMessage { text: text.to_owned(), response_type: ResponseType::Ephemeral, ..ChatMessage::default() }
}

/// An answer, with the reaction to a command that has come to its end. It owns all that it needs:
/// no reconcile waits for it.
struct Answer {
    context: Arc<Context>,
    command: Arc<DeploymentCommand>,
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    slack: Option<SlackConnection>,
    /// The id of the answer that there is.
    known: Option<String>,
    text: String,
    emoji: Option<Emoji>,
}

/// When an answer is to be tried again.
pub(super) enum Answering {
    /// Its end enqueues the command.
    UnderWay,
    /// It failed, and is put off.
    Paused(Duration),
}

/// What an answer says, to tell it from another one.
pub(super) fn about(text: &str, emoji: Option<Emoji>) -> String {
    format!("{emoji:?} {text}")
}

/// Starts to answer a command, unless that is under way or put off.
pub(super) fn start(
    visit: &Visit<'_>,
    class: &PreviewClass,
    status: &DeploymentCommandStatus,
    text: &str,
    emoji: Option<Emoji>,
) -> Answering {
    let (writes, about) = (&visit.context.writes.answers, about(text, emoji));
    // The edit of a comment takes the place of an older one. Anything else that is under way has to
    // end, or there would be two answers.
    let can_be_replaced = visit.command.spec.comment.is_some() && status.reply.is_some();
    match writes.look(visit.command) {
        Progress::Paused { wait, .. } => return Answering::Paused(wait),
        Progress::UnderWay { about: said } if said == about || !can_be_replaced => {
            return Answering::UnderWay;
        }
        _ => {}
    }
    let answer = Answer {
        context: Arc::clone(visit.context),
        command: Arc::clone(visit.command),
        forge: Arc::clone(&visit.forge),
        name: visit.name.clone(),
        slack: class.spec.slack.clone(),
        known: status.reply.clone(),
        text: text.to_owned(),
        emoji,
    };
    writes.start(visit.command, about, async move {
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
        // Creating a comment isn't idempotent; whether an earlier try had an effect, the comments tell.
        let mark = marker(&answer.command.uid().unwrap_or_default());
        let all = forge.comments(name, number).await?;
        all.iter().find(|comment| comment.body.contains(&mark)).map(|comment| comment.id)
    };
    let id = match known {
        Some(id) => {
            match forge.edit_comment(name, id, &answer.text).await {
                // Somebody deleted the answer: they don't want it.
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
            // The half hour is over, or the five answers are used up.
            Err(error) => {
                tracing::info!(command = command.name_any(), %error, "Slack takes no more answers");
            }
        }
    }
    let Some(SlackConnection { secret_name, channel: Some(channel), .. }) = &answer.slack else {
        return Ok(None);
    };
    let token = slack_commands::secret(context, secret_name, BOT_TOKEN).await;
    let Some(token) = token.map_err(|error| WriteError::Unready(error.to_string()))? else { return Ok(None) };
    let user = command.spec.slack.as_ref().map(|slack| slack.user.as_str()).unwrap_or_default();
    let message = ChatMessage { text: format!("<@{user}> {text}"), ..ChatMessage::default() };
    match chat.post(&SecretString::from(token), channel, &message, answer.known.as_deref()).await {
        Ok(timestamp) => Ok(Some(timestamp)),
        Err(error) if error.may_pass() => Err(error.into()),
        Err(error) => {
            tracing::warn!(command = command.name_any(), %error, "the channel could not be told");
            Ok(None)
        }
    }
}
