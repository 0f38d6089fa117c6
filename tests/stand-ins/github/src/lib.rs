//! A stand-in for GitHub: the parts of the REST API, webhooks and pages that Matinee uses. It is
//! stateful, as strict as the documentation, and used by HTTP alone.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use github_stand_in::control::types::{NewPullRequest, NewRepository};
//! use github_stand_in::{Settings, StandIn};
//!
//! let stand_in = StandIn::start(Settings::default()).await?;
//! let control = stand_in.control();
//! control.create_repository(NewRepository { full_name: "acme/shop".into(), ..Default::default() }).await?;
//! control.push("acme/shop", "feature").await?;
//! let pull = control.open_pull_request("acme/shop", "feature").await?;
//! println!("{}/acme/shop/pull/{}", stand_in.html_url(), pull.number);
//! # Ok(()) }
//! ```

mod api;
pub mod browser;
pub mod control;
mod faults;
mod hooks;
mod limits;
mod log;
mod manifest;
mod pages;
mod server;
mod show;
mod state;
mod world;

pub use crate::server::{Settings, StandIn, StartError};
