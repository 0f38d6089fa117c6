//! The operator: whether it runs, and whether it may create anything.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;

use super::{Finding, Looked};
use crate::core::drain;
use crate::core::environment::plan::DEPLOYER;

/// How long a lease may be overdue. It allows for small differences of clocks and of reading times.
const OVERDUE: SignedDuration = SignedDuration::from_secs(5);

/// Checks that the `ClusterRole` with which Matinee applies templates exists.
pub fn deployer_role(role: &Looked<ClusterRole>) -> Finding {
    let what = format!("ClusterRole {DEPLOYER}");
    match role {
        Err(unread) => unread.finding(what),
        Ok(None) => Finding::problem(
            what,
            "it isn't there, so nothing of any template can be applied",
            "`helm upgrade` the chart, which has it",
        ),
        Ok(Some(role)) => match role.rules.iter().flatten().count() {
            0 => Finding::problem(
                what,
                "it has no rules, so nothing of any template can be applied",
                "label a ClusterRole with what teams may deploy: matinee.dev/aggregate-to-deployer: \"true\"",
            ),
            1 => Finding::ok(what, "it has 1 rule"),
            many => Finding::ok(what, format!("it has {many} rules")),
        },
    }
}

/// Checks that a replica holds and renews the Lease. `now` is the API server's time if known.
pub fn lease(namespace: &str, name: &str, lease: &Looked<Lease>, now: Timestamp) -> Finding {
    let what = format!("Lease {namespace}/{name}");
    let remedy = |why: &str| {
        format!(
            "{why}: `kubectl -n {namespace} get pods`, and `kubectl -n {namespace} logs` of the operator's"
        )
    };
    let lease = match lease {
        Err(unread) => return unread.finding(what),
        Ok(None) => {
            return Finding::problem(
                what,
                "it isn't there: no operator has run here",
                remedy(
                    "see why none does, or name the lease with --lease-name (empty where --leader-elect is false)",
                ),
            );
        }
        Ok(Some(lease)) => lease.spec.clone().unwrap_or_default(),
    };
    let holder = lease.holder_identity.filter(|holder| !holder.is_empty());
    let (Some(holder), Some(renewed)) = (holder, lease.renew_time) else {
        return Finding::problem(
            what,
            "nobody holds it: no operator is at work",
            remedy("see why none does"),
        );
    };
    let age = now.duration_since(renewed.0);
    let lasts = SignedDuration::from_secs(i64::from(lease.lease_duration_seconds.unwrap_or(15)));
    if age > lasts + OVERDUE {
        return Finding::problem(
            what,
            format!(
                "its holder {holder} renewed it {} s ago and had to within {} s: no operator is at work",
                age.as_secs(),
                lasts.as_secs()
            ),
            remedy("see what became of it"),
        );
    }
    Finding::ok(what, format!("held by {holder}"))
}

/// Checks that drain mode is off, so that Matinee may create new objects.
pub fn drain(namespace: &str, name: &str, map: &Looked<ConfigMap>) -> Finding {
    let what = format!("ConfigMap {namespace}/{name}");
    match map {
        Err(unread) => unread.finding(what),
        Ok(None) => Finding::warning(
            what,
            "it isn't there, so the operator can't be told to drain or to log more",
            format!("`kubectl -n {namespace} create configmap {name}`, or correct --config-map"),
        ),
        Ok(Some(map)) => {
            if map.data.as_ref().is_some_and(drain::is_on) {
                Finding::problem(
                    what,
                    "its key drain is true: nothing new is made",
                    format!(
                        "`kubectl -n {namespace} patch configmap {name} --type merge -p '{{\"data\":{{\"drain\":null}}}}'`, unless it is being uninstalled"
                    ),
                )
            } else {
                Finding::ok(what, "no drain")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::api::rbac::v1::PolicyRule;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::super::{Unread, Verdict};
    use super::*;

    #[test]
    fn the_role_must_have_rules() {
        let role = |rules: usize| {
            let rules = Some(vec![PolicyRule::default(); rules]);
            deployer_role(&Ok(Some(ClusterRole { rules, ..ClusterRole::default() })))
        };
        assert_eq!(role(5).message, "it has 5 rules");
        assert_eq!(role(1).verdict, Verdict::Ok);
        let empty = role(0);
        assert_eq!(empty.verdict, Verdict::Problem);
        assert!(empty.remedy.unwrap().contains("aggregate-to-deployer"));
        let missing = deployer_role(&Ok(None));
        assert_eq!(missing.verdict, Verdict::Problem);
        assert!(missing.remedy.unwrap().contains("helm upgrade"));
        assert_eq!(deployer_role(&Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_780_000_000).unwrap()
    }

    fn held(holder: Option<&str>, age: i64) -> Finding {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(now() - SignedDuration::from_secs(age))),
            ..LeaseSpec::default()
        };
        lease("m", "matinee", &Ok(Some(Lease { spec: Some(spec), ..Lease::default() })), now())
    }

    #[test]
    fn a_lease_must_be_held_and_fresh() {
        assert_eq!(held(Some("matinee-0"), 3), Finding::ok("Lease m/matinee", "held by matinee-0"));
        assert_eq!(held(Some("matinee-0"), -3).verdict, Verdict::Ok);
        let stale = held(Some("matinee-0"), 300);
        assert_eq!(stale.verdict, Verdict::Problem);
        assert!(stale.message.contains("matinee-0 renewed it 300 s ago and had to within 15 s"), "{stale:?}");
        assert!(stale.remedy.unwrap().contains("kubectl -n m get pods"));
        for free in [held(None, 3), held(Some(""), 3)] {
            assert!(free.message.contains("nobody holds it"), "{free:?}");
        }
        let missing = lease("m", "matinee", &Ok(None), now());
        assert_eq!(missing.verdict, Verdict::Problem);
        assert!(missing.remedy.unwrap().contains("--lease-name"));
    }

    #[test]
    fn draining_is_told() {
        let map = |data: &[(&str, &str)]| {
            let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            drain("m", "matinee", &Ok(Some(ConfigMap { data: Some(data), ..ConfigMap::default() })))
        };
        assert_eq!(map(&[("log", "debug"), ("drain", "false")]).verdict, Verdict::Ok);
        let draining = map(&[("drain", "true")]);
        assert_eq!(draining.verdict, Verdict::Problem);
        assert!(draining.remedy.unwrap().contains(r#"-p '{"data":{"drain":null}}'"#));
        assert_eq!(drain("m", "matinee", &Ok(None)).verdict, Verdict::Warning);
    }
}
