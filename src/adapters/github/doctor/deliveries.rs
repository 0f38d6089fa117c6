//! Checks an App's webhook: its URL, and whether its deliveries succeed.

use std::collections::BTreeMap;

use crate::adapters::github::registration::manifest::WEBHOOK_PATH;
use crate::core::doctor::{Finding, shown_url, some_of};

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

/// Judges the webhook's configuration. `settings` is the URL of the App's settings.
pub fn hook(hook: Option<&Hook>, settings: &str) -> Vec<Finding> {
    const WHAT: &str = "webhook";
    let Some(hook) = hook.filter(|hook| !hook.url.is_empty()) else {
        return vec![Finding::warning(
            WHAT,
            "the App has none: unless repositories have webhooks of their own, only the sweep finds what happens, later",
            format!("set it under {settings}: https://<where the operator listens>{WEBHOOK_PATH}"),
        )];
    };
    let url = shown_url(&hook.url);
    let mut findings = Vec::new();
    if !url.ends_with(WEBHOOK_PATH) {
        findings.push(Finding::problem(
            WHAT,
            format!("it leads to {url}, which doesn't end in {WEBHOOK_PATH}"),
            format!("correct the webhook's URL under {settings}"),
        ));
    }
    if hook.content_type != "json" {
        findings.push(Finding::problem(
            WHAT,
            format!("its content type is {}, which isn't taken", hook.content_type),
            format!("set the webhook's content type to application/json under {settings}"),
        ));
    }
    if !hook.signed {
        findings.push(Finding::problem(
            WHAT,
            "it has no secret, so no delivery is taken",
            format!(
                "set the webhook's secret under {settings} to what is in the operator's --webhook-secret-file"
            ),
        ));
    }
    if hook.insecure {
        findings.push(Finding::warning(
            WHAT,
            "GitHub doesn't verify the certificate of its URL: others may read what is delivered",
            format!("enable SSL verification under {settings}"),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(WHAT, format!("it leads to {url}")));
    }
    findings
}

/// Judges the newest deliveries, given newest first. Of a delivery and its redeliveries the newest
/// one counts.
pub fn deliveries(newest_first: &[Delivery], settings: &str) -> Finding {
    const WHAT: &str = "deliveries";
    let mut seen = std::collections::BTreeSet::new();
    let last: Vec<&Delivery> = newest_first.iter().filter(|one| seen.insert(one.guid.as_str())).collect();
    let Some(newest) = last.first() else {
        return Finding::warning(
            WHAT,
            "there was none of late",
            format!("redeliver the ping under {settings}/advanced, and see what it is answered"),
        );
    };
    let mut failures: BTreeMap<String, (usize, &Delivery)> = BTreeMap::new();
    for delivery in last.iter().filter(|one| !(200..300).contains(&one.code)) {
        failures.entry(told(delivery)).or_insert((0, delivery)).0 += 1;
    }
    let failed: usize = failures.values().map(|(count, _)| count).sum();
    // The most frequent kind of failure is reported.
    let Some((_, (_, most))) = failures.iter().max_by_key(|(_, (count, _))| *count) else {
        return Finding::ok(WHAT, format!("the last {} arrived", last.len()));
    };
    let kinds: Vec<String> = failures.iter().map(|(kind, (count, _))| format!("{count} {kind}")).collect();
    let message = format!("{failed} of the last {} failed: {}", last.len(), some_of(&kinds, 4));
    let remedy = remedy(most, settings);
    if (200..300).contains(&newest.code) {
        Finding::warning(WHAT, format!("{message}; the newest arrived"), remedy)
    } else {
        Finding::problem(WHAT, message, remedy)
    }
}

fn told(delivery: &Delivery) -> String {
    match delivery.code {
        0 => format!("without an answer ({})", delivery.status),
        code => format!("answered {code}"),
    }
}

fn remedy(delivery: &Delivery, settings: &str) -> String {
    let see = format!("see {settings}/advanced");
    match delivery.code {
        401 | 403 => format!(
            "the secrets differ: set the webhook's secret under {settings} to what is in the operator's --webhook-secret-file"
        ),
        404 | 405 => format!(
            "the path is wrong, or something else answers there: the webhook's URL under {settings} has to end in {WEBHOOK_PATH}"
        ),
        415 => format!("set the webhook's content type to application/json under {settings}"),
        413 => "raise --webhook-max-bytes, and the limit of what stands before the operator".to_owned(),
        301..=399 => {
            format!("GitHub follows no redirect: set the webhook's URL under {settings} to where it leads")
        }
        502..=504 => format!(
            "what stands before the operator doesn't reach it, or it isn't ready: see its pods and its Service; {see}"
        ),
        500.. => format!("the operator's log says why; {see}"),
        0 => format!(
            "GitHub must reach the webhook's URL from outside: look at its DNS record, its certificate and the firewall; {see}"
        ),
        _ => format!("the answer says why: {see}"),
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
    fn a_webhook_that_leads_here_is_well() {
        assert_eq!(
            hook(Some(&good()), SETTINGS),
            [Finding::ok("webhook", "it leads to https://m.example.com/webhooks/github")]
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
                "content type is form",
                "application/json",
            ),
            (Hook { signed: false, ..good() }, Verdict::Problem, "no secret", "--webhook-secret-file"),
            (Hook { insecure: true, ..good() }, Verdict::Warning, "certificate", "SSL verification"),
        ] {
            let found = hook(Some(&wrong), SETTINGS);
            assert_eq!((found.len(), found[0].verdict), (1, verdict), "{found:?}");
            assert!(found[0].message.contains(message), "{found:?}");
            let told = found[0].remedy.as_ref().unwrap();
            assert!(told.contains(remedy) && told.contains(SETTINGS), "{found:?}");
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
    fn deliveries_that_arrive_are_well() {
        assert_eq!(
            attempts(&[(202, "OK", "b"), (200, "OK", "a")]),
            Finding::ok("deliveries", "the last 2 arrived")
        );
        let again = attempts(&[(202, "OK", "a"), (503, "", "a")]);
        assert_eq!(again.verdict, Verdict::Ok, "the redelivery succeeded");
        assert_eq!(attempts(&[]).verdict, Verdict::Warning);
    }

    #[test]
    fn those_that_fail_are_told_by_their_answers() {
        for (code, remedy) in [
            (401, "the secrets differ"),
            (403, "the secrets differ"),
            (404, "has to end in /webhooks/github"),
            (415, "application/json"),
            (413, "--webhook-max-bytes"),
            (302, "follows no redirect"),
            (503, "see its pods"),
            (500, "the operator's log"),
            (400, "the answer says why"),
            (0, "must reach the webhook's URL"),
        ] {
            let finding = attempts(&[(code, "timed out", "a")]);
            assert_eq!(finding.verdict, Verdict::Problem, "{code}");
            assert!(finding.remedy.as_ref().unwrap().contains(remedy), "{code}: {finding:?}");
        }
        let mixed = attempts(&[(403, "", "a"), (403, "", "b"), (0, "timed out", "c"), (202, "OK", "d")]);
        assert_eq!(mixed.verdict, Verdict::Problem);
        assert_eq!(mixed.message, "3 of the last 4 failed: 2 answered 403, 1 without an answer (timed out)");
        assert!(mixed.remedy.unwrap().contains("secrets differ"));
        let over = attempts(&[(202, "OK", "b"), (403, "", "a")]);
        assert_eq!(over.verdict, Verdict::Warning);
        assert!(over.message.ends_with("the newest arrived"));
    }
}
