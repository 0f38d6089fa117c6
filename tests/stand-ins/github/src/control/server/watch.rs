//! Timelines, deployments and requests for tests to read; faults and limits for them to set.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::repositories::{Named, find};
use super::{Input, Said};
use crate::control::types::{Deployment, Limits, NewFault, Request, TimelineEntry};
use crate::control::view;
use crate::state::Refusal;
use crate::world::World;

pub(super) async fn pull_timeline(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Said<Vec<TimelineEntry>> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        state.pull_timeline(repo, number)
    })?))
}

pub(super) async fn timeline(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
) -> Said<Vec<TimelineEntry>> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        Ok::<_, Refusal>(state.repo(repo)?.timeline.clone())
    })?))
}

pub(super) async fn deployments(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
) -> Said<Vec<Deployment>> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        Ok::<_, Refusal>(state.repo(repo)?.deployments.values().map(view::deployment).collect())
    })?))
}

pub(super) async fn add_fault(State(world): State<Arc<World>>, Input(new): Input<NewFault>) -> Said<()> {
    world.transact(|state| state.faults.push(new.into()));
    Ok(Json(()))
}

pub(super) async fn clear_faults(State(world): State<Arc<World>>) -> Said<()> {
    world.transact(|state| state.faults.clear());
    Ok(Json(()))
}

pub(super) async fn limits(State(world): State<Arc<World>>) -> Said<Limits> {
    Ok(Json(world.transact(|state| state.limiter.limits().clone())))
}

/// Sets limits and resets the counters; omitted limits are GitHub's.
pub(super) async fn set_limits(State(world): State<Arc<World>>, Input(limits): Input<Limits>) -> Said<()> {
    check(&limits)?;
    world.transact(|state| {
        state.limiter.set_limits(limits);
        state.limiter.forget();
    });
    Ok(Json(()))
}

fn check(limits: &Limits) -> Result<(), Refusal> {
    let refuse = |field, message: &str| Err(Refusal::invalid("Limits", field, message));
    if !(40..=520).contains(&limits.token_length) {
        return refuse("token_length", "must be 40 to 520");
    }
    for (field, status) in
        [("primary_status", limits.primary_status), ("secondary_status", limits.secondary_status)]
    {
        if status != 403 && status != 429 {
            return refuse(field, "must be 403 or 429");
        }
    }
    Ok(())
}

pub(super) async fn requests(State(world): State<Arc<World>>) -> Said<Vec<Request>> {
    Ok(Json(world.transact(|state| state.log.entries().cloned().collect())))
}

pub(super) async fn clear_requests(State(world): State<Arc<World>>) -> Said<()> {
    world.transact(|state| state.log.clear());
    Ok(Json(()))
}
