//! Adapters: one module per external system. Each implements some of the ports.

pub mod clock;
pub mod github;
pub mod http;
pub mod kubernetes;
#[cfg(feature = "otel")]
pub mod otlp;
pub mod process;
pub mod registry;
pub mod render;
pub mod slack;
mod sync;
pub mod tls;
pub mod url_probe;
