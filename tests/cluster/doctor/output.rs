//! Runs `matinee doctor`, parses its output, and creates the objects that it checks.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use playground::stage::{SYSTEM, Stage};
use serde_json::{Value, json};

use crate::support::SOON;

/// Output of the program.
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl Said {
    /// Returns the rest of the line that begins with the mark and `start`, and the remedy below it.
    pub fn line(&self, mark: &str, start: &str) -> Result<(&str, &str)> {
        let start = format!("  {mark} {start}");
        let mut lines = self.text.lines();
        let line = lines.find(|line| line.starts_with(&start));
        let line = line.with_context(|| format!("no line \"{start}\" in:\n{}", self.text))?;
        let remedy = lines.next().and_then(|next| next.trim_start().strip_prefix("→ "));
        Ok((line, remedy.unwrap_or_default()))
    }

    /// Fails unless there is such a line whose remedy contains `remedy`.
    pub fn tells(&self, mark: &str, start: &str, remedy: &str) -> Result<()> {
        let (line, told) = self.line(mark, start)?;
        ensure!(told.contains(remedy), "\"{remedy}\" is not in \"{told}\", the remedy of {line}");
        Ok(())
    }

    pub fn ended(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "it ended with {:?}:\n{}", self.code, self.text);
        // No output contains a secret.
        for secret in ["ghp_", "ghs_", "PRIVATE KEY", "xoxb-"] {
            ensure!(!self.text.contains(secret), "{secret} is in:\n{}", self.text);
        }
        Ok(self)
    }
}

/// Runs the program without this process's environment variables.
pub async fn doctor(kubeconfig: &Path, arguments: &[&str]) -> Result<Said> {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_matinee"))
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .await?;
    let mut text = String::from_utf8(output.stdout)?;
    text.push_str(std::str::from_utf8(&output.stderr)?);
    Ok(Said { code: output.status.code(), text })
}

/// Runs it as the administrator for one class, without a lease.
pub async fn about(stage: &Stage, class: &str) -> Result<Said> {
    doctor(stage.playground().kubeconfig(), &["--class", class, "--lease-name", ""]).await
}

/// Applies an object, in its namespace if it names one.
pub async fn apply(stage: &Stage, object: Value) -> Result<()> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespace = text("/metadata/namespace");
    let objects = stage.objects(
        &text("/apiVersion"),
        &text("/kind"),
        (!namespace.is_empty()).then_some(namespace.as_str()),
    );
    let parameters = PatchParams::apply("doctor-test").force();
    objects.patch(&text("/metadata/name"), &parameters, &Patch::Apply(&object)).await?;
    Ok(())
}

/// Creates a Lease that was renewed `age` seconds ago.
pub async fn lease(stage: &Stage, name: &str, age: i64) -> Result<()> {
    let renewed = k8s_openapi::jiff::Timestamp::now() - k8s_openapi::jiff::SignedDuration::from_secs(age);
    apply(
        stage,
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": SYSTEM},
            "spec": {"holderIdentity": "matinee-0", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}")},
        }),
    )
    .await
}

/// Waits until the operator has reconciled a class.
pub async fn seen(stage: &Stage, class: &str) -> Result<DynamicObject> {
    stage
        .wait_for(&format!("the operator looks at PreviewClass {class}"), SOON, async || {
            let found = stage.classes().get(class).await?;
            let observed = found.data["status"]["observedGeneration"].as_i64();
            ensure!(observed == found.metadata.generation, "{}", playground::stage::conditions(&found));
            Ok(found)
        })
        .await
}
