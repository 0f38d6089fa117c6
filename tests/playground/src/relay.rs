//! A TCP relay that lets pods reach a server on loopback: it listens on this machine's address in
//! the node's network.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A relay for TCP. It stops when dropped, and closes its connections.
pub(crate) struct Relay {
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on `listen` and connects each client to `server`.
    ///
    /// # Errors
    /// When the address is in use.
    pub(crate) async fn start(listen: SocketAddr, server: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        Ok(Self { task: tokio::spawn(accept(listener, server)) })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr) {
    // The connections are dropped with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connect(client, server));
                }
                // For example, there are no free file descriptors; some may become free.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// If the server can't be reached, the connection is closed, which its client sees.
async fn connect(mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn both_sides_hear_each_other_until_it_ends() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The relay listens on the server's port at another loopback address, as in the playground.
        let listen = SocketAddr::from(([127, 0, 0, 2], server.local_addr().unwrap().port()));
        let relay = Relay::start(listen, server.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(listen).await.unwrap();
        let (mut other, _) = server.accept().await.unwrap();
        client.write_all(b"question").await.unwrap();
        let mut heard = [0; 8];
        other.read_exact(&mut heard).await.unwrap();
        other.write_all(b"answers!").await.unwrap();
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"answers!");

        drop(relay);
        assert_eq!(client.read(&mut heard).await.unwrap_or_default(), 0);
        assert!(TcpStream::connect(listen).await.is_err());
    }
}
