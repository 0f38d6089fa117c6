//! The notes after an installation: their commands work once their placeholders are filled in.

use std::process::{Command, Output};

use crate::helm::notes;

/// Returns the arguments of the only line that begins with this command.
fn arguments(notes: &str, command: &str) -> Option<Vec<String>> {
    let mut lines = notes.lines().filter_map(|line| line.trim().strip_prefix(command));
    let line = lines
        .next()?
        .replace("<organization>", "acme")
        .replace("<the operator's host>", "matinee.example.com");
    assert!(lines.next().is_none(), "two {command}: {notes}");
    Some(line.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect())
}

fn matinee(command: &[&str], arguments: &[String]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_matinee"));
    program.args(command).args(arguments).env_clear().env("KUBECONFIG", "/nowhere").output().unwrap()
}

#[test]
fn connect_command_fits_the_release() {
    for (set, expected) in [
        ("replicaCount=2", "--without-webhook"),
        (
            "service.type=NodePort,webhook.existingSecret.name=wh,github.secretName=app",
            "--webhook-url https://matinee.example.com/webhooks/github --secret app --webhook-secret wh",
        ),
        (
            "ingress.enabled=true,ingress.hosts={a.example.com},webhook.existingSecret.name=wh,webhook.existingSecret.keys={current,next}",
            "--webhook-url http://a.example.com/webhooks/github --webhook-secret wh --webhook-key current",
        ),
    ] {
        let notes = notes(&["--set", set]);
        let arguments = arguments(&notes, "matinee github connect").unwrap();
        assert_eq!(arguments.join(" "), format!("--organization acme --namespace matinee-system {expected}"));
        let output = matinee(&["github", "connect", "--dry-run"], &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let done = notes(&["--set", "github.token=a"]);
    assert!(arguments(&done, "matinee github connect").is_none(), "{done}");
}

#[test]
fn doctor_command_names_the_objects_of_the_release() {
    for (set, expected) in [
        (
            "fullnameOverride=previews,namespaceOverride=tools,serviceAccount.name=operator,config.leaderElection.leaseName=leader",
            ["tools", "operator", "leader", "previews-settings"],
        ),
        (
            "config.leaderElection.enabled=false,replicaCount=1",
            ["matinee-system", "matinee", "", "matinee-settings"],
        ),
    ] {
        let notes = notes(&["--set", set]);
        let arguments = arguments(&notes, "matinee doctor").unwrap();
        let flags = ["--namespace", "--service-account", "--lease-name", "--config-map"];
        let expected: Vec<&str> =
            flags.into_iter().zip(expected).flat_map(|(flag, name)| [flag, name]).collect();
        assert_eq!(arguments, expected);
        // The program accepts the flags and fails only for lack of a cluster.
        let said = String::from_utf8(matinee(&["doctor"], &arguments).stderr).unwrap();
        assert!(said.contains("no Kubernetes cluster: set KUBECONFIG"), "{said}");
    }
}

#[test]
fn an_unreachable_release_says_how_to_expose_it() {
    let closed = notes(&[]);
    assert!(
        closed.contains("--set 'ingress.enabled=true,") && closed.contains("github-app.md#a-webhook-later"),
        "{closed}"
    );
    assert!(!closed.contains("set the webhook on GitHub"), "{closed}");
    let open = notes(&[
        "--set",
        "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public,httpRoute.hostnames={a.example.com}",
    ]);
    assert!(open.contains("set the webhook on GitHub to https://a.example.com/webhooks/github"), "{open}");
    assert!(open.contains("get secret matinee-webhook -o") && !open.contains("a-webhook-later"), "{open}");
}

#[test]
fn risky_defaults_are_warnings() {
    let closed =
        "rbac.secretNames is empty: the operator may read every Secret of the namespace matinee-system";
    assert!(notes(&[]).contains(closed));
    assert!(!notes(&["--set", "rbac.secretNames={github}"]).contains("rbac.secretNames"));
    assert!(!notes(&["--set", "rbac.create=false"]).contains("rbac.secretNames"));
    assert!(notes(&["--set", "replicaCount=1"]).contains("replicaCount is 1"));
}
