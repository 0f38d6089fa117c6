//! Labels of repositories and of their pull requests.

use serde_json::json;

use crate::show;
use crate::state::ids::Kind;
use crate::state::{Refusal, State};

/// A label of a repository.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

impl State {
    /// Adds a label to a pull request, and to the repository if it lacks it.
    pub(crate) fn add_label(
        &mut self,
        repo: u64,
        number: u64,
        name: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        if name.is_empty() || name.chars().count() > 50 {
            return Err(Refusal::invalid("Label", "name", "name must have 1 to 50 characters"));
        }
        let known = self.repo(repo)?.labels.get(&name.to_lowercase()).cloned();
        let label = if let Some(label) = known {
            label
        } else {
            let id = self.ids.next(Kind::Label);
            let label = Label { id, name: name.to_owned(), color: "ededed".to_owned(), description: None };
            self.repo_mut(repo)?.labels.insert(name.to_lowercase(), label.clone());
            label
        };
        let pull = self.pull_mut(repo, number)?;
        if pull.labels.contains(&label.name) {
            return Ok(());
        }
        pull.labels.push(label.name.clone());
        self.note(repo, number, "labeled", actor, Some(&label.name), None);
        let shown = show::label(self, self.repo(repo)?, &label);
        self.tell(repo, number, "labeled", actor, json!({"label": shown}));
        Ok(())
    }

    /// Removes a label from a pull request.
    pub(crate) fn remove_label(
        &mut self,
        repo: u64,
        number: u64,
        name: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let pull = self.pull_mut(repo, number)?;
        let Some(place) = pull.labels.iter().position(|label| label.eq_ignore_ascii_case(name)) else {
            return Err(Refusal::Missing("Label does not exist".to_owned()));
        };
        let name = pull.labels.remove(place);
        self.note(repo, number, "unlabeled", actor, Some(&name), None);
        let found = self.repo(repo)?;
        let shown = found.labels.get(&name.to_lowercase()).map(|label| show::label(self, found, label));
        self.tell(repo, number, "unlabeled", actor, json!({"label": shown}));
        Ok(())
    }
}
