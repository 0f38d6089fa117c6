//! Every rule of the stand-in, checked over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod commands;
mod faults;
mod receiver;
mod responses;
mod support;
