//! Tests of the registry adapter, with the stand-in for a registry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod asking;
mod hostile;
mod limits;
mod private;
mod support;
