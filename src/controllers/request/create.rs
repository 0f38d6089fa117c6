//! The one call that isn't idempotent: the intent is recorded first, and whether the deployment exists already is asked every time.

use std::collections::BTreeMap;

use kube::ResourceExt as _;

use super::{Visit, record};
use crate::controllers::driver::Failure;
use crate::controllers::intake::Learned;
use crate::core::event::Event;
use crate::core::forge::{Deployment, NewDeployment};
use crate::core::gates::Evaluation;
use crate::core::payload::Mark;
use crate::core::report;

/// Finds the deployment of this request, or creates it.
pub(super) async fn create(
    visit: &Visit<'_>,
    reruns: i64,
    evaluation: &Evaluation,
) -> Result<Deployment, Failure> {
    let spec = &visit.request.spec;
    let uid = visit.request.uid().unwrap_or_default();
    let known = visit.request.status.as_ref().filter(|status| status.reruns == reruns);
    if known.is_none_or(|status| status.intent.is_none()) {
        record::intent(visit, reruns, evaluation).await?;
    }
    // Every run has a mark of its own, so that the deployment of an earlier run isn't taken for this one's.
    let mark = if reruns == 0 { uid } else { format!("{uid}.{reruns}") };
    let there = visit.forge.deployments(&visit.name, &visit.place, Some(&spec.sha)).await?;
    if let Some(ours) = there
        .into_iter()
        .find(|deployment| Mark::find(&deployment.payload).is_some_and(|found| found.request == mark))
    {
        return Ok(ours);
    }
    let number = spec.pull_request.as_ref().map(|reference| reference.number);
    let by = spec.requested_by.login.as_ref().map(|login| format!(" by {login}")).unwrap_or_default();
    let what = number.map_or_else(String::new, |number| format!(" for pull request {number}"));
    let parameters: BTreeMap<String, String> =
        spec.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.value.clone())).collect();
    let mark =
        Mark { cluster: visit.context.cluster_id.clone(), request: mark, pull_request: number, parameters };
    let new = NewDeployment {
        sha: spec.sha.clone(),
        environment: visit.place.clone(),
        description: report::description(&format!("Requested{by}{what}")),
        payload: mark.to_payload(),
        transient: number.is_some(),
        production: number.is_none() && visit.place.eq_ignore_ascii_case("production"),
    };
    Ok(visit.forge.create_deployment(&visit.name, &new).await?)
}

/// Has the deployment carried out, where Matinee does that.
pub(super) async fn carry_out(visit: &Visit<'_>, deployment: Deployment) -> Result<(), Failure> {
    let event = Event::Deployment { repository: visit.name.clone(), deployment };
    visit.context.reception.take_in(&event, Learned::Found).await?;
    Ok(())
}
