//! Classes that route through an ingress controller instead of a Gateway.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::ListParams;
use playground::stage::{NewProject, Stage};
use serde_json::json;

use crate::harness::tests;
use crate::support::{gone, live, namespace_of, shows, url_of};

tests![an_ingress_leads_to_the_preview];

async fn an_ingress_leads_to_the_preview(stage: &Stage) -> Result<()> {
    let name = "ingress";
    stage
        .class_like(name, |class| {
            if let Some(routing) = class["routing"].as_object_mut() {
                routing.remove("gateway");
                let annotations = json!({"example.org/issuer": "staging"});
                routing.insert(
                    "ingress".to_owned(),
                    json!({"className": "traefik", "annotations": annotations}),
                );
            }
        })
        .await?;
    let project = stage.project(NewProject::new(name).class(name)).await?;
    let (pull, first) = live(stage, &project, "feature").await?;
    let url = url_of(&first)?;
    shows(stage, url, &pull.sha[..7]).await?;

    let namespace = namespace_of(&project, pull.number);
    let ingresses = stage.objects("networking.k8s.io/v1", "Ingress", Some(&namespace));
    let found = ingresses.list(&ListParams::default()).await?.items;
    let ingress = found.first().context("there is no Ingress")?;
    let host = url.trim_start_matches("http://").split(':').next().unwrap_or_default();
    ensure!(found.len() == 1 && ingress.data["spec"]["rules"][0]["host"] == host, "{found:#?}");
    ensure!(ingress.data["spec"]["ingressClassName"] == "traefik", "{:#}", ingress.data["spec"]);
    ensure!(
        ingress.annotations().get("example.org/issuer").is_some_and(|issuer| issuer == "staging"),
        "{found:#?}"
    );
    let routes = stage.objects("gateway.networking.k8s.io/v1", "HTTPRoute", Some(&namespace));
    ensure!(routes.list(&ListParams::default()).await?.items.is_empty(), "there is an HTTPRoute too");

    let sha = stage.github().push(&project.repository, "feature").await?;
    let second = stage.deployed(&project, &sha, "success", crate::support::SOON).await?;
    ensure!(url_of(&second)? == url, "{second:#?}");
    shows(stage, url, &sha[..7]).await?;
    stage.github().close(&project.repository, pull.number).await?;
    gone(stage, &project, pull.number).await
}
