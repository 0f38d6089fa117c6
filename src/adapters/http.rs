//! HTTP for all adapters: name resolution, a client with persistent connections, TLS and proxies, and
//! errors with their causes.

pub(super) mod proxy;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use jiff::{SignedDuration, Timestamp};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Body, Client, Proxy};
use url::Host;

use self::proxy::Proxies;
use super::tls;

/// Most addresses of a name that are used.
const MOST_ADDRESSES: usize = 8;

/// The `User-Agent` of every request that sets no other.
const USER_AGENT: &str = concat!("matinee/", env!("CARGO_PKG_VERSION"));

/// Longest time for which a rate limit is respected.
const LONGEST_LIMIT: SignedDuration = SignedDuration::from_hours(1);

type BoxError = Box<dyn Error + Send + Sync>;

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

/// Returns whether a connection to this address is permitted for a URL with this host.
pub(super) type Permits = fn(&str, IpAddr) -> bool;

/// Resolves names to permitted addresses. The check is in the resolver, so that the checked address
/// is the one that is connected to.
struct Permitted(Permits);

/// The error for a name without a permitted address.
#[derive(Debug, thiserror::Error)]
#[error("{0} leads to this machine, its link, or a metadata service, where nothing is sent")]
struct NoWay(String);

impl Resolve for Permitted {
    fn resolve(&self, name: Name) -> Resolving {
        let permits = self.0;
        Box::pin(async move {
            let mut found = resolve(name.as_str(), 0).await?;
            found.retain(|address| permits(name.as_str(), address.ip()));
            if found.is_empty() {
                return Err(NoWay(name.as_str().to_owned()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The reason why there is no answer. It doesn't contain the URL, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The request isn't permitted and wasn't sent.
    #[error("{0}")]
    Forbidden(String),
    /// There was no answer, but a retry may succeed.
    #[error("{0}")]
    NoAnswer(String),
}

/// A client for HTTP/1.1 with and without TLS. It keeps connections open, follows no redirects and
/// retries nothing.
#[derive(Clone)]
pub(super) struct HttpClient {
    direct: Client,
    /// The client for targets that need the proxy. The proxy resolves their names itself, so no
    /// permission limits the addresses.
    tunnel: Client,
    proxies: Proxies,
    permits: Permits,
    timeout: Duration,
}

impl HttpClient {
    /// Creates a client. An attempt to connect is given up after half of `timeout`.
    pub fn new(timeout: Duration) -> Result<Self, String> {
        Self::permitting(|_, _| true, timeout)
    }

    /// Creates a client that connects only to permitted addresses.
    pub fn permitting(permits: Permits, timeout: Duration) -> Result<Self, String> {
        let tls = tls::client_config()?;
        let proxies = Proxies::from_environment()?;
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured((*tls).clone())
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(timeout / 2)
                .pool_idle_timeout(timeout)
        };
        let direct = builder().dns_resolver(Permitted(permits)).build().map_err(|error| causes(&error))?;
        let tunnel = match &proxies.url {
            // The error would repeat the URL, which may contain a password.
            Some(url) => builder().proxy(Proxy::all(url.to_string()).map_err(|_| proxy::UNUSABLE)?),
            None => builder(),
        };
        let tunnel = tunnel.build().map_err(|error| causes(&error.without_url()))?;
        Ok(Self { direct, tunnel, proxies, permits, timeout })
    }

    /// Sends a request and returns the head of the answer, before its body is read. The caller sets
    /// the timeout.
    pub async fn send<B: Into<Body>>(&self, request: Request<B>) -> Result<Response<Body>, Failure> {
        let proxy = self.proxies.on_the_way(request.uri());
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| Failure::Forbidden(causes(&error.without_url())))?;
        request.headers_mut().entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        // The resolver isn't called for a literal address, so it is checked here.
        let address = match request.url().host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = address
            && !(self.permits)(&address.to_string(), address)
        {
            return Err(Failure::Forbidden(NoWay(address.to_string()).to_string()));
        }
        let client = if proxy.is_some() { &self.tunnel } else { &self.direct };
        client.execute(request).await.map(Response::from).map_err(|error| {
            let error = error.without_url();
            // reqwest's own message says only that sending failed.
            let why = causes(error.source().unwrap_or(&error));
            match (find::<NoWay>(&error), proxy) {
                (Some(no_way), _) => Failure::Forbidden(no_way.to_string()),
                (None, Some(proxy)) if error.is_connect() => Failure::NoAnswer(format!(
                    "through the proxy {}, which HTTPS_PROXY names: {why}",
                    proxy.uri()
                )),
                (None, _) => Failure::NoAnswer(why),
            }
        })
    }

    /// Sends a request and reads the whole answer, up to `largest` bytes, within the timeout.
    pub async fn exchange<B: Into<Body>>(
        &self,
        request: Request<B>,
        largest: usize,
    ) -> Result<Response<Bytes>, String> {
        let exchange = async {
            let answer = self.send(request).await.map_err(|failure| failure.to_string())?;
            read(answer, largest).await
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", self.timeout.as_secs_f32())))
    }
}

/// Reads the body of an answer, up to `largest` bytes.
pub(super) async fn read<B>(answer: Response<B>, largest: usize) -> Result<Response<Bytes>, String>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (parts, body) = answer.into_parts();
    match Limited::new(body, largest).collect().await {
        Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
        Err(error) => Err(format!("answered {} and broke off: {}", parts.status, causes(&*error))),
    }
}

/// Returns when to send again: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3),
/// else after `default`, within bounds.
pub(super) fn retry_at(headers: &HeaderMap, now: Timestamp, default: SignedDuration) -> Timestamp {
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds =
        |text: &str| text.parse::<u32>().ok().map(|seconds| SignedDuration::from_secs(seconds.into()));
    let date = |text: &str| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(date.duration_since(now))
    };
    let wait = text.and_then(|text| seconds(text).or_else(|| date(text)));
    let wait = wait.unwrap_or(default).clamp(SignedDuration::from_secs(1), LONGEST_LIMIT);
    now.checked_add(wait).unwrap_or(now)
}

/// Returns the first cause of this type.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (**error).source()).find_map(|error| error.downcast_ref())
}

/// Returns an error's message with those of its causes, since the outermost message alone says
/// little.
pub(crate) fn causes(error: &dyn Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::image::may_connect;

    #[test]
    fn limits_last_as_long_as_the_answer_says_within_bounds() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let wait = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            }
            retry_at(&headers, now, SignedDuration::from_mins(1)).duration_since(now).as_secs()
        };
        assert_eq!(wait(Some("7")), 7);
        assert_eq!(wait(Some("Fri, 02 Jan 2026 03:04:35 GMT")), 30);
        assert_eq!(wait(Some("Thu, 01 Jan 2026 03:04:35 GMT")), 1);
        assert_eq!(wait(Some("0")), 1);
        assert_eq!(wait(Some("4000000000")), 3600);
        for unsaid in [None, Some("soon"), Some("-5"), Some("")] {
            assert_eq!(wait(unsaid), 60, "{unsaid:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_has_no_permitted_address() {
        // Resolvers read "127.1" as 127.0.0.1. It stands for a name that a name server resolves to
        // this machine.
        for (name, permitted) in [("127.1", false), ("localhost", true)] {
            let found = Permitted(may_connect).resolve(name.parse().unwrap()).await;
            assert_eq!(found.is_ok(), permitted, "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_without_a_permitted_address_is_not_connected_to() {
        for (permits, forbidden) in [((|_, _| false) as Permits, true), (|_, _| true, false)] {
            let client = HttpClient::permitting(permits, Duration::from_secs(10)).unwrap();
            for host in ["localhost", "127.0.0.1", "[::1]"] {
                let request = Request::get(format!("http://{host}:1/secret")).body(Body::default()).unwrap();
                let failure = client.send(request).await.unwrap_err();
                assert_eq!(matches!(failure, Failure::Forbidden(_)), forbidden, "{host}: {failure:?}");
                assert!(!failure.to_string().contains("secret"), "{failure}");
            }
        }
    }
}
