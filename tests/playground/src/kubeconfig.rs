//! Kubeconfig files, one per identity.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::certificates::{Authority, Pair, write_private};

/// Credentials in a kubeconfig.
pub(crate) enum Proof<'a> {
    /// A client certificate.
    Certificate(&'a Pair),
    /// A bearer token.
    Token(&'a str),
}

/// Writes a kubeconfig for the API server at `server` (`https://host:port`). It refers to the files
/// of the authority and the client, so it works on this machine only.
pub(crate) fn write(path: &Path, server: &str, authority: &Path, proof: &Proof<'_>) -> Result<()> {
    let user: Value = match proof {
        Proof::Certificate(pair) => {
            json!({"client-certificate": pair.certificate, "client-key": pair.key})
        }
        Proof::Token(token) => json!({"token": token}),
    };
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "playground", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "playground", "context": {"cluster": "playground", "user": "user"}}],
        "current-context": "playground",
    });
    // JSON is YAML, so a kubeconfig may be JSON.
    write_private(path, &format!("{content:#}\n"))
}

/// Signs a client certificate, and writes a kubeconfig that uses it as `<name>.kubeconfig` beside
/// the certificates.
pub(crate) fn for_user(
    authority: &Authority,
    server: &str,
    name: &str,
    user: &str,
    group: Option<&str>,
) -> Result<std::path::PathBuf> {
    let pair = authority.client(name, user, group)?;
    let path = pair.certificate.with_extension("kubeconfig");
    write(&path, server, &authority.certificate_file(), &Proof::Certificate(&pair))?;
    Ok(path)
}
