//! The programs that these tests run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where Helm is: `MATINEE_HELM`, else on the `PATH`.
pub fn helm() -> PathBuf {
    found("MATINEE_HELM", "helm").unwrap_or_else(|| {
        panic!("helm is neither on the PATH nor named by MATINEE_HELM: go install helm.sh/helm/v4/cmd/helm@v4.3.1")
    })
}

/// Where Prometheus' promtool is: `MATINEE_PROMTOOL`, on the `PATH`, or from Debian's package, which is unpacked and not installed, since a
/// server would start.
pub fn promtool() -> PathBuf {
    if let Some(path) = found("MATINEE_PROMTOOL", "promtool") {
        return path;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let program = folder.join("usr/bin/promtool");
    if !program.is_file() {
        std::fs::create_dir_all(&folder).unwrap();
        let script = "apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb .";
        let output = Command::new("sh").args(["-ec", script]).current_dir(&folder).output().unwrap();
        assert!(
            output.status.success(),
            "promtool is neither on the PATH nor named by MATINEE_PROMTOOL, and Debian's package can't be had: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    program
}

fn found(variable: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.or_else(|| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
    })
}

/// Runs it; the output, whatever came of it.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A folder of its own for a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chart-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
