//! Container images: their names, the credentials for them, and the limits on what a registry can
//! make Matinee do.

mod challenge;
mod pull_secret;
mod reach;
mod reference;

pub use challenge::{Bearer, Challenge, challenge};
pub use pull_secret::{Credentials, DOCKER_CONFIG_JSON, credentials_for};
pub use reach::{TokenHosts, may_connect, same_origin, token_url};
pub use reference::ImageReference;
