//! A browser without scripts, for tests in which a person visits these pages: it loads a page and
//! submits the form on it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{RequestBuilder, Url};

/// A browser. It follows redirects, as browsers do.
#[derive(Clone, Debug)]
pub struct Browser(reqwest::Client);

/// A loaded page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its URL, after redirects.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// Its HTML.
    pub text: String,
}

impl Browser {
    /// Creates a browser.
    ///
    /// # Errors
    /// When the HTTP client can't be created.
    pub fn new() -> Result<Self> {
        // reqwest panics without a provider where the workspace builds it with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self(reqwest::Client::builder().timeout(Duration::from_mins(1)).no_proxy().build()?))
    }

    /// Loads a URL.
    ///
    /// # Errors
    /// When the server doesn't answer.
    pub async fn get(&self, url: &str) -> Result<Page> {
        self.show(self.0.get(url)).await
    }

    /// Fills in the form on a page and submits it. Fields that aren't given keep the page's values;
    /// of several fields with one name, all are sent.
    ///
    /// # Errors
    /// When there is no form, it has no such field, or the server doesn't answer.
    pub async fn submit(&self, page: &Page, given: &[(&str, &str)]) -> Result<Page> {
        let form = Form::find(&page.text).with_context(|| format!("no form: {}", page.text))?;
        if let Some((name, _)) = given.iter().find(|(name, _)| !form.names.iter().any(|known| known == name))
        {
            bail!("the form has no field `{name}`: {}", page.text);
        }
        let base = Url::parse(&page.url)?;
        let action = base.join(&form.action)?;
        let mut body = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &form.values {
            if !given.iter().any(|(given, _)| given == name) {
                body.append_pair(name, value);
            }
        }
        body.extend_pairs(given);
        let site = if base.origin() == action.origin() { "same-origin" } else { "cross-site" };
        let request = self.0.post(action).header("content-type", "application/x-www-form-urlencoded");
        self.show(request.header("sec-fetch-site", site).body(body.finish())).await
    }

    async fn show(&self, request: RequestBuilder) -> Result<Page> {
        let response = request.header("accept", "text/html,*/*;q=0.8").send().await?;
        let (url, status) = (response.url().to_string(), response.status().as_u16());
        Ok(Page { url, status, text: response.text().await? })
    }
}

/// The first form on a page that is sent by POST, with HTML's semantics.
struct Form {
    action: String,
    names: Vec<String>,
    /// Fields with their default values.
    values: Vec<(String, String)>,
}

impl Form {
    fn find(html: &str) -> Option<Self> {
        let start = html.find("<form ")?;
        let (head, rest) = html[start..].split_once('>')?;
        let content = rest.split("</form>").next()?;
        let mut form = Self { action: attribute(head, "action")?, names: Vec::new(), values: Vec::new() };
        for tag in content.split('<').skip(1) {
            let (tag, text) = tag.split_once('>')?;
            match tag.split_whitespace().next()? {
                "input" => form.input(tag),
                "select" => form.names.extend(attribute(tag, "name")),
                // Browsers select the first option by default.
                "option" => {
                    let name = form.names.last()?;
                    if !form.values.iter().any(|(known, _)| known == name) {
                        form.values.push((name.clone(), unescape(text)));
                    }
                }
                _ => {}
            }
        }
        Some(form)
    }

    fn input(&mut self, tag: &str) {
        let Some(name) = attribute(tag, "name") else { return };
        let optional = matches!(attribute(tag, "type").as_deref(), Some("checkbox" | "radio"));
        if !optional || tag.split_whitespace().any(|word| word == "checked") {
            self.values.push((name.clone(), attribute(tag, "value").unwrap_or_default()));
        }
        self.names.push(name);
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split('"').next()?))
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&amp;", "&")
}
