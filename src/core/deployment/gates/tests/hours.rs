use proptest::prelude::*;

use super::super::hours::Span;
use super::*;
use crate::api::Hours;

fn span(start: &str, duration: &str, zone: &str) -> Result<Span, Mistake> {
    let hours = Hours {
        start: start.to_owned(),
        duration: duration.parse().expect("a duration"),
        time_zone: zone.to_owned(),
    };
    Span::new(&hours, "spec.environments[production].gates.hours[0]")
}

fn valid(start: &str, duration: &str, zone: &str) -> Span {
    span(start, duration, zone).expect("a span")
}

#[test]
fn hours_follow_daylight_saving_time() {
    let span = valid("0 9 * * MON-FRI", "8h", "Europe/Berlin");
    for (time, within) in [
        ("2026-01-05T07:59:59Z", false), // Monday 08:59:59
        ("2026-01-05T08:00:00Z", true),
        ("2026-01-05T15:59:59Z", true),
        ("2026-01-05T16:00:00Z", false),
        ("2026-07-06T06:59:59Z", false),
        ("2026-07-06T07:00:00Z", true),
        ("2026-07-06T15:00:00Z", false),
        ("2026-01-10T12:00:00Z", false), // Saturday
    ] {
        assert_eq!(span.contains(at(time)), within, "{time}");
    }
    assert_eq!(span.next(at("2026-01-09T16:00:00Z")), Some(at("2026-01-12T08:00:00Z")));
}

#[test]
fn a_span_may_go_over_midnight_and_last_for_days() {
    let night = valid("0 22 * * *", "8h", "UTC");
    assert!(night.contains(at("2026-01-05T03:00:00Z")));
    assert!(!night.contains(at("2026-01-05T06:00:00Z")));
    let weekend = valid("0 18 * * FRI", "2d12h", "UTC");
    assert!(weekend.contains(at("2026-01-11T20:00:00Z")));
    assert!(!weekend.contains(at("2026-01-12T06:00:00Z")));
    let always = valid("* * * * *", "366d", "UTC");
    assert!(always.contains(at("2026-01-11T20:00:30Z")));
}

#[test]
fn clock_changes_keep_hours_consistent() {
    // In Berlin, 02:30 did not occur on 29 March 2026 and occurred twice on 25 October.
    let span = valid("30 2 * * *", "30m", "Europe/Berlin");
    assert_eq!(span.next(at("2026-03-28T12:00:00Z")), Some(at("2026-03-30T00:30:00Z")));
    assert!(!span.contains(at("2026-03-29T01:30:00Z")));
    assert_eq!(span.next(at("2026-10-24T12:00:00Z")), Some(at("2026-10-25T00:30:00Z")));
    assert!(!span.contains(at("2026-10-25T01:30:00Z")), "the first of the two counts");
    assert_eq!(span.next(at("2026-10-25T01:15:00Z")), Some(at("2026-10-26T01:30:00Z")));
}

#[test]
fn invalid_hours_are_rejected_with_their_field() {
    for (start, duration, zone, field) in [
        ("0 9 * * MON-FRI", "8h", "Europe/Atlantis", "hours[0].timeZone"),
        ("0 25 * * *", "8h", "UTC", "hours[0].start"),
        ("0 9 * *", "8h", "UTC", "hours[0].start"),
        ("0 9 * * * Europe/Berlin", "8h", "UTC", "hours[0].start"),
        ("0 0 9 * * *", "8h", "UTC", "hours[0].start"),
        ("H 9 * * *", "8h", "UTC", "hours[0].start"),
        ("every day", "8h", "UTC", "hours[0].start"),
        ("0 9 * * *", "0s", "UTC", "hours[0].duration"),
        ("0 9 * * *", "367d", "UTC", "hours[0].duration"),
        ("0 9 * * *", "999999d999999d", "UTC", "hours[0].duration"),
    ] {
        let mistake = span(start, duration, zone).expect_err(start);
        assert_eq!(mistake.reason, "HoursInvalid");
        assert!(mistake.message.contains(field), "{}", mistake.message);
        assert!(!mistake.message.contains('\n'), "{}", mistake.message);
    }
}

#[test]
fn gate_waits_for_the_next_hours() {
    let gates = json!({"hours": [
        {"start": "0 12 * * *", "duration": "1h", "timeZone": "America/New_York"},
        {"start": "0 13 * * *", "duration": "1h", "timeZone": "Europe/Berlin"},
    ]});
    let mut world = World::new(&gates);
    let waiting = GateVerdict::Waiting {
        reason: "OutsideHours",
        message: "outside deployment hours until Mon 2026-01-05 13:00 Europe/Berlin".to_owned(),
        again: Some(at("2026-01-05T12:00:00Z")),
    };
    assert_eq!(world.verdict(WITHIN_HOURS, &Facts::default()), waiting);
    world.now = at("2026-01-05T12:00:00Z");
    assert_eq!(
        world.verdict(WITHIN_HOURS, &Facts::default()).condition().2,
        "within the hours that begin 0 13 * * * Europe/Berlin"
    );
}

#[test]
fn hours_that_never_come_or_are_none_are_refused() {
    for start in ["0 0 30 2 *", "nonsense!"] {
        let world = World::new(&json!({"hours": [{"start": start, "duration": "1h"}]}));
        let verdict = world.verdict(WITHIN_HOURS, &Facts::default());
        assert!(
            matches!(&verdict, GateVerdict::Refused { reason: "HoursInvalid", over: false, message }
                if message.contains("spec.environments[production].gates.hours[0].start")),
            "{verdict:?}"
        );
        assert_eq!(world.needs(), Needs::default());
    }
    let leap = valid("0 0 29 2 *", "1h", "UTC");
    assert_eq!(leap.next(at("2026-01-01T00:00:00Z")), Some(at("2028-02-29T00:00:00Z")));
}

proptest! {
    /// The gate opens exactly at the time that the verdict gives.
    #[test]
    fn next_start_is_when_the_gate_opens(
        minute in 0..60_u8, hour in 0..24_u8, days in "(\\*|[0-6]|MON-FRI)", hours in 1..30_u64,
        zone in prop::sample::select(vec![
            "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo",
        ]),
        second in 1_700_000_000_i64..1_900_000_000,
    ) {
        let span = valid(&format!("{minute} {hour} * * {days}"), &format!("{hours}h"), zone);
        let now = Timestamp::from_second(second).unwrap();
        let next = span.next(now).unwrap();
        prop_assert!(next > now);
        prop_assert!(span.contains(next));
        if !span.contains(now) {
            prop_assert!(!span.contains(next - SignedDuration::from_secs(1)));
        }
    }

    #[test]
    fn any_text_is_a_span_or_a_mistake(start in ".{0,40}|[0-9A-Z*/,# -]{0,30}", zone in ".{0,20}|[A-Z][a-z]+/[A-Z][a-z]+") {
        if let Ok(span) = span(&start, "1h", &zone) {
            let now = at("2026-01-05T10:00:00Z");
            prop_assert!(span.next(now).is_none_or(|next| next > now));
        }
    }
}
