//! The control API, with which tests and the demo act on the stand-in. GitHub has no such API.

mod client;
pub(crate) mod server;
pub mod types;
pub(crate) mod view;

pub use client::{Client, ControlError};
