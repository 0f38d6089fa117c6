use super::*;
use crate::core::mistake::Reason;

fn failed(how: &str) -> CheckState {
    CheckState::Failed(how.to_owned())
}

#[test]
fn without_gates_all_is_open_and_nothing_is_asked() {
    let world = World::new(&json!({}));
    assert_eq!(world.needs(), Needs::default());
    let evaluation = world.judge(&Facts::default());
    assert_eq!(evaluation.summary, GateSummary::Open);
    let kinds: Vec<_> = evaluation.verdicts.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, CONDITIONS);
    assert!(evaluation.verdicts.iter().all(|(_, verdict)| reason(verdict) == "NotRequired"));
}

#[test]
fn no_facts_are_fetched_while_locked_not_due_or_outside_hours() {
    let gates = json!({
        "checks": ["build"], "image": "ghcr.io/acme/shop:1", "after": ["staging"],
        "hours": [{"start": "0 10 * * *", "duration": "1h"}],
    });
    let all = Needs { succeeded: vec!["staging".to_owned()], checks: true, image: true };
    let mut world = World::new(&gates);
    assert_eq!(world.needs(), all);
    world.lock("staging");
    assert_eq!(world.needs(), all, "another environment's lock");
    world.lock("production");
    assert_eq!(world.needs(), Needs::default());
    world.repository.locks.clear();
    world.request.not_before = Some(Time(at("2026-01-05T10:30:00Z")));
    assert_eq!(world.needs(), Needs::default());
    world.request.not_before = None;
    world.now = at("2026-01-05T11:00:00Z");
    assert_eq!(world.needs(), Needs::default());
    for kind in [PRIOR_ENVIRONMENT_SUCCEEDED, CHECKS_PASSED, IMAGE_FOUND] {
        assert_eq!(world.verdict(kind, &Facts::default()), GateVerdict::NotReached, "{kind}");
    }
}

#[test]
fn facts_that_are_missing_though_needed_never_open_a_gate() {
    for gates in [json!({"checks": ["build"]}), json!({"image": "ghcr.io/a"}), json!({"after": ["dev"]})] {
        let world = World::new(&gates);
        assert!(matches!(world.judge(&Facts::default()).summary, GateSummary::Waiting { .. }), "{gates}");
    }
    let unasked = Facts { image: Some(Ok(("ghcr.io/a:1".to_owned(), None))), ..Facts::default() };
    let world = World::new(&json!({"image": "ghcr.io/a:1"}));
    assert_eq!(world.verdict(IMAGE_FOUND, &unasked), GateVerdict::NotReached);
}

#[test]
fn a_lock_is_waited_for_and_says_who_why_and_since_when() {
    let mut world = World::new(&json!({}));
    world.lock("production");
    world.request.force = true;
    assert_eq!(
        world.judge(&Facts::default()).summary,
        GateSummary::Waiting {
            reason: "Locked",
            message: "locked by grace since 2026-01-05T10:00:00Z: release freeze".to_owned(),
            again: None,
        }
    );
}

#[test]
fn a_request_is_due_at_its_time_even_by_force() {
    let mut world = World::new(&json!({}));
    let due = at("2026-01-05T10:30:00Z");
    world.request.not_before = Some(Time(due));
    world.request.force = true;
    let GateVerdict::Waiting { reason: "NotDue", again, .. } =
        world.verdict(NOT_BEFORE_REACHED, &Facts::default())
    else {
        panic!("it isn't due")
    };
    assert_eq!(again, Some(due));
    world.now = due;
    assert_eq!(world.judge(&Facts::default()).summary, GateSummary::Open);
}

#[test]
fn an_environment_comes_after_those_that_are_named() {
    let mut world = World::new(&json!({"after": ["dev", "staging"]}));
    let facts = |dev, staging| Facts {
        succeeded: Some(vec![("dev".to_owned(), dev), ("staging".to_owned(), staging)]),
        ..Facts::default()
    };
    assert_eq!(reason(&world.verdict(PRIOR_ENVIRONMENT_SUCCEEDED, &facts(true, true))), "Passed");
    let waiting = world.verdict(PRIOR_ENVIRONMENT_SUCCEEDED, &facts(true, false));
    assert_eq!(waiting.condition().2, "must be live in staging first");
    let silent = Facts { succeeded: Some(Vec::new()), ..Facts::default() };
    assert_eq!(reason(&world.verdict(PRIOR_ENVIRONMENT_SUCCEEDED, &silent)), "NotInOrder");
    world.repository.environments.remove(0);
    let refused = world.verdict(PRIOR_ENVIRONMENT_SUCCEEDED, &facts(true, true));
    assert!(matches!(&refused, GateVerdict::Refused { reason: "EnvironmentUnknown", over: false, message }
        if message.contains("gates.after has dev") && message.contains("staging, production")));
}

#[test]
fn approvals_are_of_different_people_and_not_of_who_asked() {
    let mut world = World::new(&json!({"approvals": 2}));
    for (logins, message) in [
        (&[][..], "0 of 2 approvals"),
        (&["ADA"], "0 of 2 approvals"),
        (&["grace", "Grace", "ada"], "1 of 2 approvals (grace)"),
    ] {
        world.approve(logins);
        let verdict = world.verdict(APPROVED, &Facts::default());
        assert_eq!(verdict.condition(), (ConditionStatus::Unknown, "ApprovalsMissing", message));
    }
    world.approve(&["grace", "Linus"]);
    assert_eq!(world.verdict(APPROVED, &Facts::default()).condition().2, "approved by grace, Linus");
    assert_eq!(world.judge(&Facts::default()).summary, GateSummary::Open);
}

#[test]
fn check_passes_when_all_runs_of_its_name_pass() {
    use CheckState::{Passed, Pending};
    let world = World::new(&json!({"checks": ["build", "lint"]}));
    for (list, wanted, message) in [
        (vec![("build", Passed), ("lint", Passed)], "Passed", "checks passed: build, lint"),
        (vec![("Build", Passed), ("lint", Passed)], "Passed", "checks passed: build, lint"),
        (
            vec![("build", Passed), ("lint", Passed), ("lint", Pending)],
            "ChecksPending",
            "check pending: lint",
        ),
        (vec![("build", Pending)], "ChecksPending", "checks pending: build, lint (missing)"),
        (vec![], "ChecksPending", "checks pending: build (missing), lint (missing)"),
        (
            vec![("build", failed("failure")), ("lint", Pending)],
            "ChecksFailed",
            "check failed: build (failure)",
        ),
        (
            vec![("build", Passed), ("build", failed("failure")), ("lint", Pending)],
            "ChecksFailed",
            "check failed: build (failure, 1 of 2 of that name)",
        ),
        (
            vec![
                ("build", failed("failure")),
                ("build", failed("timed_out")),
                ("build", Pending),
                ("lint", failed("x")),
            ],
            "ChecksFailed",
            "checks failed: build (failure, timed_out, 2 of 3 of that name), lint (x)",
        ),
        (
            vec![("build", Passed), ("lint", Passed), ("other", failed("x"))],
            "Passed",
            "checks passed: build, lint",
        ),
    ] {
        let facts = checks(list.into_iter().map(|(name, state)| check(name, state)).collect());
        let verdict = world.verdict(CHECKS_PASSED, &facts);
        let (_, reason, said) = verdict.condition();
        assert_eq!((reason, said), (wanted, message), "{facts:?}");
    }
}

#[test]
fn force_passes_by_order_and_hours_only() {
    let gates = json!({
        "checks": ["build"], "image": "ghcr.io/acme/shop:1", "after": ["staging"], "approvals": 1,
        "hours": [{"start": "0 22 * * *", "duration": "1h"}],
    });
    let mut world = World::new(&gates);
    world.request.force = true;
    assert_eq!(world.needs(), Needs { succeeded: Vec::new(), checks: true, image: true });
    let facts = Facts {
        checks: Some(Vec::new()),
        image: Some(Ok(("ghcr.io/acme/shop:1".to_owned(), Some(RegistryAnswer::Missing)))),
        ..Facts::default()
    };
    let reasons: Vec<_> = world.judge(&facts).verdicts.iter().map(|(_, verdict)| reason(verdict)).collect();
    assert_eq!(
        reasons,
        [
            "NotRequired",
            "NotRequired",
            "NotRequired",
            "NotRequired",
            "ApprovalsMissing",
            "ChecksPending",
            "ImageMissing"
        ]
    );
    for kind in [WITHIN_HOURS, PRIOR_ENVIRONMENT_SUCCEEDED] {
        assert_eq!(world.verdict(kind, &facts).condition().2, "bypassed: forced by ada");
    }
}

#[test]
fn gate_timeout_ends_the_request() {
    let mut world =
        World::new(&json!({"checks": ["build"], "image": "ghcr.io/acme/shop:1", "timeout": "10m"}));
    let both = |state, answer| Facts { checks: Some(vec![check("build", state)]), ..image(answer) };
    let open = both(CheckState::Pending, RegistryAnswer::Missing);
    let deadline = created() + SignedDuration::from_mins(10);
    let GateVerdict::Waiting { again, .. } = world.verdict(CHECKS_PASSED, &open) else { panic!("it waits") };
    assert_eq!(again, Some(deadline));
    let GateVerdict::Waiting { again, .. } = world.verdict(IMAGE_FOUND, &open) else { panic!("it waits") };
    assert_eq!(again, Some(world.now + SignedDuration::from_secs(30)), "registries report no pushes");
    world.now = deadline - SignedDuration::from_secs(1);
    let GateSummary::Waiting { again, message, .. } = world.judge(&open).summary else { panic!("it waits") };
    assert_eq!(again, Some(deadline));
    assert_eq!(message, "check pending: build; image ghcr.io/acme/shop:1 not found");
    world.now = deadline;
    let over = |kind, facts: &Facts| match world.verdict(kind, facts) {
        GateVerdict::Refused { reason, over: true, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(over(CHECKS_PASSED, &open), "ChecksTimedOut");
    assert_eq!(over(IMAGE_FOUND, &open), "ImageTimedOut");
    let unreachable =
        both(CheckState::Passed, RegistryAnswer::Unreachable("ghcr.io doesn't answer".to_owned()));
    assert_eq!(over(IMAGE_FOUND, &unreachable), "ImageTimedOut");
    assert_eq!(world.judge(&both(CheckState::Passed, RegistryAnswer::Found)).summary, GateSummary::Open);
    // The time before `notBefore` doesn't count.
    world.request.not_before = Some(Time(deadline));
    assert_eq!(reason(&world.verdict(CHECKS_PASSED, &open)), "ChecksPending");
}

#[test]
fn a_check_that_is_run_again_has_the_whole_time_again() {
    let mut world = World::new(&json!({"checks": ["build"], "timeout": "10m"}));
    world.record(&checks(vec![check("build", failed("failure"))]));
    world.now = created() + SignedDuration::from_hours(3);
    let failed = checks(vec![check("build", failed("failure"))]);
    assert!(matches!(
        world.judge(&failed).summary,
        GateSummary::Refused { reason: "ChecksFailed", over: false, .. }
    ));
    let again = checks(vec![check("build", CheckState::Pending)]);
    let begun = world.now;
    world.record(&again);
    world.now = begun + SignedDuration::from_mins(9);
    world.record(&again);
    assert_eq!(reason(&world.verdict(CHECKS_PASSED, &again)), "ChecksPending");
    world.now = begun + SignedDuration::from_mins(10);
    assert_eq!(reason(&world.verdict(CHECKS_PASSED, &again)), "ChecksTimedOut");
}

#[test]
fn registries_are_asked_only_if_the_class_lists_them() {
    for (name, host) in [
        ("ghcr.io/acme/shop:1", "ghcr.io"),
        ("localhost/shop", "localhost"),
        ("registry:5000/shop", "registry:5000"),
        ("acme/shop:1", "docker.io"),
        ("shop", "docker.io"),
        ("shop:1.2", "docker.io"),
        ("index.docker.io/acme/shop", "docker.io"),
    ] {
        assert_eq!(image::host(name), host, "{name}");
    }
    let mut world = World::new(&json!({"image": "GHCR.io/acme/shop:1"}));
    assert!(image::registry("GHCR.io/acme/shop:1", &world.class.registries).is_ok());
    let elsewhere = Facts { image: Some(Ok(("evil.example/x:1".to_owned(), None))), ..Facts::default() };
    let verdict = world.verdict(IMAGE_FOUND, &elsewhere);
    assert!(matches!(&verdict, GateVerdict::Refused { reason: "RegistryNotAllowed", over: false, message }
        if message.contains("spec.registries") && message.contains("evil.example") && message.contains("ghcr.io")));
    world.class.registries.clear();
    assert_eq!(reason(&world.verdict(IMAGE_FOUND, &image(RegistryAnswer::Found))), "RegistryNotAllowed");
    let mistake =
        Mistake { reason: Reason::TemplateInvalid, message: "gates.image: no such placeholder".to_owned() };
    let broken = Facts { image: Some(Err(mistake)), ..Facts::default() };
    assert_eq!(reason(&world.verdict(IMAGE_FOUND, &broken)), "TemplateInvalid");
}

#[test]
fn summary_joins_the_messages_of_waiting_gates() {
    let mut world = World::new(&json!({"checks": ["build"], "approvals": 2, "after": ["staging"]}));
    world.approve(&["grace"]);
    let facts = Facts {
        checks: Some(vec![check("build", CheckState::Pending)]),
        succeeded: Some(vec![("staging".to_owned(), false)]),
        image: None,
    };
    let evaluation = world.judge(&facts);
    let GateSummary::Waiting { reason, message, .. } = &evaluation.summary else { panic!("{evaluation:?}") };
    assert_eq!(*reason, "NotInOrder");
    assert_eq!(message, "must be live in staging first; 1 of 2 approvals (grace); check pending: build");
    world.now += SignedDuration::from_mins(5);
    let later = world.judge(&facts);
    assert_eq!(later, evaluation, "messages do not change from one reconcile to the next");
}

#[test]
fn refused_gate_precedes_waiting_gates() {
    let mut world = World::new(&json!({"checks": ["build"], "approvals": 1}));
    let facts = checks(vec![check("build", failed("timed_out"))]);
    assert!(matches!(world.judge(&facts).summary, GateSummary::Refused { reason: "ChecksFailed", .. }));
    // A gate that isn't set doesn't count.
    world.repository.environments[2].gates = None;
    assert_eq!(world.judge(&facts).summary, GateSummary::Open);
}

#[test]
fn gate_reasons_are_camel_case_and_map_to_a_status() {
    let again = GateVerdict::Waiting { reason: "Locked", message: String::new(), again: None };
    let refused = GateVerdict::Refused { reason: "ChecksFailed", message: String::new(), over: false };
    for (verdict, status) in [
        (GateVerdict::Passed { message: String::new() }, ConditionStatus::True),
        (GateVerdict::unset(), ConditionStatus::True),
        (GateVerdict::NotReached, ConditionStatus::Unknown),
        (again, ConditionStatus::Unknown),
        (refused, ConditionStatus::False),
    ] {
        assert_eq!(verdict.condition().0, status);
        assert!(conditions::is_reason(verdict.condition().1));
    }
}
