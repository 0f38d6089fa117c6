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

fn reason(verdict: &Eligibility) -> &str {
    match verdict {
        Eligibility::Allowed => "Allowed",
        Eligibility::Refused(mistake) => mistake.reason.as_str(),
        Eligibility::Superseded { .. } => "Superseded",
        Eligibility::Over { reason, .. } => reason,
    }
}

fn judged(trigger: PullRequestTrigger, class: &ClassPullRequests, pull_request: &PullRequest) -> Eligibility {
    judge(class, "standard", &environment(trigger), pull_request, HEAD, true)
}

#[test]
fn a_colleagues_pull_request_is_allowed() {
    assert_eq!(judged(labelled(), &ClassPullRequests::default(), &pull_request()), Eligibility::Allowed);
}

#[test]
fn closed_pull_request_is_over_regardless_of_other_rules() {
    let closed = PullRequest { open: false, head_sha: "2".repeat(40), draft: true, ..pull_request() };
    assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &closed)), "PullRequestClosed");
}

#[test]
fn a_commit_that_is_not_the_head_is_superseded() {
    let moved = PullRequest { head_sha: "2".repeat(40), ..pull_request() };
    assert_eq!(
        judged(labelled(), &ClassPullRequests::default(), &moved),
        Eligibility::Superseded { head: "2".repeat(40) }
    );
}

#[test]
fn labels_and_base_branches_select() {
    let unlabelled = PullRequest { labels: vec![], ..pull_request() };
    assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &unlabelled)), "NotSelected");
    let by_hand =
        judge(&ClassPullRequests::default(), "standard", &environment(labelled()), &unlabelled, HEAD, false);
    assert_eq!(by_hand, Eligibility::Allowed, "a deployment created by hand needs no label");
    let elsewhere = PullRequest { base_branch: "release".into(), ..pull_request() };
    assert_eq!(reason(&judged(labelled(), &ClassPullRequests::default(), &elsewhere)), "NotSelected");
}

#[test]
fn single_matching_file_selects_the_pull_request() {
    let trigger = |paths: &[&str]| PullRequestTrigger {
        paths: paths.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let files = ["README.md".to_owned(), "web/src/app.ts".to_owned()];
    assert_eq!(selects_files(&trigger(&[]), &files), Ok(()));
    assert_eq!(selects_files(&trigger(&[]), &[]), Ok(()));
    assert_eq!(selects_files(&trigger(&["api/**", "web/**"]), &files), Ok(()));
    let refusal = selects_files(&trigger(&["api/**", "web/*"]), &files).unwrap_err();
    assert!(matches!(&refusal, Unselected::Not(why) if why.contains("api/**, web/*")), "{refusal:?}");
    assert!(selects_files(&trigger(&["**"]), &[]).is_err(), "a pull request that changes nothing");
    // Each file is matched against all patterns: an excluded file doesn't hide another one.
    let but_docs = trigger(&["**", "!docs/**", "!**.md"]);
    assert_eq!(selects_files(&but_docs, &files), Ok(()));
    assert!(selects_files(&but_docs, &["docs/a.txt".to_owned(), "README.md".to_owned()]).is_err());
}

#[test]
fn patterns_that_cant_be_read_refuse_and_end_nothing() {
    let trigger = PullRequestTrigger {
        base_branches: vec!["main".into(), "release-[".into(), "?".into()],
        paths: vec!["!docs/**".into()],
        ..Default::default()
    };
    let Eligibility::Refused(mistake) =
        judged(trigger.clone(), &ClassPullRequests::default(), &pull_request())
    else {
        panic!("not rejected");
    };
    assert_eq!(mistake.reason, Reason::PatternInvalid);
    for place in ["baseBranches[1] \"release-[\"", "baseBranches[2] \"?\""] {
        let wanted = format!("spec.environments[preview].trigger.pullRequest.{place}");
        assert!(mistake.message.contains(&wanted), "{}", mistake.message);
    }
    assert!(
        matches!(selects_files(&trigger, &["src/a".into()]), Err(Unselected::Invalid(problems)) if problems.len() == 1)
    );
}

#[test]
fn a_trial_merge_is_no_head_and_says_what_to_deploy() {
    let merge = "3".repeat(40);
    let tried = PullRequest { number: 12_345, merge_commit_sha: Some(merge.clone()), ..pull_request() };
    let verdict = judge(
        &ClassPullRequests::default(),
        "standard",
        &environment(PullRequestTrigger::default()),
        &tried,
        &merge,
        false,
    );
    let Eligibility::Refused(mistake) = verdict else { panic!("{verdict:?}") };
    assert_eq!(mistake.reason, Reason::NotTheHead);
    assert!(mistake.message.starts_with("commit 3333333 is GitHub's trial merge of pull request 12345"));
    assert!(mistake.message.contains("github.event.pull_request.head.sha"));
    assert!(
        mistake.message.chars().count() <= crate::core::publish::deployment_status::DESCRIPTION_LIMIT,
        "{}",
        mistake.message
    );
}

#[test]
fn a_commit_that_was_pushed_past_was_the_head() {
    let (old, stranger) = ("4".repeat(40), "5".repeat(40));
    let commits = [old.clone(), HEAD.to_owned()];
    assert_eq!(never_the_head(12_345, &old, &commits), None);
    let many: Vec<String> = (0..250).map(|number| format!("{number:040x}")).collect();
    assert_eq!(never_the_head(12_345, &stranger, &many), None, "the list may be incomplete");
    let mistake = never_the_head(12_345, &stranger, &commits).unwrap();
    assert_eq!(mistake.reason, Reason::NotTheHead);
    assert!(
        mistake.message.contains("commit 5555555 isn't a commit of pull request 12345"),
        "{}",
        mistake.message
    );
    assert!(
        mistake.message.chars().count() <= crate::core::publish::deployment_status::DESCRIPTION_LIMIT,
        "{}",
        mistake.message
    );
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
        (|p| p.bot = true, |t| t.bots = Reaction::Deploy, |c| c.bots = Permission::Allow, "BotNotAllowed"),
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
                "requested {asked}, allowed {allowed}"
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

#[test]
fn a_command_deploys_a_fork_only_where_the_class_allows_forks() {
    let fork = PullRequest { head_repository_id: Some(200), ..pull_request() };
    let (denies, allows) = (
        ClassPullRequests::default(),
        ClassPullRequests { forks: Permission::Allow, ..ClassPullRequests::default() },
    );
    let mistake = command_allowed(&denies, "standard", &fork).unwrap_err();
    assert_eq!(mistake.reason, Reason::ForkNotAllowed);
    assert_eq!(command_allowed(&allows, "standard", &fork), Ok(()));
    assert_eq!(command_allowed(&denies, "standard", &pull_request()), Ok(()));
}
