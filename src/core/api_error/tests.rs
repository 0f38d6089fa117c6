use kube::core::Status;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn status(code: u16, message: &str) -> Status {
    Status::failure(message, "").with_code(code)
}

fn invalid(causes: &[(&str, &str)]) -> Status {
    let causes: Vec<_> =
        causes.iter().map(|(field, message)| json!({"field": field, "message": message})).collect();
    serde_json::from_value(
        json!({"code": 422, "reason": "Invalid", "message": "see causes", "details": {"causes": causes}}),
    )
    .unwrap()
}

fn cleaned(status: &Status) -> String {
    message(status, &SentValues::default())
}

/// Messages of Kubernetes 1.33 to 1.37.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn real_messages_have_their_meaning() {
    use Meaning::{Conflict, Outage, Rejected};

    let webhook =
        |webhook: &str, why: &str| Meaning::WebhookUnavailable { webhook: webhook.into(), why: why.into() };
    for (code, message, expected) in [
        (
            500,
            "failed to create typed patch object (preview-x/app; /v1, Kind=ConfigMap): .data.PORT: expected string, got &value.valueUnstructured{Value:8080}",
            Rejected,
        ),
        (
            500,
            "failed to create typed patch object (preview-x/web; apps/v1, Kind=Deployment): errors:\n  .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]\n  .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]",
            Rejected,
        ),
        (
            500,
            "failed to create typed patch object (preview-x/seed; batch/v1, Kind=Job): .spec.template.spec.ttlSecondsAfterFinished: field not declared in schema",
            Rejected,
        ),
        (
            400,
            "failed to create typed patch object (preview-x/seed; batch/v1, Kind=Job): .spec.template.spec.ttlSecondsAfterFinished: field not declared in schema",
            Rejected,
        ),
        (
            500,
            ".spec.ports: element 0: associative list with keys has an element that omits key field \"port\"",
            Rejected,
        ),
        (
            400,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            Rejected,
        ),
        (
            422,
            "Service \"wrong\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            Rejected,
        ),
        (
            403,
            "pods \"web\" is forbidden: exceeded quota: matinee, requested: pods=1, used: pods=20, limited: pods=20",
            Rejected,
        ),
        (403, "admission webhook \"policy.example.com\" denied the request: no", Rejected),
        (
            500,
            "Internal error occurred: admission webhook \"policy.example.com\" denied the request: no",
            Rejected,
        ),
        (404, "namespaces \"gone\" not found", Rejected),
        (413, "Request entity too large: limit is 3145728", Rejected),
        (
            409,
            "Operation cannot be fulfilled on resourcequotas \"matinee\": the object has been modified; please apply your changes to the latest version and try again",
            Conflict,
        ),
        (409, "namespaces \"x\" already exists", Conflict),
        (
            500,
            "Internal error occurred: failed calling webhook \"policy.example.com\": failed to call webhook: Post \"https://policy.ops.svc:443/validate?timeout=10s\": service \"policy\" not found",
            webhook("policy.example.com", "service \"policy\" not found"),
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"policy.example.com\": failed to call webhook: Post \"https://policy.ops.svc:443/?timeout=10s\": no endpoints available for service \"policy\"",
            webhook("policy.example.com", "no endpoints available for service \"policy\""),
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"policy.example.com\": failed to call webhook: Post \"https://policy.ops.svc:443/?timeout=10s\": context deadline exceeded",
            webhook("policy.example.com", "context deadline exceeded"),
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"policy.example.com\": failed to call webhook: the server could not find the requested resource",
            webhook("policy.example.com", "the server could not find the requested resource"),
        ),
        (
            500,
            "conversion webhook for mistakes.example.org/v1, Kind=Widget failed: Post \"https://convert.ops.svc:443/convert?timeout=30s\": service \"convert\" not found",
            webhook("for the conversion of mistakes.example.org/v1 Widget", "service \"convert\" not found"),
        ),
        (
            500,
            "failed to convert new object (preview-x/one; mistakes.example.org/v1, Kind=Widget) to proper version (mistakes.example.org/v2): conversion webhook for mistakes.example.org/v1, Kind=Widget failed: Post \"https://convert.ops.svc:443/convert?timeout=30s\": dial tcp 10.96.3.4:443: connect: connection refused",
            webhook(
                "for the conversion of mistakes.example.org/v1 Widget",
                "dial tcp 10.96.3.4:443: connect: connection refused",
            ),
        ),
        (500, "Internal error occurred: etcdserver: no leader", Outage),
        (500, "etcdserver: request timed out", Outage),
        (503, "the server is currently unable to handle the request", Outage),
        (
            504,
            "Timeout: request did not complete within requested timeout - context deadline exceeded",
            Outage,
        ),
        (429, "Too many requests, please try again later.", Outage),
        (502, "<html><body>Bad Gateway</body></html>", Outage),
        // The author of an object can't make its rejection look like an outage.
        (
            422,
            "ConfigMap \"x\" is invalid: data[k]: Invalid value: \"failed calling webhook \\\"x\\\"\": no",
            Rejected,
        ),
    ] {
        assert_eq!(meaning(&status(code, message)), expected, "{message}");
    }
}

/// Redacted forms of real messages.
#[test]
#[allow(clippy::too_many_lines)] // a table
fn path_and_cause_stay_and_values_go() {
    for (code, message, expected) in [
        (
            500,
            "failed to create typed patch object (preview-x/db; /v1, Kind=Secret): .stringData.PIN: expected string, got &value.valueUnstructured{Value:13579246}",
            ".stringData.PIN: expected string",
        ),
        (
            500,
            "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): errors:\n  .spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]\n  .spec.template.spec.containers[name=\"web\"].imagePullPolcy: field not declared in schema",
            ".spec.template.spec.containers[name=\"web\"].env: duplicate entries for key [name=\"A\"]; .spec.template.spec.containers[name=\"web\"].imagePullPolcy: field not declared in schema",
        ),
        (
            422,
            "Job.batch \"migrate\" is invalid: spec.template: Invalid value: {\"labels\":{\"a\":\"}: b\"},\"spec\":{\"containers\":[{\"env\":[{\"value\":\"hunter2\"}]}]}}: field is immutable",
            "spec.template: Invalid value: field is immutable",
        ),
        (
            422,
            "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"x\"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable",
            "spec.selector: Invalid value: field is immutable",
        ),
        (
            422,
            "Service \"wrong\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].port: Invalid value: must be between 1 and 65535, inclusive",
        ),
        (
            422,
            "Pod \"web\" is invalid: spec.containers[0].resources.requests: Invalid value: \"1Gi\": must be less than or equal to memory limit of 512Mi",
            "spec.containers[0].resources.requests: Invalid value: must be less than or equal to memory limit of 512Mi",
        ),
        (
            422,
            "Pod \"web\" is invalid: spec.containers[0].imagePullPolicy: Unsupported value: \"hunter2\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            "spec.containers[0].imagePullPolicy: Unsupported value: supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            422,
            "ConfigMap \"x\" is invalid: [data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+'), metadata.name: Required value: name or generateName is required]",
            "[data[a b]: Invalid value: a valid config key must consist of alphanumeric characters, …, … or … , metadata.name: Required value: name or generateName is required]",
        ),
        (
            422,
            "Pod \"seed\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`\n  core.PodSpec{\n- \t\tValue: \"hunter2\",",
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`",
        ),
        (
            422,
            "Widget.mistakes.example.org \"one\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
            "spec.size: Invalid value: spec.size in body must be of type integer: \"string\"",
        ),
        (
            422,
            "LimitRange \"matinee\" is invalid: spec.limits[0].defaultRequest[memory]: Invalid value: \"1Gi\": default request value 1Gi is greater than default limit value 512Mi",
            "spec.limits[0].defaultRequest[memory]: Invalid value: default request value 1Gi is greater than default limit value 512Mi",
        ),
        (
            422,
            "ResourceQuota \"matinee\" is invalid: spec.hard[bogus]: Invalid value: \"bogus\": must be a standard resource for quota",
            "spec.hard[bogus]: Invalid value: must be a standard resource for quota",
        ),
        (
            400,
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 4",
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 4",
        ),
        (
            400,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number 13579246.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            400,
            "strict decoding error: unknown field \"spec.foo\"",
            "strict decoding error: unknown field \"spec.foo\"",
        ),
        (
            400,
            "quantities must match the regular expression '^([+-]?[0-9.]+)$', error found in #10 byte of ...|:\"hunter2\"|..., bigger context ...|hunter2|...",
            "quantities must match the regular expression …",
        ),
        (400, "unable to parse \"hunter2\" as a quantity", "unable to parse … as a quantity"),
        (
            403,
            "pods \"web\" is forbidden: exceeded quota: matinee, requested: pods=1, used: pods=20, limited: pods=20",
            "exceeded quota: matinee, requested: pods=1, used: pods=20, limited: pods=20",
        ),
        (
            403,
            "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"web\" must set securityContext.allowPrivilegeEscalation=false), seccompProfile (pod or containers \"web\", \"db\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
            "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"web\" must set securityContext.allowPrivilegeEscalation=false), seccompProfile (pod or containers \"web\", \"db\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        ),
        (
            403,
            "leases.coordination.k8s.io \"leader\" is forbidden: User \"system:serviceaccount:preview-x:matinee-deployer\" cannot patch resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"preview-x\"",
            "User \"system:serviceaccount:preview-x:matinee-deployer\" cannot patch resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"preview-x\"",
        ),
        (
            403,
            "admission webhook \"validate.example.com\" denied the request: \n\nrule labels: value \"hunter2\" isn't allowed",
            "admission webhook \"validate.example.com\" denied the request: rule labels: value … isn't allowed",
        ),
        (
            422,
            "x is invalid: a: Invalid value: https://ada:hunter2@example.com/x?k=hunter2: must be an address",
            "x is invalid: a: Invalid value: must be an address",
        ),
        (
            200,
            "Error deserializing response: invalid type: string \"hunter2\", expected u32 at line 1 column 5",
            "Error deserializing response: invalid type: string …, expected u32 at line 1 column 5",
        ),
        (
            200,
            "invalid type: integer `13579246`, expected a string at line 1 column 5",
            "invalid type: integer …, expected a string at line 1 column 5",
        ),
        (
            403,
            "namespaces \"preview-x\" is forbidden: ValidatingAdmissionPolicy 'matinee-confinement' with binding 'matinee-confinement' denied request: the Pod Security Standard of previews may not be \"privileged\": correct isolation.podSecurity of the PreviewClass",
            "ValidatingAdmissionPolicy 'matinee-confinement' with binding 'matinee-confinement' denied request: the Pod Security Standard of previews may not be …: correct isolation.podSecurity of the PreviewClass",
        ),
        (
            422,
            "PreviewEnvironment.matinee.dev \"x\" is invalid: spec.revision: Invalid value: \"object\": revision.deploymentId never goes back",
            "spec.revision: Invalid value: revision.deploymentId never goes back",
        ),
        (
            422,
            "X \"x\" is invalid: spec.a: Invalid value: map[a:hunter2 c:d]: must be empty",
            "spec.a: Invalid value: must be empty",
        ),
        (
            422,
            "X \"x\" is invalid: [spec.a: Invalid value: map[a:hunter2 c:d], spec.b: Invalid value: 2026-01-01 00:00:00 +0000 UTC: must be later]",
            "[spec.a: Invalid value, spec.b: Invalid value: must be later]",
        ),
        (
            422,
            "DeploymentRequest.matinee.dev \"x\" is invalid: spec: Invalid value: spec is immutable",
            "spec: Invalid value: spec is immutable",
        ),
        (500, "see https://ada:hunter2@example.com/x?k=hunter2 for more", "see https://example.com for more"),
    ] {
        assert_eq!(cleaned(&status(code, message)), expected, "{message}");
    }
}

#[test]
fn causes_are_told_field_by_field() {
    let status = invalid(&[
        (
            "spec.template",
            "Invalid value: &PodTemplateSpec{Labels:map[string]string{a: }: hunter2,},}: field is immutable",
        ),
        ("spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ("spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ("spec.names[1]", "Duplicate value: \"hunter2\""),
    ]);
    assert_eq!(
        cleaned(&status),
        "spec.template: Invalid value: field is immutable; spec.replicas: Invalid value: must be greater than or equal to 0; \
         spec.names[1]: Duplicate value"
    );
    let many: Vec<_> = (0..9).map(|number| format!("spec.items[{number}]")).collect();
    let many: Vec<_> = many.iter().map(|field| (field.as_str(), "Required value")).collect();
    assert!(cleaned(&invalid(&many)).ends_with("spec.items[4]: Required value; and 4 more"));
}

#[test]
fn a_message_is_bounded() {
    let long = format!("denied: {}", "word ".repeat(20_000));
    let cleaned = cleaned(&status(403, &long));
    assert!(cleaned.chars().count() <= 480 && cleaned.starts_with("denied: word"), "{cleaned}");
}

#[test]
fn sent_value_is_redacted_at_any_position() {
    let none = std::iter::empty;
    let data = json!({"data": {"PIN": "aHVudGVyMg==", "ONE": "MQ=="}, "stringData": {"N": 13_579_246}});
    let sent = SentValues::of("v1", "Secret", &data, none());
    assert_eq!(
        sent.removed_from("denied: hunter2 and aHVudGVyMg== and 13579246, key 1, not hunter22"),
        "denied: … and … and …, key …, not hunter22"
    );
    let data = json!({"spec": {"containers": [{"name": "web", "args": ["--token=abcdef"], "env": [{"name": "HOME", "value": "hunter2"}]}]}});
    let sent = SentValues::of("apps/v1", "Deployment", &data, none());
    assert_eq!(sent.removed_from("web: HOME is hunter2, --token=abcdef"), "web: HOME is …, …");
    let data = json!({"spec": {"admin": {"password": "hunter2", "name": "admin"}}});
    let sent = SentValues::of("example.org/v1", "Database", &data, none());
    assert_eq!(sent.removed_from("admin: hunter2 is too short"), "admin: … is too short");
    // Messages about quotas and Pod Security repeat no values, so nothing is removed from them.
    let data = json!({"spec": {"args": ["matinee", "restricted"]}});
    let sent = SentValues::of("v1", "Pod", &data, none());
    let quota = status(403, "pods \"web\" is forbidden: exceeded quota: matinee, requested: pods=1");
    assert_eq!(message(&quota, &sent), "exceeded quota: matinee, requested: pods=1");
}

fn denied(words: &str) -> String {
    format!("admission webhook \"v.example.com\" denied the request: {words}")
}

fn secret(key: &str, value: &str) -> SentValues {
    SentValues::of("v1", "Secret", &json!({"stringData": {key: value}}), std::iter::empty())
}

#[test]
fn password_in_a_url_is_redacted() {
    for address in [
        "redis://:hunter2#1@redis:6379",
        "postgres://app:hunter2?word@db/app",
        "amqp://u:hunter2/cd@mq",
        "amqp://u:12345/hunter2@mq",
        "https://example.com/x?mail=a@hunter2",
        "redis://u:hunter2",
    ] {
        let status = status(403, &denied(&format!("URL {address} is invalid")));
        let unsent = cleaned(&status);
        assert!(unsent.ends_with("://… is invalid"), "{unsent}");
        assert_eq!(message(&status, &secret("URL", address)), denied("URL … is invalid"));
        // A message may contain only a part of the address.
        let data = json!({"spec": {"env": [{"name": "URL", "value": address}]}});
        let sent = SentValues::of("v1", "Pod", &data, std::iter::empty());
        if address.contains('@') && address.contains(":hunter2") {
            let password = address.split_once("://").unwrap().1.split_once(':').unwrap().1;
            let password = password.rsplit_once('@').unwrap().0;
            assert_eq!(sent.removed_from(&format!("password {password}")), "password …");
        }
    }
    let kept = cleaned(&status(403, &denied("see https://ada:pw@example.com:8443/x, https://example.org.")));
    assert_eq!(kept, denied("see https://example.com:8443 https://example.org."));
}

#[test]
fn a_value_is_found_whatever_its_white_space() {
    for value in
        ["hunter2  and\tmore", "first\nhunter2  and\tmore", " hunter2 and more\n", "a\"hunter2\"  <b>"]
    {
        for said in
            [value.to_owned(), format!("{value:?}"), json!(value).to_string(), value.replace('\t', " ")]
        {
            let cleaned =
                message(&status(403, &denied(&format!("PIN is {said}, no"))), &secret("PIN", value));
            assert!(!cleaned.contains("hunter2") && !cleaned.contains("more"), "{cleaned}");
            assert!(cleaned.starts_with(&denied("PIN is ")), "{cleaned}");
        }
        assert!(
            !message(
                &status(
                    403,
                    &denied(&format!("PIN is {}", value.split_whitespace().collect::<Vec<_>>().join(" ")))
                ),
                &secret("PIN", value)
            )
            .contains("hunter2")
        );
    }
}

#[test]
fn a_value_of_a_secret_is_found_as_base64() {
    for said in ["aHVudGVyMg==", "aHVudGVyMg"] {
        let status = status(403, &denied(&format!("data.PIN {said} is too weak")));
        assert_eq!(message(&status, &secret("PIN", "hunter2")), denied("data.PIN … is too weak"));
    }
    // A key of a Secret may have any name.
    let status = status(403, &denied("hunter2 is too weak"));
    assert_eq!(message(&status, &secret("name", "hunter2")), denied("… is too weak"));
}

#[test]
fn keys_stay_only_where_they_look_like_names() {
    for (field, expected) in [
        ("data[password=hunter2]", "data[…]"),
        ("data[tls.crt]", "data[tls.crt]"),
        ("data[a]hunter2]", "data…"),
        ("metadata.annotations[example.com/a_b]", "metadata.annotations[example.com/a_b]"),
        (
            "spec.template.spec.containers[0].env[12].valueFrom",
            "spec.template.spec.containers[0].env[12].valueFrom",
        ),
        (
            "spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"]",
            "spec.containers[name=\"web\"].ports[containerPort=80,protocol=\"TCP\"]",
        ),
        ("spec.set[=\"hunter2\"].x", "spec.set[…].x"),
        ("spec.set[=13579246]", "spec.set[…]"),
        ("spec.list[name=\"hunter2 x\"].a", "spec.list[name=…].a"),
        (".data.password=hunter2", ".data.…"),
        (".data.a b.hunter2", ".data.…"),
        ("spec.containers[*].image", "spec.containers[*].image"),
        ("data[", "data…"),
    ] {
        assert_eq!(super::typing::path(field), expected);
    }
    let sent = secret("password=hunter2", "");
    let rejected = invalid(&[(
        "data[password=hunter2]",
        "Invalid value: \"password=hunter2\": a valid config key must be",
    )]);
    assert_eq!(cleaned(&rejected), "data[…]: Invalid value: a valid config key must be");
    for (said, expected) in [
        (".data.password=hunter2: expected string, got \"x\"", ".data.…: expected string"),
        (
            "strict decoding error: unknown field \"spec.password=hunter2\"",
            "strict decoding error: unknown field \"spec.…\"",
        ),
        (
            "strict decoding error: unknown field \"spec.replicsa\"",
            "strict decoding error: unknown field \"spec.replicsa\"",
        ),
    ] {
        assert_eq!(cleaned(&status(400, said)), expected);
        assert!(!message(&status(400, said), &sent).contains("hunter2"));
    }
    let plain = status(
        422,
        "Secret \"x\" is invalid: data[password=hunter2]: Invalid value: \"password=hunter2\": no",
    );
    assert_eq!(message(&plain, &sent), "data[…]: Invalid value: no");
}

#[test]
fn inner_quote_does_not_end_a_quoted_value() {
    for (said, expected) in [
        ("value 'hun'ter2 x' isn't allowed", "value … isn't allowed"),
        ("value 'hun' ter2 x' isn't allowed", "value … isn't allowed"),
        ("value 'hunter2 isn't allowed", "value …"),
        ("A='hun'ter2 x' isn't allowed", "A=… isn't allowed"),
        ("value \"hun\"ter2 x\" isn't allowed", "value … isn't allowed"),
        ("'hunter2' or 'hunter3' isn't allowed, policy 'a' may", "… or … isn't allowed, policy 'a' may"),
        ("it isn't the users' or anybody's", "it isn't the users' or anybody's"),
    ] {
        assert_eq!(cleaned(&status(403, &denied(said))), denied(said).replace(said, expected));
    }
}

#[test]
fn parts_of_values_are_found() {
    let pod = json!({
        "spec": {
            "volumes": [
                {"csi": {"driver": "csi.example.com", "volumeAttributes": {"key": "hunter2-csi"}}},
                {"flexVolume": {"driver": "example.com/flex", "options": {"key": "hunter2-flex"}}},
            ],
            "containers": [{
                "name": "web",
                "command": ["serve", "-c", "psql --password=hunter2-command db"],
                "args": ["--token=hunter2-args", "--header=Authorization: Bearer hunter2-bearer"],
                "env": [{"name": "DSN", "value": "user=app password:hunter2-value"}, {"name": "U", "value": "https://u:hunter2-url@x"}],
                "livenessProbe": {"httpGet": {"path": "/live?key=hunter2-query&x=1"}},
            }],
        },
        "template": {"metadata": {"annotations": {"a": "hunter2-annotation"}, "name": "web"}},
    });
    let sent = SentValues::of("v1", "Pod", &pod, std::iter::empty());
    for part in ["csi", "flex", "command", "args", "bearer", "value", "url", "query", "annotation"] {
        let status = status(403, &denied(&format!("hunter2-{part} is not allowed")));
        assert_eq!(message(&status, &sent), denied("… is not allowed"), "{part}");
    }
    let words = "web: csi.example.com, example.com/flex, /live, password and app stay";
    assert_eq!(sent.removed_from(words), words);
}

#[test]
fn pod_security_says_what_to_set() {
    let words = "violates PodSecurity \"restricted:latest\": unrestricted capabilities (container \"web\" must set securityContext.capabilities.drop=[\"ALL\"]), restricted volume types (volume \"data\" uses restricted volume type \"hostPath\"), seccompProfile (pod must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
    assert_eq!(text(words), words);
    let sent = SentValues::of("v1", "Pod", &json!({"spec": {"args": ["restricted"]}}), std::iter::empty());
    assert_eq!(text_about(words, &sent), words);
}

/// Returns the ways in which the API server repeats a value: the text around the value in its
/// written form, and the words that must stay.
fn forms(secret: &str) -> Vec<(String, Vec<&'static str>)> {
    let quoted = format!("{secret:?}");
    let json = json!({"a": [{"value": secret}]}).to_string();
    vec![
        (
            format!(
                "failed to create typed patch object (a/b; /v1, Kind=Secret): .data.PIN: expected string, got &value.valueUnstructured{{Value:{secret}}}"
            ),
            vec![".data.PIN: expected string"],
        ),
        (
            format!(
                "failed to create typed patch object (a/b; /v1, Kind=Secret): errors:\n  .data.PIN: expected string, got {quoted}\n  .data.TAN: expected string, got {secret}"
            ),
            vec![".data.PIN: expected string", ".data.TAN: expected string"],
        ),
        (
            format!(
                "failed to create typed patch object (a/b; /v1, Kind=X): .spec.items: duplicate entries for key [={quoted}]"
            ),
            vec![".spec.items: duplicate entries for key"],
        ),
        (
            format!("X \"x\" is invalid: spec.a: Invalid value: {quoted}: field is immutable"),
            vec!["spec.a: Invalid value: field is immutable"],
        ),
        (
            format!("X \"x\" is invalid: spec.a: Invalid value: {json}: field is immutable"),
            vec!["spec.a: Invalid value: field is immutable"],
        ),
        (
            format!(
                "X \"x\" is invalid: spec.a: Invalid value: core.Spec{{A:{quoted}, B:(*int)(nil)}}: field is immutable"
            ),
            vec!["spec.a: Invalid value: field is immutable"],
        ),
        (
            format!(
                "X \"x\" is invalid: spec.a: Invalid value: map[string]string{{\"k\":{quoted}}}: must be empty"
            ),
            vec!["spec.a: Invalid value: must be empty"],
        ),
        (
            format!(
                "X \"x\" is invalid: spec.a: Unsupported value: {quoted}: supported values: \"A\", \"B\""
            ),
            vec!["spec.a: Unsupported value: supported values: \"A\", \"B\""],
        ),
        (
            format!("X \"x\" is invalid: [spec.a: Duplicate value: {quoted}, spec.b: Not found: {quoted}]"),
            vec!["spec.a: Duplicate value, spec.b: Not found"],
        ),
        (
            format!(
                "X \"x\" is invalid: spec.a: Forbidden: may not change\n  core.Spec{{\n- \tA: {quoted},\n+ \tB: {secret}"
            ),
            vec!["spec.a: Forbidden: may not change"],
        ),
        (format!("unable to parse {quoted}: no number"), vec!["unable to parse", "no number"]),
        (
            format!("json: invalid number literal, trying to unmarshal {quoted} into Number"),
            vec!["json: invalid number literal", "into Number"],
        ),
        (format!("cannot restore struct from: {json}"), vec!["cannot restore struct from"]),
        (format!("cannot convert {{{quoted}}}"), vec!["cannot convert"]),
    ]
}

proptest! {
    /// A value never appears in a message, and the path and the cause always do.
    #[test]
    fn no_form_of_a_message_repeats_a_value(secret in "[ -~é\\n]{0,12}[a-zA-Z0-9]{6}Z[ -~]{0,12}") {
        // A text that is in the message anyway proves nothing.
        let needle: String = {
            let end = secret.find('Z').map_or(secret.len(), |at| at + 1);
            secret[..end].chars().rev().take(7).collect::<Vec<_>>().into_iter().rev().collect()
        };
        for (message, words) in forms(&secret) {
            prop_assume!(!words.iter().any(|word| word.contains(&needle)));
            let cleaned = cleaned(&status(500, &message));
            prop_assert!(!cleaned.contains(&needle), "{:?} is in {:?}, made of {:?}", needle, cleaned, message);
            for word in words {
                prop_assert!(cleaned.contains(word), "{:?} isn't in {:?}, made of {:?}", word, cleaned, message);
            }
        }
    }

    /// The value of a Secret never appears in a webhook's message, in whatever form.
    #[test]
    fn no_words_about_a_secret_repeat_its_value(value in "[ -~\\t\\n]{0,12}[a-zA-Z0-9]{6}Z[ -~\\t\\n]{0,12}") {
        let sent = secret("PIN", &value);
        let needle: String = {
            let end = value.find('Z').map_or(value.len(), |at| at + 1);
            value[..end].chars().rev().take(7).collect::<Vec<_>>().into_iter().rev().collect()
        };
        for said in [value.clone(), format!("'{value}'"), format!("`{value}`"), json!(value).to_string()] {
            let cleaned = message(&status(403, &denied(&format!("PIN {said} is too weak"))), &sent);
            prop_assert!(!cleaned.contains(&needle), "{:?} is in {:?}, made of {:?}", needle, cleaned, said);
        }
    }

    /// Redaction never panics, and its result is bounded.
    #[test]
    fn any_text_can_be_cleaned(text in "\\PC{0,300}") {
        let cleaned = text_of(&text);
        prop_assert!(cleaned.chars().count() <= 480);
    }
}

fn text_of(raw: &str) -> String {
    text(raw)
}
