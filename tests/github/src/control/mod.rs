//! The control API: how tests and the demo make things happen on the stand-in. It is no part of GitHub.

mod client;
pub(crate) mod server;
pub mod types;
pub(crate) mod view;

pub use client::{Client, ControlError};
