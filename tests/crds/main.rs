//! The files in `crds/` and in the chart match the definitions in `src/api/`.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions are test code too

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use matinee::api::custom_resource_definitions;
use serde_json::Value;

/// Folders of the committed definitions: for users, and for the chart, which can't contain files
/// from outside of its folder.
const FOLDERS: [&str; 2] = ["crds", "charts/matinee/files/crds"];

fn crds(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_matinee")).arg("crds").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// Returns the files that `crds/` should have, written into an empty folder.
fn written(name: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    assert_eq!(crds(&["--write", folder.to_str().unwrap()]), "");
    let written = files(&folder);
    std::fs::remove_dir_all(folder).unwrap();
    written
}

#[test]
fn the_committed_definitions_are_those_of_the_code() {
    let generated = written("drift");
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    for folder in FOLDERS {
        let regenerate = format!("regenerate it: cargo run -p matinee -- crds --write {folder}");
        let committed = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert_eq!(names(&committed), names(&generated), "{folder} has drifted; {regenerate}");
        for (name, yaml) in &generated {
            assert!(committed[name] == *yaml, "{folder}/{name} has drifted; {regenerate}");
        }
    }
}

#[test]
fn yaml_says_what_the_code_defines() {
    let generated = written("meaning");
    let printed: Vec<Value> = serde_saphyr::from_multiple(&crds(&[])).unwrap();
    let defined = custom_resource_definitions();
    assert_eq!((generated.len(), printed.len()), (defined.len(), defined.len()));
    for (crd, printed) in defined.iter().zip(printed) {
        let expected = serde_json::to_value(crd).unwrap();
        assert_eq!(printed, expected);
        let name = format!("matinee.dev_{}.yaml", crd.spec.names.plural);
        assert_eq!(serde_saphyr::from_str::<Value>(&generated[&name]).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_committed_reference_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("reference-{}.md", std::process::id()));
    assert_eq!(crds(&["--reference", path.to_str().unwrap()]), "");
    let generated = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let committed =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    assert!(
        committed == generated,
        "docs/api.md has drifted; regenerate it: cargo run -p matinee -- crds --reference docs/api.md"
    );
}
