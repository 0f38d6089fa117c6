//! `matinee doctor`: what it prints for a correct stage, and for faults one at a time, each in a
//! class of its own.

mod output;

use anyhow::{Context as _, Result, ensure};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use playground::stage::github::types::{NewApp, NewHook, NewInstallation};
use playground::stage::{NewProject, OWNER, SYSTEM, Stage};
use serde_json::{Value, json};

use crate::harness::tests;
use crate::support::{SOON, open};
use output::{about, apply, doctor, lease, seen};

tests![
    a_correct_installation_has_no_problems,
    it_runs_with_the_rights_of_the_operator,
    missing_objects_of_a_class_are_problems,
    missing_permissions_of_the_app_are_problems,
    missing_and_excess_rights_are_reported,
    an_expired_lease_and_drain_mode_are_problems,
    a_missing_ingress_class_is_a_problem,
];

/// The ConfigMap of the stage's operator, as its option `--config-map` names it.
const SETTINGS: &str = "matinee-settings";

async fn a_correct_installation_has_no_problems(stage: &Stage) -> Result<()> {
    let class = "doctor-well";
    stage.class_like(class, |class| class["forge"]["github"]["secretName"] = json!("github-app")).await?;
    seen(stage, class).await?;
    let project = stage.project(NewProject::new("doctor-well").class(class)).await?;
    let kubeconfig = stage.playground().kubeconfig();
    let said = doctor(kubeconfig, &["--class", class, "--config-map", SETTINGS]).await?.ended(0)?;
    for start in [
        "API server: Kubernetes v1.",
        "previewclasses.matinee.dev: served, with this program's schema",
        "previewrepositories.matinee.dev: served, with this program's schema",
        "previewtemplates.matinee.dev: served, with this program's schema",
        "deploymentrequests.matinee.dev: served, with this program's schema",
        "deploymentcommands.matinee.dev: served, with this program's schema",
        "previewenvironments.matinee.dev: served, with this program's schema",
        "needed rights: system:serviceaccount:matinee-system:matinee has all",
        "excess rights: none: ",
        "ClusterRole matinee-deployer: 5 rules",
        "Lease matinee-system/matinee: held by stage",
        "Ready: the operator has reconciled the class",
        "Secret matinee-system/slack for Slack: has all needed keys",
        "Gateway gateway-system/previews: Accepted and Programmed",
        "Gateway gateway-system/previews: listener for *.preview.localhost: \"web\" accepts the routes of previews",
        "DNS record *.preview.localhost: not needed",
        "credentials: valid for the App matinee",
        "clock: this machine's clock agrees with GitHub's",
        "permissions: the App has all needed permissions",
        "installations: on acme",
        "PreviewRepositories: none of 1 is stalled",
    ] {
        said.line("✓", start)?;
    }
    // On the stage each GitHub repository has a webhook of its own.
    said.tells("!", "webhook: the App has none", "/webhooks/github")?;
    ensure!(!said.text.contains('✗') && !said.text.contains('\u{1b}'), "{}", said.text);
    ensure!(said.text.lines().last().is_some_and(|last| last.starts_with("0 problems, ")), "{}", said.text);

    // The same findings as JSON.
    let arguments = ["--class", class, "--output", "json"];
    let said = doctor(kubeconfig, &arguments).await?.ended(0)?;
    let value: Value = serde_json::from_str(&said.text)?;
    ensure!(value["summary"]["problems"] == 0, "{value:#}");
    let titles: Vec<&str> =
        value["sections"].as_array().into_iter().flatten().filter_map(|one| one["title"].as_str()).collect();
    ensure!(
        titles.first() == Some(&"Kubernetes") && titles.last() == Some(&"PreviewRepositories"),
        "{titles:?}"
    );
    ensure!(titles.contains(&"PreviewClass doctor-well"), "{titles:?}");

    // Only this class is checked, since other tests use the other classes at the same time.
    let token = "doctor-token";
    stage.class_like(token, |_| ()).await?;
    seen(stage, token).await?;
    let said = about(stage, token).await?.ended(0)?;
    said.line("✓", "credentials: valid token of matinee-bot")?;
    said.line("✓", "permissions: classic token with the scope repo")?;
    said.line("–", "webhook: not checked: only administrators of a repository may read its webhooks")?;
    said.line("–", "Lease: not checked: leader election is off")?;
    stage.repositories(&project.namespace).delete(&project.name, &DeleteParams::default()).await?;
    Ok(())
}

async fn it_runs_with_the_rights_of_the_operator(stage: &Stage) -> Result<()> {
    let class = "doctor-operator";
    stage.class_like(class, |class| class["forge"]["github"]["secretName"] = json!("github-app")).await?;
    seen(stage, class).await?;
    let kubeconfig = stage.operator().kubeconfig();
    let said = doctor(kubeconfig, &["--class", class, "--lease-name", ""]).await?.ended(0)?;
    said.line("–", "ConfigMap: not checked: without --config-map")?;
    let (server, _) = said.line("✓", "API server: ")?;
    ensure!(server.ends_with(", user system:serviceaccount:matinee-system:matinee"), "{server}");
    said.line("–", "previewclasses.matinee.dev: this account may not read it")?;
    for start in [
        "needed rights: system:serviceaccount:matinee-system:matinee has all",
        "excess rights: none: ",
        "DNS record *.preview.localhost: ",
        "credentials: valid for the App matinee",
    ] {
        said.line("✓", start)?;
    }
    ensure!(!said.text.contains('✗'), "{}", said.text);

    // Another account may neither review the operator's rights nor read its Secrets.
    stage.namespace("doctor-nobody").await?;
    // Kubernetes creates the namespace's default account a moment after the namespace.
    let other = stage
        .wait_for("the account doctor-nobody/default", SOON, async || {
            stage.playground().service_account_kubeconfig("doctor-nobody", "default").await
        })
        .await?;
    let said = doctor(&other, &["--lease-name", ""]).await?.ended(0)?;
    said.line("–", "needed rights: this account may not check the rights of others")?;
    said.line("–", "PreviewClasses: this account may not read it")?;
    said.line("–", "PreviewRepositories: this account may not read it")?;
    said.line("–", "previewclasses.matinee.dev: this account may not read it")?;
    Ok(())
}

async fn missing_objects_of_a_class_are_problems(stage: &Stage) -> Result<()> {
    let class = "doctor-missing";
    stage
        .class_like(class, |class| {
            class["forge"]["github"]["secretName"] = json!("doctor-no-github");
            class["slack"]["secretName"] = json!("doctor-no-slack");
            class["registries"] = json!([{"host": "ghcr.io", "secretName": "doctor-no-registry"}]);
            class["routing"]["domain"] = json!("doctor.invalid");
            class["routing"]["gateway"]["name"] = json!("doctor-no-gateway");
            class["routing"].as_object_mut().map(|routing| routing.remove("probeAddress"));
        })
        .await?;
    seen(stage, class).await?;
    let said = about(stage, class).await?.ended(1)?;
    said.tells("✗", "Ready: SecretMissing: ", "docs/troubleshooting.md explains SecretMissing")?;
    said.tells(
        "✗",
        "credentials: Secret matinee-system/doctor-no-github not found",
        "kubectl -n matinee-system create secret generic doctor-no-github",
    )?;
    said.tells("✗", "Secret matinee-system/doctor-no-slack for Slack: not found", "signingSecret")?;
    said.tells(
        "✗",
        "Secret matinee-system/doctor-no-registry for ghcr.io: not found",
        "create secret docker-registry doctor-no-registry",
    )?;
    said.tells("✗", "Gateway gateway-system/doctor-no-gateway: not found", "spec.routing.gateway")?;
    said.tells("✗", "DNS record *.doctor.invalid: doctor-", "add a DNS record for *.doctor.invalid")?;

    // A Gateway exists but accepts no routes of previews.
    apply(
        stage,
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "doctor-closed", "namespace": "gateway-system"},
            "spec": {
                "gatewayClassName": "doctor-nobodys",
                "listeners": [{"name": "web", "protocol": "HTTP", "port": 80}],
            },
        }),
    )
    .await?;
    let closed = "doctor-closed";
    stage.class_like(closed, |class| class["routing"]["gateway"]["name"] = json!(closed)).await?;
    seen(stage, closed).await?;
    let said = about(stage, closed).await?.ended(1)?;
    said.tells("✗", "Gateway gateway-system/doctor-closed: ", "its controller's log")?;
    said.tells(
        "✗",
        "Gateway gateway-system/doctor-closed: listener for *.preview.localhost: \"web\" accepts routes from namespaces \"Same\" only",
        "allowedRoutes.namespaces.from to All",
    )?;
    let gateways = stage.objects("gateway.networking.k8s.io/v1", "Gateway", Some("gateway-system"));
    gateways.delete("doctor-closed", &DeleteParams::default()).await?;

    let said = about(stage, "doctor-no-class").await?.ended(1)?;
    said.tells("✗", "PreviewClass doctor-no-class: not found", "--class")
}

async fn missing_permissions_of_the_app_are_problems(stage: &Stage) -> Result<()> {
    let name = "doctor-app";
    let github = stage.github();
    let permissions = [("deployments", "write"), ("pull_requests", "read"), ("administration", "write")];
    let app = github
        .create_app(NewApp {
            slug: name.to_owned(),
            owner: OWNER.to_owned(),
            permissions: permissions.map(|(word, level)| (word.to_owned(), level.to_owned())).into(),
            events: vec!["pull_request".to_owned()],
            // The operator rejects what isn't signed with its own secret.
            webhook: Some(NewHook {
                url: stage.operator().webhook_url(),
                secret: Some("not the operator's".to_owned()),
                ..NewHook::default()
            }),
        })
        .await?;
    github.install_app(app.id, NewInstallation { account: OWNER.to_owned(), repositories: None }).await?;
    let secret = json!({"appId": app.id.to_string(), "privateKey": app.private_key});
    let metadata = json!({"name": name, "namespace": SYSTEM});
    apply(stage, json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret}))
        .await?;
    stage.class_like(name, |class| class["forge"]["github"]["secretName"] = json!(name)).await?;
    seen(stage, name).await?;
    let yaml = format!(
        "apiVersion: matinee.dev/v1alpha1\nkind: PreviewRepository\nmetadata: {{name: {name}}}\nspec:\n  repository: acme/{name}\n  \
         className: {name}\n  environments:\n  - name: staging\n    trigger: {{push: {{branches: [main]}}}}\n    \
         deploy: {{template: {{ref: {{name: {name}}}}}}}\n"
    );
    let project =
        stage.project(NewProject::new(name).class(name).without_webhook().repository(&yaml)).await?;
    open(stage, &project, "feature").await?;
    github.settle_hook(github.app_hook(name).await?, SOON).await?;

    let said = about(stage, name).await?.ended(1)?;
    said.tells(
        "✗",
        "permissions: the App lacks Contents: read, needed for trigger.push of PreviewRepository team-doctor-app/doctor-app",
        "/settings/apps/doctor-app/permissions",
    )?;
    said.tells("!", "permissions: Matinee doesn't need administration: write", "remove them")?;
    said.tells("!", "events: the App isn't subscribed to \"Pushes\"", "subscribe to \"Pushes\"")?;
    said.line("✓", &format!("webhook: its URL is {}", stage.operator().webhook_url()))?;
    said.tells("✗", "deliveries: ", "the secrets differ: set the webhook's secret")?;
    let (deliveries, _) = said.line("✗", "deliveries: ")?;
    ensure!(deliveries.contains("failed") && deliveries.contains("with response 403"), "{deliveries}");

    // The Secret names an installation that the App doesn't have.
    let secrets = stage.objects("v1", "Secret", Some(SYSTEM));
    let patch = Patch::Merge(json!({"stringData": {"installationId": "999999999"}}));
    secrets.patch(name, &PatchParams::default(), &patch).await?;
    let said = about(stage, name).await?.ended(1)?;
    said.tells("✗", "installations: the App has no installation 999999999", "correct installationId")?;
    // The key belongs to another App.
    let other = github
        .create_app(NewApp { slug: "doctor-other".to_owned(), owner: OWNER.to_owned(), ..NewApp::default() })
        .await?;
    let patch = Patch::Merge(json!({"stringData": {"privateKey": other.private_key}}));
    secrets.patch(name, &PatchParams::default(), &patch).await?;
    let said = about(stage, name).await?.ended(1)?;
    said.tells("✗", "credentials: GitHub credentials: GET /app: 401", "put a valid token, or the App's")?;
    stage.repositories(&project.namespace).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn missing_and_excess_rights_are_reported(stage: &Stage) -> Result<()> {
    // The cluster role lacks the rules for routes, and there is no role in the operator's
    // namespace.
    let all_roles = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRole", None);
    let name = stage_role(stage).await?;
    let mut rules = all_roles.get(&name).await?.data["rules"].clone();
    let all = rules.as_array_mut().context("the operator's role has rules")?;
    all.retain(|rule| rule["resources"] != json!(["httproutes"]));
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "doctor-lacking"}, "rules": rules});
    apply(stage, role).await?;
    for (account, role) in [("doctor-lacking", "doctor-lacking"), ("doctor-mighty", "cluster-admin")] {
        let metadata = json!({"name": account, "namespace": SYSTEM});
        apply(stage, json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})).await?;
        apply(
            stage,
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": account},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM}],
            }),
        )
        .await?;
    }
    let kubeconfig = stage.playground().kubeconfig();
    let of = async |account: &str| {
        let arguments =
            ["--class", playground::stage::CLASS, "--lease-name", "", "--service-account", account];
        doctor(kubeconfig, &arguments).await
    };
    // The authorizer sees a new binding after a moment.
    let lacking = stage
        .wait_for("the rights of doctor-lacking", SOON, async || {
            let said = of("doctor-lacking").await?.ended(1)?;
            said.line("✗", "needed rights: system:serviceaccount:matinee-system:doctor-lacking can't ")?;
            Ok(said)
        })
        .await?;
    let (line, remedy) = lacking.line("✗", "needed rights: ")?;
    ensure!(
        line.contains("get/list/watch/create/patch/delete httproutes.gateway.networking.k8s.io"),
        "{line}"
    );
    ensure!(
        line.contains("get secrets \"github\" in namespace matinee-system")
            && remedy.contains("helm upgrade"),
        "{line} {remedy}"
    );
    lacking.line("✓", "excess rights: none: ")?;
    let mighty = stage
        .wait_for("the rights of doctor-mighty", SOON, async || {
            let said = of("doctor-mighty").await?;
            said.line("✓", "needed rights: system:serviceaccount:matinee-system:doctor-mighty has all")?;
            Ok(said)
        })
        .await?;
    let (line, remedy) = mighty.line("!", "excess rights: ")?;
    for right in ["create pods", "list secrets", "impersonate users", "bind clusterroles"] {
        ensure!(line.contains(right), "{line}");
    }
    ensure!(remedy.contains("clusterrolebindings"), "{remedy}");
    let nobody = of("doctor-nobody").await?.ended(1)?;
    nobody.tells(
        "✗",
        "needed rights: system:serviceaccount:matinee-system:doctor-nobody has none",
        "--service-account",
    )
}

/// Returns the name of the `ClusterRole` that is bound to the operator's account.
async fn stage_role(stage: &Stage) -> Result<String> {
    let bindings = stage.objects("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None);
    let all = bindings.list(&ListParams::default()).await?;
    let is_it = |subject: &Value| subject["name"] == "matinee" && subject["namespace"] == SYSTEM;
    let found = all.into_iter().find(|one| one.data["subjects"].as_array().into_iter().flatten().any(is_it));
    let role = found.and_then(|one| Some(one.data["roleRef"]["name"].as_str()?.to_owned()));
    role.context("no ClusterRole is bound to the operator")
}

async fn an_expired_lease_and_drain_mode_are_problems(stage: &Stage) -> Result<()> {
    let kubeconfig = stage.playground().kubeconfig();
    lease(stage, "doctor-stale", 605).await?;
    let metadata = json!({"name": "doctor-drain", "namespace": SYSTEM});
    apply(
        stage,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"drain": "true"}}),
    )
    .await?;
    let arguments = ["--class", playground::stage::CLASS];
    let of = async |lease: &str, map: &str| {
        doctor(kubeconfig, &[&arguments[..], &["--lease-name", lease, "--config-map", map]].concat()).await
    };
    let said = of("doctor-stale", "doctor-drain").await?.ended(1)?;
    let (line, remedy) =
        said.line("✗", "Lease matinee-system/doctor-stale: expired: matinee-0 renewed it 6")?;
    ensure!(line.ends_with("no operator is running") && remedy.contains("get pods"), "{line} {remedy}");
    said.tells(
        "✗",
        "ConfigMap matinee-system/doctor-drain: drain mode is on",
        "patch configmap doctor-drain",
    )?;
    let said = of("doctor-none", "doctor-none").await?.ended(1)?;
    said.tells("✗", "Lease matinee-system/doctor-none: not found", "--lease-name")?;
    said.tells("!", "ConfigMap matinee-system/doctor-none: not found", "--config-map")
}

async fn a_missing_ingress_class_is_a_problem(stage: &Stage) -> Result<()> {
    for (name, ingress, mark) in
        [("doctor-ingress", "traefik", "✓"), ("doctor-no-ingress", "doctor-nobodys", "✗")]
    {
        stage
            .class_like(name, |class| {
                class["routing"].as_object_mut().map(|routing| routing.remove("gateway"));
                class["routing"]["ingress"] = json!({"className": ingress});
            })
            .await?;
        seen(stage, name).await?;
        let said = about(stage, name).await?;
        let (line, remedy) = said.line(mark, &format!("IngressClass {ingress}: "))?;
        ensure!(mark == "✓" || remedy.contains("className"), "{line} {remedy}");
        ensure!(!said.text.contains(" Gateway gateway-system/"), "the class uses no Gateway:\n{}", said.text);
    }
    Ok(())
}
