//! The program's command line: output and exit codes.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

use std::process::{Command, Output};

fn matinee(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_matinee"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = matinee(arguments, variables);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn run_requires_a_webhook_secret() {
    for (arguments, variables) in [
        (&["run"][..], &[][..]),
        (&["run", "--webhook-secret-file="], &[]),
        (&["run"], &[("MATINEE_WEBHOOK_SECRET_FILES", "")]),
    ] {
        let said = refusal(arguments, variables);
        assert!(said.contains("--webhook-secret-file (MATINEE_WEBHOOK_SECRET_FILES): no file"), "{said}");
        assert!(said.contains("openssl rand -hex 32"), "{said}");
    }
}

#[cfg(not(feature = "otel"))]
#[test]
fn run_warns_about_unsupported_traces() {
    let secret = concat!(env!("CARGO_TARGET_TMPDIR"), "/traces-webhook-secret");
    std::fs::write(secret, "0123456789abcdef0123456789abcdef").unwrap();
    for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let variables = [
            ("MATINEE_WEBHOOK_SECRET_FILES", secret),
            ("KUBECONFIG", "/nowhere/config"),
            (variable, "http://127.0.0.1:4318"),
        ];
        let output = matinee(&["run", "--log-format=text"], &variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(variable) && said.contains("--features otel"), "{said}");
    }
}

#[test]
fn variables_set_what_flags_set() {
    for (variable, value, part) in [
        ("MATINEE_WEBHOOK_SECRET_FILES", "/nowhere/a,/nowhere/b", "/nowhere/a can't be read"),
        ("MATINEE_LISTEN", "here", "invalid value 'here' for '--listen"),
        ("RUST_LOG", "x=y", "\"x=y\" is not a filter"),
    ] {
        let said = refusal(&["run"], &[(variable, value)]);
        assert!(said.contains(part), "{said}");
    }
    let said = refusal(&["run", "--listen", "there"], &[("MATINEE_LISTEN", "here")]);
    assert!(said.contains("'there'") && !said.contains("'here'"), "a flag goes before a variable: {said}");
}

#[test]
fn unknown_flags_and_commands_end_like_bad_settings() {
    assert!(refusal(&["run", "--webhook-secret", "x"], &[]).contains("--webhook-secret-file"));
    assert!(refusal(&["walk"], &[]).contains("walk"));
    assert!(refusal(&[], &[]).contains("Usage"));
}

#[test]
fn help_names_every_variable() {
    let output = matinee(&["run", "--help"], &[]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for variable in [
        "MATINEE_LISTEN",
        "MATINEE_WEBHOOK_SECRET_FILES",
        "MATINEE_WEBHOOK_MAX_BYTES",
        "MATINEE_NAMESPACE",
        "MATINEE_CLUSTER_ID",
        "MATINEE_PUBLIC_URL",
        "MATINEE_SWEEP_INTERVAL",
        "MATINEE_GITHUB_WRITE_INTERVAL",
        "MATINEE_CONCURRENCY",
        "MATINEE_LOG_FORMAT",
        "RUST_LOG",
    ] {
        assert!(help.contains(variable), "{variable} is missing:\n{help}");
    }
}

#[test]
fn missing_cluster_is_logged_in_the_configured_format() {
    let secret = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-secret");
    std::fs::write(&secret, "0123456789abcdef\n").unwrap();
    let output = matinee(
        &[
            "run",
            "--listen=127.0.0.1:0",
            "--log-format=json",
            "--webhook-secret-file",
            secret.to_str().unwrap(),
        ],
        &[("KUBECONFIG", "/nowhere/config")],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"))).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["error"].as_str().unwrap().contains("set KUBECONFIG"), "{said}");
    assert!(!said.contains("0123456789abcdef"), "{said}");
}

#[test]
fn the_doctor_fails_without_a_cluster() {
    let output = matinee(&["doctor"], &[("KUBECONFIG", "/nowhere/config")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("set KUBECONFIG"));
    assert!(refusal(&["doctor", "--output", "yaml"], &[]).contains("--output"));
    let output = matinee(&["doctor", "--namespace", "No Name"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("--namespace (MATINEE_NAMESPACE)"));
}

#[test]
fn the_doctor_reports_an_unreachable_api_server() {
    let config = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-kubeconfig");
    let text = "{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], \
                users: [], contexts: [{name: a, context: {cluster: a, user: ''}}]}";
    std::fs::write(&config, text).unwrap();
    let output = matinee(&["doctor"], &[("KUBECONFIG", config.to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("Kubernetes"));
    assert!(lines.next().unwrap().starts_with("  ✗ API server: can't be reached: "), "{said}");
    assert!(lines.next().unwrap().starts_with("      → check KUBECONFIG"), "{said}");
    assert!(said.ends_with("1 problem, 0 warnings, 0 ok, 0 not checked\n"), "{said}");
}
