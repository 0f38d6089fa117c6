//! Files with one webhook secret each, such as those of a mounted Kubernetes Secret.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::signature::{SecretError, WebhookSecret};

/// Size limit in bytes. A larger file can't be a secret, so its path must be wrong.
const LARGEST_FILE: u64 = 4_096;

const REMEDY: &str =
    "generate one with `openssl rand -hex 32`, and set it as the webhook's secret on GitHub too";

/// Files with secrets, and the secrets that were read from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFiles {
    paths: Vec<PathBuf>,
    secrets: Arc<[WebhookSecret]>,
}

impl SecretFiles {
    /// Reads one secret from each file. There must be at least one file, and each must contain a
    /// valid secret.
    pub fn open(paths: &[String]) -> Result<Self, String> {
        let named = paths.iter().filter(|path| !path.is_empty());
        Self::read_all(named.map(PathBuf::from).collect())
    }

    /// Reads the same files again.
    pub fn reopen(&self) -> Result<Self, String> {
        Self::read_all(self.paths.clone())
    }

    fn read_all(paths: Vec<PathBuf>) -> Result<Self, String> {
        if paths.is_empty() {
            return Err(format!(
                "no file with a webhook secret is named, and without one anybody could send events: {REMEDY}"
            ));
        }
        let secrets = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        Ok(Self { paths, secrets })
    }

    /// Returns the secrets; at least one.
    pub fn secrets(&self) -> Arc<[WebhookSecret]> {
        Arc::clone(&self.secrets)
    }
}

fn read(path: &Path) -> Result<WebhookSecret, String> {
    let shown = path.display();
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut content))
        .map_err(|error| format!("{shown} can't be read: {error}"))?;
    if content.len() as u64 > LARGEST_FILE {
        return Err(format!(
            "{shown} is longer than {LARGEST_FILE} bytes: name a file that holds one secret"
        ));
    }
    WebhookSecret::new(&content).map_err(|error| match error {
        SecretError::Empty | SecretError::Short(_) => {
            format!("{shown} holds no usable secret, {error}: {REMEDY}")
        }
    })
}
