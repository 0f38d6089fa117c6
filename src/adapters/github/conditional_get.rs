//! Conditional requests for a single resource. An unchanged resource (304) costs nothing of the
//! rate limit.

use http::StatusCode;

use super::requester::Requester;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{Answer, Call};
use crate::ports::ForgeError;

/// A resource as GitHub last returned it.
#[derive(Clone)]
pub(super) struct Known<T> {
    etag: Option<String>,
    pub value: T,
}

impl<T> Known<T> {
    /// Returns the current resource: `last` if it is unchanged, else the result of `read` on the
    /// answer.
    pub async fn ask(
        requester: &Requester,
        mut call: Call,
        last: Option<Self>,
        read: impl FnOnce(&Answer, &Call) -> Result<T, ForgeError>,
    ) -> Result<Self, ForgeError> {
        call.etag = last.as_ref().and_then(|known| known.etag.clone());
        let answer = requester.send(&call, Lane::Read).await?;
        match last {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => Ok(known),
            _ => Ok(Self { etag: answer.etag(), value: read(&answer, &call)? }),
        }
    }
}
