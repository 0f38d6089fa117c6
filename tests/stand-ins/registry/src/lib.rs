//! A stand-in for an OCI registry: pulling of manifests, and the token authentication that
//! registries share. It is stateful, as strict as
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> and
//! <https://distribution.github.io/distribution/spec/auth/token/>, and used by HTTP alone.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use registry_stand_in::control::types::NewImage;
//! use registry_stand_in::{Settings, StandIn};
//!
//! let stand_in = StandIn::start(Settings::default()).await?;
//! let image = stand_in.control().put_image(NewImage::new("acme/shop", "pr-7")).await?;
//! println!("{}/acme/shop@{}", stand_in.host(), image.digest);
//! # Ok(()) }
//! ```

mod access;
mod answer;
pub mod control;
mod server;
mod state;
mod token;
mod v2;

pub use crate::server::{Settings, StandIn, StartError};
