//! Secrets in the operator's own namespace.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::ClusterError;

/// Reads Secrets in the operator's own namespace.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Returns the data of a Secret; `None` when it doesn't exist.
    async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError>;
}
