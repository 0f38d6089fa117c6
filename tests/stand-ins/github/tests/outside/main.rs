//! Checks the stand-in with independent judges: a real client, and GitHub's own description of its
//! API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod pygithub;
mod tools;
