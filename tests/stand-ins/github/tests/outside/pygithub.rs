//! `PyGithub`, a client for the real GitHub, works with the stand-in.

use std::path::Path;
use std::process::Command;

use github_stand_in::control::types::{NewApp, NewInstallation, NewRepository};
use github_stand_in::{Settings, StandIn};

use crate::tools;

#[tokio::test(flavor = "multi_thread")]
async fn pygithub_is_content() {
    let settings = Settings { base_path: "/api/v3".to_owned(), ..Settings::default() };
    let stand_in = StandIn::start(settings).await.unwrap();
    let control = stand_in.control();
    let new = NewRepository { full_name: "acme/shop".to_owned(), ..NewRepository::default() };
    control.create_repository(new).await.unwrap();
    control.push_files("acme/shop", "feature", &[("one.txt", "one\n")]).await.unwrap();
    control.push_files("acme/shop", "feature", &[("two.txt", "two\n")]).await.unwrap();
    control.open_pull_request("acme/shop", "feature").await.unwrap();
    let token = control.create_classic_token("acme").await.unwrap();
    let permissions = [("deployments", "write"), ("checks", "write"), ("contents", "read")];
    let new = NewApp {
        slug: "matinee".to_owned(),
        owner: "acme".to_owned(),
        permissions: permissions.map(|(name, level)| (name.to_owned(), level.to_owned())).into(),
        ..NewApp::default()
    };
    let app = control.create_app(new).await.unwrap();
    let new = NewInstallation { account: "acme".to_owned(), repositories: None };
    let installation = control.install_app(app.id, new).await.unwrap();
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pygithub.pem");
    std::fs::write(&key, &app.private_key).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/pygithub.py");
    let api = stand_in.api_url().to_owned();
    let said = tokio::task::spawn_blocking(move || {
        tools::run(
            Command::new(tools::python())
                .arg(script)
                .args([api, token, app.id.to_string(), installation.to_string()])
                .arg(key),
        )
    });
    println!("{}", said.await.unwrap());
}
