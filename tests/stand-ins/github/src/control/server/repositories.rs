//! Repositories, pushes, and checks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::{Input, Said, Sorry};
use crate::api::checks::{CONCLUSIONS, STATUSES};
use crate::control::types::{
    Made, NewBranchName, NewCheckRun, NewCollaborator, NewCommitStatus, NewFork, NewPush, NewRef,
    NewRepository, Pushed, RepositoryMade, Role,
};
use crate::state::checks::{CheckChange, CheckRun};
use crate::state::{Refusal, State as Hub};
use crate::world::World;

pub(super) type Named = Path<(String, String)>;

/// Returns the id of a repository.
pub(super) fn find(state: &Hub, owner: &str, name: &str) -> Result<u64, Refusal> {
    Ok(state.named_repo(&format!("{owner}/{name}"))?.id)
}

fn made(state: &Hub, id: u64) -> Result<RepositoryMade, Refusal> {
    let repo = state.repo(id)?;
    let sha = repo.branches.get(&repo.default_branch).cloned().unwrap_or_default();
    Ok(RepositoryMade { id, full_name: repo.full_name(), sha })
}

/// Returns the commit a ref names.
fn resolve(state: &Hub, repo: u64, name: &str) -> Result<String, Refusal> {
    let found = state.repo(repo)?;
    state.resolve(found, name).ok_or_else(|| Refusal::Missing(format!("no commit is named {name}")))
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Input(new): Input<NewRepository>,
) -> Said<RepositoryMade> {
    let branch = new.default_branch.as_deref().unwrap_or("main");
    Ok(Json(world.transact(|state| {
        let id = state.create_repo(&new.full_name, new.private, branch, new.files)?;
        made(state, id)
    })?))
}

pub(super) async fn remove(State(world): State<Arc<World>>, Path((owner, name)): Named) -> Said<()> {
    Ok(Json(world.transact(|state| {
        let id = find(state, &owner, &name)?;
        state.delete_repo(id)
    })?))
}

pub(super) async fn fork(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewFork>,
) -> Said<RepositoryMade> {
    Ok(Json(world.transact(|state| {
        let parent = find(state, &owner, &name)?;
        let id = state.fork(parent, &new.owner, new.name.as_deref())?;
        made(state, id)
    })?))
}

pub(super) async fn set_collaborator(
    State(world): State<Arc<World>>,
    Path((owner, name, login)): Path<(String, String, String)>,
    Input(new): Input<NewCollaborator>,
) -> Said<()> {
    Ok(Json(world.transact(|state| {
        let id = find(state, &owner, &name)?;
        let login = state.ensure_user(&login).login.to_lowercase();
        let collaborators = &mut state.repo_mut(id)?.collaborators;
        match new.role {
            Role::None => collaborators.remove(&login),
            role => collaborators.insert(login, role),
        };
        Ok::<_, Refusal>(())
    })?))
}

pub(super) async fn push(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewPush>,
) -> Said<Pushed> {
    let sha = world.transact(|state| {
        let id = find(state, &owner, &name)?;
        let author = new.author.unwrap_or_else(|| owner.clone());
        state.push(id, &new.branch, &new.files, new.message.as_deref(), &author, new.onto.as_deref())
    })?;
    Ok(Json(Pushed { sha }))
}

pub(super) async fn set_ref(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewRef>,
) -> Said<()> {
    Ok(Json(world.transact(|state| {
        let id = find(state, &owner, &name)?;
        if let Some(branch) = new.name.strip_prefix("refs/heads/") {
            state.move_branch(id, branch, Some(&new.sha), &owner)
        } else if let Some(tag) = new.name.strip_prefix("refs/tags/") {
            state.set_tag(id, tag, &new.sha)
        } else {
            Err(Refusal::invalid("Reference", "name", "must start with `refs/heads/` or `refs/tags/`"))
        }
    })?))
}

pub(super) async fn branch(
    State(world): State<Arc<World>>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Said<Pushed> {
    let sha = world.transact(|state| {
        let id = find(state, &owner, &name)?;
        let found = state.repo(id)?.branches.get(&branch).cloned();
        found.ok_or_else(|| Refusal::Missing(format!("there is no branch {branch}")))
    })?;
    Ok(Json(Pushed { sha }))
}

pub(super) async fn remove_branch(
    State(world): State<Arc<World>>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Said<()> {
    Ok(Json(world.transact(|state| {
        let id = find(state, &owner, &name)?;
        if !state.repo(id)?.branches.contains_key(&branch) {
            return Err(Refusal::Missing(format!("there is no branch {branch}")));
        }
        state.move_branch(id, &branch, None, &owner)
    })?))
}

pub(super) async fn rename_branch(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewBranchName>,
) -> Said<()> {
    Ok(Json(world.transact(|state| {
        let id = find(state, &owner, &name)?;
        state.rename_branch(id, &new.from, &new.to, &owner)
    })?))
}

pub(super) async fn set_check(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewCheckRun>,
) -> Said<Made> {
    check_word("status", new.status.as_deref(), &STATUSES)?;
    check_word("conclusion", new.conclusion.as_deref(), &CONCLUSIONS)?;
    let id = world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        let sha = resolve(state, repo, &new.r#ref)?;
        let found = state.repo(repo)?;
        let workflow = |run: &CheckRun| found.suites.get(&run.suite).and_then(|suite| suite.workflow.clone());
        let known = found
            .checks
            .values()
            .rev()
            .find(|run| run.sha == sha && run.name == new.name && workflow(run) == new.workflow);
        let (known, app) = (known.map(|run| run.id), state.some_app());
        let change = CheckChange {
            name: Some(new.name),
            status: new.status,
            conclusion: new.conclusion,
            ..CheckChange::default()
        };
        match known {
            Some(id) => state.change_check(repo, id, change, &owner).map(|()| id),
            None => state.add_check(repo, &sha, change, (app, new.workflow.as_deref()), &owner),
        }
    })?;
    Ok(Json(Made { id }))
}

fn check_word(field: &'static str, word: Option<&str>, words: &[&str]) -> Result<(), Sorry> {
    match word {
        Some(word) if !words.contains(&word) => {
            let message = format!("`{word}` is none of {}", words.join(", "));
            Err(Refusal::invalid("CheckRun", field, message).into())
        }
        _ => Ok(()),
    }
}

pub(super) async fn add_status(
    State(world): State<Arc<World>>,
    Path((owner, name)): Named,
    Input(new): Input<NewCommitStatus>,
) -> Said<Made> {
    let states = ["error", "failure", "pending", "success"];
    if !states.contains(&new.state.as_str()) {
        let message = format!("`{}` is none of {}", new.state, states.join(", "));
        return Err(Refusal::invalid("Status", "state", message).into());
    }
    let id = world.transact(|state| {
        let repo = find(state, &owner, &name)?;
        let sha = resolve(state, repo, &new.r#ref)?;
        state.add_commit_status(repo, &sha, &new.context, &new.state, (None, None), &owner)
    })?;
    Ok(Json(Made { id }))
}
