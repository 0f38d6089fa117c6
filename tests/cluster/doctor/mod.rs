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
    all_is_well,
    it_looks_with_the_rights_of_the_operator_too,
    what_a_class_names_and_is_not_there_is_told,
    an_app_that_lacks_what_a_repository_needs_is_told,
    rights_that_lack_or_are_too_many_are_told,
    an_operator_that_does_not_work_is_told,
    an_ingress_class_that_is_not_there_is_told,
];

/// The ConfigMap of the stage's operator, as its option `--config-map` names it.
const SETTINGS: &str = "matinee-settings";

async fn all_is_well(stage: &Stage) -> Result<()> {
    let class = "doctor-well";
    stage.class_like(class, |class| class["forge"]["github"]["secretName"] = json!("github-app")).await?;
    seen(stage, class).await?;
    let project = stage.project(NewProject::new("doctor-well").class(class)).await?;
    let kubeconfig = stage.playground().kubeconfig();
    let said = doctor(kubeconfig, &["--class", class, "--config-map", SETTINGS]).await?.ended(0)?;
    for start in [
        "API server: Kubernetes v1.",
        "clock: this machine's clock agrees with the API server's",
        "Gateway API: v1 is served",
        "previewclasses.matinee.dev: served, and this version's",
        "previewrepositories.matinee.dev: served, and this version's",
        "previewtemplates.matinee.dev: served, and this version's",
        "deploymentrequests.matinee.dev: served, and this version's",
        "deploymentcommands.matinee.dev: served, and this version's",
        "previewenvironments.matinee.dev: served, and this version's",
        "needed rights: system:serviceaccount:matinee-system:matinee has all",
        "no other rights: ",
        "ClusterRole matinee-deployer: it has 5 rules",
        "Lease matinee-system/matinee: held by stage",
        "Ready: the operator has looked at it",
        "Secret matinee-system/github-app for GitHub: it has an App's id and private key",
        "Secret matinee-system/slack for Slack: it has what is read",
        "Gateway gateway-system/previews: Accepted and Programmed",
        "Gateway gateway-system/previews: listener for *.preview.localhost: \"web\" takes routes of previews",
        "names under preview.localhost: they are this machine",
        "credentials: GitHub takes them for the App matinee",
        "clock: this machine's clock agrees with GitHub's",
        "permissions: the App has all that are needed",
        "installations: on acme",
        "rate limit of the installation on acme: ",
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
    said.line("✓", "credentials: GitHub takes the token of matinee-bot")?;
    said.line("✓", "permissions: a classic token with the scope repo")?;
    said.line("–", "webhook: webhooks of repositories can be read with administration rights only")?;
    said.line("–", "Lease: no leader election")?;
    stage.repositories(&project.namespace).delete(&project.name, &DeleteParams::default()).await?;
    Ok(())
}

async fn it_looks_with_the_rights_of_the_operator_too(stage: &Stage) -> Result<()> {
    let class = "doctor-operator";
    stage.class_like(class, |class| class["forge"]["github"]["secretName"] = json!("github-app")).await?;
    seen(stage, class).await?;
    let kubeconfig = stage.operator().kubeconfig();
    let said = doctor(kubeconfig, &["--class", class, "--lease-name", ""]).await?.ended(0)?;
    said.line("–", "ConfigMap: --config-map isn't said")?;
    let (server, _) = said.line("✓", "API server: ")?;
    ensure!(server.ends_with("asked as system:serviceaccount:matinee-system:matinee"), "{server}");
    for start in [
        "previewclasses.matinee.dev: served, ",
        "previewenvironments.matinee.dev: served, ",
        "needed rights: system:serviceaccount:matinee-system:matinee has all",
        "no other rights: ",
        "Secret matinee-system/github-app for GitHub: it has an App's id",
        "names under preview.localhost: ",
        "credentials: GitHub takes them for the App matinee",
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
    said.line("–", "needed rights: this account may not ask for the rights of others")?;
    said.line("–", "PreviewClasses: this account may not read it")?;
    said.line("–", "PreviewRepositories: this account may not read it")?;
    said.line("✓", "previewclasses.matinee.dev: served, with this version's fields")?;
    Ok(())
}

async fn what_a_class_names_and_is_not_there_is_told(stage: &Stage) -> Result<()> {
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
        "Secret matinee-system/doctor-no-github for GitHub: it isn't there",
        "kubectl -n matinee-system create secret generic doctor-no-github",
    )?;
    said.tells("✗", "Secret matinee-system/doctor-no-slack for Slack: it isn't there", "signingSecret")?;
    said.tells(
        "✗",
        "Secret matinee-system/doctor-no-registry for ghcr.io: it isn't there",
        "create secret docker-registry doctor-no-registry",
    )?;
    said.tells("✗", "Gateway gateway-system/doctor-no-gateway: it isn't there", "spec.routing.gateway")?;
    said.tells("✗", "names under doctor.invalid: doctor-", "add a DNS record for *.doctor.invalid")?;
    said.line("–", "credentials: not tried")?;

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
    said.tells("✗", "Gateway gateway-system/doctor-closed: ", "log of its controller")?;
    said.tells(
        "✗",
        "Gateway gateway-system/doctor-closed: listener for *.preview.localhost: \"web\" takes routes from namespaces \"Same\" only",
        "allowedRoutes.namespaces.from to All",
    )?;
    let gateways = stage.objects("gateway.networking.k8s.io/v1", "Gateway", Some("gateway-system"));
    gateways.delete("doctor-closed", &DeleteParams::default()).await?;

    let said = about(stage, "doctor-no-class").await?.ended(1)?;
    said.tells("✗", "PreviewClass doctor-no-class: there is no class of that name", "--class")
}

async fn an_app_that_lacks_what_a_repository_needs_is_told(stage: &Stage) -> Result<()> {
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
        "permissions: the App lacks Contents: read, needed with trigger.push of PreviewRepository team-doctor-app/doctor-app",
        "/settings/apps/doctor-app/permissions",
    )?;
    said.tells("!", "permissions: more than needed: administration: write", "take them away")?;
    said.tells("!", "events: the App isn't subscribed to \"Pushes\"", "subscribe to \"Pushes\"")?;
    said.line("✓", &format!("webhook: it leads to {}", stage.operator().webhook_url()))?;
    said.tells("✗", "deliveries: ", "the secrets differ: set the webhook's secret")?;
    let (deliveries, _) = said.line("✗", "deliveries: ")?;
    ensure!(deliveries.contains("failed") && deliveries.contains("answered 403"), "{deliveries}");

    // The Secret names an installation on another account than the PreviewRepository's.
    let elsewhere = NewInstallation { account: "doctor-elsewhere".to_owned(), repositories: None };
    let installation = github.install_app(app.id, elsewhere).await?;
    let secret = json!({"installationId": installation.to_string()});
    let secrets = stage.objects("v1", "Secret", Some(SYSTEM));
    let patch = Patch::Merge(json!({"stringData": secret}));
    secrets.patch(name, &PatchParams::default(), &patch).await?;
    let said = about(stage, name).await?.ended(1)?;
    said.tells(
        "✗",
        "installations: not installed where PreviewRepository team-doctor-app/doctor-app (acme/doctor-app) needs it",
        "/settings/apps/doctor-app/installations",
    )?;
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

async fn rights_that_lack_or_are_too_many_are_told(stage: &Stage) -> Result<()> {
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
            said.line("✗", "needed rights: system:serviceaccount:matinee-system:doctor-lacking lacks ")?;
            Ok(said)
        })
        .await?;
    let (line, remedy) = lacking.line("✗", "needed rights: ")?;
    ensure!(
        line.contains("get/list/watch/create/patch/delete httproutes.gateway.networking.k8s.io"),
        "{line}"
    );
    ensure!(
        line.contains("get secrets \"github\" in its own namespace") && remedy.contains("helm upgrade"),
        "{line} {remedy}"
    );
    lacking.line("✓", "no other rights: ")?;
    let mighty = stage
        .wait_for("the rights of doctor-mighty", SOON, async || {
            let said = of("doctor-mighty").await?;
            said.line("✓", "needed rights: system:serviceaccount:matinee-system:doctor-mighty has all")?;
            Ok(said)
        })
        .await?;
    let (line, remedy) = mighty.line("!", "no other rights: more rights than needed: ")?;
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

async fn an_operator_that_does_not_work_is_told(stage: &Stage) -> Result<()> {
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
        said.line("✗", "Lease matinee-system/doctor-stale: its holder matinee-0 renewed it 6")?;
    ensure!(line.ends_with("no operator is at work") && remedy.contains("get pods"), "{line} {remedy}");
    said.tells(
        "✗",
        "ConfigMap matinee-system/doctor-drain: its key drain is true",
        "patch configmap doctor-drain",
    )?;
    let said = of("doctor-none", "doctor-none").await?.ended(1)?;
    said.tells("✗", "Lease matinee-system/doctor-none: it isn't there", "--lease-name")?;
    said.tells("!", "ConfigMap matinee-system/doctor-none: it isn't there", "--config-map")
}

async fn an_ingress_class_that_is_not_there_is_told(stage: &Stage) -> Result<()> {
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
        let (line, remedy) = said.line(mark, &format!("IngressClass {ingress}: it "))?;
        ensure!(mark == "✓" || remedy.contains("className"), "{line} {remedy}");
        ensure!(!said.text.contains("Gateway API"), "nobody asked for it:\n{}", said.text);
    }
    Ok(())
}
