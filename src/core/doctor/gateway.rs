//! The Gateway of a class: whether it works, and whether routes of previews attach to it.
//! <https://gateway-api.sigs.k8s.io/reference/spec/>

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::{Finding, Looked, Subject};
use crate::api::{GatewayRouting, Routing};

/// Host label and namespace of a sample preview, to check listeners with.
const SAMPLE: &str = "pr-1-shop";

/// Checks the Gateway through which a class routes.
pub fn check(routing: &Routing, gateway: &GatewayRouting, seen: &Looked<Value>) -> Vec<Finding> {
    let GatewayRouting { name, namespace, .. } = gateway;
    let subject = Subject::new(format!("Gateway {namespace}/{name}"));
    let missing = "not found, so no preview can be reached";
    let remedy = "create it, or correct spec.routing.gateway; the cluster needs the Gateway API's definitions (standard channel) and a gateway controller";
    let seen = match subject.require(seen, missing, remedy) {
        Ok(seen) => seen,
        Err(finding) => return vec![finding],
    };
    let wrong: Vec<String> = ["Accepted", "Programmed"]
        .into_iter()
        .filter_map(|kind| match condition(&seen["status"]["conditions"], kind) {
            Some(("True", _)) => None,
            Some((_, why)) => Some(format!("not {kind}: {why}")),
            None => Some(format!("no controller has set the condition {kind}")),
        })
        .collect();
    let first = if wrong.is_empty() {
        subject.ok("Accepted and Programmed")
    } else {
        subject.problem(
            wrong.join("; "),
            format!("see `kubectl -n {namespace} describe gateway {name}` and its controller's log"),
        )
    };
    let subject = Subject(format!("{}: listener for *.{}", subject.0, routing.domain));
    vec![first, listener(&subject, &routing.domain, gateway, seen)]
}

/// Checks that one of its listeners accepts routes of previews. If none does, it reports the last
/// one that has the host name.
fn listener(subject: &Subject, domain: &str, gateway: &GatewayRouting, seen: &Value) -> Finding {
    let all = seen["spec"]["listeners"].as_array().into_iter().flatten();
    let named: Vec<&Value> = all
        .filter(|one| gateway.section_name.as_ref().is_none_or(|name| one["name"] == name.as_str()))
        .collect();
    if let (Some(name), true) = (&gateway.section_name, named.is_empty()) {
        return subject.problem(
            format!("listener \"{name}\" not found"),
            "correct spec.routing.gateway.sectionName, or add the listener",
        );
    }
    let host = format!("{SAMPLE}.{domain}");
    let matching = named.into_iter().filter(|one| {
        matches!(one["protocol"].as_str(), Some("HTTP" | "HTTPS"))
            && one["hostname"].as_str().is_none_or(|hostname| covers(hostname, &host))
    });
    let mut finding = subject.problem(
        "no listener for HTTP or HTTPS has this hostname, or none",
        format!("add a listener with the hostname \"*.{domain}\", or correct spec.routing.domain"),
    );
    for listener in matching {
        let name = listener["name"].as_str().unwrap_or_default();
        match obstacle(listener, seen, &gateway.namespace) {
            None => return subject.ok(format!("\"{name}\" accepts the routes of previews")),
            Some((why, remedy)) => finding = subject.problem(format!("\"{name}\" {why}"), remedy),
        }
    }
    finding
}

/// Returns why the listener accepts no route of a preview, and the remedy.
fn obstacle(listener: &Value, gateway: &Value, namespace: &str) -> Option<(String, &'static str)> {
    let allowed = &listener["allowedRoutes"];
    let kinds = allowed["kinds"].as_array().filter(|kinds| !kinds.is_empty());
    if kinds.is_some_and(|kinds| !kinds.iter().any(|kind| kind["kind"] == "HTTPRoute")) {
        return Some(("accepts no HTTPRoute".into(), "add HTTPRoute to the listener's allowedRoutes.kinds"));
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
                    "doesn't select the namespaces of previews".into(),
                    "set allowedRoutes.namespaces.selector to a label of previews' namespaces, such as app.kubernetes.io/managed-by: matinee",
                ));
            }
        }
        from => {
            return Some((
                format!(
                    "accepts routes from namespaces \"{from}\" only (its own is {namespace}), and each preview has a namespace of its own"
                ),
                "set allowedRoutes.namespaces.from to All, or to Selector with app.kubernetes.io/managed-by: matinee",
            ));
        }
    }
    let mut listeners = gateway["status"]["listeners"].as_array().into_iter().flatten();
    let observed = listeners.find(|observed| observed["name"] == listener["name"])?;
    let failed = ["Accepted", "ResolvedRefs", "Programmed"].into_iter().find_map(|kind| {
        let (status, why) = condition(&observed["conditions"], kind)?;
        (status == "False").then(|| format!("is not {kind}: {why}"))
    });
    failed.map(|why| (why, "correct the listener, often its certificate (tls.certificateRefs) or its port"))
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
fn covers(hostname: &str, name: &str) -> bool {
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
    fn a_working_gateway_is_ok() {
        let all = judge(Some("web"), |_| ());
        assert_eq!(all[0], Subject::new("Gateway gateway/public").ok("Accepted and Programmed"));
        assert_eq!(all[1].what, "Gateway gateway/public: listener for *.preview.example.com");
        assert_eq!(all[1].message, "\"web\" accepts the routes of previews");
    }

    #[test]
    fn a_missing_or_unprogrammed_gateway_is_a_problem() {
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
            "not Accepted: Invalid, no such class; no controller has set the condition Programmed"
        );
        assert!(pending[0].remedy.as_ref().unwrap().contains("kubectl -n gateway describe gateway public"));
    }

    #[test]
    fn a_listener_must_cover_the_domain() {
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
        assert!(message.contains("listener \"tls\" not found") && remedy.contains("sectionName"));
    }

    #[test]
    fn a_listener_must_accept_routes_from_previews_namespaces() {
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
    fn a_failed_listener_names_its_condition() {
        let (message, remedy) = trouble(None, |seen| {
            seen["status"]["listeners"][0]["conditions"] = json!([
                {"type": "ResolvedRefs", "status": "False", "reason": "InvalidCertificateRef", "message": "no Secret"},
            ]);
        });
        assert_eq!(message, "\"web\" is not ResolvedRefs: InvalidCertificateRef, no Secret");
        assert!(remedy.contains("certificateRefs"));
        let (message, _) = trouble(None, |seen| {
            seen["spec"]["listeners"][0]["allowedRoutes"]["kinds"] = json!([{"kind": "GRPCRoute"}]);
        });
        assert!(message.contains("accepts no HTTPRoute"));
    }
}
