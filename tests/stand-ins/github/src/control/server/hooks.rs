//! Webhooks, and faults in their delivery.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::repositories::{Named, find};
use super::{Input, Said, Sorry};
use crate::control::types::{Delivery, DeliveryMode, Made, NewHook, Settle};
use crate::control::view;
use crate::hooks::deliver::{release, settled};
use crate::state::Refusal;
use crate::state::hooks::{Hook, Target};
use crate::world::World;

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewHook>,
) -> Said<Made> {
    let id = world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        state.create_hook(Target::Repository(repo), new, &owner)
    })?;
    Ok(Json(Made { id }))
}

fn with_hook<T>(world: &Arc<World>, id: u64, act: impl FnOnce(&mut Hook) -> T) -> Result<T, Sorry> {
    world.transact(|state| match state.hooks.get_mut(&id) {
        Some(hook) => Ok(act(hook)),
        None => Err(Refusal::Missing(format!("no hook has the id {id}")).into()),
    })
}

pub(super) async fn set_mode(
    State(world): State<Arc<World>>,
    Path(id): Path<u64>,
    Input(mode): Input<DeliveryMode>,
) -> Said<()> {
    Ok(Json(with_hook(&world, id, |hook| {
        // Deliveries that were held so far are sent in their order.
        release(hook);
        hook.mode = mode;
    })?))
}

pub(super) async fn flush(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Said<()> {
    Ok(Json(with_hook(&world, id, release)?))
}

pub(super) async fn deliveries(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Said<Vec<Delivery>> {
    Ok(Json(with_hook(&world, id, |hook| hook.log.iter().map(view::delivery).collect())?))
}

pub(super) async fn redeliver(
    State(world): State<Arc<World>>,
    Path((hook, attempt)): Path<(u64, u64)>,
) -> Said<()> {
    Ok(Json(world.transact(|state| state.redeliver(hook, attempt))?))
}

/// Waits until every due delivery of one hook, or of all, has been attempted.
pub(super) async fn settle(State(world): State<Arc<World>>, Input(settle): Input<Settle>) -> Said<()> {
    if let Some(id) = settle.hook {
        with_hook(&world, id, |_| ())?;
    }
    let wait = async {
        loop {
            let delivered = world.delivered.notified();
            tokio::pin!(delivered);
            // Subscribes before looking, so that no delivery is missed in between.
            delivered.as_mut().enable();
            if settled(&world.lock(), settle.hook) {
                return;
            }
            delivered.await;
        }
    };
    tokio::time::timeout(Duration::from_millis(settle.timeout_ms), wait).await.map_err(|_| {
        let message = format!("deliveries are still on their way after {} ms", settle.timeout_ms);
        Sorry::new(StatusCode::REQUEST_TIMEOUT, message)
    })?;
    Ok(Json(()))
}
