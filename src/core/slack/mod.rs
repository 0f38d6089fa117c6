//! Slack: is a request Slack's, what does it say, and what may be said to Slack?

pub mod command;
pub mod message;
pub mod signature;

pub use command::{FormError, Parsed, ResponseUrl, SlashCommand, parse};
pub use message::{ChatMessage, ResponseType, escape};
pub use signature::{RequestError, SlackSignature, verify};
