//! Repositories, pushes, and checks.

use super::{Client, Result};
use crate::control::types::{
    Made, NewBranchName, NewCheckRun, NewCollaborator, NewCommitStatus, NewFork, NewPush, NewRef,
    NewRepository, Pushed, RepositoryMade, Role,
};
use crate::show::segment;

impl Client {
    /// Creates a repository with a first commit.
    pub async fn create_repository(&self, new: NewRepository) -> Result<RepositoryMade> {
        self.post("/repos", &new).await
    }

    /// Forks a repository into another account.
    pub async fn fork(&self, repository: &str, owner: &str) -> Result<RepositoryMade> {
        let new = NewFork { owner: owner.to_owned(), name: None };
        self.post(&format!("/repos/{repository}/forks"), &new).await
    }

    /// Deletes a repository or fork; pull requests from it lose their head's repository.
    pub async fn delete_repository(&self, repository: &str) -> Result<()> {
        self.delete(&format!("/repos/{repository}")).await
    }

    /// Gives a user a role in a repository.
    pub async fn set_role(&self, repository: &str, login: &str, role: Role) -> Result<()> {
        let path = format!("/repos/{repository}/collaborators/{}", segment(login));
        self.put(&path, &NewCollaborator { role }).await
    }

    /// Pushes an arbitrary commit to a branch, which is created if missing. Returns its SHA.
    pub async fn push(&self, repository: &str, branch: &str) -> Result<String> {
        self.push_commit(repository, NewPush { branch: branch.to_owned(), ..NewPush::default() }).await
    }

    /// Pushes a commit with these files to a branch, which is created if missing. Returns its SHA.
    pub async fn push_files(&self, repository: &str, branch: &str, files: &[(&str, &str)]) -> Result<String> {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))).collect();
        self.push_commit(repository, NewPush { branch: branch.to_owned(), files, ..NewPush::default() }).await
    }

    /// Pushes a commit. Returns its SHA.
    pub async fn push_commit(&self, repository: &str, new: NewPush) -> Result<String> {
        let pushed: Pushed = self.post(&format!("/repos/{repository}/pushes"), &new).await?;
        Ok(pushed.sha)
    }

    /// Returns the SHA of a branch's head.
    pub async fn head(&self, repository: &str, branch: &str) -> Result<String> {
        let found: Pushed = self.get(&format!("/repos/{repository}/branches/{branch}")).await?;
        Ok(found.sha)
    }

    /// Deletes a branch; open pull requests from it are closed.
    pub async fn delete_branch(&self, repository: &str, branch: &str) -> Result<()> {
        self.delete(&format!("/repos/{repository}/branches/{branch}")).await
    }

    /// Points `refs/heads/<branch>` or `refs/tags/<tag>` to a commit.
    pub async fn set_ref(&self, repository: &str, name: &str, sha: &str) -> Result<()> {
        let new = NewRef { name: name.to_owned(), sha: sha.to_owned() };
        self.put(&format!("/repos/{repository}/refs"), &new).await
    }

    /// Renames a branch; requests for the old name are redirected.
    pub async fn rename_branch(&self, repository: &str, from: &str, to: &str) -> Result<()> {
        let new = NewBranchName { from: from.to_owned(), to: to.to_owned() };
        self.post(&format!("/repos/{repository}/renames"), &new).await
    }

    /// Completes a check run on a commit, which is created if missing. Returns its id.
    pub async fn conclude_check(
        &self,
        repository: &str,
        r#ref: &str,
        name: &str,
        conclusion: &str,
    ) -> Result<u64> {
        let conclusion = Some(conclusion.to_owned());
        let new = NewCheckRun {
            r#ref: r#ref.to_owned(),
            name: name.to_owned(),
            conclusion,
            ..NewCheckRun::default()
        };
        self.set_check(repository, new).await
    }

    /// Creates or changes a check run. Returns its id.
    pub async fn set_check(&self, repository: &str, new: NewCheckRun) -> Result<u64> {
        let made: Made = self.post(&format!("/repos/{repository}/checks"), &new).await?;
        Ok(made.id)
    }

    /// Adds a commit status. Returns its id.
    pub async fn set_commit_status(
        &self,
        repository: &str,
        r#ref: &str,
        context: &str,
        state: &str,
    ) -> Result<u64> {
        let new =
            NewCommitStatus { r#ref: r#ref.to_owned(), context: context.to_owned(), state: state.to_owned() };
        let made: Made = self.post(&format!("/repos/{repository}/statuses"), &new).await?;
        Ok(made.id)
    }
}
