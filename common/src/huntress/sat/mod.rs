//! The training API: a token, the account, its lists, and the connection test.

mod certificates;
mod page;
mod people;
mod records;
mod test;
mod token;

pub use certificates::Fetched;
pub use people::PeopleState;
pub use token::SatCredential;

use super::error::{BodyError, FetchError};
use super::pagination;
use super::request::{Auth, Get, Reader, Response};
use super::retry::Transport;
use super::wire::read_json;
use crate::domain::completeness::PagesRead;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::product::Product;
use crate::domain::sat::SatSettings;
use crate::domain::sat::account::{AccountFacts, MeasuredAccount, choose};
use crate::domain::sat::activity::ActivityTally;
use crate::domain::sat::assignment::AssignmentFacts;
use crate::domain::sat::bundle::SatTally;
use crate::domain::sat::id::SatId;
use crate::domain::sat::list::Inconsistent;
use crate::huntress::collection::{Collected, Instants};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use page::{Resource, SatPage, read_account};
use records::{Account, AccountFields, Accounts, Activities, Campaigns, Statuses};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use token::{Renewal, Session};

/// The media type of the API.
const JSON_API: &str = "application/vnd.api+json";

/// Page sizes to ask for, from the largest: the server's limit is not documented. A size that it refuses is not asked for again in the run; one that
/// it cuts down is as good, since its count of pages goes by its own size.
const PAGE_SIZES: [&str; 3] = ["1000", "500", "100"];

/// Lists of one kind that are read at the same time.
const CONCURRENCY: usize = 8;

/// A list, its name for people and the scope that opens it.
struct Listing<'a> {
    path: &'a str,
    noun: &'static str,
    scope: &'static str,
}

impl Listing<'_> {
    fn failure(&self, error: FetchError) -> Failure {
        let request = format!("GET {}", self.path);
        let failure = match error {
            FetchError::Unauthorized => Failure::new(
                FailureCode::AuthFailed,
                "an access token was refused before any request with it succeeded",
            )
            .at(request),
            FetchError::Forbidden => {
                let message = format!("the API client lacks the scope {}", self.scope);
                Failure::new(FailureCode::MissingScopes, message).at(request)
            }
            error => return error.into_failure(Product::Sat, &request, self.noun),
        };
        failure.about(Product::Sat)
    }

    /// Checks a list once it is read.
    fn checked(&self, paused: Paused, check: impl FnOnce() -> Result<(), Inconsistent>) -> Result<Paused, Failure> {
        if paused.is_none() {
            check().map_err(|error| inconsistent(&error).at(format!("GET {}", self.path)))?;
        }
        Ok(paused)
    }
}

/// How far a collection has come: enough to go on in another process. Learners are in it as the hashes of this run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SatState {
    tally: SatTally,
    account: Option<MeasuredAccount>,
    /// The place in [`PAGE_SIZES`] of the largest size that no list has refused.
    page_size: usize,
    counts_read: bool,
    assignments: Cursor,
    learners: Cursor,
    campaigns: Cursor,
    activity_read: HashSet<SatId>,
    open_activity: BTreeMap<SatId, (ActivityTally, Cursor)>,
}

impl SatState {
    /// Nothing read so far.
    #[must_use]
    pub fn new(settings: SatSettings, as_of: DateTime<Utc>) -> Self {
        Self {
            tally: SatTally::new(settings, as_of),
            account: None,
            page_size: 0,
            counts_read: false,
            assignments: Cursor::default(),
            learners: Cursor::default(),
            campaigns: Cursor::default(),
            activity_read: HashSet::new(),
            open_activity: BTreeMap::new(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> &SatTally {
        &self.tally
    }
}

impl From<SatState> for SatTally {
    fn from(state: SatState) -> Self {
        state.tally
    }
}

/// How far one list was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Cursor {
    list: pagination::Cursor,
    /// The place in [`PAGE_SIZES`] of its first page: pages of another size would not go on where that ended.
    size: usize,
}

/// Reads one account of the training API.
pub struct SatClient<'a> {
    transport: &'a Transport,
    session: Session<'a>,
    page_size: AtomicUsize,
}

impl<'a> SatClient<'a> {
    /// A client with a fresh token, which lives as long as the client and is kept nowhere else.
    ///
    /// # Errors
    /// The [`Failure`] of the token endpoint; a missing scope is named.
    pub async fn open(transport: &'a Transport, credential: &'a SatCredential) -> Result<Self, Failure> {
        let session = Session::open(transport, credential).await?;
        Ok(Self { transport, session, page_size: AtomicUsize::new(0) })
    }

    /// Reads the account and its lists to their ends or caps, on from `state`, which asks for nothing once it is whole. `configured` is the account's id,
    /// if the connection knows it; `seed` makes the hashes of learners those of this run alone.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; then nothing is known.
    pub async fn collect(
        &self,
        mut state: SatState,
        instants: Instants,
        configured: Option<&str>,
        seed: &str,
    ) -> Result<Collected<(SatState, MeasuredAccount), SatState>, Failure> {
        self.page_size.store(state.page_size, Ordering::Relaxed);
        let account = match &state.account {
            Some(account) => account.clone(),
            None => match self.account(configured, &mut state.tally).await? {
                Ok(account) => state.account.insert(account).clone(),
                Err(until) => return Ok(Collected::Paused { state: Box::new(state), until }),
            },
        };
        let id = account.id.as_str();
        let state = Mutex::new(state);
        let paused = tokio::try_join!(
            self.read_counts(id, &state),
            self.read_training(id, seed, instants, &state),
            self.read_learners(id, seed, instants, &state),
            self.read_campaigns(id, instants, &state),
        )?;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.page_size = self.page_size.load(Ordering::Relaxed);
        if let Some(until) = <[_; 4]>::from(paused).into_iter().flatten().max() {
            return Ok(Collected::Paused { state: Box::new(state), until });
        }
        state.tally.check().map_err(|error| inconsistent(&error))?;
        Ok(Collected::Complete((state, account)))
    }

    /// The account to measure, unless the run has to pause before it is known.
    async fn account(
        &self,
        configured: Option<&str>,
        tally: &mut SatTally,
    ) -> Result<Result<MeasuredAccount, DateTime<Utc>>, Failure> {
        let listed = match self.accounts().await? {
            Ok(listed) => listed,
            Err(until) => return Ok(Err(until)),
        };
        tally.accounts_read = listed.accounts.len() as u64;
        tally.accounts_pages = listed.pages;
        chosen(&listed.accounts, configured).map(Ok)
    }

    /// Every visible account: id, name and kind; unless the run has to pause before they are all known.
    async fn accounts(&self) -> Result<Result<Listed, DateTime<Utc>>, Failure> {
        let list = Listing { path: "/api/v1/accounts", noun: "accounts", scope: "account:read" };
        let read = Mutex::new((Listed::default(), Cursor::default()));
        let mut reading = self.reading::<Accounts, _>(
            list.noun,
            Instants::live(),
            &read,
            |(_, cursor)| cursor,
            |(listed, _), page, at| {
                listed.accounts.extend(page.records.iter().map(Account::fields));
                listed.pages.add(&page.request(list.path), at, page.announced.total);
                Ok(true)
            },
        );
        let paused = self.read_list(&list, &mut reading).await?;
        drop(reading);
        let (listed, _) = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(paused.map_or(Ok(listed), Err))
    }

    async fn read_counts(&self, account: &str, state: &Mutex<SatState>) -> Result<Paused, Failure> {
        if lock(state).counts_read {
            return Ok(None);
        }
        let path = format!("/api/v1/accounts/{account}");
        let list = Listing { path: &path, noun: "the account", scope: "account:read" };
        let mut claimed = None;
        let mut read = |received: Response<'_>| {
            claimed = read_account(received.body)?;
            Ok(())
        };
        match self.get(&path, &[], JSON_API, &mut Vec::new(), &mut read).await {
            Ok(()) => {
                let mut state = lock(state);
                state.tally.coverage.claim_active_learners(claimed);
                state.counts_read = true;
                Ok(None)
            }
            Err(error) => self.paused_or_failed(&list, error),
        }
    }

    /// The assignments, and then the activity of those that hold completions.
    async fn read_training(
        &self,
        account: &str,
        seed: &str,
        instants: Instants,
        state: &Mutex<SatState>,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        let mut reading = self.reading::<Statuses, _>(
            list.noun,
            instants,
            state,
            |state| &mut state.assignments,
            |state, page, at| {
                for record in &page.records {
                    let id = record.id();
                    let facts = AssignmentFacts { id: id.as_deref(), status: record.status() };
                    let unusable = "it has characters that do not belong in a path";
                    state.tally.assignments.add(&facts).map_err(|_| BodyError::shape("data.id", unusable))?;
                }
                state.tally.assignments.pages.add(&page.request(list.path), at, page.announced.total);
                Ok(!state.tally.assignments.capped().is_cut())
            },
        );
        let paused = self.read_list(&list, &mut reading).await?;
        if paused.is_some() {
            return Ok(paused);
        }
        let to_read: Vec<SatId> = {
            let state = lock(state);
            let to_read = state.tally.assignments.to_read().iter();
            to_read.filter(|assignment| !state.activity_read.contains(*assignment)).cloned().collect()
        };
        read_each(to_read, |it| async move { self.read_activity(&it, seed, instants, state).await }).await
    }

    async fn read_activity(
        &self,
        assignment: &SatId,
        seed: &str,
        instants: Instants,
        state: &Mutex<SatState>,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/assignments/{assignment}/learner-activity");
        let list = Listing { path: &path, noun: "learner activity", scope: "assignments:learner-activity" };
        let open = {
            let mut state = lock(state);
            let open = state.open_activity.remove(assignment);
            Mutex::new(open.unwrap_or_else(|| (state.tally.activity(), Cursor::default())))
        };
        let mut reading = self.reading::<Activities, _>(
            list.noun,
            instants,
            &open,
            |(_, cursor)| cursor,
            |(activity, _), page, at| {
                page.records.iter().for_each(|record| activity.add(&record.facts(seed), at));
                activity.pages.add(
                    &page.request("/api/v1/assignments/{id}/learner-activity"),
                    at,
                    page.announced.total,
                );
                Ok(!activity.capped().is_cut())
            },
        );
        let paused = self.read_list(&list, &mut reading).await?;
        drop(reading);
        let open = open.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock(state);
        if paused.is_some() {
            if open.1.list.pages > 0 {
                state.open_activity.insert(assignment.clone(), open);
            }
            return Ok(paused);
        }
        state.activity_read.insert(assignment.clone());
        let joined = state.tally.coverage.join(open.0);
        joined.map(|()| None).map_err(|error| inconsistent(&error).at(format!("GET {path}")))
    }

    async fn read_learners(
        &self,
        account: &str,
        seed: &str,
        instants: Instants,
        state: &Mutex<SatState>,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/learners");
        let list = Listing { path: &path, noun: "learners", scope: "learners:read" };
        let mut reading = self.reading::<Statuses, _>(
            list.noun,
            instants,
            state,
            |state| &mut state.learners,
            |state, page, at| {
                page.records.iter().for_each(|record| state.tally.coverage.add_learner(&record.learner(seed)));
                state.tally.coverage.learners_pages.add(&page.request(list.path), at, page.announced.total);
                Ok(true)
            },
        );
        self.read_list(&list, &mut reading).await
    }

    async fn read_campaigns(
        &self,
        account: &str,
        instants: Instants,
        state: &Mutex<SatState>,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/phishing-campaigns");
        let list = Listing { path: &path, noun: "phishing campaigns", scope: "phishing-campaigns:read" };
        let mut reading = self.reading::<Campaigns, _>(
            list.noun,
            instants,
            state,
            |state| &mut state.campaigns,
            |state, page, at| {
                page.records.iter().for_each(|record| state.tally.phishing.add(&record.facts(), at));
                state.tally.phishing.pages.add(&page.request(list.path), at, page.announced.total);
                Ok(!state.tally.phishing.capped().is_cut())
            },
        );
        self.read_list(&list, &mut reading).await
    }

    /// What reads the pages of a list into `state`, on from its cursor, which moves in one step with the folding of each page.
    fn reading<R: Resource, S: Send>(
        &self,
        noun: &'static str,
        instants: Instants,
        state: &Mutex<S>,
        cursor: impl Fn(&mut S) -> &mut Cursor + Copy + Send,
        mut fold: impl FnMut(&mut S, &SatPage<'_, R::Of<'_>>, DateTime<Utc>) -> Result<bool, BodyError> + Send,
    ) -> impl Reading {
        let next = move || {
            let mut state = lock(state);
            let Cursor { list, size } = cursor(&mut state);
            (!list.ended).then(|| Next { number: list.pages + 1, size: (list.pages > 0).then_some(*size) })
        };
        let read = move |size: usize, body: &[u8]| {
            let observed_at = instants.observed_at.unwrap_or_else(|| self.transport.clock().now());
            read_json(body, |text| {
                let mut page = R::page(text)?;
                page.size = PAGE_SIZES.get(size).copied().unwrap_or_default();
                self.transport.progress().add_page(noun, page.records.len() as u64);
                let mut state = lock(state);
                let more_wanted = fold(&mut state, &page, observed_at)?;
                let cursor = cursor(&mut state);
                cursor.size = size;
                cursor.list.advance_by_number(page.records.len(), page.first(), &page.announced, more_wanted)
            })
        };
        (next, read)
    }

    /// Reads a list until it or the interest in it ends, or the run has to pause.
    async fn read_list(&self, list: &Listing<'_>, reading: &mut dyn Reading) -> Result<Paused, Failure> {
        match self.read_pages(list.path, reading).await {
            Ok(()) => Ok(None),
            Err(error) => self.paused_or_failed(list, error),
        }
    }

    async fn read_pages(&self, path: &str, reading: &mut dyn Reading) -> Result<(), FetchError> {
        let mut buffer = Vec::new();
        while let Some(next) = reading.next() {
            self.read_page(path, next, &mut buffer, reading).await?;
        }
        Ok(())
    }

    /// Reads a page in its list's size, or, of a list that begins, in the largest that the server accepts.
    async fn read_page(
        &self,
        path: &str,
        next: Next,
        buffer: &mut Vec<u8>,
        reading: &mut dyn Reading,
    ) -> Result<(), FetchError> {
        let number = next.number.to_string();
        loop {
            let index = next.size.unwrap_or_else(|| self.page_size.load(Ordering::Relaxed));
            let Some(size) = PAGE_SIZES.get(index) else { return Err(FetchError::Refused { status: 400 }) };
            let query = [("page[number]", number.as_str()), ("page[size]", *size)];
            let mut read = |received: Response<'_>| reading.read(index, received.body);
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

    /// Gets with the session's token; one that is refused is renewed as long as it was good for something.
    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        accept: &'static str,
        buffer: &mut Vec<u8>,
        read: &mut Reader<'_>,
    ) -> Result<(), FetchError> {
        let mut token = self.session.token().await;
        let mut alone = None;
        loop {
            let get = Get { path, query, auth: Auth::Bearer(token.secret()), accept };
            let got = self.transport.get(get, buffer, read).await;
            // Whatever is answered but a refusal shows that the token is good.
            if matches!(
                got,
                Ok(())
                    | Err(FetchError::Forbidden
                        | FetchError::NotFound
                        | FetchError::Refused { .. }
                        | FetchError::Malformed { .. }
                        | FetchError::Inconsistent { .. })
            ) {
                token.prove();
            }
            drop(alone.take());
            if !matches!(got, Err(FetchError::Unauthorized)) {
                return got;
            }
            token = match self.session.renew(&token).await? {
                Renewal::Renewed(token) => token,
                Renewal::First(token, guard) => {
                    alone = Some(guard);
                    token
                }
            };
        }
    }

    /// A pause is no failure.
    fn paused_or_failed(&self, list: &Listing<'_>, error: FetchError) -> Result<Paused, Failure> {
        match error {
            FetchError::Paused { until } => Ok(Some(until)),
            error => Err(self.failed(list, error)),
        }
    }

    /// The failure of a list; if a new token was refused on the way, that is the failure.
    fn failed(&self, list: &Listing<'_>, error: FetchError) -> Failure {
        self.session.take_failure().unwrap_or_else(|| list.failure(error))
    }
}

/// The visible accounts.
#[derive(Default)]
struct Listed {
    accounts: Vec<AccountFields>,
    pages: PagesRead,
}

/// The page of a list that comes next.
struct Next {
    number: u32,
    /// The place of the list's size in [`PAGE_SIZES`], once it has one.
    size: Option<usize>,
}

/// What a list is read into, page by page. Without a type of its own for each list, so that the asking is compiled once.
trait Reading: Send {
    /// The next page, unless the list has ended.
    fn next(&mut self) -> Option<Next>;
    /// Takes the body of that page, which was asked for in this size.
    fn read(&mut self, size: usize, body: &[u8]) -> Result<(), BodyError>;
}

impl<N, R> Reading for (N, R)
where
    N: FnMut() -> Option<Next> + Send,
    R: FnMut(usize, &[u8]) -> Result<(), BodyError> + Send,
{
    fn next(&mut self) -> Option<Next> {
        (self.0)()
    }
    fn read(&mut self, size: usize, body: &[u8]) -> Result<(), BodyError> {
        (self.1)(size, body)
    }
}

/// From when on a paused list may be read on; `None` for one that is read.
type Paused = Option<DateTime<Utc>>;

fn lock<S>(state: &Mutex<S>) -> std::sync::MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads many lists, some at the same time. Once one has to pause, none is begun any more.
async fn read_each<T, F: Future<Output = Result<Paused, Failure>> + Send>(
    lists: Vec<T>,
    read: impl Fn(T) -> F,
) -> Result<Paused, Failure> {
    let paused = AtomicBool::new(false);
    let unless_paused = |reading: F| {
        let paused = &paused;
        async move {
            if paused.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let until = reading.await?;
            paused.fetch_or(until.is_some(), Ordering::Relaxed);
            Ok(until)
        }
    };
    stream::iter(lists)
        .map(|list| unless_paused(read(list)))
        .buffer_unordered(CONCURRENCY)
        .try_fold(None, async |latest: Paused, until| Ok(latest.max(until)))
        .await
}

/// The account that is meant, of those that are visible.
fn chosen(accounts: &[AccountFields], configured: Option<&str>) -> Result<MeasuredAccount, Failure> {
    let facts: Vec<AccountFacts<'_>> = accounts.iter().map(AccountFields::facts).collect();
    choose(&facts, configured).map_err(|error| Failure::from(error).at("GET /api/v1/accounts").about(Product::Sat))
}

fn inconsistent(error: &Inconsistent) -> Failure {
    Failure::new(FailureCode::Inconsistent, error.to_string()).about(Product::Sat)
}
