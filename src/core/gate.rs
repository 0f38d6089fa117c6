//! May this pull request have this environment? Asked before a deployment is requested, and again before one is carried out, since
//! anybody who may create deployments can ask for one.

use super::forge::PullRequest;
use super::glob;
use super::target::Mistake;
use crate::api::{
    ClassPullRequests, Permission, PullRequestSource, PullRequestTrigger, Reaction, RepositoryEnvironment,
};

/// What becomes of a pull request's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may have it.
    Allowed,
    /// Not as things stand; a change on GitHub or to the configuration may allow it.
    Refused(Mistake),
    /// The commit is not the head any more: a newer request takes over.
    Superseded {
        /// The head now.
        head: String,
    },
    /// The pull request is closed, or its labels or base branch don't select it any more: what was made for it goes.
    Over {
        /// CamelCase.
        reason: &'static str,
        /// For people.
        message: String,
    },
}

/// Judges a pull request, as just read from GitHub, for an environment and a commit. `triggered`: the trigger asked for the deployment, so its
/// labels and base branches have to select the pull request still; somebody who creates a deployment by hand needs no label.
pub fn judge(
    class: &ClassPullRequests,
    class_name: &str,
    environment: &RepositoryEnvironment,
    pull_request: &PullRequest,
    sha: &str,
    triggered: bool,
) -> Verdict {
    if !pull_request.open {
        let message = format!("pull request {} is closed", pull_request.number);
        return Verdict::Over { reason: "PullRequestClosed", message };
    }
    let trigger = environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref());
    if triggered
        && let Some(trigger) = trigger
        && let Err(reason) = selects(trigger, pull_request)
    {
        let message =
            format!("pull request {} has no environment {}: {reason}", pull_request.number, environment.name);
        return Verdict::Over { reason: "NotSelected", message };
    }
    if pull_request.head_sha != sha {
        return Verdict::Superseded { head: pull_request.head_sha.clone() };
    }
    let source = source(pull_request);
    match kind_allowed(class, class_name, environment, &source) {
        Ok(()) => Verdict::Allowed,
        Err(mistake) => Verdict::Refused(mistake),
    }
}

/// Whether the trigger's labels and base branches select the pull request; if not, why.
pub fn selects(trigger: &PullRequestTrigger, pull_request: &PullRequest) -> Result<(), String> {
    if !trigger.labels.is_empty()
        && !pull_request
            .labels
            .iter()
            .any(|label| trigger.labels.iter().any(|wanted| wanted.eq_ignore_ascii_case(label)))
    {
        return Err(format!("it bears none of the labels {}", trigger.labels.join(", ")));
    }
    if !trigger.base_branches.is_empty()
        && !trigger.base_branches.iter().any(|pattern| glob::matches(pattern, &pull_request.base_branch))
    {
        return Err(format!(
            "its base branch {} matches none of {}",
            pull_request.base_branch,
            trigger.base_branches.join(", ")
        ));
    }
    Ok(())
}

/// Whether the trigger's paths select a pull request that changes these files; if not, why.
pub fn selects_files(trigger: &PullRequestTrigger, files: &[String]) -> Result<(), String> {
    let selected = |file: &String| trigger.paths.iter().any(|pattern| glob::matches(pattern, file));
    if trigger.paths.is_empty() || files.iter().any(selected) {
        return Ok(());
    }
    Err(format!("none of the files that it changes matches one of {}", trigger.paths.join(", ")))
}

/// What a [`PreviewEnvironment`](crate::api::PreviewEnvironment) records of a pull request; cut to the lengths that the schema allows.
pub fn source(pull_request: &PullRequest) -> PullRequestSource {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    PullRequestSource {
        number: pull_request.number,
        branch: cut(&pull_request.head_branch, 255),
        author: cut(&pull_request.author, 100),
        labels: pull_request.labels.iter().take(100).map(|label| cut(label, 100)).collect(),
        fork: pull_request.is_fork(),
        draft: pull_request.draft,
        bot: pull_request.bot,
    }
}

/// Forks, drafts and bots have environments only where the Repository asks for it and the class allows it.
fn kind_allowed(
    class: &ClassPullRequests,
    class_name: &str,
    environment: &RepositoryEnvironment,
    pull_request: &PullRequestSource,
) -> Result<(), Mistake> {
    let silent = PullRequestTrigger::default();
    let trigger =
        environment.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref()).unwrap_or(&silent);
    let kinds = [
        (
            pull_request.fork,
            class.forks,
            trigger.forks,
            "ForkNotAllowed",
            "its head is in another repository (a fork)",
            "forks",
        ),
        (pull_request.draft, class.drafts, trigger.drafts, "DraftNotAllowed", "it is a draft", "drafts"),
        (pull_request.bot, class.bots, trigger.bots, "BotNotAllowed", "a bot opened it", "bots"),
    ];
    for (applies, permission, reaction, reason, why, field) in kinds {
        if !applies {
            continue;
        }
        let missing = match (permission, reaction) {
            (Permission::Allow, Reaction::Deploy) => continue,
            (Permission::Deny, Reaction::Deploy) => {
                format!("PreviewClass {class_name} denies spec.pullRequests.{field}")
            }
            (Permission::Allow, Reaction::Ignore) => {
                format!(
                    "the Repository's spec.environments[{}].trigger.pullRequest.{field} is Ignore",
                    environment.name
                )
            }
            (Permission::Deny, Reaction::Ignore) => format!(
                "the Repository's spec.environments[{}].trigger.pullRequest.{field} is Ignore and PreviewClass {class_name} denies \
                 spec.pullRequests.{field}",
                environment.name
            ),
        };
        return Err(Mistake {
            reason,
            message: format!(
                "pull request {} has no environment {}: {why}, and {missing}",
                pull_request.number, environment.name
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Commands, Trigger};

    const HEAD: &str = "1111111111111111111111111111111111111111";

    fn pull_request() -> PullRequest {
        PullRequest {
            number: 7,
            open: true,
            head_sha: HEAD.into(),
            head_branch: "topic".into(),
            head_repository_id: Some(100),
            base_repository_id: 100,
            base_branch: "main".into(),
            draft: false,
            author: "ada".into(),
            bot: false,
            labels: vec!["preview".into()],
            merge_commit_sha: None,
            updated_at: "2026-01-01T00:00:00Z".into(),
        }
    }

    fn environment(trigger: PullRequestTrigger) -> RepositoryEnvironment {
        RepositoryEnvironment {
            name: "preview".into(),
            github_environment: None,
            trigger: Some(Trigger { pull_request: Some(trigger), ..Trigger::default() }),
            gates: None,
            commands: Commands::default(),
            deploy: None,
            lifetime: None,
        }
    }

    fn labelled() -> PullRequestTrigger {
        PullRequestTrigger {
            labels: vec!["Preview".into()],
            base_branches: vec!["main".into()],
            ..Default::default()
        }
    }

    fn reason(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Allowed => "Allowed",
            Verdict::Refused(mistake) => mistake.reason,
            Verdict::Superseded { .. } => "Superseded",
            Verdict::Over { reason, .. } => reason,
        }
    }

    fn judged(trigger: PullRequestTrigger, class: &ClassPullRequests, pull_request: &PullRequest) -> Verdict {
        judge(class, "standard", &environment(trigger), pull_request, HEAD, true)
    }

    #[test]
    fn a_colleagues_pull_request_is_allowed() {
        assert_eq!(judged(labelled(), &ClassPullRequests::default(), &pull_request()), Verdict::Allowed);
    }

    #[test]
    fn a_closed_one_is_closed_whatever_else_it_is() {
        let closed = PullRequest { open: false, head_sha: "2".repeat(40), draft: true, ..pull_request() };
        assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &closed)), "PullRequestClosed");
    }

    #[test]
    fn a_commit_that_is_not_the_head_is_superseded() {
        let moved = PullRequest { head_sha: "2".repeat(40), ..pull_request() };
        assert_eq!(
            judged(labelled(), &ClassPullRequests::default(), &moved),
            Verdict::Superseded { head: "2".repeat(40) }
        );
    }

    #[test]
    fn labels_and_base_branches_select() {
        let unlabelled = PullRequest { labels: vec![], ..pull_request() };
        assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &unlabelled)), "NotSelected");
        let by_hand = judge(
            &ClassPullRequests::default(),
            "standard",
            &environment(labelled()),
            &unlabelled,
            HEAD,
            false,
        );
        assert_eq!(by_hand, Verdict::Allowed, "who creates a deployment by hand needs no label");
        let elsewhere = PullRequest { base_branch: "release".into(), ..pull_request() };
        assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &elsewhere)), "NotSelected");
    }

    #[test]
    fn one_file_of_a_path_is_enough() {
        let trigger = |paths: &[&str]| PullRequestTrigger {
            paths: paths.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let files = ["README.md".to_owned(), "web/src/app.ts".to_owned()];
        assert_eq!(selects_files(&trigger(&[]), &files), Ok(()));
        assert_eq!(selects_files(&trigger(&[]), &[]), Ok(()));
        assert_eq!(selects_files(&trigger(&["api/**", "web/**"]), &files), Ok(()));
        let refusal = selects_files(&trigger(&["api/**", "web/*"]), &files).unwrap_err();
        assert!(refusal.contains("api/**, web/*"), "{refusal}");
        assert!(selects_files(&trigger(&["**"]), &[]).is_err(), "a pull request that changes nothing");
    }

    #[test]
    fn forks_drafts_and_bots_need_both_the_repository_and_the_class() {
        type Change =
            (fn(&mut PullRequest), fn(&mut PullRequestTrigger), fn(&mut ClassPullRequests), &'static str);
        let kinds: [Change; 4] = [
            (
                |p| p.head_repository_id = Some(200),
                |t| t.forks = Reaction::Deploy,
                |c| c.forks = Permission::Allow,
                "ForkNotAllowed",
            ),
            (
                |p| p.head_repository_id = None,
                |t| t.forks = Reaction::Deploy,
                |c| c.forks = Permission::Allow,
                "ForkNotAllowed",
            ),
            (
                |p| p.draft = true,
                |t| t.drafts = Reaction::Deploy,
                |c| c.drafts = Permission::Allow,
                "DraftNotAllowed",
            ),
            (
                |p| p.bot = true,
                |t| t.bots = Reaction::Deploy,
                |c| c.bots = Permission::Allow,
                "BotNotAllowed",
            ),
        ];
        for (be, ask, allow, refusal) in kinds {
            let mut pull_request = pull_request();
            be(&mut pull_request);
            for (asked, allowed) in [(false, false), (true, false), (false, true), (true, true)] {
                let (mut trigger, mut class) = (labelled(), ClassPullRequests::default());
                if asked {
                    ask(&mut trigger);
                }
                if allowed {
                    allow(&mut class);
                }
                let wanted = if asked && allowed { "Allowed" } else { refusal };
                assert_eq!(
                    reason(&judged(trigger, &class, &pull_request)),
                    wanted,
                    "asked {asked}, allowed {allowed}"
                );
            }
        }
    }

    #[test]
    fn an_environment_that_others_ask_for_still_refuses_forks() {
        let mut environment = environment(PullRequestTrigger::default());
        environment.trigger = None;
        let fork = PullRequest { head_repository_id: Some(200), ..pull_request() };
        let verdict = judge(&ClassPullRequests::default(), "standard", &environment, &fork, HEAD, false);
        assert_eq!(reason(&verdict), "ForkNotAllowed");
    }
}
