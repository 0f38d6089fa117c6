//! Mistakes that stop an environment name the reason, the object, the field and the remedy.

use serde_json::{Value, json};

use super::*;
use crate::api::PreviewEnvironmentStatus;

/// Objects of the team and the platform; each test changes one of them.
struct World {
    repository: Value,
    class: Value,
    template: Value,
    environment: Value,
    /// Other environments.
    others: Vec<Value>,
    /// Other PreviewRepositories.
    neighbours: Vec<Value>,
}

fn object(kind: &str, name: &str, second: u8, spec: &Value) -> Value {
    json!({
        "apiVersion": "matinee.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": format!("uid-of-{name}"),
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        },
        "spec": spec,
    })
}

impl World {
    fn new() -> Self {
        Self {
            repository: object(
                "PreviewRepository",
                "shop",
                1,
                &json!({
                    "repository": "acme/shop",
                    "className": "standard",
                    "environments": [
                        {"name": "preview", "deploy": {"template": {"ref": {"name": "web"}}}},
                        {"name": "docs", "deploy": {"template": {"ref": {"name": "web"}}}},
                        {"name": "elsewhere"},
                    ],
                }),
            ),
            class: object(
                "PreviewClass",
                "standard",
                1,
                &json!({
                    "grants": [{"repositories": ["acme/*"], "namespaces": ["team*"]}],
                    "forge": {"github": {"secretName": "github"}},
                    "routing": {"domain": "dev.example", "gateway": {"name": "g", "namespace": "g"}},
                }),
            ),
            template: object(
                "PreviewTemplate",
                "web",
                1,
                &json!({
                    "resources": [{}],
                    "parameters": [{"name": "replicas", "default": "1"}],
                    "endpoints": [
                        {"name": "web", "service": "web", "port": 80},
                        {"name": "docs", "service": "docs", "port": 80},
                    ],
                }),
            ),
            environment: environment("preview", 5),
            others: Vec::new(),
            neighbours: Vec::new(),
        }
    }

    fn validate(&self) -> Result<Target, Mistake> {
        let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        let environment: PreviewEnvironment = read(&self.environment);
        let repository: Option<PreviewRepository> = serde_json::from_value(self.repository.clone()).unwrap();
        let class: Option<PreviewClass> = serde_json::from_value(self.class.clone()).unwrap();
        let template: Option<PreviewTemplate> = serde_json::from_value(self.template.clone()).unwrap();
        let neighbours: Vec<PreviewRepository> =
            self.neighbours.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect();
        let others: Vec<PreviewEnvironment> = self.others.iter().map(read).collect();
        let rivals: Vec<&PreviewRepository> = repository.iter().chain(&neighbours).collect();
        let spec = &environment.spec;
        let admitted = admit(
            &environment.namespace().unwrap_or_default(),
            &spec.repository_ref.name,
            &spec.environment,
            repository.as_ref(),
            class.as_ref(),
            &rivals,
        )?;
        let holders = |_: &str| others.iter().chain([&environment]).collect();
        validate(&environment, None, &admitted, template.as_ref(), holders)
    }

    /// Expects this mistake after a change; its message must contain each of the parts.
    fn mistake(change: impl FnOnce(&mut Self), reason: &str, parts: &[&str]) {
        let mut world = Self::new();
        change(&mut world);
        let mistake = world.validate().expect_err(reason);
        assert_eq!(mistake.reason, reason, "{}", mistake.message);
        for part in parts {
            assert!(mistake.message.contains(part), "{part} is not in: {}", mistake.message);
        }
    }
}

/// Returns the environment of pull request 7 of an entry of the PreviewRepository `shop`.
fn environment(entry: &str, second: u8) -> Value {
    object(
        "PreviewEnvironment",
        &format!("shop-{entry}-pr-7"),
        second,
        &json!({
            "repositoryRef": {"name": "shop"},
            "environment": entry,
            "githubEnvironment": format!("{entry}/pr-7"),
            "pullRequest": {"number": 7},
            "revision": {"sha": "1".repeat(40)},
        }),
    )
}

fn with_hosts(mut environment: Value, hosts: &[&str]) -> Value {
    environment["status"] = json!({"hosts": hosts, "host": hosts[0]});
    let _: PreviewEnvironmentStatus = serde_json::from_value(environment["status"].clone()).unwrap();
    environment
}

#[test]
fn valid_references_resolve_to_a_target() {
    let target = World::new().validate().unwrap();
    assert_eq!(target.namespace, "preview-shop-pr-7");
    assert_eq!(target.host, "pr-7-shop.dev.example");
    assert_eq!(target.url, "https://pr-7-shop.dev.example");
    assert_eq!(target.parameters["replicas"], "1");
}

#[test]
fn what_the_environment_refers_to_must_be_there() {
    World::mistake(
        |world| world.repository = Value::Null,
        "RepositoryMissing",
        &["spec.repositoryRef.name", "team/shop", "create it"],
    );
    World::mistake(
        |world| world.environment["spec"]["environment"] = "staging".into(),
        "EnvironmentUnknown",
        &["spec.environment", "team/shop", "staging", "add it"],
    );
    World::mistake(
        |world| world.environment["spec"]["environment"] = "elsewhere".into(),
        "NothingToDeploy",
        &["spec.environments[elsewhere]", "deploy.template"],
    );
    World::mistake(
        |world| world.class = Value::Null,
        "ClassMissing",
        &["PreviewRepository team/shop", "spec.className", "standard", "platform team"],
    );
    World::mistake(
        |world| world.template = Value::Null,
        "TemplateMissing",
        &[
            "PreviewRepository team/shop",
            "spec.environments[preview].deploy.template.ref.name",
            "team/web",
            "create it",
        ],
    );
}

#[test]
fn the_class_must_admit_the_repository_and_its_namespace() {
    World::mistake(
        |world| world.class["spec"]["grants"][0]["repositories"] = json!(["acme/other"]),
        "RepositoryNotAllowed",
        &[
            "PreviewRepository team/shop",
            "spec.repository acme/shop",
            "PreviewClass standard",
            "platform team",
        ],
    );
    World::mistake(
        |world| world.class["spec"]["grants"][0]["namespaces"] = json!(["other"]),
        "NamespaceNotAllowed",
        &["PreviewRepository team/shop", "namespace", "PreviewClass standard", "platform team"],
    );
}

#[test]
fn older_repository_holds_a_shared_environment() {
    let neighbour = |second: u8| {
        let mut neighbour = object(
            "PreviewRepository",
            "shop-too",
            second,
            &json!({"repository": "Acme/Shop", "className": "standard", "environments": [{"name": "preview"}]}),
        );
        neighbour["metadata"]["namespace"] = "team-other".into();
        neighbour
    };
    World::mistake(
        |world| world.neighbours = vec![neighbour(0)],
        "EnvironmentClaimed",
        &[
            "PreviewRepository team/shop",
            "spec.environments[preview]",
            "team-other/shop-too",
            "githubEnvironment",
        ],
    );
    let mut world = World::new();
    world.neighbours = vec![neighbour(2)];
    world.validate().expect("ours is older");
}

#[test]
fn parameters_are_those_that_are_declared() {
    World::mistake(
        |world| {
            world.repository["spec"]["environments"][0]["deploy"]["parameters"] =
                json!([{"name": "colour", "value": "red"}]);
        },
        "ParameterUnknown",
        &["deploy.parameters[colour]", "PreviewTemplate web", "remove it"],
    );
    World::mistake(
        |world| world.template["spec"]["parameters"] = json!([{"name": "replicas"}]),
        "ParameterMissing",
        &["deploy.parameters", "PreviewTemplate web needs parameter replicas", "give it a value"],
    );
}

#[test]
fn request_parameters_override_repository_and_template() {
    let mut world = World::new();
    world.template["spec"]["parameters"] = json!([
        {"name": "replicas", "default": "1"},
        {"name": "image"},
        {"name": "colour", "default": "blue"},
    ]);
    world.repository["spec"]["environments"][0]["deploy"]["parameters"] =
        json!([{"name": "replicas", "value": "2"}, {"name": "colour", "value": "red"}]);
    world.environment["spec"]["revision"]["parameters"] =
        json!([{"name": "replicas", "value": "3"}, {"name": "image", "value": "app:1"}]);
    let parameters = world.validate().unwrap().parameters;
    let expected = [("colour", "red"), ("image", "app:1"), ("replicas", "3")];
    assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    World::mistake(
        |world| {
            world.environment["spec"]["revision"]["parameters"] = json!([{"name": "colour", "value": "red"}]);
        },
        "ParameterUnknown",
        &[
            "PreviewEnvironment team/shop-preview-pr-7, spec.revision.parameters[colour]",
            "PreviewTemplate web",
            "without it",
        ],
    );
}

#[test]
fn host_belongs_to_the_oldest_environment() {
    const OWN: &str = "pr-7-shop.dev.example";
    const DOCS: &str = "docs-pr-7-shop.dev.example";
    let parts =
        |host| [host, "PreviewEnvironment team/shop-docs-pr-7", "rename the endpoint", "another domain"];
    let cases: [(&[&str], &str); 4] = [
        // Our first endpoint and their first; our first and their second; our second and their
        // first; our second and their second.
        (&[OWN], OWN),
        (&["x.dev.example", OWN], OWN),
        (&[DOCS], DOCS),
        (&["x.dev.example", DOCS], DOCS),
    ];
    for (theirs, host) in cases {
        World::mistake(
            |world| world.others = vec![with_hosts(environment("docs", 4), theirs)],
            "HostTaken",
            &parts(host),
        );
        let mut world = World::new();
        world.others = vec![with_hosts(environment("docs", 6), theirs)];
        world.validate().expect("ours is older");
    }
}

#[test]
fn hosts_that_differ_are_nobodys_business() {
    let mut world = World::new();
    world.others = vec![
        with_hosts(environment("docs", 1), &["docs-pr-8-shop.dev.example", "docs-pr-7-shop.other.example"]),
        // An environment that was never reconciled has no hosts yet.
        environment("staging", 1),
    ];
    // The environment's own hosts don't conflict with it.
    world.environment = with_hosts(world.environment, &["pr-7-shop.dev.example"]);
    world.validate().unwrap();
}

#[test]
fn every_filter_pattern_that_cant_be_read_is_named() {
    let repository = |environments: Value| -> PreviewRepository {
        let spec = json!({"repository": "acme/shop", "className": "standard", "environments": environments});
        serde_json::from_value(object("PreviewRepository", "shop", 1, &spec)).unwrap()
    };
    let fine = json!([
        {"name": "staging", "trigger": {"push": {"branches": ["**", "!gh-readonly-queue/**"]}}},
        {"name": "preview", "trigger": {"pullRequest": {"baseBranches": ["v[0-9]+"], "paths": ["**", "!docs/**"]}}},
        {"name": "elsewhere"},
    ]);
    assert_eq!(patterns(&repository(fine)), Ok(()));
    let broken = json!([
        {"name": "staging", "trigger": {"push": {"branches": ["main", "[a"]}}},
        {"name": "preview", "trigger": {"pullRequest": {"baseBranches": ["!", "x"], "paths": ["!docs/**"]}}},
    ]);
    let Mistake { reason, message } = patterns(&repository(broken)).unwrap_err();
    assert_eq!(reason, "PatternInvalid");
    for words in [
        "PreviewRepository team/shop: ",
        "spec.environments[staging].trigger.push.branches[1] \"[a\": [ is not closed",
        "spec.environments[preview].trigger.pullRequest.baseBranches[0] \"!\": there is no pattern",
        "spec.environments[preview].trigger.pullRequest.paths: every pattern begins with !",
    ] {
        assert!(message.contains(words), "no \"{words}\" in \"{message}\"");
    }
}
