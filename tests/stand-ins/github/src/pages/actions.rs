//! Actions of the pages' buttons.

use std::collections::BTreeMap;

use crate::control::server::pulls::change_now;
use crate::control::types::PullChange;
use crate::state::pulls::Opening;
use crate::state::{Refusal, State};

type Form = BTreeMap<String, String>;

/// Executes a form. Returns the page to show afterwards.
pub(super) fn act(state: &mut State, segments: &[&str], form: &Form) -> Result<String, Refusal> {
    match segments {
        [owner, name, "push"] => {
            let branch = required(form, "branch")?;
            push(state, owner, name, &branch, form)?;
            Ok(format!("/{owner}/{name}"))
        }
        [owner, name, "pulls"] => open(state, owner, name, form),
        [owner, name, "pull", number, action] => {
            let number = number.parse().map_err(|_| missing())?;
            pull_action(state, owner, name, number, action, form)?;
            Ok(format!("/{owner}/{name}/pull/{number}"))
        }
        _ => Err(missing()),
    }
}

fn missing() -> Refusal {
    Refusal::Missing("there is no such button".to_owned())
}

fn text(form: &Form, name: &str) -> Option<String> {
    form.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn required(form: &Form, name: &'static str) -> Result<String, Refusal> {
    text(form, name).ok_or_else(|| Refusal::invalid("Form", name, "must not be empty"))
}

fn push(state: &mut State, owner: &str, name: &str, branch: &str, form: &Form) -> Result<String, Refusal> {
    let repo = state.named_repo(&format!("{owner}/{name}"))?;
    let (id, owner) = (repo.id, repo.owner.clone());
    let content = form.get("content").cloned().unwrap_or_default();
    let files = text(form, "path").map(|path| (path, Some(content))).into_iter().collect();
    state.push(id, branch, &files, text(form, "message").as_deref(), &owner, None)
}

fn open(state: &mut State, owner: &str, name: &str, form: &Form) -> Result<String, Refusal> {
    let repo = state.named_repo(&format!("{owner}/{name}"))?;
    let (id, base) = (repo.id, repo.default_branch.clone());
    let head = required(form, "head")?;
    // A new branch gets a commit; otherwise there would be nothing to pull.
    if !head.contains(':') && !repo.branches.contains_key(&head) {
        push(state, owner, name, &head, form)?;
    }
    let title = text(form, "title").unwrap_or_else(|| head.clone());
    let opening = Opening {
        head: &head,
        base: &base,
        title: &title,
        body: None,
        author: None,
        draft: form.contains_key("draft"),
        maintainer_can_modify: true,
    };
    let number = state.open_pull(id, &opening)?;
    if let Some(label) = text(form, "label") {
        let author = state.pull(id, number)?.author.clone();
        state.add_label(id, number, &label, &author)?;
    }
    Ok(format!("/{owner}/{name}/pull/{number}"))
}

fn pull_action(
    state: &mut State,
    owner: &str,
    name: &str,
    number: u64,
    action: &str,
    form: &Form,
) -> Result<(), Refusal> {
    let repo = state.named_repo(&format!("{owner}/{name}"))?.id;
    let pull = state.pull(repo, number)?;
    let (author, head) = (pull.author.clone(), pull.head.clone());
    let mut change = PullChange::default();
    match action {
        "push" => {
            let gone = || Refusal::Missing("the head's repository was deleted".to_owned());
            let source = head.repo.and_then(|id| state.repos.get(&id)).ok_or_else(gone)?;
            let (owner, name) = (source.owner.clone(), source.name.clone());
            return push(state, &owner, &name, &head.branch, form).map(|_| ());
        }
        "comment" => {
            let by = text(form, "author").unwrap_or(author);
            return state.add_comment(repo, number, &by, &required(form, "body")?, None).map(|_| ());
        }
        "label" => change.add_labels = vec![required(form, "label")?],
        "unlabel" => change.remove_labels = vec![required(form, "label")?],
        "close" => change.state = Some("closed".to_owned()),
        "reopen" => change.state = Some("open".to_owned()),
        "draft" => change.draft = Some(true),
        "ready" => change.draft = Some(false),
        "merge" => change.merge = true,
        _ => return Err(missing()),
    }
    change_now(state, repo, number, &change)
}
