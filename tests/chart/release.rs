//! What a release is made of has one version, and its workflows may do what they need and no more.

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
fn the_image_can_send_traces() {
    let build = read("Dockerfile");
    assert!(build.contains("--package matinee --features otel"), "built without traces:\n{build}");
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
        // A job has what it asks for and nothing else.
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
                // What stands in an expression would be a part of the program.
                assert!(!script.contains("${{"), "{path}: {name}: {script}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")) {
                    assert_eq!(step["with"]["persist-credentials"], false, "{path}: {name}");
                }
            }
        }
    }
    assert_eq!(seen, 2);
}

fn pinned(path: &str, uses: &Value) {
    let Some((_, version)) = uses.as_str().map(|uses| uses.split_once('@').unwrap_or((uses, ""))) else {
        return;
    };
    let parts: Vec<&str> = version.trim_start_matches('v').split('.').collect();
    let exact = parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok());
    assert!(exact, "{path}: {uses} is not pinned to a version");
}
