//! Pages of GitHub Apps: creation from a manifest, profile, and installation.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use reqwest::Url;

use super::layout::{missing, page, refused};
use super::{FormTarget, HTML, Missing};
use crate::control::types::AccountKind;
use crate::manifest::Manifest;
use crate::state::apps::{App, key_pair};
use crate::state::{Refusal, State};
use crate::world::World;

/// Fields of a form; a name may occur several times.
pub(super) type Fields = [(String, String)];

fn field<'a>(form: &'a Fields, name: &str) -> Option<&'a str> {
    form.iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

/// Returns the page on which an App is created from a manifest, for the person or for an
/// organization.
fn place(state: &State, organization: Option<&str>) -> String {
    let owner = organization.map_or_else(String::new, |login| format!("/organizations/{login}"));
    format!("{}{owner}/settings/apps", state.urls.html)
}

/// Returns a page with a form that redirects to another site.
fn answer(status: StatusCode, page: Markup, leads_to: Option<&Url>) -> Response {
    let mut response = (status, [HTML], page.into_string()).into_response();
    if let Some(url) = leads_to {
        response.extensions_mut().insert(FormTarget(url.origin().ascii_serialization()));
    }
    response
}

/// Answers a posted manifest with the page on which the person names the App and confirms its
/// creation.
pub(super) fn offer(
    world: &Arc<World>,
    organization: Option<&str>,
    state: Option<&str>,
    form: &Fields,
) -> Response {
    let manifest = match Manifest::parse(field(form, "manifest").unwrap_or_default()) {
        Ok(manifest) => manifest,
        Err(wrong) => return answer(StatusCode::UNPROCESSABLE_ENTITY, invalid(&wrong), None),
    };
    let text = field(form, "manifest").unwrap_or_default();
    let name = manifest.name.clone();
    let shown =
        naming(&world.lock(), organization, &Asked { manifest: &manifest, text, name: &name, state }, None);
    match shown {
        Ok(page) => answer(StatusCode::OK, page, manifest.redirect_url.as_ref()),
        Err(Missing) => answer(StatusCode::NOT_FOUND, missing(), None),
    }
}

/// Creates the App after the person's confirmation, and redirects the browser with the code.
pub(super) async fn create(world: &Arc<World>, organization: Option<&str>, form: &Fields) -> Response {
    let text = field(form, "manifest").unwrap_or_default();
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(wrong) => return answer(StatusCode::UNPROCESSABLE_ENTITY, invalid(&wrong), None),
    };
    let (name, state) = (field(form, "name").unwrap_or_default(), field(form, "state"));
    let Some(owner) = organization.or_else(|| field(form, "account")) else {
        return answer(StatusCode::UNPROCESSABLE_ENTITY, refused("whose App is it?"), None);
    };
    // Searching for primes would block a thread that serves requests.
    let Ok(Ok(keys)) = tokio::task::spawn_blocking(key_pair).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match world.transact(|all| all.register(&manifest, name, owner, keys)) {
        Ok(code) => {
            let back = manifest
                .redirect(&code, state)
                .map_or_else(|| place(&world.lock(), organization), String::from);
            Redirect::to(&back).into_response()
        }
        Err(refusal) => {
            let asked = Asked { manifest: &manifest, text, name, state };
            match naming(&world.lock(), organization, &asked, Some(&refusal)) {
                Ok(page) => answer(StatusCode::UNPROCESSABLE_ENTITY, page, manifest.redirect_url.as_ref()),
                Err(Missing) => answer(StatusCode::NOT_FOUND, missing(), None),
            }
        }
    }
}

/// Content of the page on which the person names the App.
struct Asked<'a> {
    manifest: &'a Manifest,
    text: &'a str,
    name: &'a str,
    state: Option<&'a str>,
}

fn naming(
    state: &State,
    organization: Option<&str>,
    asked: &Asked<'_>,
    problem: Option<&Refusal>,
) -> Result<Markup, Missing> {
    if organization.is_some_and(|login| !state.is_organization(login)) {
        return Err(Missing);
    }
    let people = state.users.values().filter(|user| user.kind == AccountKind::User && user.login != "ghost");
    let title = format!("Create GitHub App for {}", organization.unwrap_or("yourself"));
    let content = html! {
        h1 { (title) }
        @if let Some(Refusal::Invalid { message, .. }) = problem { p.problem { (message) } }
        @else if let Some(other) = problem { p.problem { (other) } }
        form.stack method="post" action=(place(state, organization)) {
            input type="hidden" name="manifest" value=(asked.text);
            @if let Some(state) = asked.state { input type="hidden" name="state" value=(state); }
            label { "GitHub App name" input name="name" value=(asked.name) required; }
            @if organization.is_none() {
                label {
                    "Your account"
                    select name="account" { @for user in people { option { (user.login) } } }
                }
            }
            button.primary { (title) }
        }
        h2 { "It will be able to" }
        ul { @for (name, level) in &asked.manifest.permissions { li { (level) " " (name) } } }
    };
    Ok(page(&title, &[], &content))
}

fn invalid(wrong: &[String]) -> Markup {
    let content = html! {
        h1 { "Invalid GitHub App configuration" }
        p { "The configuration does not appear to be a valid GitHub App manifest." }
        @for line in wrong { p.problem { "Error: " (line) } }
    };
    page("Invalid GitHub App configuration", &[], &content)
}

/// Returns an App's own page.
pub(super) fn profile(state: &State, slug: &str) -> Result<Markup, Missing> {
    let app = state.app_named(slug).ok_or(Missing)?;
    let content = html! {
        h1 { (app.profile.name) }
        p { (app.profile.description) }
        p.muted { "A GitHub App of " (app.owner) }
        a.button href=(format!("{}/apps/{slug}/installations/new", state.urls.html)) { "Install" }
    };
    Ok(page(&app.profile.name, &[], &content))
}

/// Returns the accounts that may install an App: its owner, and all others when it is public.
fn accounts<'a>(state: &'a State, app: &'a App) -> impl Iterator<Item = &'a str> {
    let allowed = move |login: &str| app.profile.public || login.eq_ignore_ascii_case(&app.owner);
    let people = state.users.values().filter(|user| user.kind != AccountKind::Bot && user.login != "ghost");
    people.map(|user| user.login.as_str()).filter(move |login| allowed(login))
}

/// Returns the page on which a person picks the account and repositories.
pub(super) fn installing(state: &State, slug: &str) -> Result<Markup, Missing> {
    let app = state.app_named(slug).ok_or(Missing)?;
    let title = format!("Install {}", app.profile.name);
    let content = html! {
        h1 { (title) }
        form.stack method="post" action=(format!("{}/apps/{slug}/installations", state.urls.html)) {
            label { "Account" select name="account" { @for login in accounts(state, app) { option { (login) } } } }
            label { input type="radio" name="selection" value="all" checked; " All repositories" }
            label { input type="radio" name="selection" value="selected"; " Only select repositories" }
            @for repo in state.repos.values().filter(|repo| accounts(state, app).any(|login| login == repo.owner)) {
                label { input type="checkbox" name="repository" value=(repo.full_name()); " " (repo.full_name()) }
            }
            button.primary { "Install" }
        }
    };
    Ok(page(&title, &[], &content))
}

/// Returns the URL to which the browser may be redirected after an installation.
pub(super) fn setup_url(state: &State, slug: &str) -> Option<Url> {
    Url::parse(state.app_named(slug)?.profile.setup_url.as_deref()?).ok()
}

/// Installs an App as a form says. Returns the page to show afterwards.
pub(super) fn install(state: &mut State, slug: &str, form: &Fields) -> Result<String, Refusal> {
    let app = state.app_named(slug).ok_or_else(|| Refusal::Missing(format!("there is no App {slug}")))?;
    let account = field(form, "account").unwrap_or_default().to_owned();
    if !accounts(state, app).any(|login| login == account) {
        return Err(Refusal::Conflict(format!("{slug} is private: only {} may install it", app.owner)));
    }
    if state.installations.values().any(|one| one.app == app.id && one.account == account) {
        return Err(Refusal::Conflict(format!("{slug} is installed on {account} already")));
    }
    let (id, setup_url) = (app.id, app.profile.setup_url.clone());
    let selected: Vec<String> =
        form.iter().filter(|(name, _)| name == "repository").map(|(_, value)| value.clone()).collect();
    let all = field(form, "selection") == Some("all");
    if !all && selected.is_empty() {
        return Err(Refusal::Conflict("select at least one repository".to_owned()));
    }
    let installation = state.install(id, &account, (!all).then_some(&selected[..]))?;
    let settings = format!("{}/settings/installations/{installation}", state.urls.html);
    Ok(match setup_url.and_then(|url| Url::parse(&url).ok()) {
        Some(mut url) => {
            url.query_pairs_mut()
                .append_pair("installation_id", &installation.to_string())
                .append_pair("setup_action", "install");
            url.into()
        }
        None => settings,
    })
}

/// Returns the settings of an installation.
pub(super) fn installed(state: &State, id: &str) -> Result<Markup, Missing> {
    let found = id.parse().ok().and_then(|id| state.installations.get(&id)).ok_or(Missing)?;
    let app = state.apps.get(&found.app).ok_or(Missing)?;
    let repositories = state.repos.values().filter(|repo| state.installation_sees(found, repo.id));
    let content = html! {
        h1 { (app.profile.name) " is installed on " (found.account) }
        ul { @for repo in repositories { li { a href=(format!("/{}", repo.full_name())) { (repo.full_name()) } } } }
    };
    Ok(page(&app.profile.name, &[], &content))
}
