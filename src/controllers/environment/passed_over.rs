//! Deployments that came so fast that the environment's revision was replaced before it was reconciled: nothing else would ever report them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use kube::ResourceExt as _;

use crate::api::PreviewEnvironment;
use crate::controllers::Context;
use crate::core::environment::resolve::Admitted;
use crate::core::environment::status;
use crate::core::publish::deployment_status;
use crate::ports::ForgeError;

/// Most deployments of one environment whose state is asked for.
const MOST: usize = 50;
/// Time until GitHub is asked again when it didn't answer.
const AGAIN: Duration = Duration::from_secs(30);

/// Whether GitHub was asked what came before a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Not yet: the environment hasn't been admitted.
    Unasked,
    /// GitHub didn't answer.
    Missing,
    /// It did.
    Known,
}

/// Environments with a new revision, by UID. An environment stays here until its status says what came before.
#[derive(Default)]
pub struct Asked(Mutex<HashMap<String, Answer>>);

impl Asked {
    fn set(&self, uid: &str, answer: Answer) {
        if let Ok(mut known) = self.0.lock() {
            known.insert(uid.to_owned(), answer);
        }
    }

    fn has(&self, uid: &str) -> bool {
        self.0.lock().is_ok_and(|known| known.contains_key(uid))
    }

    /// The status says what was found. The time after which to ask again where GitHub didn't answer.
    pub(super) fn settle(&self, uid: &str) -> Option<Duration> {
        let mut known = self.0.lock().ok()?;
        let answer = *known.get(uid)?;
        if answer == Answer::Known {
            known.remove(uid);
        }
        (answer == Answer::Missing).then_some(AGAIN)
    }

    /// Forgets an environment that has been deleted.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.remove(uid);
        }
    }
}

/// Remembers an environment with a new revision before anything can go wrong: the status may be about the revision before GitHub is asked.
pub(super) fn note(environment: &PreviewEnvironment, context: &Context) {
    let uid = environment.uid().unwrap_or_default();
    let revision = &environment.spec.revision;
    let is_new = status::is_first_look(environment.status.as_ref(), revision);
    if revision.deployment_id.is_some() && is_new && !context.asked.has(&uid) {
        context.asked.set(&uid, Answer::Unasked);
    }
}

/// The earlier deployments of the environment that are in no part of its status and have come to no end, asked of GitHub once for each revision.
/// That GitHub doesn't answer holds nothing up.
pub(super) async fn find(
    environment: &PreviewEnvironment,
    admitted: &Admitted<'_>,
    context: &Context,
) -> Vec<i64> {
    let uid = environment.uid().unwrap_or_default();
    if !context.asked.has(&uid) {
        return Vec::new();
    }
    let found = ask(environment, admitted, context).await;
    context.asked.set(&uid, if found.is_ok() { Answer::Known } else { Answer::Missing });
    found.unwrap_or_else(|error| {
        let (namespace, name) = (environment.namespace(), environment.name_any());
        tracing::warn!(namespace, name, %error, "earlier deployments not read, will retry");
        Vec::new()
    })
}

async fn ask(
    environment: &PreviewEnvironment,
    admitted: &Admitted<'_>,
    context: &Context,
) -> Result<Vec<i64>, ForgeError> {
    let (forge, repository) = context.forge(admitted).await?;
    let recent = forge.recent_deployments(&repository).await?;
    let mut found = Vec::new();
    for id in
        deployment_status::passed_over(environment, &recent.items, &context.cluster_id).into_iter().take(MOST)
    {
        let state = forge.deployment_state(&repository, id).await?;
        if !deployment_status::is_settled(state.as_ref()) {
            found.push(id);
        }
    }
    Ok(found)
}
