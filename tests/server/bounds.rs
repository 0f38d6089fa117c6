//! Large, slow and numerous requests.

use std::time::{Duration, Instant};

use matinee::core::signature::sign;
use matinee::server::Limits;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::client::{delivery, head};
use super::served::{Served, limits, secret};

/// A number of bytes that sockets can't buffer, so that a client can send them only if the server
/// reads them.
const MORE_THAN_SOCKETS_HOLD: usize = 20_000_000;

/// Returns the usual limits of size, and limits of time that a slow machine doesn't reach.
fn patient() -> Limits {
    Limits { body_time: Duration::from_secs(30), request_time: Duration::from_secs(40), ..limits() }
}

/// Returns a body of a handled event, padded to a size.
fn body(size: usize) -> Vec<u8> {
    let mut body = br#"{"action":"created","deployment":{"id":5,"sha":"c","environment":"preview"},"repository":{"full_name":"acme/shop"},"filler":""#.to_vec();
    body.resize(size - 2, b'x');
    body.extend(b"\"}");
    body
}

#[tokio::test]
async fn content_length_over_the_limit_is_answered_413_unread() {
    let served = Served::start().await;
    for length in [25 * 1024 * 1024 + 1, 1_u64 << 60] {
        let length = length.to_string();
        let signature = format!("sha256={}", "0".repeat(64));
        // The client sends no byte of the body.
        let answer =
            served.ask(head(&[("Content-Length", &length), ("X-Hub-Signature-256", &signature)])).await;
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
        assert!(answer.message.contains("26214400 bytes"), "{}", answer.message);
    }
    served.nothing_was_applied();
}

#[tokio::test]
async fn a_body_of_the_documented_largest_size_is_taken_in() {
    // This test is about size alone: without optimization, hashing may take longer than GitHub
    // waits.
    let patience = Duration::from_mins(1);
    let limits = Limits { body_time: patience, request_time: patience, ..Limits::default() };
    let served = Served::with(limits).await;
    let answer =
        served.ask(delivery(&secret(), &body(25 * 1024 * 1024), &[("X-GitHub-Event", "deployment")])).await;
    assert_eq!((answer.status, answer.message.as_str()), (202, "previewed"));
}

#[tokio::test]
async fn client_that_sends_an_oversized_body_receives_413() {
    let served = Served::with(patient()).await;
    for size in [100_001, MORE_THAN_SOCKETS_HOLD] {
        // The server doesn't check the signature of a body that it doesn't read.
        let signature = sign(&secret(), b"");
        let length = size.to_string();
        let header = head(&[("Content-Length", &length), ("X-Hub-Signature-256", &signature)]);
        let answer = served.ask([header.as_bytes(), &body(size)].concat()).await;
        assert_eq!(answer.status, 413);
        assert!(answer.message.contains("100000 bytes"), "{}", answer.message);
    }
    served.nothing_was_applied();
    let answer = served.ask(delivery(&secret(), &body(100_000), &[("X-GitHub-Event", "deployment")])).await;
    assert_eq!(answer.status, 202, "{}", answer.message);
}

/// Returns the body in chunks, which announce no size.
fn chunked(body: &[u8], signature: &str) -> Vec<u8> {
    let mut request = head(&[
        ("Transfer-Encoding", "chunked"),
        ("X-Hub-Signature-256", signature),
        ("X-GitHub-Event", "deployment"),
    ])
    .into_bytes();
    for chunk in body.chunks(10_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn chunked_body_is_bounded_while_received() {
    let served = Served::with(patient()).await;
    let signature = |size| sign(&secret(), &body(size));
    assert_eq!(served.ask(chunked(&body(100_000), &signature(100_000))).await.status, 202);
    assert_eq!(served.events().len(), 1);
    for size in [100_001, MORE_THAN_SOCKETS_HOLD] {
        let answer = served.ask(chunked(&body(size), &signature(100_001))).await;
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    }
    assert_eq!(served.events().len(), 1);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_answered_408() {
    let served = Served::with(limits()).await;
    let request = delivery(&secret(), &body(1_000), &[("X-GitHub-Event", "deployment")]);
    let (start, last) = request.split_at(request.len() - 1);
    let began = Instant::now();
    let mut client = served.client().await;
    client.send(start).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(answer.message.contains("500ms"), "{}", answer.message);
    assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() < Duration::from_secs(5));
    // Late bytes change nothing.
    let _ = client.0.write_all(last).await;
    served.nothing_was_applied();
}

/// Single bytes now and then don't extend the time.
#[tokio::test]
async fn a_body_that_trickles_in_is_answered_408_too() {
    let served = Served::with(limits()).await;
    let request = delivery(&secret(), &body(1_000), &[("X-GitHub-Event", "deployment")]);
    let (start, rest) = request.split_at(request.len() - 900);
    let mut client = served.client().await;
    client.send(start).await;
    let (mut reader, mut writer) = client.0.into_split();
    let trickle = async {
        for byte in rest {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let read = async {
        let mut status = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut status).await.unwrap();
        status
    };
    tokio::select! {
        () = trickle => panic!("not answered before the body was complete"),
        status = read => assert_eq!(&status, b"HTTP/1.1 408"),
    }
    served.nothing_was_applied();
}

#[tokio::test]
async fn header_timeout_closes_new_and_reused_connections() {
    let served = Served::with(limits()).await;
    let patience = Duration::from_secs(10);
    let mut silent = served.client().await;
    assert!(timeout(patience, silent.answer()).await.unwrap().is_none());
    let mut slow = served.client().await;
    slow.send("POST /webhooks/github HTTP/1.1\r\nHost: ").await;
    assert!(timeout(patience, slow.answer()).await.unwrap().is_none());
    let mut used = served.client().await;
    used.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(used.answer().await.unwrap().status, 404);
    assert!(timeout(patience, used.answer()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_body_that_breaks_off_has_no_effect() {
    let served = Served::with(limits()).await;
    let request = delivery(&secret(), &body(1_000), &[("X-GitHub-Event", "deployment")]);
    let mut client = served.client().await;
    client.send(&request[..request.len() - 1]).await;
    client.0.shutdown().await.unwrap();
    if let Some(answer) = client.answer().await {
        assert_eq!(answer.status, 400, "{}", answer.message);
    }
    served.nothing_was_applied();
}

#[tokio::test]
async fn bodies_share_bounded_memory_and_excess_is_answered_503() {
    let served = Served::with(patient()).await;
    // An announced length takes no memory.
    let mut promise = served.client().await;
    promise.send(head(&[("Content-Length", "100000"), ("X-Hub-Signature-256", &sign(&secret(), b""))])).await;
    // 149,000 of 150,000 bytes are in use.
    let request = delivery(&secret(), &body(74_500), &[("X-GitHub-Event", "deployment")]);
    let (start, last) = request.split_at(request.len() - 1);
    let (mut first, mut second) = (served.client().await, served.client().await);
    first.send(start).await;
    second.send(start).await;
    let third = delivery(&secret(), &body(2_000), &[("X-GitHub-Event", "deployment")]);
    // Tasks of their own read the first two bodies: until they have reserved their share, the third
    // still fits.
    let refused = timeout(Duration::from_secs(20), async {
        loop {
            let answer = served.ask(&third).await;
            if answer.status != 202 {
                break answer;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    let before = served.events().len();
    for client in [&mut first, &mut second] {
        client.send(last).await;
        assert_eq!(client.answer().await.unwrap().status, 202);
    }
    assert_eq!(served.ask(&third).await.status, 202, "the memory was given back");
    assert_eq!(served.events().len(), before + 3);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let mut limits = limits();
    limits.connections = 1;
    limits.header_time = Duration::from_mins(1);
    let served = Served::with(limits).await;
    let mut first = served.client().await;
    first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.answer().await.unwrap().status, 404);
    let mut second = served.client().await;
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(timeout(Duration::from_millis(300), second.answer()).await.is_err(), "served beside the first");
    drop(first);
    assert_eq!(second.answer().await.unwrap().status, 404);
}

#[tokio::test]
async fn a_shutdown_lets_deliveries_under_way_end_and_takes_no_new_ones() {
    let served = Served::start().await;
    served.ingest.gate.forget_permits(1_000);
    let mut under_way = served.client().await;
    under_way.send(delivery(&secret(), &body(1_000), &[("X-GitHub-Event", "deployment")])).await;
    assert!(timeout(Duration::from_millis(300), under_way.answer()).await.is_err());
    let mut idle = served.client().await;
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 404);

    served.shutdown.cancel();
    assert!(idle.answer().await.is_none(), "an idle connection is closed");
    assert!(tokio::net::TcpStream::connect(served.address).await.is_err(), "nothing listens any more");
    served.ingest.gate.add_permits(1);
    assert_eq!(under_way.answer().await.unwrap().status, 202);
    assert_eq!(served.events().len(), 1);
    timeout(Duration::from_secs(10), served.server).await.unwrap().unwrap();
}
