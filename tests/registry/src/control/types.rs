//! Bodies of the control API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a registry wants to see who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Not at all; nothing is private.
    Open,
    /// A token in every request, which anybody gets for what is public.
    Bearer,
    /// Username and password in every request.
    Basic,
}

/// What kind of manifest an image is.
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
    /// Its media type.
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

    /// Returns the media type of what it refers to.
    pub(crate) fn child(self) -> &'static str {
        match self {
            Self::OciManifest => "application/vnd.oci.image.config.v1+json",
            Self::OciIndex => Self::OciManifest.media_type(),
            Self::DockerManifest => "application/vnd.docker.container.image.v1+json",
            Self::DockerList => Self::DockerManifest.media_type(),
        }
    }
}

/// An image to put in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// The repository, which is made when it isn't there, as `acme/shop`.
    pub name: String,
    /// The tag, which is moved when it is there.
    pub tag: String,
    /// Tells it from others of the same name.
    #[serde(default)]
    pub content: String,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
}

impl NewImage {
    /// Returns an OCI image manifest.
    pub fn new(name: &str, tag: &str) -> Self {
        Self { name: name.to_owned(), tag: tag.to_owned(), content: String::new(), kind: Kind::default() }
    }
}

/// An image that is in place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Digest of its manifest, as `sha256:…`.
    pub digest: String,
}

/// Whether a repository is everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anybody may pull.
    Public,
    /// Only users who may.
    Private,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The password.
    pub password: String,
    /// The private repositories they may pull from; all when none.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
}

/// What is to go wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path begins so.
    pub path: String,
    /// How many requests it hits.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub effect: FaultEffect,
}

fn once() -> u32 {
    1
}

/// What happens to a request that a fault hits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// It is answered with this.
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
    /// It is answered 429.
    RateLimit {
        /// The seconds of `Retry-After`, if it is to be there.
        retry_after: Option<u64>,
    },
    /// The connection is closed without an answer.
    Close,
    /// It is answered late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
}

/// One request the registry got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its place among all requests, from 1.
    pub sequence: u64,
    /// The method.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// The answer's status; 0 when the connection was closed instead.
    pub status: u16,
    /// `none`, `basic`, `bearer` or `other`.
    pub authorization: String,
    /// The username of Basic, whether the password was right or not.
    pub username: Option<String>,
    /// The header `Accept`; several are joined.
    pub accept: String,
    /// The header `User-Agent`.
    pub user_agent: String,
}
