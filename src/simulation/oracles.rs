//! What must hold when a story is over and all is quiet.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};
use serde_json::Value;

use super::github::{APP, Deployed, Repository};
use super::world::World;
use crate::api::{
    DeploymentCommand, DeploymentRequest, LABEL_ENVIRONMENT_UID, PreviewClass, PreviewEnvironment,
    PreviewRepository, PreviewTemplate, find_condition,
};
use crate::core::forge::StatusState;

/// What a story allows to exist.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most deployments of one commit to one environment.
    pub deployments_of_a_commit: usize,
    /// Most statuses of one deployment.
    pub statuses_of_a_deployment: usize,
    /// Most writes to the API server for one cause, in a run without faults and crashes.
    pub writes_of_a_cause: usize,
    /// Number of deployments that failed and never had an environment.
    pub rejected_deployments: usize,
    /// Most deployments without any status. Matinee can't report one whose PreviewRepository is
    /// deleted before its environment's first reconcile.
    pub unreported_deployments: usize,
    /// Whether Matinee performs the deployments. Another tool's have the statuses that it reports.
    pub performed_by_matinee: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        // queued, in_progress, a failure that ends by itself, success, inactive
        Self {
            deployments_of_a_commit: 1,
            statuses_of_a_deployment: 6,
            // Those of a create, with two reports of its progress.
            writes_of_a_cause: 20,
            rejected_deployments: 0,
            unreported_deployments: 0,
            performed_by_matinee: true,
        }
    }
}

/// Returns everything that must not be.
pub fn wrongs(world: &World, bounds: Bounds) -> Vec<String> {
    let mut wrongs = Vec::new();
    leftovers(world, &mut wrongs);
    inventories(world, &mut wrongs);
    statuses_of_objects(world, &mut wrongs);
    deployments(world, bounds, &mut wrongs);
    answers(world, &mut wrongs);
    if world.is_calm() {
        writes(world, bounds, &mut wrongs);
    }
    wrongs
}

/// Nothing of a closed pull request or a deleted environment is left.
fn leftovers(world: &World, wrongs: &mut Vec<String>) {
    let open: Vec<i64> = world
        .github
        .read(&world.repository, |known| {
            known.pull_requests.values().filter(|found| found.open).map(|found| found.number).collect()
        })
        .unwrap();
    let is_closed = |number: Option<i64>| number.is_some_and(|number| !open.contains(&number));
    let environments: Vec<PreviewEnvironment> = world.all();
    for environment in &environments {
        if is_closed(environment.spec.pull_request.as_ref().map(|reference| reference.number)) {
            wrongs.push(format!("environment {} of a closed pull request is left", environment.name_any()));
        }
    }
    for request in world.all::<DeploymentRequest>() {
        if is_closed(request.spec.pull_request.as_ref().map(|reference| reference.number)) {
            wrongs.push(format!("request {} of a closed pull request is left", request.name_any()));
        }
    }
    let uids: Vec<String> = environments.iter().filter_map(kube::ResourceExt::uid).collect();
    let is_orphaned = |labels: &BTreeMap<String, String>| {
        labels.get(LABEL_ENVIRONMENT_UID).is_some_and(|uid| !uids.contains(uid))
    };
    for object in world.server.list(|_, object| is_orphaned(object.labels())) {
        let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        wrongs.push(format!("{kind} {} of a deleted environment is left", object.name_any()));
    }
}

/// Kinds of the guard rails of a preview's namespace, which no inventory has.
const GUARD_RAILS: [&str; 6] =
    ["Namespace", "ServiceAccount", "RoleBinding", "ResourceQuota", "LimitRange", "NetworkPolicy"];

/// Every object that was applied for an environment is in its inventory.
fn inventories(world: &World, wrongs: &mut Vec<String>) {
    for environment in world.all::<PreviewEnvironment>() {
        let uid = environment.uid();
        let inventory =
            environment.status.as_ref().map(|status| status.inventory.as_slice()).unwrap_or_default();
        let of_it = world.server.list(|place, object| {
            object.labels().get(LABEL_ENVIRONMENT_UID) == uid.as_ref()
                && !GUARD_RAILS.contains(&place.kind.as_str())
                // The cluster's controllers create pods and others, and delete them with their owner.
                && object.owner_references().is_empty()
                && !inventory.iter().any(|entry| entry.kind == place.kind && entry.name == place.name)
        });
        for object in of_it {
            let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
            wrongs.push(format!(
                "{kind} {} isn't in the inventory of {}",
                object.name_any(),
                environment.name_any()
            ));
        }
    }
}

/// Every object says what is going on.
fn statuses_of_objects(world: &World, wrongs: &mut Vec<String>) {
    of_kind::<PreviewClass>(world, wrongs);
    of_kind::<PreviewTemplate>(world, wrongs);
    of_kind::<PreviewRepository>(world, wrongs);
    of_kind::<DeploymentRequest>(world, wrongs);
    of_kind::<DeploymentCommand>(world, wrongs);
    of_kind::<PreviewEnvironment>(world, wrongs);
}

fn of_kind<K: Resource<DynamicType = ()>>(world: &World, wrongs: &mut Vec<String>) {
    let kind = K::kind(&()).into_owned();
    for object in world.server.list(|place, _| place.kind == kind) {
        let name = object.name_any();
        let status = object.data.get("status");
        let observed = status.and_then(|status| status.get("observedGeneration")).and_then(Value::as_i64);
        if observed != object.metadata.generation {
            let generation = object.metadata.generation;
            wrongs.push(format!("{kind} {name}: observed {observed:?}, is {generation:?}"));
        }
        let ready = ready(status);
        if ready.is_none_or(|ready| ready.reason.is_empty()) {
            wrongs.push(format!("{kind} {name} has no condition Ready with a reason"));
        }
    }
}

fn ready(status: Option<&Value>) -> Option<Condition> {
    let conditions = status?.get("conditions")?.clone();
    let conditions: Vec<Condition> = serde_json::from_value(conditions).ok()?;
    find_condition(&conditions, "Ready").cloned()
}

/// Every deployment ends with the right status, and none is doubled.
fn deployments(world: &World, bounds: Bounds, wrongs: &mut Vec<String>) {
    let deployed: Vec<Deployed> = world
        .github
        .repositories()
        .iter()
        .flat_map(|name| {
            let all = |known: &Repository| known.deployments.values().cloned().collect::<Vec<_>>();
            world.github.read(name, all).unwrap()
        })
        .collect();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in &deployed {
        *counts.entry((&one.deployment.sha, &one.deployment.environment)).or_default() += 1;
    }
    for ((sha, environment), count) in counts {
        if count > bounds.deployments_of_a_commit {
            wrongs.push(format!("{count} deployments of {sha} to {environment}"));
        }
    }
    let environments: Vec<PreviewEnvironment> = world.all();
    let (mut rejected, mut unreported) = (0, 0);
    for one in deployed.iter().filter(|_| bounds.performed_by_matinee) {
        let id = one.deployment.id;
        let living = environments.iter().find(|known| known.spec.revision.deployment_id == Some(id));
        let state = one.state();
        let right = match living {
            None if state.is_some_and(StatusState::is_failed) => {
                rejected += 1;
                rejected <= bounds.rejected_deployments
            }
            None if state.is_none() => {
                unreported += 1;
                unreported <= bounds.unreported_deployments
            }
            None => state == Some(&StatusState::Inactive),
            Some(environment) => {
                let status = environment.status.as_ref();
                let ready = status.and_then(|status| find_condition(&status.conditions, "Ready"));
                if ready.is_some_and(|ready| ready.status == "True") {
                    state == Some(&StatusState::Success)
                } else {
                    state.is_some_and(|state| state.is_failed() || *state == StatusState::Inactive)
                }
            }
        };
        if !right {
            let state = state.map(StatusState::as_str);
            let living = living.map(kube::ResourceExt::name_any);
            wrongs.push(format!("deployment {id} is {state:?} at last; environment: {living:?}"));
        }
        if one.statuses.len() > bounds.statuses_of_a_deployment {
            wrongs.push(format!("deployment {id} has {} statuses", one.statuses.len()));
        }
        for pair in one.statuses.windows(2) {
            let [before, after] = pair else { continue };
            if before.state == after.state && before.description == after.description {
                wrongs.push(format!("deployment {id} got {} twice in a row", after.state.as_str()));
            }
        }
    }
}

/// Every command has one answer.
fn answers(world: &World, wrongs: &mut Vec<String>) {
    for command in world.all::<DeploymentCommand>() {
        let uid = command.uid().unwrap_or_default();
        let count = world
            .github
            .read(&world.repository, |known| {
                let answers = known.comments.values().filter(|comment| comment.author == APP);
                answers.filter(|comment| comment.body.contains(&uid)).count()
            })
            .unwrap();
        if count != 1 {
            wrongs.push(format!("command {} has {count} answers", command.name_any()));
        }
    }
}

/// What people, CI and time do leads to a bounded number of writes.
fn writes(world: &World, bounds: Bounds, wrongs: &mut Vec<String>) {
    const PEOPLE: [&str; 6] = ["team", "ada", "bob", "eve", "CI", "tool"];
    let entries = world.journal.entries();
    let causes = entries.iter().filter(|entry| PEOPLE.contains(&entry.by.as_str())).count();
    // Those to GitHub are bounded by each deployment's statuses and each command's answers.
    let is_write = |by: &str| by.starts_with('r') && !by.ends_with(APP);
    let writes = entries.iter().filter(|entry| is_write(&entry.by)).count();
    if writes > causes * bounds.writes_of_a_cause {
        wrongs.push(format!("{writes} writes for {causes} causes"));
    }
}
