//! The crate has six layers, and each uses only those below it. A path to a higher
//! layer fails here.
//!
//! The test reads the tokens of every file in `src/`: paths in comments and strings don't count,
//! and paths in macros do.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside of `#[test]` functions are test code too

mod paths;
mod rules;

use std::path::{Path, PathBuf};

use rules::violations;

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn source_uses_no_higher_layer() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 30, "only {} files in {}", files.len(), source.display());
    let mut all = Vec::new();
    for path in files {
        let relative = path.strip_prefix(&source).unwrap().to_str().unwrap();
        all.extend(violations(relative, &std::fs::read_to_string(&path).unwrap()));
    }
    assert!(all.is_empty(), "{} doors lead where they must not:\n{}", all.len(), all.join("\n"));
}

#[track_caller]
fn refused(file: &str, code: &str, because: &str) {
    let found = violations(file, code);
    assert!(
        found.len() == 1 && found[0].contains(because),
        "{file}: `{code}` should be refused because of {because:?}, was: {found:?}"
    );
    assert!(found[0].starts_with(&format!("src/{file}: ")), "{found:?}");
}

#[track_caller]
fn allowed(file: &str, code: &str) {
    assert_eq!(violations(file, code), Vec::<String>::new(), "{file}: `{code}` should be allowed");
}

#[test]
fn imports_from_higher_layers_are_rejected_in_any_spelling() {
    for code in [
        "use crate::ports::Cluster;",
        "use crate::{api::Duration, ports};",
        "use crate::{\n    core::{forge, event::Event},\n    ports::{self as outside},\n};",
        "use crate::ports::{Forge as _};",
        "pub use crate::ports::*;",
        "use super::super::ports::Forge;",
        "use super::{super::ports};",
        "fn f() { let x = crate::ports::ForgeError::Superseded; }",
        "fn f(x: &dyn crate::ports::Forge) {}",
        "fn f() -> Vec<crate::ports::Actor> { Vec::new() }",
        "fn f() { format!(\"{}\", crate::ports::LIMIT); }",
        "macro_rules! m { () => { $crate::ports::LIMIT } }",
        "mod inner { mod most { use super::super::super::super::ports; } }",
        "#[cfg(test)]\nmod tests { use crate::ports::Clock; }",
    ] {
        refused("core/plan.rs", code, "(layer 1)");
    }
    refused("core/plan/mod.rs", "use super::super::ports::Forge;", "(layer 1)");
    refused("api/mod.rs", "use crate::adapters::github;", "uses adapters::github (layer 2)");
    refused("ports/forge.rs", "use crate::adapters::github;", "uses adapters::github (layer 2)");
    refused("core/plan.rs", "use crate::metrics::Metrics;", "uses metrics::Metrics (layer 1)");
    refused("metrics/mod.rs", "use crate::adapters::process;", "uses adapters::process (layer 2)");
    refused("adapters/github/mod.rs", "use crate::controllers::Options;", "(layer 4)");
    refused("controllers/start.rs", "use crate::settings::Settings;", "(layer 5)");
    refused("runtime/runner.rs", "use crate::controllers::request;", "(layer 4)");
    refused("controllers/mod.rs", "use crate::server;", "uses server (layer 5)");
}

#[test]
fn each_door_is_told_once() {
    let code =
        "use crate::{\n    api,\n    cli::run as go,\n};\nfn f() { crate::cli::run(); crate::cli::run() }";
    assert_eq!(
        violations("core/gate.rs", code),
        ["src/core/gate.rs: core (layer 0) uses cli::run (layer 5)",]
    );
}

#[test]
fn lower_layers_and_the_same_layer_are_allowed() {
    allowed(
        "core/gate.rs",
        "use crate::api::PreviewRepository; use super::event::Event; use crate::core::forge;",
    );
    allowed("api/mod.rs", "use crate::core::glob;");
    allowed("ports/forge.rs", "use crate::core::{forge, target}; use crate::api;");
    allowed(
        "adapters/github/mod.rs",
        "use crate::ports::Forge; use super::tls; use crate::adapters::tls::roots;",
    );
    allowed("adapters/github/queue.rs", "use super::answer::Answer; use crate::adapters::github::path;");
    allowed("controllers/start.rs", "use crate::adapters::{github, kubernetes}; use crate::ports;");
    allowed("server/mod.rs", "use crate::ports::Ingest; use crate::settings;");
    allowed("main.rs", "fn main() { matinee::cli::main() }");
    allowed(
        "core/gate.rs",
        "/// Not [`crate::ports::Forge`].\n// crate::ports\nconst A: &str = \"crate::ports\";",
    );
    allowed("core/gate.rs", "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::core) fn h() {}");
}

#[test]
fn new_folder_needs_a_layer() {
    refused("attic/mod.rs", "", "\"attic\" has no layer");
    refused("cli/run.rs", "use crate::attic::Trunk;", "\"attic\" has no layer");
    refused("cli/run.rs", "use crate::*;", "\"*\" has no layer");
}

#[test]
fn adapters_do_not_use_each_other() {
    refused(
        "adapters/github/mod.rs",
        "use crate::adapters::kubernetes::Client;",
        "uses its neighbour kubernetes",
    );
    refused("adapters/github/mod.rs", "use super::render;", "uses its neighbour render");
    refused("adapters/web.rs", "use super::github::path;", "uses its neighbour github");
    refused("adapters/github/queue.rs", "use super::super::web;", "uses its neighbour web");
    refused("adapters/tls.rs", "use super::github;", "uses its neighbour github");
}

#[test]
fn core_and_metrics_use_no_client_clock_environment_or_async() {
    for (code, because) in [
        ("use kube::Client;", "kube::Client"),
        ("use kube::{Api, ResourceExt as _};", "kube::Api"),
        ("use kube::api::{DynamicObject, Api};", "kube::api::Api"),
        ("use kube::runtime::watcher;", "kube::runtime"),
        ("use kube::*;", "kube::*"),
        ("use kube as k;", "kube"),
        ("use tokio::sync::watch;", "tokio"),
        ("fn f() { ::tokio::spawn(g()); }", "tokio"),
        ("use octocrab::Octocrab;", "octocrab"),
        ("use futures::StreamExt as _;", "futures"),
        ("use std::env;", "std::env"),
        ("fn f() { std::env::var(\"HOME\"); }", "std::env"),
        ("const V: Option<&str> = option_env!(\"HOME\");", "option_env"),
        ("use std::{collections::BTreeMap, time::{Duration, SystemTime}};", "std::time::SystemTime"),
        ("use std::time::Instant;", "std::time::Instant"),
        ("use std::time::*;", "std::time::*"),
        ("fn f() -> Instant { Instant::now() }", "Instant::now"),
        ("fn f() { let now = jiff::Timestamp::now(); }", "Timestamp::now"),
        ("fn f() { let now = Zoned::now(); }", "Zoned::now"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("use std::thread;", "std::thread"),
        ("use std::net::TcpStream as Stream;", "std::net::TcpStream"),
        ("use kube::Client as Other;", "kube::Client"),
        ("async fn f() {}", "async"),
        ("fn f() { let x = async || 1; }", "async"),
    ] {
        refused("core/gate.rs", code, because);
        refused("api/gate.rs", code, because);
        refused("metrics/mod.rs", code, because);
        allowed("adapters/gate.rs", code);
    }
    allowed(
        "core/gate.rs",
        "use std::time::Duration; use std::net::IpAddr; use kube::ResourceExt as _; use kube::{CustomResource, KubeSchema};
         use kube::api::{DynamicObject, ObjectMeta}; use kube::core::GroupVersionKind; use jiff::Timestamp;
         fn f(now: Timestamp) { let kube = 1; let environment = kube; }",
    );
}
