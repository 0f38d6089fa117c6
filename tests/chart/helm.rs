//! Renders the chart, and finds objects in the result.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::{self, run};

/// The namespace of the tests' releases.
pub const NAMESPACE: &str = "matinee-system";

/// Returns this repository's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the chart's folder.
pub fn chart() -> PathBuf {
    root().join("charts/matinee")
}

/// Reads a file of this repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads a YAML file of this repository.
pub fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the files of values with which the chart is rendered, besides the defaults.
pub fn value_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(chart().join("ci")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    files
}

/// Renders all objects of the release `matinee` with these additional arguments.
pub fn text(arguments: &[&str]) -> String {
    text_of(&chart(), "matinee", arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Renders any chart and release. Returns the text, or Helm's error.
pub fn text_of(chart: &Path, release: &str, arguments: &[&str]) -> Result<String, String> {
    let mut all = vec!["template", release, chart.to_str().unwrap(), "--namespace", NAMESPACE];
    all.extend(arguments);
    let output = run(programs::helm(), &all);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// Returns the notes of the release `matinee`, without a cluster.
pub fn notes(arguments: &[&str]) -> String {
    let chart = chart();
    let fixed = ["install", "matinee", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--dry-run=client"];
    let output = run(programs::helm(), &[&fixed[..], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_once("\nNOTES:\n").unwrap_or_else(|| panic!("no notes: {said}")).1.to_owned()
}

/// All objects of a release.
pub struct Objects(Vec<Value>);

impl Deref for Objects {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0
    }
}

impl Objects {
    /// Parses the objects in a text.
    pub fn parse(text: &str) -> Self {
        let all: Vec<Value> =
            serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        Self(all.into_iter().filter(|object| !object.is_null()).collect())
    }

    /// Returns the only object of this kind and name, if there is one.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        let mut found =
            self.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        let first = found.next();
        assert!(found.next().is_none(), "two {kind} {name}");
        first
    }

    /// Returns the object of this kind and name, which must exist.
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        self.find(kind, name).unwrap_or_else(|| panic!("no {kind} {name}"))
    }
}

/// Returns the objects of the release `matinee`.
pub fn objects(arguments: &[&str]) -> Objects {
    Objects::parse(&text(arguments))
}

/// Returns the objects with the defaults, and with each file of values.
pub fn every_rendering() -> Vec<(String, Objects)> {
    let mut all = vec![("defaults".to_owned(), objects(&[]))];
    for file in value_files() {
        all.push((
            file.file_name().unwrap().to_str().unwrap().to_owned(),
            objects(&["-f", file.to_str().unwrap()]),
        ));
    }
    all
}

/// Returns an object's kind and name, for messages.
pub fn called(object: &Value) -> String {
    format!(
        "{} {}",
        object["kind"].as_str().unwrap_or("?"),
        object["metadata"]["name"].as_str().unwrap_or("?")
    )
}

/// Returns a list; empty if the value is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
