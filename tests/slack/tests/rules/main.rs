//! Every rule of the stand-in, over HTTP, as its users see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod commands;
mod faults;
mod receiver;
mod responses;
mod support;
