//! Causes of containers that can't be created or started, from the messages of kubelet, containerd,
//! runc and crun.

use super::kubelet_text::innermost;
use crate::core::cause::Cause;

/// Returns the cause for a container whose program can't be started.
pub(super) fn not_started(said: &str) -> Cause {
    if said.is_empty() {
        return Cause::new("container not started");
    }
    let lower = said.to_ascii_lowercase();
    let program = quoted_after(said, "exec: ").or_else(|| quoted_after(said, "executable file "));
    let missing = lower.contains("executable file ") && lower.contains("not found")
        || program.is_some() && lower.contains("no such file or directory");
    let cause = match program {
        Some(program) if missing => Cause::new("executable not found").detail(program),
        Some(program) if lower.contains("permission denied") => {
            Cause::new("executable not permitted to run").detail(program)
        }
        Some(program) if lower.contains("exec format error") => {
            Cause::new("executable built for another platform").detail(program)
        }
        _ if lower.contains("exec format error") => Cause::new("executable built for another platform"),
        _ if lower.contains("chdir to cwd") => {
            let folder = quoted_after(said, "chdir to cwd (").unwrap_or_default();
            Cause::new("working directory not found").detail(folder)
        }
        _ if lower.contains("deadline exceeded") => Cause::new("container not started in time"),
        _ if lower.contains("no space left on device") => Cause::new("no space left on the node"),
        _ => Cause::new(format!("container not started: {}", innermost(said))),
    };
    cause.said(said)
}

/// Returns the cause for a container that can't be created.
pub(super) fn not_created(said: &str) -> Cause {
    if said.is_empty() {
        return Cause::new("container not created");
    }
    // secret "db" not found; configmap "texts" not found
    for (start, kind) in [("secret \"", "Secret"), ("configmap \"", "ConfigMap")] {
        if let Some(name) = said.strip_prefix(start).and_then(|rest| rest.strip_suffix("\" not found")) {
            return Cause::new(format!("{kind} not found")).detail(name);
        }
    }
    // couldn't find key greeting in ConfigMap preview/texts
    if let Some((key, place)) =
        said.strip_prefix("couldn't find key ").and_then(|rest| rest.split_once(" in "))
        && let Some((kind, name)) = place.split_once(' ')
    {
        let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
        return Cause::new(format!("key not found in {kind}")).detail(format!("{key} of {name}"));
    }
    // container has runAsNonRoot and image will run as root (pod: "web", container: web)
    if let Some((what, _)) = said.split_once(" (pod: ") {
        return Cause::new(what);
    }
    let what = if said.to_ascii_lowercase().contains("deadline exceeded") {
        "container not created in time".to_owned()
    } else {
        format!("container not created: {}", innermost(said))
    };
    Cause::new(what).said(said)
}

/// Returns the quoted text after these words: `"/serve"`, or `` `serve` `` from crun.
fn quoted_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(words)?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '`'))?;
    rest.strip_prefix(quote)?.split(quote).next().filter(|program| !program.is_empty())
}
