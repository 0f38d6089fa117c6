//! Classifies the answers of registries.

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

/// Media types of image manifests: OCI, and Docker schema 2.
/// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Default duration of a rate limit.
const LIMIT: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_LIMIT: SignedDuration = SignedDuration::from_hours(1);

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    There,
    Missing,
    Unauthorized,
    Forbidden,
    NotAllowed,
    Redirect,
    Limited,
    /// A temporary failure.
    Failed(StatusCode),
    /// A success that isn't a registry's answer.
    WebPage,
    /// Any other status.
    Other(StatusCode),
}

pub(super) fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match status.as_u16() {
        200 if kind.trim_start().to_ascii_lowercase().starts_with("text/html") => Verdict::WebPage,
        200 => Verdict::There,
        301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
        401 => Verdict::Unauthorized,
        403 => Verdict::Forbidden,
        404 => Verdict::Missing,
        405 | 501 => Verdict::NotAllowed,
        429 => Verdict::Limited,
        408 | 500..=599 => Verdict::Failed(status),
        _ => Verdict::Other(status),
    }
}

/// Returns when to ask again: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3),
/// within bounds.
pub(super) fn retry_at(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds =
        |text: &str| text.parse::<u32>().ok().map(|seconds| SignedDuration::from_secs(seconds.into()));
    let date = |text: &str| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(date.duration_since(now))
    };
    let wait = text.and_then(|text| seconds(text).or_else(|| date(text)));
    let wait = wait.unwrap_or(LIMIT).clamp(SignedDuration::from_secs(1), LONGEST_LIMIT);
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn limits_last_as_long_as_told_within_bounds() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let wait = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            }
            retry_at(&headers, now).duration_since(now).as_secs()
        };
        assert_eq!(wait(Some("7")), 7);
        assert_eq!(wait(Some("Fri, 02 Jan 2026 03:04:35 GMT")), 30);
        assert_eq!(wait(Some("Thu, 01 Jan 2026 03:04:35 GMT")), 1);
        assert_eq!(wait(Some("0")), 1);
        assert_eq!(wait(Some("4000000000")), 3600);
        for unsaid in [None, Some("soon"), Some("-5"), Some("")] {
            assert_eq!(wait(unsaid), 60, "{unsaid:?}");
        }
    }

    #[test]
    fn a_web_page_is_no_manifest() {
        let mut headers = HeaderMap::new();
        assert_eq!(verdict(StatusCode::OK, &headers), Verdict::There);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("Text/HTML; charset=utf-8"));
        assert_eq!(verdict(StatusCode::OK, &headers), Verdict::WebPage);
        assert_eq!(verdict(StatusCode::NOT_FOUND, &headers), Verdict::Missing);
    }
}
