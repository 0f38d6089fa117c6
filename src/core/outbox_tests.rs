use proptest::prelude::*;

use super::*;

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

fn quick() -> Pace {
    Pace { gap: seconds(1), per_minute: 1000, per_hour: 1000, capacity: 100 }
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

/// Sends everything, a gap apart, and tells in which order.
fn drain(outbox: &mut Outbox<&'static str>) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut now = seconds(10_000);
    while !outbox.is_empty() {
        let sending = send(outbox, now);
        order.push(outbox.sent(now, sending, Outcome::Accepted));
        now += seconds(1);
    }
    order
}

#[test]
fn bad_news_first_then_good_then_new_deployments_then_the_rest() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Inactive), "inactive"));
    waits(outbox.push(status(2, DeploymentState::InProgress), "in progress"));
    waits(outbox.push(Write::Create, "create 1"));
    waits(outbox.push(status(3, DeploymentState::Queued), "queued"));
    waits(outbox.push(status(4, DeploymentState::Success), "success"));
    waits(outbox.push(status(5, DeploymentState::Error), "error"));
    waits(outbox.push(Write::Create, "create 2"));
    waits(outbox.push(status(6, DeploymentState::Failure), "failure"));
    assert_eq!(
        drain(&mut outbox),
        ["error", "failure", "success", "create 1", "create 2", "inactive", "in progress", "queued"]
    );
}

#[test]
fn only_the_newest_status_of_a_deployment_waits_and_it_keeps_the_place() {
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
fn one_at_a_time_and_a_gap_after_the_end_of_each() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(Write::Create, "a"));
    waits(outbox.push(Write::Create, "b"));
    let sending = send(&mut outbox, seconds(5));
    assert!(matches!(outbox.next(seconds(60), Duration::ZERO), Next::Nothing), "one is being sent");
    outbox.sent(seconds(8), sending, Outcome::Accepted);
    assert!(matches!(outbox.next(seconds(8), Duration::ZERO), Next::Wait(until) if until == seconds(9)));
    assert_eq!(send(&mut outbox, seconds(9)).job, "b");
}

#[test]
fn budgets_per_minute_and_per_hour_hold() {
    let mut outbox = Outbox::new(Pace { gap: Duration::ZERO, per_minute: 3, per_hour: 5, capacity: 100 });
    let mut times = Vec::new();
    for _ in 0..7 {
        waits(outbox.push(Write::Create, "x"));
    }
    let mut now = seconds(0);
    while !outbox.is_empty() {
        match outbox.next(now, Duration::ZERO) {
            Next::Send(sending) => {
                times.push(now.as_secs());
                outbox.sent(now, sending, Outcome::Refused);
                now += seconds(1);
            }
            Next::Wait(until) => now = until,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [0, 1, 2, 60, 61, 3600, 3601]);
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
    outbox.sent(seconds(2), sending, Outcome::Accepted);
    assert_eq!(drain(&mut outbox), ["success"]);
}

#[test]
fn what_is_shown_is_not_sent_again() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "first"));
    let sending = send(&mut outbox, seconds(1));
    // Not known yet whether the first arrives: the second waits for that, and is then not sent.
    waits(outbox.push(status(1, DeploymentState::Queued), "second"));
    outbox.sent(seconds(1), sending, Outcome::Accepted);
    assert!(matches!(outbox.next(seconds(1), seconds(99)), Next::AlreadyShown("second")), "no need to wait");
    assert!(matches!(
        outbox.push(status(1, DeploymentState::Queued), "third"),
        Pushed::AlreadyShown("third", None)
    ));
    // Anything that differs is sent.
    waits(outbox.push(Write::Status(report(1, DeploymentState::Queued, "position 2")), "fourth"));
    // Back to what is shown: nothing is left to send.
    assert!(matches!(
        outbox.push(status(1, DeploymentState::Queued), "fifth"),
        Pushed::AlreadyShown("fifth", Some("fourth"))
    ));
    assert!(outbox.is_empty());
}

#[test]
fn what_is_shown_counts_for_nothing_while_something_else_is_sent() {
    let mut outbox = Outbox::new(quick());
    waits(outbox.push(status(1, DeploymentState::Queued), "queued"));
    let sending = send(&mut outbox, seconds(1));
    outbox.sent(seconds(1), sending, Outcome::Accepted);
    waits(outbox.push(status(1, DeploymentState::Success), "success"));
    let sending = send(&mut outbox, seconds(5));
    waits(outbox.push(status(1, DeploymentState::Queued), "queued again"));
    outbox.sent(seconds(5), sending, Outcome::Accepted);
    assert_eq!(drain(&mut outbox), ["queued again"]);
}

#[test]
fn after_an_unknown_outcome_nothing_counts_as_shown() {
    let mut outbox = Outbox::new(quick());
    for (state, outcome) in
        [(DeploymentState::Queued, Outcome::Accepted), (DeploymentState::Success, Outcome::Unknown)]
    {
        waits(outbox.push(status(1, state), "x"));
        let sending = send(&mut outbox, seconds(100));
        outbox.sent(seconds(1), sending, outcome);
    }
    waits(outbox.push(status(1, DeploymentState::Queued), "again"));
    assert_eq!(drain(&mut outbox), ["again"]);
}

#[test]
fn what_was_refused_leaves_what_is_shown() {
    let mut outbox = Outbox::new(quick());
    for (state, outcome) in
        [(DeploymentState::Queued, Outcome::Accepted), (DeploymentState::Success, Outcome::Refused)]
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
    // Nothing was sent, so there is no gap to keep.
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

#[derive(Clone, Debug)]
enum Step {
    Push(Write),
    RemoveOldest,
    Send(Outcome),
    TurnedAway,
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let state = prop::sample::select(vec![
        DeploymentState::Queued,
        DeploymentState::InProgress,
        DeploymentState::Success,
        DeploymentState::Failure,
        DeploymentState::Inactive,
    ]);
    let outcome = prop::sample::select(vec![Outcome::Accepted, Outcome::Refused, Outcome::Unknown]);
    prop_oneof![
        4 => (0_i64..4, state).prop_map(|(id, state)| Step::Push(status(id, state))),
        1 => Just(Step::Push(Write::Create)),
        1 => Just(Step::RemoveOldest),
        4 => outcome.prop_map(Step::Send),
        1 => Just(Step::TurnedAway),
        2 => (1_u64..30).prop_map(Step::Pass),
    ]
}

/// Follows every write to its end, whatever happens to it.
#[derive(Default)]
struct Ends(HashMap<usize, usize>);

impl Ends {
    fn end(&mut self, job: impl IntoIterator<Item = usize>) {
        for job in job {
            *self.0.entry(job).or_default() += 1;
        }
    }
}

proptest! {
    /// Whatever comes: each write ends exactly once, the pace is kept, and nothing less urgent overtakes.
    #[test]
    fn every_write_ends_once_and_the_pace_is_kept(steps in prop::collection::vec(any_step(), 1..120)) {
        let pace = Pace { gap: seconds(2), per_minute: 5, per_hour: 20, capacity: 6 };
        let mut outbox: Outbox<usize> = Outbox::new(pace);
        let (mut ends, mut pushed, mut tickets) = (Ends::default(), 0, VecDeque::new());
        let (mut now, mut sent): (Duration, Vec<Duration>) = (seconds(0), Vec::new());
        for step in steps {
            match step {
                Step::Push(write) => {
                    let job = pushed;
                    pushed += 1;
                    match outbox.push(write, job) {
                        Pushed::Waits(ticket, older) => {
                            tickets.push_back(ticket);
                            ends.end(older);
                        }
                        Pushed::AlreadyShown(job, older) => ends.end([job].into_iter().chain(older)),
                        Pushed::Full(job) => ends.end([job]),
                    }
                }
                Step::RemoveOldest => ends.end(tickets.pop_front().and_then(|ticket| outbox.remove(ticket))),
                Step::Pass(by) => now += seconds(by),
                Step::Send(_) | Step::TurnedAway => match outbox.next(now, Duration::ZERO) {
                    Next::Send(sending) => {
                        let rest = outbox.waiting.keys().next();
                        prop_assert!(rest.is_none_or(|turn| sending.turn < *turn));
                        sent.push(now);
                        match step {
                            Step::Send(outcome) => ends.end([outbox.sent(now, sending, outcome)]),
                            _ => ends.end(outbox.give_back(now, sending)),
                        }
                    }
                    Next::AlreadyShown(job) => ends.end([job]),
                    Next::Wait(until) => prop_assert!(until > now),
                    Next::Nothing => prop_assert!(outbox.is_empty()),
                },
            }
            prop_assert_eq!(outbox.turns.len(), outbox.waiting.len());
            prop_assert!(outbox.len() <= pace.capacity);
        }
        for (count, window) in [(2, pace.gap), (6, MINUTE), (21, HOUR)] {
            for some in sent.windows(count) {
                prop_assert!(some[count - 1] >= some[0] + window, "{} within {:?}", count, window);
            }
        }
        let waiting: Vec<usize> = outbox.waiting.values().map(|(_, _, job)| *job).collect();
        ends.end(waiting);
        prop_assert_eq!(ends.0.len(), pushed);
        prop_assert!(ends.0.values().all(|times| *times == 1), "{:?}", ends.0);
    }
}
