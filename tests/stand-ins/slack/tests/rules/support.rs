//! Starts a stand-in with a command, and has a small HTTP client for its response URLs and Web API.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;
use slack_stand_in::control::Client;
use slack_stand_in::control::types::{App, Invocation, Typed};
use slack_stand_in::{Settings, StandIn};

use crate::receiver::Receiver;

/// A running stand-in whose command `/deploy` goes to a receiver.
pub(crate) struct World {
    pub(crate) stand_in: StandIn,
    pub(crate) control: Client,
    pub(crate) receiver: Receiver,
    pub(crate) app: App,
    http: reqwest::Client,
}

/// An answer of the stand-in.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Said {
    /// Returns Slack's error code.
    pub(crate) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

pub(crate) async fn start() -> World {
    start_with(Settings::default()).await
}

pub(crate) async fn start_with(settings: Settings) -> World {
    let stand_in = StandIn::start(settings).await.unwrap();
    let (control, receiver) = (stand_in.control(), Receiver::start().await);
    control.set_command("/deploy", &receiver.url).await.unwrap();
    let app = control.app().await.unwrap();
    World { stand_in, control, receiver, app, http: reqwest::Client::new() }
}

impl World {
    /// Types a command as mona in the channel `deploys`.
    pub(crate) async fn typed(&self, text: &str) -> Invocation {
        self.control.type_command(Typed::new("mona", "deploys", text)).await.unwrap()
    }

    pub(crate) fn request(&self, url: &str) -> RequestBuilder {
        self.http.post(url)
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Said {
        send(self.request(url).json(body)).await
    }

    /// Calls the Web API with the app's bot token.
    pub(crate) async fn call(&self, method: &str, body: &Value) -> Said {
        self.call_with(&self.app.bot_token, method, body).await
    }

    pub(crate) async fn call_with(&self, token: &str, method: &str, body: &Value) -> Said {
        send(self.request(&self.method(method)).bearer_auth(token).json(body)).await
    }

    /// Returns a method's URL.
    pub(crate) fn method(&self, method: &str) -> String {
        format!("{}{method}", self.stand_in.api_url())
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Said { status, headers, body, text }
}
