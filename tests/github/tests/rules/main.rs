//! Every rule of the stand-in, over HTTP, as its users see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apps;
mod deployments;
mod statuses;
mod support;
mod tokens;
mod webhooks;
