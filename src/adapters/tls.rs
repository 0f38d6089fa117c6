//! TLS for requests to GitHub, to Slack and to previews: ring, and the certificate authorities this machine trusts.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

static CONFIG: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(build);

/// The one client configuration. Authorities are read once, from where `SSL_CERT_FILE` and `SSL_CERT_DIR` point, else from the
/// system's usual places; with none there, HTTPS requests fail and plain HTTP still works.
pub fn client_config() -> Result<Arc<ClientConfig>, String> {
    CONFIG.clone()
}

fn build() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(errors = ?found.errors, "no certificate authorities found: HTTPS will fail; set SSL_CERT_FILE");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
