//! `matinee crds`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::reference;
use crate::api::custom_resource_definitions;

/// Flags of `matinee crds`.
#[derive(Args)]
pub(super) struct Flags {
    /// Writes one file per definition into this folder, named `matinee.dev_<plural>.yaml`, instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Writes a reference of every field into this file, as Markdown, instead of printing the definitions.
    #[arg(long, value_name = "FILE", conflicts_with = "write", hide = true)]
    reference: Option<PathBuf>,
}

pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    if let Some(path) = &flags.reference {
        let page = reference::page(&custom_resource_definitions())?;
        return std::fs::write(path, page).with_context(|| format!("{} can't be written", path.display()));
    }
    let mut all = Vec::new();
    for crd in custom_resource_definitions() {
        let yaml = serde_saphyr::to_string(&crd)?;
        all.push((format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural), yaml));
    }
    let Some(folder) = &flags.write else {
        let yaml = all.into_iter().map(|(_, yaml)| yaml).collect::<Vec<_>>().join("---\n");
        return std::io::stdout().write_all(yaml.as_bytes()).context("standard output can't be written");
    };
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be created", folder.display()))?;
    for (name, yaml) in all {
        let path = folder.join(name);
        std::fs::write(&path, yaml).with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(())
}
