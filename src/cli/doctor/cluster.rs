//! Reads the API server's version, the definitions, the rights and the operator's state.

use std::iter::zip;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::Flags;
use super::reader::Reader;
use crate::api::{GROUP, VERSION, custom_resource_definitions};
use crate::core::doctor::api_server::Server;
use crate::core::doctor::rbac::{self, Access, Own};
use crate::core::doctor::{Finding, Subject, Unread, crds, operator as judge};
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
    let answer = reader.review("authentication.k8s.io/v1", "SelfSubjectReview", json!({})).await.ok()?;
    answer["userInfo"]["username"].as_str().map(str::to_owned)
}

/// Checks the definitions, in the order in which people read them.
pub(super) async fn definitions(reader: &Reader) -> Vec<Finding> {
    let own = custom_resource_definitions();
    let api: Api<CustomResourceDefinition> = Api::all(reader.client.clone());
    let served = reader.kinds(&format!("/apis/{GROUP}/{VERSION}")).await;
    let seen = join_all(own.iter().map(async |crd| reader.get(api.clone(), &crd.name_any()).await)).await;
    zip(&own, seen).map(|(own, seen)| crds::check(own, &seen, &served)).collect()
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
    let access = async {
        let needed = rbac::needed(own);
        let (count, excess) = (needed.len(), rbac::excess(own));
        let missing = filtered(reader, needed, other, false).await?;
        Ok(Access { needed: count, missing, excess: filtered(reader, excess, other, true).await? })
    };
    rbac::check(&account, &reader.namespace, &access.await)
}

/// Returns the rights that the account has, or those that it lacks.
async fn filtered(
    reader: &Reader,
    rights: Vec<ResourceAttributes>,
    account: Option<&str>,
    allowed: bool,
) -> Result<Vec<ResourceAttributes>, Unread> {
    let reviews = stream::iter(rights).map(async |right| {
        let is_allowed = is_allowed(reader, &right, account).await?;
        Ok((is_allowed == allowed).then_some(right))
    });
    let found: Vec<Result<_, Unread>> = reviews.buffered(AT_ONCE).collect().await;
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Whether the account has the right; `None` stands for this account.
async fn is_allowed(
    reader: &Reader,
    right: &ResourceAttributes,
    account: Option<&str>,
) -> Result<bool, Unread> {
    let namespace = format!("system:serviceaccounts:{}", reader.namespace);
    let groups = ["system:serviceaccounts", &namespace, "system:authenticated"];
    let (kind, spec) = match account {
        None => ("SelfSubjectAccessReview", json!({"resourceAttributes": right})),
        Some(account) => {
            ("SubjectAccessReview", json!({"resourceAttributes": right, "user": account, "groups": groups}))
        }
    };
    Ok(reader.review("authorization.k8s.io/v1", kind, spec).await?["allowed"] == true)
}

/// Checks the operator itself. `now` is the time of the API server.
pub(super) async fn operator(reader: &Reader, flags: &Flags, now: Timestamp) -> Vec<Finding> {
    let Reader { client, namespace } = reader;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let role = judge::deployer_role(&reader.get(roles, DEPLOYER).await);
    let lease = match flags.lease_name.trim() {
        "" => Subject::new("Lease").skipped("not checked: leader election is off (--lease-name is empty)"),
        name => {
            let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
            judge::lease(namespace, name, &reader.get(leases, name).await, now)
        }
    };
    let drain = match settings::set(flags.config_map.as_ref()) {
        None => Subject::new("ConfigMap").skipped(
            "not checked: without --config-map, drain mode and the right to read the settings are unknown",
        ),
        Some(name) => {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            judge::drain(namespace, name, &reader.get(maps, name).await)
        }
    };
    vec![role, lease, drain]
}
