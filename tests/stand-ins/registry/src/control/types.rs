//! Bodies of the control API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Kind of authentication that a registry requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// None; no repository is private.
    Open,
    /// A token in every request, which anybody gets for public repositories.
    Bearer,
    /// Username and password in every request.
    Basic,
}

/// Kind of an image's manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `application/vnd.oci.image.manifest.v1+json`
    #[default]
    OciManifest,
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerList,
}

impl Kind {
    /// Returns its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    pub(crate) fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Returns the media type of the objects to which it refers.
    pub(crate) fn child(self) -> &'static str {
        match self {
            Self::OciManifest => "application/vnd.oci.image.config.v1+json",
            Self::OciIndex => Self::OciManifest.media_type(),
            Self::DockerManifest => "application/vnd.docker.container.image.v1+json",
            Self::DockerList => Self::DockerManifest.media_type(),
        }
    }
}

/// An image to store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// The repository, such as `acme/shop`; created if missing.
    pub name: String,
    /// The tag, which is moved if it exists.
    pub tag: String,
    /// Text that distinguishes the image from others of the same name.
    #[serde(default)]
    pub content: String,
    /// The kind of its manifest.
    #[serde(default)]
    pub kind: Kind,
}

impl NewImage {
    /// Returns an image with an OCI image manifest.
    pub fn new(name: &str, tag: &str) -> Self {
        Self { name: name.to_owned(), tag: tag.to_owned(), content: String::new(), kind: Kind::default() }
    }
}

/// A stored image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Digest of its manifest, as `sha256:…`.
    pub digest: String,
}

/// Whether a repository is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody may pull.
    Public,
    /// Only users with access may pull.
    Private,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The password.
    pub password: String,
    /// The private repositories from which the user may pull; all when left out.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
}

/// A fault for matching requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The method; any when left out.
    #[serde(default)]
    pub method: Option<String>,
    /// Beginning of the path.
    pub path: String,
    /// The number of requests to hit.
    #[serde(default = "once")]
    pub times: u32,
    /// The fault's effect on them.
    pub effect: FaultEffect,
}

fn once() -> u32 {
    1
}

/// Effect of a fault on a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// The request gets this answer.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The request is answered with 429.
    RateLimit {
        /// The seconds of `Retry-After`; the header is missing when left out.
        retry_after: Option<u64>,
    },
    /// The connection is closed without an answer.
    Close,
    /// The answer is delayed.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
}

/// A request to the registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its position among all requests, from 1.
    pub sequence: u64,
    /// The method.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// The answer's status; 0 when the connection was closed instead.
    pub status: u16,
    /// `none`, `basic`, `bearer` or `other`.
    pub authorization: String,
    /// The username of Basic, whatever the password.
    pub username: Option<String>,
    /// The header `Accept`; several are joined.
    pub accept: String,
    /// The header `User-Agent`.
    pub user_agent: String,
}
