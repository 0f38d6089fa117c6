//! Queues of objects to reconcile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::Resource;
use kube::runtime::reflector::{Lookup, ObjectRef};

use crate::api::{
    DeploymentCommand, DeploymentRequest, PreviewClass, PreviewEnvironment, PreviewRepository,
    PreviewTemplate,
};
use crate::metrics::{Controller, Metrics};

/// Enqueues objects of one kind. It is closed until this replica leads: a replica that doesn't lead
/// runs no reconciles. An object that is already in the queue isn't added twice.
pub struct Queue<K: Resource<DynamicType = ()>>(Arc<Shared<K>>);

struct Shared<K: Resource<DynamicType = ()>> {
    sender: OnceLock<UnboundedSender<ObjectRef<K>>>,
    waiting: Arc<Waiting>,
}

/// The enqueued objects, for the runner.
pub struct Queued<K: Resource<DynamicType = ()>> {
    pub(super) receiver: UnboundedReceiver<ObjectRef<K>>,
    pub(super) waiting: Arc<Waiting>,
}

impl<K: Resource<DynamicType = ()>> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Resource<DynamicType = ()>> Default for Queue<K> {
    fn default() -> Self {
        Self(Arc::new(Shared { sender: OnceLock::new(), waiting: Arc::default() }))
    }
}

impl<K: Resource<DynamicType = ()>> Queue<K> {
    /// Opens the queue. Returns its other end; `None` if it is open already.
    pub fn open(&self) -> Option<Queued<K>> {
        let (sender, receiver) = unbounded();
        self.0.sender.set(sender).ok()?;
        Some(Queued { receiver, waiting: Arc::clone(&self.0.waiting) })
    }

    /// Enqueues an object.
    pub fn enqueue(&self, object: &K) {
        self.send(ObjectRef::from_obj(object));
    }

    /// Enqueues the object of that name.
    pub fn enqueue_named(&self, namespace: &str, name: &str) {
        self.send(ObjectRef::new(name).within(namespace));
    }

    /// Enqueues all of these objects.
    pub fn enqueue_all(&self, objects: &[Arc<K>]) {
        for object in objects {
            self.enqueue(object);
        }
    }

    fn send(&self, object: ObjectRef<K>) {
        let Some(sender) = self.0.sender.get() else { return };
        self.0.waiting.asked(object.namespace.as_deref(), &object.name);
        // The receiver is dropped only when the process ends.
        sender.unbounded_send(object).ok();
    }
}

/// The queues of all controllers.
#[derive(Default)]
pub struct Queues {
    /// Of classes.
    pub classes: Queue<PreviewClass>,
    /// Of templates.
    pub templates: Queue<PreviewTemplate>,
    /// Of PreviewRepositories.
    pub repositories: Queue<PreviewRepository>,
    /// Of requests.
    pub requests: Queue<DeploymentRequest>,
    /// Of commands.
    pub commands: Queue<DeploymentCommand>,
    /// Of environments.
    pub environments: Queue<PreviewEnvironment>,
}

/// Objects in the queue, without those being reconciled. They are counted once the runner works.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Line>);

#[derive(Default)]
struct Line {
    /// By namespace and name.
    objects: HashSet<(Option<String>, String)>,
    shown: Option<(Controller, Metrics)>,
}

impl Waiting {
    fn change(&self, change: impl FnOnce(&mut Line)) {
        if let Ok(mut line) = self.0.lock() {
            change(&mut line);
            if let Some((controller, metrics)) = &line.shown {
                metrics.reconcile_queue(*controller, line.objects.len());
            }
        }
    }

    fn asked(&self, namespace: Option<&str>, name: &str) {
        self.change(|line| {
            line.objects.insert((namespace.map(str::to_owned), name.to_owned()));
        });
    }

    /// Records that the object's reconcile started, or that it has been deleted.
    pub(super) fn done<K: Lookup>(&self, object: &ObjectRef<K>) {
        self.change(|line| {
            line.objects.remove(&(object.namespace.clone(), object.name.clone()));
        });
    }

    pub(super) fn show(&self, controller: Controller, metrics: &Metrics) {
        self.change(|line| line.shown = Some((controller, metrics.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_waits_once_until_its_reconcile_begins() {
        let metrics = Metrics::default();
        let depth = || {
            let text = metrics.encode().unwrap();
            let series = "matinee_reconcile_queue_depth{controller=\"previewclass\"} ";
            text.lines().find_map(|line| line.strip_prefix(series)?.parse::<u32>().ok())
        };
        let queue = Queue::<PreviewClass>::default();
        queue.enqueue_named("", "dropped, since another replica leads");
        let queued = queue.open().unwrap();
        assert!(queue.open().is_none());
        queue.enqueue_named("", "a");
        assert_eq!(depth(), None, "nobody drives yet");
        queued.waiting.show(Controller::PreviewClass, &metrics);
        assert_eq!(depth(), Some(1));
        queue.enqueue_named("", "a");
        queue.enqueue_named("", "b");
        assert_eq!(depth(), Some(2));
        queued.waiting.done(&ObjectRef::<PreviewClass>::new("a").within(""));
        assert_eq!(depth(), Some(1));
    }
}
