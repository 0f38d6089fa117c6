//! The `IngressClass` of a class: whether it exists.

use k8s_openapi::api::networking::v1::IngressClass;
use kube::ResourceExt as _;

use super::{Finding, Unread, some_of};
use crate::api::IngressRouting;

/// Annotation of the default `IngressClass`.
/// <https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class>
const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// Checks that the cluster has the `IngressClass` that a class names, or a default one.
pub fn check(routing: &IngressRouting, classes: &Result<Vec<IngressClass>, Unread>) -> Finding {
    let classes = match classes {
        Err(unread) => return unread.finding("IngressClass"),
        Ok(classes) => classes,
    };
    let names: Vec<String> = classes.iter().map(kube::ResourceExt::name_any).collect();
    let known = if names.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there is {}", some_of(&names, 5))
    };
    if let Some(name) = &routing.class_name {
        let what = format!("IngressClass {name}");
        return if names.contains(name) {
            Finding::ok(what, "it is there")
        } else {
            Finding::problem(
                what,
                format!("it isn't there ({known})"),
                "correct spec.routing.ingress.className, or install its ingress controller",
            )
        };
    }
    let default =
        classes.iter().find(|one| one.annotations().get(DEFAULT).is_some_and(|value| value == "true"));
    match default {
        Some(class) => Finding::ok("IngressClass", format!("the cluster's default is {}", class.name_any())),
        None => Finding::problem(
            "IngressClass",
            format!("spec.routing.ingress.className isn't set, and the cluster has no default ({known})"),
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
    fn the_class_or_a_default_must_be_there() {
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
        assert!(wrong.message.contains("there is traefik") && wrong.remedy.unwrap().contains("className"));
        assert_eq!(check(&named, &Err(Unread::Forbidden)).verdict, Verdict::Skipped);
    }
}
