//! What the control API takes and answers, shared by its server and its client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The app, and the workspace it is installed in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct App {
    /// The app's id, as `A0…`.
    pub api_app_id: String,
    /// The workspace's id, as `T0…`.
    pub team_id: String,
    /// The workspace's name in its URL.
    pub team_domain: String,
    /// What requests are signed with.
    pub signing_secret: String,
    /// The deprecated `token` of every request.
    pub verification_token: String,
    /// A bot token, with the scopes `chat:write` and `commands`.
    pub bot_token: String,
}

/// A slash command of the app.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCommand {
    /// The command, with its slash.
    pub command: String,
    /// Where it is sent.
    pub request_url: String,
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// As `U0…`.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A channel to make, or to change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewChannel {
    /// The name, without `#`.
    pub name: String,
    /// Whether only members see it.
    pub private: bool,
    /// Whether the app is in it; it is when left out.
    pub member: bool,
    /// Whether it is archived.
    pub archived: bool,
}

impl Default for NewChannel {
    fn default() -> Self {
        Self { name: String::new(), private: false, member: true, archived: false }
    }
}

/// A channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// As `C0…`.
    pub id: String,
    /// The name, without `#`.
    pub name: String,
    /// Whether only members see it.
    pub private: bool,
    /// Whether the app is in it.
    pub member: bool,
    /// Whether it is archived.
    pub archived: bool,
}

/// A bot token to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewToken {
    /// Its scopes, as `chat:write`.
    pub scopes: Vec<String>,
}

/// A bot token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token itself, as `xoxb-…`.
    pub token: String,
}

/// What somebody types.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// Who; created if missing.
    pub user: String,
    /// The channel's name; created if missing, with the app in it.
    pub channel: String,
    /// The line: `/deploy acme/shop@main to staging`.
    pub text: String,
    /// What isn't right about the request; nothing when left out.
    #[serde(default)]
    pub forgery: Option<Forgery>,
}

impl Typed {
    /// Returns a line typed by somebody in a channel.
    pub fn new(user: &str, channel: &str, text: &str) -> Self {
        Self { user: user.to_owned(), channel: channel.to_owned(), text: text.to_owned(), forgery: None }
    }

    /// Returns the same as somebody sends it who isn't Slack.
    #[must_use]
    pub fn forged(self, forgery: Forgery) -> Self {
        Self { forgery: Some(forgery), ..self }
    }
}

/// What isn't right about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Forgery {
    /// It is signed with another secret.
    WrongSecret,
    /// It is signed well, for a time so many seconds after now; before now when negative.
    Timestamp {
        /// Seconds.
        seconds: i64,
    },
    /// Somebody else's `user_id` was put into the body after it was signed.
    TamperedBody,
    /// It has no signature.
    Unsigned,
}

/// A command that was typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invocation {
    /// Its number.
    pub id: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The fields of the form, in order.
    pub fields: Vec<(String, String)>,
    /// Where it may be answered later.
    pub response_url: String,
    /// What was answered at once.
    pub answer: Answer,
}

impl Invocation {
    /// Returns a field of the form, empty when it isn't there.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

/// The immediate answer to a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status; 0 when there was none in time.
    pub status: u16,
    /// The content type, empty when there was none.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// The body as JSON, if it is said to be JSON and is.
    pub json: Option<Value>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// What whoever typed the command sees.
    pub sees: Sees,
}

/// What whoever typed a command sees of its immediate answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// Nothing, besides what was typed.
    #[default]
    Nothing,
    /// A message.
    Message {
        /// `ephemeral` or `in_channel`.
        response_type: String,
        /// The text.
        text: String,
        /// The blocks.
        blocks: Vec<Value>,
    },
    /// That it failed: `operation_timeout` when there was no answer within 3000 ms, `dispatch_failed` for everything else.
    Error(String),
}

/// A later answer to a command, which was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Response {
    /// The command that was typed.
    pub invocation: u64,
    /// Which of its answers it is, from 1.
    pub number: u32,
    /// When, RFC 3339.
    pub at: String,
    /// `ephemeral` or `in_channel`.
    pub response_type: String,
    /// Whether it takes the place of the answer before.
    pub replace_original: bool,
    /// Whether it takes away the answer before.
    pub delete_original: bool,
    /// The text.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
}

/// A message in a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// What it is known by, in its channel.
    pub ts: String,
    /// The channel's id.
    pub channel: String,
    /// The channel's name.
    pub channel_name: String,
    /// The text.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
    /// When it was posted, RFC 3339.
    pub at: String,
    /// How often it was changed.
    pub updates: u32,
}

/// Limits that are in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether `chat.postMessage` takes one message per second and channel, and answers 429 to more.
    pub one_message_per_second: bool,
}

/// What goes wrong with requests that match.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The path; `*` at its end stands for any rest: `/commands/*`, `/api/chat.postMessage`.
    pub path: String,
    /// How many requests it hits; 1 when left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: FaultEffect,
}

/// What a fault does to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// It is answered so and not processed.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers besides the usual ones.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The connection is closed and nothing is processed.
    CloseBefore,
    /// It is processed, and the connection closed instead of answering.
    CloseAfter,
    /// It is processed after so many milliseconds.
    DelayMs(u64),
}

/// A request that came to a response URL or the Web API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Grows from request to request.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The answer's HTTP status; 0 when the connection was closed instead.
    pub status: u16,
    /// Its `User-Agent`.
    pub user_agent: String,
}
