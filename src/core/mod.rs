//! Every decision, as a pure function: no client, no clock, no environment, no async.

pub mod event;
pub mod forge;
pub mod names;
pub mod target;
pub mod webhook;
pub mod wire;
