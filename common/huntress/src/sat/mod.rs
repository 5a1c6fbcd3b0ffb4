//! The training API: a token, the account, its lists, and the connection test.

mod agreement;
mod certificates;
mod lists;
mod page;
mod people;
mod reading;
mod records;
mod test;
mod token;

pub use agreement::{
    Access, AccessToken, Agreed, AgreementRequest, CONNECT_AGAIN, NotRefreshed, OneToken, Refreshed, SatAgreement,
    TokenSource,
};
pub use certificates::Fetched;
pub use people::{PeopleNeeds, PeopleState, TrackedPeople};
pub use reading::LARGEST_PAGE;
pub use token::SatCredential;

use super::error::FetchError;
use super::request::{Auth, Get, Reader, Response};
use super::retry::Transport;
use crate::collection::{Instants, PartOutcome};
use chrono::{DateTime, Utc};
use evidence_domain::completeness::PagesRead;
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::product::Product;
use evidence_domain::sat::SatSettings;
use evidence_domain::sat::account::{AccountFacts, MeasuredAccount, choose};
use evidence_domain::sat::activity::ActivityTally;
use evidence_domain::sat::bundle::SatTally;
use evidence_domain::sat::id::SatId;
use evidence_domain::sat::list::Inconsistent;
use futures_util::{StreamExt, TryStreamExt, stream};
use lists::{ActivityOf, Folds, Signals, dynamic};
use page::read_account;
use reading::{Cursor, fold};
use records::{Account, AccountFields, Accounts, Campaigns};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use token::{Renewal, Session};

/// The media type of the API.
const JSON_API: &str = "application/vnd.api+json";

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
    /// The place among the page sizes of the largest that no list has refused.
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
    pub async fn open(transport: &'a Transport, access: impl Into<Access<'a>>) -> Result<Self, Failure> {
        let session = Session::open(transport, access.into()).await?;
        Ok(Self { transport, session, page_size: AtomicUsize::new(0) })
    }

    /// Reads the account and its lists to their ends or caps, each once for the signals and the people who are tracked. It goes on from `state`, and from
    /// that of the people, and asks for nothing once both are whole. `configured` is the account's id, if the connection knows it; `seed` makes the
    /// hashes of learners those of this run alone.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; then nothing is known.
    pub async fn collect(
        &self,
        mut state: SatState,
        people: Option<TrackedPeople<'_>>,
        instants: Instants,
        configured: Option<&str>,
        seed: &str,
    ) -> Result<PartOutcome<(SatState, MeasuredAccount), Box<SatState>>, Failure> {
        self.page_size.store(state.page_size, Ordering::Relaxed);
        let account = match &state.account {
            Some(account) => account.clone(),
            None => match self.account(configured, &mut state.tally).await? {
                PartOutcome::Complete(account) => state.account.insert(account).clone(),
                PartOutcome::Paused { until, .. } => return Ok(PartOutcome::Paused { state: Box::new(state), until }),
            },
        };
        let state = Mutex::new(state);
        let signals = Some(Signals { state: &state, seed });
        let folds = Folds { signals, people: people.map(|people| people.state), instants };
        let paused = self.read_account_lists(account.id.as_str(), folds).await?;
        let paused = match paused {
            None => self.read_selected(folds, people.map(|people| people.needs)).await?,
            paused => paused,
        };
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.page_size = self.page_size.load(Ordering::Relaxed);
        if let Some(until) = paused {
            return Ok(PartOutcome::Paused { state: Box::new(state), until });
        }
        state.tally.check().map_err(|error| inconsistent(&error))?;
        Ok(PartOutcome::Complete((state, account)))
    }

    /// Reads what does not depend on whom the run tracks: the account's own lists, and the activity of the assignments that are not selected.
    async fn read_account_lists(&self, account: &str, folds: Folds<'_>) -> Result<Paused, Failure> {
        let assignments_and_activity = async {
            match self.read_assignments(account, folds).await? {
                None => {
                    let selected = folds.people.map(|people| lock(people).roster().selected()).unwrap_or_default();
                    let mut to_read = unread_activity(folds.signals);
                    to_read.retain(|assignment| !selected.contains(assignment));
                    let alone = |assignment| ActivityOf { assignment, for_signals: true, index: None };
                    read_each(to_read, |assignment| self.read_activity(alone(assignment), folds)).await
                }
                paused => Ok(paused),
            }
        };
        let paused = tokio::try_join!(
            self.read_counts(account, folds.signals),
            assignments_and_activity,
            self.read_learners(account, folds),
            self.read_campaigns(account, folds),
        )?;
        Ok(<[_; 4]>::from(paused).into_iter().flatten().max())
    }

    /// Reads the lists of the selected assignments: who is enrolled, if anybody has to be evaluated by that; and the activity that signals or people want.
    async fn read_selected(&self, folds: Folds<'_>, needs: Option<&dyn PeopleNeeds>) -> Result<Paused, Failure> {
        let mut places = BTreeMap::new();
        if let Some((people, needs)) = folds.people.zip(needs) {
            let paused = self.read_needed_enrollments(people, needs, folds.instants).await?;
            if paused.is_some() {
                return Ok(paused);
            }
            places = Self::activity_needed(people, needs);
        }
        let for_signals: BTreeSet<SatId> = unread_activity(folds.signals).into_iter().collect();
        let mut to_read: Vec<ActivityOf> = Vec::new();
        for (assignment, index) in &places {
            let for_signals = for_signals.contains(assignment);
            to_read.push(ActivityOf { assignment: assignment.clone(), for_signals, index: Some(*index) });
        }
        let alone = for_signals.into_iter().filter(|assignment| !places.contains_key(assignment));
        to_read.extend(alone.map(|assignment| ActivityOf { assignment, for_signals: true, index: None }));
        read_each(to_read, |of| self.read_activity(of, folds)).await
    }

    /// The account to measure, unless the run has to pause before it is known.
    async fn account(
        &self,
        configured: Option<&str>,
        tally: &mut SatTally,
    ) -> Result<PartOutcome<MeasuredAccount, ()>, Failure> {
        let listed = match self.accounts().await? {
            PartOutcome::Complete(listed) => listed,
            PartOutcome::Paused { state, until } => return Ok(PartOutcome::Paused { state, until }),
        };
        tally.accounts_read = listed.accounts.len() as u64;
        tally.accounts_pages = listed.pages;
        chosen(&listed.accounts, configured).map(PartOutcome::Complete)
    }

    /// Every visible account: id, name and kind; unless the run has to pause before they are all known.
    async fn accounts(&self) -> Result<PartOutcome<Listed, ()>, Failure> {
        let list = Listing { path: "/api/v1/accounts", noun: "accounts", scope: "account:read" };
        let read = Mutex::new((Listed::default(), Cursor::default()));
        let to_accounts = fold::<Accounts, _>(
            &read,
            |(_, cursor)| cursor,
            |(listed, _), page, at| {
                listed.accounts.extend(page.records.iter().map(Account::fields));
                listed.pages.add(&page.request(list.path), at, page.announced.total);
                Ok(true)
            },
        );
        let paused = self.read_list(&list, Instants::live(), [Some(&to_accounts as _)]).await?;
        drop(to_accounts);
        let (listed, _) = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(match paused {
            None => PartOutcome::Complete(listed),
            Some(until) => PartOutcome::Paused { state: (), until },
        })
    }

    async fn read_counts(&self, account: &str, signals: Option<Signals<'_>>) -> Result<Paused, Failure> {
        let Some(Signals { state, .. }) = signals.filter(|signals| !lock(signals.state).counts_read) else {
            return Ok(None);
        };
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

    async fn read_campaigns(&self, account: &str, folds: Folds<'_>) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/phishing-campaigns");
        let list = Listing { path: &path, noun: "phishing campaigns", scope: "phishing-campaigns:read" };
        let signals = folds.signals.map(|signals| {
            fold::<Campaigns, _>(
                signals.state,
                |state| &mut state.campaigns,
                |state, page, at| {
                    page.records.iter().for_each(|record| state.tally.phishing.add(&record.facts(), at));
                    state.tally.phishing.pages.add(&page.request(list.path), at, page.announced.total);
                    Ok(!state.tally.phishing.capped().is_cut())
                },
            )
        });
        self.read_list(&list, folds.instants, [dynamic(&signals)]).await
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

/// From when on a paused list may be read on; `None` for one that is read.
type Paused = Option<DateTime<Utc>>;

/// The assignments whose activity the signals have still to read.
fn unread_activity(signals: Option<Signals<'_>>) -> Vec<SatId> {
    let Some(Signals { state, .. }) = signals else { return Vec::new() };
    let state = lock(state);
    let to_read = state.tally.assignments.to_read().iter();
    to_read.filter(|assignment| !state.activity_read.contains(*assignment)).cloned().collect()
}

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
