//! Freshness of an object: what its annotation `matinee.dev/pull-request-updated-at` records of its
//! pull request, namely the [version](PullRequest::version) and the deliveries that reported it.
//!
//! GitHub's times are in whole seconds. When a pull request is closed, reopened and closed again
//! within one second, its version is the same as before. Each delivery therefore counts once.
//! GitHub keeps a delivery's id when it redelivers, and the record holds a digest of each delivery
//! of its second. A sweep has no delivery; it compares only versions.
//!
//! [`PullRequest::version`]: super::forge::PullRequest::version

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// Version of a pull request that isn't open any more.
const GONE: &str = "- gone";
/// Most deliveries in a record.
const MOST_DELIVERIES: usize = 8;
/// Length of a delivery's digest, in hexadecimal digits.
const DIGEST: usize = 12;

/// Digest of the id of a webhook delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery(String);

impl Delivery {
    /// Creates the digest from the value of the header `X-GitHub-Delivery`. A redelivery has the
    /// same id.
    pub fn new(id: &str) -> Self {
        Self(hex::encode(Sha256::digest(id))[..DIGEST].to_owned())
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the record after a delivery reported this version. `None`: the object has recorded the
/// delivery already, or a later state.
pub fn reported(known: Option<&str>, version: &str, delivery: &str) -> Option<String> {
    let before = deliveries_of(known, version)?;
    (!before.contains(&delivery)).then(|| with_deliveries(version, before.into_iter().chain([delivery])))
}

/// Returns the record after a sweep found this version. `None`: the object has recorded it already,
/// or a later state.
pub fn found(known: Option<&str>, version: &str) -> Option<String> {
    let before = deliveries_of(known, version)?;
    let is_known = known.is_some_and(|known| is_version(known, version));
    (!is_known).then(|| with_deliveries(version, before.into_iter()))
}

/// Returns the deliveries that a record of this version keeps of the record before: those of the
/// same second, and those before a sweep didn't find the pull request. `None`: the record before is
/// of a later state.
fn deliveries_of<'a>(known: Option<&'a str>, version: &str) -> Option<Vec<&'a str>> {
    match known {
        Some(known) if time(known) > time(version) => None,
        Some(known) if is_gone(known) || time(known) == time(version) => Some(deliveries(known).collect()),
        _ => Some(Vec::new()),
    }
}

/// Returns the record after a sweep at `now` didn't find the pull request among the open ones. The
/// record keeps the earlier deliveries, because the next sweep may find the pull request again.
pub fn gone(known: Option<&str>, now: Timestamp) -> String {
    let now = now.to_string();
    with_deliveries(GONE, deliveries(known.unwrap_or_default()).chain([now.as_str()]))
}

/// Returns a record that has the object reconciled again at `now`, although GitHub reported
/// nothing.
pub fn again(known: Option<&str>, now: Timestamp) -> String {
    let known = known.unwrap_or_default();
    let mut parts = known.split(' ').filter(|part| !part.is_empty());
    let version = [parts.next().unwrap_or("-"), parts.next().unwrap_or("-")].join(" ");
    let now = now.to_string();
    with_deliveries(&version, parts.chain([now.as_str()]))
}

/// Whether `record` contains something that `known` doesn't.
pub fn is_newer(known: Option<&str>, record: &str) -> bool {
    let Some(known) = known else { return true };
    if is_gone(record) {
        return !is_gone(known) || missed_at(known) != missed_at(record);
    }
    if time(known) != time(record) {
        return time(known) < time(record);
    }
    if deliveries(record).next().is_none() {
        return !is_version(known, record);
    }
    deliveries(record).any(|delivery| deliveries(known).all(|known| known != delivery))
}

/// Adds a delivery to the list of an object that records nothing else. `None`: the list contains
/// the delivery already.
pub fn delivered(known: Option<&str>, delivery: &str) -> Option<String> {
    let known: Vec<&str> = known.unwrap_or_default().split(' ').filter(|part| !part.is_empty()).collect();
    if known.contains(&delivery) {
        return None;
    }
    Some(newest(known.into_iter().chain([delivery])).join(" "))
}

/// Whether a sweep after that time didn't find the pull request.
pub fn is_gone_since(record: &str, since: Timestamp) -> bool {
    let when = missed_at(record).filter(|_| is_gone(record));
    when.and_then(|when| when.parse::<Timestamp>().ok()).is_some_and(|when| when > since)
}

/// When a sweep didn't find the pull request.
fn missed_at(record: &str) -> Option<&str> {
    record.rsplit(' ').next()
}

fn is_gone(record: &str) -> bool {
    record.starts_with(GONE)
}

/// Time of a record, which sorts as text: RFC 3339 in UTC, in whole seconds. A pull request that
/// isn't open any more has the earliest time.
fn time(record: &str) -> &str {
    record.split(' ').next().unwrap_or_default()
}

fn is_version(record: &str, version: &str) -> bool {
    record.split(' ').take(2).eq(version.split(' ').take(2))
}

fn deliveries(record: &str) -> impl Iterator<Item = &str> {
    record.split(' ').skip(2).filter(|part| !part.is_empty())
}

fn with_deliveries<'a>(version: &str, deliveries: impl Iterator<Item = &'a str>) -> String {
    std::iter::once(version).chain(newest(deliveries)).collect::<Vec<_>>().join(" ")
}

fn newest<'a>(deliveries: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let all: Vec<&str> = deliveries.collect();
    all[all.len().saturating_sub(MOST_DELIVERIES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "2026-01-02T03:04:05Z 00000000";
    const CLOSED: &str = "2026-01-02T03:04:05Z ffffffff";
    const BEFORE: &str = "2026-01-02T03:04:04Z ffffffff";
    const AFTER: &str = "2026-01-02T03:04:06Z 00000000";

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    /// Returns the record after these deliveries, each of which is new.
    fn after(deliveries: &[(&str, &str)]) -> String {
        let record = deliveries.iter().fold(None, |known: Option<String>, (version, delivery)| {
            let next = reported(known.as_deref(), version, delivery);
            assert!(next.is_some(), "{delivery} after {known:?}");
            next
        });
        record.unwrap()
    }

    #[test]
    fn each_delivery_of_a_second_is_new_once() {
        let changes = [(CLOSED, "a"), (OPEN, "b"), (CLOSED, "c")];
        let record = after(&changes);
        assert_eq!(record, format!("{CLOSED} a b c"), "closed, reopened and closed within a second");
        for (version, delivery) in changes {
            assert_eq!(reported(Some(&record), version, delivery), None, "{delivery} sent again");
        }
        assert_eq!(reported(Some(&record), BEFORE, "d"), None, "an old event");
        assert_eq!(reported(Some(&record), AFTER, "d"), Some(format!("{AFTER} d")));
        assert_eq!(reported(Some(OPEN), OPEN, "a"), Some(format!("{OPEN} a")), "a sweep was faster");
    }

    #[test]
    fn a_record_stays_short() {
        let names: Vec<String> = (0..20).map(|number| format!("d{number}")).collect();
        let all: Vec<_> = names.iter().map(|name| (OPEN, name.as_str())).collect();
        let record = after(&all);
        assert_eq!(record, format!("{OPEN} {}", names[12..].join(" ")));
        let list = names.iter().fold(None, |known: Option<String>, name| delivered(known.as_deref(), name));
        assert_eq!(list, Some(names[12..].join(" ")));
    }

    #[test]
    fn a_delivery_is_known_by_its_id() {
        let [one, again, other] = ["a", "a", "b"].map(|id| Delivery::new(id).to_string());
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_eq!(one.len(), DIGEST);
        assert_eq!(delivered(None, &one), Some(one.clone()));
        assert_eq!(delivered(Some(&one), &again), None);
        assert_eq!(delivered(Some(&one), &other), Some(format!("{one} {other}")));
    }

    #[test]
    fn a_sweep_that_finds_what_was_reported_finds_nothing_new() {
        let record = after(&[(OPEN, "a")]);
        assert_eq!(found(None, OPEN).as_deref(), Some(OPEN));
        assert_eq!(found(Some(OPEN), OPEN), None);
        assert_eq!(found(Some(&record), OPEN), None);
        assert_eq!(found(Some(&record), BEFORE), None);
        let other = found(Some(&record), CLOSED).expect("another state of the same second");
        assert_eq!(reported(Some(&other), OPEN, "a"), None, "the record keeps the delivery");
        assert_eq!(found(Some(&record), AFTER).as_deref(), Some(AFTER));
    }

    #[test]
    fn the_same_can_be_reconciled_once_more() {
        for known in [OPEN.to_owned(), after(&[(OPEN, "a")])] {
            let record = again(Some(&known), at(2));
            assert_ne!(record, known);
            assert!(is_newer(Some(&known), &record));
            assert_eq!(found(Some(&record), OPEN), None);
            assert_eq!(reported(Some(&record), OPEN, "a").is_some(), known == OPEN);
        }
        assert!(found(Some(&again(None, at(1))), BEFORE).is_some());
    }

    #[test]
    fn missing_pull_request_is_newer_and_so_is_its_return() {
        let missing = gone(None, at(1));
        assert!(is_newer(Some(&after(&[(AFTER, "a")])), &missing));
        assert!(is_newer(Some(&missing), &gone(Some(&missing), at(2))));
        assert!(!is_newer(Some(&missing), &missing));
        assert!(reported(Some(&missing), BEFORE, "a").is_some());
        assert!(found(Some(&missing), BEFORE).is_some());
        assert!(is_gone_since(&missing, at(0)) && !is_gone_since(&missing, at(1)));
        assert!(is_gone_since(&again(Some(&missing), at(2)), at(1)));
        assert!(!is_gone_since(&after(&[(CLOSED, "a")]), at(0)));
    }

    #[test]
    fn a_delivery_is_known_though_a_sweep_missed_its_pull_request() {
        let known = after(&[(OPEN, "a"), (CLOSED, "b")]);
        let missing = gone(Some(&known), at(1));
        assert!(is_gone(&missing) && is_gone_since(&missing, at(0)), "{missing}");
        assert_eq!(reported(Some(&missing), OPEN, "a"), None);
        let again = found(Some(&missing), CLOSED).expect("a sweep finds it again");
        for (version, delivery) in [(OPEN, "a"), (CLOSED, "b")] {
            assert_eq!(reported(Some(&again), version, delivery), None, "{delivery} sent again");
        }
        assert!(!is_newer(Some(&gone(None, at(1))), &missing), "the same sweep");
        assert!(
            reported(Some(&again), CLOSED, "c").is_some() && reported(Some(&missing), AFTER, "c").is_some()
        );
    }

    #[test]
    fn another_replicas_record_is_new_while_its_deliveries_are_not_known() {
        let both = after(&[(CLOSED, "a"), (OPEN, "b")]);
        assert!(is_newer(None, &both));
        assert!(!is_newer(Some(&both), &both));
        assert!(is_newer(Some(&after(&[(CLOSED, "a")])), &both));
        assert!(!is_newer(Some(&both), &after(&[(CLOSED, "a")])), "an object that lags behind");
        assert!(!is_newer(Some(&both), &after(&[(OPEN, "b")])), "an object that came later");
        assert!(!is_newer(Some(&both), OPEN) && is_newer(Some(&both), CLOSED), "found by a sweep");
        assert!(is_newer(Some(&both), AFTER) && !is_newer(Some(&both), BEFORE));
    }
}
