//! The network of previews: what they reach and what reaches them, with network policies enforced.
//! Each test that an address can't be reached has a control: the same address can be reached from
//! elsewhere.

use anyhow::{Context as _, Result, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use playground::stage::{NewProject, Stage};
use serde_json::json;

use crate::harness::tests;
use crate::reach::{does_not_reach, pod_address, reaches, unconfined_pod};
use crate::support::{SOON, live, namespace_of, open, shows, url_of};

tests![
    a_preview_does_not_reach_the_metadata_address(node),
    a_preview_does_not_reach_the_api_server(node),
    a_preview_does_not_reach_another_preview(node),
    a_preview_is_closed_to_pods_of_other_namespaces(node),
    a_preview_reaches_its_own_services_and_dns(node),
    a_class_opens_the_internet_but_no_private_address(node),
    a_preview_is_confined_from_its_first_moment(node),
    a_preview_is_closed_to_a_gateway_that_its_class_does_not_admit(node),
];

/// Opens a pull request and waits for its preview. Returns the preview's URL, at which the gateway
/// reaches it, and its namespace.
async fn preview(stage: &Stage, new: NewProject) -> Result<(String, String)> {
    let project = stage.project(new).await?;
    let (pull, deployment) = live(stage, &project, "feature").await?;
    let url = url_of(&deployment)?.trim_end_matches('/').to_owned();
    shows(stage, &url, &pull.sha[..7]).await?;
    Ok((url, namespace_of(&project, pull.number)))
}

/// Returns the address of a cloud's metadata service, at which the playground listens.
fn metadata(stage: &Stage) -> Result<String> {
    Ok(stage.playground().metadata_address().context("nothing listens there")?.to_string())
}

/// Returns the address of something outside the cluster.
fn internet(stage: &Stage) -> Result<String> {
    Ok(stage.playground().outside_address().context("nothing listens there")?.to_string())
}

/// Returns the API server's own address, behind its service.
async fn api_server(stage: &Stage) -> Result<String> {
    let slices = stage.objects("discovery.k8s.io/v1", "EndpointSlice", Some("default"));
    let slice = slices.get("kubernetes").await?;
    let address = slice.data["endpoints"][0]["addresses"][0].as_str().context("no address")?;
    Ok(format!("{address}:{}", slice.data["ports"][0]["port"]))
}

async fn a_preview_does_not_reach_the_metadata_address(stage: &Stage) -> Result<()> {
    let (preview, _) = preview(stage, NewProject::new("isolation-metadata")).await?;
    let control = unconfined_pod(stage, "isolation-metadata-control", &[]).await?;
    let metadata = metadata(stage)?;
    reaches(stage, &control, &metadata).await?;
    does_not_reach(stage, &preview, &metadata).await
}

async fn a_preview_does_not_reach_the_api_server(stage: &Stage) -> Result<()> {
    let (preview, _) = preview(stage, NewProject::new("isolation-api")).await?;
    let control = unconfined_pod(stage, "isolation-api-control", &[]).await?;
    for server in ["kubernetes.default.svc.cluster.local:443", &api_server(stage).await?] {
        reaches(stage, &control, server).await?;
        does_not_reach(stage, &preview, server).await?;
    }
    Ok(())
}

async fn a_preview_does_not_reach_another_preview(stage: &Stage) -> Result<()> {
    let (first, second) = (NewProject::new("isolation-one"), NewProject::new("isolation-two"));
    let ((one, _), (two, namespace)) = tokio::try_join!(preview(stage, first), preview(stage, second))?;
    let pod = pod_address(stage, &namespace).await?;
    for address in [pod, format!("web.{namespace}.svc.cluster.local:80")] {
        reaches(stage, &two, &address).await?;
        does_not_reach(stage, &one, &address).await?;
    }
    Ok(())
}

async fn a_preview_is_closed_to_pods_of_other_namespaces(stage: &Stage) -> Result<()> {
    let (preview, namespace) = preview(stage, NewProject::new("isolation-ingress")).await?;
    let elsewhere = unconfined_pod(stage, "isolation-ingress-control", &[]).await?;
    let pod = pod_address(stage, &namespace).await?;
    reaches(stage, &preview, &pod).await?;
    does_not_reach(stage, &elsewhere, &pod).await
}

async fn a_preview_reaches_its_own_services_and_dns(stage: &Stage) -> Result<()> {
    let (preview, namespace) = preview(stage, NewProject::new("isolation-own")).await?;
    // The name is resolved by UDP; the last address is DNS by TCP.
    for address in ["web:80", &format!("web.{namespace}.svc.cluster.local:80"), "10.96.0.10:53"] {
        reaches(stage, &preview, address).await?;
    }
    Ok(())
}

async fn a_class_opens_the_internet_but_no_private_address(stage: &Stage) -> Result<()> {
    let name = "isolation-internet";
    stage.class_like(name, |class| class["isolation"]["network"]["egressTo"] = json!(["0.0.0.0/0"])).await?;
    let (open, closed) = (NewProject::new(name).class(name), NewProject::new("isolation-no-internet"));
    let ((open, _), (closed, _)) = tokio::try_join!(preview(stage, open), preview(stage, closed))?;
    let control_namespace = "isolation-internet-control";
    let control = unconfined_pod(stage, control_namespace, &[]).await?;
    let internet = internet(stage)?;
    reaches(stage, &open, &internet).await?;
    does_not_reach(stage, &closed, &internet).await?;
    for address in [metadata(stage)?, api_server(stage).await?, pod_address(stage, control_namespace).await?]
    {
        reaches(stage, &control, &address).await?;
        does_not_reach(stage, &open, &address).await?;
    }
    Ok(())
}

/// The application tries to connect as soon as its container runs, before the cluster knows the
/// pod's address. The pod of a second commit is looked at, because the playground's network plugin
/// may apply the policies of a new namespace after its first pod has started.
async fn a_preview_is_confined_from_its_first_moment(stage: &Stage) -> Result<()> {
    let metadata = metadata(stage)?;
    let variable = ("CONNECT_AT_START", metadata.as_str());
    let control = unconfined_pod(stage, "isolation-start-control", &[variable]).await?;
    shows(stage, &control, "\nfirst connection: made\n").await?;
    let new = NewProject::new("isolation-start").variable(variable.0, variable.1);
    let project = stage.project(new).await?;
    let (_, deployment) = live(stage, &project, "feature").await?;
    let url = url_of(&deployment)?;
    let sha = stage.github().push(&project.repository, "feature").await?;
    let answer = stage
        .wait_for("the second commit's pod answers", SOON, async || {
            let answer = stage.fetch(url).await?;
            ensure!(answer.body.contains(&sha[..7]), "{answer:?}");
            Ok(answer)
        })
        .await?;
    let failed = format!("\nfirst connection: {metadata}: ");
    ensure!(answer.body.contains(&failed), "{answer:?}");
    Ok(())
}

/// The playground's gateway is a program of the machine, so a class admits it by its address.
async fn a_preview_is_closed_to_a_gateway_that_its_class_does_not_admit(stage: &Stage) -> Result<()> {
    let name = "isolation-gateway";
    stage
        .class_like(name, |class| {
            class["isolation"]["network"] = json!({"ingressFrom": []});
        })
        .await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let pull = open(stage, &project, "feature").await?;
    let namespace = namespace_of(&project, pull.number);
    pod_address(stage, &namespace).await?;
    let routes = stage.objects("gateway.networking.k8s.io/v1", "HTTPRoute", Some(&namespace));
    let url = stage
        .wait_for("the preview has a route", SOON, async || {
            let routes = routes.list(&ListParams::default()).await?.items;
            let host = routes.first().and_then(|route| route.data["spec"]["hostnames"][0].as_str());
            let host = host.context("no route yet")?;
            Ok(format!("http://{host}:{}", stage.playground().gateway_port()))
        })
        .await?;
    // The gateway answers 404 without a route and 503 without a ready pod.
    stage
        .wait_for("the gateway can't connect", SOON, async || {
            let answer = stage.fetch(&url).await?;
            ensure!(matches!(answer.status, 502 | 504), "{answer:?}");
            Ok(())
        })
        .await?;
    let admitted = json!({"spec": {"isolation": {"network": {"ingressFrom": ["10.88.0.1/32"]}}}});
    stage.classes().patch(name, &PatchParams::default(), &Patch::Merge(admitted)).await?;
    stage.deployed(&project, &pull.sha, "success", SOON).await?;
    shows(stage, &url, &pull.sha[..7]).await
}
