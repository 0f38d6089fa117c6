//! Comments on pull requests, and reactions to them.

use crate::control::types::TimelineEntry;
use crate::hooks::payload;
use crate::state::ids::Kind;
use crate::state::{Moment, Refusal, State, now};

/// The longest body, in characters.
pub(crate) const MAX_BODY: usize = 65_536;

/// A comment.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    /// The pull request's number.
    pub(crate) number: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) reactions: Vec<Reaction>,
    /// The App that wrote it.
    pub(crate) app: Option<u64>,
}

/// A user's reaction to a comment.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) author: String,
    pub(crate) content: String,
    pub(crate) created_at: Moment,
}

impl State {
    /// Writes a comment on a pull request and returns its id.
    pub(crate) fn add_comment(
        &mut self,
        repo: u64,
        number: u64,
        author: &str,
        body: &str,
        app: Option<u64>,
    ) -> Result<u64, Refusal> {
        check_body(body)?;
        self.pull(repo, number)?;
        let author = self.ensure_user(author).login;
        let id = self.ids.next(Kind::Comment);
        let comment = Comment {
            id,
            number,
            author: author.clone(),
            body: body.to_owned(),
            created_at: now(),
            updated_at: now(),
            reactions: Vec::new(),
            app,
        };
        self.repo_mut(repo)?.comments.insert(id, comment);
        self.pull_mut(repo, number)?;
        self.record(
            repo,
            TimelineEntry {
                kind: "commented".to_owned(),
                actor: author.clone(),
                pull: Some(number),
                text: Some(body.to_owned()),
                comment: Some(id),
                ..TimelineEntry::default()
            },
        );
        let payload = payload::issue_comment(self, repo, id, None);
        self.emit(repo, "issue_comment", Some("created"), payload, &author);
        Ok(id)
    }

    /// Edits a comment's text.
    pub(crate) fn edit_comment(
        &mut self,
        repo: u64,
        id: u64,
        body: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        check_body(body)?;
        let comment = self.repo_mut(repo)?.comments.get_mut(&id).ok_or_else(missing)?;
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now();
        if before != body {
            let payload = payload::issue_comment(self, repo, id, Some(&before));
            self.emit(repo, "issue_comment", Some("edited"), payload, actor);
        }
        Ok(())
    }

    /// Deletes a comment.
    pub(crate) fn delete_comment(&mut self, repo: u64, id: u64, actor: &str) -> Result<(), Refusal> {
        if !self.repo(repo)?.comments.contains_key(&id) {
            return Err(missing());
        }
        let payload = payload::issue_comment(self, repo, id, None);
        self.repo_mut(repo)?.comments.remove(&id);
        self.emit(repo, "issue_comment", Some("deleted"), payload, actor);
        Ok(())
    }

    /// Reacts to a comment. Returns the reaction and whether it is new.
    pub(crate) fn react(
        &mut self,
        repo: u64,
        comment: u64,
        author: &str,
        content: &str,
    ) -> Result<(Reaction, bool), Refusal> {
        let id = self.ids.next(Kind::Reaction);
        let comment = self.repo_mut(repo)?.comments.get_mut(&comment).ok_or_else(missing)?;
        let same = |reaction: &&Reaction| reaction.author == author && reaction.content == content;
        if let Some(reaction) = comment.reactions.iter().find(same) {
            return Ok((reaction.clone(), false));
        }
        let reaction =
            Reaction { id, author: author.to_owned(), content: content.to_owned(), created_at: now() };
        comment.reactions.push(reaction.clone());
        Ok((reaction, true))
    }
}

fn check_body(body: &str) -> Result<(), Refusal> {
    if body.trim().is_empty() {
        return Err(Refusal::invalid("IssueComment", "data", "Body cannot be blank"));
    }
    if body.chars().count() > MAX_BODY {
        let message = format!("Body is too long (maximum is {MAX_BODY} characters)");
        return Err(Refusal::invalid("IssueComment", "data", message));
    }
    Ok(())
}

fn missing() -> Refusal {
    Refusal::Missing("there is no such comment".to_owned())
}
