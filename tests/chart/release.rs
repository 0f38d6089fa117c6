//! All parts of a release have one version, and its workflows have only the rights that they need.

use serde_json::Value;

use crate::helm::{list, read, root, yaml};

#[test]
fn chart_program_and_image_have_one_version() {
    let chart = yaml("charts/matinee/Chart.yaml");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    assert!(images.contains(&format!("ghcr.io/matinee-dev/matinee:{version}\n")), "{images}");
    for page in ["docs/install.md", "docs/release.md"] {
        assert!(read(page).contains(version), "{page} names another version");
    }
    let icon = chart["icon"].as_str().unwrap().split("/main/").nth(1).unwrap();
    assert!(read(icon).starts_with("<svg"), "{icon}");
}

#[test]
fn image_and_programs_can_send_traces() {
    let build = read("Dockerfile");
    assert!(build.contains("--package matinee --features otel"), "built without traces:\n{build}");
    let release = read(".github/workflows/release.yml");
    assert!(release.contains("--package matinee --features otel"), "built without traces:\n{release}");
    assert!(read("docs/monitoring.md").contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

#[test]
fn workflows_pin_what_they_use_and_say_what_they_may() {
    let folder = root().join(".github/workflows");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = format!(".github/workflows/{}", entry.unwrap().file_name().to_str().unwrap());
        let workflow = yaml(&path);
        seen += 1;
        // Each job has only the permissions that it requests.
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{path}");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["permissions"].is_object(), "{path}: {name} says no permissions");
            assert!(
                job["uses"].is_string() || job["timeout-minutes"].is_u64(),
                "{path}: {name} has no timeout"
            );
            for step in list(&job["steps"]) {
                pinned(&path, &step["uses"]);
                let script = step["run"].as_str().unwrap_or_default();
                // A shell would execute the text that an expression inserts.
                assert!(!script.contains("${{"), "{path}: {name}: {script}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")) {
                    assert_eq!(step["with"]["persist-credentials"], false, "{path}: {name}");
                }
            }
        }
    }
    assert_eq!(seen, 3);
}

/// Checks that a workflow uses an action by commit, because a tag can be moved, with its version in
/// a comment.
fn pinned(path: &str, uses: &Value) {
    let Some((_, commit)) = uses.as_str().map(|uses| uses.split_once('@').unwrap_or((uses, ""))) else {
        return;
    };
    let exact = commit.len() == 40 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(exact, "{path}: {uses} is not pinned to a commit");
    let version = read(path).lines().find_map(|line| {
        let (_, comment) = line.split_once(commit)?;
        comment
            .strip_prefix(" # v")
            .map(|version| version.split('.').map(str::parse::<u32>).collect::<Vec<_>>())
    });
    let told = version.is_some_and(|parts| parts.len() == 3 && parts.iter().all(Result::is_ok));
    assert!(told, "{path}: {uses} doesn't say which version it is: add \"# v1.2.3\"");
}

#[test]
fn advisories_are_asked_for_every_week_with_the_same_program() {
    let path = ".github/workflows/advisories.yml";
    let workflow = yaml(path);
    assert!(workflow["on"]["schedule"][0]["cron"].is_string(), "{path}");
    let ci = read(".ci/run");
    let version = ci.lines().find_map(|line| line.strip_prefix("deny_version=")).unwrap();
    let workflow = read(path);
    assert!(workflow.contains(&format!("--version {version} cargo-deny")), "{path}: not {version}");
    assert!(workflow.contains("check advisories"), "{path}");
}

#[test]
fn programs_say_which_crates_they_are_made_of() {
    let (build, release) = (read("Dockerfile"), read(".github/workflows/release.yml"));
    let version = |text: &str| {
        assert!(text.contains("cargo auditable build --locked --release"), "{text}");
        let (_, rest) = text.split_once("cargo install --quiet --locked --version ").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(version(&build), version(&release));
    let rust = build.lines().find_map(|line| line.strip_prefix("ARG RUST_VERSION=")).unwrap();
    assert!(read("docs/release.md").contains(&format!("`rust:{rust}-bookworm`")), "docs/release.md: {rust}");
}

#[test]
fn the_image_build_has_every_file_that_the_program_includes() {
    let ignore = read(".dockerignore");
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut folders = vec![root().join("src")];
    let mut included = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("include_str!(\"").skip(1) {
                let file = folder.join(part.split('"').next().unwrap()).canonicalize().unwrap();
                let file = file.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned();
                assert!(kept.iter().any(|kept| file.starts_with(kept)), "{} is ignored", file.display());
                included += 1;
            }
        }
    }
    assert!(included >= 2, "only {included} files are included");
}

#[test]
fn artifact_hub_is_told_of_the_repository_and_the_chart_does_not_hold_it() {
    let told = yaml("charts/artifacthub-repo.yml");
    assert_eq!(told["repositoryID"].as_str().map(str::len), Some(36));
    assert!(!root().join("charts/matinee/artifacthub-repo.yml").exists());
    let release = read(".github/workflows/release.yml");
    assert!(
        release.contains("\"$CHARTS/matinee:artifacthub.io\"") && release.contains(" artifacthub-repo.yml:")
    );
}
