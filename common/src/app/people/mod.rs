//! The training of people: collected once and printed, or tracked from run to run on a connection that opted in.

mod certificates;
mod keyring;
mod links;
mod service;
mod track;
mod update;

pub use certificates::CERTIFICATES_PER_RUN;
pub use keyring::{ConnectionKeyring, Identity, KeyringError, Opening, PeopleKeyring, PersonHasher};
pub use links::{LINK_DAYS, LONGEST_LINK_DAYS, LinkError, OnboardingLink};
pub(super) use service::training_connection;
pub use service::{OpenedCertificate, PeopleError, PeopleService, PrivacyChange};
pub use track::Tracked;
pub(in crate::app) use track::Tracking;

use crate::app::collection::collect::{Huntress, Job};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::people::report::TrainingCollection;
use crate::domain::people::roster::Roster;
use crate::domain::people::selection::{AssignmentBook, SelectedAssignments};
use crate::domain::sat::SatSettings;
use crate::huntress::collection::Instants;
use crate::huntress::sat::{Access, SatClient, SatCredential};
use chrono::SubsecRound;

impl Huntress {
    /// Reads who is enrolled in `selected` and how far everybody is.
    ///
    /// # Errors
    /// The [`Failure`] that prevents a result, e.g. a selected assignment that does not exist or cannot be selected.
    pub async fn collect_training(
        &self,
        credential: &SatCredential,
        settings: SatSettings,
        selected: &SelectedAssignments,
        configured: Option<&str>,
        job: Job,
    ) -> Result<TrainingCollection, Failure> {
        let started_at = self.clock.now();
        let transport =
            self.transport(&self.origins.sat, job.limiter, job.wait_policy, std::sync::Arc::clone(&job.progress));
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        let client = SatClient::open(&transport, credential).await?;
        let account = client.chosen_account(configured).await?;
        let id = account.id.as_str();
        let caps = settings.caps();
        let book = client.assignments(id, caps.assignments, instants).await?;
        check_selection(&book, selected, id)?;
        let roster = Roster::new(job.as_of, selected, caps.activity_per_assignment).placed(&book);
        Ok(TrainingCollection {
            roster: client.read_roster(id, roster, instants).await?,
            quality: book.quality,
            selected: selected.clone(),
            account,
            collected_at: started_at.trunc_subsecs(0),
            as_of: job.as_of,
            duration_ms: self.milliseconds_since(started_at),
            api_calls: job.progress.requests(),
            lowest_remaining: job.progress.lowest_remaining(),
        })
    }

    /// Reads the assignments of an account, to select from.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn assignments(
        &self,
        access: impl Into<Access<'_>>,
        settings: SatSettings,
        configured: Option<&str>,
        job: Job,
    ) -> Result<AssignmentBook, Failure> {
        let transport = self.transport(&self.origins.sat, job.limiter, job.wait_policy, job.progress);
        let access: Access<'_> = access.into();
        let client = SatClient::open(&transport, access).await?;
        let account = client.chosen_account(configured).await?;
        let instants = Instants { as_of: job.as_of, observed_at: None };
        client.assignments(account.id.as_str(), settings.caps().assignments, instants).await
    }
}

/// Refuses a choice that the account does not allow, as a failure that lists what it does.
///
/// # Errors
/// [`FailureCode::NotFound`], with the list of those that can be selected.
pub fn check_selection(book: &AssignmentBook, selected: &SelectedAssignments, account: &str) -> Result<(), Failure> {
    book.check_selection(selected).map_err(|error| {
        Failure::new(FailureCode::NotFound, error.to_string()).at(format!("GET /api/v1/accounts/{account}/assignments"))
    })
}
