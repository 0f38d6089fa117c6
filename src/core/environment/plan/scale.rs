//! `spec.replicas` of objects that something else scales. An autoscaler and Matinee would otherwise
//! overwrite each other's number forever.
//!
//! - An object that a `HorizontalPodAutoscaler` or a `ScaledObject` (KEDA) of the template targets
//!   starts with the template's number; afterwards the autoscaler sets the number.
//! - An object that a client scaled through the subresource `scale`, as `kubectl scale` does, keeps
//!   that number until the object's content changes.
//! - Any other change of the number is drift.

use std::borrow::Cow;
use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::Value;

use super::drift::scaled_by;
use super::object::{group_of, kind_of, unchanged};

/// Kinds and names of the objects that autoscalers target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autoscaled(BTreeSet<(String, String)>);

impl Autoscaled {
    /// Collects the targets of the autoscalers among these objects.
    pub fn by(resources: &[DynamicObject]) -> Self {
        let targets = resources.iter().filter_map(|object| {
            let default = match (group_of(object), kind_of(object)) {
                ("autoscaling", "HorizontalPodAutoscaler") => "",
                // https://keda.sh/docs/latest/reference/scaledobject-spec/#scaletargetref
                ("keda.sh", "ScaledObject") => "Deployment",
                _ => return None,
            };
            let target = object.data.pointer("/spec/scaleTargetRef")?;
            let kind = target.get("kind").and_then(Value::as_str).unwrap_or(default);
            Some((kind.to_owned(), target.get("name")?.as_str()?.to_owned()))
        });
        Self(targets.collect())
    }

    fn has(&self, object: &DynamicObject) -> bool {
        let name = object.metadata.name.clone().unwrap_or_default();
        self.0.contains(&(kind_of(object).to_owned(), name))
    }
}

/// Returns the object to apply, without `spec.replicas` if something else scales it. A field that
/// is left out keeps its value only while another manager owns it. If none does, the object has the
/// present number, because leaving the field out would reset it to 1.
pub fn leave_to_scaler<'p>(
    planned: &'p DynamicObject,
    live: Option<&DynamicObject>,
    autoscaled: &Autoscaled,
) -> Cow<'p, DynamicObject> {
    let (Some(live), Some(_)) = (live, replicas(planned)) else { return Cow::Borrowed(planned) };
    let autoscaled = autoscaled.has(planned);
    let scaled = scaled_by(live).is_some();
    let mut left = planned.clone();
    let Some(spec) = left.data.get_mut("spec").and_then(Value::as_object_mut) else {
        return Cow::Borrowed(planned);
    };
    if scaled && (autoscaled || unchanged(planned, live)) {
        spec.remove("replicas");
    } else if autoscaled && let Some(present) = replicas(live) {
        spec.insert("replicas".to_owned(), present.into());
    } else {
        return Cow::Borrowed(planned);
    }
    Cow::Owned(left)
}

/// Returns `spec.replicas` of an object.
pub(super) fn replicas(object: &DynamicObject) -> Option<i64> {
    object.data.pointer("/spec/replicas")?.as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::drift;
    use super::super::tests::plan_of;
    use super::*;

    const HPA: &str = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}";
    const SCALED_OBJECT: &str = "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: web}, spec: {scaleTargetRef: {name: web}}}";

    /// Returns the Deployment with its replicas, and the targets of the autoscalers beside it.
    fn planned(replicas: i64, others: &[&str]) -> (DynamicObject, Autoscaled) {
        let web = format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}}}}}"
        );
        let all: Vec<&str> = std::iter::once(web.as_str()).chain(others.iter().copied()).collect();
        let resources = plan_of(&all).unwrap().resources;
        let autoscaled = Autoscaled::by(&resources);
        (resources.into_iter().find(|object| kind_of(object) == "Deployment").unwrap(), autoscaled)
    }

    /// Returns the object in the cluster with another number, set through the subresource `scale`
    /// if `scaled`.
    fn live(of: &DynamicObject, replicas: i64, scaled: bool) -> DynamicObject {
        let mut live = of.clone();
        live.data["spec"]["replicas"] = replicas.into();
        if scaled {
            live.metadata.managed_fields = serde_json::from_value(json!([
                {"manager": "x", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
            ]))
            .unwrap();
        }
        drift::mark(&mut live);
        live
    }

    fn applied(
        planned: &DynamicObject,
        live: Option<&DynamicObject>,
        autoscaled: &Autoscaled,
    ) -> Option<i64> {
        replicas(&leave_to_scaler(planned, live, autoscaled))
    }

    #[test]
    fn an_autoscaler_of_the_template_has_the_replicas() {
        for autoscaler in [HPA, SCALED_OBJECT] {
            let (web, autoscaled) = planned(1, &[autoscaler]);
            assert_eq!(applied(&web, None, &autoscaled), Some(1), "it begins with the template's number");
            assert_eq!(applied(&web, Some(&live(&web, 3, true)), &autoscaled), None);
            let (next, autoscaled) = planned(2, &[autoscaler]);
            assert_eq!(applied(&next, Some(&live(&web, 3, true)), &autoscaled), None, "the next revision");
            assert_eq!(
                applied(&next, Some(&live(&web, 3, false)), &autoscaled),
                Some(3),
                "no apply resets it"
            );
        }
    }

    #[test]
    fn what_was_scaled_by_hand_stays_until_the_content_changes() {
        let (web, none) = planned(1, &[]);
        assert_eq!(none, Autoscaled::default());
        assert_eq!(applied(&web, Some(&live(&web, 0, true)), &none), None);
        let (next, none) = planned(2, &[]);
        assert_eq!(applied(&next, Some(&live(&web, 0, true)), &none), Some(2));
    }

    #[test]
    fn replicas_that_nobody_scales_are_the_templates() {
        let (web, none) = planned(1, &[]);
        assert_eq!(applied(&web, Some(&live(&web, 3, false)), &none), Some(1));
        let other = HPA.replace("name: web}}", "name: worker}}");
        let (web, autoscaled) = planned(1, &[&other]);
        assert_eq!(applied(&web, Some(&live(&web, 3, false)), &autoscaled), Some(1));
    }
}
