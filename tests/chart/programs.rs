//! The programs that these tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tokio::runtime::Runtime;

/// Returns the playground's Helm.
pub fn helm() -> &'static Path {
    static HELM: LazyLock<PathBuf> = LazyLock::new(|| {
        Runtime::new().unwrap().block_on(playground::helm(|line| eprintln!("{line}"))).unwrap()
    });
    &HELM
}

/// Returns the playground's promtool, a tool of Prometheus.
pub fn promtool() -> &'static Path {
    static PROMTOOL: LazyLock<PathBuf> = LazyLock::new(|| {
        Runtime::new().unwrap().block_on(playground::promtool(|line| eprintln!("{line}"))).unwrap()
    });
    &PROMTOOL
}

/// Runs a program. Returns its output, also when it fails.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// Returns a folder of its own for a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
