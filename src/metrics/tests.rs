use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::api::PreviewEnvironment;

fn preview(namespace: &str, name: &str) -> Arc<PreviewEnvironment> {
    let object = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewEnvironment",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"repositoryRef": {"name": "shop"}, "environment": "preview", "githubEnvironment": "x",
            "pullRequest": {"number": 7}, "revision": {"sha": "a".repeat(40)}},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Returns metrics in which everything was recorded once.
fn exercised() -> Metrics {
    let metrics = Metrics::default();
    let second = Duration::from_secs(1);
    metrics.leader(true);
    metrics.draining(true);
    metrics.previews(Arc::new(|| vec![preview("team", "shop-7")]));
    let facts = ProcessFacts { resident_memory: 1, cpu: 0.5, open_fds: 3, start_time: 1.5 };
    metrics.process(Arc::new(move || Some(facts)));
    metrics.push_to_ready(second);
    metrics.webhook("push", WebhookResult::Applied, second);
    metrics.webhook_lag(second);
    metrics.github_request("GET", Some(200), second);
    metrics.github_rate_limit("github", 4_999, 5_000);
    metrics.github_writes_queued("github", 2);
    metrics.github_write_waited(second);
    metrics.reconcile(Controller::PreviewRepository, true, second);
    metrics.reconcile_queue(Controller::PreviewRepository, 3);
    metrics.drift(true);
    metrics.sweep(true, Timestamp::from_second(1_780_000_000).unwrap());
    metrics
}

/// Returns the value of a series; `None` when it doesn't exist.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Returns the names of the labels of a series.
fn label_names(series: &str) -> BTreeSet<String> {
    let labels = series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    let names =
        labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "le").collect()
}

#[test]
fn catalog_lists_exactly_the_exported_metrics() {
    let text = exercised().encode().unwrap();
    let mut kinds = BTreeMap::new();
    let mut helps = BTreeMap::new();
    let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(kinds.insert(family, kind).is_none(), "{family} is there twice");
        } else if let Some((family, help)) =
            line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        {
            helps.insert(family, help);
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            labels.entry(series.split('{').next().unwrap()).or_default().extend(label_names(series));
        }
    }
    let mut expected = BTreeSet::new();
    for metric in ALL {
        assert_eq!(kinds.remove(metric.family()), Some(metric.kind.as_str()), "{}", metric.name);
        assert_eq!(helps[metric.family()], format!("{}.", metric.help));
        let endings: &[&str] =
            if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        for ending in endings {
            let series = format!("{}{ending}", metric.name);
            let wanted: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            assert_eq!(labels.get(series.as_str()), Some(&wanted), "{series}");
            expected.insert(series);
        }
    }
    assert_eq!(kinds, BTreeMap::new(), "shown, and not in the catalog");
    let shown: BTreeSet<String> = labels.into_keys().map(str::to_owned).collect();
    assert_eq!(shown, expected);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn recorded_metrics_are_exported() {
    let metrics = exercised();
    metrics.webhook("of_tomorrow", WebhookResult::Refused, Duration::ZERO);
    metrics.webhook("of_the_day_after", WebhookResult::Refused, Duration::ZERO);
    metrics.github_request("BREW", None, Duration::ZERO);
    metrics.github_writes_queued("github", -1);
    for (series, expected) in [
        ("matinee_leader", 1.),
        ("matinee_draining", 1.),
        ("matinee_webhooks_total{event=\"push\",result=\"applied\"}", 1.),
        ("matinee_webhooks_total{event=\"push\",result=\"failed\"}", 0.),
        ("matinee_webhooks_total{event=\"other\",result=\"refused\"}", 2.),
        ("matinee_webhook_duration_seconds_count", 3.),
        ("matinee_github_requests_total{method=\"GET\",code=\"200\"}", 1.),
        ("matinee_github_requests_total{method=\"other\",code=\"none\"}", 1.),
        ("matinee_github_rate_limit_remaining{credentials=\"github\"}", 4_999.),
        ("matinee_github_writes_queued{credentials=\"github\"}", 1.),
        ("matinee_reconciles_total{controller=\"previewrepository\",result=\"ok\"}", 1.),
        ("matinee_reconciles_total{controller=\"deploymentcommand\",result=\"error\"}", 0.),
        ("matinee_reconcile_queue_depth{controller=\"previewrepository\"}", 3.),
        ("matinee_sweeps_total{result=\"ok\"}", 1.),
        ("matinee_sweep_last_success_timestamp_seconds", 1_780_000_000.),
        ("matinee_push_to_ready_seconds_bucket{le=\"1.0\"}", 1.),
        ("process_cpu_seconds_total", 0.5),
        ("process_start_time_seconds", 1.5),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series} in\n{}", metrics.encode().unwrap());
    }
}

#[test]
fn nothing_is_said_of_what_did_not_happen_yet() {
    let metrics = Metrics::default();
    let text = metrics.encode().unwrap();
    // An alert on the age of the last sweep must not fire on a replica that doesn't sweep.
    assert!(!text.contains("matinee_sweep_last_success_timestamp_seconds"), "{text}");
    metrics.sweep(false, Timestamp::UNIX_EPOCH);
    assert_eq!(value(&metrics, "matinee_sweep_last_success_timestamp_seconds"), None);
    assert_eq!(value(&metrics, "matinee_sweeps_total{result=\"error\"}"), Some(1.));
}

#[test]
fn environments_are_those_there_are_and_shown_by_the_leader_alone() {
    let metrics = Metrics::default();
    let there = Arc::new(std::sync::Mutex::new(vec![preview("team", "shop-7"), preview("team", "shop-8")]));
    let source = Arc::clone(&there);
    metrics.previews(Arc::new(move || source.lock().unwrap().clone()));
    assert!(!metrics.encode().unwrap().contains("matinee_preview"));
    metrics.leader(true);
    let shown = "matinee_preview_info{namespace=\"team\",name=\"shop-7\",repository=\"shop\",environment=\"preview\",pull_request=\"7\"}";
    assert_eq!(value(&metrics, shown), Some(1.));
    assert_eq!(value(&metrics, "matinee_previews{state=\"pending\"}"), Some(2.));
    there.lock().unwrap().clear();
    assert_eq!(value(&metrics, shown), None);
    assert_eq!(value(&metrics, "matinee_previews{state=\"pending\"}"), Some(0.));
    assert!(!metrics.encode().unwrap().contains("matinee_preview_info"));
}

#[test]
fn the_list_of_environments_is_bounded_and_the_counts_are_not() {
    let metrics = Metrics::default();
    let all: Vec<_> =
        (0..MOST_PREVIEWS + 2).rev().map(|i| preview("team", &format!("shop-{i:05}"))).collect();
    metrics.previews(Arc::new(move || all.clone()));
    metrics.leader(true);
    let text = metrics.encode().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("matinee_preview_info{")).count(), MOST_PREVIEWS);
    assert!(text.contains("shop-00000") && !text.contains("shop-05001"));
    assert!(text.contains("matinee_previews{state=\"pending\"} 5002"));
}

#[test]
fn values_of_labels_are_escaped() {
    let metrics = Metrics::default();
    metrics.github_rate_limit("a\"b\\c\nd", 1, 2);
    assert!(metrics.encode().unwrap().contains("{credentials=\"a\\\"b\\\\c\\nd\"} 1"));
}
