//! Webhooks, faults in their delivery, and faults of requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A webhook to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// The URL for deliveries.
    pub url: String,
    /// The secret that signs its deliveries; unsigned when left out.
    #[serde(default)]
    pub secret: Option<String>,
    /// The events it gets; `*` means all, an empty list means `push`. An App's hook gets the App's
    /// events.
    #[serde(default)]
    pub events: Vec<String>,
    /// `json` (the default) or `form`.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// Faults in a webhook's deliveries. Omitted fields mean no fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryMode {
    /// This many next deliveries never arrive.
    #[serde(default)]
    pub lose_next: u32,
    /// No delivery ever arrives.
    #[serde(default)]
    pub lose_all: bool,
    /// Every delivery arrives twice.
    #[serde(default)]
    pub double: bool,
    /// Every delivery is late by this many milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Deliveries are held back and arrive in another order.
    #[serde(default)]
    pub shuffle: Option<Shuffle>,
}

/// How held deliveries are reordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shuffle {
    /// The number of deliveries to hold before they are sent; a flush sends them sooner.
    pub hold: usize,
    /// The order in which they are sent.
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
    /// Whether it is a requested redelivery.
    pub redelivery: bool,
    /// Its outcome in GitHub's words: `OK`, `timed out`, `failed to connect to host`, `lost` and
    /// others.
    pub status: String,
    /// The answer's HTTP status; 0 when there was none.
    pub status_code: u16,
    /// The payload sent.
    pub payload: Value,
}

/// A fault for matching requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The method; any when left out.
    #[serde(default)]
    pub method: Option<String>,
    /// The path below the base path; `*` matches any text, including slashes:
    /// `/repos/*/deployments`.
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
        /// The body; GitHub's HTML error page for a 5xx when left out.
        #[serde(default)]
        body: Option<String>,
    },
    /// The connection is closed and the request is not processed.
    CloseBefore,
    /// The request is processed, and the connection is closed without an answer.
    CloseAfter,
    /// The request is processed after this many milliseconds.
    DelayMs(u64),
    /// The request is processed at once and answered after this many milliseconds.
    AnswerAfterMs(u64),
}

/// A wait until every queued delivery is done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The longest wait in milliseconds.
    pub timeout_ms: u64,
    /// Wait for this hook only; for all when left out.
    #[serde(default)]
    pub hook: Option<u64>,
}
