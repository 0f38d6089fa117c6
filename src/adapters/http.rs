//! HTTP for all adapters: name resolution, TLS, proxies, a client with persistent connections, and
//! errors with their causes.

pub(super) mod proxy;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::Uri;
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

use self::proxy::{Connector, Proxies};
use super::tls;

/// Most addresses of a name that are used.
const MOST_ADDRESSES: usize = 8;

/// Resolves a name. `localhost` and names below it are this machine, even if name servers disagree
/// (RFC 6761, section 6.3).
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    let found: Vec<_> = found.take(MOST_ADDRESSES).collect();
    if found.is_empty() { Err(format!("{host} has no address")) } else { Ok(found) }
}

/// Returns an HTTP/1.1 connector that adds TLS for `https` URLs, through the proxy that the
/// environment sets for them.
pub(super) fn https<R>(mut direct: HttpConnector<R>) -> Result<Https<R>, String>
where
    Connector<R>: Service<Uri>,
{
    let tls = tls::client_config()?;
    let tls = || HttpsConnectorBuilder::new().with_tls_config((*tls).clone()).https_or_http().enable_http1();
    // The TLS layer handles the scheme.
    direct.enforce_http(false);
    let mut to_proxy = HttpConnector::new();
    to_proxy.enforce_http(false);
    let to_proxy = tls().wrap_connector(to_proxy);
    let connector = Connector { direct, to_proxy, proxies: Proxies::from_environment()? };
    Ok(tls().wrap_connector(connector))
}

/// A connector for HTTP and HTTPS.
pub(super) type Https<R = GaiResolver> = HttpsConnector<Connector<R>>;

/// A client for HTTP and HTTPS that keeps connections open, follows no redirects and retries
/// nothing.
pub(super) type HttpClient<B> = Client<TimeoutConnector<Https>, B>;

/// Creates a client. A connection is closed after `timeout` without a byte, and an attempt to
/// connect is given up after half of it. The whole request has no timeout. It needs a running tokio
/// runtime.
pub(super) fn client<B>(timeout: Duration) -> Result<HttpClient<B>, String>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut connector = TimeoutConnector::new(https(HttpConnector::new())?);
    connector.set_connect_timeout(Some(timeout / 2));
    connector.set_read_timeout(Some(timeout));
    connector.set_write_timeout(Some(timeout));
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(timeout)
        .build(connector))
}

/// Returns an error's message with those of its causes, since the outermost message alone says
/// little.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
