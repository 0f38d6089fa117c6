//! Tests of hostile values, and of templates that exceed the limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MinijinjaRenderer, field, refused, render_in, sample};
use crate::api::TemplateResource;
use crate::ports::Renderer as _;

/// Values that would change an object's structure if they were parsed.
const HOSTILE: [&str; 12] = [
    "{{ 7*7 }}",
    "{{ payload.image }}",
    "{% raw %}",
    "a: b\n- c",
    "\"}]}, \"hostNetwork\": true, {\"x\": [{\"y\": \"",
    "'\"\\",
    "\u{0}\u{1}\u{feff}\u{2028}",
    "\r\n---\r\nkind: Pod",
    "&anchor *anchor !!binary <<",
    "true",
    "71",
    "null",
];

#[test]
fn what_fills_a_hole_is_never_looked_at_for_holes() {
    for hostile in HOSTILE {
        let mut target = sample();
        target.pull_request.as_mut().unwrap().branch = hostile.into();
        target.parameters.insert("other".into(), format!("x{hostile}"));
        target.payload = json!({"value": hostile});
        let object = json!({
            "a": "{{ pr.branch }}", "b": "{{ payload.value }}", "c": "-{{ pr.branch }}-", "d": "{{ parameters.other }}",
            "e": "{{ [pr.branch] | first }}", "data": {"{{ pr.branch }}": ""}
        });
        assert_eq!(
            render_in(target, object).unwrap(),
            json!({
                "a": hostile, "b": hostile, "c": format!("-{hostile}-"), "d": format!("x{hostile}"), "e": hostile,
                "data": {hostile: ""}
            })
        );
    }
}

#[test]
fn rendering_is_bounded() {
    let started = std::time::Instant::now();
    for expression in [
        "'x' * 100000000",
        "['x'] * 100000000",
        "('x' * 60000) ~ ('x' * 60000)",
        "9 ** 9 ** 9",
        &format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
        &format!("'{}'", "x".repeat(5000)),
        &format!("sha{}", " ~ sha".repeat(600)),
        &format!("sha{}", " | list".repeat(500)),
    ] {
        let message = refused(&format!("{{{{ {expression} }}}}"));
        assert!(message.len() < 300, "{message}");
    }
    assert!(refused("{{ 'x' * 100000000 }}").ends_with("takes too many steps"));
    // Just below the limit of one string, and just above.
    let filled = |bytes: usize| field(&format!("{{{{ 'x' * {} }}}}{{{{ 'y' }}}}", bytes - 1));
    assert_eq!(filled(1 << 16).unwrap().as_str().map(str::len), Some(1 << 16));
    assert!(filled((1 << 16) + 1).unwrap_err().contains("is longer than 65536 bytes"));
    assert!(refused("{{ 'x' * 65537 }}").contains("is longer than 65536 bytes"));

    let many = |text: &str, count: usize| render_in(sample(), json!({"spec": vec![text; count]}));
    assert!(
        many("{{ 'x' * 65536 }}", 16).is_err_and(|message| message.contains("larger than 1048576 bytes"))
    );
    assert!(many("{{ 'x' * 65536 }}", 15).is_ok());
    assert!(many("{{ 1 }}", 2000).is_ok());
    assert!(many("{{ 1 }}", 2001).is_err_and(|message| message.contains("more than 2000 placeholders")));
    assert!(many("{{ 'x' * 10000000 }}", 1).is_err());
    assert!(
        many(&"x".repeat(1 << 20), 2).is_err_and(|message| message.contains("larger than 1048576 bytes"))
    );
    assert!(many(&"{{ '}}".repeat(9000), 1).is_err());
    assert!(started.elapsed().as_secs() < 60, "took {:?}", started.elapsed());
}

/// Returns the value with all strings emptied, so that only its structure is left.
fn structure(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(""),
        Value::Array(items) => items.iter().map(structure).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), structure(field))).collect()
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_text_of_a_pull_request_changes_the_structure(
        texts in prop::collection::vec(prop_oneof![
            any::<String>(),
            prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
            "[{}%#\"'\\\\:\n -]{0,40}",
        ], 4)
    ) {
        let mut target = sample();
        target.template.resources = vec![TemplateResource(json!({
            "metadata": {"name": "x", "labels": {"branch": "{{ pr.branch }}"}},
            "spec": {
                "a": "{{ pr.branch }}", "b": "{{ pr.author }}-{{ pr.branch }}", "c": ["{{ pr.labels | join(' ') }}", "{{ pr.labels[0] }}"],
                "d": "{{ payload.image }}", "e": "{{ pr.branch | slug }}",
            },
        }))];
        let renderer = MinijinjaRenderer::new();
        target.payload = json!({"image": "x"});
        let plain = renderer.render(&target).unwrap();
        let pull_request = target.pull_request.as_mut().unwrap();
        pull_request.branch.clone_from(&texts[0]);
        pull_request.author.clone_from(&texts[1]);
        pull_request.labels = vec![texts[2].clone()];
        target.payload = json!({"image": texts[3]});
        let filled = renderer.render(&target).unwrap();
        prop_assert_eq!(structure(&filled[0]), structure(&plain[0]));
        prop_assert_eq!(filled[0].pointer("/spec/a"), Some(&json!(texts[0])));
        prop_assert_eq!(filled[0].pointer("/spec/d"), Some(&json!(texts[3])));
        prop_assert_eq!(filled[0].pointer("/metadata/labels/branch"), Some(&json!(texts[0])));
    }
}
