//! Tests of the gates, with objects in the YAML form that users write.

mod chain;
mod commit_status;
mod hours;
mod pushes;
mod supersession;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use super::*;
use crate::api::Lock;
use crate::core::conditions;
use crate::core::forge::CheckState;

const SHA: &str = "1111111111111111111111111111111111111111";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn created() -> Timestamp {
    at("2026-01-05T10:00:00Z")
}

/// A request, its PreviewRepository and its class.
struct World {
    repository: PreviewRepositorySpec,
    class: PreviewClassSpec,
    request: DeploymentRequestSpec,
    approvals: Vec<Approval>,
    conditions: Vec<Condition>,
    now: Timestamp,
}

impl World {
    fn new(gates: &Value) -> Self {
        let repository = json!({
            "repository": "acme/shop", "className": "standard",
            "environments": [{"name": "dev"}, {"name": "staging"}, {"name": "production", "gates": gates}],
        });
        let class = json!({
            "grants": [{"repositories": ["acme/*"], "namespaces": ["*"]}], "forge": {"github": {"secretName": "github"}}, "routing": {"domain": "dev.example"},
            "registries": [{"host": "ghcr.io"}],
        });
        let request = json!({
            "repositoryRef": {"name": "shop"}, "environment": "production", "sha": SHA,
            "requestedBy": {"origin": "Comment", "login": "ada"},
        });
        Self {
            repository: serde_json::from_value(repository).expect("a PreviewRepository"),
            class: serde_json::from_value(class).expect("a class"),
            request: serde_json::from_value(request).expect("a request"),
            approvals: Vec::new(),
            conditions: Vec::new(),
            now: created() + SignedDuration::from_mins(1),
        }
    }

    fn asked(&self) -> GateInput<'_> {
        GateInput {
            repository: &self.repository,
            class: &self.class,
            request: &self.request,
            created: created(),
            approvals: &self.approvals,
            conditions: &self.conditions,
            now: self.now,
        }
    }

    fn needs(&self) -> Needs {
        needs(&self.asked())
    }

    fn judge(&self, facts: &Facts) -> Evaluation {
        evaluate(&self.asked(), facts)
    }

    fn verdict(&self, kind: &str, facts: &Facts) -> GateVerdict {
        let evaluation = self.judge(facts);
        evaluation.verdicts.into_iter().find(|(name, _)| *name == kind).expect(kind).1
    }

    /// Sets the conditions as the controller does.
    fn record(&mut self, facts: &Facts) {
        for (kind, verdict) in self.judge(facts).verdicts {
            let (status, reason, message) = verdict.condition();
            conditions::set(&mut self.conditions, kind, status, reason, message, 1, self.now);
        }
    }

    fn lock(&mut self, environment: &str) {
        self.repository.locks.push(Lock {
            environment: environment.to_owned(),
            by: "grace".to_owned(),
            reason: "release freeze".to_owned(),
            lock_time: Some(Time(created())),
        });
    }

    fn approve(&mut self, logins: &[&str]) {
        self.approvals = logins
            .iter()
            .map(|login| Approval { login: (*login).to_owned(), time: Time(created()) })
            .collect();
    }
}

fn check(name: &str, state: CheckState) -> Check {
    Check { name: name.to_owned(), state }
}

fn checks(list: Vec<Check>) -> Facts {
    Facts { checks: Some(list), ..Facts::default() }
}

fn image(answer: RegistryAnswer) -> Facts {
    Facts { image: Some(Ok(("ghcr.io/acme/shop:1".to_owned(), Some(answer)))), ..Facts::default() }
}

fn reason(verdict: &GateVerdict) -> &'static str {
    verdict.condition().1
}
