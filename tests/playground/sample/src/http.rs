//! HTTP with one request and one answer per connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::settings::Settings;
use crate::{page, upstream};

/// Longest head of a request, in bytes; bodies are not read.
const LONGEST_HEAD: usize = 16 * 1024;
/// Longest time that a client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status code and reason.
    status: &'static str,
    /// `Content-Type` without the character set.
    kind: &'static str,
    /// The content.
    body: String,
}

impl Answer {
    fn plain(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain", body: body.into() }
    }
}

/// Reads one request from the connection and answers it. A client that disconnects is not an error.
pub(crate) fn answer(mut connection: TcpStream, settings: &Settings) {
    let _ = connection.set_read_timeout(Some(PATIENCE));
    let _ = connection.set_write_timeout(Some(PATIENCE));
    let Some(head) = read_head(&mut connection) else { return };
    let mut headers = [httparse::EMPTY_HEADER; 96];
    let mut request = httparse::Request::new(&mut headers);
    let (answer, with_body) = match request.parse(&head) {
        Ok(httparse::Status::Complete(_)) => {
            let method = request.method.unwrap_or_default();
            let accept = request
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("accept"))
                .map_or("", |header| std::str::from_utf8(header.value).unwrap_or_default());
            (respond(method, request.path.unwrap_or_default(), accept, settings), method != "HEAD")
        }
        Ok(httparse::Status::Partial) => {
            (Answer::plain("431 Request Header Fields Too Large", "the request is too long\n"), true)
        }
        Err(problem) => (Answer::plain("400 Bad Request", format!("{problem}\n")), true),
    };
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Vary: Accept\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    )
    .into_bytes();
    if with_body {
        bytes.extend_from_slice(answer.body.as_bytes());
    }
    let _ = connection.write_all(&bytes);
}

/// Reads up to the empty line, or as much as fits. Returns `None` when the client disconnects.
fn read_head(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut part = [0; 2048];
    while head.len() < LONGEST_HEAD && !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match connection.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(length) => head.extend_from_slice(&part[..length]),
        }
    }
    Some(head)
}

/// Returns the answer to a request for `path`, which may have a query.
fn respond(method: &str, path: &str, accept: &str, settings: &Settings) -> Answer {
    if !matches!(method, "GET" | "HEAD") {
        return Answer::plain("405 Method Not Allowed", "only GET and HEAD\n");
    }
    match path.split('?').next().unwrap_or_default() {
        "/" if accept.contains("text/html") => {
            Answer { status: "200 OK", kind: "text/html", body: page::html(settings) }
        }
        "/" => Answer::plain("200 OK", page::text(settings)),
        "/healthz" if settings.never_ready => {
            Answer::plain("503 Service Unavailable", "not ready, as NEVER_READY asks\n")
        }
        "/healthz" => Answer::plain("200 OK", "ready\n"),
        "/upstream" => match &settings.upstream {
            None => Answer::plain("404 Not Found", "UPSTREAM is not set\n"),
            Some(address) => match upstream::fetch(address) {
                Ok(body) => Answer::plain("200 OK", body),
                Err(problem) => Answer::plain("502 Bad Gateway", format!("{address}: {problem}\n")),
            },
        },
        "/connect" => match path.split_once("?to=") {
            None => Answer::plain("400 Bad Request", "name a host and a port: /connect?to=web:80\n"),
            Some((_, address)) => match upstream::connect(address) {
                Ok(peer) => Answer::plain("200 OK", format!("connected to {peer}\n")),
                Err(problem) => Answer::plain("502 Bad Gateway", format!("{address}: {problem}\n")),
            },
        },
        _ => Answer::plain("404 Not Found", "there are only /, /healthz, /upstream and /connect\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(never_ready: &str) -> Settings {
        Settings::from_variables(|name| (name == "NEVER_READY").then(|| never_ready.to_owned())).unwrap()
    }

    #[test]
    fn a_browser_gets_html_and_curl_text() {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        assert_eq!(respond("GET", "/?a=b", browser, &settings("")).kind, "text/html");
        assert_eq!(respond("GET", "/", "*/*", &settings("")).kind, "text/plain");
        assert_eq!(respond("GET", "/", "", &settings("")).body, "revision: unknown\n");
    }

    #[test]
    fn readiness_follows_the_setting() {
        assert_eq!(respond("GET", "/healthz", "", &settings("false")).status, "200 OK");
        assert_eq!(respond("GET", "/healthz", "", &settings("true")).status, "503 Service Unavailable");
    }

    #[test]
    fn a_connection_is_tried_on_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connect = |to: &str| respond("GET", &format!("/connect{to}"), "", &settings(""));
        assert_eq!(connect(&format!("?to={address}")).body, format!("connected to {address}\n"));
        drop(listener);
        let refused = connect(&format!("?to={address}"));
        assert_eq!(refused.status, "502 Bad Gateway");
        assert!(refused.body.starts_with(&format!("{address}: {address}: ")), "{}", refused.body);
        assert_eq!(connect("").status, "400 Bad Request");
        assert_eq!(connect("?to=nowhere").status, "502 Bad Gateway");
    }

    #[test]
    fn what_is_not_there_says_so() {
        assert_eq!(respond("GET", "/favicon.ico", "", &settings("")).status, "404 Not Found");
        assert_eq!(respond("GET", "/upstream", "", &settings("")).status, "404 Not Found");
        assert_eq!(respond("POST", "/", "", &settings("")).status, "405 Method Not Allowed");
    }
}
