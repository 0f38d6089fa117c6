//! Reads the body of a request, with limits on its size, its duration, and the memory of all
//! bodies. The limits of tower-http are for each body alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::ports as ingest;

/// A body. It occupies a part of the memory for bodies until it is dropped.
pub(super) struct Held {
    pub bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Returns the body with its share of the memory.
    pub fn into_body(self) -> ingest::Body {
        ingest::Body::new(self.bytes, self.share)
    }
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The body exceeds the size limit.
    TooLarge,
    /// The body didn't arrive in time.
    TooSlow,
    /// The bodies of other requests occupy the memory for bodies.
    NoRoom,
    /// The connection ended before the body did.
    Broken,
}

/// Reads the whole body. Keeps at most `largest` bytes, and reads nothing if `length` exceeds that.
/// Memory is reserved as data arrives, so a sender who only announces a large body takes nothing
/// from the others.
pub(super) async fn read(
    body: Body,
    length: Option<u64>,
    largest: usize,
    time: Duration,
    memory: &Arc<Semaphore>,
) -> Result<Held, BodyError> {
    if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > largest)) {
        return Err(BodyError::TooLarge);
    }
    timeout(time, collect(body, largest, memory)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn collect(mut body: Body, largest: usize, memory: &Arc<Semaphore>) -> Result<Held, BodyError> {
    let mut held = Held { bytes: Vec::new(), share: None };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if data.len() > largest - held.bytes.len() {
            return Err(BodyError::TooLarge);
        }
        let permits = u32::try_from(data.len()).map_err(|_| BodyError::TooLarge)?;
        // Don't wait for memory: bodies that hold a part of it would wait for each other until all
        // of them time out.
        let more = Arc::clone(memory).try_acquire_many_owned(permits).map_err(|_| BodyError::NoRoom)?;
        match &mut held.share {
            Some(share) => share.merge(more),
            share @ None => *share = Some(more),
        }
        held.bytes.extend_from_slice(&data);
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt as _, stream};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn chunks(sizes: &[usize]) -> Body {
        let chunks: Vec<_> =
            sizes.iter().map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    async fn outcome(body: Body, length: Option<u64>, memory: &Arc<Semaphore>) -> Result<usize, BodyError> {
        read(body, length, 100, SECOND, memory).await.map(|held| held.bytes.len())
    }

    #[tokio::test]
    async fn the_size_is_bounded_with_and_without_an_announced_length() {
        let memory = Arc::new(Semaphore::new(1_000));
        assert_eq!(outcome(chunks(&[60, 40]), None, &memory).await, Ok(100));
        assert_eq!(outcome(chunks(&[60, 41]), None, &memory).await, Err(BodyError::TooLarge));
        assert_eq!(outcome(chunks(&[]), Some(u64::MAX), &memory).await, Err(BodyError::TooLarge));
        let never_read =
            Body::from_stream(stream::poll_fn(|_| -> std::task::Poll<Option<std::io::Result<Bytes>>> {
                panic!("read in spite of its length")
            }));
        assert_eq!(outcome(never_read, Some(101), &memory).await, Err(BodyError::TooLarge));
        assert_eq!(memory.available_permits(), 1_000);
    }

    #[tokio::test]
    async fn memory_is_shared_and_given_back() {
        let memory = Arc::new(Semaphore::new(150));
        let first = read(chunks(&[30, 70]), None, 100, SECOND, &memory).await;
        assert_eq!(memory.available_permits(), 50);
        assert_eq!(outcome(chunks(&[30, 30]), None, &memory).await, Err(BodyError::NoRoom));
        assert_eq!(memory.available_permits(), 50);
        assert_eq!(outcome(chunks(&[50]), None, &memory).await, Ok(50));
        drop(first);
        assert_eq!(memory.available_permits(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_takes_too_long_or_breaks_off_is_given_up() {
        let memory = Arc::new(Semaphore::new(150));
        let part = || stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
        let stalled = Body::from_stream(part().chain(stream::pending()));
        assert_eq!(outcome(stalled, None, &memory).await, Err(BodyError::TooSlow));
        let broken = Body::from_stream(part().chain(stream::iter([Err(std::io::Error::other("gone"))])));
        assert_eq!(outcome(broken, None, &memory).await, Err(BodyError::Broken));
        assert_eq!(memory.available_permits(), 150);
    }
}
