//! The control API: how tests make things happen on the stand-in. It is no part of Slack.

mod client;
pub(crate) mod server;
pub mod types;

pub use client::{Client, ControlError};
