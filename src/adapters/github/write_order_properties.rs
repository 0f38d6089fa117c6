use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push(Write),
    RemoveOldest,
    Send(WriteOutcome),
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
    let outcome =
        prop::sample::select(vec![WriteOutcome::Accepted, WriteOutcome::Refused, WriteOutcome::Unknown]);
    prop_oneof![
        4 => (0_i64..4, state).prop_map(|(id, state)| Step::Push(status(id, state))),
        1 => prop::sample::select(vec![Write::Create, Write::Comment, Write::React]).prop_map(Step::Push),
        2 => (0_i64..3).prop_map(|id| Step::Push(Write::EditComment(id))),
        2 => (0..2_u8, 0..2_u8).prop_map(|(sha, context)| Step::Push(commit(&sha.to_string(), &context.to_string()))),
        1 => Just(Step::RemoveOldest),
        4 => outcome.prop_map(Step::Send),
        1 => Just(Step::TurnedAway),
        2 => (1_u64..30).prop_map(Step::Pass),
    ]
}

/// Tracks every write to its end.
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
    /// For any sequence of steps, each write ends exactly once, the pace is kept, no write
    /// overtakes a more urgent one, and at most one write waits for each subject.
    #[test]
    fn every_write_ends_once_and_the_pace_is_kept(burst in 1..4_u32, steps in prop::collection::vec(any_step(), 1..120)) {
        let pace = Pace { gap: seconds(2), burst, per_minute: 5, per_hour: 20, capacity: 6 };
        let mut outbox: Outbox<usize> = Outbox::new(pace);
        let (mut ends, mut pushed, mut tickets) = (Ends::default(), 0, VecDeque::new());
        let (mut now, mut sent): (Duration, Vec<Duration>) = (seconds(0), Vec::new());
        let mut answers: Vec<Duration> = Vec::new();
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
                        // Only a write whose share is used up may be overtaken.
                        let mut rest = outbox.waiting.iter().filter(|(_, (_, write, _))| {
                            write.share().is_none_or(|share| sending.write.share() == Some(share))
                        });
                        prop_assert!(rest.next().is_none_or(|(turn, _)| sending.turn < *turn));
                        sent.push(now);
                        if sending.write.share() == Some(Share::Answers) {
                            answers.push(now);
                        }
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
            let mut subjects: Vec<_> =
                outbox.waiting.values().filter_map(|(_, write, _)| write.subject()).collect();
            prop_assert_eq!(subjects.len(), outbox.subjects.len(), "two waiting writes have the same subject");
            subjects.retain(|subject| !outbox.subjects.contains_key(subject));
            prop_assert!(subjects.is_empty());
            prop_assert!(outbox.len() <= pace.capacity);
        }
        // The burst, and one more write after each gap.
        for gaps in 1..4 {
            for some in sent.windows((burst + gaps) as usize) {
                let (first, last) = (some[0], some[some.len() - 1]);
                prop_assert!(last >= first + pace.gap * gaps, "{} within {:?}", some.len(), pace.gap * gaps);
            }
        }
        for (count, window) in [(6, MINUTE), (21, HOUR)] {
            for some in sent.windows(count) {
                prop_assert!(some[count - 1] >= some[0] + window, "{} within {:?}", count, window);
            }
        }
        for (count, window) in [(2, MINUTE), (7, HOUR)] {
            for some in answers.windows(count) {
                prop_assert!(some[count - 1] >= some[0] + window, "{} answers within {:?}", count, window);
            }
        }
        let waiting: Vec<usize> = outbox.waiting.values().map(|(_, _, job)| *job).collect();
        ends.end(waiting);
        prop_assert_eq!(ends.0.len(), pushed);
        prop_assert!(ends.0.values().all(|times| *times == 1), "{:?}", ends.0);
    }
}
