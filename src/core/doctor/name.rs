//! The wildcard DNS name of a class: whether the names of previews resolve, and to the Gateway.

use std::net::IpAddr;

use super::{Finding, some_of};
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
    let what = format!("names under {domain}");
    let instead = routing
        .probe_address
        .as_ref()
        .map(|address| format!("; the operator asks {address} in their place (probeAddress)"))
        .unwrap_or_default();
    let remedy = match gateway.first() {
        Some(address) => format!("add a DNS record for *.{domain} that leads to {address}"),
        None => format!("add a DNS record for *.{domain} that leads to the Gateway or ingress controller"),
    };
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(why) => {
            // Resolvers begin their message with the name.
            let why = why.strip_prefix(name).map_or(why.as_str(), |rest| rest.trim_start_matches(": "));
            let message = format!("{name} doesn't resolve here ({why}){instead}");
            // With a probe address the operator doesn't use DNS, and people may have other name
            // servers, so this is only a warning.
            return if routing.probe_address.is_some() {
                Finding::warning(what, message, remedy)
            } else {
                Finding::problem(what, message, remedy)
            };
        }
    };
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let shown = some_of(&shown, 4);
    if domain == "localhost" || domain.ends_with(".localhost") {
        return Finding::ok(what, format!("they are this machine, wherever they are asked for{instead}"));
    }
    if gateway.is_empty() || addresses.iter().any(|address| gateway.contains(address)) {
        let match_told = if gateway.is_empty() { "" } else { ", the Gateway's address" };
        return Finding::ok(what, format!("they lead to {shown}{match_told}{instead}"));
    }
    let own: Vec<String> = gateway.iter().map(ToString::to_string).collect();
    Finding::warning(
        what,
        format!("they lead to {shown}, and the Gateway is at {}{instead}", some_of(&own, 4)),
        format!("nothing, if what stands there leads on to the Gateway; else {remedy}"),
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
        assert_eq!(finding.remedy.unwrap(), "add a DNS record for *.p.example.com that leads to 192.0.2.7");
        let finding = judge("p.example.com", Some("gateway:80"), Err("no such name"), &[]);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(
            finding.message.ends_with("the operator asks gateway:80 in their place (probeAddress)"),
            "{finding:?}"
        );
        assert!(finding.remedy.unwrap().contains("*.p.example.com that leads to the Gateway"));
    }

    #[test]
    fn it_should_lead_to_the_gateway() {
        let finding = judge("p.example.com", None, Ok(&["192.0.2.7"]), &["192.0.2.7", "2001:db8::7"]);
        assert_eq!(
            finding,
            Finding::ok("names under p.example.com", "they lead to 192.0.2.7, the Gateway's address")
        );
        assert_eq!(judge("p.example.com", None, Ok(&["192.0.2.7"]), &[]).message, "they lead to 192.0.2.7");
        let elsewhere = judge("p.example.com", None, Ok(&["192.0.2.8"]), &["192.0.2.7"]);
        assert_eq!(elsewhere.verdict, Verdict::Warning);
        assert!(
            elsewhere.message.contains("lead to 192.0.2.8, and the Gateway is at 192.0.2.7"),
            "{elsewhere:?}"
        );
        assert!(elsewhere.remedy.unwrap().contains("leads on to the Gateway"));
    }

    #[test]
    fn names_below_localhost_are_this_machine() {
        let finding = judge("preview.localhost", None, Ok(&["127.0.0.1", "::1"]), &["10.88.0.2"]);
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.message.contains("this machine"));
    }
}
