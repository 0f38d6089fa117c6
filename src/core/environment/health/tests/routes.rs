//! Routes, services and claims.

use super::*;

fn route(parents: &str) -> World {
    World::new(&format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: preview, uid: route-uid, generation: 2, creationTimestamp: T+0}}
spec: {{parentRefs: [{{name: shared, namespace: gateways}}]}}
status: {{parents: {parents}}}"
    ))
}

fn parent(namespace: &str, accepted: (&str, &str, i64), resolved: (&str, &str, i64)) -> String {
    let condition = |kind: &str, (status, reason, generation): (&str, &str, i64)| {
        format!(
            "{{type: {kind}, status: '{status}', reason: {reason}, message: said so, observedGeneration: {generation}, lastTransitionTime: T+2}}"
        )
    };
    format!(
        "{{controllerName: example.com/gateway, parentRef: {{group: gateway.networking.k8s.io, kind: Gateway, name: shared, namespace: {namespace}}}, conditions: [{}, {}]}}",
        condition("Accepted", accepted),
        condition("ResolvedRefs", resolved)
    )
}

#[test]
fn a_route_needs_both_conditions_of_its_parent_at_this_generation() {
    let good = ("True", "Accepted", 2);
    assert_eq!(route(&format!("[{}]", parent("gateways", good, good))).verdict(5), EnvironmentHealth::Ready);
    for parents in [
        format!("[{}]", parent("gateways", ("True", "Accepted", 1), good)),
        format!("[{}]", parent("gateways", good, ("True", "ResolvedRefs", 1))),
        format!("[{}]", parent("gateways", ("Unknown", "Pending", 2), good)),
    ] {
        assert!(matches!(route(&parents).verdict(100), EnvironmentHealth::Progressing { .. }), "{parents}");
    }
    // The report of another controller on the same parent doesn't override the one that serves it.
    let both = format!(
        "[{}, {}]",
        parent("gateways", ("False", "NoMatchingParent", 2), good),
        parent("gateways", good, good)
    );
    assert_eq!(route(&both).verdict(100), EnvironmentHealth::Ready);
}

#[test]
fn gateway_without_generation_leaves_readiness_to_the_url() {
    let good = ("True", "Accepted", 2);
    let never = parent("gateways", ("True", "Accepted", 0), ("True", "ResolvedRefs", 0));
    let left_out = never.replace(", observedGeneration: 0", "");
    let refused = parent("gateways", ("False", "NoMatchingListenerHostname", 0), good);
    for parents in [&never, &left_out, &parent("gateways", good, ("True", "ResolvedRefs", 0)), &refused] {
        let assessment = route(&format!("[{parents}]")).at(1);
        assert_eq!(assessment.verdict, EnvironmentHealth::Ready, "{parents}");
        let unconfirmed = assessment.unconfirmed.expect("unconfirmed");
        assert!(unconfirmed.starts_with("Gateway gateways/shared reports "), "{unconfirmed}");
    }
    // Another controller confirms the route.
    let sure = route(&format!("[{never}, {}]", parent("gateways", good, good))).at(1);
    assert_eq!((sure.verdict, sure.unconfirmed), (EnvironmentHealth::Ready, None));
}

#[test]
fn silent_gateway_leaves_readiness_to_the_url() {
    let good = ("True", "Accepted", 2);
    // Reports about no parent, about another parent, and incomplete ones.
    let others = format!("[{}]", parent("elsewhere", good, good));
    let half = format!("[{}]", parent("gateways", good, good).replace("type: ResolvedRefs", "type: Other"));
    for parents in ["[]", &others, &half] {
        let early = route(parents).at(9);
        assert!(
            matches!(&early.verdict, EnvironmentHealth::Progressing { reason, .. } if reason == "NotAccepted"),
            "{early:?}"
        );
        assert_eq!(early.look_again_after, Some(Duration::from_secs(1)));
        let late = route(parents).at(10);
        assert_eq!(late.verdict, EnvironmentHealth::Ready);
        assert_eq!(
            late.unconfirmed.as_deref(),
            Some("Gateway gateways/shared reports nothing about the route")
        );
    }
}

#[test]
fn a_route_that_stays_refused_fails_with_the_gateways_reason() {
    let good = ("True", "Accepted", 2);
    for (parents, reason) in [
        (parent("gateways", ("False", "NotAllowedByListeners", 2), good), "NotAllowedByListeners"),
        (parent("gateways", good, ("False", "BackendNotFound", 2)), "BackendNotFound"),
    ] {
        let world = route(&format!("[{parents}]"));
        let early = world.at(5);
        assert!(
            matches!(&early.verdict, EnvironmentHealth::Progressing { reason: said, .. } if said == reason),
            "{early:?}"
        );
        assert_eq!(early.look_again_after, Some(Duration::from_secs(27)));
        let late = world.verdict(32);
        assert!(
            matches!(&late, EnvironmentHealth::Failed { reason: said, message } if said == reason && message.contains("Gateway gateways/shared") && message.contains("said so")),
            "{late:?}"
        );
    }
}

#[test]
fn an_ingress_needs_no_address_and_a_load_balancer_does() {
    let ingress = World::new(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: preview, generation: 1}
status: {loadBalancer: {}}",
    );
    assert_eq!(ingress.verdict(5), EnvironmentHealth::Ready);
    let service = |kind: &str, status: &str| {
        World::new(&format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: preview}}
spec: {{type: {kind}, clusterIP: 10.0.0.9}}
status: {{loadBalancer: {{{status}}}}}"
        ))
        .verdict(5)
    };
    assert_eq!(service("ClusterIP", ""), EnvironmentHealth::Ready);
    assert_eq!(service("LoadBalancer", "ingress: [{ip: 192.0.2.1}]"), EnvironmentHealth::Ready);
    assert_eq!(
        service("LoadBalancer", ""),
        progressing("NoAddress", "Service/web: the load balancer has no address yet")
    );
}

#[test]
fn claim_must_be_bound_when_a_pod_uses_the_claim() {
    let claim = |phase: &str| {
        format!(
            "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, namespace: preview, uid: claim-uid}}
status: {{phase: {phase}}}"
        )
    };
    assert_eq!(World::new(&claim("Bound")).verdict(5), EnvironmentHealth::Ready);
    assert_eq!(World::new(&claim("Pending")).verdict(5), EnvironmentHealth::Ready);
    assert!(matches!(World::new(&claim("Lost")).verdict(5), EnvironmentHealth::Failed { .. }));
    let pod = web_pod("db-0", "somebody-uid", "").replace(
        "  containers:",
        "  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n  containers:",
    );
    let world = World::new(&format!("{}\n---\n{pod}", claim("Pending")));
    assert!(
        matches!(world.verdict(5), EnvironmentHealth::Progressing { reason, .. } if reason == "NotBound")
    );
}
