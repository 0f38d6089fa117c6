//! `matinee apply`: applies the PreviewClass of a Helm release. The release can't contain the class
//! itself, because Helm checks objects before it has installed the definition of their kind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::adapters::kubernetes::client;
use crate::api::PreviewClass;

/// Field manager of the chart's fields. Fields of other managers stay.
const MANAGER: &str = "matinee-chart";
/// Time for the API server to serve a new definition, or to respond at all.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_secs(1);

/// Flags of `matinee apply`.
#[derive(Args)]
pub(super) struct Flags {
    /// File with a PreviewClass in YAML.
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

/// Applies the class. Waits for its definition to be served if necessary.
pub(super) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let (name, class) = read(&flags.file)?;
    let client = client().await.context("no Kubernetes cluster: set KUBECONFIG, or run in a pod")?;
    let classes: Api<PreviewClass> = Api::all(client);
    let parameters = PatchParams::apply(MANAGER).force();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let patch = Patch::Apply(&class);
        let applied =
            tokio::time::timeout(Duration::from_secs(15), classes.patch(&name, &parameters, &patch));
        let problem = match applied.await {
            Ok(Ok(_)) => {
                println!("applied PreviewClass {name}");
                return Ok(());
            }
            Ok(Err(kube::Error::Api(status))) if !matches!(status.code, 404 | 429 | 500..) => {
                bail!("the API server rejects PreviewClass {name}: {}", status.message);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no response within 15 s".to_owned(),
        };
        if Instant::now() >= deadline {
            bail!("PreviewClass {name} can't be applied within {} s: {problem}", PATIENCE.as_secs());
        }
        println!("waiting until the API server serves the kind PreviewClass: {problem}");
        sleep(PAUSE).await;
    }
}

/// Returns the object in the file, and its name.
fn read(path: &Path) -> anyhow::Result<(String, Value)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("--file: {shown} can't be read"))?;
    let object: Value =
        serde_saphyr::from_str(&text).with_context(|| format!("--file: {shown} is no YAML"))?;
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    ensure!(
        (version, kind) == ("matinee.dev/v1alpha1", "PreviewClass"),
        "--file: {shown} holds a {version} {kind}, not a matinee.dev/v1alpha1 PreviewClass"
    );
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    ensure!(!name.is_empty(), "--file: {shown} has no metadata.name");
    Ok((name, object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, content: &str) -> String {
        let path = std::env::temp_dir().join(format!("matinee-apply-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let result = read(&path);
        std::fs::remove_file(&path).unwrap();
        result.map_or_else(|error| format!("{error:#}"), |(name, _)| name)
    }

    #[test]
    fn only_a_class_with_a_name_is_applied() {
        let head = "apiVersion: matinee.dev/v1alpha1\nkind: PreviewClass\n";
        assert_eq!(result("good", &format!("{head}metadata: {{name: standard}}\nspec: {{}}\n")), "standard");
        assert!(result("nameless", head).ends_with("has no metadata.name"));
        let other = result("other", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n");
        assert!(other.ends_with("holds a v1 Secret, not a matinee.dev/v1alpha1 PreviewClass"), "{other}");
        assert!(result("broken", "a: [").contains("is no YAML"));
        assert!(format!("{:#}", read(Path::new("/nowhere")).unwrap_err()).contains("can't be read"));
    }
}
