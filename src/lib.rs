//! Matinee: ephemeral pull-request environments on Kubernetes, driven by the GitHub Deployments API.
//!
//! Six layers, each of which uses only those below it: `main`, `settings`, `server`, `cli`;
//! `controllers`; `runtime`; `adapters`; `ports`, `metrics`; `api` and `core` (pure: no client, no
//! clock, no environment, no async). `tests/layers` checks this. The tests of the controllers in
//! simulated time are in `simulation`.

pub mod adapters;
pub mod api;
pub mod cli;
pub mod controllers;
pub mod core;
pub mod metrics;
pub mod ports;
pub mod runtime;
pub mod server;
pub mod settings;
#[cfg(test)]
mod simulation;
