//! Tests of the Slack adapter and of the parser of commands, with the stand-in for Slack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod messages;
mod requests;
mod response_urls;
mod secrecy;
mod stand_in;
