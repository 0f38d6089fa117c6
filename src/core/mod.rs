//! Every decision, as a pure function: no client, no clock, no environment, no async.

pub mod claims;
pub mod conditions;
pub mod event;
pub mod forge;
pub mod gate;
pub mod glob;
pub mod kubernetes_name;
pub mod lifetime;
pub mod limits;
pub mod names;
pub mod outbox;
pub mod payload;
pub mod plan;
pub mod progress;
pub mod readiness;
pub mod report;
pub mod target;
pub mod text;
pub mod trigger;
pub mod validate;
pub mod webhook;
pub mod wire;
