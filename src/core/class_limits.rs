//! Checks the limits of a class: finds what the API server would reject in the ResourceQuota and
//! LimitRange of a namespace, before Matinee creates anything.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use crate::api::{Isolation, PreviewClass};
use crate::core::mistake::{Mistake, Reason};

/// Limits of a namespace's ResourceQuota that a class doesn't set.
const QUOTA: [(&str, &str); 16] = [
    ("pods", "20"),
    // `pods` leaves out pods that ended.
    ("count/pods", "50"),
    ("count/jobs.batch", "50"),
    ("configmaps", "50"),
    ("secrets", "50"),
    ("services", "20"),
    ("services.loadbalancers", "0"),
    ("services.nodeports", "0"),
    ("persistentvolumeclaims", "5"),
    ("requests.storage", "20Gi"),
    ("requests.cpu", "2"),
    ("requests.memory", "4Gi"),
    ("requests.ephemeral-storage", "10Gi"),
    ("limits.cpu", "8"),
    ("limits.memory", "8Gi"),
    ("limits.ephemeral-storage", "40Gi"),
];
/// Requests of a container that neither sets them nor has a default by its class.
const REQUESTS: [(&str, &str); 3] = [("cpu", "50m"), ("memory", "64Mi"), ("ephemeral-storage", "100Mi")];
/// Limits of a container that neither sets them nor has a default by its class.
const LIMITS: [(&str, &str); 3] = [("cpu", "1"), ("memory", "512Mi"), ("ephemeral-storage", "2Gi")];

/// Amounts by resource name.
type Amounts = BTreeMap<String, Quantity>;

/// Returns the hard limits of a namespace's ResourceQuota: the class's, over the defaults. A resource
/// has two names, of which the class may use either.
pub fn quota(isolation: &Isolation) -> Amounts {
    let is_named = |name: &str| {
        let other = name.strip_prefix("requests.").map_or_else(|| format!("count/{name}"), str::to_owned);
        // Pods that ended count only under one of the names.
        name != "pods" && isolation.quota.contains_key(&other)
    };
    let mut quota = merged(&QUOTA, &isolation.quota);
    quota.retain(|name, _| isolation.quota.contains_key(name) || !is_named(name));
    quota
}

/// Returns the default requests of a container: the class's, over the defaults. A default is at most
/// the class's limit.
pub fn default_requests(isolation: &Isolation) -> Amounts {
    let mut requests = merged(&REQUESTS, &isolation.default_requests);
    for (name, limit) in &isolation.default_limits {
        if let Some(request) = requests.get_mut(name)
            && !isolation.default_requests.contains_key(name)
            && amount_of(request) > amount_of(limit)
        {
            *request = limit.clone();
        }
    }
    requests
}

/// Returns the default limits of a container: the class's, over the defaults. A default is at least
/// the class's request.
pub fn default_limits(isolation: &Isolation) -> Amounts {
    let mut limits = merged(&LIMITS, &isolation.default_limits);
    for (name, request) in &isolation.default_requests {
        if let Some(limit) = limits.get_mut(name)
            && !isolation.default_limits.contains_key(name)
            && amount_of(limit) < amount_of(request)
        {
            *limit = request.clone();
        }
    }
    limits
}

fn merged(defaults: &[(&str, &str)], of_class: &Amounts) -> Amounts {
    let defaults = defaults.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())));
    defaults.chain(of_class.iter().map(|(name, amount)| (name.clone(), amount.clone()))).collect()
}

/// Resources of a container whose names have no domain.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Resources that a ResourceQuota limits and whose names have no domain.
/// <https://kubernetes.io/docs/concepts/policy/resource-quotas/>
const OF_QUOTAS: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// Resources with whole-number quantities, in addition to every object count.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
/// Longest name of a resource after its domain, in characters.
const MAX_NAME: usize = 63;

/// Checks the limits of a class.
///
/// # Errors
/// `ClassInvalid`; the message names every field.
pub fn check(class: &PreviewClass) -> Result<(), Mistake> {
    let isolation = &class.spec.isolation;
    let mut wrong = Vec::new();
    for (name, amount) in &isolation.quota {
        let field = format!("spec.isolation.quota[{name}]");
        if !is_known(name, &OF_QUOTAS, &["hugepages-", "requests.hugepages-"]) {
            wrong.push(format!(
                "{field}: a ResourceQuota can't limit this resource: write pods, requests.cpu, limits.memory or \
                 count/deployments.apps"
            ));
        } else if amount_of(amount).is_none() {
            wrong.push(format!("{field}: it is no amount: write it like 4, 500m or 2Gi"));
        } else if (COUNTED.contains(&name.as_str()) || name.starts_with("count/")) && !is_whole(amount) {
            wrong.push(format!("{field}: it is counted: write a whole number"));
        }
    }
    for (field, amounts) in
        [("defaultRequests", &isolation.default_requests), ("defaultLimits", &isolation.default_limits)]
    {
        for (name, amount) in amounts {
            let field = format!("spec.isolation.{field}[{name}]");
            if !is_known(name, &OF_CONTAINERS, &["hugepages-"]) {
                wrong.push(format!(
                    "{field}: a container has no such resource: write cpu, memory, ephemeral-storage or a name with a domain"
                ));
            } else if amount_of(amount).is_none() {
                wrong.push(format!("{field}: it is no amount: write it like 500m or 2Gi"));
            }
        }
    }
    wrong.extend(above(&default_requests(isolation), &default_limits(isolation)));
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("PreviewClass {}: {}", class.name_any(), wrong.join("; "));
    Err(Mistake { reason: Reason::ClassInvalid, message })
}

/// Finds requests that are greater than the limit of the same resource.
fn above<'a>(
    requests: &'a BTreeMap<String, Quantity>,
    limits: &'a BTreeMap<String, Quantity>,
) -> impl Iterator<Item = String> + 'a {
    requests.iter().filter_map(|(name, request)| {
        let limit = limits.get(name)?;
        (amount_of(request)? > amount_of(limit)?).then(|| {
            format!(
                "spec.isolation.defaultRequests[{name}]: {} is above spec.isolation.defaultLimits[{name}], which is {}: lower the one \
                 or raise the other",
                request.0, limit.0
            )
        })
    })
}

/// Whether a resource is in one of these lists, or has a domain, such as `example.com/gpu`.
fn is_known(name: &str, plain: &[&str], beginnings: &[&str]) -> bool {
    let is_name = |text: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.len() <= MAX_NAME
            && edge(text.chars().next())
            && edge(text.chars().next_back())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match name.split_once('/') {
        Some((domain, name)) => is_name(name) && !domain.is_empty() && domain.split('.').all(is_name),
        None => {
            plain.contains(&name)
                || beginnings.iter().any(|beginning| name.strip_prefix(beginning).is_some_and(is_name))
        }
    }
}

/// Converts a quantity to billionths, the smallest unit of Kubernetes. Returns `None` for an
/// invalid quantity. Saturates at the largest `u128`.
fn amount_of(quantity: &Quantity) -> Option<u128> {
    let text = quantity.0.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    // The digits, and the power of ten to multiply them by.
    let digits: u128 = format!("{whole}{part}").parse().unwrap_or(u128::MAX);
    let mut tens = 9 - i32::try_from(part.len()).ok()?;
    let mut factor: u128 = 1;
    match suffix {
        "" => {}
        "n" => tens -= 9,
        "u" => tens -= 6,
        "m" => tens -= 3,
        "k" => tens += 3,
        "M" => tens += 6,
        "G" => tens += 9,
        "T" => tens += 12,
        "P" => tens += 15,
        "E" => tens += 18,
        "Ki" => factor = 1 << 10,
        "Mi" => factor = 1 << 20,
        "Gi" => factor = 1 << 30,
        "Ti" => factor = 1 << 40,
        "Pi" => factor = 1 << 50,
        "Ei" => factor = 1 << 60,
        exponent => tens += exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    }
    let amount = digits.saturating_mul(factor);
    let power = 10_u128.checked_pow(tens.unsigned_abs()).unwrap_or(u128::MAX);
    // Kubernetes rounds up.
    Some(if tens >= 0 { amount.saturating_mul(power) } else { amount.div_ceil(power) })
}

fn is_whole(quantity: &Quantity) -> bool {
    amount_of(quantity).is_some_and(|amount| amount % 1_000_000_000 == 0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn class(isolation: &Value) -> PreviewClass {
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewClass", "metadata": {"name": "standard"},
            "spec": {
                "grants": [{"repositories": ["acme/*"], "namespaces": ["*"]}], "forge": {"github": {"secretName": "github"}},
                "routing": {"domain": "x.example", "gateway": {"name": "a", "namespace": "b"}}, "isolation": isolation,
            },
        }))
        .unwrap()
    }

    fn wrong(isolation: &Value) -> Option<String> {
        check(&class(isolation)).err().map(|mistake| {
            assert_eq!(mistake.reason, Reason::ClassInvalid);
            mistake.message
        })
    }

    #[test]
    fn amounts_are_compared_as_kubernetes_writes_them() {
        let amount = |text: &str| amount_of(&Quantity(text.to_owned()));
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1Ki", "1024"),
            ("1k", "1e3"),
            ("1M", "1E6"),
            ("100n", "0.1u"),
        ] {
            assert_eq!(amount(one), amount(other), "{one} {other}");
        }
        for (less, more) in [
            ("512Mi", "1Gi"),
            ("1G", "1Gi"),
            ("999m", "1"),
            ("1n", "1u"),
            ("8Ei", "9999999999999999999999Ei"),
        ] {
            assert!(amount(less).unwrap() < amount(more).unwrap(), "{less} {more}");
        }
        for none in ["", "x", "1x", ".", "1.2.3", "-1", "1e", "Ki"] {
            assert_eq!(amount(none), None, "{none}");
        }
    }

    #[test]
    fn the_usual_class_is_right() {
        assert_eq!(wrong(&json!({})), None);
        let many = json!({"quota": {"count/deployments.apps": "5", "requests.nvidia.com/gpu": 1, "hugepages-2Mi": "1Gi",
            "gold.storageclass.storage.k8s.io/requests.storage": "5Gi", "services.nodeports": 0},
            "defaultLimits": {"example.com/gpu": "1"}});
        assert_eq!(wrong(&many), None);
    }

    #[test]
    fn limits_of_a_class_are_merged_over_the_defaults() {
        let merged_class =
            class(&json!({"quota": {"pods": 3, "count/cronjobs.batch": 1}, "defaultLimits": {"cpu": "2"}}));
        let isolation = &merged_class.spec.isolation;
        let quota = quota(isolation);
        let amount = |name: &str| quota.get(name).map(|amount| amount.0.as_str());
        assert_eq!((amount("pods"), amount("count/cronjobs.batch")), (Some("3"), Some("1")));
        assert_eq!((amount("services.loadbalancers"), amount("requests.cpu")), (Some("0"), Some("2")));
        let limits = default_limits(isolation);
        assert_eq!((limits["cpu"].0.as_str(), limits["memory"].0.as_str()), ("2", "512Mi"));
        let other_names = class(&json!({"quota": {"cpu": "16", "count/secrets": 5}}));
        let other_names = super::quota(&other_names.spec.isolation);
        assert!(!other_names.contains_key("requests.cpu") && !other_names.contains_key("secrets"));
        assert!(quota.contains_key("limits.ephemeral-storage") && limits.contains_key("ephemeral-storage"));
    }

    #[test]
    fn default_request_above_the_default_limit_is_rejected() {
        let memory =
            wrong(&json!({"defaultRequests": {"memory": "1Gi"}, "defaultLimits": {"memory": "512Mi"}}));
        assert_eq!(
            memory.unwrap(),
            "PreviewClass standard: spec.isolation.defaultRequests[memory]: 1Gi is above spec.isolation.defaultLimits[memory], which is \
             512Mi: lower the one or raise the other"
        );
        let amounts = |memory: &str, cpu: &str| json!({"memory": memory, "cpu": cpu});
        let both = json!({"defaultRequests": amounts("1Gi", "2"), "defaultLimits": amounts("1Mi", "1")});
        let both = wrong(&both).unwrap();
        assert!(both.contains("[cpu]") && both.contains("[memory]"), "not every mistake is reported: {both}");
    }

    #[test]
    fn defaults_give_way_to_the_amounts_of_a_class() {
        let limited = class(&json!({"defaultLimits": {"memory": "32Mi"}}));
        assert_eq!(default_requests(&limited.spec.isolation)["memory"].0, "32Mi");
        let requesting = class(&json!({"defaultRequests": {"memory": "1Gi"}}));
        assert_eq!(default_limits(&requesting.spec.isolation)["memory"].0, "1Gi");
        assert_eq!(check(&limited).or(check(&requesting)), Ok(()));
    }

    #[test]
    fn a_quota_of_what_there_is_not_is_told() {
        for name in ["bogus", "requests.bogus", "count/", "/x", "-a.example/x"] {
            let message = wrong(&json!({"quota": {name: 1}})).unwrap_or_default();
            assert!(message.contains(&format!("spec.isolation.quota[{name}]")), "{name}: {message}");
        }
        for (name, amount) in [("pods", "1.5"), ("count/jobs.batch", "500m")] {
            let message = wrong(&json!({"quota": {name: amount}})).unwrap_or_default();
            assert!(message.contains("whole number"), "{name}: {message}");
        }
        let message = wrong(&json!({"defaultLimits": {"bogus": 1}})).unwrap();
        assert!(message.contains("spec.isolation.defaultLimits[bogus]"), "{message}");
    }
}
