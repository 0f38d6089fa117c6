//! Tests of the GitHub adapter, with prepared answers and with the stand-in for GitHub.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod authentication;
mod comments;
mod commits;
mod deployments;
mod doctor;
mod files;
mod lifecycle;
mod limits;
mod metrics;
mod reads;
mod roles;
mod stand_in;
mod statuses;
mod support;
