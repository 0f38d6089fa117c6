use super::*;

#[path = "write_order_properties.rs"]
mod properties;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn report(deployment_id: i64, state: DeploymentState, description: &str) -> DeploymentReport {
    DeploymentReport {
        deployment_id,
        state,
        description: description.to_owned(),
        environment_url: None,
        log_url: None,
    }
}

fn status(deployment_id: i64, state: DeploymentState) -> Write {
    Write::Status(report(deployment_id, state, ""))
}

fn shop() -> RepositoryName {
    "acme/shop".parse().unwrap()
}

fn commit(sha: &str, context: &str) -> Write {
    Write::CommitStatus(CommitContext::new(&shop(), sha, context))
}

fn quick() -> Pace {
    Pace { gap: seconds(1), burst: 1, per_minute: 1000, per_hour: 1000, capacity: 100 }
}

fn waits(pushed: Pushed<&'static str>) -> (Ticket, Option<&'static str>) {
    match pushed {
        Pushed::Waits(ticket, older) => (ticket, older),
        other => panic!("{other:?}"),
    }
}

fn send(outbox: &mut Outbox<&'static str>, now: Duration) -> Sending<&'static str> {
    match outbox.next(now, Duration::ZERO) {
        Next::Send(sending) => sending,
        other => panic!("{other:?}"),
    }
}

/// Sends all writes, a gap apart, and returns their order.
fn drain(outbox: &mut Outbox<&'static str>) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut now = seconds(10_000);
    while !outbox.is_empty() {
        let sending = send(outbox, now);
        order.push(outbox.sent(now, sending, WriteOutcome::Accepted));
        now += seconds(1);
    }
    order
}

#[test]
fn writes_are_ordered_by_importance() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Inactive), "inactive"));
    waits(outbox.push(Write::React, "reaction 1"));
    waits(outbox.push(status(2, DeploymentState::InProgress), "in progress"));
    waits(outbox.push(Write::Comment, "comment"));
    waits(outbox.push(Write::Create, "create 1"));
    waits(outbox.push(commit("a", "preview"), "commit status"));
    waits(outbox.push(status(3, DeploymentState::Queued), "queued"));
    waits(outbox.push(Write::EditComment(9), "edit"));
    waits(outbox.push(status(4, DeploymentState::Success), "success"));
    waits(outbox.push(status(5, DeploymentState::Error), "error"));
    waits(outbox.push(Write::React, "reaction 2"));
    waits(outbox.push(Write::Create, "create 2"));
    waits(outbox.push(status(6, DeploymentState::Failure), "failure"));
    assert_eq!(
        drain(&mut outbox),
        [
            "error",
            "failure",
            "success",
            "create 1",
            "create 2",
            "comment",
            "commit status",
            "edit",
            "reaction 1",
            "reaction 2",
            "inactive",
            "in progress",
            "queued",
        ]
    );
}

#[test]
fn newest_comment_edit_replaces_the_waiting_edit() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::EditComment(1), "1 first"));
    waits(outbox.push(Write::EditComment(2), "2"));
    // A deployment with the same number is another subject.
    assert_eq!(waits(outbox.push(status(1, DeploymentState::Success), "deployment 1")).1, None);
    assert_eq!(waits(outbox.push(Write::EditComment(1), "1 second")).1, Some("1 first"));
    let sending = send(&mut outbox, seconds(1));
    assert_eq!(outbox.sent(seconds(1), sending, WriteOutcome::Accepted), "deployment 1");
    // A newer write doesn't replace one that is being sent. If a rate limit rejects that one, it
    // gives way to the newer write.
    let sending = send(&mut outbox, seconds(2));
    assert_eq!(waits(outbox.push(Write::EditComment(1), "1 third")).1, None);
    assert_eq!(outbox.give_back(seconds(2), sending), Some("1 second"));
    assert_eq!(drain(&mut outbox), ["2", "1 third"]);
}

#[test]
fn only_the_newest_status_of_a_commit_and_context_waits() {
    let mut outbox = Outbox::new(quick());
    let elsewhere = Write::CommitStatus(CommitContext::new(&"acme/fork".parse().unwrap(), "abc", "preview"));
    waits(outbox.push(commit("abc", "preview"), "first"));
    waits(outbox.push(commit("abc", "other"), "other context"));
    waits(outbox.push(commit("def", "preview"), "other commit"));
    waits(outbox.push(elsewhere, "other repository"));
    let same = CommitContext::new(&"Acme/Shop".parse().unwrap(), "ABC", "Preview");
    assert_eq!(waits(outbox.push(Write::CommitStatus(same), "second")).1, Some("first"));
    assert_eq!(drain(&mut outbox), ["second", "other context", "other commit", "other repository"]);
}

#[test]
fn what_others_may_have_changed_is_sent_again() {
    let mut outbox = Outbox::new(quick());
    let mut now = seconds(1);
    for write in [Write::EditComment(1), commit("abc", "preview")] {
        for _ in 0..2 {
            waits(outbox.push(write.clone(), "x"));
            let sending = send(&mut outbox, now);
            outbox.sent(now, sending, WriteOutcome::Accepted);
            now += seconds(1);
        }
    }
}

#[test]
fn comments_and_reactions_are_never_merged() {
    let mut outbox = Outbox::new(quick());
    for job in ["a", "b"] {
        assert_eq!(waits(outbox.push(Write::Comment, job)).1, None);
        assert_eq!(waits(outbox.push(Write::React, job)).1, None);
    }
    assert_eq!(drain(&mut outbox), ["a", "b", "a", "b"]);
}

#[test]
fn newest_deployment_status_replaces_the_waiting_status() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "1 queued"));
    waits(outbox.push(status(2, DeploymentState::Queued), "2 queued"));
    assert_eq!(
        waits(outbox.push(status(1, DeploymentState::InProgress), "1 in progress")).1,
        Some("1 queued")
    );
    assert_eq!(outbox.len(), 2);
    assert_eq!(drain(&mut outbox), ["1 in progress", "2 queued"]);
}

#[test]
fn deployments_to_create_are_never_merged() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::Create, "a"));
    assert_eq!(waits(outbox.push(Write::Create, "b")).1, None);
    assert_eq!(drain(&mut outbox), ["a", "b"]);
}

#[test]
fn burst_after_quiet_then_single_writes_per_gap() {
    let mut outbox = Outbox::new(Pace { burst: 3, ..quick() });
    for _ in 0..20 {
        waits(outbox.push(Write::Create, "create"));
    }
    let mut sent_at = Vec::new();
    let mut now = seconds(100);
    while sent_at.len() < 6 {
        match outbox.next(now, Duration::ZERO) {
            Next::Send(sending) => {
                sent_at.push(now);
                outbox.sent(now, sending, WriteOutcome::Accepted);
            }
            Next::Wait(until) => now = until,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent_at, [100, 100, 100, 101, 102, 103].map(seconds));
    // After a quiet time of two gaps, two writes are sent without a gap.
    now += seconds(2);
    for expected in [true, true, false] {
        let next = outbox.next(now, Duration::ZERO);
        assert_eq!(matches!(next, Next::Send(_)), expected, "{next:?}");
        if let Next::Send(sending) = next {
            outbox.sent(now, sending, WriteOutcome::Accepted);
        }
    }
}

#[test]
fn writes_run_in_sequence_with_a_gap_after_each() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::Create, "a"));
    waits(outbox.push(Write::Create, "b"));
    let sending = send(&mut outbox, seconds(5));
    assert!(matches!(outbox.next(seconds(60), Duration::ZERO), Next::Nothing), "one is being sent");
    outbox.sent(seconds(8), sending, WriteOutcome::Accepted);
    assert!(matches!(outbox.next(seconds(8), Duration::ZERO), Next::Wait(until) if until == seconds(9)));
    assert_eq!(send(&mut outbox, seconds(9)).job, "b");
}

#[test]
fn budgets_per_minute_and_per_hour_hold() {
    let mut outbox =
        Outbox::new(Pace { gap: Duration::ZERO, burst: 1, per_minute: 3, per_hour: 5, capacity: 100 });
    let mut times = Vec::new();
    for _ in 0..7 {
        waits(outbox.push(Write::Create, "x"));
    }
    let mut now = seconds(0);
    while !outbox.is_empty() {
        match outbox.next(now, Duration::ZERO) {
            Next::Send(sending) => {
                times.push(now.as_secs());
                outbox.sent(now, sending, WriteOutcome::Refused);
                now += seconds(1);
            }
            Next::Wait(until) => now = until,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [0, 1, 2, 60, 61, 3600, 3601]);
}

#[test]
fn answers_leave_two_thirds_of_the_budgets_to_deployments() {
    let mut outbox =
        Outbox::new(Pace { gap: seconds(1), burst: 1, per_minute: 30, per_hour: 90, capacity: 1000 });
    for _ in 0..MOST_ANSWERS / 2 {
        waits(outbox.push(Write::Comment, "answer"));
        waits(outbox.push(Write::React, "answer"));
    }
    let mut now = seconds(0);
    let mut sent = Vec::new();
    // A deployment every minute, each with a status of the lowest urgency.
    for minute in 0..60 {
        waits(outbox.push(Write::Create, "create"));
        waits(outbox.push(status(minute, DeploymentState::InProgress), "in progress"));
        let end = now + MINUTE;
        loop {
            match outbox.next(now, Duration::ZERO) {
                Next::Send(sending) => {
                    sent.push(sending.job);
                    outbox.sent(now, sending, WriteOutcome::Accepted);
                }
                Next::Wait(until) if until < end => now = until,
                Next::Wait(_) => break,
                other => panic!("{other:?}"),
            }
        }
        now = end;
    }
    let count = |of: &str| sent.iter().filter(|job| **job == of).count();
    assert_eq!(count("answer"), 30, "a third of the hour's budget");
    assert_eq!(count("create") + count("in progress"), 60, "the rest of the hour's budget");
    assert!(
        sent[..14].contains(&"in progress"),
        "answers delay a deployment status by at most a minute's share"
    );
}

#[test]
fn answers_wait_until_their_share_allows_a_write() {
    let mut outbox =
        Outbox::new(Pace { gap: seconds(1), burst: 1, per_minute: 3, per_hour: 300, capacity: 10 });
    waits(outbox.push(Write::Comment, "first"));
    waits(outbox.push(Write::Comment, "second"));
    let sending = send(&mut outbox, seconds(1));
    outbox.sent(seconds(1), sending, WriteOutcome::Accepted);
    assert!(matches!(outbox.next(seconds(5), Duration::ZERO), Next::Wait(until) if until == seconds(61)));
    waits(outbox.push(Write::Create, "create"));
    assert_eq!(send(&mut outbox, seconds(5)).job, "create");
}

#[test]
fn answers_that_wait_leave_room_for_deployments() {
    let mut outbox = Outbox::new(Pace { capacity: 1_000, ..quick() });
    for _ in 0..MOST_ANSWERS {
        waits(outbox.push(Write::React, "reaction"));
    }
    assert!(matches!(outbox.push(Write::Comment, "answer"), Pushed::Full("answer")));
    waits(outbox.push(Write::Create, "create"));
}

#[test]
fn commit_statuses_have_a_share_of_their_own() {
    let mut outbox =
        Outbox::new(Pace { gap: seconds(1), burst: 1, per_minute: 30, per_hour: 90, capacity: 1_000 });
    for number in 0..100 {
        waits(outbox.push(
            Write::CommitStatus(CommitContext::new(&shop(), &format!("{number:040}"), "matinee/staging")),
            "commit status",
        ));
        waits(outbox.push(Write::Create, "create"));
    }
    let mut now = Duration::ZERO;
    let mut sent = Vec::new();
    while now < HOUR {
        match outbox.next(now, Duration::ZERO) {
            Next::Send(sending) => {
                sent.push(sending.job);
                outbox.sent(now, sending, WriteOutcome::Accepted);
            }
            Next::Wait(until) => now = until,
            _ => break,
        }
    }
    let count = |job: &str| sent.iter().filter(|sent| **sent == job).count();
    assert!(count("commit status") <= 30, "{}", count("commit status"));
    assert!(count("create") >= 60, "{}", count("create"));
}

#[test]
fn nothing_before_the_time_a_limit_names() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::Create, "a"));
    assert!(matches!(outbox.next(seconds(1), seconds(70)), Next::Wait(until) if until == seconds(70)));
    assert!(matches!(outbox.next(seconds(70), seconds(70)), Next::Send(_)));
}

#[test]
fn what_a_limit_turned_away_goes_back_to_its_place() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::Create, "a"));
    waits(outbox.push(Write::Create, "b"));
    let sending = send(&mut outbox, seconds(1));
    assert_eq!(outbox.give_back(seconds(1), sending), None);
    assert_eq!(drain(&mut outbox), ["a", "b"]);
}

#[test]
fn what_a_limit_turned_away_yields_to_a_newer_status() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "queued"));
    let sending = send(&mut outbox, seconds(1));
    waits(outbox.push(status(1, DeploymentState::Success), "success"));
    assert_eq!(outbox.give_back(seconds(1), sending), Some("queued"));
    assert_eq!(drain(&mut outbox), ["success"]);
}

#[test]
fn a_status_that_came_while_another_was_sent_follows_it() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "queued"));
    let sending = send(&mut outbox, seconds(1));
    assert_eq!(waits(outbox.push(status(1, DeploymentState::Success), "success")).1, None);
    outbox.sent(seconds(2), sending, WriteOutcome::Accepted);
    assert_eq!(drain(&mut outbox), ["success"]);
}

#[test]
fn shown_status_is_not_sent_again() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "first"));
    let sending = send(&mut outbox, seconds(1));
    // The result of the first write is unknown, so the second waits for it and then isn't sent.
    waits(outbox.push(status(1, DeploymentState::Queued), "second"));
    outbox.sent(seconds(1), sending, WriteOutcome::Accepted);
    assert!(matches!(outbox.next(seconds(1), seconds(99)), Next::AlreadyShown("second")), "no need to wait");
    assert!(matches!(
        outbox.push(status(1, DeploymentState::Queued), "third"),
        Pushed::AlreadyShown("third", None)
    ));
    // A report that differs in any field is sent.
    waits(outbox.push(Write::Status(report(1, DeploymentState::Queued, "position 2")), "fourth"));
    // The report is again the one that GitHub shows, so nothing is sent.
    assert!(matches!(
        outbox.push(status(1, DeploymentState::Queued), "fifth"),
        Pushed::AlreadyShown("fifth", Some("fourth"))
    ));
    assert!(outbox.is_empty());
}

#[test]
fn shown_status_is_ignored_while_another_is_sent() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "queued"));
    let sending = send(&mut outbox, seconds(1));
    outbox.sent(seconds(1), sending, WriteOutcome::Accepted);
    waits(outbox.push(status(1, DeploymentState::Success), "success"));
    let sending = send(&mut outbox, seconds(5));
    waits(outbox.push(status(1, DeploymentState::Queued), "queued again"));
    outbox.sent(seconds(5), sending, WriteOutcome::Accepted);
    assert_eq!(drain(&mut outbox), ["queued again"]);
}

#[test]
fn after_an_unknown_outcome_nothing_counts_as_shown() {
    let mut outbox = Outbox::new(quick());
    for (state, outcome) in
        [(DeploymentState::Queued, WriteOutcome::Accepted), (DeploymentState::Success, WriteOutcome::Unknown)]
    {
        waits(outbox.push(status(1, state), "x"));
        let sending = send(&mut outbox, seconds(100));
        outbox.sent(seconds(1), sending, outcome);
    }
    waits(outbox.push(status(1, DeploymentState::Queued), "again"));
    assert_eq!(drain(&mut outbox), ["again"]);
}

#[test]
fn rejected_status_keeps_the_shown_status() {
    let mut outbox = Outbox::new(quick());
    for (state, outcome) in
        [(DeploymentState::Queued, WriteOutcome::Accepted), (DeploymentState::Success, WriteOutcome::Refused)]
    {
        waits(outbox.push(status(1, state), "x"));
        let sending = send(&mut outbox, seconds(100));
        outbox.sent(seconds(1), sending, outcome);
    }
    assert!(matches!(
        outbox.push(status(1, DeploymentState::Queued), "again"),
        Pushed::AlreadyShown("again", None)
    ));
    waits(outbox.push(status(1, DeploymentState::Success), "refused before"));
}

#[test]
fn a_removed_write_is_never_sent_and_hinders_nothing() {
    let mut outbox = Outbox::new(quick());
    let (first, _) = waits(outbox.push(status(1, DeploymentState::Failure), "failure"));
    waits(outbox.push(Write::Create, "create"));
    assert_eq!(outbox.remove(first), Some("failure"));
    assert_eq!(outbox.remove(first), None);
    let sending = send(&mut outbox, seconds(1));
    assert_eq!(sending.job, "create");
    assert_eq!(outbox.not_sent(sending), "create");
    // Nothing was sent, so no gap is needed.
    waits(outbox.push(status(1, DeploymentState::Failure), "failure again"));
    assert_eq!(send(&mut outbox, seconds(1)).job, "failure again");
}

#[test]
fn a_full_queue_takes_only_what_replaces_something() {
    let mut outbox = Outbox::new(Pace { capacity: 1, ..quick() });
    waits(outbox.push(status(1, DeploymentState::Queued), "queued"));
    assert!(matches!(outbox.push(Write::Create, "create"), Pushed::Full("create")));
    assert_eq!(waits(outbox.push(status(1, DeploymentState::Success), "success")).1, Some("queued"));
    assert_eq!(drain(&mut outbox), ["success"]);
}
