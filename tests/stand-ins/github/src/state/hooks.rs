//! Webhooks, their queues and their delivery logs.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::control::types::{DeliveryMode, NewHook};
use crate::show;
use crate::state::ids::Kind;
use crate::state::{Moment, Refusal, State, now};

/// The largest payload that GitHub delivers, in bytes.
const MAX_PAYLOAD: usize = 25 * 1024 * 1024;

/// Owner of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A repository.
    Repository(u64),
    /// An App.
    App(u64),
}

/// A webhook.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) target: Target,
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
    pub(crate) content_type: String,
    pub(crate) events: Vec<String>,
    pub(crate) active: bool,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
    pub(crate) mode: DeliveryMode,
    /// Deliveries to send, oldest first.
    pub(crate) queue: VecDeque<Outgoing>,
    /// Deliveries that a shuffle holds back.
    pub(crate) held: Vec<Outgoing>,
    /// Whether a delivery is being sent; deliveries of one hook never overlap.
    pub(crate) busy: bool,
    /// Every attempt, oldest first.
    pub(crate) log: Vec<Attempt>,
}

/// A delivery to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) guid: String,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    /// The payload's exact text.
    pub(crate) body: String,
    pub(crate) installation: Option<u64>,
    pub(crate) repository: Option<u64>,
    pub(crate) redelivery: bool,
}

/// One delivery attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: u64,
    pub(crate) sent: Outgoing,
    pub(crate) at: Moment,
    pub(crate) seconds: f64,
    pub(crate) status: String,
    pub(crate) status_code: u16,
    pub(crate) request_headers: BTreeMap<String, String>,
    pub(crate) response_headers: BTreeMap<String, String>,
    pub(crate) response: String,
}

impl Hook {
    /// Returns the repository to which the hook belongs.
    pub(crate) fn repository(&self) -> Option<u64> {
        match self.target {
            Target::Repository(id) => Some(id),
            Target::App(_) => None,
        }
    }

    fn wants(&self, event: &str) -> bool {
        self.active && (event == "ping" || self.events.iter().any(|wanted| wanted == "*" || wanted == event))
    }
}

impl State {
    /// Creates a webhook and sends it a `ping`.
    pub(crate) fn create_hook(&mut self, target: Target, new: NewHook, actor: &str) -> Result<u64, Refusal> {
        let url = &new.url;
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(Refusal::invalid(
                "Hook",
                "url",
                format!("url is not supported: `{url}` is no http URL"),
            ));
        }
        let content_type = new.content_type.unwrap_or_else(|| "json".to_owned());
        if content_type != "json" && content_type != "form" {
            return Err(Refusal::invalid("Hook", "content_type", "content_type is `json` or `form`"));
        }
        let twin = |hook: &&Hook| hook.target == target && hook.url == new.url;
        if self.hooks.values().find(twin).is_some() {
            return Err(Refusal::invalid("Hook", "", "Hook already exists on this repository"));
        }
        let id = self.ids.next(Kind::Hook);
        let events = match target {
            Target::App(app) => self.apps.get(&app).map(|app| app.events.clone()).unwrap_or_default(),
            Target::Repository(_) if new.events.is_empty() => vec!["push".to_owned()],
            Target::Repository(_) => new.events,
        };
        let hook = Hook {
            id,
            target,
            url: new.url,
            secret: new.secret.filter(|secret| !secret.is_empty()),
            content_type,
            events,
            active: true,
            created_at: now(),
            updated_at: now(),
            mode: DeliveryMode::default(),
            queue: VecDeque::new(),
            held: Vec::new(),
            busy: false,
            log: Vec::new(),
        };
        self.hooks.insert(id, hook);
        if let Target::App(app) = target
            && let Some(app) = self.apps.get_mut(&app)
        {
            app.hook = Some(id);
        }
        self.ping(id, actor)?;
        Ok(id)
    }

    /// Sends a `ping` to a hook.
    pub(crate) fn ping(&mut self, id: u64, actor: &str) -> Result<(), Refusal> {
        let hook = self.hooks.get(&id).ok_or_else(|| Refusal::Missing(format!("no hook has the id {id}")))?;
        let mut body = Map::new();
        body.insert("zen".to_owned(), json!("Anything added dilutes everything else."));
        body.insert("hook_id".to_owned(), json!(id));
        body.insert("hook".to_owned(), show::hook(self, hook));
        let repository = hook.repository();
        if let Some(repo) = repository.and_then(|repo| self.repos.get(&repo)) {
            body.insert("repository".to_owned(), show::repository(self, repo));
            body.insert("sender".to_owned(), show::user(self, actor));
        }
        self.enqueue(id, "ping", None, body, None, repository);
        Ok(())
    }

    /// Queues a repository's event for its hooks and for those of Apps that see it.
    pub(crate) fn emit(
        &mut self,
        repo: u64,
        event: &str,
        action: Option<&str>,
        body: Map<String, Value>,
        actor: &str,
    ) {
        let Some(found) = self.repos.get(&repo) else { return };
        let mut body = body;
        if let Some(action) = action {
            body.insert("action".to_owned(), json!(action));
        }
        body.entry("repository").or_insert_with(|| show::repository(self, found));
        if self.is_organization(&found.owner) {
            body.insert("organization".to_owned(), show::organization(self, &found.owner));
        }
        body.insert("sender".to_owned(), show::user(self, actor));
        let mut receivers: Vec<(u64, Option<u64>)> = Vec::new();
        for hook in self.hooks.values().filter(|hook| hook.wants(event)) {
            match hook.target {
                Target::Repository(id) if id == repo => receivers.push((hook.id, None)),
                Target::Repository(_) => {}
                Target::App(app) => receivers.extend(
                    self.installations
                        .values()
                        .filter(|installation| installation.app == app && installation.suspended_at.is_none())
                        .filter(|installation| self.installation_sees(installation, repo))
                        .map(|installation| (hook.id, Some(installation.id))),
                ),
            }
        }
        for (hook, installation) in receivers {
            let mut body = body.clone();
            if let Some(id) = installation {
                let node_id = crate::state::ids::node_id(Kind::Installation, id);
                body.insert("installation".to_owned(), json!({"id": id, "node_id": node_id}));
            }
            self.enqueue(hook, event, action, body, installation, Some(repo));
        }
    }

    /// Queues an installation's event for the App's hook, which needs no subscription.
    pub(crate) fn emit_to_app(
        &mut self,
        app: u64,
        installation: u64,
        event: &str,
        action: Option<&str>,
        mut body: Map<String, Value>,
        actor: &str,
    ) {
        let Some(hook) = self.apps.get(&app).and_then(|app| app.hook) else { return };
        if let Some(action) = action {
            body.insert("action".to_owned(), json!(action));
        }
        body.insert("sender".to_owned(), show::user(self, actor));
        self.enqueue(hook, event, action, body, Some(installation), None);
    }

    fn enqueue(
        &mut self,
        hook: u64,
        event: &str,
        action: Option<&str>,
        body: Map<String, Value>,
        installation: Option<u64>,
        repository: Option<u64>,
    ) {
        let body = Value::Object(body).to_string();
        if body.len() > MAX_PAYLOAD {
            tracing::warn!(event, bytes = body.len(), "payload over 25 MiB, not delivered, as GitHub does");
            return;
        }
        if let Some(hook) = self.hooks.get_mut(&hook) {
            hook.queue.push_back(Outgoing {
                guid: uuid::Uuid::new_v4().to_string(),
                event: event.to_owned(),
                action: action.map(str::to_owned),
                body,
                installation,
                repository,
                redelivery: false,
            });
        }
    }

    /// Queues a delivery again with the same id; `attempt` is the number of an earlier attempt.
    pub(crate) fn redeliver(&mut self, hook: u64, attempt: u64) -> Result<(), Refusal> {
        let missing = || Refusal::Missing("there is no such delivery".to_owned());
        let hook = self.hooks.get_mut(&hook).ok_or_else(missing)?;
        let earlier = hook.log.iter().find(|known| known.id == attempt).ok_or_else(missing)?;
        let again = Outgoing { redelivery: true, ..earlier.sent.clone() };
        hook.queue.push_back(again);
        Ok(())
    }
}
