//! The alerts, the dashboard and their page name the same metrics and the same alerts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{list, objects, read, yaml};

const PAGE: &str = "docs/monitoring.md";

/// Returns the metrics in the page's table, which lists all metrics.
fn documented() -> BTreeSet<String> {
    let page = read(PAGE);
    let (_, rest) = page.split_once("\n## Metrics\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// Returns the metrics in a query: words with a prefix of Matinee's metrics. Series of a histogram
/// count as the histogram.
fn in_query(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("matinee_") || word.starts_with("process_"))
        .map(|word| {
            ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word)
        })
        .map(str::to_owned)
        .collect()
}

fn alerts() -> Vec<Value> {
    list(&yaml("charts/matinee/files/alerts.yaml")).to_vec()
}

/// Returns the queries of the dashboard and of its variables.
fn dashboard() -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text) if ["expr", "query"].contains(&name.as_str()) => {
                            found.push(text.clone());
                        }
                        _ => walk(field, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(&read("charts/matinee/files/dashboard.json")).unwrap();
    let mut found = Vec::new();
    walk(&dashboard, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    found
}

#[test]
fn every_metric_that_is_asked_for_is_documented() {
    let documented = documented();
    let queries = alerts().into_iter().map(|alert| alert["expr"].as_str().unwrap().to_owned());
    for query in queries.chain(dashboard()) {
        for metric in in_query(&query) {
            assert!(documented.contains(&metric), "{PAGE} has no row for {metric}, which {query} asks for");
        }
    }
}

#[test]
fn every_metric_is_shown_somewhere() {
    let shown: BTreeSet<String> = dashboard().iter().flat_map(|query| in_query(query)).collect();
    for metric in documented() {
        // This metric only shows restarts, which Kubernetes shows as well.
        let elsewhere = metric == "process_start_time_seconds";
        assert!(elsewhere || shown.contains(&metric), "the dashboard doesn't show {metric}");
    }
}

#[test]
fn every_alert_has_a_heading_where_its_annotation_leads() {
    let page = read(PAGE);
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let named: Vec<Value> = alerts().iter().map(|alert| alert["alert"].clone()).collect();
    assert_eq!(headings, named, "the headings of {PAGE} are the alerts, in their order");
    let objects = objects(&["--set", "metrics.prometheusRule.enabled=true"]);
    let rules = list(&objects.get("PrometheusRule", "matinee")["spec"]["groups"][0]["rules"]).to_vec();
    assert_eq!(rules.len(), named.len());
    for rule in rules {
        let name = rule["alert"].as_str().unwrap().to_lowercase();
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("docs/monitoring.md#{name}")), "{url}");
    }
}

#[test]
fn every_alert_has_its_settings_and_every_setting_an_alert() {
    let settings = yaml("charts/matinee/values.yaml")["metrics"]["prometheusRule"]["alerts"].clone();
    let settings = settings.as_object().unwrap();
    let alerts = alerts();
    assert_eq!(settings.len(), alerts.len());
    for alert in &alerts {
        let key = alert["key"].as_str().unwrap();
        let has_threshold = alert["expr"].as_str().unwrap().contains("THRESHOLD");
        assert_eq!(settings[key].get("threshold").is_some(), has_threshold, "{key}");
        let off = objects(&[
            "--set",
            &format!("metrics.prometheusRule.enabled=true,metrics.prometheusRule.alerts.{key}.enabled=false"),
        ]);
        let rules = &off.get("PrometheusRule", "matinee")["spec"]["groups"][0]["rules"];
        assert_eq!(list(rules).len(), alerts.len() - 1, "{key}");
        assert!(list(rules).iter().all(|rule| rule["alert"] != alert["alert"]), "{key}");
    }
}
