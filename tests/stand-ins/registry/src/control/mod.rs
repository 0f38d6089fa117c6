//! The control API, with which tests act on the stand-in. Registries have no such API.

mod client;
pub(crate) mod server;
pub mod types;

pub use client::{Client, ControlError};
