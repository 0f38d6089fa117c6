//! A proxy whose tunnels, for any host name, lead to a server that answers everything with 404.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const NAMES: [&str; 5] = ["github.test", "registry.test", "slack.test", "api.test", "preview.test"];

pub struct World {
    folder: PathBuf,
    port: u16,
    proxy: Arc<Proxy>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Proxy {
    /// Targets of requested tunnels, with the credentials sent.
    asked: Mutex<Vec<String>>,
    refuses: AtomicBool,
}

impl World {
    pub fn start() -> Self {
        static WORLDS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("proxy-{}", WORLDS.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&folder).unwrap();
        let runtime = Runtime::new().unwrap();
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
        std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![made.cert.der().clone()],
                PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let proxy = Arc::new(Proxy::default());
        let server = runtime.block_on(serve(TlsAcceptor::from(Arc::new(tls))));
        let port = runtime.block_on(Arc::clone(&proxy).serve(server));
        let world = Self { folder, port, proxy, _runtime: runtime };
        world.write_kubeconfig("");
        world
    }

    /// Returns the proxy's URL, with credentials if there are any.
    pub fn url(&self, credentials: &str) -> String {
        let at = if credentials.is_empty() { "" } else { "@" };
        format!("http://{credentials}{at}127.0.0.1:{}", self.port)
    }

    pub fn refuse(&self) {
        self.proxy.refuses.store(true, Ordering::Relaxed);
    }

    pub fn name_proxy_in_kubeconfig(&self) {
        self.write_kubeconfig(&format!("proxy-url: {}, ", self.url("")));
    }

    fn write_kubeconfig(&self, proxy: &str) {
        let authority = self.folder.join("ca.pem");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- {{name: test, cluster: {{{proxy}server: 'https://api.test:6443', certificate-authority: {}}}}}\n\
             users:\n- {{name: test, user: {{token: of-nobody}}}}\n\
             contexts:\n- {{name: test, context: {{cluster: test, user: test}}}}\n",
            authority.display()
        );
        std::fs::write(self.folder.join("kubeconfig"), config).unwrap();
    }

    /// Runs the client with these variables and no others. Returns the lines of its output.
    pub fn run(&self, variables: &[(&str, &str)]) -> Vec<String> {
        let output = Command::new(std::env::current_exe().unwrap())
            .env_clear()
            .env(super::THROUGH, "1")
            .env("SSL_CERT_FILE", self.folder.join("ca.pem"))
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Returns the targets of requested tunnels, each once, in order.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.proxy.asked.lock().unwrap().clone();
        asked.dedup();
        asked
    }
}

impl Proxy {
    async fn serve(self: Arc<Self>, server: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = Arc::clone(&self);
                tokio::spawn(async move { proxy.tunnel(stream, server).await });
            }
        });
        port
    }

    async fn tunnel(&self, mut stream: TcpStream, server: u16) -> std::io::Result<()> {
        let head = head(&mut stream).await?;
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
        let Some(target) = target else {
            return stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await;
        };
        let credentials = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        let asked = format!("{target} {}", credentials.unwrap_or_default());
        self.asked.lock().unwrap().push(asked.trim().to_owned());
        if self.refuses.load(Ordering::Relaxed) {
            return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        }
        let mut there = TcpStream::connect(("127.0.0.1", server)).await?;
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        copy_bidirectional(&mut stream, &mut there).await.map(|_| ())
    }
}

/// Answers everything with 404.
async fn serve(tls: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut stream = tls.accept(stream).await?;
                head(&mut stream).await?;
                let answer = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await?;
                stream.shutdown().await
            });
        }
    });
    port
}

/// Reads a request's head.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
