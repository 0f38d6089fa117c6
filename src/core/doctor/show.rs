//! Output of the findings as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Finding, Section, Summary, Verdict};

/// Returns the findings as text: a heading for each section, a line for each finding with its
/// remedy below, and a summary at the end.
pub fn text(sections: &[Section], colour: bool) -> String {
    let mut text = String::new();
    for section in sections {
        let _ = writeln!(text, "{}", paint(colour, "1", &line(&section.title)));
        for finding in &section.findings {
            let _ = writeln!(text, "  {} {}", mark(finding.verdict, colour), told(finding));
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "      → {}", line(remedy));
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", counted(Summary::of(sections)));
    text
}

fn told(finding: &Finding) -> String {
    format!("{}: {}", line(&finding.what), line(&finding.message))
}

/// Replaces control characters: text from other sources may contain line ends or terminal escape
/// sequences.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn mark(verdict: Verdict, colour: bool) -> String {
    let (code, mark) = match verdict {
        Verdict::Ok => ("32", "✓"),
        Verdict::Warning => ("33", "!"),
        Verdict::Problem => ("31", "✗"),
        Verdict::Skipped => ("2", "–"),
    };
    paint(colour, code, mark)
}

/// Colours a text with Select Graphic Rendition.
/// <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>
fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn counted(summary: Summary) -> String {
    let count =
        |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let Summary { ok, warnings, problems, skipped } = summary;
    format!(
        "{}, {}, {ok} ok, {skipped} not checked",
        count(problems, "problem", "problems"),
        count(warnings, "warning", "warnings"),
    )
}

/// Returns the findings as JSON.
pub fn json(sections: &[Section]) -> Value {
    json!({"summary": Summary::of(sections), "sections": sections})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections() -> Vec<Section> {
        vec![
            Section { title: "Kubernetes".into(), findings: vec![Finding::ok("API server", "v1.37.2")] },
            Section {
                title: "GitHub".into(),
                findings: vec![
                    Finding::problem("credentials", "401\nBad\u{1b}[2J", "put a valid token into the Secret"),
                    Finding::warning("webhook", "none", "set it"),
                    Finding::skipped("deliveries", "not asked for"),
                ],
            },
        ]
    }

    #[test]
    fn the_text_has_a_line_for_each_and_its_remedy() {
        assert_eq!(
            text(&sections(), false),
            "Kubernetes\n  ✓ API server: v1.37.2\n\nGitHub\n  ✗ credentials: 401 Bad [2J\n      → put a valid token into the Secret\n  \
             ! webhook: none\n      → set it\n  – deliveries: not asked for\n\n1 problem, 1 warning, 1 ok, 1 not checked\n"
        );
    }

    #[test]
    fn colour_is_only_what_was_asked_for() {
        let coloured = text(&sections(), true);
        assert!(coloured.contains("  \u{1b}[31m✗\u{1b}[0m credentials: 401 Bad [2J\n"), "{coloured}");
        assert!(!text(&sections(), false).contains('\u{1b}'));
    }

    #[test]
    fn machines_get_the_same() {
        let value = json(&sections());
        assert_eq!(value["summary"], json!({"ok": 1, "warnings": 1, "problems": 1, "skipped": 1}));
        let finding = &value["sections"][1]["findings"][0];
        assert_eq!((&finding["verdict"], &finding["what"]), (&json!("problem"), &json!("credentials")));
        assert_eq!(finding["remedy"], "put a valid token into the Secret");
        assert_eq!(value["sections"][0]["findings"][0].get("remedy"), None);
    }
}
