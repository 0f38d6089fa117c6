//! HTTP to registries, limited to permitted addresses.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::{Host, Url};

use super::RegistrySettings;
use crate::adapters::http::{Https, causes, https, resolve};
use crate::core::image::may_connect;

/// Most bytes of an answer's head.
const LARGEST_HEAD: usize = 64 << 10;

/// The reason why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request isn't permitted and wasn't sent.
    Forbidden(String),
    /// There was no answer, but a retry may succeed.
    NoAnswer(String),
}

/// Sends each request once and follows no redirects.
pub(super) struct Transport {
    client: Client<TimeoutConnector<Https<Guarded>>, Empty<Bytes>>,
    user_agent: String,
}

impl Transport {
    pub fn new(settings: &RegistrySettings) -> Result<Self, String> {
        let mut connector = TimeoutConnector::new(https(HttpConnector::new_with_resolver(Guarded))?);
        connector.set_connect_timeout(Some(settings.timeout / 2));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.timeout)
            .http1_max_buf_size(LARGEST_HEAD)
            .build(connector);
        Ok(Self { client, user_agent: settings.user_agent.clone() })
    }

    /// Sends a request and returns the head of the answer, before its body is read. The caller sets
    /// the timeout.
    pub async fn send(
        &self,
        method: &Method,
        url: &Url,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failure> {
        // The resolver isn't called for a literal address, so it is checked here.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if let Some(address) = address
            && !may_connect(&address.to_string(), address)
        {
            return Err(Failure::Forbidden(NoWay { host: address.to_string() }.to_string()));
        }
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::USER_AGENT, &self.user_agent)
            .header(header::ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| Failure::Forbidden(error.to_string()))?;
        self.client.request(request).await.map_err(|error| failure(&error))
    }
}

fn failure(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(no_way) = one.downcast_ref::<NoWay>() {
            return Failure::Forbidden(no_way.to_string());
        }
        cause = one.source();
    }
    Failure::NoAnswer(causes(error))
}

/// Reads the body of an answer, up to `largest` bytes.
pub(super) async fn body(answer: Response<Incoming>, largest: usize) -> Result<Bytes, Failure> {
    let read = Limited::new(answer.into_body(), largest).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| Failure::NoAnswer(format!("the answer breaks off or is too long: {error}")))
}

/// The error for a name without a permitted address.
#[derive(Debug, thiserror::Error)]
#[error("{host} leads to this machine, its link, or a metadata service, where nothing is sent")]
struct NoWay {
    host: String,
}

/// Resolves names to permitted addresses. The check is in the resolver, so that the checked address
/// is the one that is connected to. A proxy resolves the names of its targets itself.
#[derive(Clone, Copy, Debug)]
struct Guarded;

impl tower::Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        async move {
            let mut found = resolve(name.as_str(), 0).await?;
            found.retain(|address| may_connect(name.as_str(), address.ip()));
            if found.is_empty() {
                return Err(NoWay { host: name.as_str().to_owned() }.into());
            }
            Ok(found.into_iter())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let transport = Transport::new(&RegistrySettings::default()).unwrap();
        // Resolvers read "127.1" as 127.0.0.1, and a `Url` never has it as host. It stands for a
        // name that a name server resolves to this machine.
        for (host, refused) in [("127.1", true), ("localhost", false)] {
            let request = Request::get(format!("http://{host}:1/")).body(Empty::new()).unwrap();
            let error = transport.client.request(request).await.unwrap_err();
            let failure = failure(&error);
            assert_eq!(matches!(failure, Failure::Forbidden(_)), refused, "{host}: {failure:?}");
        }
    }
}
