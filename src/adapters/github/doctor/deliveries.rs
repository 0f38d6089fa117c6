//! Checks an App's webhook: its URL, and whether its deliveries succeed.

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::github::registration::manifest::WEBHOOK_PATH;
use crate::core::doctor::{Finding, Subject, shown_url, some_of};

/// The webhook of an App. <https://docs.github.com/rest/apps/webhooks#get-a-webhook-configuration-for-an-app>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// URL of the webhook; empty when there is none.
    pub url: String,
    /// `json` or `form`.
    pub content_type: String,
    /// Whether deliveries are signed.
    pub signed: bool,
    /// Whether the certificate of the URL's host isn't verified.
    pub insecure: bool,
}

/// A webhook delivery, or a redelivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Id of the delivery, the same for each redelivery.
    pub guid: String,
    /// GitHub's word for the result, for example `OK` or `timed out`.
    pub status: String,
    /// HTTP status of the response; 0 without a response.
    pub code: u16,
}

/// Checks the webhook's configuration. `settings` is the URL of the App's settings.
pub fn hook(hook: Option<&Hook>, settings: &str) -> Vec<Finding> {
    let subject = Subject::new("webhook");
    let Some(hook) = hook.filter(|hook| !hook.url.is_empty()) else {
        return vec![subject.warning(
            "the App has none: unless the repositories have webhooks, Matinee learns of changes with the next sweep only",
            format!("set its URL under {settings}: https://<the operator's host>{WEBHOOK_PATH}"),
        )];
    };
    let url = shown_url(&hook.url);
    let mut findings = Vec::new();
    if !url.ends_with(WEBHOOK_PATH) {
        findings.push(subject.problem(
            format!("its URL {url} doesn't end in {WEBHOOK_PATH}"),
            format!("correct the webhook's URL under {settings}"),
        ));
    }
    if hook.content_type != "json" {
        findings.push(subject.problem(
            format!("Matinee rejects its content type \"{}\"", hook.content_type),
            format!("set the webhook's content type to application/json under {settings}"),
        ));
    }
    if !hook.signed {
        findings.push(
            subject.problem("it has no secret, so Matinee rejects its deliveries", same_secret(settings)),
        );
    }
    if hook.insecure {
        findings.push(subject.warning(
            "GitHub doesn't verify the certificate of its URL: others could read the deliveries",
            format!("enable SSL verification under {settings}"),
        ));
    }
    if findings.is_empty() {
        findings.push(subject.ok(format!("its URL is {url}")));
    }
    findings
}

/// Checks the newest deliveries, given newest first. Of a delivery and its redeliveries the newest
/// one counts.
pub fn deliveries(newest_first: &[Delivery], settings: &str) -> Finding {
    let subject = Subject::new("deliveries");
    let mut seen = BTreeSet::new();
    let last: Vec<&Delivery> = newest_first.iter().filter(|one| seen.insert(one.guid.as_str())).collect();
    let has_arrived = |one: &Delivery| (200..300).contains(&one.code);
    let Some(newest) = last.first() else {
        return subject.warning(
            "none in the last days",
            format!("redeliver the ping under {settings}/advanced, and look at its response"),
        );
    };
    let mut failures: BTreeMap<String, (usize, u16)> = BTreeMap::new();
    for one in last.iter().filter(|one| !has_arrived(one)) {
        let kind = match one.code {
            0 => format!("without a response ({})", one.status),
            code => format!("with response {code}"),
        };
        failures.entry(kind).or_insert((0, one.code)).0 += 1;
    }
    // The remedy is for the most frequent kind of failure.
    let Some((_, code)) = failures.values().max_by_key(|(count, _)| *count) else {
        return subject.ok(format!("the last {} succeeded", last.len()));
    };
    let failed: usize = failures.values().map(|(count, _)| count).sum();
    let kinds = failures.iter().map(|(kind, (count, _))| format!("{count} {kind}"));
    let message = format!("{failed} of the last {} failed: {}", last.len(), some_of(kinds, 4));
    if has_arrived(newest) {
        subject.warning(format!("{message}; the newest succeeded"), remedy(*code, settings))
    } else {
        subject.problem(message, remedy(*code, settings))
    }
}

fn same_secret(settings: &str) -> String {
    format!("set the webhook's secret under {settings} to the one in the operator's --webhook-secret-file")
}

/// Returns the remedy for deliveries with this status code, 0 without a response.
fn remedy(code: u16, settings: &str) -> String {
    let see = format!("see {settings}/advanced");
    match code {
        401 | 403 => format!("the secrets differ: {}", same_secret(settings)),
        404 | 405 => format!(
            "correct the webhook's URL under {settings}: it must end in {WEBHOOK_PATH} and lead to the operator"
        ),
        415 => format!("set the webhook's content type to application/json under {settings}"),
        413 => "raise --webhook-max-bytes, and the limit of the proxy before the operator".to_owned(),
        301..=399 => {
            format!("GitHub follows no redirect: set the webhook's URL under {settings} to the final URL")
        }
        502..=504 => format!(
            "the proxy before the operator can't reach it: check the operator's pods and its Service; {see}"
        ),
        500.. => format!("look at the operator's log; {see}"),
        0 => format!(
            "make the webhook's URL reachable from the internet: check its DNS record, its certificate and the firewall; {see}"
        ),
        _ => format!("look at the response: {see}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::doctor::Verdict;

    const SETTINGS: &str = "https://github.com/settings/apps/matinee";

    fn good() -> Hook {
        Hook {
            url: "https://m.example.com/webhooks/github".into(),
            content_type: "json".into(),
            signed: true,
            insecure: false,
        }
    }

    #[test]
    fn a_correct_webhook_is_ok() {
        assert_eq!(
            hook(Some(&good()), SETTINGS),
            [Subject::new("webhook").ok("its URL is https://m.example.com/webhooks/github")]
        );
    }

    #[test]
    fn no_webhook_is_a_warning() {
        for none in [None, Some(&Hook::default())] {
            let found = hook(none, SETTINGS);
            assert_eq!((found.len(), found[0].verdict), (1, Verdict::Warning));
            assert!(found[0].remedy.as_ref().unwrap().ends_with("/webhooks/github"), "{found:?}");
        }
    }

    #[test]
    fn each_mistake_has_its_remedy() {
        for (wrong, verdict, message, remedy) in [
            (
                Hook { url: "https://m.example.com/".into(), ..good() },
                Verdict::Problem,
                "doesn't end in /webhooks/github",
                "correct the webhook's URL",
            ),
            (
                Hook { content_type: "form".into(), ..good() },
                Verdict::Problem,
                "content type \"form\"",
                "application/json",
            ),
            (Hook { signed: false, ..good() }, Verdict::Problem, "no secret", "--webhook-secret-file"),
            (Hook { insecure: true, ..good() }, Verdict::Warning, "certificate", "SSL verification"),
        ] {
            let found = hook(Some(&wrong), SETTINGS);
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].message.contains(message), "{found:?}");
            let shown = found[0].remedy.as_ref().unwrap();
            assert!(shown.contains(remedy) && shown.contains(SETTINGS), "{found:?}");
        }
    }

    fn attempts(codes: &[(u16, &str, &str)]) -> Finding {
        let all: Vec<Delivery> = codes
            .iter()
            .map(|(code, status, guid)| Delivery {
                guid: (*guid).into(),
                status: (*status).into(),
                code: *code,
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
        assert_eq!(
            mixed.message,
            "3 of the last 4 failed: 2 with response 403, 1 without a response (timed out)"
        );
        assert!(mixed.remedy.unwrap().contains("secrets differ"));
        let over = attempts(&[(202, "OK", "b"), (403, "", "a")]);
        assert_eq!(over.verdict, Verdict::Warning);
        assert!(over.message.ends_with("the newest succeeded"));
    }
}
