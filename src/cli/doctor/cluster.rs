//! Reads the API server's version, the definitions, the rights and the operator's state.

use futures::future::join_all;
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::Flags;
use super::reader::Reader;
use crate::api::{GROUP, VERSION, custom_resource_definitions};
use crate::core::doctor::definitions::{self, Seen};
use crate::core::doctor::kubernetes::Server;
use crate::core::doctor::rights::{self, Asked, Own, Place, Right};
use crate::core::doctor::{Finding, Looked, Unread, operator as judge};
use crate::core::environment::plan::DEPLOYER;
use crate::settings;

/// Maximum number of concurrent access reviews.
const AT_ONCE: usize = 16;

/// Returns the API server's version and time.
pub(super) async fn server(reader: &Reader) -> Result<Server, String> {
    let (info, date): (Info, _) = reader.dated("/version").await?;
    let clock = date.and_then(|date| Some(jiff::fmt::rfc2822::parse(&date).ok()?.timestamp()));
    Ok(Server { major: info.major, minor: info.minor, version: info.git_version, clock })
}

/// Returns the user as which the API server authenticates this account.
pub(super) async fn user(reader: &Reader) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(reader.client.clone());
    let review = reader.ask(&reviews, &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

/// Checks the definitions, in the order in which people read them.
pub(super) async fn definitions(reader: &Reader) -> Vec<Finding> {
    let own = custom_resource_definitions();
    let api: Api<CustomResourceDefinition> = Api::all(reader.client.clone());
    let seen = join_all(own.iter().map(|crd| {
        let api = api.clone();
        async move { reader.get(api, &crd.name_any()).await }
    }))
    .await;
    let hidden = seen.iter().any(|one| matches!(one, Err(Unread::Forbidden)));
    let published = if hidden { published(reader).await } else { Ok(None) };
    let findings = own.iter().zip(seen).map(|(own, seen)| {
        let seen = match seen {
            Ok(seen) => Ok(seen.map(|crd| Seen::Whole(Box::new(crd)))),
            Err(Unread::Forbidden) => of_kind(&published, &own.spec.names.kind),
            Err(other) => Err(other),
        };
        definitions::check(own, &seen)
    });
    findings.collect()
}

/// Returns the published schema of the group, which every account may read.
async fn published(reader: &Reader) -> Looked<Value> {
    reader.path(&format!("/openapi/v3/apis/{GROUP}/{VERSION}")).await.map(Some)
}

fn of_kind(published: &Looked<Value>, kind: &str) -> Looked<Seen> {
    let Some(document) = published.as_ref().map_err(Clone::clone)? else { return Ok(None) };
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        kinds.into_iter().any(|one| one["group"] == GROUP && one["kind"] == kind)
    };
    let found = document["components"]["schemas"].as_object().and_then(|all| all.values().find(is_it));
    Ok(found.map(|schema| Seen::Published(schema.clone())))
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
    let itself = user == Some(account.as_str());
    let rights: Vec<Right<'_>> = rights::needed(own).into_iter().chain(rights::UNNEEDED).collect();
    let for_whom = (!itself).then_some(&account);
    let asking: Vec<_> = rights.iter().map(|right| is_allowed(reader, right, for_whom).boxed()).collect();
    let answers: Vec<Result<bool, Unread>> = stream::iter(asking).buffered(AT_ONCE).collect().await;
    let answers: Result<Vec<bool>, Unread> = answers.into_iter().collect();
    let asked = answers.map(|answers| {
        let answers = rights.iter().copied().zip(answers).collect();
        Asked { account: account.clone(), answers }
    });
    rights::check(&asked, &reader.namespace)
}

async fn is_allowed(reader: &Reader, right: &Right<'_>, account: Option<&String>) -> Result<bool, Unread> {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let attributes = ResourceAttributes {
        group: filled(right.group),
        resource: filled(right.resource),
        subresource: filled(right.subresource),
        verb: filled(right.verb),
        name: right.name.map(str::to_owned),
        namespace: (right.place == Place::OwnNamespace).then(|| reader.namespace.clone()),
        ..ResourceAttributes::default()
    };
    let resource_attributes = Some(attributes);
    let status = match account {
        None => {
            let spec =
                SelfSubjectAccessReviewSpec { resource_attributes, ..SelfSubjectAccessReviewSpec::default() };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            reader.ask(&Api::all(reader.client.clone()), &review).await?.status
        }
        Some(account) => {
            let spec = SubjectAccessReviewSpec {
                resource_attributes,
                user: Some(account.clone()),
                groups: Some(vec![
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{}", reader.namespace),
                    "system:authenticated".to_owned(),
                ]),
                ..SubjectAccessReviewSpec::default()
            };
            let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
            reader.ask(&Api::all(reader.client.clone()), &review).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}

/// Checks the operator itself. `now` is the time of the API server.
pub(super) async fn operator(reader: &Reader, flags: &Flags, now: Timestamp) -> Vec<Finding> {
    let Reader { client, namespace } = reader;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let mut findings = vec![judge::deployer_role(&reader.get(roles, DEPLOYER).await)];
    match flags.lease_name.trim() {
        "" => findings.push(Finding::skipped("Lease", "no leader election: --lease-name is empty")),
        name => {
            let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
            findings.push(judge::lease(namespace, name, &reader.get(leases, name).await, now));
        }
    }
    match settings::set(flags.config_map.as_ref()) {
        None => findings.push(Finding::skipped(
            "ConfigMap",
            "--config-map isn't said: nobody looked whether the operator drains, nor whether it may read its settings",
        )),
        Some(name) => {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            findings.push(judge::drain(namespace, name, &reader.get(maps, name).await));
        }
    }
    findings
}
