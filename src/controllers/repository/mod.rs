//! Reconciles a `PreviewRepository`: [`checks`] its configuration, and [`sweep`]s GitHub for events
//! that no webhook reported.

mod checks;
mod memory;
mod status;
mod sweep;
mod unreported;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::ResourceExt as _;
use kube::runtime::controller::Action;

pub use self::memory::Sweeps;
use self::status::Synced;
use super::ingest::EventIngest;
use crate::api::PreviewRepository;
use crate::core::conditions;
use crate::core::mistake::{Mistake, Reason};
use crate::ports::ForgeError;
use crate::runtime::common::Common;
use crate::runtime::failure::Failure;
use crate::runtime::publisher::Publisher;

/// Condition: the triggers and gates form no loop, and the environments to which they refer exist.
const PROMOTION_VALID: &str = "PromotionValid";
/// Condition: no other PreviewRepository has its environments.
const ACCEPTED: &str = "Accepted";
/// Condition: the last sweep could read GitHub.
pub(super) const SYNCED: &str = "Synced";
/// All conditions, in the order of the reconcile.
pub(super) const CONDITIONS: [&str; 6] =
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, PROMOTION_VALID, ACCEPTED, SYNCED];

/// Dependencies of the reconciles of PreviewRepositories.
pub struct RepositoryContext {
    pub(super) common: Arc<Common>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) ingest: Arc<EventIngest>,
    pub(super) sweeps: Arc<Sweeps>,
}

/// Reconciles a PreviewRepository, within the runner's limits.
pub fn reconcile(
    repository: Arc<PreviewRepository>,
    context: Arc<RepositoryContext>,
) -> BoxFuture<'static, Result<Action, Failure>> {
    async move { run(&context.common.objects.repositories.newest(repository), &context).await }.boxed()
}

async fn run(repository: &PreviewRepository, context: &RepositoryContext) -> Result<Action, Failure> {
    if repository.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let class = context.common.class_of(Some(repository)).await?;
    let checked = checks::check(repository, class.as_deref(), context).await?;
    let later = Ok(Action::requeue(context.common.settings.sweep_interval));
    let (synced, outcome) = match class.filter(|_| checked.class.is_ok()) {
        None => (Synced::Not, Ok(Action::await_change())),
        // While the operator drains, it would reject all events of a sweep.
        Some(_) if context.common.leadership.drains() => (Synced::Not, later),
        Some(class) => {
            let swept = sweep::sweep(repository, &class, checked.held.clone(), context).await;
            context.common.metrics.sweep(swept.is_ok(), context.common.clock.now());
            match swept {
                Ok(()) => (Synced::Done, later),
                Err(Failure::Forge(error)) if is_mistake(&error) => {
                    let message = format!("PreviewRepository {}: {error}", repository.name_any());
                    (Synced::Rejected(Mistake { reason: Reason::NotReadable, message }), later)
                }
                Err(failure) => (Synced::Interrupted(failure.trouble()), Err(failure)),
            }
        }
    };
    let is_said = status::record(repository, &checked, &synced, context).await?;
    outcome.map_err(|failure| if is_said { failure.reported() } else { failure })
}

/// Whether only a change on GitHub or to the Secret fixes the error.
fn is_mistake(error: &ForgeError) -> bool {
    matches!(
        error,
        ForgeError::Credentials(_)
            | ForgeError::Forbidden(_)
            | ForgeError::NotFound(_)
            | ForgeError::Invalid(_)
    )
}
