//! Controllers: what is done when an object of Matinee's kinds, the cluster or GitHub changes.
//! Decisions are in `core`, effects in `adapters`, and what all controllers run on in `runtime`.
//! [`assembly`] builds them, [`changes`] enqueues what depends on a changed object, [`lifecycle`]
//! runs them while this replica leads, and [`start`](start()) connects them to a cluster.

pub(crate) mod assembly;
mod changes;
mod class_and_template;
mod command;
mod environment;
#[cfg(test)]
mod fakes;
mod github_webhooks;
mod ingest;
pub(crate) mod lifecycle;
mod repository;
mod request;
mod slack_commands;
pub(crate) mod start;
mod trouble_status;

pub use github_webhooks::WebhookReceiver;
pub use start::{Candidacy, Options, Running, start};
