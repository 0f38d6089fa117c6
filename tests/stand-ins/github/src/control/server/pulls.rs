//! Pull requests and comments.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::repositories::{Named, find};
use super::{Input, Said};
use crate::control::types::{Comment, Made, NewComment, NewPullRequest, PullChange, PullRequest};
use crate::control::view;
use crate::state::pulls::Opening;
use crate::state::{Refusal, State as Hub};
use crate::world::World;

type Numbered = Path<(String, String, u64)>;

pub(super) async fn open(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewPullRequest>,
) -> Said<PullRequest> {
    Ok(Json(world.transact(|state| open_now(state, &owner, &name, &new))?))
}

fn open_now(state: &mut Hub, owner: &str, name: &str, new: &NewPullRequest) -> Result<PullRequest, Refusal> {
    let repo = find(state, owner, name)?;
    let base = match &new.base {
        Some(base) => base.clone(),
        None => state.repo(repo)?.default_branch.clone(),
    };
    let opening = Opening {
        head: &new.head,
        base: &base,
        title: new.title.as_deref().unwrap_or(&new.head),
        body: new.body.as_deref(),
        author: new.author.as_deref(),
        draft: new.draft,
        maintainer_can_modify: true,
    };
    let number = state.open_pull(repo, &opening)?;
    let author = state.pull(repo, number)?.author.clone();
    for label in &new.labels {
        state.add_label(repo, number, label, &author)?;
    }
    Ok(view::pull(state.pull(repo, number)?))
}

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
) -> Said<Vec<PullRequest>> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        Ok::<_, Refusal>(state.repo(repo)?.pulls.values().map(view::pull).collect())
    })?))
}

pub(super) async fn get(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Numbered,
) -> Said<PullRequest> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        Ok::<_, Refusal>(view::pull(state.pull(repo, number)?))
    })?))
}

pub(super) async fn change(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Numbered,
    Input(change): Input<PullChange>,
) -> Said<PullRequest> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        change_now(state, repo, number, &change)?;
        Ok::<_, Refusal>(view::pull(state.pull(repo, number)?))
    })?))
}

/// Changes a pull request in the order: text, draft, labels, state, merge.
pub(crate) fn change_now(
    state: &mut Hub,
    repo: u64,
    number: u64,
    change: &PullChange,
) -> Result<(), Refusal> {
    let actor = match &change.actor {
        Some(actor) => state.ensure_user(actor).login,
        None => state.pull(repo, number)?.author.clone(),
    };
    let text = (change.title.as_deref(), change.body.as_deref(), change.base.as_deref());
    state.edit_pull(repo, number, text, &actor)?;
    if let Some(draft) = change.draft {
        state.set_draft(repo, number, draft, &actor)?;
    }
    for label in &change.add_labels {
        state.add_label(repo, number, label, &actor)?;
    }
    for label in &change.remove_labels {
        state.remove_label(repo, number, label, &actor)?;
    }
    match change.state.as_deref() {
        None => {}
        Some("open") => state.reopen_pull(repo, number, &actor)?,
        Some("closed") => state.close_pull(repo, number, &actor)?,
        Some(other) => {
            let message = format!("`{other}` is neither `open` nor `closed`");
            return Err(Refusal::invalid("PullRequest", "state", message));
        }
    }
    if change.merge {
        state.merge_pull(repo, number, None, &actor)?;
    }
    Ok(())
}

pub(super) async fn comments(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Numbered,
) -> Said<Vec<Comment>> {
    Ok(Json(world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        state.pull(repo, number)?;
        let all = state.repo(repo)?.comments.values();
        Ok::<_, Refusal>(all.filter(|one| one.number == number).map(view::comment).collect())
    })?))
}

pub(super) async fn comment(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Numbered,
    Input(new): Input<NewComment>,
) -> Said<Made> {
    let id = world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        state.add_comment(repo, number, &new.author, &new.body, None)
    })?;
    Ok(Json(Made { id }))
}
