//! Slash commands: the request for a typed command, and what the user sees of its answer.
//! <https://docs.slack.dev/interactivity/implementing-slash-commands>

use std::time::{Duration, Instant};

use axum::http::header;
use chrono::Utc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::control::types::{Answer, Forgery, Invocation, Sees, Typed};
use crate::responses::message;
use crate::state::{Invoked, State, now, random_text};
use crate::world::World;

/// The time a request URL has to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The part of an answer that is kept, in bytes.
const KEPT: usize = 64 * 1024;

/// Why a command could not be typed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("{0} is not a valid command; set its request URL first")]
    Command(String),
    #[error("a command begins with a slash: `{0}`")]
    Slash(String),
}

/// Types a command as a user. Returns after its answer or its timeout.
pub(crate) async fn typed(world: &World, typed: Typed) -> Result<Invocation, Unknown> {
    let (url, form, secret, mut invoked) = {
        let mut state = world.lock();
        let (command, text) = split(&typed.text)?;
        let url = state.commands.get(command).cloned().ok_or_else(|| Unknown::Command(command.to_owned()))?;
        let (user, channel) = (state.user(&typed.user), state.channel(&typed.channel));
        let number = state.number();
        let path =
            format!("/commands/{}/{}/{}", state.app.team_id, 397_700_885_554 + number, random_text(24));
        let response_url = format!("{}{path}", world.url);
        let trigger_id = format!("{}.{}.{}", 398_738_663_015 + number, 47_445_629_121_u64, random_text(32));
        let app = &state.app;
        let fields = [
            ("token", app.verification_token.as_str()),
            ("team_id", &app.team_id),
            ("team_domain", &app.team_domain),
            ("channel_id", &channel.id),
            ("channel_name", &channel.name),
            ("user_id", &user.id),
            ("user_name", &user.name),
            ("command", command),
            ("text", text),
            ("api_app_id", &app.api_app_id),
            ("is_enterprise_install", "false"),
            ("response_url", &response_url),
            ("trigger_id", &trigger_id),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = encode(&fields);
        let secret = app.signing_secret.clone();
        let shown = Invocation {
            id: number,
            at: now(),
            fields: fields.into(),
            response_url,
            answer: Answer::default(),
        };
        let invoked = Invoked { shown, path, born: Instant::now(), expired: false, used: 0 };
        // It is stored before it is sent, because the receiver may use the response URL at once.
        state.invocations.push(invoked.clone());
        (url, form, secret, invoked)
    };
    invoked.shown.answer = send(world, &url, form, &secret, typed.forgery.as_ref()).await;
    let mut state = world.lock();
    let answer = &invoked.shown.answer;
    if let Some(kept) = state.invocations.iter_mut().find(|kept| kept.shown.id == invoked.shown.id) {
        kept.shown.answer = answer.clone();
    }
    Ok(invoked.shown)
}

/// Sends Slack's check of the certificate of a command's request URL.
pub(crate) async fn check_certificate(world: &World, command: &str) -> Result<Answer, Unknown> {
    let (url, form, secret) = {
        let state = world.lock();
        let url = state.commands.get(command).cloned().ok_or_else(|| Unknown::Command(command.to_owned()))?;
        let token = state.app.verification_token.clone();
        let fields = [("ssl_check".to_owned(), "1".to_owned()), ("token".to_owned(), token)];
        (url, encode(&fields), state.app.signing_secret.clone())
    };
    Ok(send(world, &url, form, &secret, None).await)
}

/// Splits a line into the command and its text.
fn split(line: &str) -> Result<(&str, &str), Unknown> {
    let line = line.trim();
    if !line.starts_with('/') {
        return Err(Unknown::Slash(line.to_owned()));
    }
    let (command, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    Ok((command, text.trim()))
}

fn encode(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Returns the signature of a body:
/// <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
fn signature(secret: &str, timestamp: i64, body: &str) -> Option<String> {
    use std::fmt::Write as _;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    let mut text = "v0=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(text)
}

async fn send(world: &World, url: &str, form: String, secret: &str, forgery: Option<&Forgery>) -> Answer {
    let mut timestamp = Utc::now().timestamp();
    if let Some(Forgery::Timestamp { seconds }) = forgery {
        timestamp += seconds;
    }
    let other = random_text(32);
    let secret = if matches!(forgery, Some(Forgery::WrongSecret)) { &other } else { secret };
    let signature = signature(secret, timestamp, &form).filter(|_| forgery != Some(&Forgery::Unsigned));
    let body = if matches!(forgery, Some(Forgery::TamperedBody)) {
        form.replace("user_id=", "user_id=U0EVIL&was=")
    } else {
        form
    };
    let mut request = world
        .client
        .post(url)
        .header(header::USER_AGENT, "Slackbot 1.0 (+https://api.slack.com/robots)")
        .header(header::ACCEPT, "application/json,*/*")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("X-Slack-Request-Timestamp", timestamp.to_string())
        .body(body)
        .timeout(TIMEOUT);
    if let Some(signature) = signature {
        request = request.header("X-Slack-Signature", signature);
    }
    let started = Instant::now();
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let body = response.bytes().await?;
        Ok((status, content_type, String::from_utf8_lossy(&body[..body.len().min(KEPT)]).into_owned()))
    };
    let mut answer = match answer.await {
        Ok((status, content_type, body)) => read(status, content_type, body),
        Err(error) => failed(&error),
    };
    answer.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    answer
}

/// Returns what the user sees of an answer. Every status but 200 is a failure, whatever the body.
fn read(status: u16, content_type: String, body: String) -> Answer {
    let json = content_type.to_ascii_lowercase().starts_with("application/json");
    let parsed: Option<Value> = if json { serde_json::from_str(&body).ok() } else { None };
    let sees = if status != 200 {
        Sees::Error("dispatch_failed".to_owned())
    } else if body.is_empty() {
        Sees::Nothing
    } else if json {
        match parsed.as_ref().map(message) {
            Some(Ok(response)) => Sees::Message {
                response_type: response.response_type,
                text: response.text,
                blocks: response.blocks,
            },
            _ => Sees::Error("dispatch_failed".to_owned()),
        }
    } else {
        Sees::Message { response_type: "ephemeral".to_owned(), text: body.clone(), blocks: Vec::new() }
    };
    Answer { status, content_type, body, json: parsed, milliseconds: 0, sees }
}

fn failed(error: &reqwest::Error) -> Answer {
    let word = if error.is_timeout() { "operation_timeout" } else { "dispatch_failed" };
    Answer { sees: Sees::Error(word.to_owned()), ..Answer::default() }
}

impl State {
    /// Returns a typed command by its number.
    pub(crate) fn invoked(&mut self, id: u64) -> Option<&mut Invoked> {
        self.invocations.iter_mut().find(|invoked| invoked.shown.id == id)
    }
}
