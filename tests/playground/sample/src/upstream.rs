//! Connections to others: to another sample, which shows that components of a preview reach one
//! another by name, and to any address, which shows what a network allows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time for a connection that a network may drop. It covers the second attempt of TCP,
/// which follows after a second.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);
/// How long the attempts at the start go on. That is longer than a network takes to learn of a new
/// pod.
const STARTING: Duration = Duration::from_secs(5);
/// Longest time of one attempt at the start, and the pause after it.
const START_PAUSE: Duration = Duration::from_millis(50);
/// Longest answer in bytes; the rest is cut.
const LONGEST: u64 = 64 * 1024;

/// Returns the body of `/` from the sample at `address` (`host:port`).
///
/// # Errors
/// A text with the cause: the name does not resolve, no connection, no answer, or a status other
/// than 200.
pub(crate) fn fetch(address: &str) -> Result<String, String> {
    let connection = open(address, PATIENCE)?;
    let answer = exchange(connection, address).map_err(|e| e.to_string())?;
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(&answer) {
        Ok(httparse::Status::Complete(head)) if response.code == Some(200) => {
            Ok(String::from_utf8_lossy(&answer[head..]).into_owned())
        }
        Ok(httparse::Status::Complete(_)) => Err(format!("status {}", response.code.unwrap_or_default())),
        Ok(httparse::Status::Partial) => Err("the answer ended early".to_owned()),
        Err(problem) => Err(problem.to_string()),
    }
}

/// Opens a TCP connection to `address` (`host:port`) and closes it. Returns the address to which
/// the name resolved.
///
/// # Errors
/// A text with the cause: the name does not resolve, or no connection within two seconds.
pub(crate) fn connect(address: &str) -> Result<SocketAddr, String> {
    let connection = open(address, CONNECTED_WITHIN)?;
    connection.peer_addr().map_err(|e| e.to_string())
}

/// Tries to connect to `address` again and again, from now on for some seconds. Returns `made` or
/// the last error.
pub(crate) fn connect_at_start(address: &str) -> String {
    let began = Instant::now();
    loop {
        match open(address, START_PAUSE) {
            Ok(_) => return "made".to_owned(),
            Err(problem) if began.elapsed() > STARTING => return problem,
            // An error can come at once, and spinning would starve everything else.
            Err(_) => thread::sleep(START_PAUSE),
        }
    }
}

fn open(address: &str, within: Duration) -> Result<TcpStream, String> {
    let targets = address.to_socket_addrs().map_err(|e| format!("cannot resolve: {e}"))?;
    let mut connection = Err("resolves to nothing".to_owned());
    for target in targets {
        connection = TcpStream::connect_timeout(&target, within).map_err(|e| format!("{target}: {e}"));
        if connection.is_ok() {
            break;
        }
    }
    connection
}

fn exchange(mut connection: TcpStream, address: &str) -> std::io::Result<Vec<u8>> {
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(connection, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}
