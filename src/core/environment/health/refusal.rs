//! Causes of pods that can't be created, from the API server's response to their controller.

use super::kubelet_text::{about_creation, innermost};
use crate::core::api_error::SentValues;
use crate::core::cause::Cause;

/// Returns the cause for a rejected pod, without the applied values.
pub(super) fn cause(message: &str, sent: &SentValues) -> Cause {
    let is_invalid = message.contains("\" is invalid: ");
    let said = about_creation(message, sent);
    // exceeded quota: preview, requested: pods=1, used: pods=5, limited: pods=5
    for known in ["exceeded quota", "failed quota"] {
        if let Some(detail) = said.strip_prefix(known).and_then(|rest| rest.strip_prefix(": ")) {
            return Cause::new(known).detail(detail);
        }
    }
    // violates PodSecurity "restricted:latest": privileged (container "web" must not set securityContext.privileged=true)
    if said.starts_with("violates PodSecurity") {
        let (what, detail) =
            said.split_once("\": ").map_or((said.as_str(), ""), |(what, detail)| (what, detail));
        let closed = if detail.is_empty() { "" } else { "\"" };
        return Cause::new(format!("{what}{closed}")).detail(detail);
    }
    // admission webhook "policy.example.com" denied the request: no
    // ValidatingAdmissionPolicy 'pods' with binding 'pods' denied request: no
    for denied in [" denied the request: ", " denied request: "] {
        if let Some((who, why)) = said.split_once(denied) {
            return Cause::new(format!("denied by {}", who.split(" with binding ").next().unwrap_or(who)))
                .detail(why);
        }
    }
    // spec.containers[0].resources.requests: Invalid value: "1Gi": must be less than or equal to memory limit of 512Mi
    if is_invalid && let Some((field, why)) = said.split_once(": ") {
        return Cause::new(format!("pod not valid: {}", innermost(why))).detail(field).said(why);
    }
    let what = innermost(&said).to_owned();
    if what == said {
        Cause::new(format!("pod not created: {what}"))
    } else {
        Cause::new(format!("pod not created: {what}")).said(said)
    }
}
