//! The operator: whether it runs, and whether it may create anything.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;

use super::{Finding, Looked, Subject};
use crate::core::drain;
use crate::core::environment::plan::DEPLOYER;

/// How long a lease may be overdue. It allows for small differences of clocks and of reading times.
const OVERDUE: SignedDuration = SignedDuration::from_secs(5);

/// Checks that the `ClusterRole` with which Matinee applies templates exists.
pub fn deployer_role(role: &Looked<ClusterRole>) -> Finding {
    let subject = Subject::new(format!("ClusterRole {DEPLOYER}"));
    let missing = "not found, so Matinee can't apply the objects of any template";
    let role = match subject.require(role, missing, "`helm upgrade` the chart, which contains it") {
        Ok(role) => role,
        Err(finding) => return finding,
    };
    match role.rules.iter().flatten().count() {
        0 => subject.problem(
            "has no rules, so Matinee can't apply the objects of any template",
            "label a ClusterRole that lists what teams may deploy: matinee.dev/aggregate-to-deployer: \"true\"",
        ),
        1 => subject.ok("1 rule"),
        many => subject.ok(format!("{many} rules")),
    }
}

/// Checks that a replica holds and renews the Lease. `now` is the API server's time if known.
pub fn lease(namespace: &str, name: &str, lease: &Looked<Lease>, now: Timestamp) -> Finding {
    let subject = Subject::new(format!("Lease {namespace}/{name}"));
    let pods = format!(
        "check its pods: `kubectl -n {namespace} get pods`, and `kubectl -n {namespace} logs` of them"
    );
    let names = "or name its Lease with --lease-name (empty if --leader-elect is false)";
    let missing = "not found: no operator has run in this namespace";
    let spec = match subject.require(lease, missing, format!("{pods}; {names}")) {
        Ok(lease) => lease.spec.clone().unwrap_or_default(),
        Err(finding) => return finding,
    };
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let (Some(holder), Some(renewed)) = (holder, spec.renew_time) else {
        return subject.problem("has no holder: no operator is running", pods);
    };
    let age = now.duration_since(renewed.0);
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(15)));
    if age > lasts + OVERDUE {
        let (age, lasts) = (age.as_secs(), lasts.as_secs());
        let message = format!(
            "expired: {holder} renewed it {age} s ago, and it is valid for {lasts} s: no operator is running"
        );
        return subject.problem(message, pods);
    }
    subject.ok(format!("held by {holder}"))
}

/// Checks that drain mode is off, so that Matinee may create new objects.
pub fn drain(namespace: &str, name: &str, map: &Looked<ConfigMap>) -> Finding {
    let subject = Subject::new(format!("ConfigMap {namespace}/{name}"));
    match map {
        Err(unread) => subject.unread(unread),
        Ok(None) => subject.warning(
            "not found, so drain mode and the log level can't be set",
            format!("`kubectl -n {namespace} create configmap {name}`, or correct --config-map"),
        ),
        Ok(Some(map)) if map.data.as_ref().is_some_and(drain::is_on) => subject.problem(
            "drain mode is on (key drain is true): Matinee creates nothing new",
            format!(
                "unless you are uninstalling, `kubectl -n {namespace} patch configmap {name} --type merge -p '{{\"data\":{{\"drain\":null}}}}'`"
            ),
        ),
        Ok(Some(_)) => subject.ok("drain mode is off"),
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
    fn the_deployer_role_must_have_rules() {
        let role = |rules: usize| {
            let rules = Some(vec![PolicyRule::default(); rules]);
            deployer_role(&Ok(Some(ClusterRole { rules, ..ClusterRole::default() })))
        };
        assert_eq!(role(5).message, "5 rules");
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
    fn a_lease_must_have_a_holder_and_be_valid() {
        assert_eq!(held(Some("matinee-0"), 3), Subject::new("Lease m/matinee").ok("held by matinee-0"));
        assert_eq!(held(Some("matinee-0"), -3).verdict, Verdict::Ok);
        let stale = held(Some("matinee-0"), 300);
        assert_eq!(stale.verdict, Verdict::Problem);
        assert!(
            stale.message.contains("matinee-0 renewed it 300 s ago, and it is valid for 15 s"),
            "{stale:?}"
        );
        assert!(stale.remedy.unwrap().contains("kubectl -n m get pods"));
        for free in [held(None, 3), held(Some(""), 3)] {
            assert!(free.message.contains("has no holder"), "{free:?}");
        }
        let missing = lease("m", "matinee", &Ok(None), now());
        assert_eq!(missing.verdict, Verdict::Problem);
        assert!(missing.remedy.unwrap().contains("--lease-name"));
    }

    #[test]
    fn drain_mode_is_a_problem() {
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
