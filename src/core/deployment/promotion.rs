//! The promotion chain of a PreviewRepository: which environment follows which, by the trigger
//! `deploymentStatus` and the gate `after`.

use std::collections::VecDeque;

use kube::ResourceExt as _;

use crate::api::{PreviewRepository, RepositoryEnvironment};
use crate::core::mistake::{Mistake, Reason};

/// Checks that the PreviewRepository has every environment that another one follows, and that no
/// environment follows itself directly or through others.
///
/// # Errors
/// `ChainBroken`, `ChainLoop`.
pub fn check(repository: &PreviewRepository) -> Result<(), Mistake> {
    let environments = &repository.spec.environments;
    for environment in environments {
        let missing = follows(environment)
            .find(|(_, wanted)| !environments.iter().any(|environment| environment.name == *wanted));
        if let Some((field, wanted)) = missing {
            return Err(Mistake {
                reason: Reason::ChainBroken,
                message: format!(
                    "{}: spec.environments[{}].{field}: there is no environment {wanted} in spec.environments: correct the name, or add it",
                    of(repository),
                    environment.name
                ),
            });
        }
    }
    match environments.iter().find_map(|environment| loop_from(&environment.name, environments)) {
        None => Ok(()),
        Some(names) => Err(Mistake {
            reason: Reason::ChainLoop,
            message: format!(
                "{}: spec.environments: trigger.deploymentStatus and gates.after lead back to where they begin: {}: take one of these out of \
                 the trigger or gate of the next",
                of(repository),
                names.join(" -> ")
            ),
        }),
    }
}

/// Returns the environments that this one follows, each with the field that names it.
fn follows(environment: &RepositoryEnvironment) -> impl Iterator<Item = (&'static str, &str)> {
    let trigger = environment.trigger.as_ref().and_then(|trigger| trigger.deployment_status.as_ref());
    let triggered =
        trigger.map(|trigger| ("trigger.deploymentStatus.environment", trigger.environment.as_str()));
    let after = environment.gates.iter().flat_map(|gates| &gates.after);
    triggered.into_iter().chain(after.map(|name| ("gates.after", name.as_str())))
}

/// Returns the shortest path from an environment back to itself, with the environment at both ends.
fn loop_from<'a>(start: &'a str, environments: &'a [RepositoryEnvironment]) -> Option<Vec<&'a str>> {
    // Each reached environment, with the index in this list of the one that it was reached from.
    let mut reached: Vec<(&str, usize)> = vec![(start, 0)];
    let mut next = VecDeque::from([0]);
    while let Some(from) = next.pop_front() {
        let name = reached[from].0;
        for environment in
            environments.iter().filter(|environment| follows(environment).any(|(_, wanted)| wanted == name))
        {
            if environment.name == start {
                let mut names = vec![start];
                let mut place = from;
                while place != 0 {
                    names.push(reached[place].0);
                    place = reached[place].1;
                }
                names.push(start);
                names.reverse();
                return Some(names);
            }
            if !reached.iter().any(|(known, _)| *known == environment.name) {
                reached.push((&environment.name, from));
                next.push_back(reached.len() - 1);
            }
        }
    }
    None
}

fn of(repository: &PreviewRepository) -> String {
    format!("PreviewRepository {}/{}", repository.namespace().unwrap_or_default(), repository.name_any())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Returns a PreviewRepository with entries of name, trigger and `after`.
    fn repository(entries: &[(&str, Option<&str>, &[&str])]) -> PreviewRepository {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(name, trigger, after)| {
                let mut entry = json!({"name": name, "gates": {"after": after}});
                if let Some(environment) = trigger {
                    entry["trigger"] = json!({"deploymentStatus": {"environment": environment}});
                }
                entry
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "matinee.dev/v1alpha1", "kind": "PreviewRepository",
            "metadata": {"name": "shop", "namespace": "team"},
            "spec": {"repository": "acme/shop", "className": "standard", "environments": entries},
        }))
        .unwrap()
    }

    fn mistake(entries: &[(&str, Option<&str>, &[&str])]) -> Mistake {
        check(&repository(entries)).unwrap_err()
    }

    #[test]
    fn a_chain_with_an_end_is_sound() {
        assert_eq!(check(&repository(&[("preview", None, &[])])), Ok(()));
        let entries = [
            ("production", Some("staging"), &["staging", "canary"][..]),
            ("staging", Some("test"), &[]),
            ("canary", Some("test"), &[]),
            ("test", None, &[]),
        ];
        assert_eq!(check(&repository(&entries)), Ok(()));
    }

    #[test]
    fn a_loop_is_told_by_name() {
        let two = [("staging", Some("production"), &[][..]), ("production", Some("staging"), &[])];
        let found = mistake(&two);
        assert_eq!(found.reason, "ChainLoop");
        assert!(found.message.contains(": staging -> production -> staging:"), "{}", found.message);
        assert!(
            found.message.starts_with("PreviewRepository team/shop: spec.environments"),
            "{}",
            found.message
        );

        let itself = mistake(&[("staging", Some("staging"), &[])]);
        assert!(itself.message.contains(": staging -> staging:"), "{}", itself.message);
        let after_itself = mistake(&[("staging", None, &["staging"])]);
        assert!(after_itself.message.contains(": staging -> staging:"), "{}", after_itself.message);

        // A loop of a trigger and a gate, with an environment outside of the loop that leads into
        // it.
        let mixed = mistake(&[
            ("test", None, &[]),
            ("staging", Some("test"), &["production"]),
            ("canary", Some("staging"), &[]),
            ("production", None, &["canary"]),
        ]);
        assert_eq!(mixed.reason, "ChainLoop");
        assert!(mixed.message.contains(": staging -> canary -> production -> staging:"), "{}", mixed.message);
    }

    #[test]
    fn a_link_to_nowhere_is_told_by_field() {
        let trigger = mistake(&[("production", Some("staging"), &[])]);
        assert_eq!(trigger.reason, "ChainBroken");
        for part in
            ["spec.environments[production].trigger.deploymentStatus.environment", "no environment staging"]
        {
            assert!(trigger.message.contains(part), "{}", trigger.message);
        }
        let gate = mistake(&[("production", None, &["staging"])]);
        assert_eq!(gate.reason, "ChainBroken");
        assert!(gate.message.contains("spec.environments[production].gates.after"), "{}", gate.message);
    }

    proptest! {
        /// When every entry follows only earlier entries there is no loop, in whatever order they
        /// are listed. One link back makes a loop.
        #[test]
        fn only_a_way_back_is_a_loop(
            links in prop::collection::vec((1_usize..20, any::<prop::sample::Index>()), 0..30),
            order in Just((0_usize..20).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let names: Vec<String> = (0..20).map(|number| format!("e{number}")).collect();
            let mut after: Vec<Vec<&str>> = vec![Vec::new(); 20];
            for (from, to) in &links {
                after[*from].push(&names[to.index(*from)]);
            }
            let entries = |after: &[Vec<&str>]| {
                let listed = order.iter().map(|place| (names[*place].as_str(), None, after[*place].as_slice()));
                check(&repository(&listed.collect::<Vec<_>>()))
            };
            prop_assert_eq!(entries(&after), Ok(()));
            if let Some((from, to)) = links.first() {
                after[to.index(*from)].push(&names[*from]);
                prop_assert_eq!(entries(&after).unwrap_err().reason, Reason::ChainLoop);
            }
        }
    }
}
