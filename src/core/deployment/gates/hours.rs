//! The gate `hours`: recurring time spans in which Matinee may create deployments.
//!
//! Time zone rules come from the database that is built into the binary, not from the machine.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::{GateInput, GateVerdict};
use crate::api::Hours;
use crate::core::mistake::{Mistake, Reason};

/// The longest span. Apart from leap days, every schedule recurs within it.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// How far ahead to search for the next start: past the next leap day.
const FAR: SignedDuration = SignedDuration::from_hours(5 * 366 * 24);

/// A validated recurring time span.
#[derive(Clone, Debug)]
pub struct Span {
    /// When the span starts, in the local time of `zone`.
    start: Crontab,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Span {
    /// Validates the hours of a PreviewRepository. `field` is the path that errors name, for
    /// example `spec.environments[staging].gates.hours[0]`.
    ///
    /// # Errors
    /// `HoursInvalid`.
    pub fn new(hours: &Hours, field: &str) -> Result<Self, Mistake> {
        let invalid = |message: String| Mistake { reason: Reason::HoursInvalid, message };
        let zone = TimeZoneDatabase::bundled().get(&hours.time_zone).map_err(|_| {
            invalid(format!(
                "{field}.timeZone: there is no time zone {:?}: write it like Europe/Berlin, or leave it out for UTC",
                hours.time_zone
            ))
        })?;
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let start = cronexpr::parse_crontab_with(&hours.start, options)
            .ok()
            // cronexpr takes a sixth field as the time zone.
            .filter(|_| hours.start.split_whitespace().count() == 5)
            .ok_or_else(|| {
                invalid(format!(
                    "{field}.start: {:?} is not five fields of cron (minute, hour, day of month, month, day of week): write it like 0 9 * * MON-FRI",
                    hours.start
                ))
            })?;
        let duration = SignedDuration::try_from(hours.duration.as_std())
            .ok()
            .filter(|duration| duration.is_positive() && *duration <= LONGEST)
            .ok_or_else(|| {
                invalid(format!("{field}.duration: {} is not between 1s and 366d", hours.duration))
            })?;
        Ok(Self { start, duration, zone })
    }

    /// Returns the first start after a time; `None` when there is none within five years, as for 30
    /// February.
    ///
    /// A start that falls into the gap of a clock change is skipped. When the clocks are set back
    /// and the start occurs twice, the first one counts.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // The cron expression has no time zone, so it is given local time labelled as UTC.
        let mut clock = self.zone.to_datetime(after);
        let far = after.checked_add(FAR).ok()?;
        loop {
            let labelled = clock.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let start: DateTime = self.start.find_next(MakeTimestamp(labelled)).ok()?.datetime();
            let ambiguous = self.zone.to_ambiguous_timestamp(start);
            let jumped_over = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let begins = ambiguous.earlier().ok().filter(|begins| *begins <= far)?;
            if !jumped_over && begins > after {
                return Some(begins);
            }
            clock = start;
        }
    }

    /// Returns whether the time is within the span.
    pub fn contains(&self, time: Timestamp) -> bool {
        time.checked_sub(self.duration)
            .ok()
            .and_then(|before| self.next(before))
            .is_some_and(|begins| begins <= time)
    }
}

pub(super) fn judge(asked: &GateInput<'_>, hours: &[Hours]) -> GateVerdict {
    if hours.is_empty() {
        return GateVerdict::unset();
    }
    if let Some(forced) = asked.forced() {
        return forced;
    }
    let mut spans = Vec::with_capacity(hours.len());
    for (index, hours) in hours.iter().enumerate() {
        let field = format!("spec.environments[{}].gates.hours[{index}]", asked.request.environment);
        match Span::new(hours, &field) {
            Ok(span) => spans.push((span, field, hours)),
            Err(mistake) => return GateVerdict::mended_by_configuration(mistake),
        }
    }
    if let Some((.., open)) = spans.iter().find(|(span, ..)| span.contains(asked.now)) {
        return GateVerdict::Passed {
            message: format!("within the hours that begin {} {}", open.start, open.time_zone),
        };
    }
    let mut next: Option<(Timestamp, &Span)> = None;
    for (span, field, hours) in &spans {
        let Some(begins) = span.next(asked.now) else {
            return GateVerdict::mended_by_configuration(Mistake {
                reason: Reason::HoursInvalid,
                message: format!("{field}.start: {:?} matches no date", hours.start),
            });
        };
        if next.is_none_or(|(earliest, _)| begins < earliest) {
            next = Some((begins, span));
        }
    }
    let (again, message) = next.map_or((None, "outside deployment hours".to_owned()), |(begins, span)| {
        let clock = begins.to_zoned(span.zone.clone());
        let zone = span.zone.iana_name().unwrap_or("UTC");
        (Some(begins), format!("outside deployment hours until {} {zone}", clock.strftime("%a %F %H:%M")))
    });
    GateVerdict::Waiting { reason: "OutsideHours", message, again }
}
