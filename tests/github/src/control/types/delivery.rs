//! Webhooks, how they go astray, and faults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A webhook to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// Where it is delivered.
    pub url: String,
    /// The secret its deliveries are signed with; unsigned when left out.
    #[serde(default)]
    pub secret: Option<String>,
    /// The events it gets; `*` is all, none means `push`. An App's are told by the App.
    #[serde(default)]
    pub events: Vec<String>,
    /// `json` (the default) or `form`.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// How a webhook's deliveries go astray. What is left out is normal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryMode {
    /// The next so many deliveries never arrive.
    #[serde(default)]
    pub lose_next: u32,
    /// No delivery ever arrives.
    #[serde(default)]
    pub lose_all: bool,
    /// Every delivery arrives twice.
    #[serde(default)]
    pub double: bool,
    /// Every delivery is late by so many milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Deliveries are held back and arrive in another order.
    #[serde(default)]
    pub shuffle: Option<Shuffle>,
}

/// How held deliveries are put in another order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shuffle {
    /// How many are held before they go; a flush sends them sooner.
    pub hold: usize,
    /// `reversed`, or `random`.
    pub order: ShuffleOrder,
    /// The seed of a random order, so that it can be repeated.
    #[serde(default)]
    pub seed: u64,
}

/// An order for held deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShuffleOrder {
    /// The last comes first.
    Reversed,
    /// An order that depends on the seed.
    Random,
}

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delivery {
    /// The attempt's number.
    pub id: u64,
    /// The delivery's id, the same on every attempt: the header `X-GitHub-Delivery`.
    pub guid: String,
    /// The event's name.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// Whether somebody asked for it to be sent again.
    pub redelivery: bool,
    /// How it went, as GitHub says it: `OK`, `timed out`, `failed to connect to host`, `lost` and others.
    pub status: String,
    /// The answer's HTTP status; 0 when there was none.
    pub status_code: u16,
    /// What was sent.
    pub payload: Value,
}

/// What goes wrong with requests that match.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The method; any when left out.
    #[serde(default)]
    pub method: Option<String>,
    /// The path below the base path; `*` stands for any text, slashes too: `/repos/*/deployments`.
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
        /// The body; GitHub's HTML error page for a 5xx when left out.
        #[serde(default)]
        body: Option<String>,
    },
    /// The connection is closed and nothing is processed.
    CloseBefore,
    /// It is processed, and the connection closed instead of answering.
    CloseAfter,
    /// It is processed after so many milliseconds.
    DelayMs(u64),
    /// It is processed at once, and answered after so many milliseconds.
    AnswerAfterMs(u64),
}

/// How long to wait until every queued delivery is done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// At most so many milliseconds.
    pub timeout_ms: u64,
    /// Of this hook alone; of all when left out.
    #[serde(default)]
    pub hook: Option<u64>,
}
