//! Checks which objects the API server accepts and rejects, and what it prints of the custom
//! resources.

mod bounds;
mod rules;
mod tables;

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{DynamicObject, PostParams};
use kube::core::response::StatusCause;
use kube::{Api, ResourceExt as _};
use playground::stage::Stage;
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::SOON;
use bounds::every_bound_is_kept;
use rules::every_rule_refuses_in_its_own_words;
use tables::{every_kind_is_listed_as_people_read_it, short_names_are_short_and_nobody_elses};

tests![
    every_kind_is_listed_as_people_read_it,
    nothing_is_taken_for_ready_before_it_was_looked_at,
    every_bound_is_kept,
    every_rule_refuses_in_its_own_words,
    short_names_are_short_and_nobody_elses,
    the_least_and_the_most_are_taken,
    nothing_behind_a_colon_is_no_field,
];

const VERSION: &str = "matinee.dev/v1alpha1";
const MINIMAL: &str = include_str!("minimal.yaml");
const FULL: &str = include_str!("full.yaml");

/// Parses the objects of a YAML text.
fn objects(yaml: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(yaml)?)
}

/// Returns the object of a kind and name in a YAML text.
fn object(yaml: &str, kind: &str, name: &str) -> Result<Value> {
    let found = objects(yaml)?.into_iter().find(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found.with_context(|| format!("no {kind} {name}"))
}

/// Returns the API for an object; namespaced objects belong to `namespace`.
fn api(stage: &Stage, object: &Value, namespace: &str) -> Api<DynamicObject> {
    let kind = object["kind"].as_str().unwrap_or_default();
    stage.objects(VERSION, kind, (kind != "PreviewClass").then_some(namespace))
}

/// Returns why the API server would reject the creation of an object; empty if it would accept it.
/// A field that the schema lacks counts as a rejection.
async fn refusals(stage: &Stage, object: &Value) -> Result<Vec<StatusCause>> {
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let created: DynamicObject = serde_json::from_value(object.clone())?;
    causes(api(stage, object, "default").create(&parameters, &created).await)
}

/// Returns the causes of a rejection; any other failure is an error.
fn causes<T>(answer: kube::Result<T>) -> Result<Vec<StatusCause>> {
    match answer {
        Ok(_) => Ok(Vec::new()),
        Err(kube::Error::Api(status)) if status.code == 422 => {
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            ensure!(!causes.is_empty(), "a refusal without causes: {}", status.message);
            Ok(causes)
        }
        Err(other) => Err(other.into()),
    }
}

fn told(causes: &[StatusCause]) -> String {
    let lines: Vec<_> =
        causes.iter().map(|cause| format!("{}: {} ({})", cause.field, cause.message, cause.reason)).collect();
    if lines.is_empty() { "it was taken".to_owned() } else { lines.join("\n") }
}

async fn the_least_and_the_most_are_taken(stage: &Stage) -> Result<()> {
    for given in objects(MINIMAL)?.into_iter().chain(objects(FULL)?) {
        let refusals = refusals(stage, &given).await?;
        ensure!(refusals.is_empty(), "{given:#} is refused: {}", told(&refusals));
    }
    Ok(())
}

/// `trigger: {pullRequest: }` must not be a trigger by looks only, and an empty `ingress:` beside a
/// gateway must not count as a second route.
async fn nothing_behind_a_colon_is_no_field(stage: &Stage) -> Result<()> {
    let mut class = object(MINIMAL, "PreviewClass", "schema-gateway")?;
    class["spec"]["routing"]["ingress"] = Value::Null;
    let taken = refusals(stage, &class).await?;
    ensure!(taken.is_empty(), "{}", told(&taken));

    let mut repository = object(MINIMAL, "PreviewRepository", "shop")?;
    repository["spec"]["environments"][0]["trigger"] = json!({"pullRequest": null});
    let refused = refusals(stage, &repository).await?;
    ensure!(
        refused.iter().any(|cause| cause.field == "spec.environments[0].trigger"),
        "a trigger with nothing in it: {}",
        told(&refused)
    );
    Ok(())
}

/// The answer to the creation is what a client sees that reads an object before the operator has
/// reconciled it.
async fn nothing_is_taken_for_ready_before_it_was_looked_at(stage: &Stage) -> Result<()> {
    const NAMESPACE: &str = "schema-new";
    stage.namespace(NAMESPACE).await?;
    for mut given in objects(MINIMAL)? {
        given["metadata"]["name"] =
            format!("new-{}", given["metadata"]["name"].as_str().unwrap_or_default()).into();
        let objects = api(stage, &given, NAMESPACE);
        let created = objects.create(&PostParams::default(), &serde_json::from_value(given.clone())?).await?;
        let name = created.name_any();
        ensure!(
            created.data["status"] == json!({"conditions": [], "observedGeneration": -1}),
            "a new {} says of itself {}",
            given["kind"],
            created.data["status"]
        );
        stage
            .wait_for(&format!("the operator looks at {} {name}", given["kind"]), SOON, async || {
                let seen = objects.get(&name).await?;
                let status = &seen.data["status"];
                let conditions = status["conditions"].as_array().map_or(0, Vec::len);
                if status["observedGeneration"] != 1 || conditions < 3 {
                    bail!("{status:#}");
                }
                Ok(())
            })
            .await?;
        objects.delete(&name, &kube::api::DeleteParams::default()).await?;
    }
    Ok(())
}
