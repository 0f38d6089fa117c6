//! Runs the program as a container would, and checks its behaviour.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The running program, which is killed when a test fails.
struct Sample(Child);

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sample {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_sample"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn next_line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.0.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    /// Returns the port on which the program says it listens.
    fn port(&mut self) -> u16 {
        let line = self.next_line();
        line.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no port in `{line}`"))
    }

    fn terminate(&self) {
        let status = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the exit code, at most 30 seconds.
    fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn send(port: u16, request: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn get(port: u16, path: &str, accept: &str) -> String {
    send(port, &format!("GET {path} HTTP/1.1\r\nHost: sample\r\nAccept: {accept}\r\n\r\n"))
}

#[test]
fn serves_its_revision_and_ends_at_once_when_told() {
    let variables = [("PORT", "0"), ("REVISION", "abc123"), ("PULL_REQUEST", "7"), ("MESSAGE", "hello")];
    let mut sample = Sample::start(&[], &variables);
    let port = sample.port();
    let plain = get(port, "/", "*/*");
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain"), "{plain}");
    assert!(plain.ends_with("\r\n\r\nrevision: abc123\npull request: 7\nmessage: hello\n"), "{plain}");
    let page = get(port, "/", "text/html");
    assert!(page.contains("Content-Type: text/html") && page.contains("<dd>abc123</dd>"), "{page}");
    assert!(get(port, "/healthz", "*/*").starts_with("HTTP/1.1 200"));
    let head = send(port, "HEAD / HTTP/1.1\r\nHost: sample\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(send(port, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(20_000));
    assert!(send(port, &long[..16 * 1024]).starts_with("HTTP/1.1 431"));
    let told = Instant::now();
    sample.terminate();
    assert_eq!(sample.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "took {:?} to end", told.elapsed());
}

#[test]
fn never_ready_still_serves() {
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("NEVER_READY", "true")]);
    let port = sample.port();
    assert!(get(port, "/healthz", "*/*").starts_with("HTTP/1.1 503"));
    assert!(get(port, "/", "*/*").starts_with("HTTP/1.1 200"));
}

#[test]
fn reaches_another_sample_by_name() {
    let mut other = Sample::start(&[], &[("PORT", "0"), ("REVISION", "theirs")]);
    let upstream = format!("localhost:{}", other.port());
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("REVISION", "mine"), ("UPSTREAM", &upstream)]);
    let port = sample.port();
    let answer = get(port, "/upstream", "*/*");
    assert!(answer.ends_with("\r\n\r\nrevision: theirs\n"), "{answer}");
    drop(other);
    assert!(get(port, "/upstream", "*/*").starts_with("HTTP/1.1 502"));
}

#[test]
fn a_connection_at_the_start_is_shown() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("CONNECT_AT_START", &address)]);
    assert!(get(sample.port(), "/", "*/*").ends_with("\nfirst connection: made\n"));
    drop(listener);
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("CONNECT_AT_START", &address)]);
    let failed = get(sample.port(), "/", "*/*");
    assert!(failed.contains(&format!("\nfirst connection: {address}: ")), "{failed}");
}

#[test]
fn crashes_when_asked() {
    let mut at_once = Sample::start(&[], &[("PORT", "0"), ("CRASH_AFTER", "0")]);
    assert_eq!(at_once.code(), Some(1));
    let mut later = Sample::start(&[], &[("PORT", "0"), ("CRASH_AFTER", "5")]);
    let port = later.port();
    assert!(get(port, "/", "*/*").starts_with("HTTP/1.1 200"));
    assert_eq!(later.code(), Some(1));
}

#[test]
fn completes_when_asked() {
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("COMPLETE_AFTER", "0")]);
    assert_eq!(sample.code(), Some(0));
}

#[test]
fn listens_only_after_its_delay_and_can_be_ended_within() {
    let started = Instant::now();
    let mut sample = Sample::start(&[], &[("PORT", "0"), ("START_DELAY", "1")]);
    let _ = sample.port();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let mut endless = Sample::start(&[], &[("PORT", "0"), ("START_DELAY", "86400")]);
    // A signal before the handler is installed kills the program, which ends at once either way.
    endless.terminate();
    assert!(matches!(endless.code(), Some(0) | None));
}

#[test]
fn a_bad_setting_is_refused_by_name() {
    let mut sample = Sample::start(&[], &[("PORT", "web")]);
    assert_eq!(sample.next_line(), "sample: PORT=web: give a port number\n");
    assert_eq!(sample.code(), Some(2));
}

#[test]
fn pause_sleeps_until_told() {
    let mut sample = Sample::start(&["pause"], &[("PORT", "web")]);
    // There is no output to wait for, so the test looks for the handler of SIGTERM (bit 14) in the
    // process's state.
    let status = format!("/proc/{}/status", sample.0.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let caught = std::fs::read_to_string(&status).unwrap();
        let caught = caught.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        if u64::from_str_radix(caught, 16).unwrap() & (1 << 14) != 0 {
            break;
        }
        assert!(Instant::now() < deadline, "never handles SIGTERM");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(sample.0.try_wait().unwrap().is_none());
    sample.terminate();
    assert_eq!(sample.code(), Some(0));
}
