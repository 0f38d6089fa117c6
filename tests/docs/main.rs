//! The documentation matches the code: its examples fit the schemas, and its reasons are those of
//! the code.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use matinee::adapters::github::permissions::{Part, events, permissions};
use matinee::adapters::render::MinijinjaRenderer;
use matinee::api::{
    DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository, PreviewTemplate,
    custom_resource_definitions,
};
use matinee::core::chatops::{Channel, Reply, parse, reply};
use matinee::core::deployment::gates::{hours::Span, image};
use matinee::core::environment::reason::EnvironmentReason;
use matinee::core::mistake::Reason;
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

/// Returns the fields of an object that its schema lacks, so that the API server would drop them.
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
    assert_eq!(seen, 9);
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

/// The guides' PreviewRepositories, which are stages of the same one.
const REPOSITORIES: [&str; 4] = ["repository.yaml", "staging.yaml", "chain.yaml", "another-deployer.yaml"];

#[test]
fn the_examples_fit_together() {
    let classes: [PreviewClass; 2] = [typed("class.yaml"), typed("class-slack.yaml")];
    let template: PreviewTemplate = typed("template.yaml");
    let environment: PreviewEnvironment = typed("environment.yaml");
    let request: DeploymentRequest = typed("request.yaml");
    MinijinjaRenderer::new().check(&template.spec).unwrap();
    let declares = |name: &str| template.spec.parameters.iter().any(|declared| declared.name == name);
    for name in REPOSITORIES {
        let repository: PreviewRepository = typed(name);
        for class in &classes {
            matinee::core::deployment::ownership::class_admits(class, &repository).unwrap();
            assert_eq!(repository.spec.class_name.as_ref(), class.metadata.name.as_ref(), "{name}");
        }
        matinee::core::deployment::promotion::check(&repository).unwrap();
        for entry in &repository.spec.environments {
            if let Some(deploy) = &entry.deploy {
                assert_eq!(Some(&deploy.template.reference.name), template.metadata.name.as_ref(), "{name}");
                assert!(deploy.parameters.iter().all(|given| declares(&given.name)), "{name}");
            }
            let Some(gates) = &entry.gates else { continue };
            if let Some(wanted) = &gates.image {
                image::registry(wanted, &classes[1].spec.registries).unwrap();
            }
            for hours in &gates.hours {
                let now = k8s_openapi::jiff::Timestamp::now();
                assert!(Span::new(hours, name).unwrap().next(now).is_some(), "{name}");
            }
        }
    }
    let first: PreviewRepository = typed("repository.yaml");
    let chain: PreviewRepository = typed("chain.yaml");
    assert_eq!(Some(environment.spec.repository_ref.name), first.metadata.name);
    assert!(first.spec.environments.iter().any(|entry| entry.name == environment.spec.environment));
    assert_eq!(Some(request.spec.repository_ref.name), chain.metadata.name);
    assert!(chain.spec.environments.iter().any(|entry| entry.name == request.spec.environment));
    assert!(request.spec.parameters.iter().all(|given| declares(&given.name)));
}

#[test]
fn the_guides_show_the_examples_as_they_are() {
    let guides: [(&str, &[&str]); 5] = [
        (
            "previews.md",
            &["class.yaml", "repository.yaml", "template.yaml", "environment.yaml", "deployment.json"],
        ),
        ("staging.md", &["staging.yaml"]),
        ("promotion.md", &["chain.yaml", "request.yaml"]),
        ("slack.md", &["class-slack.yaml", "slack-app.yml"]),
        ("another-deployer.md", &["another-deployer.yaml", "deploy-workflow.yml", "deploy.sh"]),
    ];
    let mut shown = BTreeSet::new();
    for (guide, names) in guides {
        let text = read(&format!("docs/{guide}"));
        for name in names {
            let example = read(&format!("docs/examples/{name}"));
            // Blocks in a step of a list are indented.
            let indented: Vec<String> =
                example.lines().map(|line| format!("   {line}").trim_end().to_owned()).collect();
            assert!(
                text.contains(example.trim_end()) || text.contains(&indented.join("\n")),
                "docs/{guide} doesn't show docs/examples/{name} as it is"
            );
            shown.insert((*name).to_owned());
        }
    }
    let there: BTreeSet<String> = std::fs::read_dir(root().join("docs/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(shown, there, "every example is in a guide");
}

#[test]
fn guides_list_every_command_with_its_syntax() {
    for (place, guide) in [(Channel::Comment, "docs/commands.md"), (Channel::Slack, "docs/slack.md")] {
        let help = reply(&Reply::Help(&[]), place, "");
        let told: Vec<&str> = help.lines().filter_map(|line| line.split('`').nth(1)).collect();
        assert!(told.len() > 5, "{help}");
        let text = read(guide);
        for usage in told {
            let usage = usage.replace("&lt;", "<").replace("&gt;", ">");
            assert!(text.contains(&format!("| `{usage}` |")), "{guide} doesn't list {usage}");
        }
        // The parser accepts each command that a guide gives as an example.
        let listed = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        for usage in listed.filter(|usage| usage.contains("<environment>")) {
            let example = usage.replace("<environment>", "staging").replace("<reason>", "why");
            let example =
                example.replace("owner/repo[@ref]", "acme/shop@main").replace("owner/repo", "acme/shop");
            let example = example.replace("[name=value …] [--force]", "message=hello --force");
            parse(&example, place).unwrap_or_else(|error| panic!("{guide}: {example}: {error}"));
        }
    }
}

#[test]
fn the_guide_to_the_app_tells_every_permission_event_and_flag() {
    let (all, none) = (BTreeSet::from(Part::ALL), BTreeSet::new());
    let text = read("docs/github-app.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    for (name, level) in permissions(&all) {
        let at = rows
            .iter()
            .position(|row| row.contains(&format!("(`{name}`)")))
            .unwrap_or_else(|| panic!("no {name}"));
        // The second level is in the next row.
        let highest = rows[at..]
            .iter()
            .take(2)
            .rfind(|row| row.contains(&format!("`{name}`")) || row.starts_with("| |"));
        assert!(highest.unwrap().contains(&format!("| {level} |")), "{name}: {highest:?}");
    }
    let told = rows.iter().filter(|row| row.ends_with("` |") && row.contains("--without ")).count();
    assert!(told >= permissions(&all).len() - permissions(&none).len());
    for event in events(&all) {
        assert!(rows.iter().any(|row| row.contains(&format!("`{event}`"))), "no {event}");
    }
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_matinee"));
    let help = program.args(["github", "connect", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let flags = help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help");
    for flag in flags.map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())) {
        assert!(text.contains(&format!("`{flag}`")), "docs/github-app.md lacks {flag}");
    }
}

#[test]
fn the_script_and_the_workflow_can_be_read() {
    let script = root().join("docs/examples/deploy.sh");
    let checked = std::process::Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let workflow = example("deploy-workflow.yml");
    assert_eq!(workflow["on"], "deployment");
    assert_eq!(workflow["permissions"]["deployments"], "write");
    let deploy = &workflow["jobs"]["deploy"];
    assert_eq!(deploy["environment"], Value::Null, "that would be another deployment");
    // User input must never be part of a script.
    for step in deploy["steps"].as_array().unwrap() {
        assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{step}");
    }
    let app = example("slack-app.yml");
    let url = app["features"]["slash_commands"][0]["url"].as_str().unwrap();
    assert!(url.ends_with("/slack/commands"), "{url}");
    assert!(app["oauth_config"]["scopes"]["bot"].as_array().unwrap().contains(&"chat:write".into()));
}

#[test]
fn guide_shows_the_sent_payload() {
    let guide = read("docs/another-deployer.md");
    let shown = guide.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    let mark = matinee::core::deployment::payload::Mark::find(&shown).unwrap();
    assert_eq!(mark.to_payload(), shown);
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

/// Returns GitHub's anchor for a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_flag_is_documented() {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_matinee")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.split(' ').next())
        .filter(|flag| *flag != "help")
        .collect();
    assert!(flags.len() > 8, "{help}");
    let table = read("docs/flags.md");
    for flag in flags {
        assert!(table.contains(&format!("| `--{flag}` |")), "docs/flags.md doesn't list --{flag}");
    }
}

/// Reasons of conditions that are as they should be, which need no row in a table.
const FINE: [&str; 8] =
    ["Ready", "Valid", "Applied", "Healthy", "Reachable", "Allowed", "Accepted", "Synced"];
#[test]
fn the_guide_knows_every_reason_of_the_code() {
    let documented = documented();
    let mut missing = BTreeSet::new();
    let of_mistakes = Reason::ALL.iter().map(|reason| (reason.to_string(), "core/mistake.rs".to_owned()));
    let of_environments = EnvironmentReason::OWN
        .iter()
        .map(|reason| (reason.as_str().to_owned(), "core/environment/reason.rs".to_owned()));
    for (reason, file) in reasons().into_iter().chain(of_mistakes).chain(of_environments) {
        if !FINE.contains(&reason.as_str()) && !documented.contains(&reason) {
            missing.insert(format!("{reason} ({file})"));
        }
    }
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks {missing:?}");
}

#[test]
fn the_guide_knows_no_reason_that_there_is_not() {
    let mut literals: BTreeSet<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    for file in sources() {
        collect(file.1, &mut |_, literal| {
            literals.insert(literal.to_owned());
        });
    }
    for reason in documented() {
        assert!(literals.contains(&reason), "docs/troubleshooting.md has {reason}, which src/ lacks");
    }
}

/// Checks the events in the guide. The code names an event's type and reason where it publishes the
/// event, or the reason is a cause for which an environment is deleted.
#[test]
fn the_guide_knows_every_event_of_the_code() {
    let guide = read("docs/troubleshooting.md");
    let section = guide.split("\n## Events\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<(BTreeSet<&str>, &str)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let columns: Vec<&str> = row.split(" | ").collect();
            (columns[0].split(", ").map(|reason| reason.trim_matches('`')).collect(), columns[2])
        })
        .collect();
    let mut published = BTreeSet::new();
    for (_, tokens) in sources() {
        collect(tokens, &mut |previous, literal| {
            let kind = if previous.ends_with("EventType :: Warning ,") {
                "Warning"
            } else if [
                "EventType :: Normal ,",
                "delete ( scope ,",
                "end ( scope ,",
                "EnvironmentVerification :: Over (",
                "Eligibility :: Over { reason :",
            ]
            .iter()
            .any(|words| previous.ends_with(words))
            {
                "Normal"
            } else {
                return;
            };
            published.insert((literal.to_owned(), kind));
        });
    }
    assert!(published.len() >= 6, "{published:?}");
    for (reason, kind) in &published {
        let row = rows.iter().find(|(reasons, _)| reasons.contains(reason.as_str()));
        let (_, told) = row.unwrap_or_else(|| panic!("docs/troubleshooting.md has no event {reason}"));
        assert_eq!(told, kind, "type of the event {reason}");
    }
    for reason in rows.iter().flat_map(|(reasons, _)| reasons) {
        // These are reasons of the condition `Ready`, which no place in the code names together
        // with an event.
        let of_ready = ["Ready", "Succeeded"].contains(reason);
        assert!(of_ready || published.iter().any(|(known, _)| known == reason), "nobody publishes {reason}");
    }
}

/// Returns the reasons in the first columns of the tables on troubleshooting.
fn documented() -> BTreeSet<String> {
    let guide = read("docs/troubleshooting.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let reasons: BTreeSet<String> =
        rows.flat_map(|row| row.split(", ").map(|reason| reason.trim_matches('`').to_owned())).collect();
    assert!(reasons.len() > 50, "{reasons:?}");
    reasons
}

/// Returns the reasons in the code, with their files.
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
                "EnvironmentVerification :: Over (",
                "delete ( scope ,",
                "end ( scope ,",
            ]);
            let camel_case = literal.starts_with(|c: char| c.is_ascii_uppercase())
                && literal.chars().all(|c| c.is_ascii_alphanumeric());
            if given && camel_case {
                found.push((literal.to_owned(), file.clone()));
            }
        });
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

/// Returns the code of `src/core`, `src/runtime` and `src/controllers`, without tests.
fn sources() -> Vec<(String, TokenStream)> {
    let mut files = Vec::new();
    let mut folders = ["core", "runtime", "controllers"].map(|room| root().join("src").join(room)).to_vec();
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

/// Calls `found` with every string literal and the last tokens before it, separated by spaces.
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

#[test]
fn every_metric_is_explained() {
    let page = read("docs/monitoring.md");
    for metric in matinee::metrics::ALL {
        let row = ["`", "{"].map(|end| format!("| `{}{end}", metric.name));
        assert!(
            row.iter().any(|row| page.contains(row)),
            "docs/monitoring.md doesn't explain {}",
            metric.name
        );
    }
}
