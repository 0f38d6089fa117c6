//! Tests of the chart, rendered by Helm as users do. `UPDATE=1 cargo test --test chart` writes
//! generated and golden files.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod alerts;
mod definitions;
mod golden;
mod helm;
mod metrics;
mod notes;
mod objects;
mod operator_rights;
mod pods;
mod programs;
mod release;
mod rights;
mod subchart;
mod values;
mod wrong;
