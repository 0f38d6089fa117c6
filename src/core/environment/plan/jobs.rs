//! Jobs. Kubernetes rejects changes of a Job's pod template, so Matinee deletes and recreates a Job
//! whose content has changed. A Job that finished and was deleted, for example by its TTL, has done
//! its work for the revision.

use kube::api::DynamicObject;
use serde_json::{Map, Value};

use super::object::{digest_of, group_of, kind_of};
use crate::api::{ANNOTATION_DIGEST, ANNOTATION_FIXED_DIGEST, FinishedJob, LABEL_ENVIRONMENT_UID, Revision};

/// Immutable fields of a Job's spec. All others (`parallelism`, `suspend`,
/// `ttlSecondsAfterFinished` and others) can change.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/>
const FIXED: [&str; 9] = [
    "backoffLimitPerIndex",
    "completionMode",
    "completions",
    "managedBy",
    "manualSelector",
    "podFailurePolicy",
    "selector",
    "successPolicy",
    "template",
];

/// Returns the digest of a Job's immutable fields; `None` for every other kind.
pub(super) fn fixed_digest(group: &str, kind: &str, object: &Map<String, Value>) -> Option<String> {
    if (group, kind) != ("batch", "Job") {
        return None;
    }
    let spec = object.get("spec").and_then(Value::as_object);
    let fixed: Map<String, Value> = FIXED
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), spec?.get(field)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    digest_of(Value::Object(fixed)).ok()
}

/// Whether an object is a Job.
pub fn is_job(object: &DynamicObject) -> bool {
    (group_of(object), kind_of(object)) == ("batch", "Job")
}

/// Whether the live object is a Job of this environment that an update can't turn into the planned
/// one.
pub(super) fn must_be_replaced(planned: &DynamicObject, live: &DynamicObject) -> bool {
    let fixed = |object: &DynamicObject| annotation(object, ANNOTATION_FIXED_DIGEST);
    is_job(planned)
        && of_same_environment(planned, live)
        && fixed(live).is_some_and(|live| fixed(planned).is_some_and(|planned| planned != live))
}

/// Whether Matinee may delete and recreate a Job when the API server rejects its update. An older
/// Matinee applied such a Job, without the digest of the immutable fields. The Job must belong to
/// the environment and have the content of another revision. Matinee never reruns a Job because of
/// drift.
pub fn may_be_replaced(planned: &DynamicObject, live: &DynamicObject) -> bool {
    is_job(planned)
        && of_same_environment(planned, live)
        && annotation(live, ANNOTATION_DIGEST) != annotation(planned, ANNOTATION_DIGEST)
}

fn of_same_environment(planned: &DynamicObject, live: &DynamicObject) -> bool {
    let owner = |object: &DynamicObject| object.metadata.labels.as_ref()?.get(LABEL_ENVIRONMENT_UID).cloned();
    owner(planned).is_some() && owner(planned) == owner(live)
}

fn annotation(object: &DynamicObject, name: &str) -> Option<String> {
    object.metadata.annotations.as_ref()?.get(name).cloned()
}

/// Result of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It completed.
    Complete,
    /// It failed, for this reason.
    Failed(String),
}

/// Returns the result of a Job; `None` while it runs, and for other kinds.
pub fn end_of(live: &DynamicObject) -> Option<JobEnd> {
    if !is_job(live) {
        return None;
    }
    let conditions = live.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().filter(|condition| condition["status"] == "True").find_map(|condition| {
        match condition["type"].as_str()? {
            "Complete" => Some(JobEnd::Complete),
            "Failed" => Some(JobEnd::Failed(condition["reason"].as_str().unwrap_or("Failed").to_owned())),
            _ => None,
        }
    })
}

/// Returns the record of a Job that finished.
pub fn finished(end: JobEnd, digest: &str, revision: &Revision) -> FinishedJob {
    FinishedJob {
        sha: revision.sha.clone(),
        deployment_id: revision.deployment_id,
        digest: digest.to_owned(),
        failure: match end {
            JobEnd::Complete => None,
            JobEnd::Failed(reason) => Some(reason),
        },
    }
}

/// Whether the planned Job has already finished for this revision.
pub fn is_finished(record: Option<&FinishedJob>, planned: &DynamicObject, revision: &Revision) -> bool {
    record.is_some_and(|record| {
        is_job(planned)
            && record.sha == revision.sha
            && record.deployment_id == revision.deployment_id
            && annotation(planned, ANNOTATION_DIGEST).as_deref() == Some(record.digest.as_str())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::plan_of;
    use super::*;

    fn job(spec: &str) -> DynamicObject {
        let yaml = format!("{{apiVersion: batch/v1, kind: Job, metadata: {{name: migrate}}, spec: {spec}}}");
        plan_of(&[&yaml]).unwrap().resources.remove(0)
    }

    fn running(image: &str) -> DynamicObject {
        job(&format!("{{template: {{spec: {{containers: [{{image: '{image}'}}]}}}}}}"))
    }

    fn revision(deployment_id: i64) -> Revision {
        Revision {
            sha: "a".repeat(40),
            deployment_id: Some(deployment_id),
            payload: None,
            parameters: Vec::new(),
        }
    }

    #[test]
    fn a_job_with_another_pod_template_is_replaced() {
        assert!(must_be_replaced(&running("app:2"), &running("app:1")));
        assert!(!must_be_replaced(&running("app:1"), &running("app:1")));
        let with = |field: &str| job(&format!("{{template: {{spec: {{containers: []}}}}, {field}}}"));
        assert!(must_be_replaced(&with("completions: 3"), &with("completions: 2")));
    }

    #[test]
    fn a_job_with_a_field_that_can_change_is_not_replaced() {
        let with = |field: &str| job(&format!("{{template: {{spec: {{containers: []}}}}, {field}}}"));
        for field in [
            "parallelism: 2",
            "suspend: true",
            "ttlSecondsAfterFinished: 60",
            "activeDeadlineSeconds: 60",
            "backoffLimit: 1",
        ] {
            assert!(!must_be_replaced(&with(field), &with("completions: null")), "{field}");
        }
    }

    #[test]
    fn only_jobs_of_the_same_environment_are_replaced() {
        let mut foreign = running("app:1");
        foreign.metadata.labels.as_mut().unwrap().remove(LABEL_ENVIRONMENT_UID);
        assert!(!must_be_replaced(&running("app:2"), &foreign));
        assert!(!may_be_replaced(&running("app:2"), &foreign));
        let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {replicas: 1}}";
        let deployment = plan_of(&[deployment]).unwrap().resources.remove(0);
        assert!(!may_be_replaced(&deployment, &running("app:1")));
    }

    #[test]
    fn rejected_job_update_replaces_the_job_unless_only_drifted() {
        let mut old = running("app:1");
        old.metadata.annotations.as_mut().unwrap().remove(ANNOTATION_FIXED_DIGEST);
        assert!(!must_be_replaced(&running("app:2"), &old));
        assert!(may_be_replaced(&running("app:2"), &old));
        assert!(!may_be_replaced(&running("app:1"), &old));
    }

    #[test]
    fn finished_job_belongs_to_its_revision_and_content() {
        let mut live = running("app:1");
        assert_eq!(end_of(&live), None);
        let ended = |kind: &str| json!({"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]});
        live.data["status"] = ended("FailureTarget");
        assert_eq!(end_of(&live), None);
        live.data["status"] = ended("Failed");
        assert_eq!(end_of(&live), Some(JobEnd::Failed("BackoffLimitExceeded".to_owned())));
        live.data["status"] = ended("Complete");
        assert_eq!(end_of(&live), Some(JobEnd::Complete));

        let digest = annotation(&live, ANNOTATION_DIGEST).unwrap();
        let record = finished(JobEnd::Complete, &digest, &revision(1));
        assert!(is_finished(Some(&record), &running("app:1"), &revision(1)));
        assert!(!is_finished(Some(&record), &running("app:2"), &revision(1)), "another content");
        assert!(!is_finished(Some(&record), &running("app:1"), &revision(2)), "another deployment");
        assert!(!is_finished(None, &running("app:1"), &revision(1)), "it never finished");
    }
}
