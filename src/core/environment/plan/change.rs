//! Decides how to bring one object from its live to its planned state.

use kube::api::DynamicObject;

use super::jobs;
use super::object::unchanged;

/// Next step for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the object is as it was applied.
    Nothing,
    /// Nothing: the object is a Job that finished for this revision and has been deleted since.
    Finished,
    /// Apply it: it doesn't exist, or its content was different.
    Apply,
    /// Apply it again: another client changed it.
    Correct,
    /// Delete and recreate it: it is a Job, whose pod template can't be changed.
    Replace,
    /// Wait: it is a Job to replace, and its deletion is in progress.
    Await,
}

/// Decides about one object. `kept`: no other client has changed the live object since it was
/// applied. `finished`: it is a Job that finished for this revision.
pub fn change(planned: &DynamicObject, live: Option<&DynamicObject>, kept: bool, finished: bool) -> Change {
    let Some(live) = live else { return if finished { Change::Finished } else { Change::Apply } };
    let deleted = live.metadata.deletion_timestamp.is_some();
    if unchanged(planned, live) {
        return match (kept, deleted && jobs::is_job(planned)) {
            // Wait for its deletion: a change would be lost.
            (true, _) | (_, true) => Change::Nothing,
            (false, false) => Change::Correct,
        };
    }
    match (jobs::must_be_replaced(planned, live), deleted) {
        (true, true) => Change::Await,
        (true, false) => Change::Replace,
        (false, _) => Change::Apply,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::super::tests::plan_of;
    use super::*;

    fn object(yaml: &str) -> DynamicObject {
        plan_of(&[yaml]).unwrap().resources.remove(0)
    }

    fn job(image: &str) -> DynamicObject {
        object(&format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: x}}, spec: {{template: {{spec: {{containers: [{{image: {image}}}]}}}}}}}}"
        ))
    }

    fn deleted(mut object: DynamicObject) -> DynamicObject {
        object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        object
    }

    #[test]
    fn unchanged_object_is_not_written() {
        let map = |data: &str| {
            object(&format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x}}, data: {{a: {data}}}}}"
            ))
        };
        assert_eq!(change(&map("b"), Some(&map("b")), true, false), Change::Nothing);
        assert_eq!(change(&map("b"), Some(&map("b")), false, false), Change::Correct);
        assert_eq!(change(&map("c"), Some(&map("b")), true, false), Change::Apply);
        assert_eq!(change(&map("b"), None, true, false), Change::Apply);
    }

    #[test]
    fn job_of_an_earlier_revision_is_replaced_after_its_deletion() {
        assert_eq!(change(&job("b"), Some(&job("a")), true, false), Change::Replace);
        assert_eq!(change(&job("b"), Some(&deleted(job("a"))), true, false), Change::Await);
        assert_eq!(change(&job("b"), None, true, false), Change::Apply);
        assert_eq!(change(&job("b"), Some(&job("b")), true, false), Change::Nothing);
    }

    #[test]
    fn a_finished_job_that_is_gone_stays_gone() {
        assert_eq!(change(&job("a"), None, true, true), Change::Finished);
        assert_eq!(change(&job("a"), Some(&deleted(job("a"))), false, true), Change::Nothing);
    }
}
