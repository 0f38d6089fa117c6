//! Invalid values, and the error messages about them.

use crate::helm::{chart, text_of};

fn refused(arguments: &[&str]) -> String {
    match text_of(&chart(), "matinee", arguments) {
        Ok(_) => panic!("{arguments:?} is not refused"),
        Err(error) => error,
    }
}

#[test]
fn unknown_value_is_rejected_at_any_level() {
    for (set, place, name) in [
        ("replicas=2", "''", "replicas"),
        ("image.pullpolicy=Always", "'/image'", "pullpolicy"),
        ("config.loglevel=debug", "'/config'", "loglevel"),
        ("config.leaderElection.name=a", "'/config/leaderElection'", "name"),
        ("webhook.existingSecret.key=a", "'/webhook/existingSecret'", "key"),
        ("ingress.host=a", "'/ingress'", "host"),
        ("rbac.deployer.rule=a", "'/rbac/deployer'", "rule"),
        ("metrics.prometheusRule.alerts.gone.enabled=true", "'/metrics/prometheusRule/alerts'", "gone"),
        (
            "metrics.prometheusRule.alerts.down.threshold=1",
            "'/metrics/prometheusRule/alerts/down'",
            "threshold",
        ),
        ("readinessProbe.period=1", "'/readinessProbe'", "period"),
        ("resources.limit.cpu=1", "'/resources'", "limit"),
    ] {
        let error = refused(&["--set", set]);
        let expected = format!("at {place}: additional properties '{name}' not allowed");
        assert!(error.contains(&expected), "{set}: {error}");
    }
}

#[test]
fn a_value_of_another_type_or_out_of_range_is_refused() {
    for (set, expected) in [
        ("replicaCount=two", "at '/replicaCount': got string, want integer"),
        ("replicaCount=-1", "at '/replicaCount': minimum: got -1, want 0"),
        ("config.sweepInterval=1 minute", "at '/config/sweepInterval': '1 minute' does not match pattern"),
        ("config.sweepInterval=60", "at '/config/sweepInterval': got number, want string"),
        (
            "config.githubWriteInterval=9999999999s",
            "at '/config/githubWriteInterval': '9999999999s' does not match pattern",
        ),
        ("config.logFormat=yaml", "at '/config/logFormat': value must be one of 'auto', 'text', 'json'"),
        (
            "config.publicUrl=matinee.example.com",
            "at '/config/publicUrl': 'matinee.example.com' does not match",
        ),
        (
            "config.publicUrl=https://mona:s@example.com",
            "at '/config/publicUrl': 'https://mona:s@example.com' does not match",
        ),
        ("config.slackApiUrl=https://", "at '/config/slackApiUrl': 'https://' does not match"),
        ("config.listenAddress=10.0.0", "at '/config/listenAddress': '10.0.0' does not match"),
        ("config.listenAddress=256.0.0.1", "at '/config/listenAddress': '256.0.0.1' does not match"),
        ("config.listenAddress=[:]", "at '/config/listenAddress': '[:]' does not match"),
        ("config.concurrency=0", "at '/config/concurrency': minimum: got 0, want 1"),
        ("image.digest=sha256:0", "at '/image/digest': 'sha256:0' does not match pattern"),
        ("teardown.timeout=1h30m", "at '/teardown/timeout': '1h30m' does not match pattern"),
        ("webhook.secret=short", "at '/webhook/secret': minLength: got 5, want 16"),
        ("ingress.hosts=a.example.com", "at '/ingress/hosts': got string, want array"),
        ("crds.keep=yes", "at '/crds/keep': got string, want boolean"),
        ("global.imageRegistry={a}", "at '/global/imageRegistry': got array, want string"),
        ("github.app.id=abc", "at '/github/app/id': 'abc' does not match pattern"),
        ("commonLabels.a=1", "at '/commonLabels/a': got number, want string"),
    ] {
        let error = refused(&["--set", set]);
        assert!(error.contains(expected), "{set}: {error}");
        assert!(
            !set.starts_with("webhook.secret") || !error.contains("'short'"),
            "the error contains a secret: {error}"
        );
    }
}

#[test]
fn values_that_do_not_go_together_are_refused_with_a_remedy() {
    for (set, expected) in [
        (
            "config.leaderElection.enabled=false,replicaCount=2",
            "replicaCount: more than one replica needs config.leaderElection.enabled: true",
        ),
        ("ingress.enabled=true", "ingress.hosts: name at least one host"),
        ("httpRoute.enabled=true", "httpRoute.parentRefs: name the Gateway"),
        (
            "webhook.existingSecret.name=a,webhook.secret=sixteen-characters-and-more",
            "webhook: set either existingSecret.name or secret",
        ),
        ("github.token=a,github.app.id=1,github.app.privateKey=c", "github: set either token or app"),
        ("github.app.id=1", "github.app: id and privateKey belong together"),
        ("slack.botToken=a", "slack.signingSecret: needed with slack.botToken"),
        ("defaultClass.create=true", "defaultClass.spec: say at least grants and routing"),
        (
            "metrics.service.enabled=false,metrics.serviceMonitor.enabled=true",
            "metrics.serviceMonitor: needs metrics.service.enabled: true",
        ),
        ("config.httpPort=8081", "config: httpPort and adminPort must differ"),
        (
            "config.sweepInterval=4s",
            "config.sweepInterval: \"4s\" is out of range: write a duration from 5s to 1d",
        ),
        ("config.sweepInterval=1d1s", "config.sweepInterval: \"1d1s\" is out of range"),
        (
            "config.githubWriteInterval=1m08s",
            "config.githubWriteInterval: \"1m08s\" is out of range: write a duration from 0s to 1m",
        ),
        (
            "serviceAccount.create=false",
            "serviceAccount.name: name the account that has the operator's rights, or set serviceAccount.create: true",
        ),
        (
            "github.token=a,slack.signingSecret=b,slack.secretName=github",
            "slack.secretName: \"github\" is github.secretName already: write another name",
        ),
        (
            "github.token=a,github.secretName=matinee-webhook",
            "github.secretName: \"matinee-webhook\" is the webhook's (webhook.existingSecret.name) already",
        ),
        (
            "slack.signingSecret=a,slack.secretName=hooks,webhook.existingSecret.name=hooks",
            "slack.secretName: \"hooks\" is the webhook's (webhook.existingSecret.name) already",
        ),
    ] {
        let error = refused(&["--set", set]);
        assert!(error.contains(expected), "{set}: {error}");
    }
}

#[test]
fn values_at_the_bounds_are_accepted() {
    for set in [
        "config.sweepInterval=5s,config.githubWriteInterval=0s",
        "config.sweepInterval=23h60m,config.githubWriteInterval=060s",
        "config.publicUrl=https://[2001:db8::1]:8443/matinee,config.listenAddress=[::1]",
        "serviceAccount.create=false,rbac.create=false",
        "slack.secretName=github,github.secretName=matinee-webhook",
    ] {
        text_of(&chart(), "matinee", &["--set", set]).unwrap_or_else(|error| panic!("{set}: {error}"));
    }
}

#[test]
fn an_older_cluster_is_refused() {
    let error = refused(&["--kube-version", "1.32.9"]);
    assert!(error.contains("requires kubeVersion: >=1.33.0-0"), "{error}");
    // Clouds have versions like this.
    text_of(&chart(), "matinee", &["--kube-version", "v1.33.1-gke.1234"]).unwrap();
}
