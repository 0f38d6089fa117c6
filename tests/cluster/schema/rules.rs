//! The CEL rules: the tests break each one, and the API server rejects the object with exactly the
//! message of the definition.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use playground::stage::Stage;
use serde_json::{Value, json};

use super::{FULL, MINIMAL, api, causes, object, refusals, told};

const LONG_NAME: &str =
    "metadata.name must have at most 40 characters: namespaces and host names are made from it";
const ONE_ROUTE: &str = "set exactly one of gateway and ingress: a preview is routed through one of them";
const RANGES: &str = "must have address ranges only: write them like 192.0.2.0/24";
const SOME_TIME: &str = "must be longer than zero: write it like 10m";
const A_TRIGGER: &str = "set exactly one of trigger.pullRequest, trigger.push and trigger.deploymentStatus, or leave trigger out where somebody \
                         else creates the deployments";
const ONE_LIST: &str = "set exactly one of usersFrom.configMapName and usersFrom.secretName";
const NUMBERED: &str = "githubEnvironment must contain {number} where the trigger is pullRequest: each pull request has an environment \
                        of its own";
const MORTAL: &str =
    "lifetime is for environments of pull requests: set trigger.pullRequest or remove lifetime";
const PATTERNS: &str = "must have filter patterns of GitHub Actions only: ? and + follow a character, [ ] hold letters, digits and ranges of \
                        them, ! is followed by a pattern, and \\ takes a special character's meaning";
const ONLY_EXCLUDED: &str =
    "must have a pattern without ! in front: put \"**\" first to select all but the others";
const RUNS_ONCE: &str = "spec is immutable: a request runs once; create another one";
const EXECUTED_ONCE: &str = "spec is immutable: a command is executed once; create another one";
const ONE_PLACE: &str = "set exactly one of comment and slack: where the command was given, and is answered";
const IDENTITY: &str = "repositoryRef, environment and githubEnvironment are immutable: they say which environment this is; create \
                        another one";
const FORWARD: &str = "revision.deploymentId never goes back: an older deployment can't take the place of a newer one; create a new \
                       deployment of the older commit";
const ONE_PULL: &str = "pullRequest.number is immutable: an environment belongs to one pull request";

/// A way to break a rule by creating an object: kind, name of the full object to begin with, JSON
/// pointer, new value (null removes it), and field and message of the rejection.
type Creation = (&'static str, &'static str, &'static str, fn() -> Value, &'static str, &'static str);

const CREATIONS: &[Creation] = &[
    ("PreviewClass", "schema-gateway", "/spec/routing/gateway", || Value::Null, "spec.routing", ONE_ROUTE),
    ("PreviewClass", "schema-ingress", "/spec/routing/gateway", gateway, "spec.routing", ONE_ROUTE),
    ("PreviewClass", "schema-gateway", NETWORK_FROM, || json!(["gateway"]), INGRESS_FROM, RANGES),
    ("PreviewClass", "schema-gateway", NETWORK_FROM, || json!(["192.0.2.1"]), INGRESS_FROM, RANGES),
    ("PreviewClass", "schema-gateway", NETWORK_TO, || json!(["0.0.0.0/0", "::/129"]), EGRESS_TO, RANGES),
    ("PreviewClass", "schema-gateway", "/spec/health/deadline", || "0m0s".into(), DEADLINE, SOME_TIME),
    (
        "PreviewClass",
        "schema-gateway",
        "/spec/slack/usersFrom/secretName",
        || "people".into(),
        "spec.slack.usersFrom",
        ONE_LIST,
    ),
    (
        "PreviewClass",
        "schema-gateway",
        "/spec/slack/usersFrom/configMapName",
        || Value::Null,
        "spec.slack.usersFrom",
        ONE_LIST,
    ),
    ("PreviewRepository", "shop", "/metadata/name", || "a".repeat(41).into(), "<nil>", LONG_NAME),
    ("PreviewRepository", "shop", "/spec/environments/0/trigger", || json!({}), TRIGGER, A_TRIGGER),
    ("PreviewRepository", "shop", "/spec/environments/0/trigger/push", following, TRIGGER, A_TRIGGER),
    (
        "PreviewRepository",
        "shop-push",
        "/spec/environments/0/trigger/deploymentStatus",
        chained,
        TRIGGER,
        A_TRIGGER,
    ),
    (
        "PreviewRepository",
        "shop-chain",
        "/spec/environments/0/trigger/pullRequest",
        || json!({}),
        TRIGGER,
        A_TRIGGER,
    ),
    (
        "PreviewRepository",
        "shop",
        "/spec/environments/0/githubEnvironment",
        || "preview".into(),
        ENTRY,
        NUMBERED,
    ),
    ("PreviewRepository", "shop", "/spec/environments/0/trigger", || Value::Null, ENTRY, MORTAL),
    (
        "PreviewRepository",
        "shop-push",
        "/spec/environments/0/lifetime",
        || json!({"deleteAfter": "2d"}),
        ENTRY,
        MORTAL,
    ),
    ("PreviewRepository", "shop", PATHS, || json!(["**", "!"]), PATHS_FIELD, PATTERNS),
    ("PreviewRepository", "shop", PATHS, || json!(["web/[a"]), PATHS_FIELD, PATTERNS),
    ("PreviewRepository", "shop", PATHS, || json!(["a\\"]), PATHS_FIELD, PATTERNS),
    ("PreviewRepository", "shop", PATHS, || json!(["[!a]"]), PATHS_FIELD, PATTERNS),
    ("PreviewRepository", "shop", PATHS, || json!(["!docs/**", "!**.md"]), PATHS_FIELD, ONLY_EXCLUDED),
    ("PreviewRepository", "shop", BASES, || json!(["?"]), BASES_FIELD, PATTERNS),
    ("PreviewRepository", "shop-push", BRANCHES, || json!(["release-*+"]), BRANCHES_FIELD, PATTERNS),
    ("PreviewRepository", "shop-push", BRANCHES, || json!(["!main"]), BRANCHES_FIELD, ONLY_EXCLUDED),
    ("DeploymentCommand", "shop", "/spec/slack", slack, "spec", ONE_PLACE),
    ("DeploymentCommand", "shop", "/spec/comment", || Value::Null, "spec", ONE_PLACE),
];
const NETWORK_FROM: &str = "/spec/isolation/network/ingressFrom";
const INGRESS_FROM: &str = "spec.isolation.network.ingressFrom";
const NETWORK_TO: &str = "/spec/isolation/network/egressTo";
const EGRESS_TO: &str = "spec.isolation.network.egressTo";
const DEADLINE: &str = "spec.health.deadline";
const ENTRY: &str = "spec.environments[0]";
const PATHS: &str = "/spec/environments/0/trigger/pullRequest/paths";
const PATHS_FIELD: &str = "spec.environments[0].trigger.pullRequest.paths";
const BASES: &str = "/spec/environments/0/trigger/pullRequest/baseBranches";
const BASES_FIELD: &str = "spec.environments[0].trigger.pullRequest.baseBranches";
const BRANCHES: &str = "/spec/environments/0/trigger/push/branches";
const BRANCHES_FIELD: &str = "spec.environments[0].trigger.push.branches";
const TRIGGER: &str = "spec.environments[0].trigger";

fn gateway() -> Value {
    json!({"name": "previews", "namespace": "gateways"})
}

fn following() -> Value {
    json!({"branches": ["main"]})
}

fn chained() -> Value {
    json!({"environment": "staging"})
}

fn slack() -> Value {
    json!({"user": "U0123ABCD", "channel": "C0123ABCD"})
}

/// A change of an existing object: kind, name, merge patch, and field and message of the rejection;
/// no message if the API server accepts it.
type Change = (&'static str, &'static str, fn() -> Value, &'static str, Option<&'static str>);

const CHANGES: &[Change] = &[
    ("DeploymentRequest", "full", || json!({"spec": {"sha": "1".repeat(40)}}), "spec", Some(RUNS_ONCE)),
    ("DeploymentRequest", "full", || json!({"spec": {"pullRequest": null}}), "spec", Some(RUNS_ONCE)),
    ("DeploymentRequest", "full", || json!({"spec": {"notBefore": null}}), "spec", Some(RUNS_ONCE)),
    ("DeploymentRequest", "minimal", || json!({"spec": {"force": true}}), "spec", Some(RUNS_ONCE)),
    ("DeploymentRequest", "full", || json!({"metadata": {"labels": {"a": "b"}}}), "", None),
    (
        "DeploymentCommand",
        "full",
        || json!({"spec": {"text": "/deploy production"}}),
        "spec",
        Some(EXECUTED_ONCE),
    ),
    ("DeploymentCommand", "full", || json!({"spec": {"login": "somebody"}}), "spec", Some(EXECUTED_ONCE)),
    ("DeploymentCommand", "minimal", || json!({"metadata": {"labels": {"a": "b"}}}), "", None),
    (
        "PreviewEnvironment",
        "full",
        || json!({"spec": {"repositoryRef": {"name": "other"}}}),
        "<nil>",
        Some(IDENTITY),
    ),
    ("PreviewEnvironment", "full", || json!({"spec": {"environment": "other"}}), "<nil>", Some(IDENTITY)),
    (
        "PreviewEnvironment",
        "full",
        || json!({"spec": {"githubEnvironment": "other"}}),
        "<nil>",
        Some(IDENTITY),
    ),
    ("PreviewEnvironment", "full", || revision(&json!(4)), "spec", Some(FORWARD)),
    ("PreviewEnvironment", "full", || revision(&Value::Null), "spec", Some(FORWARD)),
    ("PreviewEnvironment", "full", || revision(&json!(5)), "", None),
    ("PreviewEnvironment", "full", || revision(&json!(6)), "", None),
    ("PreviewEnvironment", "minimal", || revision(&json!(1)), "", None),
    (
        "PreviewEnvironment",
        "full",
        || json!({"spec": {"pullRequest": {"number": 8}}}),
        "spec",
        Some(ONE_PULL),
    ),
    ("PreviewEnvironment", "full", || json!({"spec": {"pullRequest": null}}), "spec", Some(ONE_PULL)),
    (
        "PreviewEnvironment",
        "minimal",
        || json!({"spec": {"pullRequest": {"number": 1}}}),
        "spec",
        Some(ONE_PULL),
    ),
    ("PreviewEnvironment", "full", || json!({"spec": {"lifetime": null}}), "", None),
];

fn revision(id: &Value) -> Value {
    json!({"spec": {"revision": {"sha": "1".repeat(40), "deploymentId": id}}})
}

pub(super) async fn every_rule_refuses_in_its_own_words(stage: &Stage) -> Result<()> {
    let broken: BTreeSet<_> = CREATIONS
        .iter()
        .map(|creation| (creation.0.to_owned(), creation.5.to_owned()))
        .chain(CHANGES.iter().filter_map(|change| Some((change.0.to_owned(), change.4?.to_owned()))))
        .collect();
    let defined = defined(stage).await?;
    let unbroken: Vec<_> = defined.difference(&broken).collect();
    ensure!(unbroken.is_empty(), "rules that nothing here breaks: {unbroken:#?}");
    let unknown: Vec<_> = broken.difference(&defined).collect();
    ensure!(unknown.is_empty(), "words that no rule has: {unknown:#?}");

    for (kind, name, pointer, value, field, words) in CREATIONS {
        let mut given = object(FULL, kind, name)?;
        set(&mut given, pointer, value())?;
        let refusals = refusals(stage, &given).await?;
        let found = refusals.iter().any(|cause| cause.field == *field && cause.message.ends_with(words));
        ensure!(
            found,
            "{kind} with {pointer} = {}: not \"{field}: {words}\" but {}",
            value(),
            told(&refusals)
        );
    }
    changes_are_refused(stage).await
}

async fn changes_are_refused(stage: &Stage) -> Result<()> {
    const NAMESPACE: &str = "schema-rules";
    stage.namespace(NAMESPACE).await?;
    let mut there = Vec::new();
    for kind in ["DeploymentRequest", "DeploymentCommand", "PreviewEnvironment"] {
        for (text, name) in [(FULL, "full"), (MINIMAL, "minimal")] {
            let mut given = object(text, kind, "shop")?;
            given["metadata"]["name"] = name.into();
            let objects = api(stage, &given, NAMESPACE);
            let given: DynamicObject = serde_json::from_value(given)?;
            objects.create(&PostParams::default(), &given).await?;
            there.push((objects, name));
        }
    }
    for (kind, name, patch, field, words) in CHANGES {
        let objects = api(stage, &json!({"kind": kind}), NAMESPACE);
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        let refusals = causes(objects.patch(name, &dry, &Patch::Merge(patch())).await)?;
        let as_expected = match words {
            Some(words) => {
                refusals.iter().any(|cause| cause.field == *field && cause.message.ends_with(words))
            }
            None => refusals.is_empty(),
        };
        ensure!(
            as_expected,
            "{kind} {name} changed by {}: not {words:?} at \"{field}\" but {}",
            patch(),
            told(&refusals)
        );
    }
    for (objects, name) in there {
        objects.delete(name, &DeleteParams::default()).await?;
    }
    Ok(())
}

/// Returns kind and message of every rule in the cluster's definitions.
async fn defined(stage: &Stage) -> Result<BTreeSet<(String, String)>> {
    let definitions = stage.objects("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
    let mut found = BTreeSet::new();
    for definition in definitions.list(&ListParams::default()).await? {
        let spec = &definition.data["spec"];
        if spec["group"] == "matinee.dev" {
            let kind = spec["names"]["kind"].as_str().context("a definition without a kind")?;
            collect(&spec["versions"], kind, &mut found)?;
        }
    }
    ensure!(!found.is_empty(), "no definition has a rule");
    Ok(found)
}

fn collect(of: &Value, kind: &str, found: &mut BTreeSet<(String, String)>) -> Result<()> {
    for rule in of["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let words = rule["message"].as_str().with_context(|| format!("a rule without words: {rule}"))?;
        found.insert((kind.to_owned(), words.to_owned()));
    }
    match of {
        Value::Object(fields) => fields.values().try_for_each(|field| collect(field, kind, found)),
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, kind, found)),
        _ => Ok(()),
    }
}

/// Sets the value at a JSON pointer; null removes it.
pub(super) fn set(object: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let (parent, last) = pointer.rsplit_once('/').context("not a pointer")?;
    let last = last.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent).with_context(|| format!("nothing at {parent}"))? {
        Value::Object(fields) if value.is_null() => fields.remove(&last).map(drop),
        Value::Object(fields) => {
            fields.insert(last, value);
            Some(())
        }
        Value::Array(items) => items.get_mut(last.parse::<usize>()?).map(|item| *item = value),
        _ => None,
    }
    .with_context(|| format!("nothing at {pointer}"))
}
