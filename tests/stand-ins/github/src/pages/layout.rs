//! Common parts of all pages.

use maud::{DOCTYPE, Markup, html};

use crate::state::{Moment, State, now};

/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// The script that updates the live part of a page.
pub(super) const SCRIPT: &str = include_str!("live.js");

/// Returns a page below a trail of links.
pub(super) fn page(title: &str, trail: &[(&str, String)], content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · GitHub stand-in" }
                link rel="stylesheet" href="/_assets/style.css";
                link rel="icon" href="/_assets/avatar/0" type="image/svg+xml";
                script src="/_assets/live.js" defer {}
            }
            body {
                header {
                    nav {
                        a.home href="/" { "GitHub stand-in" }
                        @for (name, place) in trail { span.slash { "/" } a href=(place) { (name) } }
                    }
                }
                main { (content) }
            }
        }
    }
}

/// Returns the page for an object that doesn't exist.
pub(super) fn missing() -> Markup {
    page("Not found", &[], &html! { h1 { "Not found" } p { a href="/" { "All repositories" } } })
}

/// Returns the page for an action that failed.
pub(super) fn refused(why: &str) -> Markup {
    page(
        "Refused",
        &[],
        &html! { h1 { "That could not be done" } p.problem { (why) } p { "Go back and change it." } },
    )
}

/// Returns the trail to a repository.
pub(super) fn trail<'a>(owner: &'a str, name: &'a str) -> Vec<(&'a str, String)> {
    vec![(owner, "/".to_owned()), (name, format!("/{owner}/{name}"))]
}

/// Returns the tabs of a repository's pages.
pub(super) fn tabs(place: &str, current: &str) -> Markup {
    let tab = |name: &str, href: String| {
        html! { a.tab.current[name == current] href=(href) { (name) } }
    };
    html! {
        div.tabs {
            (tab("Pull requests", place.to_owned()))
            (tab("Deployments", format!("{place}/deployments")))
        }
    }
}

/// Returns a short commit id that links to the commit.
pub(super) fn commit(place: &str, sha: &str) -> Markup {
    html! { a.sha href=(format!("{place}/commit/{sha}")) { (short(sha)) } }
}

/// Returns the first seven digits of a SHA.
pub(super) fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

/// Returns how long ago something was.
pub(super) fn ago(at: Moment) -> Markup {
    let seconds = (now() - at).num_seconds().max(0);
    let (count, unit) = match seconds {
        0..=4 => return html! { time { "just now" } },
        5..=59 => (seconds, "second"),
        60..=3_599 => (seconds / 60, "minute"),
        3_600..=86_399 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    html! {
        time datetime=(crate::show::time(at)) { (count) " " (unit) @if count != 1 { "s" } " ago" }
    }
}

/// Returns an account's picture: its first letter on a colour of its own.
pub(super) fn avatar(state: &State, id: u64) -> String {
    let login = state.users.values().find(|user| user.id == id).map_or("?", |user| user.login.as_str());
    let letter: String = login.chars().take(1).filter(char::is_ascii_alphanumeric).collect();
    let hue = id.wrapping_mul(47) % 360;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><rect width=\"40\" height=\"40\" \
         fill=\"hsl({hue},45%,48%)\"/><text x=\"20\" y=\"28\" font-family=\"sans-serif\" font-size=\"22\" \
         fill=\"#fff\" text-anchor=\"middle\">{}</text></svg>",
        letter.to_uppercase()
    )
}

/// Returns the picture of an account in a page.
pub(super) fn picture(state: &State, login: &str) -> Markup {
    let id = state.user(login).map_or(0, |user| user.id);
    html! { img.avatar src=(format!("/_assets/avatar/{id}")) alt="" width="24" height="24"; }
}
