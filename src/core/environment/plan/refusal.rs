//! Turns the API server's rejection of an object into a mistake: a short cause, then the remedy.

use kube::api::DynamicObject;

use super::forbidden::known_group;
use super::object::{group_of, kind_of};
use crate::core::mistake::{Mistake, Reason};

/// API versions that Kubernetes no longer serves, as prefix, kind and replacement.
/// <https://kubernetes.io/docs/reference/using-api/deprecation-guide/>
const REMOVED: [(&str, &str, &str); 8] = [
    ("apps/v1beta", "", "apps/v1"),
    ("autoscaling/v2beta", "", "autoscaling/v2"),
    ("batch/v1beta1", "", "batch/v1"),
    ("batch/v2alpha1", "", "batch/v1"),
    ("policy/v1beta1", "PodDisruptionBudget", "policy/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "", "rbac.authorization.k8s.io/v1"),
    ("extensions/v1beta1", "Deployment", "apps/v1"),
    ("extensions/v1beta1", "DaemonSet", "apps/v1"),
];

/// Whether no change of rights helps: quota or admission rejects the object.
pub fn is_final(message: &str) -> bool {
    message.contains("exceeded quota")
        || message.contains("violates PodSecurity")
        || message.contains("denied the request")
}

/// Whether the object is rejected because a field of it is immutable.
pub fn is_immutable(message: &str) -> bool {
    [
        "field is immutable",
        "is immutable",
        "updates to statefulset spec",
        "may not change fields other than",
        "cannot change roleRef",
        "may not be changed",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Whether an object is rejected only because its namespace is being deleted or has just been
/// deleted.
pub fn is_namespace_gone(code: u16, message: &str) -> bool {
    code == 403 && message.contains("because it is being terminated")
        || code == 404 && message.starts_with("namespaces \"")
}

/// Whether a dry run was rejected because it was a dry run, which says nothing about the object.
pub fn is_about_dry_run(message: &str) -> bool {
    message.contains("dry run") || message.contains("dryRun")
}

/// Returns the mistake for a rejected object. It repeats no value of the object.
pub fn refusal(object: &DynamicObject, code: u16, message: &str) -> Mistake {
    let (kind, name) = (kind_of(object), object.metadata.name.as_deref().unwrap_or_default());
    let message = concise(message);
    let (reason, cause, remedy) = match code {
        403 if is_final(message) => {
            (Reason::ApplyForbidden, message.to_owned(), "make it fit, or ask the platform team".to_owned())
        }
        403 => {
            let cause = missing_right(message).unwrap_or_else(|| message.to_owned());
            let remedy = "ask the platform team whether previews may have this kind (ClusterRole matinee-deployer), or remove it";
            (Reason::ApplyForbidden, cause, remedy.to_owned())
        }
        404 => match successor(object) {
            Some((version, successor)) => (
                Reason::KindMissing,
                format!("Kubernetes no longer serves {version}"),
                format!("use {successor}"),
            ),
            None if known_group(group_of(object)) => {
                let version = object.types.as_ref().map_or("", |types| types.api_version.as_str());
                let cause = format!("the cluster doesn't serve {version} {kind}");
                (Reason::KindMissing, cause, "correct apiVersion and kind".to_owned())
            }
            None => (Reason::KindMissing, message.to_owned(), "the cluster must serve the kind".to_owned()),
        },
        _ if is_immutable(message) => {
            (Reason::ApplyRejected, immutable(message), remedy_for_immutable(object))
        }
        _ => (Reason::ApplyRejected, message.to_owned(), "correct it".to_owned()),
    };
    Mistake { reason, message: format!("{kind} {name}: {cause}: {remedy}") }
}

/// Rank of a mistake among several. The lowest comes first: mistakes that the template's author can
/// fix come before those for the platform team.
pub fn rank(mistake: &Mistake) -> u8 {
    match mistake.reason {
        Reason::ApplyRejected => 0,
        Reason::ApplyForbidden if is_final(&mistake.message) => 1,
        Reason::KindMissing => 2,
        _ => 3,
    }
}

/// Returns the message without the parts that only name the object.
fn concise(message: &str) -> &str {
    let message = message.trim();
    if let Some((start, rest)) = message.split_once(" is invalid: ")
        && start.ends_with('"')
    {
        return rest;
    }
    match message.split_once("): ") {
        Some((start, rest)) if start.starts_with("failed to create typed patch object") => rest,
        _ => message,
    }
}

/// Returns the missing right from the API server's message: `leases.coordination.k8s.io "x" is
/// forbidden: User "…" cannot patch resource "leases" in API group "coordination.k8s.io" in the
/// namespace "…"`.
fn missing_right(message: &str) -> Option<String> {
    let (user, rest) = message.split_once("\" cannot ")?;
    let (_, account) = user.rsplit_once([':', '"'])?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, _) = rest.split_once('"')?;
    let dot = if group.is_empty() { "" } else { "." };
    Some(format!("{account} has no right to {verb} {resource}{dot}{group}"))
}

/// Returns an API version that Kubernetes no longer serves, and its replacement for the kind.
fn successor(object: &DynamicObject) -> Option<(String, &'static str)> {
    let version = object.types.as_ref().map(|types| types.api_version.as_str())?;
    let (_, _, successor) = REMOVED.into_iter().find(|(beginning, kind, _)| {
        version.starts_with(beginning) && (kind.is_empty() || *kind == kind_of(object))
    })?;
    Some((format!("{version} {}", kind_of(object)), successor))
}

/// Names the immutable field. The API server prints the whole value between the field and the
/// cause.
fn immutable(message: &str) -> String {
    if message.contains("updates to statefulset spec") {
        return "of a StatefulSet only replicas, ordinals, template, updateStrategy and the like can change, not selector, serviceName or \
                volumeClaimTemplates"
            .to_owned();
    }
    if message.contains("pod updates may not change fields") {
        return "of a Pod only the images can change".to_owned();
    }
    let field = [": Invalid value", ": Forbidden"].iter().find_map(|end| message.split_once(end));
    match field.map(|(field, _)| field.trim_start_matches('[')) {
        Some(field) if !field.contains(' ') => format!("{field} is immutable"),
        _ if message.contains("roleRef") => "roleRef is immutable".to_owned(),
        _ => "a field of it is immutable".to_owned(),
    }
}

fn remedy_for_immutable(object: &DynamicObject) -> String {
    let commit = match (group_of(object), kind_of(object)) {
        ("apps" | "batch", _) => "take what changes with the commit out of it, or ",
        ("", "Pod") => "use a Deployment, or ",
        _ => "",
    };
    format!(
        "{commit}put {{{{ shortSha }}}} into the object's name, or delete the object in the preview's namespace and it is created again"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan_of;
    use super::*;

    fn object(api_version: &str, kind: &str) -> DynamicObject {
        let yaml = format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: web}}}}");
        plan_of(&[&yaml]).unwrap().resources.remove(0)
    }

    fn refused(api_version: &str, kind: &str, code: u16, message: &str) -> String {
        let Mistake { reason, message } = refusal(&object(api_version, kind), code, message);
        format!("{reason}: {message}")
    }

    #[test]
    fn a_namespace_that_is_deleted_is_no_mistake_of_the_object() {
        let terminating = r#"configmaps "web" is forbidden: unable to create new content in namespace a because it is being terminated"#;
        assert!(is_namespace_gone(403, terminating));
        assert!(is_namespace_gone(404, r#"namespaces "a" not found"#));
        assert!(!is_namespace_gone(404, "the server could not find the requested resource"));
        assert!(!is_namespace_gone(403, r#"configmaps "web" is forbidden: User "a" cannot create"#));
    }

    #[test]
    fn what_is_immutable_is_said_first_and_without_its_value() {
        for (api_version, kind, message, wanted) in [
            (
                "apps/v1",
                "Deployment",
                r#"Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"version":"s3cret"}}: field is immutable"#,
                "ApplyRejected: Deployment web: spec.selector is immutable: take what changes with the commit out of it, or put {{ shortSha }} into the object's name",
            ),
            (
                "batch/v1",
                "Job",
                r#"Job.batch "web" is invalid: spec.template: Invalid value: {"spec":"s3cret"}: field is immutable"#,
                "ApplyRejected: Job web: spec.template is immutable: take what changes with the commit out of it, or put {{ shortSha }}",
            ),
            (
                "apps/v1",
                "StatefulSet",
                r#"StatefulSet.apps "web" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden"#,
                "ApplyRejected: StatefulSet web: of a StatefulSet only replicas, ordinals, template, updateStrategy",
            ),
            (
                "v1",
                "PersistentVolumeClaim",
                r#"PersistentVolumeClaim "web" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests"#,
                "ApplyRejected: PersistentVolumeClaim web: spec is immutable: put {{ shortSha }} into the object's name",
            ),
            (
                "v1",
                "Pod",
                r"spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
                "ApplyRejected: Pod web: of a Pod only the images can change: use a Deployment, or put {{ shortSha }}",
            ),
            (
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                r#"RoleBinding.rbac.authorization.k8s.io "web" is invalid: roleRef: Invalid value: {"name":"s3cret"}: cannot change roleRef"#,
                "ApplyRejected: RoleBinding web: roleRef is immutable: ",
            ),
        ] {
            assert!(is_immutable(message), "{message}");
            let said = refused(api_version, kind, 422, message);
            assert!(said.starts_with(wanted) && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn a_refusal_begins_with_the_object_and_the_cause() {
        let said = refused(
            "v1",
            "Service",
            422,
            r#"Service "web" is invalid: spec.ports[0].port: Invalid value: 0"#,
        );
        assert_eq!(said, "ApplyRejected: Service web: spec.ports[0].port: Invalid value: 0: correct it");
        let said = refused(
            "v1",
            "ConfigMap",
            400,
            "failed to create typed patch object (preview/web; v1, Kind=ConfigMap): .data.PORT: expected string",
        );
        assert_eq!(said, "ApplyRejected: ConfigMap web: .data.PORT: expected string: correct it");
    }

    #[test]
    fn a_missing_right_is_named_by_verb_and_resource() {
        let said = refused(
            "coordination.k8s.io/v1",
            "Lease",
            403,
            r#"leases.coordination.k8s.io "web" is forbidden: User "system:serviceaccount:p:matinee-deployer" cannot patch resource "leases" in API group "coordination.k8s.io" in the namespace "p""#,
        );
        assert!(
            said.starts_with("ApplyForbidden: Lease web: matinee-deployer has no right to patch leases.coordination.k8s.io: ask the platform team"),
            "{said}"
        );
        let said =
            refused("v1", "Service", 403, "exceeded quota: matinee, requested: services.loadbalancers=1");
        assert!(said.starts_with("ApplyForbidden: Service web: exceeded quota"), "{said}");
    }

    #[test]
    fn an_api_version_that_kubernetes_dropped_is_named_with_its_successor() {
        let said =
            refused("autoscaling/v2beta2", "HorizontalPodAutoscaler", 404, "the cluster doesn't serve it");
        assert_eq!(
            said,
            "KindMissing: HorizontalPodAutoscaler web: Kubernetes no longer serves autoscaling/v2beta2 HorizontalPodAutoscaler: use autoscaling/v2"
        );
        let said = refused("x.example/v1", "Thing", 404, "the cluster doesn't serve it");
        assert!(said.ends_with("the cluster must serve the kind"), "{said}");
    }

    #[test]
    fn what_the_author_can_correct_comes_first() {
        let of = |code, message| rank(&refusal(&object("x.example/v1", "Thing"), code, message));
        let order = [of(422, "a"), of(403, "exceeded quota"), of(404, "b"), of(403, "no right")];
        assert!(order.is_sorted() && order[0] < order[3], "{order:?}");
    }
}
