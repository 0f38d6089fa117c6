//! The rights that the chart grants, and to whom.

use serde_json::{Value, json};

use crate::helm::{Objects, called, chart, every_rendering, list, objects};

/// Returns all rules, with the roles that have them.
fn rules(objects: &Objects) -> Vec<(String, &Value)> {
    let roles =
        objects.iter().filter(|object| ["Role", "ClusterRole"].iter().any(|kind| object["kind"] == *kind));
    roles.flat_map(|role| list(&role["rules"]).iter().map(move |rule| (called(role), rule))).collect()
}

fn has(rule: &Value, field: &str, word: &str) -> bool {
    list(&rule[field]).iter().any(|entry| entry == word)
}

/// Returns the roles that are bound in the whole cluster.
fn everywhere(objects: &Objects) -> Vec<String> {
    let bindings = objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding");
    bindings.map(|binding| format!("ClusterRole {}", binding["roleRef"]["name"].as_str().unwrap())).collect()
}

#[test]
fn nothing_is_given_without_bounds() {
    for (values, objects) in every_rendering() {
        let everywhere = everywhere(&objects);
        for (role, rule) in rules(&objects) {
            let about = format!("{values}: {role}: {rule}");
            for field in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
                assert!(!has(rule, field, "*"), "{about}");
            }
            assert!(!has(rule, "verbs", "escalate"), "{about}");
            if has(rule, "verbs", "bind") || has(rule, "verbs", "impersonate") {
                assert_eq!(rule["resourceNames"], json!(["matinee-deployer"]), "{about}");
            }
            if everywhere.contains(&role) {
                assert!(!has(rule, "resources", "secrets"), "{about}");
                let workloads = ["pods", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs"];
                if workloads.iter().any(|workload| has(rule, "resources", workload)) {
                    assert_eq!(rule["verbs"], json!(["get", "list", "watch"]), "{about}");
                }
            }
        }
    }
}

#[test]
fn bindings_name_roles_and_accounts_that_are_there() {
    for (values, objects) in every_rendering() {
        for binding in
            objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
        {
            let role = &binding["roleRef"];
            objects.get(role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            let subject = &binding["subjects"][0];
            let account = objects.get("ServiceAccount", subject["name"].as_str().unwrap());
            assert_eq!(
                subject["namespace"],
                account["metadata"]["namespace"],
                "{values}: {}",
                called(binding)
            );
        }
    }
}

#[test]
fn people_get_nothing_that_speaks_for_others() {
    let objects = objects(&[]);
    let given = |role: &str| list(&objects.get("ClusterRole", role)["rules"]).to_vec();
    let all = [given("matinee-view"), given("matinee-edit"), given("matinee-admin")];
    for rule in all.concat() {
        let reads = rule["verbs"] == json!(["get", "list", "watch"]);
        for resource in list(&rule["resources"]) {
            let resource = resource.as_str().unwrap();
            assert!(!resource.contains('/'), "a part of an object, such as its status: {rule}");
            assert_ne!(resource, "previewclasses", "{rule}");
            assert!(reads || resource != "deploymentcommands", "{rule}");
        }
    }
    let [view, edit, _] = all;
    assert!(view.iter().all(|rule| rule["verbs"] == json!(["get", "list", "watch"])));
    for rule in edit {
        assert!(!has(&rule, "resources", "deploymentrequests"), "{rule}");
        assert!(
            !has(&rule, "resources", "previewenvironments") || rule["verbs"] == json!(["delete"]),
            "{rule}"
        );
    }
    let without = crate::helm::objects(&["--set", "rbac.aggregateToUserRoles=false"]);
    assert!(without.find("ClusterRole", "matinee-edit").is_none());
}

#[test]
fn the_hooks_may_do_what_they_do_and_no_more() {
    let full = chart().join("ci/full-values.yaml");
    let objects = objects(&["-f", full.to_str().unwrap()]);
    let rules = |kind: &str, name: &str| objects.get(kind, name)["rules"].clone();
    assert_eq!(
        rules("ClusterRole", "matinee-class"),
        json!([
            {"apiGroups": ["matinee.dev"], "resources": ["previewclasses"], "resourceNames": ["standard"], "verbs": ["get", "patch"]},
            {"apiGroups": ["matinee.dev"], "resources": ["previewclasses"], "verbs": ["create"]},
        ])
    );
    assert_eq!(
        rules("ClusterRole", "matinee-teardown"),
        json!([
            {"apiGroups": ["matinee.dev"], "resources": ["previewenvironments"], "verbs": ["list", "delete"]},
            {"apiGroups": ["matinee.dev"], "resources": ["deploymentrequests"], "verbs": ["list", "delete"]},
            {"apiGroups": ["matinee.dev"], "resources": ["previewclasses"], "resourceNames": ["standard"], "verbs": ["get", "delete"]},
        ])
    );
    assert_eq!(
        rules("Role", "matinee-teardown"),
        json!([
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["matinee-settings"], "verbs": ["get", "patch"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["matinee-leader"], "verbs": ["delete"]},
        ])
    );
    assert_eq!(
        rules("ClusterRole", "matinee-doctor"),
        json!([
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"]},
            {"apiGroups": ["matinee.dev"], "resources": ["previewclasses", "previewrepositories"], "verbs": ["list"]},
            {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gateways"], "verbs": ["get"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingressclasses"], "verbs": ["list"]},
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["matinee-deployer"], "verbs": ["get"]},
        ])
    );
    // These exist only while the hook runs.
    for object in objects.iter().filter(|object| {
        ["matinee-class", "matinee-teardown"].iter().any(|name| object["metadata"]["name"] == *name)
    }) {
        let annotations = &object["metadata"]["annotations"];
        assert!(annotations["helm.sh/hook"].is_string(), "{}", called(object));
        assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded");
    }
}

#[test]
fn secrets_can_be_narrowed_to_those_that_are_named() {
    let secrets = |set: &str| {
        let objects = objects(&["--set", set]);
        let rules = list(&objects.get("Role", "matinee")["rules"]).to_vec();
        rules.into_iter().find(|rule| has(rule, "resources", "secrets")).unwrap()
    };
    assert_eq!(secrets("rbac.secretNames={a,b}")["resourceNames"], json!(["a", "b"]));
    assert_eq!(
        secrets("pages=false"),
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})
    );
}

#[test]
fn the_operator_is_held_to_the_namespaces_of_previews() {
    let policies = |set: &str| {
        let objects = objects(&["--set", set]);
        let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).cloned().collect();
        let (policies, bindings): (Vec<Value>, Vec<Value>) =
            (of_kind("ValidatingAdmissionPolicy"), of_kind("ValidatingAdmissionPolicyBinding"));
        (policies, bindings)
    };
    let (usual, bindings) = policies("serviceAccount.name=op,namespaceOverride=there");
    assert_eq!(usual.len(), 2);
    for policy in &usual {
        let spec = &policy["spec"];
        assert_eq!(spec["failurePolicy"], "Fail");
        assert_eq!(
            spec["matchConditions"][0]["expression"],
            "request.userInfo.username == \"system:serviceaccount:there:op\""
        );
        let name = &policy["metadata"]["name"];
        let binding = bindings.iter().find(|binding| binding["spec"]["policyName"] == *name).unwrap();
        assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    }
    // The policies confine everything that the operator may write outside its own kinds and
    // namespace.
    let written = objects(&[]);
    for rule in list(&written.get("ClusterRole", "matinee")["rules"]) {
        let own = [json!("matinee.dev"), json!("events.k8s.io")].contains(&rule["apiGroups"][0]);
        if own || !has(rule, "verbs", "create") {
            continue;
        }
        for resource in list(&rule["resources"]) {
            let held =
                usual.iter().flat_map(|policy| list(&policy["spec"]["matchConstraints"]["resourceRules"]));
            let held = held.filter(|held| held["apiGroups"] == rule["apiGroups"]);
            assert!(
                held.clone().any(|held| list(&held["resources"]).contains(resource)
                    && held["operations"] == json!(["CREATE", "UPDATE", "DELETE"])),
                "{resource}"
            );
        }
    }
    for (level, allowed) in [
        ("Restricted", r#"["restricted"]"#),
        ("Baseline", r#"["restricted","baseline"]"#),
        ("Privileged", r#"["restricted","baseline","privileged"]"#),
    ] {
        let (policies, _) = policies(&format!("rbac.confinement.podSecurity={level}"));
        let text = policies[0]["spec"]["validations"].to_string().replace('\\', "");
        assert!(text.contains(&format!("variables.level in {allowed}")), "{text}");
    }
    assert_eq!(policies("rbac.confinement.enabled=false"), (Vec::new(), Vec::new()));
}

#[test]
fn what_teams_may_deploy_can_be_set() {
    let none = objects(&["--set", "rbac.deployer.rules=null"]);
    assert!(none.find("ClusterRole", "matinee-deployer-usual").is_none());
    // The cluster aggregates the role's rules, and would overwrite rules that others set.
    assert_eq!(none.get("ClusterRole", "matinee-deployer")["rules"], Value::Null);
    let label = "matinee.dev/aggregate-to-deployer";
    let usual = objects(&[]);
    let usual = usual.get("ClusterRole", "matinee-deployer-usual");
    assert_eq!(usual["metadata"]["labels"][label], "true");
}
