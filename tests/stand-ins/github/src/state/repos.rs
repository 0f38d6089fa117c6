//! Repositories and forks.

use std::collections::BTreeMap;

use crate::control::types::{AccountKind, Role};
use crate::state::checks::{CheckRun, CheckSuite, CommitStatus};
use crate::state::comments::Comment;
use crate::state::deployments::Deployment;
use crate::state::environments::Environment;
use crate::state::git::{Author, Commit, Files};
use crate::state::ids::{Kind, sha};
use crate::state::labels::Label;
use crate::state::pulls::Pull;
use crate::state::timeline::Entry;
use crate::state::{Moment, Refusal, State, now};

/// A repository and everything in it.
#[derive(Debug)]
pub(crate) struct Repo {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    /// The repository this is a fork of.
    pub(crate) parent: Option<u64>,
    /// The root of the network of forks, which share commits.
    pub(crate) network: u64,
    pub(crate) default_branch: String,
    pub(crate) branches: BTreeMap<String, String>,
    /// New names of renamed branches, by their old names.
    pub(crate) renamed: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    /// Labels by name in lower case.
    pub(crate) labels: BTreeMap<String, Label>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) deployments: BTreeMap<u64, Deployment>,
    /// Environments by name in lower case.
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) statuses: Vec<CommitStatus>,
    pub(crate) checks: BTreeMap<u64, CheckRun>,
    pub(crate) suites: BTreeMap<u64, CheckSuite>,
    /// Roles of collaborators by login in lower case.
    pub(crate) collaborators: BTreeMap<String, Role>,
    pub(crate) timeline: Vec<Entry>,
    /// The number of the last issue or pull request.
    pub(crate) numbers: u64,
    pub(crate) created_at: Moment,
    pub(crate) pushed_at: Moment,
}

impl Repo {
    /// `owner/name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Returns an account's role, from its own role and the repository's visibility.
    pub(crate) fn role(&self, login: &str) -> Role {
        if login.eq_ignore_ascii_case(&self.owner) {
            return Role::Admin;
        }
        let own = self.collaborators.get(&login.to_lowercase()).copied().unwrap_or(Role::None);
        if self.private { own } else { own.max(Role::Read) }
    }
}

impl State {
    /// Returns the repository of that number.
    pub(crate) fn repo(&self, id: u64) -> Result<&Repo, Refusal> {
        self.repos.get(&id).ok_or_else(|| Refusal::Missing(format!("no repository has the id {id}")))
    }

    /// Returns the repository of that number for a change.
    pub(crate) fn repo_mut(&mut self, id: u64) -> Result<&mut Repo, Refusal> {
        self.repos.get_mut(&id).ok_or_else(|| Refusal::Missing(format!("no repository has the id {id}")))
    }

    /// Returns the repository of that name; the case doesn't matter.
    pub(crate) fn find_repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        self.repos
            .values()
            .find(|repo| repo.owner.eq_ignore_ascii_case(owner) && repo.name.eq_ignore_ascii_case(name))
    }

    /// Returns the repository `owner/name`, or a rejection that says that it is missing.
    pub(crate) fn named_repo(&self, full_name: &str) -> Result<&Repo, Refusal> {
        full_name
            .split_once('/')
            .and_then(|(owner, name)| self.find_repo(owner, name))
            .ok_or_else(|| Refusal::Missing(format!("there is no repository {full_name}")))
    }

    /// Creates a repository with a first commit on its default branch.
    pub(crate) fn create_repo(
        &mut self,
        full_name: &str,
        private: bool,
        default_branch: &str,
        mut files: Files,
    ) -> Result<u64, Refusal> {
        let (owner, name) = split_name(full_name)?;
        if self.find_repo(owner, name).is_some() {
            return Err(Refusal::Conflict(format!("{full_name} exists already")));
        }
        let owner = self.ensure_user(owner).login;
        if files.is_empty() {
            files.insert("README.md".to_owned(), format!("# {name}\n"));
        }
        let id = self.ids.next(Kind::Repository);
        let first = self.commit(id, Vec::new(), "Initial commit", &owner, files);
        let mut repo = blank(id, owner, name.to_owned(), private);
        default_branch.clone_into(&mut repo.default_branch);
        repo.branches.insert(default_branch.to_owned(), first);
        self.repos.insert(id, repo);
        Ok(id)
    }

    /// Forks a repository into another account, with its branches and tags.
    pub(crate) fn fork(&mut self, parent: u64, owner: &str, name: Option<&str>) -> Result<u64, Refusal> {
        let source = self.repo(parent)?;
        let name = name.unwrap_or(&source.name).to_owned();
        let (private, network) = (source.private, source.network);
        let (branch, branches, tags) =
            (source.default_branch.clone(), source.branches.clone(), source.tags.clone());
        if self.find_repo(owner, &name).is_some() {
            return Err(Refusal::Conflict(format!("{owner}/{name} exists already")));
        }
        let owner = self.ensure_user(owner).login;
        let id = self.ids.next(Kind::Repository);
        let mut fork = blank(id, owner, name, private);
        fork.parent = Some(parent);
        fork.network = network;
        fork.default_branch = branch;
        fork.branches = branches;
        fork.tags = tags;
        self.repos.insert(id, fork);
        Ok(id)
    }

    /// Deletes a repository. Pull requests from it remain without a head repository; GitHub closes
    /// the open ones, as their head can't be merged.
    pub(crate) fn delete_repo(&mut self, id: u64) -> Result<(), Refusal> {
        self.repo(id)?;
        self.repos.remove(&id);
        self.hooks.retain(|_, hook| hook.repository() != Some(id));
        for installation in self.installations.values_mut() {
            if let Some(repositories) = &mut installation.repositories {
                repositories.retain(|repository| *repository != id);
            }
        }
        let orphans: Vec<(u64, u64)> = self
            .repos
            .values()
            .flat_map(|repo| repo.pulls.values().map(|pull| (repo.id, pull)))
            .filter(|(_, pull)| pull.head.repo == Some(id))
            .map(|(repo, pull)| (repo, pull.number))
            .collect();
        for (repo, number) in orphans {
            self.head_repo_deleted(repo, number)?;
        }
        Ok(())
    }

    /// Records a commit in the network of a repository.
    pub(crate) fn commit(
        &mut self,
        network: u64,
        parents: Vec<String>,
        message: &str,
        author: &str,
        files: Files,
    ) -> String {
        let user = self.ensure_user(author);
        let tree = sha(&format!("{files:?}"));
        let id = self.ids.commit(&format!("{tree}\n{parents:?}\n{message}"));
        let name = user.name.clone().unwrap_or_else(|| user.login.clone());
        let email = format!("{}+{}@users.noreply.github.com", user.id, user.login);
        let author = Author { login: Some(user.login), name, email };
        let commit = Commit {
            sha: id.clone(),
            tree,
            parents,
            message: message.to_owned(),
            author,
            at: now(),
            files,
            network,
        };
        self.commits.insert(id.clone(), commit);
        id
    }

    /// Returns whether an account is an organization.
    pub(crate) fn is_organization(&self, login: &str) -> bool {
        self.user(login).is_some_and(|user| user.kind == AccountKind::Organization)
    }
}

fn split_name(full_name: &str) -> Result<(&str, &str), Refusal> {
    match full_name.split_once('/') {
        Some((owner, name))
            if !owner.is_empty()
                && !name.is_empty()
                && name.len() <= 100
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) =>
        {
            Ok((owner, name))
        }
        _ => Err(Refusal::invalid(
            "Repository",
            "name",
            format!("`{full_name}` is no repository's name: write `owner/name`"),
        )),
    }
}

fn blank(id: u64, owner: String, name: String, private: bool) -> Repo {
    Repo {
        id,
        owner,
        name,
        private,
        parent: None,
        network: id,
        default_branch: "main".to_owned(),
        branches: BTreeMap::new(),
        renamed: BTreeMap::new(),
        tags: BTreeMap::new(),
        pulls: BTreeMap::new(),
        labels: BTreeMap::new(),
        comments: BTreeMap::new(),
        deployments: BTreeMap::new(),
        environments: BTreeMap::new(),
        statuses: Vec::new(),
        checks: BTreeMap::new(),
        suites: BTreeMap::new(),
        collaborators: BTreeMap::new(),
        timeline: Vec::new(),
        numbers: 0,
        created_at: now(),
        pushed_at: now(),
    }
}
