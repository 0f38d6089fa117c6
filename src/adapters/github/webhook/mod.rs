//! What a webhook's body is worth: is it GitHub's, and what does it say?

mod bodies;
mod moment;
pub mod parse;

pub use crate::core::signature::{SignatureError, WebhookSecret, verify};
pub use moment::happened_at;
pub use parse::{ParseError, parse};
