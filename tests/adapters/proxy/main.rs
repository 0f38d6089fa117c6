//! Connections that use a proxy, and connections that don't. The test starts itself again as the
//! client, with the proxy's environment variables, which can't be set for a running process.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod client;
mod servers;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use servers::World;

/// Marks the process that uses the proxy.
const THROUGH: &str = "MATINEE_TEST_THROUGH_PROXY";

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::env::var_os(THROUGH).is_some() {
        tokio::runtime::Runtime::new().unwrap().block_on(client::ask_all());
        return ExitCode::SUCCESS;
    }
    let trials: [(&str, fn()); 5] = [
        ("github_slack_registries_and_the_api_server_are_reached_through_it", all_through_it),
        ("what_no_proxy_covers_is_not", no_proxy),
        ("a_kubeconfig_may_name_another_proxy", proxy_of_the_kubeconfig),
        ("a_proxy_that_refuses_is_told_without_its_password", refused),
        ("a_proxy_that_cannot_be_used_is_told_without_its_password", unusable),
    ];
    let trials = trials.into_iter().map(|(name, run)| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn all_through_it() {
    let world = World::start();
    let said = world.run(&[("HTTPS_PROXY", &world.url("mona:s3cret"))]);
    assert_eq!(
        said,
        ["github reached", "registry reached", "slack reached", "kubernetes reached", "preview not reached"]
    );
    // "mona:s3cret" in base64, as curl would send it.
    let with = |target: &str| format!("{target} Basic bW9uYTpzM2NyZXQ=");
    let asked = ["github.test:443", "registry.test:443", "slack.test:443", "api.test:6443"].map(with);
    assert_eq!(world.asked(), asked, "a preview is asked directly");
}

fn no_proxy() {
    let world = World::start();
    let said = world.run(&[("https_proxy", &world.url("")), ("NO_PROXY", "github.test, .test:443,api.test")]);
    assert_eq!(said[1..3], ["registry reached", "slack reached"]);
    for (said, name) in [(&said[0], "github"), (&said[3], "kubernetes")] {
        assert!(said.starts_with(&format!("{name} not reached")), "{said}");
    }
    assert_eq!(world.asked(), ["registry.test:443", "slack.test:443"]);
}

fn proxy_of_the_kubeconfig() {
    let world = World::start();
    world.name_proxy_in_kubeconfig();
    let said = world.run(&[("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "api.test")]);
    assert_eq!(said[3], "kubernetes reached");
    assert_eq!(world.asked(), ["api.test:6443"]);
}

fn refused() {
    let world = World::start();
    world.refuse();
    let said = world.run(&[("HTTPS_PROXY", &world.url("mona:s3cret"))]);
    for said in &said[..3] {
        let proxy = world.url("");
        assert!(said.contains(&format!("through the proxy {proxy}/, which HTTPS_PROXY names")), "{said}");
        assert!(said.contains("authorization required"), "{said}");
    }
    assert!(said[3].starts_with("kubernetes not reached"), "{}", said[3]);
}

fn unusable() {
    let world = World::start();
    let said = world.run(&[("HTTPS_PROXY", "socks5://mona:s3cret@127.0.0.1:1080")]);
    for said in &said[..4] {
        assert!(said.contains("HTTPS_PROXY names no proxy that can be used"), "{said}");
    }
    assert!(world.asked().is_empty());
}
