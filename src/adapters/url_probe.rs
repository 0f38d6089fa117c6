//! Requests to previews: probes their URLs and resolves their host names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::select_ok;
use http::{Request, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http::resolve;
use super::tls;
use crate::ports::Prober;

/// Most bytes of an answer's head.
const LARGEST_HEAD: usize = 64 << 10;

/// Probes a URL: one `GET` on a new connection, of which only the head of the answer is read. It
/// follows no redirects and accepts any certificate, since it only shows whether a route leads to
/// the preview, and sends no secret.
#[derive(Clone, Debug)]
pub struct WebProber {
    timeout: Duration,
}

impl Default for WebProber {
    /// Returns a prober with a timeout of five seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(5))
    }
}

impl WebProber {
    /// Creates a prober. `timeout` covers a probe from name resolution to the answer's head.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

#[async_trait]
impl Prober for WebProber {
    async fn probe(&self, url: &str, address: Option<&str>) -> Result<u16, String> {
        match tokio::time::timeout(self.timeout, ask(url, address)).await {
            Ok(result) => result.map_err(|why| format!("GET {url}: {why}")),
            Err(_) => Err(format!("GET {url}: no answer within {} s", self.timeout.as_secs_f32())),
        }
    }
}

/// Resolves a name from here, within `timeout`. The addresses are sorted and unique.
pub async fn addresses(name: &str, timeout: Duration) -> Result<Vec<IpAddr>, String> {
    let found = tokio::time::timeout(timeout, resolve(name, 0))
        .await
        .map_err(|_| format!("no name server answered within {} s", timeout.as_secs_f32()))??;
    let mut addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

async fn ask(url: &str, address: Option<&str>) -> Result<u16, String> {
    let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
        return Err("not a URL with a host".into());
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err("neither http:// nor https://".into()),
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let addresses = match address {
        None => resolve(host, port).await?,
        Some(address) => {
            let (host, port) = address
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host, port.parse().ok()?)))
                .ok_or_else(|| format!("\"{address}\" is not host:port"))?;
            resolve(host.trim_start_matches('[').trim_end_matches(']'), port).await?
        }
    };
    let stream = connect(&addresses).await?;
    // User information in the URL is left out.
    let name = authority.as_str().rsplit('@').next().unwrap_or_default();
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, name)
        .header(header::USER_AGENT, "matinee-probe")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    if secure {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(tls::any_certificate()?).connect(name, stream).await;
        exchange(stream.map_err(|error| format!("TLS: {error}"))?, request).await
    } else {
        exchange(stream, request).await
    }
}

/// Connects to all addresses at once, so that an address that doesn't answer can't use up the time.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let attempts = addresses.iter().map(|address| {
        Box::pin(async move {
            TcpStream::connect(address).await.map_err(|error| format!("connecting to {address}: {error}"))
        })
    });
    select_ok(attempts).await.map(|(stream, _)| stream)
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    // The connection drives the request, and may end before the answer is taken.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    };
    match answer {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) if error.is_incomplete_message() => {
            Err("the connection was closed without an answer".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// Answers one request with these bytes, keeps the connection open, and returns the request's
    /// head.
    async fn server(answer: &'static [u8]) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            stream.write_all(answer).await.unwrap();
            if !answer.is_empty() {
                // Waits until the client closes the connection.
                let _ = stream.read(&mut [0; 16]).await;
            }
            String::from_utf8_lossy(&head[..length]).into_owned()
        });
        (port, task)
    }

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nonly a part of it";

    #[tokio::test]
    async fn names_below_localhost_lead_here_and_the_body_is_not_waited_for() {
        let (port, request) = server(OK).await;
        let url = format!("http://pr-7-shop.preview.LOCALHOST:{port}/health?deep=1");
        assert_eq!(WebProber::default().probe(&url, None).await, Ok(200));
        let request = request.await.unwrap();
        assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: pr-7-shop.preview.LOCALHOST:{port}\r\n")), "{request}");
        assert!(request.contains("user-agent: matinee-probe\r\n"), "{request}");
    }

    #[tokio::test]
    async fn another_address_is_asked_for_the_name() {
        let (port, request) = server(OK).await;
        let answer =
            WebProber::default().probe("http://preview.invalid", Some(&format!("127.0.0.1:{port}"))).await;
        assert_eq!(answer, Ok(200));
        let request = request.await.unwrap();
        assert!(request.starts_with("GET / HTTP/1.1\r\n") && request.contains("host: preview.invalid\r\n"));
    }

    #[tokio::test]
    async fn redirects_and_errors_are_answers() {
        for (answer, status) in [
            (&b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n"[..], 302),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
            (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404),
        ] {
            let (port, _) = server(answer).await;
            assert_eq!(
                WebProber::default().probe(&format!("http://localhost:{port}"), None).await,
                Ok(status)
            );
        }
    }

    #[tokio::test]
    async fn what_does_not_answer_is_told() {
        let (port, _) = server(b"").await;
        let error = WebProber::default().probe(&format!("http://localhost:{port}"), None).await.unwrap_err();
        assert!(error.contains("closed without an answer"), "{error}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hasty = WebProber::new(Duration::from_millis(50));
        let error = hasty.probe(&format!("http://localhost:{port}"), None).await.unwrap_err();
        assert!(error.contains("no answer within 0.05 s"), "{error}");

        drop(listener);
        let error = WebProber::default().probe(&format!("http://127.0.0.1:{port}"), None).await.unwrap_err();
        assert!(error.contains(&format!("connecting to 127.0.0.1:{port}")), "{error}");

        let (port, _) = server(b"SSH-2.0-OpenSSH\r\n").await;
        let error = WebProber::default().probe(&format!("https://localhost:{port}"), None).await.unwrap_err();
        assert!(error.contains("TLS"), "{error}");
    }

    /// Starts a TLS server with an untrusted certificate for another name. It answers one request.
    async fn secure_server(versions: &[&'static rustls::SupportedProtocolVersion]) -> u16 {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["elsewhere.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut head = vec![0; 4096];
            let _ = stream.read(&mut head).await.unwrap();
            stream.write_all(OK).await.unwrap();
            let _ = stream.read(&mut [0; 16]).await;
        });
        port
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_trusts_is_an_answer() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let port = secure_server(&[version]).await;
            let url = format!("https://pr-7-shop.preview.localhost:{port}/");
            assert_eq!(WebProber::default().probe(&url, None).await, Ok(200), "{version:?}");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_fails_is_no_answer() {
        let port = secure_server(&[&rustls::version::TLS13]).await;
        // Plain HTTP to a TLS server, and TLS to a plain HTTP server.
        assert!(WebProber::default().probe(&format!("http://localhost:{port}"), None).await.is_err());
        let (port, _) = server(b"").await;
        let error = WebProber::default().probe(&format!("https://localhost:{port}"), None).await.unwrap_err();
        assert!(error.contains("TLS"), "{error}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_read_forever() {
        let head = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(1 << 20)).into_bytes();
        let (port, _) = server(head.leak()).await;
        assert!(WebProber::default().probe(&format!("http://localhost:{port}"), None).await.is_err());
    }

    #[tokio::test]
    async fn names_lead_to_addresses_or_the_reason_is_told() {
        let here = addresses("x.localhost", Duration::from_secs(5)).await.unwrap();
        assert_eq!(here, ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        let nowhere = addresses("x.invalid", Duration::from_secs(5)).await.unwrap_err();
        assert!(nowhere.contains("x.invalid") || nowhere.contains("no name server"), "{nowhere}");
    }

    #[tokio::test]
    async fn invalid_url_is_reported() {
        for url in ["", "/path", "ftp://host/", "http://"] {
            assert!(WebProber::default().probe(url, None).await.is_err(), "{url}");
        }
        let error = WebProber::default().probe("http://x", Some("nonsense")).await.unwrap_err();
        assert!(error.contains("\"nonsense\" is not host:port"), "{error}");
    }
}
