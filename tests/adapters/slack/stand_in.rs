//! The stand-in for Slack with a command, an adapter for it, and a receiver that parses the
//! command's requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use matinee::adapters::slack::{SlackChat, SlackSettings};
use matinee::core::signature::WebhookSecret;
use matinee::core::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER};
use matinee::core::slack::{ChatMessage, Parsed, RequestError, SlashCommand, parse, verify};
use matinee::ports::{Chat as _, ChatError};
use secrecy::SecretString;
use slack_stand_in::control::Client;
use slack_stand_in::control::types::{App, Channel, Invocation, NewChannel, Typed};
use slack_stand_in::{Settings, StandIn};

/// Results of the receiver's parsing so far.
pub type Made = Arc<Mutex<Vec<Result<Parsed, RequestError>>>>;

pub struct World {
    pub stand_in: StandIn,
    pub control: Client,
    pub app: App,
    pub channel: Channel,
    pub made: Made,
    pub chat: SlackChat,
}

pub fn text(text: &str) -> ChatMessage {
    ChatMessage { text: text.to_owned(), ..ChatMessage::default() }
}

impl World {
    pub async fn new() -> Self {
        Self::with(Settings::default(), Duration::from_secs(5)).await
    }

    pub async fn with(settings: Settings, timeout: Duration) -> Self {
        let stand_in = StandIn::start(settings).await.unwrap();
        let control = stand_in.control();
        let app = control.app().await.unwrap();
        let made = Made::default();
        let secret = WebhookSecret::new(app.signing_secret.as_bytes()).unwrap();
        let url = receiver(secret, Arc::clone(&made)).await;
        control.set_command("/deploy", &url).await.unwrap();
        let new = NewChannel { name: "deploys".into(), ..NewChannel::default() };
        let channel = control.set_channel(new).await.unwrap();
        let settings =
            SlackSettings { timeout, response_url: stand_in.response_url(), api_url: stand_in.api_url() };
        let chat = SlackChat::new(&settings).unwrap();
        Self { stand_in, control, app, channel, made, chat }
    }

    /// Types a command as mona in the channel `deploys`.
    pub async fn typed(&self, text: &str) -> Invocation {
        self.control.type_command(Typed::new("mona", "deploys", text)).await.unwrap()
    }

    /// Returns the result of parsing the last request.
    pub fn last(&self) -> Result<Parsed, RequestError> {
        self.made.lock().unwrap().last().unwrap().clone()
    }

    /// Returns the last request, which must be a command.
    pub fn command(&self) -> SlashCommand {
        match self.last() {
            Ok(Parsed::Command(command)) => *command,
            other => panic!("{other:?}"),
        }
    }

    pub fn token(&self) -> SecretString {
        self.app.bot_token.clone().into()
    }

    /// Posts to the channel `deploys`.
    pub async fn post(&self, message: &str, update: Option<&str>) -> Result<String, ChatError> {
        self.chat.post(&self.token(), &self.channel.id, &text(message), update).await
    }
}

/// Starts a receiver that parses commands as the operator does, with nothing but core.
async fn receiver(secret: WebhookSecret, made: Made) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/slack", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(receive).with_state((secret, made));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn receive(
    State((secret, made)): State<(WebhookSecret, Made)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
    let verified =
        verify(&[secret], header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER), &body, Timestamp::now());
    let read = verified.map(|()| parse(&body).unwrap());
    made.lock().unwrap().push(read.clone());
    match read {
        Ok(Parsed::Command(_)) => Json(text("on its way").response()).into_response(),
        Ok(Parsed::SslCheck) => StatusCode::OK.into_response(),
        Err(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}
