//! Paginated lists, where each page is a conditional request. An unchanged page (304) costs nothing
//! of the rate limit.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::requester::Requester;
use crate::adapters::github::rate_limits::Lane;
use crate::adapters::github::response::Call;
use crate::adapters::github::single_flight::Singles;
use crate::ports::{ForgeError, Listing};

/// Items in a full page; every request sets this page size.
const FULL: usize = 100;
/// Most pages of a list. A longer list is an error, since a part must not be taken for the whole.
const MOST_PAGES: usize = 100;

/// Versions grow across all lists of the process, so that a list that left the cache and is read
/// again has a new version.
static VERSION: AtomicU64 = AtomicU64::new(1);

struct Page<T> {
    query: String,
    etag: Option<String>,
    items: Vec<T>,
    next: Option<String>,
}

struct Pages<T> {
    read: Vec<Arc<Page<T>>>,
    items: Arc<Vec<T>>,
    version: u64,
}

/// A cache of lists of one type of item, by path.
pub(super) struct Listings<T> {
    known: Singles<String, Arc<Pages<T>>>,
}

/// The pages to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All pages of a list that begins with its newest items.
    All,
    /// All pages of a list that ends with its newest items. A full last page is read each time
    /// without a condition, since it doesn't change when another page follows it.
    Growing,
    First,
}

impl<T: Clone + PartialEq> Listings<T> {
    /// Creates a cache of `capacity` lists.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { known: Singles::new(capacity) }
    }

    /// Returns the current list. `call` requests its first page. An item that moved to another page
    /// between two requests appears once; `id` identifies items.
    pub async fn list<J, K>(
        &self,
        requester: &Requester,
        call: Call,
        extent: Extent,
        id: impl Fn(&T) -> K,
    ) -> Result<Listing<T>, ForgeError>
    where
        J: DeserializeOwned + Into<T>,
        K: Hash + Eq,
    {
        let items = |page: Vec<J>| page.into_iter().map(Into::into).collect();
        self.list_in(requester, call, extent, id, items).await
    }

    /// Like [`Self::list`], for pages that aren't arrays.
    pub async fn list_in<P, K>(
        &self,
        requester: &Requester,
        call: Call,
        extent: Extent,
        id: impl Fn(&T) -> K,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Listing<T>, ForgeError>
    where
        P: DeserializeOwned,
        K: Hash + Eq,
    {
        let known = self.known.of(call.path.to_lowercase());
        let pages = known
            .get(
                |_, _| false,
                async |last| {
                    let pages = read(requester, call, extent, last.as_deref(), items).await?;
                    Ok(Arc::new(merge(pages, last.as_deref(), id)))
                },
            )
            .await?;
        Ok(Listing { items: Arc::clone(&pages.items), version: pages.version })
    }
}

async fn read<T, P: DeserializeOwned>(
    requester: &Requester,
    mut call: Call,
    extent: Extent,
    last: Option<&Pages<T>>,
    items: impl Fn(P) -> Vec<T>,
) -> Result<Vec<Arc<Page<T>>>, ForgeError> {
    let (path, first) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let (path, mut query) = (path.to_owned(), first.to_owned());
    let tells_changes =
        |page: &Page<T>| extent != Extent::Growing || page.next.is_some() || page.items.len() < FULL;
    let mut pages: Vec<Arc<Page<T>>> = Vec::new();
    loop {
        let known = last.and_then(|last| last.read.iter().find(|page| page.query == query));
        call.path = format!("{path}?{query}");
        call.etag = known.filter(|page| tells_changes(page)).and_then(|page| page.etag.clone());
        let answer = requester.send(&call, Lane::Read).await?;
        let page = match known {
            Some(page) if answer.status == StatusCode::NOT_MODIFIED => Arc::clone(page),
            _ => Arc::new(Page {
                query,
                etag: answer.etag(),
                items: items(answer.json(&call)?),
                next: answer.next_query(),
            }),
        };
        let next = page.next.clone().filter(|_| extent != Extent::First);
        pages.push(page);
        match next {
            None => return Ok(pages),
            Some(next) if pages.iter().any(|page| page.query == next) => {
                return Err(call.unknown("the pages of the listing lead back to each other"));
            }
            Some(_) if pages.len() == MOST_PAGES => {
                return Err(ForgeError::Invalid(format!("{}: more than {MOST_PAGES} pages", call.name())));
            }
            Some(next) => query = next,
        }
    }
}

fn merge<T: Clone + PartialEq, K: Hash + Eq>(
    pages: Vec<Arc<Page<T>>>,
    last: Option<&Pages<T>>,
    id: impl Fn(&T) -> K,
) -> Pages<T> {
    let same = |last: &&Pages<T>| {
        last.read.len() == pages.len() && last.read.iter().zip(&pages).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    if let Some(last) = last.filter(same) {
        return Pages { read: pages, items: Arc::clone(&last.items), version: last.version };
    }
    let mut seen = std::collections::HashSet::new();
    let items: Vec<T> =
        pages.iter().flat_map(|page| &page.items).filter(|item| seen.insert(id(item))).cloned().collect();
    // A different ETag doesn't mean a change, since ETags also differ by token.
    match last.filter(|last| *last.items == items) {
        Some(last) => Pages { read: pages, items: Arc::clone(&last.items), version: last.version },
        None => {
            Pages { read: pages, items: Arc::new(items), version: VERSION.fetch_add(1, Ordering::Relaxed) }
        }
    }
}

/// Returns the list sorted by descending id.
pub(super) fn newest_first<T: Clone>(listing: Listing<T>, id: impl Fn(&T) -> i64) -> Listing<T> {
    if listing.items.is_sorted_by(|a, b| id(a) >= id(b)) {
        return listing;
    }
    let mut items = Arc::unwrap_or_clone(listing.items);
    items.sort_by_key(|item| std::cmp::Reverse(id(item)));
    Listing { items: Arc::new(items), version: listing.version }
}
