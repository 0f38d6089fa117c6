//! One thing, by a conditional request. Unchanged it costs nothing of the rate limit (304).

use http::StatusCode;

use super::requester::Requester;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::{Answer, Call};
use crate::ports::ForgeError;

/// A thing as GitHub told it last.
#[derive(Clone)]
pub(super) struct Known<T> {
    etag: Option<String>,
    pub value: T,
}

impl<T> Known<T> {
    /// The thing as it is now: `last`, or what `read` finds in the answer.
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
