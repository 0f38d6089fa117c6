//! A sample application.
fn main() {}
