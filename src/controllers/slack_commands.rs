//! Receives slash commands from Slack: it checks the request against the signing secret of each
//! class, looks up the user's GitHub login, and creates a `DeploymentCommand`. The command's
//! reconcile executes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt as _;
use kube::api::GroupVersionKind;
use tokio::time::Instant;

use super::command::{CommandContext, relay};
use crate::api::{
    DeploymentCommandSpec, LocalReference, PreviewClass, PreviewRepository, SlackConnection, SlackReference,
};
use crate::core::chatops::{self, Channel, Command, Reply};
use crate::core::deployment::ownership;
use crate::core::forge::RepositoryName;
use crate::core::signature::WebhookSecret;
use crate::core::slack::{self, ChatMessage, Parsed, SlackSignature, SlashCommand};
use crate::ports::{Actor, Body, ClusterError, IngestError, Receiver, Secrets};
use crate::runtime::objects::Key;

/// Key of the signing secret in the Secret that a class's `slack.secretName` names.
const SIGNING_SECRET: &str = "signingSecret";
/// Key of the bot token in the same Secret, for messages in a channel.
pub(super) const BOT_TOKEN: &str = "botToken";

/// Time for which a signing secret is cached, so that invalid requests don't each cause a request
/// to the Kubernetes API.
const SECRETS_LAST: Duration = Duration::from_secs(10);

/// Receives slash commands.
pub struct SlashCommandReceiver {
    context: Arc<CommandContext>,
    /// Signing secrets by the name of their Secret, with the time of the read; `None` when there is
    /// no such secret.
    secrets: Mutex<HashMap<String, (Instant, Option<WebhookSecret>)>>,
}

impl SlashCommandReceiver {
    /// Creates a receiver.
    pub(super) fn new(context: Arc<CommandContext>) -> Self {
        Self { context, secrets: Mutex::default() }
    }

    async fn signing_secret(&self, name: &str) -> Result<Option<WebhookSecret>, ClusterError> {
        let known = self.secrets.lock().ok().and_then(|known| known.get(name).cloned());
        if let Some((_, secret)) = known.filter(|(read, _)| read.elapsed() < SECRETS_LAST) {
            return Ok(secret);
        }
        let text = secret(&*self.context.secrets, name, SIGNING_SECRET).await?;
        let secret = text.and_then(|text| WebhookSecret::new(text.trim().as_bytes()).ok());
        if let Ok(mut known) = self.secrets.lock() {
            known.retain(|_, (read, _)| read.elapsed() < SECRETS_LAST);
            known.insert(name.to_owned(), (Instant::now(), secret.clone()));
        }
        Ok(secret)
    }

    /// Returns the classes whose Slack app signed the request; at least one.
    async fn signed_for(
        &self,
        signature: &SlackSignature,
        body: &[u8],
    ) -> Result<Vec<Arc<PreviewClass>>, IngestError> {
        let mut fitting = Vec::new();
        let mut problem = None;
        for class in self.context.common.objects.classes.all() {
            let Some(connection) = &class.spec.slack else { continue };
            let Some(secret) = self.signing_secret(&connection.secret_name).await? else { continue };
            match signature.verify(&[secret], body) {
                Ok(()) => fitting.push(class),
                Err(error) => problem = Some(error),
            }
        }
        if fitting.is_empty() {
            return Err(IngestError::NotSigned(problem.map_or_else(
                || "no PreviewClass has spec.slack with a signing secret".to_owned(),
                |error| error.to_string(),
            )));
        }
        Ok(fitting)
    }
}

#[async_trait]
impl Receiver<SlackSignature> for SlashCommandReceiver {
    /// The message that Slack shows at once; `None` for Slack's certificate check. Slack's timeout is
    /// 3 seconds.
    type Answer = Option<ChatMessage>;

    async fn accept(
        &self,
        signature: SlackSignature,
        body: Body,
    ) -> Result<Option<ChatMessage>, IngestError> {
        let classes = self.signed_for(&signature, &body.bytes).await?;
        match slack::parse(&body.bytes).map_err(|error| IngestError::Invalid(error.to_string()))? {
            Parsed::SslCheck => Ok(None),
            Parsed::Command(typed) => Ok(Some(take(&self.context, &classes, *typed).await?)),
        }
    }
}

fn say(text: impl Into<String>) -> ChatMessage {
    ChatMessage { text: text.into(), ..ChatMessage::default() }
}

/// Creates the DeploymentCommand, or returns the message why there is none.
async fn take(
    context: &Arc<CommandContext>,
    classes: &[Arc<PreviewClass>],
    typed: SlashCommand,
) -> Result<ChatMessage, IngestError> {
    let mut said = match chatops::parse(&typed.text, Channel::Slack) {
        Ok(said) => said,
        Err(error) => return Ok(say(chatops::reply(&Reply::NotUnderstood(&error), Channel::Slack, ""))),
    };
    if said.command == Command::Help {
        return Ok(say(chatops::reply(&Reply::Help(&[]), Channel::Slack, "")));
    }
    let Some(name) = said.repository.take() else {
        return Ok(say("name the repository, as owner/repo"));
    };
    let Some((class, repository)) = served(context, classes, &name) else {
        let name = slack::escape(&name.to_string()).into_owned();
        return Ok(say(format!("no environment of {name} accepts commands from this workspace")));
    };
    let Some(connection) = &class.spec.slack else {
        return Ok(say("no PreviewClass accepts commands from this workspace"));
    };
    let Some(login) = users(context, connection).await?.remove(&typed.user_id) else {
        return Ok(say(format!(
            "<@{}> has no GitHub login: ask the platform team to add {} to the Slack users of PreviewClass {}",
            typed.user_id,
            typed.user_id,
            class.name_any()
        )));
    };
    let spec = DeploymentCommandSpec {
        repository_ref: LocalReference { name: repository.name_any() },
        text: typed.text.clone(),
        login,
        comment: None,
        slack: Some(SlackReference { user: typed.user_id, channel: typed.channel_id }),
    };
    let namespace = repository.namespace().unwrap_or_default();
    let uid = context.ingest.command_from_slack(&namespace, &repository.name_any(), spec).await?;
    context.responses.remember(uid.clone(), typed.response_url);
    // The leader may have answered before this replica remembered the response URL.
    if let Some(command) = context.common.objects.commands.by_uid(&uid) {
        relay(context, &command);
    }
    Ok(say(format!("👀 {}", slack::escape(&typed.text))))
}

/// Returns the PreviewRepository of a GitHub repository under one of these classes; the oldest of
/// several.
fn served<'a>(
    context: &CommandContext,
    classes: &'a [Arc<PreviewClass>],
    name: &RepositoryName,
) -> Option<(&'a PreviewClass, Arc<PreviewRepository>)> {
    let named = context.common.objects.repositories.with(&Key::Github(name.to_string().to_lowercase()));
    let mut found: Vec<_> = named
        .into_iter()
        .filter_map(|repository| {
            let of = context.common.known_class_of(&repository)?;
            let class = classes.iter().find(|class| {
                class.uid() == of.uid() && ownership::class_admits(class, &repository).is_ok()
            })?;
            Some((&**class, repository))
        })
        .collect();
    found.sort_by_key(|(_, repository)| {
        (repository.metadata.creation_timestamp.as_ref().map(|time| time.0), repository.uid())
    });
    found.into_iter().next()
}

/// Returns the GitHub logins of Slack users, by their Slack user ids.
async fn users(
    context: &CommandContext,
    connection: &SlackConnection,
) -> Result<BTreeMap<String, String>, ClusterError> {
    let from = &connection.users_from;
    if let Some(name) = &from.secret_name {
        let data = context.secrets.secret(name).await?.unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        return Ok(data
            .into_iter()
            .filter_map(|(user, login)| Some((user, text(login)?.trim().to_owned())))
            .filter(|(_, login)| !login.is_empty())
            .collect());
    }
    let Some(name) = &from.config_map_name else { return Ok(BTreeMap::new()) };
    let kind = GroupVersionKind::gvk("", "v1", "ConfigMap");
    let found = context
        .common
        .cluster
        .get(&Actor::Operator, &kind, Some(&context.common.settings.own_namespace), name)
        .await?;
    let data = found.and_then(|found| found.data["data"].as_object().cloned()).unwrap_or_default();
    Ok(data
        .into_iter()
        .filter_map(|(user, login)| Some((user, login.as_str()?.trim().to_owned())))
        .filter(|(_, login)| !login.is_empty())
        .collect())
}

/// Returns a text in a Secret in the operator's own namespace.
pub(super) async fn secret(
    secrets: &dyn Secrets,
    name: &str,
    key: &str,
) -> Result<Option<String>, ClusterError> {
    let data = secrets.secret(name).await?;
    Ok(data.and_then(|mut data| data.remove(key)).and_then(|bytes| String::from_utf8(bytes).ok()))
}
