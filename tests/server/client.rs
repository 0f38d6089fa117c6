//! An HTTP client simple enough to send requests that no library would.

use std::net::SocketAddr;

use matinee::core::signature::WebhookSecret;
use matinee::core::signature::sign;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub message: String,
}

pub struct Client(pub TcpStream);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads the next answer; `None` when the connection ends without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.0.read_buf(&mut read).await.unwrap() == 0 {
                assert_eq!(read, b"", "the answer broke off");
                return None;
            }
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
        let length = header(&head, "content-length").map_or(0, |value| value.parse::<usize>().unwrap());
        while read.len() < end + length {
            assert_ne!(self.0.read_buf(&mut read).await.unwrap(), 0, "the answer broke off");
        }
        let json: Value = serde_json::from_slice(&read[end..end + length]).unwrap();
        Some(Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            message: json["message"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Returns the head of a delivery with GitHub's headers. `changes` replaces headers, or removes
/// those with an empty value.
pub fn head(changes: &[(&str, &str)]) -> String {
    let mut headers = vec![
        ("Host", "matinee.example.com"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("X-GitHub-Event", "pull_request"),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("Content-Type", "application/json"),
    ];
    for change in changes {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(change.0));
        headers.push(*change);
    }
    let lines: Vec<_> = headers
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("POST /webhooks/github HTTP/1.1\r\n{}\r\n", lines.concat())
}

/// Returns a complete delivery: signed, with its length, and with `changes` to the headers.
pub fn delivery(secret: &WebhookSecret, body: &[u8], changes: &[(&str, &str)]) -> Vec<u8> {
    let (signature, length) = (sign(secret, body), body.len().to_string());
    let mut all = vec![("X-Hub-Signature-256", signature.as_str()), ("Content-Length", length.as_str())];
    all.extend(changes);
    [head(&all).as_bytes(), body].concat()
}
