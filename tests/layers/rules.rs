//! Rules for the paths that a file may contain.

use crate::paths::{Found, paths};

/// Modules of the crate's root, by layer.
const LAYERS: [(&str, u8); 12] = [
    ("api", 0),
    ("core", 0),
    ("ports", 1),
    ("metrics", 1),
    ("adapters", 2),
    ("runtime", 3),
    ("controllers", 4),
    ("server", 5),
    ("simulation", 5),
    ("settings", 5),
    ("cli", 5),
    ("main", 5),
];

/// Modules without side effects: the lowest layer, the metrics, and the decisions about GitHub that
/// no other layer needs.
const PURE: [&str; 11] = [
    "api",
    "core",
    "metrics",
    "adapters::github::circuit_breaker",
    "adapters::github::doctor",
    "adapters::github::json",
    "adapters::github::permissions",
    "adapters::github::rate_limits",
    "adapters::github::registration",
    "adapters::github::webhook",
    "adapters::github::write_order",
];

/// Common modules of adapters, which don't reach an outside system themselves.
const SHARED_BY_ADAPTERS: [&str; 3] = ["http", "sync", "tls"];

/// Paths that are forbidden in modules without side effects, by their beginnings: clients, files,
/// processes, and async.
const NOT_PURE: [&str; 24] = [
    "tokio",
    "tokio_util",
    "futures",
    "octocrab",
    "axum",
    "hyper",
    "reqwest",
    "async",
    "await",
    "kube::Client",
    "kube::client",
    "kube::Api",
    "kube::api::Api",
    "kube::Config",
    "kube::config",
    "kube::discovery",
    "kube::runtime",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "option_env",
];

/// More forbidden paths, by their ends.
const NOT_PURE_AT_THE_END: [&str; 9] = [
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
];

/// Imports that would hide what they bring in.
const NOT_PURE_AS_A_WHOLE: [&str; 6] =
    ["kube::*", "kube::api::*", "std::*", "std::time::*", "std::net::*", "kube::as"];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Returns the violations in a file, given by its path below `src/`: one line each.
pub fn violations(file: &str, code: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    // The crate's root only declares the layers.
    if module == ["lib"] {
        return Vec::new();
    }
    if layer(&module[0]).is_none() {
        return vec![format!(
            "src/{file}: \"{}\" has no layer: give it one in tests/layers/rules.rs",
            module[0]
        )];
    }
    let mut all: Vec<_> = paths(code, &module)
        .iter()
        .filter_map(|found| Some(format!("src/{file}: {}", violation(found)?)))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn violation(found: &Found) -> Option<String> {
    let own = &found.module[0];
    let own_layer = layer(own)?;
    let Some(target) = in_this_crate(found) else {
        let module = found.module.join("::");
        let is_in = |pure: &&str| module == **pure || module.starts_with(&format!("{pure}::"));
        return PURE.iter().any(is_in).then(|| impure(found)).flatten();
    };
    // `crate` alone occurs in `pub(crate)`.
    let first = target.first()?;
    let Some(target_layer) = layer(first) else {
        return Some(format!("\"{first}\" has no layer: give it one in tests/layers/rules.rs"));
    };
    if target_layer > own_layer {
        return Some(format!("{own} (layer {own_layer}) uses {} (layer {target_layer})", target.join("::")));
    }
    match (own.as_str(), found.module.get(1), target.get(1)) {
        ("adapters", Some(adapter), Some(other))
            if first == "adapters" && adapter != other && !SHARED_BY_ADAPTERS.contains(&other.as_str()) =>
        {
            Some(format!("the adapter {adapter} uses its neighbour {other}"))
        }
        _ => None,
    }
}

/// Returns the path from the crate's root; `None` for a path that leaves the crate or begins in the
/// same module.
fn in_this_crate(found: &Found) -> Option<Vec<String>> {
    let mut base = match found.path.first()?.as_str() {
        "crate" | "matinee" => Vec::new(),
        "self" | "super" => found.module.clone(),
        _ => return None,
    };
    for segment in &found.path {
        match segment.as_str() {
            "crate" | "matinee" | "self" | "as" => {}
            "super" => {
                base.pop();
            }
            other => base.push(other.to_owned()),
        }
    }
    Some(base)
}

fn impure(found: &Found) -> Option<String> {
    let whole = found.path.join("::");
    let path = whole.trim_end_matches("::as");
    let begins = |start: &str| path == start || path.starts_with(&format!("{start}::"));
    let ends = |end: &str| path == end || path.ends_with(&format!("::{end}"));
    let bad = NOT_PURE.iter().any(|start| begins(start))
        || NOT_PURE_AT_THE_END.iter().any(|end| ends(end))
        || NOT_PURE_AS_A_WHOLE.contains(&whole.as_str());
    bad.then(|| {
        format!("{path} has no place in {}: no client, no clock, no environment, no async", found.module[0])
    })
}
