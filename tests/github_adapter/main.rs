//! Tests of the GitHub adapter, with prepared answers and with the stand-in for GitHub.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod authentication;
mod comments;
mod commits;
mod counts;
mod creating;
mod examine;
mod files;
mod life;
mod limits;
mod reading;
mod roles;
mod statuses;
mod support;
mod world;
