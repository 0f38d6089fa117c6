//! What the operator may not do, in the API server's own words: everything here is tried as its account, with its own credentials.

use anyhow::{Result, bail, ensure};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use playground::stage::{NewProject, SYSTEM, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::play::{live, namespace_of};

tests![
    the_operator_makes_no_workload_anywhere,
    the_operator_reads_no_secret_but_its_own,
    the_operator_binds_no_other_role,
    the_operator_impersonates_nobody_else,
    the_deployer_stays_in_its_namespace,
];

/// The operator's own account.
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

/// The API server refused it, for lack of this right.
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
    let binding = |role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "intruder"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "matinee", "namespace": SYSTEM}],
        })
    };
    // (What it may do itself it could hand on; that is nothing it couldn't do already.)
    for role in ["cluster-admin", "edit", "view"] {
        forbidden(
            create(&bindings, binding(role)).await,
            "attempting to grant RBAC permissions not currently held",
        )?;
    }
    // Nor does it widen the role that it may bind.
    let roles = objects(&client, "rbac.authorization.k8s.io/v1", "ClusterRole", None);
    let wider = Patch::Merge(json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}));
    let patched = roles.patch("matinee-deployer", &PatchParams::default(), &wider).await;
    forbidden(patched, "cannot patch resource \"clusterroles\"")?;
    let everywhere = objects(&client, "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None);
    let mut binding = binding("matinee-deployer");
    binding["kind"] = "ClusterRoleBinding".into();
    forbidden(create(&everywhere, binding).await, "cannot create resource \"clusterrolebindings\"")
}

/// A client of the operator's that acts as somebody else.
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
        forbidden(listed, "cannot impersonate resource")?;
    }
    Ok(())
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
    // Nor does it undo what confines it.
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
    // A binding of any role would be a way out.
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "out"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "matinee-deployer", "namespace": own}],
    });
    let bindings = objects(&client, "rbac.authorization.k8s.io/v1", "RoleBinding", Some(&own));
    forbidden(create(&bindings, binding).await, "cannot create resource \"rolebindings\"")
}
