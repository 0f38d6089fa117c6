//! Each alert fires when it should, and only then: promtool evaluates the rules on the series in
//! `alerts.yaml`.

use std::collections::BTreeMap;

use crate::helm::{list, objects, root, yaml};
use crate::programs::{folder, promtool, run};

#[test]
fn they_fire_when_they_should_and_else_not() {
    let folder = folder("alerts");
    let objects = objects(&["--set", "metrics.prometheusRule.enabled=true"]);
    let rules = serde_json::to_string(&objects.get("PrometheusRule", "matinee")["spec"]).unwrap();
    // JSON is YAML.
    std::fs::write(folder.join("rules.yaml"), rules).unwrap();
    std::fs::copy(root().join("tests/chart/alerts.yaml"), folder.join("tests.yaml")).unwrap();
    let promtool = promtool();
    for arguments in [["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]] {
        let file = folder.join(arguments[2]);
        let output = run(promtool, &[arguments[0], arguments[1], file.to_str().unwrap()]);
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn each_is_tried_both_ways() {
    let mut tried: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for test in list(&yaml("tests/chart/alerts.yaml")["tests"]) {
        for alert in list(&test["alert_rule_test"]) {
            let (fires, rests) = tried.entry(alert["alertname"].as_str().unwrap().to_owned()).or_default();
            *if list(&alert["exp_alerts"]).is_empty() { rests } else { fires } += 1;
        }
    }
    for alert in list(&yaml("charts/matinee/files/alerts.yaml")) {
        let name = alert["alert"].as_str().unwrap();
        let (fires, rests) = tried.remove(name).unwrap_or_default();
        assert!(fires > 0 && rests > 0, "{name} is expected to fire {fires} times, and not to {rests} times");
    }
    assert!(tried.is_empty(), "{tried:?}");
}
