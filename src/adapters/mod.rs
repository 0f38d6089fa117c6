//! One module per outside system; each fulfils ports.

pub mod clock;
pub mod github;
pub mod kubernetes;
pub mod render;
pub mod tls;
pub mod web;
