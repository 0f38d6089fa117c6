//! Custom resource definitions: whether they exist, are served, and match this program.

use std::cmp::Ordering;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;

use super::{Finding, Looked, Subject};
use crate::api::{ANNOTATION_SCHEMA_DIGEST, ANNOTATION_VERSION, VERSION};

/// Remedy that updates the cluster's definitions to this program's version.
const REMEDY: &str =
    "`helm upgrade` to this version, or `matinee crds | kubectl apply --server-side --force-conflicts -f -`";

/// Compares a definition in the cluster with this program's own.
pub fn check(own: &CustomResourceDefinition, crd: &Looked<CustomResourceDefinition>) -> Finding {
    let subject = Subject::new(own.name_any());
    let crd = match subject.require(crd, "not installed", REMEDY) {
        Ok(crd) => crd,
        Err(finding) => return finding,
    };
    let conditions = || crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if !conditions().any(|one| one.type_ == "Established" && one.status == "True") {
        let is_cause = |one: &str| ["NamesAccepted", "Established"].contains(&one);
        let cause = conditions().find(|one| is_cause(&one.type_) && one.status != "True");
        let why = cause.and_then(|one| one.message.as_deref()).unwrap_or("no condition says why");
        return subject.problem(
            format!("not established: {why}"),
            "see `kubectl describe crd`, and delete the definition that has the same names",
        );
    }
    if !crd.spec.versions.iter().any(|version| version.name == VERSION && version.served) {
        return subject.problem(format!("doesn't serve {VERSION}"), REMEDY);
    }
    compare(&subject, own, crd)
}

/// Compares the digests of the schemas. If they differ, the versions tell which one is older.
fn compare(subject: &Subject, own: &CustomResourceDefinition, crd: &CustomResourceDefinition) -> Finding {
    let annotation =
        |of: &CustomResourceDefinition, name| of.annotations().get(name).cloned().unwrap_or_default();
    if annotation(crd, ANNOTATION_SCHEMA_DIGEST) == annotation(own, ANNOTATION_SCHEMA_DIGEST) {
        return subject.ok("served, with this program's schema");
    }
    let (ours, theirs) = (annotation(own, ANNOTATION_VERSION), annotation(crd, ANNOTATION_VERSION));
    match numbers(&theirs).cmp(&numbers(&ours)) {
        Ordering::Less if theirs.is_empty() => {
            subject.problem("from another version of Matinee, or another source: it names no version", REMEDY)
        }
        Ordering::Less => subject.problem(
            format!("from Matinee {theirs}, older than this program ({ours}): fields may be missing"),
            REMEDY,
        ),
        Ordering::Equal => subject.problem(
            format!("from another build of Matinee {theirs}: its schema differs from this program's"),
            REMEDY,
        ),
        Ordering::Greater => subject.warning(
            format!("from Matinee {theirs}, newer than this program ({ours})"),
            format!("upgrade the operator, and this program, to {theirs}"),
        ),
    }
}

/// Returns the numbers of a version, such as 1, 2 and 3 of `1.2.3-rc.1`.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinitionCondition, CustomResourceDefinitionStatus,
    };

    use super::super::{Unread, Verdict};
    use super::*;
    use crate::api::custom_resource_definitions;

    fn own() -> CustomResourceDefinition {
        custom_resource_definitions().remove(0)
    }

    fn established(status: &str, message: Option<&str>) -> CustomResourceDefinition {
        let condition = CustomResourceDefinitionCondition {
            type_: "Established".into(),
            status: status.into(),
            message: message.map(str::to_owned),
            ..CustomResourceDefinitionCondition::default()
        };
        let conditions = Some(vec![condition]);
        let status =
            CustomResourceDefinitionStatus { conditions, ..CustomResourceDefinitionStatus::default() };
        CustomResourceDefinition { status: Some(status), ..own() }
    }

    fn found(crd: CustomResourceDefinition) -> Finding {
        check(&own(), &Ok(Some(crd)))
    }

    #[test]
    fn the_same_schema_is_ok_from_any_version() {
        let mut crd = established("True", None);
        crd.annotations_mut().insert(ANNOTATION_VERSION.into(), "0.0.1".into());
        let finding = found(crd);
        assert_eq!((finding.verdict, finding.what.as_str()), (Verdict::Ok, "previewclasses.matinee.dev"));
        assert_eq!(finding.message, "served, with this program's schema");
    }

    #[test]
    fn another_schema_is_judged_by_its_version() {
        let from = |version: Option<&str>| {
            let mut crd = established("True", None);
            crd.annotations_mut().insert(ANNOTATION_SCHEMA_DIGEST.into(), "0123456789abcdef".into());
            crd.annotations_mut().remove(ANNOTATION_VERSION);
            crd.annotations_mut()
                .extend(version.map(|version| (ANNOTATION_VERSION.into(), version.to_owned())));
            found(crd)
        };
        let own = env!("CARGO_PKG_VERSION");
        for (version, verdict, message) in [
            (None, Verdict::Problem, "it names no version"),
            (Some("0.0.9"), Verdict::Problem, "from Matinee 0.0.9, older than this program"),
            (Some(own), Verdict::Problem, "its schema differs from this program's"),
            (Some("100.0.0-rc.1"), Verdict::Warning, "from Matinee 100.0.0-rc.1, newer than this program"),
        ] {
            let finding = from(version);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.message.contains(message), "{finding:?}");
        }
        assert!(from(Some("0.0.9")).remedy.unwrap().contains("helm upgrade"));
        assert!(from(Some("100.0.0")).remedy.unwrap().contains("upgrade the operator"));
    }

    #[test]
    fn a_missing_definition_is_a_problem() {
        let finding = check(&own(), &Ok(None));
        assert_eq!((finding.verdict, finding.message.as_str()), (Verdict::Problem, "not installed"));
        assert!(finding.remedy.unwrap().contains("kubectl apply --server-side"));
    }

    #[test]
    fn a_definition_that_is_not_established_names_the_cause() {
        let finding = found(established("False", Some("\"pclass\" is already in use")));
        assert_eq!(finding.verdict, Verdict::Problem);
        assert_eq!(finding.message, "not established: \"pclass\" is already in use");
        assert!(found(own()).message.contains("no condition says why"));
    }

    #[test]
    fn a_definition_without_the_served_version_is_a_problem() {
        let mut crd = established("True", None);
        crd.spec.versions[0].served = false;
        assert_eq!(found(crd).message, "doesn't serve v1alpha1");
    }

    #[test]
    fn account_without_right_to_read_definitions_is_told_so() {
        assert_eq!(check(&own(), &Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }
}
