//! The custom resource definitions in the release.

use matinee::api::custom_resource_definitions;
use serde_json::{Value, json};

use crate::helm::{Objects, objects, yaml};

fn definitions(objects: &Objects) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").cloned().collect()
}

#[test]
fn they_are_those_of_the_code_with_labels() {
    let defined = custom_resource_definitions();
    let rendered = objects(&["--set", "crds.annotations.example\\.com/a=b"]);
    assert_eq!(definitions(&rendered).len(), defined.len());
    for definition in defined {
        let mut expected = serde_json::to_value(&definition).unwrap();
        let name = definition.metadata.name.unwrap();
        let rendered = rendered.get("CustomResourceDefinition", &name);
        expected["metadata"]["labels"] = rendered["metadata"]["labels"].clone();
        for (name, value) in [("helm.sh/resource-policy", "keep"), ("example.com/a", "b")] {
            expected["metadata"]["annotations"][name] = json!(value);
        }
        // The value is too long to print.
        assert!(
            *rendered == expected,
            "{name}: see CONTRIBUTING.md for how charts/matinee/files/crds is written"
        );
        assert_eq!(rendered["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    }
}

#[test]
fn they_go_with_the_release_only_when_asked_to() {
    for definition in definitions(&objects(&["--set", "crds.keep=false"])) {
        let annotations = definition["metadata"]["annotations"].as_object().unwrap();
        assert!(annotations.keys().all(|name| name.starts_with("matinee.dev/")), "{annotations:?}");
    }
    assert_eq!(definitions(&objects(&["--set", "crds.enabled=false"])).len(), 0);
}

#[test]
fn the_package_tells_of_each() {
    let annotations = yaml("charts/matinee/Chart.yaml")["annotations"].clone();
    let list =
        |name: &str| -> Vec<Value> { serde_saphyr::from_str(annotations[name].as_str().unwrap()).unwrap() };
    let told: Vec<Value> = list("artifacthub.io/crds").iter().map(|crd| crd["name"].clone()).collect();
    let defined: Vec<Value> =
        custom_resource_definitions().into_iter().map(|crd| crd.metadata.name.unwrap().into()).collect();
    assert_eq!(told.len(), defined.len());
    assert!(defined.iter().all(|name| told.contains(name)), "{told:?}");
    for example in list("artifacthub.io/crdsExamples") {
        match example["kind"].as_str().unwrap() {
            "PreviewClass" => drop(serde_json::from_value::<matinee::api::PreviewClass>(example).unwrap()),
            "PreviewRepository" => {
                drop(serde_json::from_value::<matinee::api::PreviewRepository>(example).unwrap());
            }
            other => panic!("no example of {other} is expected"),
        }
    }
}
