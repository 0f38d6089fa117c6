use insta::{assert_snapshot, assert_yaml_snapshot};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::sample::{GATEWAY, INGRESS, TEMPLATE, target, unrendered};
use super::*;
use crate::api::{ANNOTATION_DIGEST, InventoryEntry, LABEL_ENVIRONMENT_UID, ServiceAccess};

/// Returns the plan for these resources instead of the sample's, without endpoints.
pub(super) fn plan_of(resources: &[&str]) -> Result<Plan, Mistake> {
    let mut target = target(GATEWAY, TEMPLATE);
    target.template.endpoints.clear();
    plan(&target, resources.iter().map(|yaml| serde_saphyr::from_str(yaml).unwrap()).collect())
}

fn refusal(resource: &str) -> (&'static str, String) {
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: some}}";
    let refused = plan_of(&[config, resource]).expect_err(resource);
    (refused.reason.as_str(), refused.message)
}

fn shown(plan: &Plan) -> Vec<&DynamicObject> {
    plan.objects().collect()
}

#[test]
fn a_plan_routed_through_a_gateway() {
    let target = target(GATEWAY, TEMPLATE);
    assert_yaml_snapshot!(shown(&plan(&target, unrendered(&target)).unwrap()));
}

#[test]
fn a_plan_routed_through_an_ingress_for_no_pull_request() {
    let mut target = target(INGRESS, TEMPLATE);
    target.pull_request = None;
    let plan = plan(&target, unrendered(&target)).unwrap();
    assert_eq!(plan.guard_rails.network_policy, None);
    assert_yaml_snapshot!(plan.routes);
    assert_yaml_snapshot!(plan.guard_rails.namespace);
}

#[test]
fn pods_of_every_kind_bear_the_labels_and_selectors_stay() {
    let template = "{metadata: {labels: {app: x}}, spec: {containers: []}}";
    let workload = |api: &str, kind: &str| {
        format!(
            "{{apiVersion: {api}, kind: {kind}, metadata: {{name: x}}, spec: {{selector: {{matchLabels: {{app: x}}}}, template: {template}}}}}"
        )
    };
    let cron = format!(
        "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: x}}, spec: {{jobTemplate: {{spec: {{template: {template}}}}}}}}}"
    );
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: []}}".to_owned();
    for (yaml, templates) in [
        (workload("apps/v1", "Deployment"), vec!["/spec/template"]),
        (workload("apps/v1", "StatefulSet"), vec!["/spec/template"]),
        (workload("apps/v1", "DaemonSet"), vec!["/spec/template"]),
        (workload("apps/v1", "ReplicaSet"), vec!["/spec/template"]),
        (workload("batch/v1", "Job"), vec!["/spec/template"]),
        (cron, vec!["/spec/jobTemplate", "/spec/jobTemplate/spec/template"]),
        (pod, vec![""]),
    ] {
        let plan = plan_of(&[&yaml]).unwrap();
        let object = serde_json::to_value(&plan.resources[0]).unwrap();
        for template in templates {
            let uid =
                object.pointer(&format!("{template}/metadata/labels/{}", "matinee.dev~1environment-uid"));
            assert_eq!(uid, Some(&json!("4f0c3ff5-0000-4000-8000-00000000f00d")), "{yaml} {template}");
        }
        if let Some(selector) = object.pointer("/spec/selector") {
            assert_eq!(*selector, json!({"matchLabels": {"app": "x"}}), "{yaml}");
            assert_eq!(object.pointer("/spec/template/metadata/labels/app"), Some(&json!("x")), "{yaml}");
        }
    }
    // An object of an unknown kind isn't changed.
    let other = plan_of(&[
        "{apiVersion: x.example/v1, kind: Thing, metadata: {name: x}, spec: {template: {metadata: {labels: {}}}}}",
    ]);
    assert_eq!(
        other.unwrap().resources[0].data.pointer("/spec/template/metadata"),
        Some(&json!({"labels": {}}))
    );
}

#[test]
fn inputs_are_applied_before_their_readers() {
    let object = |api: &str, kind: &str, name: &str| {
        format!("{{apiVersion: {api}, kind: {kind}, metadata: {{name: {name}}}}}")
    };
    let yaml = [
        object("x.example/v1", "Deployment", "custom"),
        object("apps/v1", "Deployment", "web"),
        object("batch/v1", "Job", "migrate"),
        object("v1", "Service", "web"),
        object("v1", "PersistentVolumeClaim", "web"),
        object("v1", "ConfigMap", "b"),
        object("v1", "ConfigMap", "a"),
        object("v1", "Secret", "web"),
        object("rbac.authorization.k8s.io/v1", "Role", "web"),
        object("v1", "ServiceAccount", "web"),
    ];
    let yaml: Vec<&str> = yaml.iter().map(String::as_str).collect();
    let order: Vec<String> = plan_of(&yaml)
        .unwrap()
        .resources
        .iter()
        .map(|object| {
            format!("{}/{}", object.types.as_ref().unwrap().kind, object.metadata.name.as_ref().unwrap())
        })
        .collect();
    assert_eq!(
        order,
        [
            "ServiceAccount/web",
            "Role/web",
            "Secret/web",
            "ConfigMap/b",
            "ConfigMap/a",
            "PersistentVolumeClaim/web",
            "Deployment/custom",
            "Service/web",
            "Deployment/web",
            "Job/migrate"
        ]
    );
}

#[test]
fn what_a_cluster_adds_to_an_object_is_left_out() {
    let plan = plan_of(&[
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, uid: u, resourceVersion: '1', generation: 2, creationTimestamp: null, managedFields: [], namespace: null}}",
    ])
    .unwrap();
    let metadata = serde_json::to_value(&plan.resources[0].metadata).unwrap();
    let mut fields: Vec<&String> = metadata.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["annotations", "labels", "name", "namespace"]);
}

#[test]
fn mistakes_name_the_object_the_field_and_the_remedy() {
    let all: Vec<String> = [
        "3",
        "{kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: v1, metadata: {name: x}}",
        "{apiVersion: '', kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: a/b/v1, kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: ../v1, kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: v1, kind: Config/Map, metadata: {name: x}}",
        "{apiVersion: v1, kind: ConfigMap}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: [7]}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: Feature/X}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: kube-system}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: 7}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: x}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, finalizers: [y]}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, ownerReferences: []}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, lables: {}}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {a: [1]}}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {a: null}}}",
        "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: http}, {port: '080'}]}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, annotations: [a]}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: some}}",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {metadata: {labels: [a]}}}}",
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: matinee-deployer}}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: matinee-deployer}}",
        "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {serviceAccountName: matinee-deployer}}",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {spec: {serviceAccount: matinee-deployer}}}}",
        "{apiVersion: v1, kind: Secret, metadata: {name: x, annotations: {kubernetes.io/service-account.name: matinee-deployer}}}",
        "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: matinee}}",
        "{apiVersion: v1, kind: LimitRange, metadata: {name: x}}",
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: x}}",
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: x}}",
        "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: x}}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: x}}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: x}}",
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}",
        "{apiVersion: matinee.dev/v1alpha1, kind: PreviewEnvironment, metadata: {name: x}}",
        "{apiVersion: v1, kind: List, items: []}",
    ]
    .into_iter()
    .map(|resource| {
        let (reason, message) = refusal(resource);
        assert!(message.starts_with("resources[1]"), "{resource}: {message}");
        format!("{reason}: {message}")
    })
    .collect();
    assert_snapshot!(all.join("\n"));
}

#[test]
fn hooks_of_other_deployers_are_refused_with_the_remedy() {
    let pod = |annotations: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: shop-test-connection, annotations: {annotations}}}}}"
        )
    };
    for (annotations, words) in [
        ("{helm.sh/hook: test}", "Pod/shop-test-connection is a hook of Helm (test)"),
        ("{helm.sh/hook: 'pre-install,pre-upgrade'}", "helm template --no-hooks"),
        ("{argocd.argoproj.io/hook: PreSync}", "remove the annotation argocd.argoproj.io/hook"),
    ] {
        let (reason, message) = refusal(&pod(annotations));
        assert_eq!(reason, "HookUnsupported");
        assert!(message.starts_with("resources[1]: ") && message.contains(words), "{message}");
    }
    assert!(plan_of(&[&pod("{helm.sh/hook-weight: '1', helm.sh/resource-policy: keep}")]).is_ok());
}

#[test]
fn every_object_with_a_mistake_is_named_at_once() {
    let Mistake { reason, message } = plan_of(&[
        "{apiVersion: v1, kind: Namespace, metadata: {name: x}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: http}]}}",
    ])
    .unwrap_err();
    assert_eq!(reason, "KindForbidden");
    assert!(message.starts_with("resources[0]: ") && message.contains("(and 1 more)"), "{message}");
    assert!(message.contains("resources[2].spec.ports[0].port: must be a whole number"), "{message}");
}

#[test]
fn the_port_of_an_endpoint_may_be_written_as_text() {
    let mut target = target(GATEWAY, TEMPLATE);
    let mut rendered = unrendered(&target);
    rendered[1]["spec"]["ports"][0]["port"] = "81".into();
    target.template.endpoints.truncate(1);
    assert_eq!(plan(&target, rendered).unwrap().routes.len(), 1);
}

#[test]
fn the_same_name_in_another_kind_or_group_is_another_object() {
    let plan = plan_of(&[
        "{apiVersion: v1, kind: Secret, metadata: {name: x}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}",
        "{apiVersion: x.example/v1, kind: ConfigMap, metadata: {name: x}}",
    ]);
    assert_eq!(plan.unwrap().resources.len(), 3);
}

#[test]
fn endpoints_lead_to_services_of_the_template() {
    let base = target(GATEWAY, TEMPLATE);
    let refused = |change: &dyn Fn(&mut Target)| {
        let mut target = base.clone();
        change(&mut target);
        let Mistake { reason, message } = plan(&target, unrendered(&target)).unwrap_err();
        format!("{reason}: {message}")
    };
    assert_eq!(
        refused(&|target| target.template.endpoints[1].service = "other".into()),
        "EndpointUnknown: endpoints[1].service: Service \"other\" isn't among the template's resources, which have only the-service; add it or name another"
    );
    assert_eq!(
        refused(&|target| target.template.endpoints[0].port = 80),
        "EndpointUnknown: endpoints[0].port: Service \"the-service\" has no port 80 (it has 81, 82); add it or name another"
    );
    assert_eq!(
        refused(&|target| {
            target.template.resources.truncate(1);
        }),
        "EndpointUnknown: endpoints[0].service: Service \"the-service\" isn't among the template's resources, which have no Service; add it or name another"
    );
    // The controller of a custom resource may create the Service.
    let mut target = base;
    target.template.endpoints[1].service = "made-by-helm".into();
    let mut rendered = unrendered(&target);
    rendered.push(
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "x"}}),
    );
    assert_eq!(plan(&target, rendered).unwrap().routes.len(), 2);
}

#[test]
fn a_class_that_cannot_be_carried_out_is_told() {
    let refused = |change: &dyn Fn(&mut Target)| {
        let mut target = target(GATEWAY, TEMPLATE);
        change(&mut target);
        let Mistake { reason, message } = plan(&target, unrendered(&target)).unwrap_err();
        format!("{reason}: {message}")
    };
    for wrong in ["x", "192.0.2.1", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/-1"] {
        assert_eq!(
            refused(&|target| target.class.isolation.network.egress_to[1] = wrong.into()),
            format!(
                "ClassInvalid: the class's isolation.network.egressTo[1] \"{wrong}\" isn't a CIDR: use for example 192.0.2.0/24"
            )
        );
    }
    assert_eq!(
        refused(&|target| target.class.routing.gateway = None),
        "ClassInvalid: the class's routing has neither gateway nor ingress; set one of them"
    );
}

#[test]
fn a_rejected_guard_rail_names_class_and_field() {
    let message = |kind: &str, code: u16| {
        let Mistake { reason, message } =
            rail_refused("standard", kind, "preview-x", code, "spec.hard[x]: Invalid value");
        format!("{reason}: {message}")
    };
    assert_eq!(
        message("ResourceQuota", 422),
        "ClassInvalid: PreviewClass standard: spec.isolation.quota: spec.hard[x]: Invalid value: the platform team has to correct the \
         class"
    );
    for (kind, code, words) in [
        (
            "LimitRange",
            422,
            "ClassInvalid: PreviewClass standard: spec.isolation.defaultRequests and defaultLimits: ",
        ),
        ("NetworkPolicy", 500, "ClassInvalid: PreviewClass standard: spec.isolation.network: "),
        ("LimitRange", 403, "ApplyForbidden: LimitRange of namespace preview-x: "),
        ("RoleBinding", 422, "ApplyForbidden: RoleBinding of namespace preview-x: "),
    ] {
        assert!(message(kind, code).starts_with(words), "{}", message(kind, code));
    }
}

#[test]
fn opened_ranges_exclude_private_addresses_and_instance_metadata() {
    let excepted = |cidr: &str| {
        let mut target = target(GATEWAY, TEMPLATE);
        target.class.isolation.network.egress_to = vec![cidr.to_owned()];
        let plan = plan(&target, unrendered(&target)).unwrap();
        plan.guard_rails.network_policy.unwrap().data.pointer("/spec/egress/0/to/1/ipBlock").unwrap().clone()
    };
    let open = |cidr: &str| json!({"cidr": cidr});
    for (cidr, except) in [
        (
            "0.0.0.0/0",
            json!([
                "10.0.0.0/8",
                "100.64.0.0/10",
                "169.254.0.0/16",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "192.0.0.192/32",
                "168.63.129.16/32"
            ]),
        ),
        ("::/0", json!(["fc00::/7", "fe80::/10"])),
        ("8.0.0.0/6", json!(["10.0.0.0/8"])),
        ("169.254.0.0/16", json!(["169.254.169.254/32", "169.254.170.2/32"])),
        ("169.254.128.0/17", json!(["169.254.169.254/32", "169.254.170.2/32"])),
        ("fc00::/7", json!(["fd00:ec2::254/128", "fd20:ce::254/128"])),
    ] {
        assert_eq!(excepted(cidr), json!({"cidr": cidr, "except": except}));
    }
    for cidr in ["169.254.169.254/32", "169.253.0.0/16", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"] {
        assert_eq!(excepted(cidr), open(cidr));
    }
}

#[test]
fn internet_is_open_without_private_addresses() {
    let mut target = target(GATEWAY, TEMPLATE);
    target.class.isolation.network.internet = true;
    target.class.isolation.network.egress_to.clear();
    let plan = plan(&target, unrendered(&target)).unwrap();
    let policy = plan.guard_rails.network_policy.unwrap();
    let to = policy.data.pointer("/spec/egress/0/to").unwrap().as_array().unwrap();
    let ranges: Vec<&Value> = to.iter().filter_map(|peer| peer.pointer("/ipBlock/cidr")).collect();
    assert_eq!(ranges, ["0.0.0.0/0", "::/0"]);
    assert!(to.iter().skip(1).all(|peer| peer.pointer("/ipBlock/except/0").is_some()), "{to:?}");
}

#[test]
fn services_with_effects_outside_need_the_class() {
    let reject = |spec: &str, allowed: &[ServiceAccess]| {
        let mut target = target(GATEWAY, TEMPLATE);
        target.class.isolation.allowed_services = allowed.to_vec();
        target.template.endpoints.clear();
        let service = format!("{{apiVersion: v1, kind: Service, metadata: {{name: x}}, spec: {spec}}}");
        plan(&target, vec![serde_saphyr::from_str(&service).unwrap()]).err()
    };
    for (spec, access, field) in [
        ("{type: LoadBalancer, ports: [{port: 80}]}", ServiceAccess::LoadBalancer, "spec.type"),
        ("{type: NodePort, ports: [{port: 80}]}", ServiceAccess::NodePort, "spec.type"),
        ("{type: ExternalName, externalName: example.com}", ServiceAccess::ExternalName, "spec.type"),
        ("{externalIPs: [192.0.2.1], ports: [{port: 80}]}", ServiceAccess::ExternalIPs, "spec.externalIPs"),
    ] {
        let mistake = reject(spec, &[]).unwrap();
        assert_eq!(mistake.reason, Reason::KindForbidden);
        let words = [format!("resources[0].{field}"), format!("{access:?}"), "allowedServices".to_owned()];
        assert!(words.iter().all(|word| mistake.message.contains(word)), "{}", mistake.message);
        assert_eq!(reject(spec, &[access]), None);
    }
    assert_eq!(reject("{externalIPs: [], clusterIP: None, ports: [{port: 80}]}", &[]), None);
}

#[test]
fn the_digest_tells_every_change_and_nothing_else() {
    let digest =
        |object: &DynamicObject| object.metadata.annotations.as_ref().unwrap()[ANNOTATION_DIGEST].clone();
    let make = |change: &dyn Fn(&mut Value)| {
        let mut target = target(GATEWAY, TEMPLATE);
        target.template.endpoints.clear();
        let mut rendered = unrendered(&target);
        change(&mut rendered[0]);
        plan(&target, rendered).unwrap().resources.pop().unwrap()
    };
    let planned = make(&|_| ());
    assert_eq!(digest(&planned).len(), 64);
    let changed = make(&|object| object["spec"]["replicas"] = json!(3));
    let relabelled = make(&|object| object["metadata"]["labels"]["app"] = json!("x"));
    assert!(!unchanged(&planned, &changed));
    assert!(!unchanged(&planned, &relabelled));

    // As the API server returns it: with defaults, and perhaps only its metadata.
    let mut live = planned.clone();
    live.metadata.uid = Some("uid".into());
    live.metadata.generation = Some(4);
    live.data = Value::Null;
    assert!(unchanged(&planned, &live));
    let mut others = live.clone();
    others.metadata.labels.as_mut().unwrap().insert(LABEL_ENVIRONMENT_UID.into(), "somebody-else".into());
    assert!(!unchanged(&planned, &others));
    live.metadata.annotations = None;
    assert!(!unchanged(&planned, &live));
    assert!(!unchanged(&live, &live));
}

#[test]
fn only_what_the_plan_no_longer_has_is_pruned() {
    let mut target = target(GATEWAY, TEMPLATE);
    let entry = |api_version: &str, kind: &str, name: &str| InventoryEntry {
        api_version: api_version.into(),
        kind: kind.into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
        finished: None,
    };
    let full = plan(&target, unrendered(&target)).unwrap();
    let inventory: Vec<InventoryEntry> = full
        .objects()
        .map(|object| {
            let types = object.types.as_ref().unwrap();
            entry(&types.api_version, &types.kind, object.metadata.name.as_ref().unwrap())
        })
        .collect();
    assert_eq!(inventory.len(), 9);
    assert_eq!(prune(&inventory, &full), []);

    let old = [
        entry("apps/v1beta1", "Deployment", "the-deployment"),
        entry("x.example/v1", "Deployment", "the-deployment"),
        entry("apps/v1", "StatefulSet", "the-deployment"),
        entry("apps/v1", "Deployment", "gone"),
        entry("v1", "Namespace", "another"),
    ];
    assert_eq!(prune(&old, &full), old[1..4]);

    target.template.endpoints.truncate(1);
    target.class.isolation.network.policy = crate::api::NetworkPolicyMode::None;
    let smaller = plan(&target, unrendered(&target)).unwrap();
    let gone: Vec<String> =
        prune(&inventory, &smaller).into_iter().map(|gone| gone.kind + "/" + &gone.name).collect();
    assert_eq!(gone, ["NetworkPolicy/matinee", "HTTPRoute/matinee-second"]);
}

#[test]
fn objects_that_no_inventory_has_yet_are_found_by_their_labels() {
    let target = target(GATEWAY, TEMPLATE);
    let full = plan(&target, unrendered(&target)).unwrap();
    let mut live: Vec<DynamicObject> = full.objects().cloned().collect();
    let names = |found: &[InventoryEntry]| -> Vec<String> {
        found.iter().map(|entry| format!("{}/{}", entry.kind, entry.name)).collect()
    };
    let found = existing(&[], &target.namespace, &live);
    let applied = full.resources.iter().chain(&full.routes);
    let expected: Vec<String> = applied
        .map(|object| {
            format!("{}/{}", object.types.as_ref().unwrap().kind, object.metadata.name.as_ref().unwrap())
        })
        .collect();
    assert_eq!(names(&found), expected);
    assert_eq!(existing(&found, &target.namespace, &live), found);
    assert_eq!(existing(&[], "another", &live), []);

    let last = live.last_mut().unwrap();
    last.metadata.owner_references = Some(vec![OwnerReference::default()]);
    assert_eq!(names(&existing(&[], &target.namespace, &live)), expected[..expected.len() - 1]);
    let last = live.last_mut().unwrap();
    last.metadata.owner_references = None;
    last.metadata.annotations = None;
    assert_eq!(names(&existing(&[], &target.namespace, &live)), expected[..expected.len() - 1]);
}

#[test]
fn what_makes_an_object_ready_is_the_templates_to_say() {
    let object = |kind: &str, value: &str| {
        format!(
            "{{apiVersion: {kind}, metadata: {{name: x, annotations: {{matinee.dev/ready-when: '{value}', matinee.dev/other: x}}}}}}"
        )
    };
    let custom = "rabbitmq.com/v1beta1, kind: RabbitmqCluster";
    let plan = plan_of(&[&object(custom, "condition=AllReplicasReady")]).unwrap();
    let annotations = plan.resources[0].metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations["matinee.dev/ready-when"], "condition=AllReplicasReady");
    assert!(!annotations.contains_key("matinee.dev/other"));
    for (kind, value, words) in [
        (custom, "AllReplicasReady", "write it like"),
        ("apps/v1, kind: ControllerRevision", "exists", "Kubernetes"),
    ] {
        let (reason, message) = refusal(&object(kind, value));
        assert_eq!(reason, "TemplateInvalid");
        assert!(
            message.starts_with("resources[1].metadata.annotations[\"matinee.dev/ready-when\"]: ")
                && message.contains(words),
            "{message}"
        );
    }
}
