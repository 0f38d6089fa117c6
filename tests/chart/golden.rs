//! Golden files of the rendered chart, so that a change of the chart shows what it changes in a
//! cluster.

use std::path::Path;

use crate::helm::{Objects, chart, root, text};

/// Fails when a file differs from `expected`; with `UPDATE` set, writes the file.
pub fn check(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    if there != expected {
        let line = there.lines().zip(expected.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| there.lines().count().min(expected.lines().count()));
        panic!(
            "{path} has drifted, first in line {}:\n  is:     {}\n  should: {}\nUPDATE=1 cargo test --test chart",
            line + 1,
            there.lines().nth(line).unwrap_or("(nothing)"),
            expected.lines().nth(line).unwrap_or("(nothing)"),
        );
    }
}

/// Another test compares the definitions with the code.
const WITHOUT_DEFINITIONS: &str = "crds.enabled=false";

#[test]
fn the_defaults_render_as_they_did() {
    let text = text(&["--set", WITHOUT_DEFINITIONS]);
    let secret = Objects::parse(&text).get("Secret", "matinee-webhook")["data"]["secret"].clone();
    let secret = secret.as_str().unwrap();
    // 48 random characters, which are base64 in the Secret.
    assert_eq!(secret.len(), 64);
    check("tests/chart/default.yaml", &text.replace(secret, "GENERATED"));
}

#[test]
fn all_values_render_the_golden_file() {
    let values = chart().join("ci/full-values.yaml");
    let text = text(&["--set", WITHOUT_DEFINITIONS, "-f", values.to_str().unwrap()]);
    // The dashboard is in a file of its own.
    let dashboard = std::fs::read_to_string(chart().join("files/dashboard.json")).unwrap();
    let indented = format!("\n    {}", dashboard.trim().replace('\n', "\n    "));
    assert!(text.contains(&indented), "the dashboard is not what its file is");
    check("tests/chart/full.yaml", &text.replace(&indented, "\n    DASHBOARD"));
}

#[test]
fn the_generated_secret_is_another_each_time() {
    let secret = || {
        let file = Path::new("templates/secrets/webhook.yaml");
        text(&["--show-only", file.to_str().unwrap()])
    };
    assert_ne!(secret(), secret());
}
