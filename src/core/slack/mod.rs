//! Slack: verifies the signature of its requests, parses slash commands, and builds messages.

pub mod command;
pub mod message;
pub mod signature;

pub use command::{FormError, Parsed, ResponseUrl, SlashCommand, parse};
pub use message::{ChatMessage, ResponseType, escape};
pub use signature::{RequestError, SlackSignature, verify};
