//! Every rule of the stand-in, checked over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod app_hooks;
mod apps;
mod commits;
mod deployments;
mod faults;
mod issues;
mod manifests;
mod pages;
mod pulls;
mod receiver;
mod statuses;
mod support;
mod tokens;
mod webhooks;
