//! Helm, with the administrator's rights and without the user's own settings.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::processes::MARK;
use crate::progress::Progress;
use crate::{Playground, programs};

/// Returns the path of Helm: the pinned version on `PATH` or in the cache, or else a new build.
/// Needs no cluster.
///
/// # Errors
/// When it can't be built; the message has the end of the build's output.
pub async fn helm(progress: impl Fn(&str) + Send + Sync + 'static) -> Result<PathBuf> {
    programs::helm(&Progress::new(progress)).await
}

impl Playground {
    /// Runs Helm in this cluster, in the namespace `default` unless the arguments name another.
    /// Returns its output.
    ///
    /// # Errors
    /// When it fails; the message has its output.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        run(self.helm_command().await?.args(arguments)).await
    }

    /// Returns the command that [`Playground::helm`] runs, for callers that need more than
    /// arguments and output.
    ///
    /// # Errors
    /// When Helm is neither found nor can be built.
    pub async fn helm_command(&self) -> Result<Command> {
        let home = self.home.make("helm")?;
        let mut command = Command::new(self.helm.get_or_try_init(|| programs::helm(&self.progress)).await?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("HELM_")) {
                command.env_remove(name);
            }
        }
        command
            // Charts, repositories and API discovery: none of it outlives the cluster.
            .env("HOME", &home)
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("KUBECONFIG", &self.kubeconfig)
            .env(MARK, self.home.directory())
            .kill_on_drop(true);
        Ok(command)
    }
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let text = command.as_std().get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.stdin(std::process::Stdio::null()).output().await.context("cannot run helm")?;
    if !output.status.success() {
        let wrote = String::from_utf8_lossy(&output.stderr);
        bail!("helm {text} failed ({}):\n{}", output.status, wrote.trim());
    }
    String::from_utf8(output.stdout).context("helm prints no UTF-8")
}

/// A program that is found or built on first use.
pub(crate) type Found = tokio::sync::OnceCell<PathBuf>;
