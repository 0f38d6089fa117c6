//! Rights of the operator's account: those that it needs, and those that it shouldn't have.

use std::collections::BTreeMap;

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::json;

use super::{Finding, Subject, Unread, some_of};

/// The rules that the chart grants in the whole cluster.
const CLUSTER_RULES: &str = include_str!("../../../charts/matinee/files/rbac/cluster.yaml");
/// The rules that the chart grants in the operator's namespace, with placeholders for the names of
/// objects.
const NAMESPACE_RULES: &str = include_str!("../../../charts/matinee/files/rbac/namespace.yaml");

/// Names of the objects that the operator uses in its own namespace.
#[derive(Clone, Debug, Default)]
pub struct Own<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The Secrets that classes name.
    pub secrets: Vec<&'a str>,
    /// The Lease; `None` without leader election.
    pub lease: Option<&'a str>,
    /// The ConfigMap with Matinee's settings.
    pub config_map: Option<&'a str>,
}

/// Returns every right that the operator needs: the rights that the chart grants.
pub fn needed(own: &Own<'_>) -> Vec<ResourceAttributes> {
    // The chart replaces the same words.
    let namespace_rules = NAMESPACE_RULES
        .replace("[$SECRETS]", &json!(own.secrets).to_string())
        .replace("[$LEASE]", &json!(own.lease.as_slice()).to_string())
        .replace("[$SETTINGS]", &json!(own.config_map.as_slice()).to_string());
    let mut rights = Vec::new();
    for (yaml, namespace) in [(CLUSTER_RULES, None), (&*namespace_rules, Some(own.namespace))] {
        // A test parses both files.
        let rules: Vec<PolicyRule> = serde_saphyr::from_str(yaml).unwrap_or_default();
        for rule in &rules {
            // Without names, the right is to all objects.
            let names = rule.resource_names.as_ref();
            let names = names.map_or(vec![None], |names| names.iter().cloned().map(Some).collect());
            for name in names {
                for group in rule.api_groups.iter().flatten() {
                    for resource in rule.resources.iter().flatten() {
                        let right = |verb: &String| right(group, resource, verb, name.clone(), namespace);
                        rights.extend(rule.verbs.iter().map(right));
                    }
                }
            }
        }
    }
    if own.lease.is_none() {
        rights.retain(|right| right.resource.as_deref() != Some("leases"));
    }
    rights
}

/// Returns rights with which an attacker who controls the operator could do more than create
/// previews. The chart grants none of them.
pub fn excess(own: &Own<'_>) -> Vec<ResourceAttributes> {
    let named = |name: &str| Some(name.to_owned());
    vec![
        right("", "pods", "create", None, Some(own.namespace)),
        right("", "secrets", "list", None, None),
        right("", "users", "impersonate", None, None),
        right("", "serviceaccounts", "impersonate", named("default"), None),
        right("rbac.authorization.k8s.io", "clusterroles", "bind", named("cluster-admin"), None),
    ]
}

fn right(
    group: &str,
    resource: &str,
    verb: &str,
    name: Option<String>,
    namespace: Option<&str>,
) -> ResourceAttributes {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ResourceAttributes {
        group: filled(group),
        resource: filled(resource),
        subresource: filled(subresource),
        verb: filled(verb),
        name,
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    }
}

/// Formats the rights by resource, such as `get/list deployments.apps/status "web"`.
fn listed<'a>(rights: impl IntoIterator<Item = &'a ResourceAttributes>) -> Vec<String> {
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in rights {
        let part = |before: &str, part: &Option<String>, after: &str| {
            part.as_ref().map_or_else(String::new, |part| format!("{before}{part}{after}"))
        };
        let target = format!(
            "{}{}{}{}{}",
            part("", &right.resource, ""),
            part(".", &right.group, ""),
            part("/", &right.subresource, ""),
            part(" \"", &right.name, "\""),
            part(" in namespace ", &right.namespace, "")
        );
        verbs.entry(target).or_default().extend(right.verb.as_deref());
    }
    verbs.into_iter().map(|(target, verbs)| format!("{} {target}", verbs.join("/"))).collect()
}

/// Rights, and whether the account has each one.
pub type Reviewed = Vec<(ResourceAttributes, bool)>;

/// Checks the rights of the operator's account: the needed ones, and those that it shouldn't have.
pub fn check(account: &str, namespace: &str, access: &Result<(Reviewed, Reviewed), Unread>) -> Vec<Finding> {
    let subject = Subject::new("needed rights");
    let (needed, excess) = match access {
        Ok(access) => access,
        Err(Unread::Forbidden) => {
            return vec![subject.skipped(
                "this account may not check the rights of others (create subjectaccessreviews); run `matinee doctor` as a cluster administrator",
            )];
        }
        Err(unread) => return vec![subject.unread(unread)],
    };
    let missing: Vec<_> = needed.iter().filter(|(_, has)| !has).map(|(right, _)| right).collect();
    let first = if missing.is_empty() {
        subject.ok(format!("{account} has all {}", needed.len()))
    } else if missing.len() == needed.len() {
        subject.problem(
            format!("{account} has none of them"),
            "name the operator's account with --namespace and --service-account, or grant its rights: `helm upgrade` the chart",
        )
    } else {
        subject.problem(
            format!("{account} can't {}", some_of(listed(missing), 5)),
            "`helm upgrade` the chart, whose ClusterRole and Role for the operator grant them",
        )
    };
    let subject = Subject::new("excess rights");
    let found = listed(excess.iter().filter(|(_, has)| *has).map(|(right, _)| right));
    let second = if found.is_empty() {
        subject.ok("none: it can't create pods, list Secrets, impersonate others or bind other roles")
    } else {
        subject.warning(
            format!("{account} can also {}", found.join(", ")),
            format!("find the binding with `kubectl get clusterrolebindings,rolebindings -n {namespace} -o wide`, and delete it"),
        )
    };
    vec![first, second]
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const ACCOUNT: &str = "system:serviceaccount:m:matinee";

    fn own() -> Own<'static> {
        Own {
            namespace: "m",
            secrets: vec!["github", "slack"],
            lease: Some("leader"),
            config_map: Some("settings"),
        }
    }

    fn found(is_allowed: impl Fn(&ResourceAttributes) -> bool) -> Vec<Finding> {
        let reviewed = |rights: Vec<ResourceAttributes>| {
            rights.into_iter().map(|right| (right.clone(), is_allowed(&right))).collect()
        };
        check(ACCOUNT, "m", &Ok((reviewed(needed(&own())), reviewed(excess(&own())))))
    }

    #[test]
    fn needed_rights_are_the_rules_of_the_chart() {
        let text = |own: &Own<'_>| listed(&needed(own)).join("\n");
        let all = text(&own());
        for right in [
            "get/list/watch/create/patch/delete namespaces",
            "patch deploymentcommands.matinee.dev/status",
            "bind clusterroles.rbac.authorization.k8s.io \"matinee-deployer\"",
            "get secrets \"github\" in namespace m",
            "get secrets \"slack\" in namespace m",
            "get/list/watch configmaps \"settings\" in namespace m",
            "create leases.coordination.k8s.io in namespace m",
            "get/patch leases.coordination.k8s.io \"leader\" in namespace m",
        ] {
            assert!(all.lines().any(|line| line == right), "{right} is not in:\n{all}");
        }
        assert!(!all.contains('$'), "{all}");
        // Without these objects, the rights to them are not needed.
        let none = text(&Own { namespace: "m", ..Own::default() });
        assert!(!none.contains("in namespace m") && none.contains("namespaces"), "{none}");
    }

    #[test]
    fn missing_rights_are_named_by_resource() {
        let all = found(|right| !excess(&own()).contains(right));
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|finding| finding.verdict == Verdict::Ok), "{all:?}");

        let lacking = found(|right| {
            right.resource.as_deref() != Some("httproutes") && right.verb.as_deref() != Some("bind")
        });
        assert_eq!(lacking[0].verdict, Verdict::Problem);
        assert_eq!(
            lacking[0].message,
            "system:serviceaccount:m:matinee can't bind clusterroles.rbac.authorization.k8s.io \"matinee-deployer\", \
             get/list/watch/create/patch/delete httproutes.gateway.networking.k8s.io"
        );
        assert!(lacking[0].remedy.as_ref().unwrap().contains("helm upgrade"));
        let none = found(|_| false);
        assert!(none[0].message.ends_with("has none of them"));
        assert!(none[0].remedy.as_ref().unwrap().contains("--service-account"));
    }

    #[test]
    fn excess_rights_are_a_warning() {
        let mighty = found(|_| true);
        assert_eq!((mighty[0].verdict, mighty[1].verdict), (Verdict::Ok, Verdict::Warning));
        for right in [
            "create pods in namespace m",
            "list secrets,",
            "impersonate users",
            "impersonate serviceaccounts \"default\"",
            "bind clusterroles.rbac.authorization.k8s.io \"cluster-admin\"",
        ] {
            assert!(mighty[1].message.contains(right), "{right} is not in: {}", mighty[1].message);
        }
        assert!(mighty[1].remedy.as_ref().unwrap().contains("rolebindings -n m"));
    }

    #[test]
    fn an_account_that_may_not_review_others_is_no_problem() {
        let skipped = check(ACCOUNT, "m", &Err(Unread::Forbidden));
        assert_eq!(skipped[0].verdict, Verdict::Skipped);
        assert!(skipped[0].message.contains("subjectaccessreviews"), "{skipped:?}");
        assert_eq!(check(ACCOUNT, "m", &Err(Unread::Failed("x".into())))[0].verdict, Verdict::Problem);
    }
}
