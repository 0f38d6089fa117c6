//! The state of the stand-in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Settings;
use crate::access::{Authorization, authorization};
use crate::control::types::{Authentication, FaultEffect, NewFault, NewImage, NewUser, Request};

/// The number of requests kept; older ones are dropped.
const KEPT: usize = 10_000;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) authentication: Authentication,
    pub(crate) token_lifetime: Duration,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) users: BTreeMap<String, NewUser>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) faults: Vec<NewFault>,
    requests: VecDeque<Request>,
    sequence: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) private: bool,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) manifests: BTreeMap<String, Manifest>,
}

#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) body: String,
}

/// Scope and expiry of a token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) pulls: Vec<String>,
    pub(crate) expires: Instant,
}

impl State {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            authentication: settings.authentication,
            token_lifetime: settings.token_lifetime,
            repositories: BTreeMap::new(),
            users: BTreeMap::new(),
            tokens: HashMap::new(),
            faults: Vec::new(),
            requests: VecDeque::new(),
            sequence: 0,
        }
    }

    /// Stores a manifest, as a push would. Returns its digest. Two images differ if their names or
    /// their `content` do.
    pub(crate) fn put_image(&mut self, new: NewImage) -> String {
        let annotations = json!({
            "org.opencontainers.image.ref.name": format!("{}:{}", new.name, new.tag),
            "dev.matinee.test.content": new.content,
        });
        let descriptor = |media_type: &str| {
            json!({"mediaType": media_type, "size": 2,
                "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"})
        };
        let kind = new.kind;
        let mut body =
            json!({"schemaVersion": 2, "mediaType": kind.media_type(), "annotations": annotations});
        if kind.is_index() {
            body["manifests"] = json!([descriptor(kind.child())]);
        } else {
            body["config"] = descriptor(kind.child());
            body["layers"] = json!([]);
        }
        let body = body.to_string();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&body)));
        let repository = self.repositories.entry(new.name).or_default();
        repository.tags.insert(new.tag, digest.clone());
        let media_type = kind.media_type().to_owned();
        repository.manifests.insert(digest.clone(), Manifest { media_type, body });
        digest
    }

    /// Removes a tag and, unless another tag has it, its manifest. Returns whether it existed.
    pub(crate) fn remove_image(&mut self, name: &str, tag: &str) -> bool {
        let Some(repository) = self.repositories.get_mut(name) else { return false };
        let Some(digest) = repository.tags.remove(tag) else { return false };
        if !repository.tags.values().any(|other| *other == digest) {
            repository.manifests.remove(&digest);
        }
        true
    }

    /// Records a request's arrival. Returns its sequence number.
    pub(crate) fn log(&mut self, parts: &Parts) -> u64 {
        let text = |headers: &HeaderMap, name| {
            let values: Vec<_> =
                headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            values.join(", ")
        };
        self.sequence += 1;
        if self.requests.len() == KEPT {
            self.requests.pop_front();
        }
        let (scheme, username) = match authorization(&parts.headers) {
            Authorization::None => ("none", None),
            Authorization::Basic { username, .. } => ("basic", Some(username)),
            Authorization::Bearer(_) => ("bearer", None),
            Authorization::Other => ("other", None),
        };
        self.requests.push_back(Request {
            sequence: self.sequence,
            method: parts.method.to_string(),
            path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            status: 0,
            authorization: scheme.to_owned(),
            username,
            accept: text(&parts.headers, header::ACCEPT),
            user_agent: text(&parts.headers, header::USER_AGENT),
        });
        self.sequence
    }

    /// Records a request's outcome.
    pub(crate) fn answered(&mut self, sequence: u64, status: u16) {
        if let Some(entry) = self.requests.iter_mut().rev().find(|entry| entry.sequence == sequence) {
            entry.status = status;
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// Returns the effect of the first fault that matches a request, and counts the hit.
    pub(crate) fn take_fault(&mut self, method: &str, path: &str) -> Option<FaultEffect> {
        let hit = self.faults.iter_mut().find(|fault| {
            fault.times > 0
                && fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path.starts_with(&fault.path)
        })?;
        hit.times -= 1;
        let effect = hit.effect.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(effect)
    }
}
