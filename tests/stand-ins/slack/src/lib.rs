//! A stand-in for Slack: the parts of slash commands, response URLs and the Web API that Matinee
//! uses. It is stateful, as strict as the documentation, and used by HTTP alone.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use slack_stand_in::control::types::Typed;
//! use slack_stand_in::{Settings, StandIn};
//!
//! let stand_in = StandIn::start(Settings::default()).await?;
//! let control = stand_in.control();
//! control.set_command("/deploy", "http://127.0.0.1:8080/slack").await?;
//! let typed = control.type_command(Typed::new("mona", "deploys", "/deploy acme/shop@main to staging")).await?;
//! println!("{:?} after {} ms", typed.answer.sees, typed.answer.milliseconds);
//! # Ok(()) }
//! ```

mod api;
mod commands;
pub mod control;
mod faults;
mod pipeline;
mod responses;
mod server;
mod state;
mod world;

pub use crate::server::{Settings, StandIn, StartError};
