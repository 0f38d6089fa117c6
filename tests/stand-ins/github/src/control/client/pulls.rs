//! Pull requests and comments.

use reqwest::Method;

use super::{Client, Result};
use crate::control::types::{Comment, Made, NewComment, NewPullRequest, PullChange, PullRequest};

impl Client {
    /// Opens a pull request to the default branch from a branch, or from a fork's branch as
    /// `owner:branch`.
    pub async fn open_pull_request(&self, repository: &str, head: &str) -> Result<PullRequest> {
        self.open(repository, NewPullRequest { head: head.to_owned(), ..NewPullRequest::default() }).await
    }

    /// Opens a pull request.
    pub async fn open(&self, repository: &str, new: NewPullRequest) -> Result<PullRequest> {
        self.post(&format!("/repos/{repository}/pulls"), &new).await
    }

    /// Returns a pull request in its present state.
    pub async fn pull_request(&self, repository: &str, number: u64) -> Result<PullRequest> {
        self.get(&format!("/repos/{repository}/pulls/{number}")).await
    }

    /// Returns all pull requests, open or not, oldest first.
    pub async fn pull_requests(&self, repository: &str) -> Result<Vec<PullRequest>> {
        self.get(&format!("/repos/{repository}/pulls")).await
    }

    /// Changes a pull request in several ways at once.
    pub async fn change(&self, repository: &str, number: u64, change: PullChange) -> Result<PullRequest> {
        let path = format!("/repos/{repository}/pulls/{number}");
        self.ask(Method::PATCH, &path, Some(&change)).await
    }

    /// Closes a pull request.
    pub async fn close(&self, repository: &str, number: u64) -> Result<PullRequest> {
        let state = Some("closed".to_owned());
        self.change(repository, number, PullChange { state, ..PullChange::default() }).await
    }

    /// Reopens a pull request.
    pub async fn reopen(&self, repository: &str, number: u64) -> Result<PullRequest> {
        let state = Some("open".to_owned());
        self.change(repository, number, PullChange { state, ..PullChange::default() }).await
    }

    /// Merges a pull request.
    pub async fn merge(&self, repository: &str, number: u64) -> Result<PullRequest> {
        self.change(repository, number, PullChange { merge: true, ..PullChange::default() }).await
    }

    /// Adds a label to a pull request.
    pub async fn label(&self, repository: &str, number: u64, label: &str) -> Result<PullRequest> {
        let add_labels = vec![label.to_owned()];
        self.change(repository, number, PullChange { add_labels, ..PullChange::default() }).await
    }

    /// Removes a label from a pull request.
    pub async fn unlabel(&self, repository: &str, number: u64, label: &str) -> Result<PullRequest> {
        let remove_labels = vec![label.to_owned()];
        self.change(repository, number, PullChange { remove_labels, ..PullChange::default() }).await
    }

    /// Converts a pull request to a draft.
    pub async fn convert_to_draft(&self, repository: &str, number: u64) -> Result<PullRequest> {
        let draft = Some(true);
        self.change(repository, number, PullChange { draft, ..PullChange::default() }).await
    }

    /// Marks a pull request as ready for review.
    pub async fn mark_ready(&self, repository: &str, number: u64) -> Result<PullRequest> {
        let draft = Some(false);
        self.change(repository, number, PullChange { draft, ..PullChange::default() }).await
    }

    /// Writes a comment on a pull request. Returns the comment's id.
    pub async fn comment(&self, repository: &str, number: u64, author: &str, body: &str) -> Result<u64> {
        let new = NewComment { author: author.to_owned(), body: body.to_owned() };
        let made: Made = self.post(&format!("/repos/{repository}/pulls/{number}/comments"), &new).await?;
        Ok(made.id)
    }

    /// Returns the comments on a pull request, oldest first.
    pub async fn comments(&self, repository: &str, number: u64) -> Result<Vec<Comment>> {
        self.get(&format!("/repos/{repository}/pulls/{number}/comments")).await
    }
}
