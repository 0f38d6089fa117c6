//! Rights that the operator must not have: each test tries something with the operator's
//! credentials, and checks the API server's own words.

use anyhow::{Result, bail, ensure};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use playground::stage::{NewProject, SYSTEM, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{OWNER_LABEL, SOON, gone, live, name_of, namespace_of, open, refused, states};

tests![
    the_operator_makes_no_workload_anywhere,
    the_operator_reads_no_secret_but_its_own,
    the_operator_binds_no_other_role,
    the_operator_impersonates_nobody_else,
    the_operator_writes_in_namespaces_of_previews_alone,
    a_class_looser_than_the_installation_allows_is_refused,
    a_network_policy_goes_when_the_class_wants_none,
    the_deployer_stays_in_its_namespace,
];

/// Label that enforces a Pod Security Standard.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Returns a client with the operator's account.
async fn operator(stage: &Stage) -> Result<Client> {
    playground::client(stage.operator().kubeconfig()).await
}

fn objects(client: &Client, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Fails unless the API server rejected the request for lack of this right.
fn forbidden<T>(result: Result<T, kube::Error>, right: &str) -> Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => {
            ensure!(status.message.contains(right), "refused, but not for \"{right}\": {}", status.message);
            Ok(())
        }
        Err(other) => bail!("not refused but failed: {other}"),
        Ok(_) => bail!("it was not refused: {right}"),
    }
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "a"}]}})
}

/// Returns a binding of a cluster role to an account.
fn role_binding(role: &str, account: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "intruder"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    })
}

async fn create(api: &Api<DynamicObject>, object: Value) -> Result<DynamicObject, kube::Error> {
    let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    api.create(&PostParams::default(), &object).await
}

async fn the_operator_makes_no_workload_anywhere(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("rights-pod")).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let client = operator(stage).await?;
    let preview = namespace_of(&project, pull.number);
    for namespace in ["default", SYSTEM, &preview] {
        forbidden(
            create(&objects(&client, "v1", "Pod", Some(namespace)), pod("intruder")).await,
            "cannot create resource \"pods\"",
        )?;
        for (version, kind, plural) in [
            ("apps/v1", "Deployment", "deployments"),
            ("apps/v1", "DaemonSet", "daemonsets"),
            ("batch/v1", "Job", "jobs"),
            ("v1", "ConfigMap", "configmaps"),
            ("v1", "Secret", "secrets"),
        ] {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "intruder"}});
            let right = format!("cannot create resource \"{plural}\"");
            forbidden(create(&objects(&client, version, kind, Some(namespace)), object).await, &right)?;
        }
        let web = objects(&client, "apps/v1", "Deployment", Some(namespace));
        let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
        forbidden(
            web.patch("web", &PatchParams::default(), &patch).await,
            "cannot patch resource \"deployments\"",
        )?;
        forbidden(
            web.delete("web", &DeleteParams::default()).await,
            "cannot delete resource \"deployments\"",
        )?;
    }
    Ok(())
}

async fn the_operator_reads_no_secret_but_its_own(stage: &Stage) -> Result<()> {
    let client = operator(stage).await?;
    forbidden(
        objects(&client, "v1", "Secret", None).list(&ListParams::default()).await,
        "cannot list resource \"secrets\"",
    )?;
    forbidden(
        objects(&client, "v1", "Secret", Some("default")).get("any").await,
        "cannot get resource \"secrets\"",
    )?;
    let own = objects(&client, "v1", "Secret", Some(SYSTEM));
    ensure!(own.get_opt("github").await?.is_some(), "its own credentials can't be read");
    forbidden(own.list(&ListParams::default()).await, "cannot list resource \"secrets\"")?;
    forbidden(own.delete("github", &DeleteParams::default()).await, "cannot delete resource \"secrets\"")
}

async fn the_operator_binds_no_other_role(stage: &Stage) -> Result<()> {
    let client = operator(stage).await?;
    stage.namespace("rights-bind").await?;
    let bindings = objects(&client, "rbac.authorization.k8s.io/v1", "RoleBinding", Some("rights-bind"));
    // (The operator can grant rights that it has itself, which allows nothing new.)
    for role in ["cluster-admin", "edit", "view"] {
        forbidden(
            create(&bindings, role_binding(role, "matinee", SYSTEM)).await,
            "attempting to grant RBAC permissions not currently held",
        )?;
    }
    // It must not widen the role that it may bind.
    let roles = objects(&client, "rbac.authorization.k8s.io/v1", "ClusterRole", None);
    let wider = Patch::Merge(json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}));
    let patched = roles.patch("matinee-deployer", &PatchParams::default(), &wider).await;
    forbidden(patched, "cannot patch resource \"clusterroles\"")?;
    let everywhere = objects(&client, "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None);
    let mut binding = role_binding("matinee-deployer", "matinee", SYSTEM);
    binding["kind"] = "ClusterRoleBinding".into();
    forbidden(create(&everywhere, binding).await, "cannot create resource \"clusterrolebindings\"")
}

/// Returns a client of the operator that impersonates a user.
async fn as_user(stage: &Stage, user: &str) -> Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(stage.operator().kubeconfig())?;
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    config.auth_info.impersonate = Some(user.to_owned());
    Ok(Client::try_from(config)?)
}

async fn the_operator_impersonates_nobody_else(stage: &Stage) -> Result<()> {
    for user in [
        "playground:admin",
        "system:serviceaccount:default:default",
        "system:serviceaccount:kube-system:generic-garbage-collector",
    ] {
        let client = as_user(stage, user).await?;
        let listed = objects(&client, "v1", "Pod", Some("default")).list(&ListParams::default()).await;
        // (The message names one of several ways to impersonate; which one depends on earlier
        // requests.)
        forbidden(listed, "cannot impersonate")?;
    }
    Ok(())
}

/// RBAC can't restrict the operator's rights to namespaces of previews, so an admission policy
/// does.
async fn the_operator_writes_in_namespaces_of_previews_alone(stage: &Stage) -> Result<()> {
    let client = operator(stage).await?;
    stage.namespace("rights-alien").await?;
    let alone = "isn't one of a preview";
    let binding = role_binding("matinee-deployer", "matinee", SYSTEM);
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "intruder"},
        "spec": {"hostnames": ["stolen.example.org"]},
    });
    // With that binding the operator could read every Secret of kube-system and run anything there.
    for namespace in ["kube-system", SYSTEM, "default", "rights-alien"] {
        for object in [&binding, &route] {
            let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
            let api =
                objects(&client, version.unwrap_or_default(), kind.unwrap_or_default(), Some(namespace));
            forbidden(create(&api, object.clone()).await, alone)?;
        }
        // The deployer account needs no object, so the operator creates no accounts at all.
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "matinee-deployer"}});
        let accounts = objects(&client, "v1", "ServiceAccount", Some(namespace));
        forbidden(create(&accounts, account).await, "cannot create resource \"serviceaccounts\"")?;
    }
    let namespaces = objects(&client, "v1", "Namespace", None);
    let label = |value: &str| json!({"metadata": {"labels": {OWNER_LABEL: value}}});
    let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let patch = async |name: &str, change: Value| {
        namespaces.patch(name, &PatchParams::default(), &Patch::Merge(change)).await
    };
    // It must not turn existing namespaces into namespaces of previews.
    forbidden(patch("rights-alien", label("mine")).await, alone)?;
    forbidden(namespaces.delete("rights-alien", &DeleteParams::default()).await, alone)?;
    forbidden(
        create(&namespaces, namespace("rights-made", json!({}))).await,
        "namespaces of previews alone",
    )?;
    for loose in [json!({OWNER_LABEL: "mine"}), json!({OWNER_LABEL: "mine", ENFORCE: "privileged"})] {
        let created = create(&namespaces, namespace("rights-made", loose)).await;
        forbidden(created, "rbac.confinement.podSecurity")?;
    }
    let made = namespace("rights-made", json!({OWNER_LABEL: "mine", ENFORCE: "baseline"}));
    create(&namespaces, made).await?;
    let looser = json!({"metadata": {"labels": {ENFORCE: "privileged"}}});
    forbidden(patch("rights-made", looser).await, "rbac.confinement.podSecurity")?;
    forbidden(patch("rights-made", label("another")).await, "can't be changed")?;
    namespaces.delete("rights-made", &DeleteParams::default()).await?;
    Ok(())
}

async fn a_class_looser_than_the_installation_allows_is_refused(stage: &Stage) -> Result<()> {
    let name = "rights-loose";
    stage.class_like(name, |class| class["isolation"]["podSecurity"] = "Privileged".into()).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let environments = stage.environments(&project.namespace);
    let why =
        refused(stage, &environments, &name_of(&project, pull.number), "Applied", "ApplyForbidden").await?;
    ensure!(why.contains("isolation.podSecurity") && why.contains("rbac.confinement.podSecurity"), "{why}");
    let deployment = stage.deployed(&project, &pull.sha, "error", SOON).await?;
    ensure!(!states(&deployment).contains(&"success"), "{deployment:#?}");
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}

async fn a_network_policy_goes_when_the_class_wants_none(stage: &Stage) -> Result<()> {
    let name = "rights-network";
    stage.class_like(name, |_| {}).await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    let policies = stage.objects("networking.k8s.io/v1", "NetworkPolicy", Some(&namespace));
    ensure!(policies.get_opt("matinee").await?.is_some(), "there is none to begin with");
    stage.class_like(name, |class| class["isolation"]["network"] = json!({"policy": "None"})).await?;
    stage
        .wait_for("the network policy is deleted", SOON, async || {
            ensure!(policies.get_opt("matinee").await?.is_none(), "it is there");
            Ok(())
        })
        .await
}

async fn the_deployer_stays_in_its_namespace(stage: &Stage) -> Result<()> {
    let project = stage.project(NewProject::new("rights-deployer")).await?;
    let (pull, _) = live(stage, &project, "feature").await?;
    let (other, _) = live(stage, &project, "other").await?;
    let own = namespace_of(&project, pull.number);
    let client = as_user(stage, &format!("system:serviceaccount:{own}:matinee-deployer")).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {}});
    create(&objects(&client, "v1", "ConfigMap", Some(&own)), map.clone()).await?;
    for namespace in [namespace_of(&project, other.number).as_str(), "default", SYSTEM] {
        let refused = create(&objects(&client, "v1", "ConfigMap", Some(namespace)), map.clone()).await;
        forbidden(refused, "cannot create resource \"configmaps\"")?;
    }
    // It must not remove the policies that confine it.
    for (version, kind, plural) in [
        ("v1", "ResourceQuota", "resourcequotas"),
        ("v1", "LimitRange", "limitranges"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    ] {
        let refused =
            objects(&client, version, kind, Some(&own)).delete("matinee", &DeleteParams::default()).await;
        forbidden(refused, &format!("cannot delete resource \"{plural}\""))?;
    }
    let namespaces = objects(&client, "v1", "Namespace", None);
    forbidden(
        namespaces.delete(&own, &DeleteParams::default()).await,
        "cannot delete resource \"namespaces\"",
    )?;
    // Binding an arbitrary role would escape the confinement.
    let binding = role_binding("admin", "matinee-deployer", &own);
    let bindings = objects(&client, "rbac.authorization.k8s.io/v1", "RoleBinding", Some(&own));
    forbidden(create(&bindings, binding).await, "cannot create resource \"rolebindings\"")
}
