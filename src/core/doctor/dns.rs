//! The wildcard DNS name of a class: whether the names of previews resolve, and to the Gateway.

use std::net::IpAddr;

use super::{Finding, Subject, some_of};
use crate::api::Routing;

/// Checks the addresses to which a name under the class's domain resolves. `gateway` are the
/// Gateway's own addresses, if known.
pub fn check(
    routing: &Routing,
    name: &str,
    found: &Result<Vec<IpAddr>, String>,
    gateway: &[IpAddr],
) -> Finding {
    let domain = &routing.domain;
    let subject = Subject::new(format!("DNS record *.{domain}"));
    let instead = routing.probe_address.as_ref().map_or_else(String::new, |address| {
        format!("; the operator probes previews at {address} instead (probeAddress)")
    });
    let target =
        gateway.first().map_or_else(|| "the Gateway or ingress controller".to_owned(), ToString::to_string);
    let remedy = format!("add a DNS record for *.{domain} that resolves to {target}");
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(why) => {
            // Resolvers begin their message with the name.
            let why = why.strip_prefix(name).map_or(why.as_str(), |rest| rest.trim_start_matches(": "));
            let message = format!("{name} doesn't resolve here ({why}){instead}");
            // With a probe address the operator doesn't use DNS, and people may have other name
            // servers, so this is only a warning.
            return match routing.probe_address {
                Some(_) => subject.warning(message, remedy),
                None => subject.problem(message, remedy),
            };
        }
    };
    if domain == "localhost" || domain.ends_with(".localhost") {
        return subject
            .ok(format!("not needed: names under localhost always resolve to the own machine{instead}"));
    }
    let shown = some_of(addresses, 4);
    if gateway.is_empty() || addresses.iter().any(|address| gateway.contains(address)) {
        let whose = if gateway.is_empty() { "" } else { ", the Gateway's address" };
        return subject.ok(format!("resolves to {shown}{whose}{instead}"));
    }
    subject.warning(
        format!("resolves to {shown}, but the Gateway has {}{instead}", some_of(gateway, 4)),
        format!("nothing, if a load balancer there forwards to the Gateway; otherwise {remedy}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::super::class::tests::class;
    use super::*;

    fn judge(domain: &str, probe: Option<&str>, found: Result<&[&str], &str>, gateway: &[&str]) -> Finding {
        let routing = class(|class| {
            class["routing"]["domain"] = json!(domain);
            class["routing"]["probeAddress"] = json!(probe);
        })
        .spec
        .routing;
        let parse = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>();
        check(&routing, "x1.d", &found.map(parse).map_err(str::to_owned), &parse(gateway))
    }

    #[test]
    fn a_name_must_resolve() {
        let finding = judge("p.example.com", None, Err("x1.d: no such name"), &["192.0.2.7"]);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert_eq!(finding.message, "x1.d doesn't resolve here (no such name)");
        assert_eq!(
            finding.remedy.unwrap(),
            "add a DNS record for *.p.example.com that resolves to 192.0.2.7"
        );
        let finding = judge("p.example.com", Some("gateway:80"), Err("no such name"), &[]);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(
            finding.message.ends_with("the operator probes previews at gateway:80 instead (probeAddress)"),
            "{finding:?}"
        );
        assert!(finding.remedy.unwrap().contains("*.p.example.com that resolves to the Gateway"));
    }

    #[test]
    fn it_should_resolve_to_the_gateway() {
        let finding = judge("p.example.com", None, Ok(&["192.0.2.7"]), &["192.0.2.7", "2001:db8::7"]);
        assert_eq!(
            finding,
            Subject::new("DNS record *.p.example.com").ok("resolves to 192.0.2.7, the Gateway's address")
        );
        assert_eq!(judge("p.example.com", None, Ok(&["192.0.2.7"]), &[]).message, "resolves to 192.0.2.7");
        let elsewhere = judge("p.example.com", None, Ok(&["192.0.2.8"]), &["192.0.2.7"]);
        assert_eq!(elsewhere.verdict, Verdict::Warning);
        assert!(
            elsewhere.message.contains("resolves to 192.0.2.8, but the Gateway has 192.0.2.7"),
            "{elsewhere:?}"
        );
        assert!(elsewhere.remedy.unwrap().contains("forwards to the Gateway"));
    }

    #[test]
    fn names_under_localhost_need_no_record() {
        let finding = judge("preview.localhost", None, Ok(&["127.0.0.1", "::1"]), &["10.88.0.2"]);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.message.contains("the own machine"));
    }
}
