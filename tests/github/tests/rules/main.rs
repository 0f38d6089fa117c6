//! Every rule of the stand-in, over HTTP, as its users see it.

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
