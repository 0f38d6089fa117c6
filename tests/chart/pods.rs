//! The pods: their security settings, their arguments, and the changes that restart them.

use std::process::Command;

use serde_json::{Value, json};

use crate::helm::{Objects, called, chart, every_rendering, list, objects};

/// Returns the specs of all pods, with the objects that own them.
fn pods(objects: &Objects) -> Vec<(String, &Value)> {
    objects
        .iter()
        .filter_map(|object| match object["kind"].as_str()? {
            "Pod" => Some((called(object), &object["spec"])),
            "Deployment" | "Job" => Some((called(object), &object["spec"]["template"]["spec"])),
            _ => None,
        })
        .collect()
}

/// Checks <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted> in all
/// fields of a pod, and more.
#[test]
fn they_fit_the_restricted_standard() {
    for (values, objects) in every_rendering() {
        let pods = pods(&objects);
        assert!(pods.len() >= 2, "{values}");
        for (name, pod) in pods {
            let about = format!("{values}: {name}");
            for field in ["hostNetwork", "hostPID", "hostIPC"] {
                assert_eq!(pod[field], Value::Null, "{about}");
            }
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{about}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{about}");
            for volume in list(&pod["volumes"]) {
                let kinds: Vec<&String> =
                    volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
                assert!(
                    kinds.iter().all(|kind| ["secret", "configMap"].contains(&kind.as_str())),
                    "{about}: {volume}"
                );
            }
            let containers = list(&pod["containers"]);
            assert_eq!((containers.len(), &pod["initContainers"]), (1, &Value::Null), "{about}");
            for container in containers {
                let expected = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                });
                assert_eq!(container["securityContext"], expected, "{about}");
                assert!(list(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "{about}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{about}");
            }
        }
    }
}

/// Returns the names of the flags of `matinee run`.
fn flags() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_matinee")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.split([' ', '=', ',']).next())
        .map(|name| format!("--{name}"))
        .collect()
}

/// Returns the program's output with these arguments, without a cluster and a Secret.
fn said(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_matinee"));
    let output = program.args(arguments).env_clear().env("KUBECONFIG", "/dev/null").output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_program_takes_every_argument() {
    let mut wrong = Vec::new();
    for (values, objects) in every_rendering() {
        for (name, pod) in pods(&objects) {
            let arguments = list(&pod["containers"][0]["args"]).iter().map(|word| word.as_str().unwrap());
            let arguments: Vec<&str> = arguments.collect();
            let said = said(&arguments);
            let taken = match arguments[0] {
                // The program accepts all settings and misses only the file.
                "run" => {
                    let problems: Vec<&str> = said.lines().skip(1).collect();
                    problems.len() == 1 && problems[0].contains("--webhook-secret-file")
                }
                _ => !said.contains("Usage:"),
            };
            if !taken {
                wrong.push(format!("{values}: {name}: {arguments:?}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_setting_of_the_program_can_be_set() {
    let full = chart().join("ci/full-values.yaml");
    let objects = objects(&["-f", full.to_str().unwrap()]);
    let container = &objects.get("Deployment", "matinee")["spec"]["template"]["spec"]["containers"][0];
    let given = container["args"].to_string() + &container["env"].to_string();
    for flag in flags() {
        let by_variable = match flag.as_str() {
            "--help" => continue,
            // This flag is in the ConfigMap, so that a change needs no restart.
            "--log" => "--config-map",
            "--namespace" => "MATINEE_NAMESPACE",
            "--identity" => "MATINEE_IDENTITY",
            other => other,
        };
        assert!(given.contains(by_variable), "the chart doesn't set {flag}: {given}");
    }
}

#[test]
fn more_arguments_come_last() {
    let objects = objects(&["--set", "extraArgs={--a=b,--c}"]);
    let container = &objects.get("Deployment", "matinee")["spec"]["template"]["spec"]["containers"][0];
    assert!(list(&container["args"]).ends_with(&["--a=b".into(), "--c".into()]), "{}", container["args"]);
}

#[test]
fn live_settings_restart_no_pod() {
    let template =
        |set: &str| objects(&["--set", set]).get("Deployment", "matinee")["spec"]["template"].clone();
    let before = template("config.logLevel=info");
    for set in [
        "config.logLevel=debug",
        "webhook.secret=another-secret-of-the-webhook",
        "github.token=another",
        "slack.signingSecret=another",
        "pages=true",
        "replicaCount=0",
        "replicaCount=1",
    ] {
        assert_eq!(template(set), before, "{set}");
    }
    assert_ne!(template("config.concurrency=3"), before);
}

#[test]
fn several_webhook_secrets_are_valid_at_a_time() {
    let objects =
        objects(&["--set", "webhook.existingSecret.name=hooks,webhook.existingSecret.keys={old,new}"]);
    assert!(objects.find("Secret", "matinee-webhook").is_none());
    let pod = &objects.get("Deployment", "matinee")["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].to_string();
    for key in ["old", "new"] {
        assert!(
            arguments.contains(&format!("\"--webhook-secret-file=/etc/matinee/webhook/{key}\"")),
            "{arguments}"
        );
    }
    let items = json!([{"key": "old", "path": "old"}, {"key": "new", "path": "new"}]);
    assert_eq!(pod["volumes"][0]["secret"], json!({"secretName": "hooks", "items": items}));
}

#[test]
fn without_a_lease_two_never_run() {
    let strategy =
        |set: &str| objects(&["--set", set]).get("Deployment", "matinee")["spec"]["strategy"].clone();
    assert_eq!(strategy("config.leaderElection.enabled=false,replicaCount=1"), json!({"type": "Recreate"}));
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    assert_eq!(strategy("replicaCount=1"), rolling);
    assert_eq!(strategy("strategy.type=Recreate"), json!({"type": "Recreate"}));
}

#[test]
fn teardown_timeout_matches_the_hook() {
    for (timeout, deadline) in [("90s", 150), ("5m", 360), ("2h", 7_260)] {
        let objects = objects(&["--set", &format!("teardown.timeout={timeout}")]);
        let spec = &objects.get("Job", "matinee-teardown")["spec"];
        assert_eq!((&spec["activeDeadlineSeconds"], &spec["backoffLimit"]), (&json!(deadline), &json!(0)));
        let arguments = json!([
            "teardown",
            "--config-map",
            "matinee-settings",
            "--timeout",
            timeout,
            "--lease-name",
            "matinee"
        ]);
        assert_eq!(spec["template"]["spec"]["containers"][0]["args"], arguments);
    }
    let off = objects(&["--set", "teardown.enabled=false"]);
    let left = off.iter().filter(|object| called(object).ends_with("teardown")).count();
    assert_eq!(left, 0);
}

#[test]
fn the_image_is_what_was_asked_for() {
    let image = |set: &str| {
        let objects = objects(&["--set", set]);
        objects.get("Deployment", "matinee")["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image("image.tag="), format!("ghcr.io/matinee-dev/matinee:{version}"));
    assert_eq!(image("image.tag=next"), "ghcr.io/matinee-dev/matinee:next");
    assert_eq!(image("image.registry="), format!("matinee-dev/matinee:{version}"));
    assert_eq!(
        image("global.imageRegistry=a.example.com:5000,image.tag=b"),
        "a.example.com:5000/matinee-dev/matinee:b"
    );
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(image(&format!("image.digest={digest}")), format!("ghcr.io/matinee-dev/matinee@{digest}"));
}
