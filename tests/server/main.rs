//! The server over a real socket, as GitHub and its imitators meet it: exact statuses, and what reached the intake.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod bounds;
mod client;
mod deliveries;
mod served;
mod slack;
