//! Programs from package registries, kept between runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Python packages, at tested versions.
const PACKAGES: [&str; 2] = ["PyGithub==2.10.0", "jsonschema==4.25.1"];

/// GitHub's own description of its REST API and webhooks.
const DESCRIPTION: &str = "@octokit/openapi@23.0.2";

/// Serializes downloads, because the tests of this file run in parallel.
static FETCHING: Mutex<()> = Mutex::new(());

/// Runs a program to its end. Panics if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} failed with {}:\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Returns the Python of a virtual environment with the packages, which the first run creates.
pub(crate) fn python() -> PathBuf {
    let _one = FETCHING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
    let python = place.join("bin/python");
    let done = place.join(PACKAGES.join("+"));
    if !done.exists() {
        eprintln!("installing {} from PyPI", PACKAGES.join(" and "));
        // Remains of an interrupted run are useless.
        let _ = fs::remove_dir_all(&place);
        run(Command::new("python3").args(["-m", "venv"]).arg(&place));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES));
        fs::write(&done, "").unwrap();
    }
    python
}

/// Returns the file with GitHub's description, which the first run downloads.
pub(crate) fn description() -> PathBuf {
    let _one = FETCHING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi");
    let file = place.join("package/generated/api.github.com.json");
    let done = place.join(DESCRIPTION.replace('/', "+"));
    if !done.exists() {
        eprintln!("fetching {DESCRIPTION} from the npm registry, 29 MB");
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let packed = run(Command::new("npm").args(["pack", "--silent", DESCRIPTION]).current_dir(&place));
        let archive = packed.lines().last().unwrap().trim().to_owned();
        let wanted = "package/generated/api.github.com.json";
        run(Command::new("tar").args(["xzf", &archive, wanted]).current_dir(&place));
        fs::remove_file(place.join(archive)).unwrap();
        fs::write(&done, "").unwrap();
    }
    file
}
