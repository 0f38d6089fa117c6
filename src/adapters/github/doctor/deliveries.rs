//! Checks an App's webhook: its URL, and whether its deliveries succeed.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::adapters::github::registration::manifest::WEBHOOK_PATH;
use crate::core::doctor::{Finding, Subject, shown_url};

/// The webhook of an App. <https://docs.github.com/rest/apps/webhooks#get-a-webhook-configuration-for-an-app>
#[derive(Clone, Debug, Deserialize)]
pub struct Hook {
    pub url: Option<String>,
    /// 1 if GitHub doesn't verify the certificate of the URL's host, as a string or a number.
    #[serde(default)]
    pub insecure_ssl: Value,
}

/// A webhook delivery, or a redelivery.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// Id of the delivery, the same for each redelivery.
    pub guid: String,
    /// GitHub's word for the result, for example `OK` or `timed out`.
    pub status: String,
    /// HTTP status of the response; 0 without a response.
    pub status_code: u16,
}

/// Checks the webhook's configuration. `settings` is the URL of the App's settings. The responses to
/// deliveries show a wrong URL, content type or secret.
pub fn hook(hook: Option<&Hook>, settings: &str) -> Finding {
    let subject = Subject::new("webhook");
    let Some(hook) = hook else {
        return subject.warning(
            "the App has none: unless the repositories have webhooks, Matinee learns of changes with the next sweep only",
            format!("set its URL under {settings}: https://<the operator's host>{WEBHOOK_PATH}"),
        );
    };
    if hook.insecure_ssl == "1" || hook.insecure_ssl == 1 {
        let message = "GitHub doesn't verify the certificate of its URL: others could read the deliveries";
        return subject.warning(message, format!("enable SSL verification under {settings}"));
    }
    subject.ok(format!("its URL is {}", shown_url(hook.url.as_deref().unwrap_or_default())))
}

/// Checks the newest deliveries, given newest first. Of a delivery and its redeliveries the newest
/// one counts.
pub fn deliveries(newest_first: &[Delivery], settings: &str) -> Finding {
    let subject = Subject::new("deliveries");
    let mut seen = BTreeSet::new();
    let last: Vec<&Delivery> = newest_first.iter().filter(|one| seen.insert(&one.guid)).collect();
    let is_failed = |one: &&&Delivery| !(200..300).contains(&one.status_code);
    let failed: Vec<_> = last.iter().filter(is_failed).collect();
    let (count, settings) = (last.len(), format!("{settings}/advanced"));
    let Some(newest) = last.first() else {
        let remedy = format!("redeliver the ping under {settings}, and look at its response");
        return subject.warning("none in the last days", remedy);
    };
    let Some(failure) = failed.first() else {
        return subject.ok(format!("the last {count} succeeded"));
    };
    let response = match failure.status_code {
        0 => format!("without a response ({})", failure.status),
        code => format!("with response {code}"),
    };
    let message = format!("{} of the last {count} failed, the newest {response}", failed.len());
    let remedy = format!("{}; see {settings}", remedy(failure.status_code));
    if newest.guid == failure.guid {
        subject.problem(message, remedy)
    } else {
        subject.warning(format!("{message}; later ones succeeded"), remedy)
    }
}

/// Returns the remedy for a delivery with this status code, 0 without a response.
fn remedy(code: u16) -> &'static str {
    match code {
        0 => {
            "make its URL reachable from the internet: check its DNS record, its certificate and the firewall"
        }
        301..=399 => "GitHub follows no redirect: set the webhook's URL to the final URL",
        401 | 403 => {
            "the secrets differ: set the webhook's secret to the one in the operator's --webhook-secret-file"
        }
        404 | 405 => "correct the webhook's URL: it must end in /webhooks/github and lead to the operator",
        413 => "raise --webhook-max-bytes, and the limit of the proxy before the operator",
        415 => "set the webhook's content type to application/json",
        502..=504 => {
            "the proxy before the operator can't reach it: check the operator's pods and its Service"
        }
        500.. => "look at the operator's log",
        _ => "look at the response",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::doctor::Verdict;

    const SETTINGS: &str = "https://github.com/settings/apps/matinee";

    fn with(insecure_ssl: Value) -> Hook {
        Hook { url: Some("https://u:s3cret@m.example.com/webhooks/github".into()), insecure_ssl }
    }

    #[test]
    fn a_correct_webhook_is_ok() {
        for secure in [json!("0"), json!(0), Value::Null] {
            assert_eq!(
                hook(Some(&with(secure)), SETTINGS),
                Subject::new("webhook").ok("its URL is https://m.example.com/webhooks/github")
            );
        }
    }

    #[test]
    fn no_webhook_is_a_warning() {
        let found = hook(None, SETTINGS);
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.remedy.as_ref().unwrap().ends_with("/webhooks/github"), "{found:?}");
    }

    #[test]
    fn unverified_certificate_is_a_warning() {
        for insecure in [json!("1"), json!(1)] {
            let found = hook(Some(&with(insecure)), SETTINGS);
            assert_eq!(found.verdict, Verdict::Warning);
            let remedy = found.remedy.as_ref().unwrap();
            assert!(remedy.contains("SSL verification") && remedy.contains(SETTINGS), "{found:?}");
        }
    }

    fn attempts(codes: &[(u16, &str, &str)]) -> Finding {
        let all: Vec<Delivery> = codes
            .iter()
            .map(|(code, status, guid)| Delivery {
                guid: (*guid).into(),
                status: (*status).into(),
                status_code: *code,
            })
            .collect();
        deliveries(&all, SETTINGS)
    }

    #[test]
    fn successful_deliveries_are_ok() {
        assert_eq!(
            attempts(&[(202, "OK", "b"), (200, "OK", "a")]),
            Subject::new("deliveries").ok("the last 2 succeeded")
        );
        let again = attempts(&[(202, "OK", "a"), (503, "", "a")]);
        assert_eq!(again.verdict, Verdict::Ok, "the redelivery succeeded");
        assert_eq!(attempts(&[]).verdict, Verdict::Warning);
    }

    #[test]
    fn failed_deliveries_have_a_remedy_by_their_response() {
        for (code, remedy) in [
            (401, "the secrets differ"),
            (403, "the secrets differ"),
            (404, "must end in /webhooks/github"),
            (415, "application/json"),
            (413, "--webhook-max-bytes"),
            (302, "follows no redirect"),
            (503, "the operator's pods"),
            (500, "the operator's log"),
            (400, "look at the response"),
            (0, "reachable from the internet"),
        ] {
            let finding = attempts(&[(code, "timed out", "a")]);
            assert_eq!(finding.verdict, Verdict::Problem, "{code}");
            assert!(finding.remedy.as_ref().unwrap().contains(remedy), "{code}: {finding:?}");
        }
        let mixed = attempts(&[(403, "", "a"), (403, "", "b"), (0, "timed out", "c"), (202, "OK", "d")]);
        assert_eq!(mixed.verdict, Verdict::Problem);
        assert_eq!(mixed.message, "3 of the last 4 failed, the newest with response 403");
        assert!(mixed.remedy.unwrap().contains("secrets differ"));
        let over = attempts(&[(202, "OK", "b"), (403, "", "a")]);
        assert_eq!(over.verdict, Verdict::Warning);
        assert!(over.message.ends_with("later ones succeeded"));
    }
}
