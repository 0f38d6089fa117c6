//! Properties of all objects, in every rendering.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1 as rbac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, Objects, called, chart, every_rendering, list, objects, text_of, value_files};
use crate::programs::{helm, run};

/// Kinds of cluster-wide objects, which the chart can't do without: the definitions, rights in
/// namespaces that don't exist yet, and the policies that confine those rights.
const OF_THE_CLUSTER: [&str; 5] = [
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

#[test]
fn the_chart_has_no_flaw_that_helm_finds() {
    let chart = chart();
    let mut all = vec![vec![]];
    all.extend(value_files().into_iter().map(|file| vec!["-f".to_owned(), file.display().to_string()]));
    for values in all {
        let mut arguments = vec!["lint", "--strict", chart.to_str().unwrap()];
        arguments.extend(values.iter().map(String::as_str));
        let output = run(helm(), &arguments);
        assert!(output.status.success(), "{values:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Converts an object to Kubernetes' own type and back, which drops unknown fields.
fn kept<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let typed: T =
        serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{}: {error}", called(object)));
    serde_json::to_value(typed).unwrap()
}

#[test]
fn kubernetes_knows_every_field() {
    for (values, objects) in every_rendering() {
        for object in objects.iter() {
            let kept = match object["kind"].as_str().unwrap() {
                "ConfigMap" => kept::<core::ConfigMap>(object),
                "Secret" => kept::<core::Secret>(object),
                "Service" => kept::<core::Service>(object),
                "ServiceAccount" => kept::<core::ServiceAccount>(object),
                "Pod" => kept::<core::Pod>(object),
                "Deployment" => kept::<Deployment>(object),
                "Job" => kept::<Job>(object),
                "Ingress" => kept::<Ingress>(object),
                "NetworkPolicy" => kept::<NetworkPolicy>(object),
                "PodDisruptionBudget" => kept::<PodDisruptionBudget>(object),
                "Role" => kept::<rbac::Role>(object),
                "RoleBinding" => kept::<rbac::RoleBinding>(object),
                "ClusterRole" => kept::<rbac::ClusterRole>(object),
                "ClusterRoleBinding" => kept::<rbac::ClusterRoleBinding>(object),
                "ValidatingAdmissionPolicy" => kept::<ValidatingAdmissionPolicy>(object),
                "ValidatingAdmissionPolicyBinding" => kept::<ValidatingAdmissionPolicyBinding>(object),
                // Another test compares the definitions with the code; the other kinds have no
                // types here.
                "CustomResourceDefinition" | "HTTPRoute" | "ServiceMonitor" | "PrometheusRule" => continue,
                other => panic!("{values}: the chart has a {other}"),
            };
            assert_eq!(kept, *object, "{values}: {}", called(object));
        }
    }
}

#[test]
fn everything_is_in_the_namespace_or_has_a_reason_not_to_be() {
    for (values, objects) in every_rendering() {
        for object in objects.iter() {
            let kind = object["kind"].as_str().unwrap();
            let namespace = &object["metadata"]["namespace"];
            let monitored = ["ServiceMonitor", "PrometheusRule"].contains(&kind) && namespace == "monitoring";
            let expected = if OF_THE_CLUSTER.contains(&kind) { Value::Null } else { NAMESPACE.into() };
            assert!(monitored || *namespace == expected, "{values}: {}: {namespace}", called(object));
        }
    }
}

#[test]
fn no_two_objects_are_the_same() {
    for (values, objects) in every_rendering() {
        let mut seen = std::collections::BTreeSet::new();
        for object in objects.iter() {
            assert!(seen.insert(called(object)), "{values}: {} twice", called(object));
        }
    }
}

#[test]
fn all_objects_have_the_release_labels() {
    for (values, objects) in every_rendering() {
        for object in objects.iter().filter(|object| !called(object).starts_with("ConfigMap matinee-extra")) {
            let labels = &object["metadata"]["labels"];
            if *labels == Value::Null && called(object) == "ConfigMap matinee-text" {
                continue;
            }
            for (label, value) in [("name", "matinee"), ("instance", "matinee"), ("managed-by", "Helm")] {
                let label = format!("app.kubernetes.io/{label}");
                assert_eq!(labels[&label], value, "{values}: {} {label}", called(object));
            }
            if values == "full-values.yaml" {
                assert_eq!(labels["team"], "platform", "{}", called(object));
                let owner = &object["metadata"]["annotations"]["example.com/owner"];
                assert_eq!(owner, "platform", "{}", called(object));
            }
        }
    }
}

#[test]
fn names_follow_the_release_and_fit() {
    let long = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53";
    let full = chart().join("ci/full-values.yaml");
    for (release, set, prefix) in [
        ("blue", "nameOverride=", "blue-matinee"),
        ("matinee-blue", "nameOverride=", "matinee-blue"),
        ("blue", "nameOverride=stage", "blue-stage"),
        ("blue", "fullnameOverride=red", "red"),
        (long, "nameOverride=", "a-release-whose-name-is-as-long-as-helm-lets"),
    ] {
        let arguments =
            ["-f", full.to_str().unwrap(), "--set", set, "--set", "crds.enabled=false,extraObjects=null"];
        let objects = Objects::parse(&text_of(&chart(), release, &arguments).unwrap());
        for object in objects.iter() {
            let name = object["metadata"]["name"].as_str().unwrap();
            // The operator's code has the first name, and classes refer to the other two.
            let fixed = ["matinee-deployer", "github", "slack"].contains(&name);
            assert!(fixed || name.starts_with(prefix), "{release} {set}: {}", called(object));
            assert!(name.len() <= 63, "{name}");
        }
    }
    let moved = objects(&["--set", "namespaceOverride=elsewhere"]);
    assert_eq!(moved.get("Deployment", "matinee")["metadata"]["namespace"], "elsewhere");
    let binding = moved.get("ClusterRoleBinding", "matinee");
    assert_eq!(binding["subjects"][0]["namespace"], "elsewhere");
}

#[test]
fn selectors_find_the_operator_and_no_hook() {
    let full = chart().join("ci/full-values.yaml");
    let objects = objects(&["-f", full.to_str().unwrap()]);
    let selects = |selector: &Value, labels: &Value| {
        selector.as_object().unwrap().iter().all(|(label, value)| labels[label] == *value)
    };
    let operator = &objects.get("Deployment", "matinee")["spec"]["template"]["metadata"]["labels"];
    let selectors = [
        &objects.get("Service", "matinee")["spec"]["selector"],
        &objects.get("Service", "matinee-metrics")["spec"]["selector"],
        &objects.get("Deployment", "matinee")["spec"]["selector"]["matchLabels"],
        &objects.get("PodDisruptionBudget", "matinee")["spec"]["selector"]["matchLabels"],
        &objects.get("NetworkPolicy", "matinee")["spec"]["podSelector"]["matchLabels"],
    ];
    for selector in selectors {
        assert!(selects(selector, operator), "{selector}");
        for job in ["matinee-class", "matinee-teardown"] {
            let labels = &objects.get("Job", job)["spec"]["template"]["metadata"]["labels"];
            assert!(!selects(selector, labels), "{selector} finds {job}");
        }
        assert!(!selects(selector, &objects.get("Pod", "matinee-doctor")["metadata"]["labels"]));
    }
    let monitored = &objects.get("ServiceMonitor", "matinee")["spec"]["selector"]["matchLabels"];
    assert!(selects(monitored, &objects.get("Service", "matinee-metrics")["metadata"]["labels"]));
    assert!(!selects(monitored, &objects.get("Service", "matinee")["metadata"]["labels"]));
}

#[test]
fn only_public_paths_are_exposed() {
    for (pages, expected) in [
        ("false", vec!["/webhooks/github", "/slack/commands"]),
        ("true", vec!["/webhooks/github", "/slack/commands", "/environments"]),
    ] {
        let pages = format!("pages={pages}");
        let values = "ingress.enabled=true,ingress.hosts={a.example.com},httpRoute.enabled=true,httpRoute.parentRefs[0].name=b";
        let objects = objects(&["--set", &pages, "--set", values]);
        let ingress = &objects.get("Ingress", "matinee")["spec"]["rules"][0]["http"]["paths"];
        let paths: Vec<&str> = list(ingress).iter().map(|path| path["path"].as_str().unwrap()).collect();
        assert_eq!(paths, expected);
        assert!(
            list(ingress)
                .iter()
                .all(|path| (path["pathType"] == "Prefix") == (path["path"] == "/environments"))
        );
        let rules = list(&objects.get("HTTPRoute", "matinee")["spec"]["rules"]).to_vec();
        let routed: Vec<&str> =
            list(&rules[0]["matches"]).iter().map(|m| m["path"]["value"].as_str().unwrap()).collect();
        assert_eq!((routed, rules.len()), (expected, 1));
        assert_eq!(rules[0]["backendRefs"], json!([{"name": "matinee", "port": 80}]));
    }
}

#[test]
fn a_budget_comes_with_the_second_replica_and_spreading_is_always_there() {
    for (replicas, expected) in [("0", false), ("1", false), ("2", true)] {
        let objects = objects(&["--set", &format!("replicaCount={replicas}")]);
        assert_eq!(objects.find("PodDisruptionBudget", "matinee").is_some(), expected, "{replicas}");
        let deployment = objects.get("Deployment", "matinee");
        let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"];
        assert_eq!(list(spread).len(), 1, "{replicas}");
        assert_eq!(deployment["spec"]["replicas"].to_string(), replicas);
    }
}

/// Returns whether a text is a DNS label, which every kind accepts as a name.
fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
}

#[test]
fn names_are_good_whatever_the_release_is_called() {
    let long = format!("{}.b", "a".repeat(44));
    for (release, expected) in [
        ("matinee", "matinee"),
        ("previews", "previews-matinee"),
        ("matinee-1.2", "matinee-1-2"),
        ("1st", "m-1st-matinee"),
        ("2.matinee", "m-2-matinee"),
        (long.as_str(), &long[..44]),
    ] {
        let text = text_of(&chart(), release, &["--set", "crds.enabled=false"]).unwrap();
        let objects = Objects::parse(&text);
        objects.get("Deployment", expected);
        for object in objects.iter() {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(is_name(name), "{release}: {}", called(object));
        }
    }
    let overridden = objects(&["--set", "fullnameOverride=0-operator"]);
    overridden.get("Deployment", "m-0-operator");
}
