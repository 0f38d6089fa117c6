mod hostile;

use serde_json::{Value, json};

use super::MinijinjaRenderer;
use crate::api::TemplateResource;
use crate::core::environment::plan::plan;
use crate::core::environment::plan::sample::{GATEWAY, TEMPLATE, target};
use crate::core::environment::resolved::Target;
use crate::core::mistake::Mistake;
use crate::ports::Renderer as _;

fn sample() -> Target {
    let mut target = target(GATEWAY, TEMPLATE);
    target.payload = json!({"image": "registry.example/web:1", "count": 3, "ratio": 1.5, "list": ["a", "b"], "nothing": null, "map": {"k": "v"}});
    for (name, value) in [
        ("on", "true"),
        ("padded", "007"),
        ("version", "1.10"),
        ("negative", "-3"),
        ("huge", "9223372036854775808"),
        ("word", "yes"),
    ] {
        target.parameters.insert(name.into(), value.into());
    }
    target
}

fn render_in(mut target: Target, object: Value) -> Result<Value, String> {
    target.template.resources = vec![TemplateResource(json!({})), TemplateResource(object)];
    let rendered = MinijinjaRenderer::new().render(&target);
    rendered.map(|mut objects| objects.remove(1)).map_err(|Mistake { reason, message }| {
        assert_eq!(reason, "TemplateInvalid");
        message
    })
}

/// Returns the rendered value of a string at `spec.field`.
fn field(text: &str) -> Result<Value, String> {
    render_in(sample(), json!({"spec": {"field": text}})).map(|object| object["spec"]["field"].clone())
}

/// Returns the error message without the field.
fn refused(text: &str) -> String {
    let message = field(text).expect_err(text);
    message.strip_prefix("resources[1].spec.field: ").expect(&message).to_owned()
}

#[test]
fn every_name_has_its_value() {
    for (placeholder, value) in [
        ("pr.number", json!(71)),
        ("pr.branch", json!("the-branch")),
        ("pr.author", json!("the-author")),
        ("pr.labels", json!(["the-first-label", "the-second-label"])),
        ("sha", json!("0123456789abcdef0123456789abcdef01234567")),
        ("shortSha", json!("0123456")),
        ("repository", json!("acme/the-repository")),
        ("environment", json!("the-environment")),
        ("host", json!("the-host.dev.example")),
        ("url", json!("https://the-host.dev.example")),
        ("namespace", json!("the-preview-namespace")),
        ("parameters.replicas", json!(2)),
        ("payload.image", json!("registry.example/web:1")),
    ] {
        assert_eq!(field(&format!("{{{{ {placeholder} }}}}")), Ok(value), "{placeholder}");
    }
}

#[test]
fn a_hole_alone_keeps_its_type_and_any_other_is_text() {
    for (text, value) in [
        ("{{ payload.count }}", json!(3)),
        ("{{payload.count}}", json!(3)),
        ("{{ payload.ratio }}", json!(1.5)),
        ("{{ payload.nothing }}", json!(null)),
        ("{{ payload.map }}", json!({"k": "v"})),
        ("{{ payload.count + 1 }}", json!(4)),
        ("{{ payload.count > 2 }}", json!(true)),
        ("{{ {\"a\": {\"b\": 1}}}}", json!({"a": {"b": 1}})),
        ("{{ -5 }}", json!(-5)),
        ("{{ parameters.on }}", json!(true)),
        ("{{ parameters.negative }}", json!(-3)),
        ("{{ parameters.padded }}", json!("007")),
        ("{{ parameters.version }}", json!("1.10")),
        ("{{ parameters.huge }}", json!("9223372036854775808")),
        ("{{ parameters.word }}", json!("yes")),
        ("{{ parameters.replicas | string }}", json!("2")),
        (" {{ payload.count }}", json!(" 3")),
        ("{{ pr.number }}-{{ parameters.on }}", json!("71-true")),
        ("{{ pr.labels | join(',') }}", json!("the-first-label,the-second-label")),
        ("{{ parameters.on | string }}", json!("true")),
    ] {
        assert_eq!(field(text), Ok(value), "{text}");
    }
}

#[test]
fn text_without_placeholder_is_unchanged() {
    for text in [
        "",
        "}}",
        "{ {sha} }",
        "{% if x %}{% endif %}",
        "${#array} {# x #}",
        "{",
        "$(sha) ${sha}",
        "{{ '{{' }}",
    ] {
        let expected = if text.contains("'{{'") { "{{" } else { text };
        assert_eq!(field(text), Ok(json!(expected)), "{text}");
    }
    assert_eq!(field("a {{ '}}' }} b {{ \"{{ sha }}\" }}"), Ok(json!("a }} b {{ sha }}")));
}

#[test]
fn where_kubernetes_wants_text_a_hole_alone_is_text() {
    let two = "{{ parameters.replicas }}";
    let object = json!({
        "metadata": {"name": two, "labels": {"a": two}, "annotations": {"b": two}},
        "data": {"c": two},
        "spec": {
            "replicas": two,
            "selector": {"d": two, "matchLabels": {"e": two}, "matchExpressions": [{"key": "k", "values": [two]}]},
            "ports": [{"name": two, "containerPort": two}],
            "template": {"metadata": {"labels": {"f": two}}, "spec": {
                "nodeSelector": {"g": two},
                "serviceAccountName": two,
                "containers": [{
                    "image": two, "args": [two], "command": [two],
                    "env": [{"name": "X", "value": two}],
                    "livenessProbe": {"periodSeconds": two, "httpGet": {"httpHeaders": [{"name": "x", "value": two}]}},
                }],
            }},
            "data": {"inner": two},
        },
    });
    let mut numbers = Vec::new();
    let rendered = render_in(sample(), object).unwrap();
    collect_numbers("", &rendered, &mut numbers);
    assert_eq!(
        numbers,
        [
            "/spec/data/inner",
            "/spec/ports/0/containerPort",
            "/spec/replicas",
            "/spec/template/spec/containers/0/livenessProbe/periodSeconds",
        ]
    );
    for (placeholder, what) in [
        ("pr.labels", "a list, which the filter join can turn into text,"),
        ("payload.map", "a map"),
        ("payload.nothing", "null, which the filter default can replace,"),
    ] {
        assert_eq!(
            render_in(
                sample(),
                json!({"metadata": {"labels": {"a.b/c": format!("{{{{ {placeholder} }}}}")}}})
            ),
            Err(format!(
                "resources[1].metadata.labels[\"a.b/c\"]: {{{{ {placeholder} }}}}: is {what} where text is required"
            ))
        );
    }
}

fn collect_numbers(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path.to_owned()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_numbers(&format!("{path}/{index}"), item, found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect_numbers(&format!("{path}/{name}"), field, found);
            }
            found.sort();
        }
        _ => {}
    }
}

#[test]
fn keys_have_holes_only_where_they_are_a_users_choice() {
    let key = "x-{{ pr.number }}";
    let object = json!({
        "metadata": {"labels": {key: "1"}, "annotations": {key: "2"}},
        "data": {key: "3"}, "stringData": {key: "4"}, "binaryData": {key: "5"},
        "spec": {"selector": {"matchLabels": {key: "6"}}},
    });
    assert_eq!(
        render_in(sample(), object).unwrap(),
        json!({
            "metadata": {"labels": {"x-71": "1"}, "annotations": {"x-71": "2"}},
            "data": {"x-71": "3"}, "stringData": {"x-71": "4"}, "binaryData": {"x-71": "5"},
            "spec": {"selector": {"matchLabels": {"x-71": "6"}}},
        })
    );
    assert_eq!(
        render_in(sample(), json!({"spec": {"containers": [{"{{ sha }}": 1}]}})).unwrap_err(),
        "resources[1].spec.containers[0][\"{{ sha }}\"]: a key can have placeholders only in labels, annotations, selectors and data"
    );
    assert_eq!(
        render_in(sample(), json!({"data": {"a": "", "{{ 'a' }}": ""}}))
            .map_err(|message| message.contains("becomes the same")),
        Err(true)
    );
}

#[test]
fn undefined_names_are_errors_that_name_the_field() {
    let object = json!({"spec": {"template": {"spec": {"containers": [{"image": "x:{{ payload.tag }}"}]}}}});
    assert_eq!(
        render_in(sample(), object).unwrap_err(),
        "resources[1].spec.template.spec.containers[0].image: {{ payload.tag }}: is undefined; set the value, or use the filter default"
    );
    assert_eq!(field("{{ payload.tag | default('latest') }}"), Ok(json!("latest")));
    assert_eq!(field("x:{{ payload.tag | default('latest') }}"), Ok(json!("x:latest")));
    assert!(refused("{{ payload.tag }}").contains("is undefined"));
    assert!(refused("{{ payload.a.b | default('x') }}").contains("is undefined"));
    assert_eq!(refused("{{ [payload.tag] }}"), "{{ [payload.tag] }}: contains an undefined value");
    // An unknown name is an error even where a filter would hide it.
    assert_eq!(
        refused("{{ shortsha | default('x') }}"),
        "{{ shortsha | default('x') }}: there is no \"shortsha\"; there are pr, sha, shortSha, repository, environment, host, url, namespace, parameters, payload; for braces that belong to the object itself, write {{ \"{{\" }} for {{"
    );
    assert_eq!(
        refused("{{ parameters.replica | default(1) }}"),
        "{{ parameters.replica | default(1) }}: there is no parameter \"replica\"; declare it in spec.parameters"
    );
    assert_eq!(
        refused("{{ pr.title }}"),
        "{{ pr.title }}: there is no \"pr.title\"; there are pr.number, pr.branch, pr.author, pr.labels"
    );
}

#[test]
fn there_is_no_pr_without_a_pull_request_and_payload_may_be_absent() {
    let mut target = sample();
    target.pull_request = None;
    target.payload = Value::Null;
    let field = |text: &str| render_in(target.clone(), json!({"field": text}));
    assert_eq!(
        field("{{ pr.number }}").unwrap_err(),
        "resources[1].field: {{ pr.number }}: is undefined; pr is undefined without a pull request; write \"... if pr is defined else ...\""
    );
    assert_eq!(field("{{ pr.number if pr is defined else 0 }}"), Ok(json!({"field": 0})));
    assert_eq!(field("{{ payload.image | default('x') }}"), Ok(json!({"field": "x"})));
    assert!(field("{{ payload.image }}").is_err());
}

#[test]
fn invalid_expression_is_reported() {
    for (text, says) in [
        ("{{ sha", "has no end"),
        ("{{", "has no end"),
        ("{{ }}", "unexpected end"),
        ("{{ sha sha }}", "unexpected"),
        ("{{- sha }}", "doesn't trim the space"),
        ("{{ sha | nosuch }}", "nosuch"),
        ("{{ sha is nosuch }}", "nosuch"),
        ("{{ sha.upper() }}", "upper"),
        ("{{ 1 / 0 }}", ""),
        ("{{ {1: 2} }}", "key that is not text"),
        ("{{ 1 // 0 }}", ""),
        ("{{ range(1000000000) }}", "there is no \"range\""),
        ("{{ debug() }}", "there is no \"debug\""),
        ("{{ include('/etc/passwd') }}", "there is no \"include\""),
        ("{{ 170141183460469231731687303715884105727 }}", "number that JSON can't represent"),
        ("{{ 'x' + 1 }}", ""),
    ] {
        let message = refused(text);
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn the_filter_slug_makes_a_label_of_anything() {
    let mut target = sample();
    target.pull_request.as_mut().unwrap().branch = "Feature/Ünicode & more".into();
    let field = |text: &str| render_in(target.clone(), json!({"field": text})).unwrap()["field"].clone();
    assert_eq!(field("{{ pr.branch | slug }}"), "feature-nicode-more");
    assert_eq!(field("{{ pr.branch | slug(18) }}").as_str().map(str::len), Some(18));
    assert_eq!(field("{{ sha | slug }}"), "0123456789abcdef0123456789abcdef01234567");
}

#[test]
fn a_plan_of_what_was_rendered() {
    let target = target(GATEWAY, TEMPLATE);
    let plan = plan(&target, MinijinjaRenderer::new().render(&target).unwrap()).unwrap();
    let deployment = &plan.resources[1].data;
    assert_eq!(deployment.pointer("/spec/replicas"), Some(&json!(2)));
    assert_eq!(
        deployment.pointer("/spec/template/spec/containers/0/image"),
        Some(&json!("the-image:0123456789abcdef0123456789abcdef01234567"))
    );
}

#[test]
fn only_the_default_filter_hides_undefined_values() {
    let filters = "abs batch(2) bool capitalize chain([]) count dictsort e escape first float format groupby('x') indent int items join last \
                   length lines list lower map('upper') max min pprint reject replace('a','b') reverse round safe select slice(2) slug sort \
                   split string sum title trim unique upper zip([])";
    for filter in filters.split_whitespace() {
        let filled = field(&format!("{{{{ payload.tag | {filter} }}}}"));
        assert!(filled.is_err(), "{filter}: {filled:?}");
    }
    assert_eq!(field("{{ payload.tag | d('x') }}"), Ok(json!("x")));
}

#[test]
fn null_is_as_good_as_missing_where_default_fills_in() {
    for filter in ["default('x')", "d('x')", "default('x', true)"] {
        for text in [
            format!("{{{{ payload.nothing | {filter} }}}}"),
            format!("a{{{{ payload.nothing | {filter} }}}}"),
        ] {
            assert_eq!(field(&text), Ok(json!(if text.starts_with('a') { "ax" } else { "x" })), "{text}");
        }
    }
    assert_eq!(field("{{ '' | default('x') }}"), Ok(json!("")));
    let refusal = refused("a{{ payload.nothing }}");
    assert!(refusal.contains("payload.nothing") && refusal.contains("default"), "{refusal}");
}

#[test]
fn payload_without_object_is_rejected_only_where_read() {
    let rendered = |payload: Value, text: &str| {
        let mut target = sample();
        target.payload = payload;
        target.template.resources = vec![TemplateResource(json!({"spec": {"a": "x", "b": [text]}}))];
        MinijinjaRenderer::new().render(&target)
    };
    for payload in [json!("nightly"), json!(["a"]), json!(1)] {
        for text in [
            "{{ payload.image | default('x') }}",
            "{{ payload | length }}",
            "{{ 1 if payload.a is defined else 2 }}",
        ] {
            let Mistake { reason, message } = rendered(payload.clone(), text).expect_err(text);
            assert_eq!(reason, "PayloadInvalid", "{message}");
            assert!(
                message.ends_with("(resources[0].spec.b[0])") && !message.contains("nightly"),
                "{message}"
            );
        }
        assert!(rendered(payload, "{{ sha }}").is_ok(), "another tool's payload is no error");
    }
    assert!(rendered(Value::Null, "{{ payload.image | default('x') }}").is_ok());
}
