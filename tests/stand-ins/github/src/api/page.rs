//! Pagination of lists, with `Link` headers.

use serde_json::Value;

use crate::api::call::{Body, Call, Reply};
use crate::state::Urls;

const DEFAULT_SIZE: usize = 30;
const MAX_SIZE: usize = 100;

/// The page of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Number of the page, from 1.
    number: usize,
    /// Items per page, at most 100.
    size: usize,
}

impl Page {
    /// Parses the page parameters; invalid values count as missing.
    pub(crate) fn of(call: &Call) -> Self {
        let number = |name: &str| call.query(name).and_then(|text| text.parse::<usize>().ok());
        Self {
            number: number("page").filter(|page| *page > 0).unwrap_or(1),
            size: number("per_page").filter(|size| *size > 0).unwrap_or(DEFAULT_SIZE).min(MAX_SIZE),
        }
    }

    /// Returns the items of this page.
    pub(crate) fn slice<T>(self, items: &[T]) -> &[T] {
        let start = (self.number - 1).saturating_mul(self.size).min(items.len());
        &items[start..(start + self.size).min(items.len())]
    }

    /// Returns the `Link` header for a list of `total` items; `None` when all fit on one page.
    fn links(self, urls: &Urls, path: &str, call: &Call, total: usize) -> Option<String> {
        let last = total.div_ceil(self.size).max(1);
        if last == 1 && self.number == 1 {
            return None;
        }
        let url = |page: usize| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in call.query.iter().filter(|(name, _)| *name != "page") {
                query.append_pair(name, value);
            }
            query.append_pair("page", &page.to_string());
            format!("{}{path}?{}", urls.api, query.finish())
        };
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(format!("<{}>; rel=\"prev\"", url((self.number - 1).min(last))));
        }
        if self.number < last {
            links.push(format!("<{}>; rel=\"next\"", url(self.number + 1)));
            links.push(format!("<{}>; rel=\"last\"", url(last)));
        }
        if self.number > 1 {
            links.push(format!("<{}>; rel=\"first\"", url(1)));
        }
        Some(links.join(", "))
    }
}

/// Returns a page of a list. The links point to `path`; `wrap` builds the body from the items.
pub(crate) fn reply<T>(
    urls: &Urls,
    path: &str,
    call: &Call,
    items: &[T],
    show: impl FnMut(&T) -> Value,
    wrap: impl FnOnce(Vec<Value>, usize) -> Value,
) -> Reply {
    let page = Page::of(call);
    let shown: Vec<Value> = page.slice(items).iter().map(show).collect();
    let mut reply = Reply::ok(Value::Null);
    reply.headers.extend(page.links(urls, path, call, items.len()).map(|links| ("link", links)));
    reply.body = Body::Json(wrap(shown, items.len()));
    reply
}
