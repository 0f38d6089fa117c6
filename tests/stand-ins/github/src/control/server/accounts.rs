//! Users, Apps, installations and tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::{Input, Said, Sorry};
use crate::control::types::{
    Account, AppMade, Made, NewAccount, NewApp, NewInstallation, NewToken, TokenMade,
};
use crate::state::apps::{Holder, Profile, key_pair};
use crate::state::hooks::Target;
use crate::state::now;
use crate::world::World;

pub(super) async fn put_user(
    State(world): State<Arc<World>>,
    Path(login): Path<String>,
    Input(new): Input<NewAccount>,
) -> Said<Account> {
    let user = world.transact(|state| state.put_user(&login, new.kind, new.name))?;
    Ok(Json(Account { id: user.id, login: user.login }))
}

pub(super) async fn create_app(State(world): State<Arc<World>>, Input(new): Input<NewApp>) -> Said<AppMade> {
    // Searching for primes would block a thread that serves requests.
    let keys = tokio::task::spawn_blocking(key_pair)
        .await
        .map_err(|error| Sorry::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
        .map_err(|error| Sorry::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let made = world.transact(|state| {
        let events = new.events.clone();
        let id = state.create_app(
            Profile::named(&new.slug),
            &new.slug,
            &new.owner,
            new.permissions.clone(),
            events,
            keys.public_der,
        )?;
        let hook = match new.webhook {
            Some(hook) => Some(state.create_hook(Target::App(id), hook, &new.owner)?),
            None => None,
        };
        let client_id = state.apps[&id].client_id.clone();
        Ok::<_, Sorry>(AppMade {
            id,
            client_id,
            bot: format!("{}[bot]", new.slug),
            slug: new.slug,
            private_key: keys.private_pem,
            hook,
        })
    })?;
    Ok(Json(made))
}

pub(super) async fn app_hook(State(world): State<Arc<World>>, Path(slug): Path<String>) -> Said<Made> {
    match world.lock().app_named(&slug).and_then(|app| app.hook) {
        Some(id) => Ok(Json(Made { id })),
        None => Err(Sorry::new(StatusCode::NOT_FOUND, format!("no App {slug} has a webhook"))),
    }
}

pub(super) async fn install(
    State(world): State<Arc<World>>,
    Path(app): Path<u64>,
    Input(new): Input<NewInstallation>,
) -> Said<Made> {
    let id = world.transact(|state| state.install(app, &new.account, new.repositories.as_deref()))?;
    Ok(Json(Made { id }))
}

pub(super) async fn suspend(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Said<()> {
    set_suspended(&world, id, true)
}

pub(super) async fn resume(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Said<()> {
    set_suspended(&world, id, false)
}

fn set_suspended(world: &Arc<World>, id: u64, suspended: bool) -> Said<()> {
    world.transact(|state| match state.installations.get_mut(&id) {
        Some(installation) => {
            installation.suspended_at = suspended.then(now);
            Ok(Json(()))
        }
        None => Err(Sorry::new(StatusCode::NOT_FOUND, format!("no installation has the id {id}"))),
    })
}

pub(super) async fn create_token(
    State(world): State<Arc<World>>,
    Input(new): Input<NewToken>,
) -> Said<TokenMade> {
    let token = world.transact(|state| {
        state.personal_token(&new.user, new.permissions, new.repositories.as_deref(), new.lifetime_seconds)
    })?;
    Ok(Json(TokenMade { token }))
}

/// Makes every installation token expire at once.
pub(super) async fn expire_tokens(State(world): State<Arc<World>>) -> Said<()> {
    world.transact(|state| {
        state.tokens.retain(|_, token| !matches!(token.holder, Holder::Installation { .. }));
    });
    Ok(Json(()))
}
