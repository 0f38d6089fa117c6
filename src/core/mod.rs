//! Every decision, as a pure function: no client, no clock, no environment, no async.

pub mod conditions;
pub mod event;
pub mod forge;
pub mod kubernetes_name;
pub mod names;
pub mod target;
pub mod text;
pub mod webhook;
pub mod wire;
