//! Tests of the server over a real socket, with clients that behave like GitHub or imitate it:
//! exact statuses, and the events that reach the ingest.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod bounds;
mod client;
mod deliveries;
mod served;
mod slack;
