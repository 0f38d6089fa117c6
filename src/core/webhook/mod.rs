//! What a webhook's body is worth: is it GitHub's, and what does it say?

mod bodies;
pub mod parse;
pub mod signature;

pub use parse::{ParseError, parse};
pub use signature::{SignatureError, WebhookSecret, verify};
