//! The Gateway of a class: whether it works, and whether routes of previews attach to it.
//! <https://gateway-api.sigs.k8s.io/reference/spec/>

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::{Finding, Looked};
use crate::api::{GatewayRouting, Routing};

/// Host label and namespace of a sample preview, to check listeners with.
const SAMPLE: &str = "pr-1-shop";

/// Checks that the API server serves the kinds of Gateway API v1.
pub fn served(kinds: &Result<Vec<String>, String>) -> Finding {
    const WHAT: &str = "Gateway API";
    match kinds {
        Err(why) => Finding::problem(
            WHAT,
            format!("could not be asked for: {why}"),
            "see whether the API server is well",
        ),
        Ok(kinds) if ["Gateway", "HTTPRoute"].iter().all(|kind| kinds.iter().any(|one| one == kind)) => {
            Finding::ok(WHAT, "v1 is served")
        }
        Ok(_) => Finding::problem(
            WHAT,
            "gateway.networking.k8s.io/v1 isn't served",
            "install the Gateway API's definitions (standard channel) and a gateway controller, or route through an Ingress",
        ),
    }
}

/// Checks the Gateway through which a class routes.
pub fn check(routing: &Routing, gateway: &GatewayRouting, seen: &Looked<Value>) -> Vec<Finding> {
    let what = format!("Gateway {}/{}", gateway.namespace, gateway.name);
    let seen = match seen {
        Err(unread) => return vec![unread.finding(what)],
        Ok(None) => {
            return vec![Finding::problem(
                what,
                "it isn't there, so no preview has a route",
                "create it, or correct spec.routing.gateway",
            )];
        }
        Ok(Some(seen)) => seen,
    };
    let mut wrong = Vec::new();
    for kind in ["Accepted", "Programmed"] {
        match condition(&seen["status"]["conditions"], kind) {
            Some(("True", _)) => {}
            Some((_, why)) => wrong.push(format!("not {kind}: {why}")),
            None => wrong.push(format!("no controller says that it is {kind}")),
        }
    }
    let first = if wrong.is_empty() {
        Finding::ok(&what, "Accepted and Programmed")
    } else {
        Finding::problem(
            &what,
            wrong.join("; "),
            format!(
                "see `kubectl -n {} describe gateway {}` and the log of its controller",
                gateway.namespace, gateway.name
            ),
        )
    };
    vec![first, listener(&what, routing, gateway, seen)]
}

/// Checks that one of its listeners accepts routes of previews. If none does, it reports the
/// listener that comes closest.
fn listener(what: &str, routing: &Routing, gateway: &GatewayRouting, seen: &Value) -> Finding {
    let domain = &routing.domain;
    let what = format!("{what}: listener for *.{domain}");
    let all = seen["spec"]["listeners"].as_array().into_iter().flatten();
    let named: Vec<&Value> = all
        .filter(|one| gateway.section_name.as_ref().is_none_or(|name| one["name"] == name.as_str()))
        .collect();
    if let (Some(name), true) = (&gateway.section_name, named.is_empty()) {
        return Finding::problem(
            what,
            format!("it has no listener \"{name}\""),
            "correct spec.routing.gateway.sectionName, or add the listener",
        );
    }
    let here = format!("{SAMPLE}.{domain}");
    let matching: Vec<&Value> = named
        .into_iter()
        .filter(|one| matches!(one["protocol"].as_str(), Some("HTTP" | "HTTPS")))
        .filter(|one| one["hostname"].as_str().is_none_or(|hostname| serves(hostname, &here)))
        .collect();
    if matching.is_empty() {
        return Finding::problem(
            what,
            "no listener for HTTP or HTTPS has that host name, or none",
            format!("add a listener with the hostname \"*.{domain}\", or correct spec.routing.domain"),
        );
    }
    let mut nearest = None;
    for listener in matching {
        let name = listener["name"].as_str().unwrap_or_default();
        let finding = match obstacle(listener, seen, &gateway.namespace) {
            None => return Finding::ok(what, format!("\"{name}\" takes routes of previews")),
            Some((message, remedy)) => Finding::problem(&what, format!("\"{name}\" {message}"), remedy),
        };
        nearest = Some(finding);
    }
    nearest.unwrap_or_else(|| Finding::skipped(what, "no listener was looked at"))
}

/// Returns why the listener accepts no route of a preview.
fn obstacle(listener: &Value, gateway: &Value, namespace: &str) -> Option<(String, String)> {
    let allowed = &listener["allowedRoutes"];
    let kinds = allowed["kinds"].as_array().filter(|kinds| !kinds.is_empty());
    if kinds.is_some_and(|kinds| !kinds.iter().any(|kind| kind["kind"] == "HTTPRoute")) {
        return Some((
            "takes no HTTPRoute".into(),
            "add HTTPRoute to the listener's allowedRoutes.kinds".into(),
        ));
    }
    // The default is the Gateway's own namespace.
    match allowed["namespaces"]["from"].as_str().unwrap_or("Same") {
        "All" => {}
        "Selector" => {
            let selector: Option<Selector> =
                serde_json::from_value::<LabelSelector>(allowed["namespaces"]["selector"].clone())
                    .ok()
                    .and_then(|selector| selector.try_into().ok());
            if !selector.is_some_and(|selector| selector.matches(&labels())) {
                return Some((
                    "selects other namespaces than those of previews".into(),
                    "select by a label that previews' namespaces have, as app.kubernetes.io/managed-by: matinee, in allowedRoutes.namespaces.selector".into(),
                ));
            }
        }
        from => {
            return Some((
                format!("takes routes from namespaces \"{from}\" only, and each preview has one of its own (this one's is {namespace})"),
                "set allowedRoutes.namespaces.from to All, or to Selector with app.kubernetes.io/managed-by: matinee".into(),
            ));
        }
    }
    let states = gateway["status"]["listeners"].as_array().into_iter().flatten();
    let state = states.into_iter().find(|state| state["name"] == listener["name"])?;
    for kind in ["Accepted", "ResolvedRefs", "Programmed"] {
        if let Some((status, why)) = condition(&state["conditions"], kind)
            && status == "False"
        {
            return Some((
                format!("isn't {kind}: {why}"),
                "correct the listener: often it is its certificate (tls.certificateRefs) or its port".into(),
            ));
        }
    }
    None
}

/// Returns the labels of a preview's namespace. A label whose value differs between namespaces has
/// a sample value.
fn labels() -> BTreeMap<String, String> {
    let own = ["environment-uid", "environment", "environment-namespace", "repository", "pull-request"];
    let mut labels: BTreeMap<String, String> =
        own.iter().map(|name| (format!("matinee.dev/{name}"), SAMPLE.to_owned())).collect();
    labels.insert("app.kubernetes.io/managed-by".into(), "matinee".into());
    labels.insert("kubernetes.io/metadata.name".into(), format!("preview-{SAMPLE}"));
    labels
}

/// Whether a listener's host name covers a name; `*.` matches one or more labels.
fn serves(hostname: &str, name: &str) -> bool {
    match hostname.strip_prefix("*.") {
        Some(domain) => name.len() > domain.len() && name.ends_with(&format!(".{domain}")),
        None => hostname == name,
    }
}

fn condition<'a>(conditions: &'a Value, kind: &str) -> Option<(&'a str, String)> {
    let found = conditions.as_array()?.iter().find(|one| one["type"] == kind)?;
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    let words: Vec<&str> =
        [text("reason"), text("message")].into_iter().filter(|word| !word.is_empty()).collect();
    Some((text("status"), words.join(", ")))
}

/// Returns the addresses of the Gateway that are IP addresses.
pub fn addresses(seen: &Value) -> Vec<std::net::IpAddr> {
    let all = seen["status"]["addresses"].as_array().into_iter().flatten();
    all.filter_map(|one| one["value"].as_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::class::tests::class;
    use super::super::{Unread, Verdict};
    use super::*;

    fn judge(section: Option<&str>, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
        let mut seen = json!({
            "spec": {"listeners": [{
                "name": "web", "protocol": "HTTPS", "hostname": "*.preview.example.com",
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }]},
            "status": {
                "conditions": [{"type": "Accepted", "status": "True"}, {"type": "Programmed", "status": "True"}],
                "listeners": [{"name": "web", "conditions": [{"type": "Programmed", "status": "True"}]}],
            },
        });
        change(&mut seen);
        let routing = class(|_| ()).spec.routing;
        let gateway =
            GatewayRouting { section_name: section.map(str::to_owned), ..routing.gateway.clone().unwrap() };
        check(&routing, &gateway, &Ok(Some(seen)))
    }

    /// Returns the finding about the listener, which must be a problem.
    fn trouble(section: Option<&str>, change: impl FnOnce(&mut Value)) -> (String, String) {
        let finding = judge(section, change).remove(1);
        assert_eq!(finding.verdict, Verdict::Problem, "{finding:?}");
        (finding.message, finding.remedy.unwrap())
    }

    #[test]
    fn a_gateway_that_works_is_well() {
        let all = judge(Some("web"), |_| ());
        assert_eq!(all[0], Finding::ok("Gateway gateway/public", "Accepted and Programmed"));
        assert_eq!(all[1].what, "Gateway gateway/public: listener for *.preview.example.com");
        assert_eq!(all[1].message, "\"web\" takes routes of previews");
    }

    #[test]
    fn one_that_is_missing_or_not_programmed_is_a_problem() {
        let routing = class(|_| ()).spec.routing;
        let gateway = routing.gateway.clone().unwrap();
        let missing = check(&routing, &gateway, &Ok(None));
        assert!(missing[0].remedy.as_ref().unwrap().contains("spec.routing.gateway"), "{missing:?}");
        assert_eq!(check(&routing, &gateway, &Err(Unread::Forbidden))[0].verdict, Verdict::Skipped);

        let pending = judge(None, |seen| {
            seen["status"]["conditions"] = json!([{"type": "Accepted", "status": "False", "reason": "Invalid", "message": "no such class"}]);
        });
        assert_eq!(pending[0].verdict, Verdict::Problem);
        assert_eq!(
            pending[0].message,
            "not Accepted: Invalid, no such class; no controller says that it is Programmed"
        );
        assert!(pending[0].remedy.as_ref().unwrap().contains("kubectl -n gateway describe gateway public"));
    }

    #[test]
    fn the_host_name_must_cover_the_domain() {
        for (hostname, fits) in [
            (json!("*.preview.example.com"), true),
            (json!("*.example.com"), true),
            (Value::Null, true),
            (json!("preview.example.com"), false),
            (json!("*.staging.example.com"), false),
            (json!("*.w.example.com"), false),
        ] {
            let finding =
                judge(None, |seen| seen["spec"]["listeners"][0]["hostname"] = hostname.clone()).remove(1);
            assert_eq!(finding.verdict == Verdict::Ok, fits, "{hostname}");
        }
        let (_, remedy) = trouble(None, |seen| seen["spec"]["listeners"][0]["hostname"] = json!("other.org"));
        assert!(remedy.contains("hostname \"*.preview.example.com\""), "{remedy}");
        trouble(None, |seen| seen["spec"]["listeners"][0]["protocol"] = json!("TCP"));
        let (message, remedy) = trouble(Some("tls"), |_| ());
        assert!(message.contains("no listener \"tls\"") && remedy.contains("sectionName"));
    }

    #[test]
    fn routes_must_be_taken_from_the_namespaces_of_previews() {
        let with = |namespaces: Value| {
            judge(None, |seen| {
                seen["spec"]["listeners"][0]["allowedRoutes"] = json!({"namespaces": namespaces});
            })
            .remove(1)
        };
        for (namespaces, fits) in [
            (Value::Null, false),
            (json!({"from": "Same"}), false),
            (json!({"from": "None"}), false),
            (
                json!({"from": "Selector", "selector": {"matchLabels": {"app.kubernetes.io/managed-by": "matinee"}}}),
                true,
            ),
            (json!({"from": "Selector", "selector": {"matchLabels": {"team": "shop"}}}), false),
            (
                json!({"from": "Selector", "selector": {"matchExpressions": [{"key": "matinee.dev/repository", "operator": "Exists"}]}}),
                true,
            ),
        ] {
            let finding = with(namespaces.clone());
            assert_eq!(finding.verdict == Verdict::Ok, fits, "{namespaces}: {finding:?}");
        }
        assert!(with(Value::Null).remedy.unwrap().contains("allowedRoutes.namespaces.from to All"));
    }

    #[test]
    fn a_listener_in_trouble_says_which() {
        let (message, remedy) = trouble(None, |seen| {
            seen["status"]["listeners"][0]["conditions"] = json!([
                {"type": "ResolvedRefs", "status": "False", "reason": "InvalidCertificateRef", "message": "no Secret"},
            ]);
        });
        assert_eq!(message, "\"web\" isn't ResolvedRefs: InvalidCertificateRef, no Secret");
        assert!(remedy.contains("certificateRefs"));
        let (message, _) = trouble(None, |seen| {
            seen["spec"]["listeners"][0]["allowedRoutes"]["kinds"] = json!([{"kind": "GRPCRoute"}]);
        });
        assert!(message.contains("takes no HTTPRoute"));
    }

    #[test]
    fn the_gateway_api_must_be_served() {
        let kinds = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(served(&kinds(&["Gateway", "HTTPRoute", "GatewayClass"])).verdict, Verdict::Ok);
        for none in [kinds(&[]), kinds(&["Gateway"]), Err("no answer".to_owned())] {
            assert_eq!(served(&none).verdict, Verdict::Problem);
        }
        assert!(served(&kinds(&[])).remedy.unwrap().contains("install"));
    }
}
