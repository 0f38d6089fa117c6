//! Tests of the Slack adapter and of the parser of commands, with the stand-in for Slack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod posting;
mod requests;
mod responding;
mod secrecy;
mod world;
