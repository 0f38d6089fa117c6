//! Sends a request to another sample, which shows that components of a preview reach one another by
//! name.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer in bytes; the rest is cut.
const LONGEST: u64 = 64 * 1024;

/// Returns the body of `/` from the sample at `address` (`host:port`).
///
/// # Errors
/// A text with the cause: the name does not resolve, no connection, no answer, or a status other
/// than 200.
pub(crate) fn fetch(address: &str) -> Result<String, String> {
    let targets = address.to_socket_addrs().map_err(|e| format!("cannot resolve: {e}"))?;
    let mut connection = Err("resolves to nothing".to_owned());
    for target in targets {
        connection = TcpStream::connect_timeout(&target, PATIENCE).map_err(|e| format!("{target}: {e}"));
        if connection.is_ok() {
            break;
        }
    }
    let answer = exchange(connection?, address).map_err(|e| e.to_string())?;
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

fn exchange(mut connection: TcpStream, address: &str) -> std::io::Result<Vec<u8>> {
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(connection, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}
