//! Saves the App's Secrets: in the cluster, or as files to be applied later.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use secrecy::SecretString;

use crate::adapters::github::registration::StoredCredentials;
use crate::adapters::kubernetes::{Overwrite, OwnSecrets, client};
use crate::core::signature::WebhookSecret;
use crate::ports::ClusterError;

type Data = BTreeMap<String, ByteString>;

/// Destination of Secrets.
pub(super) enum Keeper {
    /// The operator's namespace.
    Cluster(Box<OwnSecrets>),
    /// Files named `<name>.yaml` in a folder.
    Folder(PathBuf),
}

impl Keeper {
    /// Saves to the folder if one is given, else to the cluster of the current configuration.
    pub(super) async fn new(folder: Option<&Path>, namespace: &str) -> anyhow::Result<Self> {
        if let Some(folder) = folder {
            return Ok(Self::Folder(folder.to_owned()));
        }
        let client = client().await.context(
            "no Kubernetes cluster to save the Secrets in: set KUBECONFIG, or write them to files with --output-dir",
        )?;
        Ok(Self::Cluster(Box::new(OwnSecrets::new(client, namespace))))
    }

    /// Checks before the App is created that its Secrets can be saved: an App whose key is lost is
    /// useless. Returns the webhook's secret if it already exists, for example because the chart
    /// created it. The App then uses that one.
    pub(super) async fn check(
        &self,
        stored: &StoredCredentials,
        replace: bool,
    ) -> anyhow::Result<Option<SecretString>> {
        match self {
            Self::Cluster(secrets) => {
                let mut reused = None;
                if !replace {
                    if self.read(secrets, &stored.credentials, stored).await?.is_some() {
                        return Err(taken(&self.shown(&stored.credentials, stored), "--secret"));
                    }
                    if let Some(name) = &stored.webhook
                        && let Some(data) = self.read(secrets, name, stored).await?
                    {
                        reused = Some(usable(&data, &stored.webhook_key, &self.shown(name, stored))?);
                    }
                }
                let webhook = reused.is_none().then_some("");
                for secret in stored.secrets(0, "", webhook) {
                    let name = secret.name_any();
                    let result = secrets.would_take(&secret, overwrite(&name, replace, stored)).await;
                    result.map_err(|error| unwritable(&error, &self.shown(&name, stored), stored))?;
                }
                Ok(reused)
            }
            Self::Folder(folder) => {
                let mut there = stored.names().filter(|name| file(folder, name).exists());
                if let Some(name) = there.next().filter(|_| !replace) {
                    let flag = if name == stored.credentials { "--secret" } else { "--webhook-secret" };
                    return Err(taken(&self.shown(name, stored), flag));
                }
                let unwritable = || format!("--output-dir: can't write into {}", folder.display());
                fs::create_dir_all(folder).with_context(unwritable)?;
                let probe = folder.join(format!(".matinee-{}", std::process::id()));
                create(&probe, "").and_then(|()| fs::remove_file(&probe)).with_context(unwritable)?;
                Ok(None)
            }
        }
    }

    async fn read(
        &self,
        secrets: &OwnSecrets,
        name: &str,
        stored: &StoredCredentials,
    ) -> anyhow::Result<Option<Data>> {
        secrets.read(name).await.map_err(|error| unwritable(&error, &self.shown(name, stored), stored))
    }

    /// Saves the Secrets. Returns where they are.
    pub(super) async fn keep(
        &self,
        secrets: &[Secret],
        replace: bool,
        stored: &StoredCredentials,
    ) -> anyhow::Result<Vec<String>> {
        let mut places = Vec::new();
        for secret in secrets {
            let name = secret.name_any();
            let place = self.shown(&name, stored);
            match self {
                Self::Cluster(cluster) => {
                    let result = cluster.write(secret, overwrite(&name, replace, stored)).await;
                    result.map_err(|error| unwritable(&error, &place, stored))?;
                }
                Self::Folder(folder) => {
                    let path = file(folder, &name);
                    if replace
                        && let Err(error) = fs::remove_file(&path)
                        && error.kind() != ErrorKind::NotFound
                    {
                        return Err(error).with_context(|| format!("{place} can't be replaced"));
                    }
                    create(&path, &yaml(&[secret])?).with_context(|| format!("{place} can't be written"))?;
                }
            }
            places.push(place);
        }
        Ok(places)
    }

    /// Returns the name of a saved Secret for messages.
    fn shown(&self, name: &str, stored: &StoredCredentials) -> String {
        match self {
            Self::Cluster(_) => format!("Secret {}/{name}", stored.namespace),
            Self::Folder(folder) => file(folder, name).display().to_string(),
        }
    }
}

/// A Secret with an App's keys must not contain a token too, so it is replaced completely. The
/// webhook's Secret may contain other keys that the operator reads, so these stay.
fn overwrite(name: &str, replace: bool, stored: &StoredCredentials) -> Overwrite {
    match replace {
        false => Overwrite::Nothing,
        true if stored.webhook.as_deref() == Some(name) => Overwrite::Keys,
        true => Overwrite::Everything,
    }
}

fn taken(place: &str, flag: &str) -> anyhow::Error {
    anyhow!("{place} exists already: replace it with --replace, or choose another name with {flag}")
}

/// Returns the webhook's secret in an existing Secret, if it is valid.
fn usable(data: &Data, key: &str, place: &str) -> anyhow::Result<SecretString> {
    let Some(value) = data.get(key) else {
        let keys = data.keys().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
        let there = if keys.is_empty() { String::new() } else { format!(", only {keys}") };
        bail!(
            "{place} exists already, and has no key \"{key}\"{there}: name the key that the operator reads with --webhook-key, \
             add the key with --replace, or choose another name with --webhook-secret"
        );
    };
    let remedy = "replace it with --replace, or choose another name with --webhook-secret";
    WebhookSecret::new(&value.0).map_err(|error| {
        anyhow!("{place} exists already, and is no valid secret of a webhook: {error}; {remedy}")
    })?;
    let text = std::str::from_utf8(&value.0)
        .with_context(|| format!("{place} exists already, and its key \"{key}\" is not text: {remedy}"))?;
    Ok(text.trim_matches(['\r', '\n']).into())
}

fn unwritable(error: &ClusterError, place: &str, stored: &StoredCredentials) -> anyhow::Error {
    let remedy = match error {
        ClusterError::Refused { code: 401 | 403, .. } => {
            "use a kubeconfig whose account may get, create, patch and update Secrets there, or --output-dir"
                .to_owned()
        }
        ClusterError::Refused { code: 404, .. } => format!(
            "create the namespace with kubectl create namespace {}, or name the operator's with --namespace",
            stored.namespace
        ),
        ClusterError::Conflict(_) => {
            "somebody else changed it at the same time: look at it, and use --replace".to_owned()
        }
        _ => "check whether kubectl reaches the cluster".to_owned(),
    };
    anyhow!("{place} can't be written: {error}; {remedy}")
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.yaml"))
}

/// Creates a file that only this user can read. An existing file stays unchanged.
fn create(path: &Path, content: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn yaml(secrets: &[&Secret]) -> anyhow::Result<String> {
    let documents: Result<Vec<String>, _> = secrets.iter().map(serde_saphyr::to_string).collect();
    Ok(documents?.join("---\n"))
}

/// Saves to a file what couldn't be saved otherwise, because GitHub doesn't show it again. Uses the
/// folder, else the one for temporary files.
pub(super) fn rescue(folder: &Path, slug: &str, secrets: &[Secret]) -> anyhow::Result<PathBuf> {
    let text = yaml(&secrets.iter().collect::<Vec<_>>())?;
    let name = format!("matinee-app-{slug}-{}.yaml", std::process::id());
    let mut last = None;
    for folder in [folder, &std::env::temp_dir()] {
        let path = folder.join(&name);
        match create(&path, &text) {
            Ok(()) => return Ok(fs::canonicalize(&path).unwrap_or(path)),
            Err(error) => last = Some(anyhow!(error).context(format!("{} can't be written", path.display()))),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("no folder can be written to")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response};
    use kube::Client;
    use kube::client::Body;

    use super::*;

    fn stored() -> StoredCredentials {
        StoredCredentials {
            namespace: "matinee-system".into(),
            credentials: "github".into(),
            webhook: Some("hook".into()),
            webhook_key: "current".into(),
        }
    }

    /// Temporary folder. It is deleted when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("matinee-keep-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn files_are_for_their_owner_and_replaced_only_when_asked() {
        let folder = Folder::new("files");
        let keeper = Keeper::new(Some(&folder.0.join("new")), "matinee-system").await.unwrap();
        keeper.check(&stored(), false).await.unwrap();
        let secrets = stored().secrets(7, "PEM", Some("s3cret"));
        let places = keeper.keep(&secrets, false, &stored()).await.unwrap();
        assert_eq!(places.len(), 2);
        let text = fs::read_to_string(&places[0]).unwrap();
        let read: Secret = serde_saphyr::from_str(&text).unwrap();
        assert_eq!((read.name_any().as_str(), &read.data), ("github", &secrets[0].data));
        assert!(text.contains("kind: Secret") && text.contains("apiVersion: v1"), "{text}");
        assert_eq!(fs::metadata(&places[0]).unwrap().permissions().mode() & 0o777, 0o600);

        let error = keeper.check(&stored(), false).await.unwrap_err().to_string();
        assert!(error.contains("github.yaml exists already") && error.contains("--replace"), "{error}");
        keeper.check(&stored(), true).await.unwrap();
        let newer = stored().secrets(8, "PEM", Some("s3cret"));
        assert!(keeper.keep(&newer, false, &stored()).await.is_err());
        keeper.keep(&newer, true, &stored()).await.unwrap();
        let read: Secret = serde_saphyr::from_str(&fs::read_to_string(&places[0]).unwrap()).unwrap();
        assert_eq!(read.data, newer[0].data);
        fs::remove_file(&places[0]).unwrap();
        let error = keeper.check(&stored(), false).await.unwrap_err().to_string();
        assert!(error.contains("hook.yaml") && error.contains("--webhook-secret"), "{error}");
    }

    #[tokio::test]
    async fn a_folder_that_can_not_be_is_told_before() {
        let folder = Folder::new("file");
        let path = folder.0.join("file");
        fs::write(&path, "").unwrap();
        let keeper = Keeper::new(Some(&path.join("below")), "matinee-system").await.unwrap();
        let error = keeper.check(&stored(), false).await.unwrap_err().to_string();
        assert!(error.contains("--output-dir"), "{error}");
    }

    #[test]
    fn existing_webhook_secret_is_reused() {
        use secrecy::ExposeSecret as _;
        let data = |key: &str, value: &[u8]| Data::from([(key.to_owned(), ByteString(value.to_vec()))]);
        let found = usable(&data("secret", b"0123456789abcdef\n"), "secret", "Secret a/b").unwrap();
        assert_eq!(found.expose_secret(), "0123456789abcdef");
        for (bad, why) in [
            (data("other", b"0123456789abcdef"), "no key \"secret\", only \"other\": name the key"),
            (data("secret", b"s3cret"), "6 bytes"),
            (data("secret", &[0xff; 16]), "not text"),
        ] {
            let error = usable(&bad, "secret", "Secret a/b").unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("Secret a/b exists already"), "{error}");
            assert!(error.contains("--replace") && !error.contains("s3cret"), "{error}");
        }
    }

    /// A cluster with one Secret, and that Secret's current state.
    fn cluster(there: Secret) -> (Keeper, Arc<Mutex<Secret>>) {
        let held = Arc::new(Mutex::new(there));
        let answering = Arc::clone(&held);
        let service = tower::service_fn(move |request: Request<Body>| {
            let held = Arc::clone(&answering);
            async move {
                let dry = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
                let is_put = request.method() == Method::PUT;
                let body = request.into_body().collect_bytes().await?;
                let mut secret = held.lock().unwrap();
                if is_put && !dry {
                    *secret = serde_json::from_slice(&body)?;
                }
                Ok::<_, tower::BoxError>(Response::new(Body::from(serde_json::to_vec(&*secret)?)))
            }
        });
        let secrets = OwnSecrets::new(Client::new(service, "default"), "matinee-system");
        (Keeper::Cluster(Box::new(secrets)), held)
    }

    #[tokio::test]
    async fn webhook_secret_keeps_other_keys_credentials_do_not() {
        let data =
            |keys: [&str; 2]| Data::from(keys.map(|key| (key.to_owned(), ByteString(b"old".to_vec()))));
        for (name, there, left) in [
            ("hook", ["current", "next"], vec![("current", "s3cret"), ("next", "old")]),
            ("github", ["appId", "token"], vec![("appId", "7"), ("privateKey", "PEM")]),
        ] {
            let mut secret =
                stored().secrets(0, "", Some("")).into_iter().find(|one| one.name_any() == name).unwrap();
            secret.data = Some(data(there));
            let (keeper, held) = cluster(secret);
            assert!(keeper.check(&stored(), true).await.unwrap().is_none());
            assert_eq!(held.lock().unwrap().data, Some(data(there)));
            let secrets: Vec<Secret> = stored().secrets(7, "PEM", Some("s3cret"));
            let wanted: Vec<Secret> = secrets.into_iter().filter(|one| one.name_any() == name).collect();
            keeper.keep(&wanted, true, &stored()).await.unwrap();
            let held = held.lock().unwrap().data.clone().unwrap();
            let held: Vec<(&str, &str)> = held
                .iter()
                .map(|(key, value)| (key.as_str(), std::str::from_utf8(&value.0).unwrap()))
                .collect();
            assert_eq!(held, left);
        }
    }

    #[test]
    fn what_could_not_be_kept_is_rescued_whole() {
        let folder = Folder::new("rescue");
        let secrets = stored().secrets(7, "PEM", Some("s3cret"));
        let path = rescue(&folder.0, "m", &secrets).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let documents: Vec<Secret> =
            text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
        assert_eq!(
            documents.iter().map(|secret| &secret.data).collect::<Vec<_>>(),
            secrets.iter().map(|secret| &secret.data).collect::<Vec<_>>()
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // The folder can't be written, so another one is used.
        let elsewhere = rescue(&folder.0.join("nowhere"), "m2", &secrets).unwrap();
        assert!(fs::remove_file(elsewhere).is_ok());
    }
}
