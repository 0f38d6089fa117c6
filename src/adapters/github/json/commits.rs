//! Commits, branches, and the files of a pull request.
//!
//! Schemas: <https://docs.github.com/rest/checks/runs>,
//! <https://docs.github.com/rest/commits/statuses>,
//! <https://docs.github.com/rest/branches/branches>,
//! <https://docs.github.com/rest/pulls/pulls#list-pull-requests-files>.

use std::collections::HashMap;

use serde::Deserialize;

use super::{IdJson, or_default};
use crate::core::forge::{Branch, Check, CheckState};

/// A page of a commit's check runs in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckRunsJson {
    check_runs: Vec<CheckRunJson>,
}

#[derive(Clone, Debug, Deserialize)]
struct CheckRunJson {
    id: i64,
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    app: Option<IdJson>,
    #[serde(default)]
    check_suite: Option<IdJson>,
}

/// A page of a commit's combined status in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct CombinedStatusJson {
    statuses: Vec<CommitStatusJson>,
}

#[derive(Clone, Debug, Deserialize)]
struct CommitStatusJson {
    id: i64,
    context: String,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
}

/// A check with its id and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCheck {
    /// The id, which only grows.
    pub id: i64,
    key: CheckKey,
    check: Check,
}

/// Identity of a check across its runs: of several runs with the same key only the newest counts.
///
/// Each workflow run has a check suite of its own. So two workflows with a job of the same name, or
/// one workflow that two events start, are two checks: the success of one says nothing about the
/// other. A re-run keeps the workflow run (`github.run_id` does not change, `github.run_attempt`
/// does) and with it the `check_suite_id`, so it replaces the run that it repeats. Any other App
/// has one suite for each commit.
///
/// <https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run>,
/// <https://docs.github.com/actions/reference/workflows-and-actions/contexts#github-context>,
/// <https://docs.github.com/rest/guides/using-the-rest-api-to-interact-with-checks#about-check-suites>
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CheckKey {
    app: Option<i64>,
    suite: Option<i64>,
    name: String,
}

impl From<CheckRunJson> for ListedCheck {
    fn from(json: CheckRunJson) -> Self {
        let state = match (json.status.as_str(), json.conclusion) {
            ("completed", Some(conclusion)) => match conclusion.as_str() {
                "success" | "neutral" | "skipped" => CheckState::Passed,
                _ => CheckState::Failed(conclusion),
            },
            // A completed check without a conclusion counts as failed.
            ("completed", None) => CheckState::Failed(json.status),
            _ => CheckState::Pending,
        };
        let key = CheckKey {
            app: json.app.map(|app| app.id),
            suite: json.check_suite.map(|suite| suite.id),
            name: json.name.clone(),
        };
        Self { id: json.id, key, check: Check { name: json.name, state } }
    }
}

impl From<CommitStatusJson> for ListedCheck {
    fn from(json: CommitStatusJson) -> Self {
        let state = match json.state.as_str() {
            "success" => CheckState::Passed,
            "pending" => CheckState::Pending,
            _ => CheckState::Failed(json.state),
        };
        let key = CheckKey { app: None, suite: None, name: json.context.to_lowercase() };
        Self { id: json.id, key, check: Check { name: json.context, state } }
    }
}

impl From<CheckRunsJson> for Vec<ListedCheck> {
    fn from(json: CheckRunsJson) -> Self {
        json.check_runs.into_iter().map(Into::into).collect()
    }
}

impl From<CombinedStatusJson> for Vec<ListedCheck> {
    fn from(json: CombinedStatusJson) -> Self {
        json.statuses.into_iter().map(Into::into).collect()
    }
}

/// Returns the newest run of each check, in the order of the list. The list must have either check
/// runs or commit statuses.
pub fn newest(checks: &[ListedCheck]) -> impl Iterator<Item = Check> {
    let mut newest: HashMap<&CheckKey, i64> = HashMap::new();
    for check in checks {
        let id = newest.entry(&check.key).or_insert(check.id);
        *id = check.id.max(*id);
    }
    checks
        .iter()
        .filter(move |check| newest.get(&check.key) == Some(&check.id))
        .map(|check| check.check.clone())
}

/// A branch in GitHub's JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct BranchJson {
    name: String,
    commit: ShaJson,
}

#[derive(Clone, Debug, Deserialize)]
struct ShaJson {
    sha: String,
}

impl From<BranchJson> for Branch {
    fn from(json: BranchJson) -> Self {
        Self { name: json.name, sha: json.commit.sha }
    }
}

/// A commit of a pull request in GitHub's JSON, of which only the SHA is read.
#[derive(Clone, Debug, Deserialize)]
pub struct CommitJson(ShaJson);

impl From<CommitJson> for String {
    fn from(json: CommitJson) -> Self {
        json.0.sha
    }
}

/// A file that a pull request changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ChangedFile {
    /// Path of the file.
    pub filename: String,
    /// Previous path of a renamed file.
    #[serde(default)]
    pub previous_filename: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn runs(runs: &Value) -> Vec<ListedCheck> {
        serde_json::from_value::<CheckRunsJson>(json!({"total_count": 1, "check_runs": runs})).unwrap().into()
    }

    fn state(status: &str, conclusion: Option<&str>) -> CheckState {
        let run = json!([{"id": 1, "name": "build", "status": status, "conclusion": conclusion}]);
        newest(&runs(&run)).next().unwrap().state
    }

    #[test]
    fn a_run_has_passed_only_when_github_says_so() {
        for conclusion in ["success", "neutral", "skipped"] {
            assert_eq!(state("completed", Some(conclusion)), CheckState::Passed);
        }
        for conclusion in [
            "failure",
            "cancelled",
            "timed_out",
            "action_required",
            "stale",
            "startup_failure",
            "something of tomorrow",
        ] {
            assert_eq!(state("completed", Some(conclusion)), CheckState::Failed(conclusion.into()));
        }
        assert_eq!(state("completed", None), CheckState::Failed("completed".into()));
        for status in ["queued", "in_progress", "waiting", "requested", "pending", "of tomorrow", ""] {
            assert_eq!(state(status, None), CheckState::Pending);
        }
        // A check that runs again may still have its previous conclusion.
        assert_eq!(state("in_progress", Some("success")), CheckState::Pending);
    }

    #[test]
    fn of_each_app_the_newest_run_of_a_name_counts() {
        let run = |id: i64, name: &str, app: i64, conclusion: &str| json!({"id": id, "name": name, "status": "completed", "conclusion": conclusion, "app": {"id": app}});
        let runs = runs(&json!([
            run(3, "build", 1, "failure"),
            run(7, "build", 1, "success"),
            run(5, "build", 2, "timed_out"),
            run(4, "Build", 1, "cancelled"),
            {"id": 9, "name": "lint", "status": null, "app": null},
        ]));
        let read: Vec<(String, CheckState)> = newest(&runs).map(|check| (check.name, check.state)).collect();
        let failed = |word: &str| CheckState::Failed(word.into());
        assert_eq!(
            read,
            [
                ("build".into(), CheckState::Passed),
                ("build".into(), failed("timed_out")),
                ("Build".into(), failed("cancelled")),
                ("lint".into(), CheckState::Pending),
            ]
        );
    }

    #[test]
    fn newer_check_run_does_not_hide_failure_of_another_suite() {
        let run = |id: i64, suite: i64, conclusion: &str| {
            json!({"id": id, "name": "test", "status": "completed", "conclusion": conclusion,
                "app": {"id": 15_368}, "check_suite": {"id": suite}})
        };
        let states =
            |listed: Value| -> Vec<CheckState> { newest(&runs(&listed)).map(|check| check.state).collect() };
        let failed = CheckState::Failed("failure".into());
        let two_workflows = json!([run(10, 1, "failure"), run(12, 2, "success")]);
        assert_eq!(states(two_workflows), [failed.clone(), CheckState::Passed]);
        let run_again = json!([run(10, 1, "failure"), run(12, 2, "success"), run(14, 1, "success")]);
        assert_eq!(states(run_again), [CheckState::Passed, CheckState::Passed]);
        assert_eq!(states(json!([run(14, 1, "failure"), run(10, 1, "success")])), [failed]);
    }

    #[test]
    fn contexts_ignore_case_and_the_newest_counts() {
        let statuses = json!({"state": "failure", "statuses": [
            {"id": 1, "context": "CI/Build", "state": "failure"}, {"id": 3, "context": "ci/build", "state": "success"},
            {"id": 2, "context": "lint", "state": "error"}, {"id": 4, "context": "e2e", "state": "pending"},
        ]});
        let statuses: Vec<ListedCheck> =
            serde_json::from_value::<CombinedStatusJson>(statuses).unwrap().into();
        let read: Vec<(String, CheckState)> =
            newest(&statuses).map(|check| (check.name, check.state)).collect();
        assert_eq!(
            read,
            [
                ("ci/build".into(), CheckState::Passed),
                ("lint".into(), CheckState::Failed("error".into())),
                ("e2e".into(), CheckState::Pending),
            ]
        );
    }
}
