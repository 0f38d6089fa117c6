use serde_json::json;

use super::*;

const NOW: i64 = 1_000_000_000;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Answer {
    let headers =
        headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::from(if body.is_null() { String::new() } else { body.to_string() }),
    }
}

fn verdict(status: u16, headers: &[(&'static str, &str)], message: &str) -> RateLimitSignal {
    answer(status, headers, &json!({"message": message})).verdict(Timestamp::from_second(NOW).unwrap())
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn limits_are_told_from_missing_permissions() {
    let forbidden = "Resource not accessible by integration";
    let exhausted: &[_] = &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000000090")];
    assert_eq!(verdict(403, &[], forbidden), RateLimitSignal::Open);
    assert_eq!(verdict(403, exhausted, forbidden), RateLimitSignal::LastOne(seconds(90)));
    assert_eq!(
        verdict(403, exhausted, "API rate limit exceeded for installation"),
        RateLimitSignal::Primary(seconds(90))
    );
    assert_eq!(verdict(429, exhausted, ""), RateLimitSignal::Primary(seconds(90)));
    assert_eq!(verdict(200, exhausted, ""), RateLimitSignal::LastOne(seconds(90)));
    assert_eq!(verdict(200, &[("x-ratelimit-remaining", "1")], ""), RateLimitSignal::Open);
}

#[test]
fn secondary_limits_say_how_long_or_do_not() {
    let secondary = "You have exceeded a secondary rate limit.";
    assert_eq!(verdict(403, &[("retry-after", "7")], ""), RateLimitSignal::Secondary(Some(seconds(7))));
    assert_eq!(verdict(429, &[("retry-after", "7")], ""), RateLimitSignal::Secondary(Some(seconds(7))));
    assert_eq!(verdict(403, &[], secondary), RateLimitSignal::Secondary(None));
    assert_eq!(
        verdict(403, &[("x-ratelimit-remaining", "4000")], secondary),
        RateLimitSignal::Secondary(None)
    );
    assert_eq!(
        verdict(403, &[], "You have triggered an abuse detection mechanism"),
        RateLimitSignal::Secondary(None)
    );
    assert_eq!(verdict(429, &[("retry-after", "soon")], ""), RateLimitSignal::Secondary(None));
}

#[test]
fn times_are_taken_by_the_clock_of_github() {
    // 1,000,000,000 is 2001-09-09T01:46:40Z. This machine's clock is an hour off.
    let date = ("date", "Sun, 09 Sep 2001 02:46:40 GMT");
    assert_eq!(
        verdict(429, &[date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000003610")], ""),
        RateLimitSignal::Primary(seconds(10))
    );
    assert_eq!(
        verdict(429, &[date, ("retry-after", "Sun, 09 Sep 2001 02:47:00 GMT")], ""),
        RateLimitSignal::Secondary(Some(seconds(20)))
    );
    assert_eq!(
        verdict(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")], ""),
        RateLimitSignal::Primary(Duration::ZERO),
        "a reset in the past"
    );
}

fn call() -> Call {
    Call::get(
        &"acme/shop".parse().unwrap(),
        "/repos/acme/shop/deployments?per_page=100".into(),
        "Deployments: read",
    )
}

#[test]
fn errors_name_the_request_what_github_said_and_the_remedy() {
    let text = |status, headers, body: Value| answer(status, headers, &body).error(&call()).to_string();
    let missing = text(404, &[], json!({"message": "Not Found"}));
    assert!(missing.contains("GET /repos/acme/shop/deployments: 404 Not Found"), "{missing}");
    assert!(missing.contains("the App isn't installed on acme/shop"), "{missing}");
    assert!(missing.contains("Deployments: read"), "{missing}");
    assert!(!missing.contains("per_page"), "{missing}");

    let headers = &[("x-accepted-github-permissions", "deployments=write")];
    let refused = text(403, headers, json!({"message": "Resource not accessible by integration"}));
    assert!(
        refused.contains("Resource not accessible by integration") && refused.contains("deployments=write")
    );

    let suspended = text(403, &[], json!({"message": "This installation has been suspended"}));
    assert!(suspended.contains("end the suspension") && !suspended.contains("permission"), "{suspended}");

    let body = json!({"message": "Validation Failed", "errors": [{"field": "environment", "code": "too_long"}, {"message": "No ref found"}, "plain"]});
    let invalid = answer(422, &[], &body).error(&call());
    assert!(
        matches!(&invalid, ForgeError::Invalid(text)
        if text.ends_with("422 Validation Failed (environment: too_long; No ref found; plain)")),
        "{invalid}"
    );
}

#[test]
fn every_status_has_its_error() {
    let error = |status| answer(status, &[], &Value::Null).error(&call());
    assert!(matches!(error(401), ForgeError::Credentials(_)));
    assert!(matches!(error(403), ForgeError::Forbidden(_)));
    assert!(matches!(error(451), ForgeError::Forbidden(_)));
    assert!(matches!(error(404), ForgeError::NotFound(_)));
    assert!(matches!(error(410), ForgeError::NotFound(_)));
    assert!(matches!(error(202), ForgeError::Conflict(_)));
    assert!(matches!(error(409), ForgeError::Conflict(_)));
    assert!(matches!(error(400), ForgeError::Invalid(_)));
    assert!(matches!(error(422), ForgeError::Invalid(_)));
    for status in [408, 500, 502, 503, 504] {
        assert!(matches!(error(status), ForgeError::Unknown(_)), "{status}");
    }
}

#[test]
fn a_page_of_html_is_not_repeated() {
    let answer = Answer { body: Bytes::from("<html>Unicorn!</html>"), ..answer(502, &[], &Value::Null) };
    assert_eq!(answer.message(), "502 Bad Gateway");
    let long = self::answer(422, &[], &json!({"message": format!("a\nb{}", "x".repeat(9000))}));
    assert!(long.message().starts_with("422 a b") && long.message().chars().count() == 500);
}
