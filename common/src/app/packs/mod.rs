//! Packs and exports: read from a stack, signed, kept for whoever asked for them.

mod contents;
mod events;
mod people;
mod service;
pub mod signing;

pub use people::{NamesOpened, people_csv};
pub use service::{Download, PackDispatch, PackService, PackServiceError, PackWanted, Shelf, ShelfError, pack_id};

use super::log::{EvidenceLog, LogError, LogSigner};
use crate::aws::signing::SigningError;
use crate::clock::Clock;
use crate::domain::calendar::Calendar;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::log::LogId;
use crate::domain::log::proof::TreeHead;
use crate::domain::log::statement::InvalidLeaf;
use crate::domain::time::Window;
use crate::pack::contents::{Contents, PackError, PackedLog};
use crate::pack::make::prepare;
use crate::pack::render::{Derived, render};
use crate::pack::{layout, zip};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Days, DurationRound, NaiveDate, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum MakePackError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is there does not make a pack.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A log that cannot be signed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The days cannot be used.
    #[error("{0}")]
    Days(String),
}

impl From<InvalidLeaf> for MakePackError {
    fn from(error: InvalidLeaf) -> Self {
        Self::Pack(PackError::Contradiction(format!("a leaf cannot be read: {error}")))
    }
}

impl MakePackError {
    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Unavailable { .. }),
            Self::Signing(error) => error.may_pass(),
            Self::Log(error) => error.may_pass(),
            Self::Pack(_) | Self::Days(_) => false,
        }
    }
}

/// The company, the client and the days of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRequest {
    /// Who runs the connector.
    pub company: CompanyId,
    /// Whose evidence.
    pub client: ClientId,
    /// The first day, in the zone of the schedule.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
}

impl PackRequest {
    /// The one instant of a pack that is made now: the end of its last day in the calendar; while that lies ahead, the full hour of making, so that the same pack can be made
    /// again within it. Never the newest leaf: what stopped three weeks ago must read stale.
    ///
    /// # Errors
    /// [`MakePackError::Days`]
    pub fn instant(&self, calendar: &Calendar, now: DateTime<Utc>) -> Result<DateTime<Utc>, MakePackError> {
        let Self { from, to, .. } = self;
        if to < from {
            return Err(MakePackError::Days(format!(
                "the window ends on {to}, before it begins on {from}: swap --from and --to"
            )));
        }
        if *from > calendar.day_of(now) {
            return Err(MakePackError::Days(format!(
                "the window begins on {from}, which lies ahead: give days that have begun"
            )));
        }
        let end = calendar.end_of(*to);
        Ok(if end <= now { end } else { now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now) })
    }
}

/// A form of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// OSCAL 1.2.1 assessment results.
    Oscal,
    /// OCSF 1.6.0 compliance findings.
    Ocsf,
    /// All tables, as a zip file.
    Csv,
}

/// How far back the tables of an export go.
const EXPORTED_DAYS: Days = Days::new(30);

/// Reads what packs and exports are made of. It can sign nothing.
#[derive(Clone)]
pub struct PackReader {
    /// The table.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl PackReader {
    /// The exports of a client at the end of a window, by path: the newest evidence of each product, and the tables of the month before it. Nothing of a day
    /// that began before the window is in them.
    ///
    /// # Errors
    /// As for [`PackMaker::pack`].
    pub async fn exports(
        &self,
        company: &CompanyId,
        client: &ClientId,
        window: Window,
    ) -> Result<BTreeMap<String, Derived>, MakePackError> {
        let calendar = self.store.calendar();
        let to = calendar.day_of(window.end);
        let mut from = to.checked_sub_days(EXPORTED_DAYS).unwrap_or(to);
        // What is older than a month is still the newest.
        let owner = crate::store::EvidenceOwner::Client(client.clone());
        for newest in self.store.latest_between(company, &owner, None, window).await? {
            from = from.min(calendar.day_of(newest.as_of));
        }
        if calendar.start_of(from) < window.start {
            from = calendar.first_day_from(window.start).max(from);
        }
        let request = PackRequest { company: company.clone(), client: client.clone(), from, to };
        Ok(render(&self.contents(&request, window.end).await?)?)
    }

    /// One export of a client at the end of a window.
    ///
    /// # Errors
    /// As for [`PackMaker::pack`].
    pub async fn export(
        &self,
        company: &CompanyId,
        client: &ClientId,
        format: ExportFormat,
        window: Window,
    ) -> Result<Vec<u8>, MakePackError> {
        let files = self.exports(company, client, window).await?;
        let one = |path: &str| files.get(path).map(|file| file.bytes.clone()).unwrap_or_default();
        Ok(match format {
            ExportFormat::Oscal => one(layout::OSCAL),
            ExportFormat::Ocsf => one(layout::OCSF),
            ExportFormat::Csv => {
                let mut bytes = Vec::new();
                let tables =
                    files.iter().filter_map(|(path, file)| Some((path.strip_prefix("csv/")?, file.bytes.as_slice())));
                zip::write(tables, &mut bytes).map_err(PackError::from)?;
                bytes
            }
        })
    }
}

/// Makes packs.
#[derive(Clone)]
pub struct PackMaker {
    /// What they are made of.
    pub reader: PackReader,
    /// The key that signs.
    pub signer: Arc<LogSigner>,
}

impl PackMaker {
    /// The zip file of a pack that is made now.
    ///
    /// # Errors
    /// [`MakePackError`]; [`PackError::NothingToProve`] where no log has a leaf of the window.
    pub async fn pack(&self, request: &PackRequest) -> Result<Vec<u8>, MakePackError> {
        let at = request.instant(self.reader.store.calendar(), self.reader.clock.now())?;
        self.pack_at(request, at, None).await
    }

    /// The zip file of a pack as of an instant, with a list of people if there is one.
    ///
    /// # Errors
    /// As for [`PackMaker::pack`].
    pub async fn pack_at(
        &self,
        request: &PackRequest,
        at: DateTime<Utc>,
        people: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, MakePackError> {
        let mut contents = self.reader.contents(request, at).await?;
        contents.people = people;
        self.sign(&mut contents).await?;
        let unsigned = prepare(&contents)?;
        let note = self.signer.note(unsigned.text()).await?;
        Ok(unsigned.finish(&note)?)
    }

    /// A checkpoint for each log, of exactly its size in the pack. The log as it is now is signed as well, so that what is in a pack is covered by a
    /// checkpoint that is kept; one that is shorter than its newest checkpoint makes no pack.
    async fn sign(&self, contents: &mut Contents) -> Result<(), MakePackError> {
        let verifier = self.signer.verifier();
        contents.scope.log = verifier.name().to_owned();
        contents.scope.key = verifier.to_string();
        let company = contents.scope.company.clone();
        let (store, clock) = (self.reader.store.clone(), Arc::clone(&self.reader.clock));
        let logs = EvidenceLog { store, signer: Arc::clone(&self.signer), archive: None, clock };
        logs.sign(&LogId::of_company(&company)).await?;
        for (connection, log) in &mut contents.logs {
            let id = LogId::of_connection(&company, connection);
            logs.sign(&id).await?;
            log.checkpoint = self.signer.checkpoint(&id, head(log)).await?.to_string();
        }
        let own = &mut contents.company_log;
        own.checkpoint = self.signer.checkpoint(&LogId::of_company(&company), head(own)).await?.to_string();
        self.reader.store.keep_log_key(&verifier.to_string(), self.reader.clock.now()).await?;
        Ok(())
    }
}

fn head<L>(log: &PackedLog<L>) -> TreeHead {
    TreeHead { size: log.tree.size(), root: log.tree.root() }
}
