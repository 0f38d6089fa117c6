//! Request and response types of the control API, shared by its server and its client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The app, and the workspace it is installed in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct App {
    /// The app's id, such as `A0…`.
    pub api_app_id: String,
    /// The workspace's id, such as `T0…`.
    pub team_id: String,
    /// The workspace's name in its URL.
    pub team_domain: String,
    /// The secret that signs requests.
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
    /// Its request URL.
    pub request_url: String,
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Its id, such as `U0…`.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A channel to create or change.
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
    /// Its id, such as `C0…`.
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
    /// Its scopes, such as `chat:write`.
    pub scopes: Vec<String>,
}

/// A bot token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token itself, such as `xoxb-…`.
    pub token: String,
}

/// A line that a user types.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// The user; created if missing.
    pub user: String,
    /// The channel's name; created if missing, with the app in it.
    pub channel: String,
    /// The line: `/deploy acme/shop@main to staging`.
    pub text: String,
    /// The forgery in the request; none when left out.
    #[serde(default)]
    pub forgery: Option<Forgery>,
}

impl Typed {
    /// Returns a line that a user types in a channel.
    pub fn new(user: &str, channel: &str, text: &str) -> Self {
        Self { user: user.to_owned(), channel: channel.to_owned(), text: text.to_owned(), forgery: None }
    }

    /// Returns the line with a forgery, as if Slack hadn't sent it.
    #[must_use]
    pub fn forged(self, forgery: Forgery) -> Self {
        Self { forgery: Some(forgery), ..self }
    }
}

/// Forgery in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Forgery {
    /// It is signed with another secret.
    WrongSecret,
    /// It is signed correctly, for a time this many seconds after now; before now when negative.
    Timestamp {
        /// Seconds.
        seconds: i64,
    },
    /// The body got another user's `user_id` after it was signed.
    TamperedBody,
    /// It has no signature.
    Unsigned,
}

/// A typed command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invocation {
    /// Its number.
    pub id: u64,
    /// Its time, RFC 3339.
    pub at: String,
    /// The fields of the form, in order.
    pub fields: Vec<(String, String)>,
    /// The URL for later answers.
    pub response_url: String,
    /// The immediate answer.
    pub answer: Answer,
}

impl Invocation {
    /// Returns a field of the form; empty when it is missing.
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
    /// The body as JSON, if its content type says so and it is valid.
    pub json: Option<Value>,
    /// The duration until the answer, in milliseconds.
    pub milliseconds: u64,
    /// The answer as the user sees it.
    pub sees: Sees,
}

/// The immediate answer to a command as the user sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// Nothing but the typed line.
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
    /// An error: `operation_timeout` when there was no answer within 3000 ms, `dispatch_failed` for
    /// everything else.
    Error(String),
}

/// A later answer to a command, which Slack accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Response {
    /// The number of the command.
    pub invocation: u64,
    /// Its number among the answers to the command, from 1.
    pub number: u32,
    /// Its time, RFC 3339.
    pub at: String,
    /// `ephemeral` or `in_channel`.
    pub response_type: String,
    /// Whether it replaces the previous answer.
    pub replace_original: bool,
    /// Whether it deletes the previous answer.
    pub delete_original: bool,
    /// The text.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
}

/// A message in a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its identifier in its channel.
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
    /// The number of its updates.
    pub updates: u32,
}

/// Limits in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether `chat.postMessage` accepts one message per second and channel, and answers 429 to
    /// more.
    pub one_message_per_second: bool,
}

/// A fault for matching requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The path; `*` at its end matches any rest: `/commands/*`, `/api/chat.postMessage`.
    pub path: String,
    /// The number of requests to hit; 1 when left out.
    #[serde(default)]
    pub times: Option<u32>,
    /// The fault's effect on them.
    pub effect: FaultEffect,
}

/// Effect of a fault on a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// The request gets this answer and is not processed.
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
    /// The connection is closed and the request is not processed.
    CloseBefore,
    /// The request is processed, and the connection is closed without an answer.
    CloseAfter,
    /// The request is processed after this many milliseconds.
    DelayMs(u64),
}

/// A request to a response URL or the Web API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its sequence number, which grows from request to request.
    pub sequence: u64,
    /// Its time, RFC 3339.
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
