//! The state and its surroundings: the lock, the HTTP client for webhooks, and the signal after
//! each delivery.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Notify;

use crate::hooks::deliver;
use crate::state::{State, Urls};

/// DNS resolver that maps names below `test`, which don't exist (RFC 6761, section 6.2), to this
/// machine, because GitHub rejects webhook URLs with a loopback address.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_ascii_lowercase();
        Box::pin(async move {
            let found: Vec<SocketAddr> = if name.rsplit('.').next() == Some("test") {
                vec![(Ipv4Addr::LOCALHOST, 0).into()]
            } else {
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Everything that belongs to a running stand-in.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) client: reqwest::Client,
    /// Notified after each delivery of a webhook.
    pub(crate) delivered: Notify,
    /// Number of REST requests in progress.
    pub(crate) running: AtomicU64,
    /// The REST API's base path: empty, or starting with a slash and ending without one.
    pub(crate) base_path: String,
}

impl World {
    /// Creates an empty stand-in at these URLs.
    pub(crate) fn new(
        urls: Urls,
        base_path: String,
        client: Option<reqwest::Client>,
    ) -> reqwest::Result<Self> {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let usual = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(Arc::new(Names))
                .build()
        };
        let client = client.map_or_else(usual, Ok)?;
        Ok(Self {
            state: Mutex::new(State::new(urls)),
            client,
            delivered: Notify::new(),
            running: AtomicU64::new(0),
            base_path,
        })
    }

    /// Locks the state. A panic of another holder doesn't stop the stand-in.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a transaction, then starts the deliveries that it caused.
    pub(crate) fn transact<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        deliver::pump(self, &mut state);
        result
    }
}
