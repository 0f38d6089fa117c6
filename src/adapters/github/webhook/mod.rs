//! GitHub's webhooks: verifies their signature and parses their bodies.

mod bodies;
mod moment;
pub mod parse;

pub use crate::core::signature::{SignatureError, WebhookSecret, verify};
pub use moment::happened_at;
pub use parse::{ParseError, parse};
