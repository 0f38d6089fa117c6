//! The chart as a dependency of another chart.

use std::path::Path;
use std::process::Command;

use crate::helm::{NAMESPACE, Objects, chart, text_of};
use crate::programs::folder;

/// Creates a chart whose only dependency is this one.
fn parent(values: &str) -> std::path::PathBuf {
    let parent = folder("parent");
    std::fs::create_dir_all(parent.join("charts")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(parent.join(name), text).unwrap();
    write(
        "Chart.yaml",
        "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n- {name: matinee, version: 0.x.x, condition: matinee.enabled, repository: ''}\n",
    );
    write("values.yaml", values);
    let copied = Command::new("cp").arg("-r").arg(chart()).arg(parent.join("charts")).status().unwrap();
    assert!(copied.success());
    parent
}

fn render(parent: &Path, arguments: &[&str]) -> Objects {
    Objects::parse(&text_of(parent, "tools", arguments).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn subchart_uses_global_values() {
    let parent = parent(
        "global:\n  imageRegistry: mirror.example.com\n  imagePullSecrets: [mirror]\n  anythingElse: {a: b}\nmatinee:\n  enabled: true\n  imagePullSecrets: [{name: own}]\n",
    );
    let objects = render(&parent, &[]);
    let deployment = objects.get("Deployment", "tools-matinee");
    let pod = &deployment["spec"]["template"]["spec"];
    let image = format!("mirror.example.com/matinee-dev/matinee:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(pod["containers"][0]["image"], image);
    assert_eq!(pod["imagePullSecrets"], serde_json::json!([{"name": "mirror"}, {"name": "own"}]));
    assert_eq!(deployment["metadata"]["namespace"], NAMESPACE);
    assert!(objects.find("CustomResourceDefinition", "previewrepositories.matinee.dev").is_some());
    assert!(render(&parent, &["--set", "matinee.enabled=false"]).is_empty());
    let typo = text_of(&parent, "tools", &["--set", "matinee.replicas=2"]).err().unwrap();
    assert!(typo.contains("additional properties 'replicas' not allowed"), "{typo}");
    std::fs::remove_dir_all(parent).unwrap();
}
