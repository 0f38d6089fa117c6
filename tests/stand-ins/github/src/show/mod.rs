//! JSON of objects in bodies: every field that GitHub's `OpenAPI` description requires, and those
//! that clients use.

pub(crate) mod apps;
pub(crate) mod commits;
pub(crate) mod deployments;
pub(crate) mod pulls;
pub(crate) mod repos;
pub(crate) mod users;

use chrono::SecondsFormat;
use serde_json::{Value, json};

pub(crate) use self::repos::{minimal, repository};
pub(crate) use self::users::{organization, user};

use crate::state::State;
use crate::state::hooks::{Hook, Target};
use crate::state::ids::{Kind, node_id};
use crate::state::labels::Label;
use crate::state::repos::Repo;
use crate::state::{Moment, comments};

/// Formats a time as GitHub does.
pub(crate) fn time(at: Moment) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Formats an optional time as GitHub does.
pub(crate) fn maybe_time(at: Option<Moment>) -> Value {
    at.map_or(Value::Null, |at| json!(time(at)))
}

/// Encodes a text as one segment of a URL's path.
pub(crate) fn segment(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, &KEEP).to_string()
}

impl State {
    /// Returns the API's URL of a repository.
    pub(crate) fn api(&self, repo: &Repo) -> String {
        format!("{}/repos/{}", self.urls.api, repo.full_name())
    }

    /// Returns the page of a repository.
    pub(crate) fn html(&self, repo: &Repo) -> String {
        format!("{}/{}", self.urls.html, repo.full_name())
    }
}

/// Returns a label.
pub(crate) fn label(state: &State, repo: &Repo, label: &Label) -> Value {
    json!({
        "id": label.id,
        "node_id": node_id(Kind::Label, label.id),
        "url": format!("{}/labels/{}", state.api(repo), segment(&label.name)),
        "name": label.name,
        "color": label.color,
        "default": false,
        "description": label.description,
    })
}

/// Returns a comment on an issue or pull request.
pub(crate) fn comment(state: &State, repo: &Repo, comment: &comments::Comment) -> Value {
    let api = state.api(repo);
    json!({
        "url": format!("{api}/issues/comments/{}", comment.id),
        "html_url": format!("{}/pull/{}#issuecomment-{}", state.html(repo), comment.number, comment.id),
        "issue_url": format!("{api}/issues/{}", comment.number),
        "id": comment.id,
        "node_id": node_id(Kind::Comment, comment.id),
        "user": user(state, &comment.author),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "body": comment.body,
        "author_association": users::association(state, repo, &comment.author),
        "reactions": rollup(&format!("{api}/issues/comments/{}/reactions", comment.id), &comment.reactions),
        "performed_via_github_app": apps::performed_via(state, comment.app),
    })
}

/// Returns one reaction.
pub(crate) fn reaction(state: &State, reaction: &comments::Reaction) -> Value {
    json!({
        "id": reaction.id,
        "node_id": node_id(Kind::Reaction, reaction.id),
        "user": user(state, &reaction.author),
        "content": reaction.content,
        "created_at": time(reaction.created_at),
    })
}

/// Allowed contents of a reaction.
pub(crate) const REACTIONS: [&str; 8] =
    ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

/// Returns how many reactions of each kind there are.
pub(crate) fn rollup(url: &str, reactions: &[comments::Reaction]) -> Value {
    let mut counts = serde_json::Map::new();
    counts.insert("url".to_owned(), json!(url));
    counts.insert("total_count".to_owned(), json!(reactions.len()));
    for content in REACTIONS {
        let count = reactions.iter().filter(|reaction| reaction.content == content).count();
        counts.insert(content.to_owned(), json!(count));
    }
    Value::Object(counts)
}

/// Returns a webhook.
pub(crate) fn hook(state: &State, hook: &Hook) -> Value {
    let config = hook_config(hook);
    let mut shown = json!({
        "type": match hook.target { Target::Repository(_) => "Repository", Target::App(_) => "App" },
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": config,
        "updated_at": time(hook.updated_at),
        "created_at": time(hook.created_at),
    });
    let last =
        hook.log.last().map_or(json!({"code": null, "status": "unused", "message": null}), |attempt| {
            let code = (attempt.status_code != 0).then_some(attempt.status_code);
            json!({"code": code, "status": attempt.status, "message": attempt.status})
        });
    if let Some(fields) = shown.as_object_mut() {
        match hook.target {
            Target::Repository(id) => {
                if let Some(repo) = state.repos.get(&id) {
                    let url = format!("{}/hooks/{}", state.api(repo), hook.id);
                    fields.insert("test_url".to_owned(), json!(format!("{url}/test")));
                    fields.insert("ping_url".to_owned(), json!(format!("{url}/pings")));
                    fields.insert("deliveries_url".to_owned(), json!(format!("{url}/deliveries")));
                    fields.insert("url".to_owned(), json!(url));
                }
                fields.insert("last_response".to_owned(), last);
            }
            Target::App(app) => {
                fields.insert("app_id".to_owned(), json!(app));
                let url = format!("{}/app/hook/deliveries", state.urls.api);
                fields.insert("deliveries_url".to_owned(), json!(url));
            }
        }
    }
    shown
}

/// Returns a webhook's configuration, its secret masked.
pub(crate) fn hook_config(hook: &Hook) -> Value {
    let mut config = json!({"content_type": hook.content_type, "insecure_ssl": "0", "url": hook.url});
    if hook.secret.is_some()
        && let Some(fields) = config.as_object_mut()
    {
        fields.insert("secret".to_owned(), json!("********"));
    }
    config
}
