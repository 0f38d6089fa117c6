//! Hours: spans of time, coming again and again, within which deployments may be created.
//!
//! The rules of time zones are those built into the program, not those of the machine.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::{Asked, Verdict};
use crate::api::Hours;
use crate::core::environment::resolved::Mistake;

/// The longest span. Leap days apart, whatever comes again comes again within it.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// How far ahead a beginning is looked for: past the next leap day.
const FAR: SignedDuration = SignedDuration::from_hours(5 * 366 * 24);

/// A span of time that comes again and again, checked.
#[derive(Clone, Debug)]
pub struct Span {
    /// When it begins, in clock time.
    start: Crontab,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Span {
    /// Checks what a PreviewRepository says. `field` is what the span is called in errors, as `spec.environments[staging].gates.hours[0]`.
    ///
    /// # Errors
    /// `HoursInvalid`.
    pub fn new(hours: &Hours, field: &str) -> Result<Self, Mistake> {
        let invalid = |message: String| Mistake { reason: "HoursInvalid", message };
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
            // A sixth would be a time zone.
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

    /// The first beginning after a time; `None` when there is none within the next years, as for 30 February.
    ///
    /// A beginning that the clocks jump over doesn't come that day; of two that come when clocks are set back, the first counts.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // The expression knows no zone: it is driven with clock time, told as if it were UTC.
        let mut clock = self.zone.to_datetime(after);
        let far = after.checked_add(FAR).ok()?;
        loop {
            let told = clock.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let start: DateTime = self.start.find_next(MakeTimestamp(told)).ok()?.datetime();
            let ambiguous = self.zone.to_ambiguous_timestamp(start);
            let jumped_over = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let begins = ambiguous.earlier().ok().filter(|begins| *begins <= far)?;
            if !jumped_over && begins > after {
                return Some(begins);
            }
            clock = start;
        }
    }

    /// Whether the time is within the span.
    pub fn contains(&self, time: Timestamp) -> bool {
        time.checked_sub(self.duration)
            .ok()
            .and_then(|before| self.next(before))
            .is_some_and(|begins| begins <= time)
    }
}

pub(super) fn judge(asked: &Asked<'_>, hours: &[Hours]) -> Verdict {
    if hours.is_empty() {
        return Verdict::unset();
    }
    if let Some(forced) = asked.forced() {
        return forced;
    }
    let mut spans = Vec::with_capacity(hours.len());
    for (index, hours) in hours.iter().enumerate() {
        let field = format!("spec.environments[{}].gates.hours[{index}]", asked.request.environment);
        match Span::new(hours, &field) {
            Ok(span) => spans.push((span, field, hours)),
            Err(mistake) => return Verdict::mended_by_configuration(mistake),
        }
    }
    if let Some((.., open)) = spans.iter().find(|(span, ..)| span.contains(asked.now)) {
        return Verdict::Passed {
            message: format!("within the hours that begin {} {}", open.start, open.time_zone),
        };
    }
    let mut next: Option<(Timestamp, &Span)> = None;
    for (span, field, hours) in &spans {
        let Some(begins) = span.next(asked.now) else {
            return Verdict::mended_by_configuration(Mistake {
                reason: "HoursInvalid",
                message: format!("{field}.start: {:?} never comes", hours.start),
            });
        };
        if next.is_none_or(|(earliest, _)| begins < earliest) {
            next = Some((begins, span));
        }
    }
    let (again, message) = next.map_or((None, "hours".to_owned()), |(begins, span)| {
        let clock = begins.to_zoned(span.zone.clone());
        let zone = span.zone.iana_name().unwrap_or("UTC");
        (Some(begins), format!("hours from {} {zone}", clock.strftime("%a %F %H:%M")))
    });
    Verdict::Waiting { reason: "OutsideHours", message, again }
}
