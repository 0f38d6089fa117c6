use serde_json::{Value, json};

use super::super::*;
use crate::api::{DeploymentRequest, Gates};

fn request(ready: Option<(&str, &str)>) -> DeploymentRequest {
    let mut request = json!({
        "apiVersion": "matinee.dev/v1alpha1", "kind": "DeploymentRequest", "metadata": {"name": "shop-staging-1"},
        "spec": {
            "repositoryRef": {"name": "shop"}, "environment": "staging", "sha": "1".repeat(40),
            "requestedBy": {"origin": "Comment", "login": "ada"},
        },
    });
    if let Some((reason, message)) = ready {
        let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-05T10:00:00Z"});
        request["status"] = json!({"observedGeneration": 1, "conditions": [ready]});
    }
    serde_json::from_value(request).unwrap()
}

fn gates(gates: Value) -> Gates {
    serde_json::from_value(gates).unwrap()
}

#[test]
fn what_waits_can_be_approved_by_somebody_else() {
    let one = gates(json!({"approvals": 1}));
    for waiting in [None, Some(("ApprovalsMissing", "")), Some(("ChecksFailed", "")), Some(("Locked", ""))] {
        assert_eq!(approvable(&request(waiting), Some(&one), "mona"), Ok(()), "{waiting:?}");
    }
    let own = approvable(&request(None), Some(&one), "Ada").unwrap_err();
    assert_eq!(own.reason, "OwnDeployment");
    assert!(own.message.contains("another person"), "{}", own.message);
    for none in [None, Some(gates(json!({}))), Some(gates(json!({"checks": ["test"]})))] {
        let needless = approvable(&request(None), none.as_ref(), "mona").unwrap_err();
        assert_eq!(
            (needless.reason, needless.message.as_str()),
            ("NothingToApprove", "staging needs no approval")
        );
    }
}

#[test]
fn approval_of_an_ended_request_names_its_end() {
    for (reason, message, words) in [
        (
            "ChecksTimedOut",
            "check not finished in time: test",
            "timed out: check not finished in time: test; request",
        ),
        ("ImageTimedOut", "image x not found in time", "timed out"),
        ("Superseded", "commit 2 is the head of main now", "superseded: commit 2"),
        ("Creating", "", "being deployed already"),
        ("Deploying", "", "being deployed already"),
        ("Succeeded", "https://x", "deployed already"),
        ("DeploymentFailed", "web: OOMKilled", "its deployment failed: web: OOMKilled"),
        ("Refused", "Validation Failed", "rejected its deployment: Validation Failed"),
        ("Inactive", "", "its deployment is over"),
    ] {
        let one = gates(json!({"approvals": 1}));
        let error = approvable(&request(Some((reason, message))), Some(&one), "mona").unwrap_err();
        assert_eq!(error.reason, "NothingToApprove", "{reason}");
        assert!(error.message.contains(words), "{reason}: {}", error.message);
    }
    let mut going = request(None);
    going.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
    assert!(approvable(&going, Some(&gates(json!({"approvals": 1}))), "mona").is_err());
}
