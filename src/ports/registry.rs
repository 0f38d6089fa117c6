//! Image registries.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::core::image::{Credentials, ImageReference};

/// Why a request to a registry failed. The texts name the registry and the image.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// The credentials are missing, wrong, or insufficient for this image (401, 403). Many
    /// registries respond like this for images that don't exist.
    #[error("{0}")]
    Refused(String),
    /// Too many requests (429). Nothing is sent to this registry with these credentials before the
    /// given time.
    #[error("the registry's rate limit is reached: Matinee retries after its reset")]
    RateLimited {
        /// When the next request may be sent.
        until: Timestamp,
    },
    /// No response, or a server error. A retry may succeed.
    #[error("{0}")]
    NotAnswered(String),
    /// The server is no registry, or requires something that isn't supported. A retry fails.
    #[error("{0}")]
    Invalid(String),
}

/// Reads images from registries.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Whether the image's manifest exists. `insecure` means plain HTTP. Has a timeout.
    async fn exists(
        &self,
        image: &ImageReference,
        credentials: Option<&Credentials>,
        insecure: bool,
    ) -> Result<bool, RegistryError>;
}
