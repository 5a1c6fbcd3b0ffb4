//! Onboarding links: what a person opens without an account to see their own training, and nothing else.
//!
//! A link is 32 random bytes. The table has their hash, and under it whom the link is for, sealed under a key that is made of those bytes. So nothing of a
//! person is in the address, nobody who reads the table can make or follow a link, and guessing one is hopeless.

use super::service::{PeopleError, PeopleService};
use crate::aws::secrets::sealing::{CipherFailed, HashingKey, SealingKey, random_key};
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::id::{CompanyId, ConnectionId, ConnectionKey};
use crate::domain::people::person::{OnboardingPrompt, PersonId, PrivacyMode, onboarding_prompt};
use crate::store::{KeptLink, LinkEnd, StoreError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A link lasts at most so many days.
pub const LONGEST_LINK_DAYS: u32 = 90;

/// A link lasts so many days unless somebody says otherwise.
pub const LINK_DAYS: u32 = 14;

/// Where a link begins, below our address.
const PATH: &str = "/onboarding/";

/// 32 bytes in base64.
const SECRET_LENGTH: usize = 43;

/// An old link is told from one that never was for so long.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

const BINDING: &str = "onboarding link";

/// Whom a link is for. The mode is that of when it was made: what a person sees of themselves is what they were told would be kept.
#[derive(Serialize, Deserialize)]
struct Recipient {
    company: CompanyId,
    connection: ConnectionId,
    person: PersonId,
    mode: PrivacyMode,
}

/// A link that was made. It is shown once: the table has its hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct OnboardingLink {
    secret: String,
    /// Until when it shows anything.
    pub until: DateTime<Utc>,
}

impl OnboardingLink {
    /// Its address below one of ours, e.g. `https://evidence.example.com`.
    #[must_use]
    pub fn below(&self, origin: &str) -> String {
        format!("{}{PATH}{}", origin.trim_end_matches('/'), self.secret)
    }
}

/// Why a link shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There never was one, or it was forgotten.
    #[error("there is no such link")]
    Unknown,
    /// It has ended.
    #[error("the link has ended")]
    Expired,
    /// Somebody took it back.
    #[error("the link was taken back")]
    TakenBack,
    /// The person was erased, their connection was removed, or what is kept of people there was changed.
    #[error("what the link was for is not kept any more")]
    Gone,
    /// People cannot be read now.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::People(error.into())
    }
}

fn key_of(secret: &str) -> Result<SealingKey, CipherFailed> {
    HashingKey::new(secret.as_bytes()).derive(&[BINDING])
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PeopleError {
    StoreError::Unavailable { source: error.into() }.into()
}

fn failed(error: CipherFailed) -> PeopleError {
    unavailable(error)
}

impl PeopleService {
    /// Makes a link for a person that lasts some days. Who made it is kept.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody, [`PeopleError::Refused`] for another number of days than 1 to [`LONGEST_LINK_DAYS`].
    pub async fn make_link(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        days: u32,
        actor: &Actor,
    ) -> Result<OnboardingLink, PeopleError> {
        if !(1..=LONGEST_LINK_DAYS).contains(&days) {
            return Err(PeopleError::Refused(format!("a link lasts 1 to {LONGEST_LINK_DAYS} days")));
        }
        let mode = self.connection(company, id).await?.people.mode;
        let person = self.person(company, id, named).await?.person;
        let secret = URL_SAFE_NO_PAD.encode(random_key().map_err(failed)?);
        let recipient = Recipient { company: company.clone(), connection: id.clone(), person: person.clone(), mode };
        let plain = serde_json::to_vec(&recipient).map_err(unavailable)?;
        let sealed = key_of(&secret).and_then(|key| key.seal(BINDING, &plain)).map_err(failed)?;
        let now = self.clock.now();
        let until = (now + TimeDelta::days(days.into())).trunc_subsecs(0);
        let expires_at = (until + REMEMBERED).timestamp();
        let kept = KeptLink { sealed: STANDARD.encode(sealed), until, expires_at, ended: None };
        // Of the person not even the hash: it may not outlast their erasing.
        let event =
            AuditEvent::of_connection(actor, AuditAction::OnboardingLinkCreated, ConnectionKey::of(company, id), now);
        self.store.keep_link(&secret, &kept, company, id, &person, &event).await?;
        tracing::info!(%company, connection = %id, "an onboarding link was made");
        Ok(OnboardingLink { secret, until })
    }

    /// Until when each link of a person works, those that end last first.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn links(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        person: &PersonId,
    ) -> Result<Vec<DateTime<Utc>>, PeopleError> {
        let now = self.clock.now();
        let links = self.store.links_of(company, id, person).await?;
        let mut until: Vec<DateTime<Utc>> = links.iter().map(|link| link.until).filter(|until| *until > now).collect();
        until.sort_unstable_by(|a, b| b.cmp(a));
        Ok(until)
    }

    /// Takes back every link of a person: none shows anything from then on. Who did it is kept. How many there were.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn take_back_links(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        actor: &Actor,
    ) -> Result<u64, PeopleError> {
        let person = self.person(company, id, named).await?.person;
        // Of the person not even the hash, as when a link is made.
        let event = AuditEvent::of_connection(
            actor,
            AuditAction::OnboardingLinksRevoked,
            ConnectionKey::of(company, id),
            self.clock.now(),
        );
        self.store.add_audit_event(&event).await?;
        let ended = self.store.end_links(company, id, Some(&person), LinkEnd::TakenBack).await?;
        tracing::info!(%company, connection = %id, ended, "onboarding links were taken back");
        Ok(ended)
    }

    /// What the person of a link is told.
    ///
    /// # Errors
    /// [`LinkError`]
    pub async fn follow_link(&self, secret: &str) -> Result<OnboardingPrompt, LinkError> {
        let is_secret = secret.len() == SECRET_LENGTH && URL_SAFE_NO_PAD.decode(secret).is_ok();
        let kept = if is_secret { self.store.link(secret).await? } else { None };
        let kept = kept.ok_or(LinkError::Unknown)?;
        match kept.ended {
            Some(LinkEnd::TakenBack) => return Err(LinkError::TakenBack),
            Some(LinkEnd::Erased) => return Err(LinkError::Gone),
            None => {}
        }
        if kept.until <= self.clock.now() {
            return Err(LinkError::Expired);
        }
        let damaged = || StoreError::Corrupt { record: "onboarding link", reason: "it does not open".to_owned() };
        let sealed = STANDARD.decode(&kept.sealed).map_err(|_| damaged())?;
        let key = key_of(secret).map_err(failed)?;
        let plain = key.open(BINDING, &sealed).map_err(|_| damaged())?;
        let Recipient { company, connection, person, mode } = serde_json::from_slice(&plain).map_err(|_| damaged())?;
        let gone = |error| match error {
            PeopleError::Store(StoreError::NotFound { .. }) => LinkError::Gone,
            error => LinkError::People(error),
        };
        let there = self.connection(&company, &connection).await.map_err(gone)?;
        if there.people.mode != mode {
            return Err(LinkError::Gone);
        }
        let record = self.person(&company, &connection, person.as_str()).await.map_err(gone)?;
        if record.state.inactive {
            return Err(LinkError::Gone);
        }
        Ok(onboarding_prompt(record.person, &record.state))
    }
}
