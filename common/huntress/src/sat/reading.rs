//! Reading a list page by page: once, however many folds it feeds. Each fold has its own place in the list, so that one which begins late, or anew,
//! is given what it missed, and no page is asked for that no fold wants.

use super::page::{Resource, SatPage};
use super::{JSON_API, Listing, Paused, SatClient, lock};
use crate::collection::Instants;
use crate::error::{BodyError, FetchError};
use crate::pagination;
use crate::request::Response;
use crate::wire::read_json;
use chrono::{DateTime, Utc};
use evidence_domain::failure::Failure;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// Page sizes to ask for, from the largest: the server's limit is not documented. A size that it refuses is not asked for again in the run; one that
/// it cuts down is as good, since its count of pages goes by its own size.
const PAGE_SIZES: [u64; 3] = [LARGEST_PAGE, 500, 100];

/// Records of a page, if the server gives as many as are asked for.
pub const LARGEST_PAGE: u64 = 1_000;

/// How far one list was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    list: pagination::Cursor,
    /// The place in [`PAGE_SIZES`] of its first page: pages of another size would not go on where that ended.
    size: usize,
}

impl Cursor {
    /// Whether a page was read.
    pub fn is_begun(&self) -> bool {
        self.list.pages > 0
    }

    fn next(&self) -> Option<Next> {
        (!self.list.ended).then(|| Next { number: self.list.pages + 1, size: self.is_begun().then_some(self.size) })
    }
}

/// The page of a list that comes next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    number: u32,
    /// The place of the list's size in [`PAGE_SIZES`], once it has one.
    size: Option<usize>,
}

/// What a list is folded into.
pub(super) trait Fold<R: Resource + 'static>: Send + Sync {
    /// The page that it wants next, unless it is at the end.
    fn next(&self) -> Option<Next>;
    /// Takes that page, which was asked for in this size, and moves on in one step with it.
    fn take<'p>(&self, size: usize, page: &SatPage<'p, R::Of<'p>>, observed_at: DateTime<Utc>)
    -> Result<(), BodyError>;
}

struct FoldInto<'s, S, C, A> {
    state: &'s Mutex<S>,
    cursor: C,
    add: A,
    /// Of the run, where the ids of a list name people and the state is stored unsealed.
    seed: Option<&'s str>,
}

/// A fold into `state`: `cursor` is its place in the list, and `add` takes a page and says whether more are wanted.
pub(super) fn fold<'s, R: Resource + 'static, S: Send>(
    state: &'s Mutex<S>,
    cursor: impl Fn(&mut S) -> &mut Cursor + Send + Sync + 's,
    add: impl for<'p> Fn(&mut S, &SatPage<'p, R::Of<'p>>, DateTime<Utc>) -> Result<bool, BodyError> + Send + Sync + 's,
) -> impl Fold<R> + 's {
    FoldInto { state, cursor, add, seed: None }
}

/// The same for a list whose ids name people, into a state that is stored as it is: the cursor keeps none of them.
pub(super) fn anonymous_fold<'s, R: Resource + 'static, S: Send>(
    state: &'s Mutex<S>,
    seed: &'s str,
    cursor: impl Fn(&mut S) -> &mut Cursor + Send + Sync + 's,
    add: impl for<'p> Fn(&mut S, &SatPage<'p, R::Of<'p>>, DateTime<Utc>) -> Result<bool, BodyError> + Send + Sync + 's,
) -> impl Fold<R> + 's {
    FoldInto { state, cursor, add, seed: Some(seed) }
}

impl<R, S, C, A> Fold<R> for FoldInto<'_, S, C, A>
where
    R: Resource + 'static,
    S: Send,
    C: Fn(&mut S) -> &mut Cursor + Send + Sync,
    A: for<'p> Fn(&mut S, &SatPage<'p, R::Of<'p>>, DateTime<Utc>) -> Result<bool, BodyError> + Send + Sync,
{
    fn next(&self) -> Option<Next> {
        (self.cursor)(&mut lock(self.state)).next()
    }

    fn take<'p>(
        &self,
        size: usize,
        page: &SatPage<'p, R::Of<'p>>,
        observed_at: DateTime<Utc>,
    ) -> Result<(), BodyError> {
        let mut state = lock(self.state);
        let more_wanted = (self.add)(&mut state, page, observed_at)?;
        let cursor = (self.cursor)(&mut state);
        cursor.size = size;
        let first = page.first().map(|first| self.seed.map_or(first, |seed| first.in_run(seed)));
        cursor.list.advance_by_number(page.records.len(), first, &page.announced, more_wanted)
    }
}

/// The pages that some folds want. Without a type of its own for each kind of record, so that the asking is compiled once.
trait Pages: Send {
    /// The first page that a fold wants, unless all are at the end.
    fn next(&self) -> Option<Next>;
    /// Gives the body of a page, which was asked for in this size, to the folds that want it.
    fn take(&self, number: u32, size: usize, body: &[u8]) -> Result<(), BodyError>;
}

struct PagesFor<'f, R: Resource + 'static> {
    client: &'f SatClient<'f>,
    noun: &'static str,
    instants: Instants,
    folds: Vec<&'f dyn Fold<R>>,
}

impl<R: Resource + 'static> Pages for PagesFor<'_, R> {
    fn next(&self) -> Option<Next> {
        let wanted: Vec<Next> = self.folds.iter().filter_map(|fold| fold.next()).collect();
        let number = wanted.iter().map(|next| next.number).min()?;
        // A fold that begins joins the size of the others.
        let first = wanted.iter().filter(|next| next.number == number).find_map(|next| next.size);
        Some(Next { number, size: first.or_else(|| wanted.iter().find_map(|next| next.size)) })
    }

    fn take(&self, number: u32, size: usize, body: &[u8]) -> Result<(), BodyError> {
        let observed_at = self.instants.observed_at.unwrap_or_else(|| self.client.transport.clock().now());
        read_json(body, |text| {
            let mut page = R::page(text)?;
            page.size = PAGE_SIZES.get(size).copied().unwrap_or_default();
            self.client.transport.progress().add_page(self.noun, page.records.len() as u64);
            let wants = |next: &Next| next.number == number && next.size.is_none_or(|own| own == size);
            let mut folds = self.folds.iter().filter(|fold| fold.next().as_ref().is_some_and(wants));
            folds.try_for_each(|fold| fold.take(size, &page, observed_at))
        })
    }
}

impl SatClient<'_> {
    /// Reads a list until every fold has its end of it, or the run has to pause.
    pub(super) async fn read_list<'f, R: Resource + 'static>(
        &self,
        list: &Listing<'_>,
        instants: Instants,
        folds: impl IntoIterator<Item = Option<&'f dyn Fold<R>>>,
    ) -> Result<Paused, Failure> {
        let folds = folds.into_iter().flatten().collect();
        let pages = PagesFor { client: self, noun: list.noun, instants, folds };
        match self.read_pages(list.path, &pages).await {
            Ok(()) => Ok(None),
            Err(error) => self.paused_or_failed(list, error),
        }
    }

    async fn read_pages(&self, path: &str, pages: &(dyn Pages + Sync)) -> Result<(), FetchError> {
        let mut buffer = Vec::new();
        while let Some(next) = pages.next() {
            self.read_page(path, next, &mut buffer, pages).await?;
        }
        Ok(())
    }

    /// Reads a page in its list's size, or, of a list that begins, in the largest that the server accepts.
    async fn read_page(
        &self,
        path: &str,
        next: Next,
        buffer: &mut Vec<u8>,
        pages: &(dyn Pages + Sync),
    ) -> Result<(), FetchError> {
        let number = next.number.to_string();
        loop {
            let index = next.size.unwrap_or_else(|| self.page_size.load(Ordering::Relaxed));
            let Some(size) = PAGE_SIZES.get(index) else { return Err(FetchError::Refused { status: 400 }) };
            let size = size.to_string();
            let query = [("page[number]", number.as_str()), ("page[size]", size.as_str())];
            let mut read = |received: Response<'_>| pages.take(next.number, index, received.body);
            match self.get(path, &query, JSON_API, buffer, &mut read).await {
                Err(FetchError::Refused { status: 400 | 413 | 422 })
                    if next.size.is_none() && index + 1 < PAGE_SIZES.len() =>
                {
                    // Another list may have found out at the same time; the size goes down once.
                    let _ = self.page_size.compare_exchange(index, index + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }
}
