//! Kernel settings that kubelet changes for the whole machine. They are saved at the start of a
//! run, and restored at its end.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// Settings that kubelet's container manager changes, below /proc/sys.
const CHANGED: &[&str] = &[
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

const FILE: &str = "tunables.json";

/// Saves the present values in the run's directory.
pub(crate) fn keep(run: &Path) -> Result<()> {
    let mut values = Map::new();
    for name in CHANGED {
        // Some kernels lack a setting, which then can't be changed either.
        if let Ok(value) = fs::read_to_string(Path::new("/proc/sys").join(name)) {
            values.insert((*name).to_owned(), Value::from(value.trim()));
        }
    }
    fs::write(run.join(FILE), Value::from(values).to_string()).context("cannot keep the kernel's settings")
}

/// Puts the values back that a run kept, if one did.
pub(crate) fn restore(run: &Path) -> Result<()> {
    let Ok(kept) = fs::read(run.join(FILE)) else { return Ok(()) };
    let kept: Map<String, Value> = serde_json::from_slice(&kept).unwrap_or_default();
    for name in CHANGED {
        let Some(value) = kept.get(*name).and_then(Value::as_str) else { continue };
        let file = Path::new("/proc/sys").join(name);
        if fs::read_to_string(&file).is_ok_and(|now| now.trim() != value) {
            fs::write(&file, value)
                .with_context(|| format!("cannot put {} back to {value}", file.display()))?;
        }
    }
    Ok(())
}
