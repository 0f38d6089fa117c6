//! Requests to the URLs of previews.

use async_trait::async_trait;

/// Requests a preview's URL.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Returns the HTTP status of `url`, or why there is none. Connects to `address` (`host:port`),
    /// if given, instead of resolving the URL's host. Doesn't follow redirects. Has a timeout.
    async fn probe(&self, url: &str, address: Option<&str>) -> Result<u16, String>;
}
