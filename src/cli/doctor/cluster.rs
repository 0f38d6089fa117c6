//! Reads the definitions, the rights and the operator's state.

use std::iter::zip;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::{Api, ResourceExt as _};

use super::Flags;
use super::reader::Reader;
use crate::api::custom_resource_definitions;
use crate::core::doctor::rbac::{self, Own, Reviewed};
use crate::core::doctor::{Finding, Subject, Unread, crds, operator as judge};
use crate::core::environment::plan::DEPLOYER;
use crate::settings;

/// Maximum number of concurrent access reviews.
const AT_ONCE: usize = 16;

/// Returns the user as which the API server authenticates this account.
pub(super) async fn user(reader: &Reader) -> Option<String> {
    reader.review(&SelfSubjectReview::default()).await.ok()??.status?.user_info?.username
}

/// Checks the definitions, in the order in which people read them.
pub(super) async fn definitions(reader: &Reader) -> Vec<Finding> {
    let own = custom_resource_definitions();
    let api = Api::all(reader.client.clone());
    let seen = join_all(own.iter().map(async |crd| reader.get(api.clone(), &crd.name_any()).await)).await;
    zip(&own, seen).map(|(own, seen)| crds::check(own, &seen)).collect()
}

/// Checks the rights of the operator's account. If this is the operator's account, it reviews its
/// own access.
pub(super) async fn rights(
    reader: &Reader,
    own: &Own<'_>,
    account: &str,
    user: Option<&str>,
) -> Vec<Finding> {
    let account = format!("system:serviceaccount:{}:{account}", reader.namespace);
    let other = (user != Some(account.as_str())).then_some(account.as_str());
    let needed = reviewed(reader, rbac::needed(own), other);
    let access = tokio::try_join!(needed, reviewed(reader, rbac::excess(own), other));
    rbac::check(&account, &reader.namespace, &access)
}

/// Adds to each right whether the account has it; `None` stands for this account.
async fn reviewed(
    reader: &Reader,
    rights: Vec<ResourceAttributes>,
    account: Option<&str>,
) -> Result<Reviewed, Unread> {
    let reviews = stream::iter(rights).map(async |right| {
        let is_allowed = is_allowed(reader, &right, account).await?;
        Ok((right, is_allowed))
    });
    reviews.buffered(AT_ONCE).try_collect().await
}

async fn is_allowed(
    reader: &Reader,
    right: &ResourceAttributes,
    account: Option<&str>,
) -> Result<bool, Unread> {
    let resource_attributes = Some(right.clone());
    let status = if let Some(account) = account {
        let namespace = format!("system:serviceaccounts:{}", reader.namespace);
        let groups = vec!["system:serviceaccounts".to_owned(), namespace, "system:authenticated".to_owned()];
        let (user, groups) = (Some(account.to_owned()), Some(groups));
        let spec = SubjectAccessReviewSpec { resource_attributes, user, groups, ..Default::default() };
        let review = SubjectAccessReview { spec, ..Default::default() };
        reader.review(&review).await?.and_then(|review| review.status)
    } else {
        let spec = SelfSubjectAccessReviewSpec { resource_attributes, ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        reader.review(&review).await?.and_then(|review| review.status)
    };
    Ok(status.is_some_and(|status| status.allowed))
}

/// Checks the operator itself.
pub(super) async fn operator(reader: &Reader, flags: &Flags) -> Vec<Finding> {
    let namespace = &reader.namespace;
    let role = judge::deployer_role(&reader.get(Api::all(reader.client.clone()), DEPLOYER).await);
    let lease = match flags.lease_name.trim() {
        "" => Subject::new("Lease").skipped("not checked: leader election is off (--lease-name is empty)"),
        name => {
            let now = reader.time().await.unwrap_or_else(Timestamp::now);
            judge::lease(namespace, name, &reader.own(name).await, now)
        }
    };
    let drain = match settings::set(flags.config_map.as_ref()) {
        None => Subject::new("ConfigMap").skipped(
            "not checked: without --config-map, drain mode and the right to read the settings are unknown",
        ),
        Some(name) => judge::drain(namespace, name, &reader.own(name).await),
    };
    vec![role, lease, drain]
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::core::doctor::Verdict;

    type Calls = Arc<Mutex<Vec<(String, Value)>>>;

    /// Returns a reader of an API server that answers with these functions, and the requests that
    /// it receives.
    fn reader(answer: fn(&str, &Value) -> (StatusCode, Value)) -> (Reader, Calls) {
        let calls = Calls::default();
        let received = Arc::clone(&calls);
        let service = tower::service_fn(move |request: Request<Body>| {
            let received = Arc::clone(&received);
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect_bytes().await?;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (status, value) = answer(&path, &body);
                received.lock().unwrap().push((path, body));
                let response =
                    Response::builder().status(status).body(Body::from(value.to_string().into_bytes()));
                Ok::<_, tower::BoxError>(response?)
            }
        });
        (Reader { client: Client::new(service, "default"), namespace: "m".to_owned() }, calls)
    }

    fn forbidden() -> (StatusCode, Value) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
        (StatusCode::FORBIDDEN, status)
    }

    fn allow_all_but_secrets(_: &str, body: &Value) -> (StatusCode, Value) {
        let attributes = &body["spec"]["resourceAttributes"];
        let allowed = attributes["resource"] != "secrets" && attributes["name"] != "cluster-admin";
        (StatusCode::CREATED, json!({"status": {"allowed": allowed}}))
    }

    #[tokio::test]
    async fn rights_of_another_account_are_reviewed_with_its_groups() {
        let (reader, calls) = reader(allow_all_but_secrets);
        let own = Own { namespace: "m", secrets: vec!["github"], ..Own::default() };
        let findings = rights(&reader, &own, "matinee", Some("admin")).await;
        assert_eq!(findings[0].verdict, Verdict::Problem);
        assert_eq!(
            findings[0].message,
            "system:serviceaccount:m:matinee can't get secrets \"github\" in namespace m"
        );
        assert!(findings[1].message.contains("create pods in namespace m"), "{findings:?}");
        assert!(!findings[1].message.contains("secrets"), "{findings:?}");
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), rbac::needed(&own).len() + rbac::excess(&own).len());
        let (path, body) = &calls[0];
        assert_eq!(path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
        assert_eq!(body["kind"], "SubjectAccessReview");
        assert_eq!(body["spec"]["user"], "system:serviceaccount:m:matinee");
        let groups = ["system:serviceaccounts", "system:serviceaccounts:m", "system:authenticated"];
        assert_eq!(body["spec"]["groups"], json!(groups));
    }

    #[tokio::test]
    async fn the_operators_account_reviews_its_own_rights() {
        let (reader, calls) = reader(allow_all_but_secrets);
        let own = Own { namespace: "m", ..Own::default() };
        let findings = rights(&reader, &own, "matinee", Some("system:serviceaccount:m:matinee")).await;
        assert_eq!(findings[0].verdict, Verdict::Ok, "{findings:?}");
        for (path, body) in calls.lock().unwrap().iter() {
            assert_eq!(path, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
            assert_eq!(body["spec"].get("user"), None);
        }
    }

    #[tokio::test]
    async fn an_account_without_the_right_to_review_is_told_so() {
        let (reader, _) = reader(|_, _| forbidden());
        let findings = rights(&reader, &Own::default(), "matinee", Some("jane")).await;
        assert_eq!((findings.len(), findings[0].verdict), (1, Verdict::Skipped));
        assert_eq!(user(&reader).await, None);
    }

    #[tokio::test]
    async fn user_comes_from_the_api_server() {
        let (reader, calls) =
            reader(|_, _| (StatusCode::CREATED, json!({"status": {"userInfo": {"username": "jane"}}})));
        assert_eq!(user(&reader).await.as_deref(), Some("jane"));
        assert_eq!(calls.lock().unwrap()[0].0, "/apis/authentication.k8s.io/v1/selfsubjectreviews");
    }

    #[tokio::test]
    async fn each_definition_is_checked() {
        let (reader, calls) = reader(|_, _| forbidden());
        let findings = definitions(&reader).await;
        assert_eq!(findings.len(), 6);
        assert_eq!(
            (findings[0].verdict, findings[0].what.as_str()),
            (Verdict::Skipped, "previewclasses.matinee.dev")
        );
        let mut paths: Vec<String> = calls.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
        paths.sort();
        assert_eq!(
            paths[0],
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/deploymentcommands.matinee.dev"
        );
    }
}
