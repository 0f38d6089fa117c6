//! Rights of the operator's account: those that it needs, and those that it shouldn't have.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Finding, Unread, some_of};
use crate::core::environment::plan::DEPLOYER;

/// Scope of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In every namespace, and for cluster-scoped resources.
    Everywhere,
    /// In the operator's own namespace.
    OwnNamespace,
}

/// One verb on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right<'a> {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Plural name.
    pub resource: &'static str,
    /// Empty for the resource itself.
    pub subresource: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// Name of the only object, if the right is limited to one.
    pub name: Option<&'a str>,
    /// Its scope.
    pub place: Place,
}

impl Right<'_> {
    /// Formats the resource, such as `deployments.apps/status`.
    fn target(&self) -> String {
        let mut text = self.resource.to_owned();
        for (mark, part) in [('.', self.group), ('/', self.subresource)] {
            if !part.is_empty() {
                text.push(mark);
                text.push_str(part);
            }
        }
        if let Some(name) = self.name {
            text = format!("{text} \"{name}\"");
        }
        if self.place == Place::OwnNamespace {
            text.push_str(" in its own namespace");
        }
        text
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.target())
    }
}

const READ: &[&str] = &["get", "list", "watch"];
const KEEP: &[&str] = &["get", "list", "watch", "create", "patch"];
const CARE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// Group, resources, verbs, and the name of the only object.
type Grant = (&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>);

/// Rights that the operator needs everywhere. `charts/matinee` grants them and gives the reason for
/// each.
const EVERYWHERE: &[Grant] = &[
    (
        "matinee.dev",
        &[
            "previewclasses",
            "previewrepositories",
            "previewtemplates",
            "deploymentrequests",
            "deploymentcommands",
            "previewenvironments",
        ],
        READ,
        None,
    ),
    (
        "matinee.dev",
        &["deploymentrequests", "deploymentcommands", "previewenvironments"],
        &["create", "patch", "delete"],
        None,
    ),
    ("matinee.dev", &["previewrepositories"], &["patch"], None),
    (
        "matinee.dev",
        &[
            "previewclasses/status",
            "previewrepositories/status",
            "previewtemplates/status",
            "deploymentrequests/status",
            "deploymentcommands/status",
            "previewenvironments/status",
        ],
        &["patch"],
        None,
    ),
    ("", &["namespaces"], CARE, None),
    ("", &["resourcequotas", "limitranges", "serviceaccounts"], KEEP, None),
    ("networking.k8s.io", &["networkpolicies", "ingresses"], CARE, None),
    ("gateway.networking.k8s.io", &["httproutes"], CARE, None),
    ("rbac.authorization.k8s.io", &["rolebindings"], KEEP, None),
    ("rbac.authorization.k8s.io", &["clusterroles"], &["bind"], Some(DEPLOYER)),
    ("", &["serviceaccounts"], &["impersonate"], Some(DEPLOYER)),
    ("", &["pods", "services", "configmaps", "persistentvolumeclaims"], READ, None),
    ("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"], READ, None),
    ("batch", &["jobs", "cronjobs"], READ, None),
    ("autoscaling", &["horizontalpodautoscalers"], READ, None),
    ("policy", &["poddisruptionbudgets"], READ, None),
    ("events.k8s.io", &["events"], &["create", "patch"], None),
];

/// Objects that the operator uses in its own namespace, by name.
#[derive(Clone, Debug, Default)]
pub struct Own<'a> {
    /// The Secrets that classes name.
    pub secrets: Vec<&'a str>,
    /// The Lease; `None` without leader election.
    pub lease: Option<&'a str>,
    /// The ConfigMap with Matinee's settings.
    pub config_map: Option<&'a str>,
}

impl<'a> Own<'a> {
    fn needed(&self) -> Vec<Right<'a>> {
        let right = |group, resource, verb, name| Right {
            group,
            resource,
            subresource: "",
            verb,
            name: Some(name),
            place: Place::OwnNamespace,
        };
        let secrets = self.secrets.iter().map(|name| right("", "secrets", "get", *name));
        let lease = self
            .lease
            .into_iter()
            .flat_map(|name| ["get", "patch"].map(|verb| right("coordination.k8s.io", "leases", verb, name)));
        let settings = self
            .config_map
            .into_iter()
            .flat_map(|name| READ.iter().map(move |verb| right("", "configmaps", verb, name)));
        let make =
            self.lease.map(|_| Right { name: None, ..right("coordination.k8s.io", "leases", "create", "") });
        secrets.chain(make).chain(lease).chain(settings).collect()
    }
}

/// Returns every right that the operator needs.
pub fn needed<'a>(own: &Own<'a>) -> Vec<Right<'a>> {
    let everywhere = EVERYWHERE.iter().flat_map(|(group, resources, verbs, name)| {
        resources.iter().flat_map(move |resource| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let place = Place::Everywhere;
            verbs.iter().map(move |verb| Right { group, resource, subresource, verb, name: *name, place })
        })
    });
    everywhere.chain(own.needed()).collect()
}

/// Rights that would give an attacker who controls the operator more than previews.
/// `charts/matinee` grants none of them.
pub const UNNEEDED: [Right<'static>; 5] = {
    const fn right(group: &'static str, resource: &'static str, verb: &'static str) -> Right<'static> {
        Right { group, resource, subresource: "", verb, name: None, place: Place::Everywhere }
    }
    [
        Right { place: Place::OwnNamespace, ..right("", "pods", "create") },
        right("", "secrets", "list"),
        right("", "users", "impersonate"),
        Right { name: Some("default"), ..right("", "serviceaccounts", "impersonate") },
        Right { name: Some("cluster-admin"), ..right("rbac.authorization.k8s.io", "clusterroles", "bind") },
    ]
};

/// Whether a rule grants the right, by the logic of the RBAC authorizer.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#role-and-clusterrole>
fn allows(rule: &PolicyRule, right: &Right<'_>) -> bool {
    let has = |list: Option<&Vec<String>>, wanted: &[&str]| {
        list.into_iter().flatten().any(|entry| wanted.contains(&entry.as_str()))
    };
    let (resource, any) = if right.subresource.is_empty() {
        (right.resource.to_owned(), "*".to_owned())
    } else {
        (format!("{}/{}", right.resource, right.subresource), format!("*/{}", right.subresource))
    };
    has(rule.api_groups.as_ref(), &[right.group, "*"])
        && has(rule.resources.as_ref(), &[&resource, &any, "*"])
        && has(Some(&rule.verbs), &[right.verb, "*"])
        && rule
            .resource_names
            .as_ref()
            .filter(|names| !names.is_empty())
            .is_none_or(|names| right.name.is_some_and(|name| names.iter().any(|one| one == name)))
}

/// Returns the rights that the rules don't grant. `everywhere` are the rules of `ClusterRole`s bound
/// in the whole cluster, `own` those that apply in the operator's namespace.
pub fn uncovered<'a>(rights: &[Right<'a>], everywhere: &[PolicyRule], own: &[PolicyRule]) -> Vec<Right<'a>> {
    let covered = |right: &Right<'_>| {
        everywhere.iter().any(|rule| allows(rule, right))
            || (right.place == Place::OwnNamespace && own.iter().any(|rule| allows(rule, right)))
    };
    rights.iter().filter(|right| !covered(right)).copied().collect()
}

/// An account, and the API server's answers about its rights.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Name of the account in the API server.
    pub account: String,
    /// Each right, and whether the account has it.
    pub answers: Vec<(Right<'a>, bool)>,
}

/// Checks the rights of the operator's account.
pub fn check(asked: &Result<Asked<'_>, Unread>, namespace: &str) -> Vec<Finding> {
    const WHAT: &str = "needed rights";
    let Asked { account, answers } = match asked {
        Ok(asked) => asked,
        Err(Unread::Forbidden) => {
            return vec![Finding::skipped(
                WHAT,
                "this account may not ask for the rights of others (create subjectaccessreviews); an administrator may",
            )];
        }
        Err(unread) => return vec![unread.finding(WHAT)],
    };
    let is_unneeded = |right: &Right<'_>| UNNEEDED.contains(right);
    let (unneeded, needed): (Vec<_>, Vec<_>) = answers.iter().partition(|(right, _)| is_unneeded(right));
    let missing: Vec<Right<'_>> =
        needed.iter().filter(|(_, allowed)| !allowed).map(|(right, _)| *right).collect();
    let mut findings = Vec::new();
    if missing.is_empty() {
        findings.push(Finding::ok(WHAT, format!("{account} has all {}", needed.len())));
    } else if missing.len() == needed.len() {
        findings.push(Finding::problem(
            WHAT,
            format!("{account} has none of them"),
            "name the operator's account with --namespace and --service-account, or install its rights: `helm upgrade` the chart",
        ));
    } else {
        let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for right in &missing {
            verbs.entry(right.target()).or_default().push(right.verb);
        }
        let lacks: Vec<String> =
            verbs.iter().map(|(target, verbs)| format!("{} {target}", verbs.join("/"))).collect();
        findings.push(Finding::problem(
            WHAT,
            format!("{account} lacks {}", some_of(&lacks, 5)),
            "`helm upgrade` the chart, which grants them with the ClusterRole and the Role of the operator",
        ));
    }
    let too_many: Vec<String> =
        unneeded.iter().filter(|(_, allowed)| *allowed).map(|(right, _)| right.to_string()).collect();
    findings.push(if too_many.is_empty() {
        Finding::ok("no other rights", "no pods, no secrets of others, nobody else's name, no other role")
    } else {
        Finding::warning(
            "no other rights",
            format!("more rights than needed: {account} may {}", too_many.join(", ")),
            format!("find what binds them: `kubectl get clusterrolebindings,rolebindings -n {namespace} -o wide`; and remove it"),
        )
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn rule(group: &str, resource: &str, verb: &str, names: &[&str]) -> PolicyRule {
        let owned = |text: &str| Some(vec![text.to_owned()]);
        PolicyRule {
            api_groups: owned(group),
            resources: owned(resource),
            verbs: vec![verb.to_owned()],
            resource_names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            non_resource_urls: None,
        }
    }

    #[test]
    fn rules_are_read_as_the_api_server_reads_them() {
        let status = Right {
            group: "matinee.dev",
            resource: "deploymentcommands",
            subresource: "status",
            verb: "patch",
            name: None,
            place: Place::Everywhere,
        };
        for (rule, covers) in [
            (rule("matinee.dev", "deploymentcommands/status", "patch", &[]), true),
            (rule("*", "*", "*", &[]), true),
            (rule("matinee.dev", "*/status", "patch", &[]), true),
            (rule("matinee.dev", "deploymentcommands", "patch", &[]), false),
            (rule("", "deploymentcommands/status", "patch", &[]), false),
            (rule("matinee.dev", "deploymentcommands/status", "update", &[]), false),
            (rule("matinee.dev", "deploymentcommands/status", "patch", &["one"]), false),
        ] {
            assert_eq!(uncovered(&[status], std::slice::from_ref(&rule), &[]).is_empty(), covers, "{rule:?}");
        }
        let bind = needed(&Own::default()).into_iter().find(|right| right.verb == "bind").unwrap();
        for (names, covers) in [(&["matinee-deployer"][..], true), (&[], true), (&["edit"], false)] {
            let rule = rule("rbac.authorization.k8s.io", "clusterroles", "bind", names);
            assert_eq!(uncovered(&[bind], &[rule], &[]).is_empty(), covers, "{names:?}");
        }
        // A Role in the operator's namespace grants nothing elsewhere.
        assert_eq!(uncovered(&[status], &[], &[rule("*", "*", "*", &[])]), [status]);
    }

    fn asked(allowed: impl Fn(&Right) -> bool) -> Vec<Finding> {
        let answers = needed(&Own::default())
            .into_iter()
            .chain(UNNEEDED)
            .map(|right| (right, allowed(&right)))
            .collect();
        check(&Ok(Asked { account: "system:serviceaccount:m:matinee".into(), answers }), "m")
    }

    #[test]
    fn what_is_missing_is_told_by_resource() {
        let fine = |right: &Right| !UNNEEDED.contains(right);
        let all = asked(fine);
        assert!(all.iter().all(|finding| finding.verdict == Verdict::Ok), "{all:?}");
        assert_eq!(all.len(), 2);

        let lacking = asked(|right| fine(right) && right.resource != "httproutes" && right.verb != "bind");
        assert_eq!(lacking[0].verdict, Verdict::Problem);
        assert_eq!(
            lacking[0].message,
            "system:serviceaccount:m:matinee lacks bind clusterroles.rbac.authorization.k8s.io \"matinee-deployer\", \
             get/list/watch/create/patch/delete httproutes.gateway.networking.k8s.io"
        );
        assert!(lacking[0].remedy.as_ref().unwrap().contains("helm upgrade"));
        let none = asked(|_| false);
        assert!(none[0].message.ends_with("has none of them"));
        assert!(none[0].remedy.as_ref().unwrap().contains("--service-account"));
    }

    #[test]
    fn what_is_too_much_is_a_warning() {
        let too_much =
            asked(|right| !UNNEEDED.contains(right) || right.resource == "pods" || right.verb == "bind");
        assert_eq!(too_much[1].verdict, Verdict::Warning);
        assert_eq!(
            too_much[1].message,
            "more rights than needed: system:serviceaccount:m:matinee may create pods in its own namespace, \
             bind clusterroles.rbac.authorization.k8s.io \"cluster-admin\""
        );
        assert!(too_much[1].remedy.as_ref().unwrap().contains("rolebindings -n m"));
    }

    #[test]
    fn who_may_not_ask_is_told_so() {
        let skipped = check(&Err(Unread::Forbidden), "m");
        assert_eq!(skipped[0].verdict, Verdict::Skipped);
        assert!(skipped[0].message.contains("subjectaccessreviews"), "{skipped:?}");
        assert_eq!(check(&Err(Unread::Failed("no answer".into())), "m")[0].verdict, Verdict::Problem);
    }
}
