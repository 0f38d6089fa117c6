//! Output of the findings as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Section, Verdict};

/// Returns the number of findings with a verdict.
pub fn count(sections: &[Section], verdict: Verdict) -> usize {
    let all = sections.iter().flat_map(|section| &section.findings);
    all.filter(|finding| finding.verdict == verdict).count()
}

/// Returns the findings as text: a heading for each section, a line for each finding with its
/// remedy below, and a summary at the end.
pub fn text(sections: &[Section], colour: bool) -> String {
    // Select Graphic Rendition: <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>
    let paint = |code: &str, text: &str| {
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let mut text = String::new();
    for section in sections {
        let _ = writeln!(text, "{}", paint("1", &line(&section.title)));
        for finding in &section.findings {
            let mark = match finding.verdict {
                Verdict::Ok => paint("32", "✓"),
                Verdict::Warning => paint("33", "!"),
                Verdict::Problem => paint("31", "✗"),
                Verdict::Skipped => paint("2", "–"),
            };
            let _ = writeln!(text, "  {mark} {}: {}", line(&finding.what), line(&finding.message));
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "      → {}", line(remedy));
            }
        }
        text.push('\n');
    }
    let (problems, warnings) = (count(sections, Verdict::Problem), count(sections, Verdict::Warning));
    let _ = writeln!(
        text,
        "{problems} problem{}, {warnings} warning{}, {} ok, {} not checked",
        if problems == 1 { "" } else { "s" },
        if warnings == 1 { "" } else { "s" },
        count(sections, Verdict::Ok),
        count(sections, Verdict::Skipped)
    );
    text
}

/// Replaces control characters: text from other sources may contain line ends or terminal escape
/// sequences.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns the findings as JSON.
pub fn json(sections: &[Section]) -> Value {
    let count = |verdict| count(sections, verdict);
    let summary = json!({
        "ok": count(Verdict::Ok),
        "warnings": count(Verdict::Warning),
        "problems": count(Verdict::Problem),
        "skipped": count(Verdict::Skipped),
    });
    json!({"summary": summary, "sections": sections})
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::*;

    fn sections() -> Vec<Section> {
        vec![
            Section { title: "Kubernetes".into(), findings: vec![Subject::new("API server").ok("v1.37.2")] },
            Section {
                title: "GitHub".into(),
                findings: vec![
                    Subject::new("credentials")
                        .problem("401\nBad\u{1b}[2J", "put a valid token into the Secret"),
                    Subject::new("webhook").warning("none", "set it"),
                    Subject::new("deliveries").skipped("no webhook"),
                ],
            },
        ]
    }

    #[test]
    fn text_has_a_line_for_each_finding_and_its_remedy() {
        assert_eq!(
            text(&sections(), false),
            "Kubernetes\n  ✓ API server: v1.37.2\n\nGitHub\n  ✗ credentials: 401 Bad [2J\n      → put a valid token into the Secret\n  \
             ! webhook: none\n      → set it\n  – deliveries: no webhook\n\n1 problem, 1 warning, 1 ok, 1 not checked\n"
        );
    }

    #[test]
    fn text_is_coloured_only_on_request() {
        let coloured = text(&sections(), true);
        assert!(coloured.contains("  \u{1b}[31m✗\u{1b}[0m credentials: 401 Bad [2J\n"), "{coloured}");
        assert!(!text(&sections(), false).contains('\u{1b}'));
    }

    #[test]
    fn json_has_the_same_findings() {
        let value = json(&sections());
        assert_eq!(value["summary"], json!({"ok": 1, "warnings": 1, "problems": 1, "skipped": 1}));
        let finding = &value["sections"][1]["findings"][0];
        assert_eq!((&finding["verdict"], &finding["what"]), (&json!("problem"), &json!("credentials")));
        assert_eq!(finding["remedy"], "put a valid token into the Secret");
        assert_eq!(value["sections"][0]["findings"][0].get("remedy"), None);
    }
}
