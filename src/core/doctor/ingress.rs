//! The `IngressClass` of a class: whether it exists.

use k8s_openapi::api::networking::v1::IngressClass;
use kube::ResourceExt as _;

use super::{Finding, Subject, Unread, some_of};
use crate::api::IngressRouting;

/// Annotation of the default `IngressClass`.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class>
const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// Checks that the cluster has the `IngressClass` that a class names, or a default one.
pub fn check(routing: &IngressRouting, classes: &Result<Vec<IngressClass>, Unread>) -> Finding {
    let subject = Subject::new("IngressClass");
    let classes = match classes {
        Err(unread) => return subject.unread(unread),
        Ok(classes) => classes,
    };
    let names: Vec<String> = classes.iter().map(kube::ResourceExt::name_any).collect();
    let existing = if names.is_empty() { "none".to_owned() } else { some_of(&names, 5) };
    if let Some(name) = &routing.class_name {
        let subject = Subject::new(format!("IngressClass {name}"));
        return if names.contains(name) {
            subject.ok("found")
        } else {
            subject.problem(
                format!("not found (existing: {existing})"),
                "correct spec.routing.ingress.className, or install its ingress controller",
            )
        };
    }
    let is_default =
        |one: &&IngressClass| one.annotations().get(DEFAULT).is_some_and(|value| value == "true");
    match classes.iter().find(is_default) {
        Some(class) => subject.ok(format!("the cluster's default is {}", class.name_any())),
        None => subject.problem(
            format!("the cluster has no default (existing: {existing}), and spec.routing.ingress.className isn't set"),
            "set spec.routing.ingress.className",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn class(name: &str, default: bool) -> IngressClass {
        let mut class = IngressClass::default();
        class.metadata.name = Some(name.to_owned());
        if default {
            class.annotations_mut().insert(DEFAULT.to_owned(), "true".to_owned());
        }
        class
    }

    #[test]
    fn the_named_class_or_a_default_must_exist() {
        let routing = |text| serde_json::from_str::<IngressRouting>(text).unwrap();
        let (named, unnamed) = (routing(r#"{"className": "nginx"}"#), routing("{}"));
        let (nginx, traefik) = (class("nginx", false), class("traefik", true));
        for (routing, classes, verdict) in [
            (&named, vec![nginx.clone()], Verdict::Ok),
            (&named, vec![traefik.clone()], Verdict::Problem),
            (&named, vec![], Verdict::Problem),
            (&unnamed, vec![nginx.clone(), traefik.clone()], Verdict::Ok),
            (&unnamed, vec![nginx], Verdict::Problem),
        ] {
            let finding = check(routing, &Ok(classes));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.remedy.is_some(), verdict == Verdict::Problem);
        }
        let wrong = check(&named, &Ok(vec![traefik]));
        assert!(wrong.message.contains("existing: traefik") && wrong.remedy.unwrap().contains("className"));
        assert_eq!(check(&named, &Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }
}
