//! Takes in changes of Matinee's objects: updates the index, enqueues the changed object and those
//! that depend on it, marks cached pull requests as stale, cancels the writes of deleted objects,
//! and relays answers to Slack.

use std::sync::Arc;

use kube::ResourceExt as _;

use super::assembly::{Controllers, Watched};
use super::{class_and_template, command, ingest};
use crate::adapters::kubernetes::Change;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::core::forge::RepositoryName;
use crate::core::identity::EnvironmentKey;
use crate::runtime::objects::{Indexed, Key, Objects};
use crate::runtime::queue::Queues;

/// Applies a change to the index. Returns the changed objects.
fn index<K: Indexed>(objects: &Objects, change: Change<K>) -> Vec<Arc<K>> {
    let table = K::table(objects);
    match change {
        Change::Applied(object) => {
            table.applied(Arc::clone(&object));
            vec![object]
        }
        Change::Deleted(object) => {
            table.deleted(&object);
            vec![object]
        }
        Change::Listed(mut list) => {
            list.sort_by_key(|object| (object.namespace(), object.name_any()));
            let removed = table.listed(list.clone());
            list.into_iter().chain(removed).collect()
        }
    }
}

impl Watched {
    /// Takes in that an object changed that was applied for the environment with that UID. (The
    /// name wouldn't always fit into a label.)
    pub fn on_applied_object(&self, environment_uid: &str) {
        if let Some(environment) = self.objects.environments.by_uid(environment_uid) {
            self.queues.environments.enqueue(&environment);
        }
    }
}

impl Controllers {
    /// Takes in a change of a class.
    pub fn on_class(&self, change: Change<PreviewClass>) {
        for class in index(&self.common.objects, change) {
            self.queues().classes.enqueue(&class);
            // A PreviewRepository without a class has the default class, which may be this one.
            for name in [Some(class.name_any()), None] {
                for repository in self.common.objects.repositories.with(&Key::Class(name)) {
                    self.enqueue_with_dependents(&repository);
                }
            }
        }
    }

    /// Takes in a change of a PreviewRepository.
    pub fn on_repository(&self, change: Change<PreviewRepository>) {
        for repository in index(&self.common.objects, change) {
            self.enqueue_with_dependents(&repository);
            // The owner of an environment may have changed for other PreviewRepositories too.
            let github = Key::Github(repository.spec.repository.to_lowercase());
            for other in self.common.objects.repositories.with(&github) {
                self.enqueue_with_dependents(&other);
            }
        }
    }

    /// Takes in a change of a template.
    pub fn on_template(&self, change: Change<PreviewTemplate>) {
        for template in index(&self.common.objects, change) {
            self.queues().templates.enqueue(&template);
            let key = Key::Template(template.namespace().unwrap_or_default(), template.name_any());
            for repository in self.common.objects.repositories.with(&key) {
                self.enqueue_with_dependents(&repository);
            }
        }
    }

    /// Takes in a change of an environment.
    pub fn on_environment(&self, change: Change<PreviewEnvironment>) {
        for environment in index(&self.common.objects, change) {
            let number = environment.spec.pull_request.as_ref().map(|reference| reference.number);
            self.notice(&*environment, &environment.spec.repository_ref.name, number);
            self.queues().environments.enqueue(&environment);
            if self.common.objects.environments.current(&environment).is_none() {
                self.environments.forget(&environment);
            }
            if let Some(class) = class_and_template::refused_class(&environment, &self.common) {
                self.queues().classes.enqueue(&class);
            }
        }
    }

    /// Takes in a change of a request.
    pub fn on_request(&self, change: Change<DeploymentRequest>) {
        let requests = &self.common.objects.requests;
        for request in index(&self.common.objects, change) {
            let number = request.spec.pull_request.as_ref().map(|reference| reference.number);
            self.notice(&*request, &request.spec.repository_ref.name, number);
            self.queues().requests.enqueue(&request);
            if requests.current(&request).is_none() {
                // It was deleted: its writes are taken out of the queue.
                self.requests.forget(&request);
            }
            // A new request may supersede one whose deployment waits to be created.
            let environment = EnvironmentKey::from(&*request);
            for reference in self.publisher.deployments.under_way() {
                let namespace = reference.namespace.as_deref().unwrap_or_default();
                let rival = requests.get(namespace, &reference.name).filter(|rival| {
                    rival.uid() != request.uid() && EnvironmentKey::from(&**rival) == environment
                });
                if let Some(rival) = rival {
                    self.queues().requests.enqueue(&rival);
                }
            }
            if let Some(command) = &request.spec.requested_by.command {
                let namespace = request.namespace().unwrap_or_default();
                self.queues().commands.enqueue_named(&namespace, command);
            }
        }
    }

    /// Takes in a change of a command.
    pub fn on_command(&self, change: Change<DeploymentCommand>) {
        for command in index(&self.common.objects, change) {
            self.queues().commands.enqueue(&command);
            if self.common.objects.commands.current(&command).is_none() {
                self.publisher.answers.forget(&command);
            }
            command::relay(&self.commands, &command);
        }
    }

    /// Enqueues all objects.
    pub(super) fn enqueue_everything(&self) {
        let (objects, queues) = (&self.common.objects, self.queues());
        queues.classes.enqueue_all(&objects.classes.all());
        queues.templates.enqueue_all(&objects.templates.all());
        queues.repositories.enqueue_all(&objects.repositories.all());
        queues.requests.enqueue_all(&objects.requests.all());
        queues.commands.enqueue_all(&objects.commands.all());
        queues.environments.enqueue_all(&objects.environments.all());
    }

    fn queues(&self) -> &Queues {
        &self.common.queues
    }

    /// Enqueues a PreviewRepository and all objects that refer to it.
    fn enqueue_with_dependents(&self, repository: &PreviewRepository) {
        self.queues().repositories.enqueue(repository);
        let key = Key::Repository(repository.namespace().unwrap_or_default(), repository.name_any());
        self.queues().environments.enqueue_all(&self.common.objects.environments.with(&key));
        self.queues().requests.enqueue_all(&self.common.objects.requests.with(&key));
    }

    /// Reads the annotation with the newest event of a pull request from an object, and marks older
    /// cached pull requests as stale. Another replica may have received the event.
    fn notice<K: kube::Resource>(&self, object: &K, repository: &str, number: Option<i64>) {
        let record = ingest::newest_event(object);
        let (Some(record), Some(number), Some(namespace)) = (record, number, &object.meta().namespace) else {
            return;
        };
        let known = self.common.objects.repositories.get(namespace, repository);
        if let Some(name) = known.and_then(|known| known.spec.repository.parse::<RepositoryName>().ok()) {
            self.freshness.observe(&name, number, record);
        }
    }
}
