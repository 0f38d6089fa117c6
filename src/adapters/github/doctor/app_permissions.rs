//! The permissions and events that a GitHub App needs for the features in use by
//! PreviewRepositories and classes.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;

use super::connection::Registration;
use crate::adapters::github::permissions::{EVENTS, Feature, Level, PERMISSIONS, Permission};
use crate::api::{PreviewClass, PreviewRepository, RepositoryEnvironment};
use crate::core::doctor::{Finding, Subject, some_of};

/// Most users of a feature that a finding names.
const NAMED: usize = 3;

/// Permissions as GitHub returns them, each `read`, `write` or `admin`.
pub type Permissions = BTreeMap<String, String>;

/// The objects that use each feature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses(BTreeMap<Feature, BTreeSet<String>>);

impl Uses {
    /// Collects the features in use by these PreviewRepositories and classes.
    pub fn of(repositories: &[PreviewRepository], classes: &[PreviewClass]) -> Self {
        let mut uses = Self::default();
        for repository in repositories {
            let name = format!(
                "PreviewRepository {}/{}",
                repository.namespace().unwrap_or_default(),
                repository.name_any()
            );
            let all = repository.spec.environments.iter().flat_map(features);
            for (feature, _) in all.filter(|(_, is_used)| *is_used) {
                uses.add(feature, &name);
            }
            if !repository.spec.locks.is_empty() {
                uses.add(Feature::Gates, &name);
            }
        }
        for class in classes.iter().filter(|class| class.spec.slack.is_some()) {
            uses.add(Feature::Slack, &format!("PreviewClass {}", class.name_any()));
        }
        uses
    }

    fn add(&mut self, feature: Feature, user: &str) {
        self.0.entry(feature).or_default().insert(user.to_owned());
    }

    /// Names the users of these features in a message; `None` when nobody uses them.
    fn who(&self, features: &[Feature]) -> Option<String> {
        if features.contains(&Feature::Everything) {
            return Some(Feature::Everything.name().to_owned());
        }
        let used: Vec<String> = features
            .iter()
            .filter_map(|feature| {
                Some(format!("{} of {}", feature.name(), some_of(self.0.get(feature)?, NAMED)))
            })
            .collect();
        (!used.is_empty()).then(|| used.join(" and "))
    }
}

/// Returns whether an environment uses each feature.
fn features(entry: &RepositoryEnvironment) -> [(Feature, bool); 6] {
    let (trigger, gates) = (entry.trigger.as_ref(), entry.gates.as_ref());
    let is_after_another = gates.is_some_and(|gates| !gates.after.is_empty())
        || trigger.is_some_and(|trigger| trigger.deployment_status.is_some());
    [
        (Feature::Previews, trigger.is_some_and(|trigger| trigger.pull_request.is_some())),
        (Feature::Push, trigger.is_some_and(|trigger| trigger.push.is_some())),
        (Feature::Chain, is_after_another || entry.deploy.is_none()),
        (Feature::Checks, gates.is_some_and(|gates| !gates.checks.is_empty())),
        (Feature::Image, gates.is_some_and(|gates| gates.image.is_some())),
        (Feature::Gates, gates.is_some()),
    ]
}

pub(super) fn granted(permissions: &Permissions, word: &str) -> Option<Level> {
    permissions.get(word).and_then(|level| Level::of(level))
}

/// Lists the permissions whose level is above a limit.
pub(super) fn above(permissions: &Permissions, limit: impl Fn(&str) -> Option<Level>) -> Vec<String> {
    let above = permissions.iter().filter(|(word, level)| Level::of(level) > limit(word));
    above.map(|(word, level)| format!("{word}: {level}")).collect()
}

/// Whether any needed permission is missing.
pub(super) fn are_insufficient(permissions: &Permissions, uses: &Uses) -> bool {
    let needed = PERMISSIONS.iter().filter(|row| uses.who(row.features).is_some());
    needed.map(|row| (row, granted(permissions, row.word))).any(|(row, level)| level < Some(row.level))
}

/// Checks an App's permissions: a problem for each missing one that is needed, and a warning about
/// those that nothing needs.
pub fn permissions(app: &Registration, uses: &Uses) -> Vec<Finding> {
    let (subject, settings, permissions) = (Subject::new("permissions"), app.settings(), &app.permissions);
    let receives_commands = app.events.iter().any(|event| event == "issue_comment");
    let mut findings = Vec::new();
    for Permission { word, title, level, features, .. } in PERMISSIONS {
        if granted(permissions, word) >= Some(level) {
            continue;
        }
        let grant = format!("{title}: {}", level.as_str());
        let remedy = format!(
            "set \"{grant}\" under {settings}/permissions, and accept the change where the App is installed"
        );
        if let Some(who) = uses.who(features) {
            findings.push(subject.problem(format!("the App lacks {grant}, needed for {who}"), remedy));
        } else if features.contains(&Feature::Commands) && receives_commands {
            let message = format!("the App lacks {grant}, so Matinee can't answer commands in comments");
            findings.push(subject.warning(message, remedy));
        }
    }
    if findings.is_empty() {
        findings.push(subject.ok("the App has all needed permissions"));
    }
    let most = |word: &str| PERMISSIONS.iter().filter(|row| row.word == word).map(|row| row.level).max();
    let excess = above(permissions, most);
    if !excess.is_empty() {
        findings.push(subject.warning(
            format!("Matinee doesn't need {}", excess.join(", ")),
            format!("remove them under {settings}/permissions"),
        ));
    }
    findings
}

/// Checks the events that an App with a webhook is subscribed to. Without an event, only the sweep
/// finds the change.
pub fn events(app: &Registration, uses: &Uses) -> Vec<Finding> {
    let (subject, settings) = (Subject::new("events"), app.settings());
    let missing = EVENTS.iter().filter(|row| !app.events.iter().any(|event| event == row.word));
    let mut findings: Vec<Finding> = missing
        .filter_map(|row| {
            let (title, who) = (row.title, uses.who(row.features)?);
            Some(subject.warning(
                format!("the App isn't subscribed to \"{title}\", needed for {who}: only the sweep finds them, later"),
                format!("subscribe to \"{title}\" under {settings}/permissions"),
            ))
        })
        .collect();
    if findings.is_empty() {
        findings.push(subject.ok("the App is subscribed to all needed events"));
    }
    findings
}

#[cfg(test)]
#[path = "app_permissions_tests.rs"]
pub(super) mod tests;
