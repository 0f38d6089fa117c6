//! The content of `/`, for browsers and for `curl`.

use std::fmt::Write as _;

use crate::settings::Settings;

/// Returns the content as plain text, one fact per line.
pub(crate) fn text(settings: &Settings) -> String {
    let mut lines = format!("revision: {}\n", settings.revision);
    for (name, value) in facts(settings) {
        let _ = writeln!(lines, "{name}: {value}");
    }
    lines
}

/// Returns the content as a complete page that loads nothing else.
pub(crate) fn html(settings: &Settings) -> String {
    let revision = escape(&settings.revision);
    let mut rows = String::new();
    for (name, value) in facts(settings) {
        let _ = writeln!(rows, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sample {revision}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}}\
         dt{{color:#666}}dd{{margin:0 0 1rem;font-size:1.4rem}}</style></head>\n\
         <body><h1>Sample</h1>\n<dl><dt>revision</dt><dd>{revision}</dd>\n{rows}</dl></body></html>\n"
    )
}

fn facts(settings: &Settings) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("pull request", settings.pull_request.as_str()),
        ("message", settings.message.as_str()),
        ("first connection", settings.first_connection.as_str()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let set = [("REVISION", "abc123"), ("PULL_REQUEST", "7"), ("MESSAGE", "a <b> & \"c\"")];
        Settings::from_variables(|name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn text_has_one_fact_per_line() {
        assert_eq!(text(&settings()), "revision: abc123\npull request: 7\nmessage: a <b> & \"c\"\n");
    }

    #[test]
    fn html_cannot_be_broken_out_of() {
        let page = html(&settings());
        assert!(page.contains("<dd>a &lt;b&gt; &amp; &quot;c&quot;</dd>"), "{page}");
        assert!(page.contains("<title>Sample abc123</title>"), "{page}");
    }
}
