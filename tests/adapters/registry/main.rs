//! Tests of the registry adapter, with the stand-in for a registry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod hostile;
mod limits;
mod manifests;
mod private;
mod support;
