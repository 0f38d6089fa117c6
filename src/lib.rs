//! Matinee: ephemeral pull-request environments on Kubernetes, driven by the GitHub Deployments API.
//!
//! Five floors, each uses only those below: `main`, `settings`, `server`, `cli` (edge); `controllers`; `adapters`; `ports`, `metrics`; `api` and
//! `core` (pure: no client, no clock, no environment, no async). `tests/floors` keeps it so.

pub mod adapters;
pub mod api;
pub mod cli;
pub mod controllers;
pub mod core;
pub mod metrics;
pub mod ports;
pub mod server;
pub mod settings;
