//! Enqueues objects when another object on which they depend has changed.

use std::sync::{Arc, OnceLock, Weak};

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use super::Context;
use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::controllers::runner::Poke;
use crate::core::deployment::gates::supersession;

/// Queues of all kinds.
pub(super) struct Pokes {
    pub(super) classes: Poke<PreviewClass>,
    pub(super) templates: Poke<PreviewTemplate>,
    pub(super) environments: Poke<PreviewEnvironment>,
    pub(super) requests: Poke<DeploymentRequest>,
    pub(super) repositories: Poke<PreviewRepository>,
    pub(super) commands: Poke<DeploymentCommand>,
}

impl Pokes {
    /// Enqueues all objects.
    pub(super) fn everything(&self, context: &Context) {
        self.classes.all(&context.classes);
        self.templates.all(&context.templates);
        self.repositories.all(&context.repositories);
        self.requests.all(&context.requests);
        self.commands.all(&context.commands);
        self.environments.all(&context.environments);
    }

    /// Enqueues a PreviewRepository and all objects that refer to it.
    pub(super) fn all_of(&self, context: &Context, repository: &PreviewRepository) {
        self.repositories.object(repository);
        let (namespace, name) = (repository.namespace(), repository.name_any());
        for environment in context
            .environments
            .state_filter(|one| one.namespace() == namespace && one.spec.repository_ref.name == name)
        {
            self.environments.object(&environment);
        }
        for request in context
            .requests
            .state_filter(|one| one.namespace() == namespace && one.spec.repository_ref.name == name)
        {
            self.requests.object(&request);
        }
    }
}

impl Pokes {
    /// Cancels the writes of a request that was deleted, and enqueues the requests that a new one
    /// may supersede, so that their waiting deployments aren't created.
    pub(super) fn of_request(&self, context: &Context, request: &DeploymentRequest) {
        let is_there = context
            .requests
            .get(&ObjectRef::from_obj(request))
            .is_some_and(|known| known.metadata.uid == request.metadata.uid);
        if !is_there {
            context.writes.forget_request(request);
        }
        for reference in context.writes.deployments.under_way() {
            let Some(other) = context.requests.get(&reference) else { continue };
            let is_rival = other.metadata.uid != request.metadata.uid
                && other.namespace() == request.namespace()
                && supersession::have_same_environment(&other.spec, &request.spec);
            if is_rival {
                self.requests.object(&other);
            }
        }
    }
}

/// The context, for the watches' callbacks. It is set later, because the context contains the
/// stores that the watches fill.
#[derive(Default)]
pub(super) struct Late(OnceLock<(Weak<Context>, Pokes)>);

impl Late {
    pub(super) fn set(&self, context: &Arc<Context>, pokes: Pokes) {
        self.0.set((Arc::downgrade(context), pokes)).ok();
    }

    pub(super) fn with(&self, act: impl FnOnce(&Arc<Context>, &Pokes)) {
        if let Some((context, pokes)) = self.0.get()
            && let Some(context) = context.upgrade()
        {
            act(&context, pokes);
        }
    }
}
