//! A server that answers in place of previews on a simulated node, where no pod runs and no preview
//! would become ready otherwise.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that answers every request with 200. It stops when dropped.
pub(super) struct Responder {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Responder {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(async || "no pod runs here: the node is simulated\n");
        let task = tokio::spawn(async move {
            // Runs until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
