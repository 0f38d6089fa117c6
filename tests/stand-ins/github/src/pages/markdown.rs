//! Renders comments' Markdown as safe HTML: raw HTML is shown as text, and links lead only to web
//! pages.

use maud::PreEscaped;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag};

/// Returns the HTML of a comment.
pub(super) fn render(text: &str) -> PreEscaped<String> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut hidden = false;
    let events = Parser::new_ext(text, options).map(|event| harmless(event, &mut hidden));
    let mut html = String::with_capacity(text.len() * 2);
    pulldown_cmark::html::push_html(&mut html, events);
    PreEscaped(html)
}

/// Makes a Markdown event safe. `hidden` tells whether an HTML comment has begun and not ended.
fn harmless<'a>(event: Event<'a>, hidden: &mut bool) -> Event<'a> {
    match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(visible(&raw, hidden).into()),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: web(dest_url), title, id })
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Image { link_type, dest_url: web(dest_url), title, id })
        }
        other => other,
    }
}

/// Returns raw HTML without its comments, in which tools keep invisible markers.
fn visible(raw: &str, hidden: &mut bool) -> String {
    let mut shown = String::new();
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once(if *hidden { "-->" } else { "<!--" }) {
        if !*hidden {
            shown.push_str(before);
        }
        *hidden = !*hidden;
        rest = after;
    }
    if !*hidden {
        shown.push_str(rest);
    }
    shown
}

/// Returns a URL if it is a web page's, else an empty one.
fn web(url: CowStr<'_>) -> CowStr<'_> {
    if url.starts_with("http://") || url.starts_with("https://") { url } else { CowStr::Borrowed("#") }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn nothing_that_runs_gets_through() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "![x](data:text/html,<script>)",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<!-- a --><script>alert(1)</script>",
            "<!-- a\n--> <img src=x onerror=alert(1)>",
            "`<script>`",
            "<svg/onload=alert(1)>",
        ] {
            let html = render(text).into_string();
            for evil in
                ["<script", "<img src=x", "<svg", "<a href=\"javascript", "<a href=\"JaVa", "src=\"data"]
            {
                assert!(!html.contains(evil), "{text} gave {html}");
            }
        }
    }

    #[test]
    fn text_links_and_tables_are_shown_and_markers_are_not() {
        let html = render("<!-- matinee\n{}\n-->\n\n**Ready** at <http://a.test>\n\n|a|b|\n|-|-|\n|1|2|\n")
            .into_string();
        assert!(html.contains("<strong>Ready</strong>") && html.contains("href=\"http://a.test\""), "{html}");
        assert!(html.contains("<td>1</td>") && !html.contains("matinee") && !html.contains("{}"), "{html}");
    }
}
