//! What the documentation shows is what there is: its examples fit the schema, and its reasons are the code's.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use matinee::adapters::render::MinijinjaRenderer;
use matinee::api::{
    PreviewClass, PreviewEnvironment, PreviewTemplate, Repository, custom_resource_definitions,
};
use matinee::ports::Renderer as _;
use proc_macro2::{TokenStream, TokenTree};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

fn example(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("docs/examples/{name}")))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn typed<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(example(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fields of an object that its schema doesn't have, and would drop.
fn unknown_fields(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return Vec::new();
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                let path = format!("{path}.{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Null) => vec![path],
                    (Value::Null, any) => unknown_fields(&path, any, field),
                    (known, _) => unknown_fields(&path, known, field),
                }
            })
            .collect(),
        Value::Array(items) => {
            items.iter().flat_map(|item| unknown_fields(path, &schema["items"], item)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_example_has_only_fields_that_there_are() {
    let schemas: Vec<(String, Value)> = custom_resource_definitions()
        .into_iter()
        .map(|crd| (crd.spec.names.kind.clone(), serde_json::to_value(&crd.spec.versions[0].schema).unwrap()))
        .collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("docs/examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !has_extension(Path::new(&name), "yaml") {
            continue;
        }
        seen += 1;
        let object = example(&name);
        assert_eq!(object["apiVersion"], "matinee.dev/v1alpha1", "{name}");
        let (_, schema) = schemas
            .iter()
            .find(|(kind, _)| object["kind"] == kind.as_str())
            .unwrap_or_else(|| panic!("{name}: there is no kind {}", object["kind"]));
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(unknown_fields("spec", spec, &object["spec"]), Vec::<String>::new(), "{name}");
    }
    assert_eq!(seen, 4);
}

#[test]
fn a_field_that_there_is_not_is_found() {
    let crds = custom_resource_definitions();
    let schema = serde_json::to_value(&crds[1].spec.versions[0].schema).unwrap();
    let spec = serde_json::json!({"repository": "a/b", "environments": [{"name": "a", "triger": {}}]});
    assert_eq!(
        unknown_fields("spec", &schema["openAPIV3Schema"]["properties"]["spec"], &spec),
        ["spec.environments.triger"]
    );
}

#[test]
fn the_examples_fit_together() {
    let class: PreviewClass = typed("class.yaml");
    let repository: Repository = typed("repository.yaml");
    let template: PreviewTemplate = typed("template.yaml");
    let environment: PreviewEnvironment = typed("environment.yaml");
    matinee::core::claims::class_admits(&class, &repository).unwrap();
    MinijinjaRenderer::new().check(&template.spec).unwrap();
    assert_eq!(Some(repository.spec.class_name), class.metadata.name);
    let deploys: Vec<_> =
        repository.spec.environments.iter().filter_map(|entry| entry.deploy.as_ref()).collect();
    for deploy in &deploys {
        assert_eq!(Some(&deploy.template_ref.name), template.metadata.name.as_ref());
        for given in &deploy.parameters {
            assert!(
                template.spec.parameters.iter().any(|declared| declared.name == given.name),
                "{}",
                given.name
            );
        }
    }
    assert_eq!(Some(environment.spec.repository_ref.name), repository.metadata.name);
    assert!(repository.spec.environments.iter().any(|entry| entry.name == environment.spec.environment));
}

#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let guide = read("docs/previews.md");
    for name in ["class.yaml", "repository.yaml", "template.yaml", "environment.yaml", "deployment.json"] {
        let shown = read(&format!("docs/examples/{name}"));
        assert!(
            guide.contains(shown.trim_end()),
            "docs/previews.md doesn't show docs/examples/{name} as it is"
        );
    }
}

#[test]
fn links_between_files_lead_somewhere() {
    let mut pages = vec![PathBuf::from("README.md"), "CONTRIBUTING.md".into(), "SECURITY.md".into()];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if has_extension(&path, "md") {
            pages.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    for page in pages {
        let folder = root().join(&page);
        let text = read(page.to_str().unwrap());
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.is_empty()) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { folder.clone() } else { folder.parent().unwrap().join(file) };
            assert!(linked.exists(), "{}: there is no {target}", page.display());
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&linked).unwrap();
                let found =
                    there.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(found, "{}: there is no heading for {target}", page.display());
            }
        }
    }
}

/// The anchor that GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_readme_lists_every_flag() {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_matinee")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.split(' ').next())
        .filter(|flag| *flag != "help")
        .collect();
    assert!(flags.len() > 8, "{help}");
    let readme = read("README.md");
    for flag in flags {
        assert!(readme.contains(&format!("| `--{flag}` |")), "README.md doesn't list --{flag}");
    }
}

/// Reasons that stand for a condition that is as it should be, and need no row in a table.
const FINE: [&str; 8] = ["Ready", "Valid", "Applied", "Healthy", "Answering", "Allowed", "Claimed", "Swept"];
#[test]
fn the_guide_knows_every_reason_of_the_code() {
    let documented = documented();
    let mut missing = BTreeSet::new();
    for (reason, file) in reasons() {
        if !FINE.contains(&reason.as_str()) && !documented.contains(&reason) {
            missing.insert(format!("{reason} ({file})"));
        }
    }
    assert!(missing.is_empty(), "docs/previews.md doesn't tell of: {missing:?}");
}

#[test]
fn the_guide_knows_no_reason_that_there_is_not() {
    let mut literals = BTreeSet::new();
    for file in sources() {
        collect(file.1, &mut |_, literal| {
            literals.insert(literal.to_owned());
        });
    }
    for reason in documented() {
        assert!(literals.contains(&reason), "docs/previews.md tells of {reason}, which src/ doesn't");
    }
}

/// The reasons in the first columns of the guide's tables on troubleshooting.
fn documented() -> BTreeSet<String> {
    let guide = read("docs/previews.md");
    let (_, tables) = guide.split_once("## Troubleshooting").unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let reasons: BTreeSet<String> =
        rows.flat_map(|row| row.split(", ").map(|reason| reason.trim_matches('`').to_owned())).collect();
    assert!(reasons.len() > 50, "{reasons:?}");
    reasons
}

/// Reasons that the code gives, with the file.
fn reasons() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, tokens) in sources() {
        collect(tokens, &mut |previous, literal| {
            let first_word = |words: &[&str]| words.iter().any(|word| previous.ends_with(word));
            let given = first_word(&[
                "reason :",
                "mistake (",
                "Health :: waiting (",
                "Health :: failed (",
                "Health :: troubled (",
                "Verified :: Over (",
                "delete ( environment , context ,",
            ]);
            let camel_case = literal.starts_with(|c: char| c.is_ascii_uppercase())
                && literal.chars().all(|c| c.is_ascii_alphanumeric());
            if given && camel_case {
                found.push((literal.to_owned(), file.clone()));
            }
        });
    }
    assert!(found.len() > 40, "{found:?}");
    found
}

/// The code of `src/core` and `src/controllers`, without tests.
fn sources() -> Vec<(String, TokenStream)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src/core"), root().join("src/controllers")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if has_extension(&path, "rs") && !name.contains("tests") && name != "sample.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                files.push((path.strip_prefix(root()).unwrap().display().to_string(), code.parse().unwrap()));
            }
        }
    }
    files
}

/// Calls back for every string literal, with the last tokens before it, separated by spaces.
fn collect(tokens: TokenStream, found: &mut impl FnMut(&str, &str)) {
    let mut before = Vec::new();
    walk(tokens, &mut before, found);
}

fn walk(tokens: TokenStream, before: &mut Vec<String>, found: &mut impl FnMut(&str, &str)) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let open = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => "(",
                    proc_macro2::Delimiter::Brace => "{",
                    proc_macro2::Delimiter::Bracket => "[",
                    proc_macro2::Delimiter::None => "",
                };
                before.push(open.to_owned());
                walk(group.stream(), before, found);
                before.push("close".to_owned());
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                    let last =
                        before.iter().skip(before.len().saturating_sub(8)).cloned().collect::<Vec<_>>();
                    found(&last.join(" ").replace(": :", "::"), text);
                }
                before.push(text);
            }
            TokenTree::Punct(punct) => before.push(punct.as_char().to_string()),
            TokenTree::Ident(ident) => before.push(ident.to_string()),
        }
    }
}
