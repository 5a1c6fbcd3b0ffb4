//! The training API: a token, the account, its lists, and the connection test.

mod certificates;
mod page;
mod people;
mod records;
mod test;
mod token;

pub use certificates::Fetched;
pub use token::SatCredential;

use super::error::FetchError;
use super::transport::{Auth, Get, Transport};
use crate::domain::connection::Product;
use crate::domain::id::RecordKey;
use crate::domain::run::{Failure, FailureCode};
use crate::domain::sat::SatSettings;
use crate::domain::sat::account::{AccountFacts, Chosen, choose};
use crate::domain::sat::assignment::AssignmentFacts;
use crate::domain::sat::bundle::SatTally;
use crate::domain::sat::id::SatId;
use crate::domain::sat::list::Inconsistent;
use crate::huntress::edr::Instants;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use page::{Page, Resource, read_account};
use records::{Account, Activity, Campaign, WithStatus};
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use token::Session;

/// The media type of the API.
const JSON_API: &str = "application/vnd.api+json";

/// Page sizes to ask for, from the largest: the server's limit is not documented. A size that it refuses is not asked for again in the run; one that
/// it cuts down is as good, since its count of pages goes by its own size.
const PAGE_SIZES: [&str; 3] = ["1000", "500", "100"];

/// Lists of learner activity that are read at the same time.
const CONCURRENCY: usize = 8;

/// More pages than any list can have: a list that goes on is broken.
const MAX_PAGES: u32 = 100_000;

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
            FetchError::Unauthorized => {
                Failure::new(FailureCode::AuthFailed, "the access token was refused, and so was a new one").at(request)
            }
            FetchError::Forbidden => {
                let message = format!("the API client lacks the scope {}", self.scope);
                Failure::new(FailureCode::MissingScopes, message).at(request)
            }
            error => error.into_failure(&request, self.noun),
        };
        failure.about(Product::Sat)
    }
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

    /// Reads the account and its lists to their ends or caps. `configured` is the account's id, if the connection knows it; `seed` makes the hashes
    /// of learners those of this run alone.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; then nothing is known.
    pub async fn collect(
        &self,
        settings: SatSettings,
        instants: Instants,
        configured: Option<&str>,
        seed: &str,
    ) -> Result<(SatTally, Chosen), Failure> {
        let mut tally = SatTally::new(settings, instants.as_of);
        let account = self.account(configured, &mut tally).await?;
        let tally = Mutex::new(tally);
        let id = account.id.as_str();
        tokio::try_join!(
            self.read_counts(id, &tally),
            self.read_training(id, seed, instants, &tally),
            self.read_learners(id, seed, instants, &tally),
            self.read_campaigns(id, instants, &tally),
        )?;
        let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.check().map_err(|error| inconsistent(&error))?;
        Ok((tally, account))
    }

    async fn account(&self, configured: Option<&str>, tally: &mut SatTally) -> Result<Chosen, Failure> {
        let accounts = self.accounts().await?;
        tally.accounts_read = accounts.len() as u64;
        let facts: Vec<AccountFacts<'_>> = accounts
            .iter()
            .map(|(id, name, kind)| AccountFacts { id: id.as_deref(), name: name.as_deref(), kind: kind.as_deref() })
            .collect();
        choose(&facts, configured).map_err(|error| Failure::from(error).at("GET /api/v1/accounts").about(Product::Sat))
    }

    /// Every visible account: id, name and kind.
    async fn accounts(&self) -> Result<Vec<AccountFields>, Failure> {
        let list = Listing { path: "/api/v1/accounts", noun: "accounts", scope: "account:read" };
        let accounts = Mutex::new(Vec::new());
        self.read_list::<Account<'static>, _>(&list, Instants::live(), |page, _| {
            let page = page.records.iter().map(Account::fields);
            accounts.lock().unwrap_or_else(PoisonError::into_inner).extend(page);
            Ok(true)
        })
        .await?;
        Ok(accounts.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read_counts(&self, account: &str, tally: &Mutex<SatTally>) -> Result<(), Failure> {
        let path = format!("/api/v1/accounts/{account}");
        let list = Listing { path: &path, noun: "the account", scope: "account:read" };
        let claimed = self.get(&path, &[], &mut Vec::new(), read_account).await;
        let claimed = claimed.map_err(|error| self.failed(&list, error))?;
        lock(tally).coverage.claim_active_learners(claimed);
        Ok(())
    }

    /// The assignments, and then the activity of those that hold completions.
    async fn read_training(
        &self,
        account: &str,
        seed: &str,
        instants: Instants,
        tally: &Mutex<SatTally>,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        self.read_list::<WithStatus<'static>, _>(&list, instants, |page, _| {
            let mut tally = lock(tally);
            for record in &page.records {
                let facts = AssignmentFacts { id: record.id(), status: record.status() };
                let unusable = "it has characters that do not belong in a path";
                tally
                    .assignments
                    .add(&facts)
                    .map_err(|_| FetchError::Malformed { path: "data.id".to_owned(), what: unusable.to_owned() })?;
            }
            Ok(!tally.assignments.capped().is_cut())
        })
        .await?;
        let to_read: Vec<SatId> = lock(tally).assignments.to_read().to_vec();
        stream::iter(to_read)
            .map(|assignment| async move { self.read_activity(&assignment, seed, instants, tally).await })
            .buffer_unordered(CONCURRENCY)
            .try_for_each(async |()| Ok(()))
            .await
    }

    async fn read_activity(
        &self,
        assignment: &SatId,
        seed: &str,
        instants: Instants,
        tally: &Mutex<SatTally>,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/assignments/{assignment}/learner-activity");
        let list = Listing { path: &path, noun: "learner activity", scope: "assignments:learner-activity" };
        let mut activity = lock(tally).activity();
        self.read_list::<Activity<'static>, _>(&list, instants, |page, at| {
            page.records.iter().for_each(|record| activity.add(&record.facts(seed), at));
            Ok(!activity.capped().is_cut())
        })
        .await?;
        lock(tally).coverage.join(activity).map_err(|error| inconsistent(&error).at(format!("GET {path}")))
    }

    async fn read_learners(
        &self,
        account: &str,
        seed: &str,
        instants: Instants,
        tally: &Mutex<SatTally>,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/accounts/{account}/learners");
        let list = Listing { path: &path, noun: "learners", scope: "learners:read" };
        self.read_list::<WithStatus<'static>, _>(&list, instants, |page, _| {
            let mut tally = lock(tally);
            page.records.iter().for_each(|record| tally.coverage.add_learner(&record.learner(seed)));
            Ok(true)
        })
        .await
    }

    async fn read_campaigns(&self, account: &str, instants: Instants, tally: &Mutex<SatTally>) -> Result<(), Failure> {
        let path = format!("/api/v1/accounts/{account}/phishing-campaigns");
        let list = Listing { path: &path, noun: "phishing campaigns", scope: "phishing-campaigns:read" };
        self.read_list::<Campaign<'static>, _>(&list, instants, |page, at| {
            let mut tally = lock(tally);
            page.records.iter().for_each(|record| tally.phishing.add(&record.facts(), at));
            Ok(!tally.phishing.capped().is_cut())
        })
        .await
    }

    async fn read_list<R, F>(&self, list: &Listing<'_>, instants: Instants, fold: F) -> Result<(), Failure>
    where
        R: Resource,
        F: FnMut(Page<R::Of<'_>>, DateTime<Utc>) -> Result<bool, FetchError>,
    {
        self.read_pages::<R, F>(list, instants, fold).await.map_err(|error| self.failed(list, error))
    }

    /// Reads page after page until the list or the interest of `fold` ends.
    async fn read_pages<R, F>(&self, list: &Listing<'_>, instants: Instants, mut fold: F) -> Result<(), FetchError>
    where
        R: Resource,
        F: FnMut(Page<R::Of<'_>>, DateTime<Utc>) -> Result<bool, FetchError>,
    {
        let mut buffer = Vec::new();
        let mut firsts_seen: HashSet<RecordKey> = HashSet::new();
        for number in 1..=MAX_PAGES {
            let number_text = number.to_string();
            let (end, first, more_wanted) = self
                .get_sized(list.path, &number_text, &mut buffer, |body| {
                    let page = R::page(body)?;
                    let observed_at = instants.observed_at.unwrap_or_else(|| self.transport.clock().now());
                    self.transport.progress().add_page(page.records.len() as u64);
                    let (end, first) = (page.end, page.first);
                    Ok((end, first, fold(page, observed_at)))
                })
                .await?;
            if !more_wanted? || end.is_last(number) {
                return Ok(());
            }
            // A server that gives its last page for any number would otherwise be read for ever.
            if first.is_some_and(|first| !firsts_seen.insert(first)) {
                return Err(FetchError::Inconsistent { what: "a page came a second time".to_owned() });
            }
        }
        Err(FetchError::Inconsistent { what: format!("it has not ended after {MAX_PAGES} pages") })
    }

    /// Gets a page in the largest size that the server accepts.
    async fn get_sized<T>(
        &self,
        path: &str,
        number: &str,
        buffer: &mut Vec<u8>,
        mut read: impl FnMut(&[u8]) -> Result<T, super::error::BodyError>,
    ) -> Result<T, FetchError> {
        loop {
            let index = self.page_size.load(Ordering::Relaxed);
            let Some(size) = PAGE_SIZES.get(index) else { return Err(FetchError::Refused { status: 400 }) };
            let query = [("page[number]", number), ("page[size]", *size)];
            match self.get(path, &query, buffer, &mut read).await {
                Err(FetchError::Refused { status: 400 | 413 | 422 })
                    if number == "1" && index + 1 < PAGE_SIZES.len() =>
                {
                    // Another list may have found out at the same time; the size goes down once.
                    let _ = self.page_size.compare_exchange(index, index + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }

    /// Gets with the session's token; one that is refused is renewed once in the life of the client.
    async fn get<T>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        buffer: &mut Vec<u8>,
        mut read: impl FnMut(&[u8]) -> Result<T, super::error::BodyError>,
    ) -> Result<T, FetchError> {
        let token = self.session.token().await;
        let get = Get { path, query, auth: Auth::Bearer(&token), accept: JSON_API };
        match self.transport.get(get, buffer, &mut read).await {
            Err(FetchError::Unauthorized) => {
                let renewed = self.session.renew(&token).await?;
                let get = Get { auth: Auth::Bearer(&renewed), ..get };
                self.transport.get(get, buffer, &mut read).await
            }
            other => other,
        }
    }

    /// The failure of a list; if a new token was refused on the way, that is the failure.
    fn failed(&self, list: &Listing<'_>, error: FetchError) -> Failure {
        self.session.take_failure().unwrap_or_else(|| list.failure(error))
    }
}

type AccountFields = (Option<String>, Option<String>, Option<String>);

fn lock(tally: &Mutex<SatTally>) -> std::sync::MutexGuard<'_, SatTally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inconsistent(error: &Inconsistent) -> Failure {
    Failure::new(FailureCode::Inconsistent, error.to_string()).about(Product::Sat)
}

/// Reads one object leniently.
fn object<'de, T: Deserialize<'de> + Default>(body: &'de [u8]) -> Result<T, super::error::BodyError> {
    page::read_object(body)
}
