//! Packs for who asks over HTTP: asked for, made beside the answer, kept for a while, fetched.

use super::{ExportFormat, MakePackError, PackMaker, PackReader, PackRequest};
use crate::aws::client::{Function, Service, ServiceError};
use crate::aws::documents::{DocumentError, Documents};
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::calendar::{Calendar, DayRange};
use crate::domain::id::{ClientId, CompanyId, PackId};
use crate::domain::log::Hash;
use crate::domain::time::Window;
use crate::pack::contents::PackError;
use crate::store::{PackRecord, PackState, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A pack that is not there by then will not come: whoever made it was stopped.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(20);

/// For so long the same pack is not made again.
const FRESH: TimeDelta = TimeDelta::hours(1);

/// For so long the link to a pack in a bucket can be used.
const LINK_LASTS: Duration = Duration::from_secs(300);

/// Where packs are kept.
pub struct Shelf {
    /// A bucket, or a folder.
    pub documents: Documents,
    /// What their names begin with. No company's id does.
    pub prefix: &'static str,
}

/// The shelf does not answer.
#[derive(Debug, thiserror::Error)]
#[error("packs cannot be kept or fetched")]
pub struct ShelfError(#[from] DocumentError);

/// A pack that the signing function is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackWanted {
    /// Whose pack.
    pub company: CompanyId,
    /// Of which client.
    pub client: ClientId,
    /// Which.
    pub pack: PackId,
}

/// Who makes packs.
pub enum PackDispatch {
    /// This process.
    Here(Arc<PackMaker>),
    /// The signing function, which alone may use the key.
    Function {
        /// Lambda.
        service: Box<Service>,
        /// Which function.
        function: Function,
    },
}

/// Packs of clients, for who asks over HTTP.
pub struct PackService {
    /// What exports are made of, and the table.
    pub reader: PackReader,
    /// Who makes packs.
    pub dispatch: PackDispatch,
    /// Where they are kept.
    pub shelf: Arc<Shelf>,
}

/// Why a pack cannot be asked for or fetched.
#[derive(Debug, thiserror::Error)]
pub enum PackServiceError {
    /// It cannot be made as it was asked for.
    #[error(transparent)]
    Make(#[from] MakePackError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Where packs are kept.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The signing function.
    #[error("the signing function cannot be asked")]
    Function(#[from] ServiceError),
}

/// A pack as it is fetched.
pub enum Download {
    /// Its bytes.
    Bytes(PackRecord, Vec<u8>),
    /// An address for some minutes.
    Link(Url),
    /// It is being made, or failed.
    NotReady(PackRecord),
    /// It was made, and is not kept any more.
    Gone,
}

/// The id of a pack: its instant, and a hash of what was asked. So the same pack is asked for once.
#[must_use]
pub fn pack_id(request: &PackRequest, at: DateTime<Utc>) -> Option<PackId> {
    let PackRequest { company, client, from, to } = request;
    let hash = Hash::of(format!("{company}/{client}/{from}/{to}/{}", at.to_rfc3339()).as_bytes()).hex();
    PackId::parse(format!("{}-{}", at.format("%Y%m%dT%H%M%SZ"), hash.get(..16)?)).ok()
}

impl Shelf {
    /// Erases the packs that were made before an instant from a folder, and says how many. In a bucket they end by its lifecycle. Each can be made again.
    ///
    /// # Errors
    /// [`ShelfError`]
    pub fn erase_older(&self, than: DateTime<Utc>) -> Result<usize, ShelfError> {
        Ok(self.documents.erase_older(than)?)
    }

    fn name(&self, PackWanted { company, client, pack }: &PackWanted) -> String {
        format!("{}{company}/{client}/{pack}.zip", self.prefix)
    }
}

impl PackRecord {
    /// As it is told at an instant: what was not made in time will not be.
    #[must_use]
    pub fn at_last(self, now: DateTime<Utc>) -> Self {
        if self.state == PackState::Making && now.signed_duration_since(self.requested_at) > LOST_AFTER {
            let problem = "it was not made in time: whoever made it was stopped; ask for it again".to_owned();
            return Self { state: PackState::Failed { problem }, ..self };
        }
        self
    }

    fn request(&self, company: &CompanyId) -> PackRequest {
        PackRequest { company: company.clone(), client: self.client.clone(), from: self.from, to: self.to }
    }
}

impl PackMaker {
    /// Makes a pack that was asked for and puts it on the shelf. What keeps it from being made for good is kept in its place.
    ///
    /// # Errors
    /// [`PackServiceError`] that may pass: then it can be tried again.
    pub async fn fulfil(&self, shelf: &Shelf, wanted: &PackWanted) -> Result<(), PackServiceError> {
        let store = &self.reader.store;
        let record = store.pack(&wanted.company, &wanted.client, &wanted.pack).await?;
        let record = record.ok_or(StoreError::NotFound { record: "pack" })?;
        let made = self.pack_at(&record.request(&wanted.company), record.at, None).await;
        let state = match made {
            Ok(bytes) => {
                let (size, sha256) = (bytes.len() as u64, Hash::of(&bytes).hex());
                shelf.documents.put(&shelf.name(wanted), bytes).await.map_err(ShelfError)?;
                let key = self.signer.verifier().to_string();
                PackState::Ready { bytes: size, sha256, key, made_at: self.reader.clock.now() }
            }
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, pack = %wanted.pack, "a pack cannot be made");
                PackState::Failed { problem: error.to_string() }
            }
        };
        store.keep_pack(&wanted.company, &PackRecord { state, ..record }, None).await?;
        Ok(())
    }
}

impl PackService {
    /// Asks for a pack: the record of it, which says whether it is there. The same pack is not made twice within the hour.
    ///
    /// `visible` is the time that the caller may see, if not all.
    ///
    /// # Errors
    /// [`PackServiceError`]
    pub async fn ask(
        &self,
        request: &PackRequest,
        visible: Option<Window>,
        actor: &Actor,
    ) -> Result<PackRecord, PackServiceError> {
        let now = self.reader.clock.now();
        let calendar = self.reader.store.calendar();
        let mut at = request.instant(calendar, now)?;
        if let Some(window) = visible {
            if calendar.start_of(request.from) < window.start || request.to > calendar.day_of(window.end) {
                return Err(MakePackError::Days(outside(calendar, window)).into());
            }
            at = at.min(window.end);
        }
        self.reader.store.check_client(&request.company, &request.client).await?;
        let Some(id) = pack_id(request, at) else {
            return Err(MakePackError::Days("the window cannot be named".to_owned()).into());
        };
        let store = &self.reader.store;
        if let Some(there) = store.pack(&request.company, &request.client, &id).await? {
            let there = there.at_last(now);
            let is_fresh = match &there.state {
                PackState::Making => true,
                PackState::Ready { made_at, .. } => now.signed_duration_since(*made_at) < FRESH,
                PackState::Failed { .. } => false,
            };
            if is_fresh {
                return Ok(there);
            }
        }
        let PackRequest { company, client, from, to } = request.clone();
        let record = PackRecord {
            id: id.clone(),
            client: client.clone(),
            from,
            to,
            at,
            requested_by: actor.name.clone(),
            requested_at: now,
            state: PackState::Making,
        };
        let event = self.reader.pack_event(&company, &client, DayRange { from, to }, actor);
        store.keep_pack(&company, &record, Some(&event)).await?;
        let wanted = PackWanted { company, client, pack: id };
        match &self.dispatch {
            PackDispatch::Here(maker) => {
                let (maker, shelf) = (Arc::clone(maker), Arc::clone(&self.shelf));
                tokio::spawn(async move {
                    if let Err(error) = maker.fulfil(&shelf, &wanted).await {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, pack = %wanted.pack, "a pack was not made");
                    }
                });
            }
            PackDispatch::Function { service, function } => {
                let event = serde_json::json!({ "pack": wanted });
                service.invoke(function, &event).await?;
            }
        }
        Ok(record)
    }

    /// The instant of an export: the one that is asked for, unless it lies ahead, or now.
    #[must_use]
    pub fn instant(&self, as_of: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let now = self.reader.clock.now();
        as_of.map_or(now, |as_of| as_of.min(now))
    }

    /// One export of a client at the end of a window, of what lies in it.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`], and as for [`PackReader::export`].
    pub async fn export(
        &self,
        company: &CompanyId,
        client: &ClientId,
        format: ExportFormat,
        visible: Window,
    ) -> Result<Vec<u8>, PackServiceError> {
        let exported = self.reader.export(company, client, format, visible).await;
        if matches!(exported, Err(MakePackError::Pack(PackError::NothingToProve(_)))) {
            self.reader.store.check_client(company, client).await?;
        }
        Ok(exported?)
    }

    /// The packs of a client, the newest instant first; for who may see a window alone, those that lie in it.
    ///
    /// # Errors
    /// [`StoreError`], also for a client that nobody knows.
    pub async fn list(
        &self,
        company: &CompanyId,
        client: &ClientId,
        visible: Option<Window>,
    ) -> Result<Vec<PackRecord>, StoreError> {
        let now = self.reader.clock.now();
        let packs = self.reader.store.packs(company, client).await?;
        if packs.is_empty() {
            self.reader.store.check_client(company, client).await?;
        }
        Ok(packs.into_iter().filter(|pack| self.lies_in(pack, visible)).map(|pack| pack.at_last(now)).collect())
    }

    /// A pack.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`], and [`StoreError::NotFound`], also for one that does not lie in the window that the caller may see.
    pub async fn fetch(
        &self,
        company: &CompanyId,
        client: &ClientId,
        id: &PackId,
        visible: Option<Window>,
    ) -> Result<Download, PackServiceError> {
        let found = self.reader.store.pack(company, client, id).await?.filter(|pack| self.lies_in(pack, visible));
        let Some(pack) = found else {
            self.reader.store.check_client(company, client).await?;
            return Err(StoreError::NotFound { record: "pack" }.into());
        };
        let pack = pack.at_last(self.reader.clock.now());
        if !matches!(pack.state, PackState::Ready { .. }) {
            return Ok(Download::NotReady(pack));
        }
        let name = self.shelf.name(&PackWanted { company: company.clone(), client: client.clone(), pack: id.clone() });
        if let Some(link) = self.shelf.documents.link(&name, LINK_LASTS).await.map_err(ShelfError)? {
            return Ok(Download::Link(link));
        }
        let bytes = self.shelf.documents.get(&name).await.map_err(ShelfError)?;
        Ok(bytes.map_or(Download::Gone, |bytes| Download::Bytes(pack, bytes)))
    }

    fn lies_in(&self, pack: &PackRecord, visible: Option<Window>) -> bool {
        let calendar = self.reader.store.calendar();
        visible.is_none_or(|window| calendar.start_of(pack.from) >= window.start && pack.at <= window.end)
    }
}

impl PackReader {
    /// Keeps that somebody makes a pack that is stored nowhere here.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn record_pack(
        &self,
        company: &CompanyId,
        client: &ClientId,
        days: DayRange,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        self.store.add_audit_event(&self.pack_event(company, client, days, actor)).await
    }

    /// That somebody makes a pack, or asks for one.
    fn pack_event(&self, company: &CompanyId, client: &ClientId, days: DayRange, actor: &Actor) -> AuditEvent {
        let (now, client) = (self.clock.now(), client.clone());
        let event = AuditEvent::new(actor, AuditAction::PackMade, company.clone(), client.as_str(), now);
        let after = serde_json::to_value(days).ok();
        AuditEvent { client: Some(client), after, ..event }
    }
}

fn outside(calendar: &Calendar, window: Window) -> String {
    // A window that begins in the middle of a day there begins with the next.
    let (first, last) = (calendar.first_day_from(window.start), calendar.day_of(window.end));
    format!("your token may see {first} to {last}: ask for days among them")
}
