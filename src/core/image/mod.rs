//! Container images: how people name them, where their credentials are, and how far the registries that hold them are trusted.

mod challenge;
mod pull_secret;
mod reach;
mod reference;

pub use challenge::{Bearer, Challenge, challenge};
pub use pull_secret::{Credentials, DOCKER_CONFIG_JSON, credentials_for};
pub use reach::{TokenHosts, may_connect, same_origin, token_url};
pub use reference::ImageReference;
