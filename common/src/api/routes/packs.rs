//! Packs and exports of a client.

use super::query::{AsOf, Page, span};
use crate::api::answer::{self, Accepted, MediaTypes, Pending};
use crate::api::cursor;
use crate::api::views::{PackList, PackView};
use crate::api::{Body, ClientPath, Method, Parameters, Problem, Route, Scope, route};
use crate::app::packs::{Download, ExportFormat, MakePackError, PackRequest, PackService, PackServiceError};
use crate::domain::audit::Actor;
use crate::domain::id::PackId;
use crate::domain::time::Window;
use crate::pack::contents::PackError;
use crate::store::{PackRecord, PackState, StoreError};
use axum::Json;
use axum::extract::{Path, State};
use chrono::NaiveDate;
use serde::Deserialize;
use std::marker::PhantomData;
use std::sync::Arc;

const PACKS: &str = "/v1/companies/{company}/clients/{client}/packs";
const PACK: &str = "/v1/companies/{company}/clients/{client}/packs/{pack}";
const EXPORT: &str = "/v1/companies/{company}/clients/{client}/export/{format}";

pub(super) const ROUTES: &[Route<Arc<PackService>>] = &[
    route!(Method::Post, PACKS, Scope::PacksMake, ask, fails: [WINDOW_REFUSED, NOTHING_TO_PROVE]),
    route!(Method::Get, PACKS, Scope::PacksMake, list),
    route!(Method::Get, PACK, Scope::PacksMake, fetch, fails: [GONE, PACK_FAILED]),
    route!(Method::Get, EXPORT, Scope::PacksMake, export, fails: [NOT_FOUND, NOTHING_TO_PROVE]),
];

/// For so many seconds a caller waits before it asks for a pack again.
const PACK_TAKES: u32 = 5;

impl From<MakePackError> for Problem {
    fn from(error: MakePackError) -> Self {
        match error {
            MakePackError::Store(error) => error.into(),
            // Over HTTP they are fields, and no options.
            MakePackError::Days(detail) => Self::unprocessable("window_refused", detail.replace("--", "")),
            error @ MakePackError::Pack(PackError::NothingToProve(_)) => {
                Self::unprocessable("nothing_to_prove", error.to_string())
            }
            error @ (MakePackError::Pack(_) | MakePackError::Signing(_) | MakePackError::Log(_)) => {
                Self::unavailable(&error)
            }
        }
    }
}

impl From<PackServiceError> for Problem {
    fn from(error: PackServiceError) -> Self {
        match error {
            PackServiceError::Make(error) => error.into(),
            PackServiceError::Store(error) => error.into(),
            error @ (PackServiceError::Shelf(_) | PackServiceError::Function(_)) => Self::unavailable(&error),
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Days {
    from: NaiveDate,
    to: NaiveDate,
}

/// Asks for a pack of some days. It is made beside the answer; the same pack is made once within the hour.
async fn ask(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, subject, window }: ClientPath,
    Body(Days { from, to }): Body<Days>,
) -> Result<Accepted<Json<PackView>>, Problem> {
    let request = PackRequest { company: company.clone(), client: client.clone(), from, to };
    let pack = packs.ask(&request, window, &Actor::api(subject)).await?;
    let location = format!("/v1/companies/{company}/clients/{client}/packs/{}", pack.id);
    Ok(Accepted { location, answer: Json(pack.into()) })
}

/// The packs of a client that were asked for, the newest instant first.
async fn list(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(Page { limit, after }): Parameters<Page>,
) -> Result<Json<PackList>, Problem> {
    let limit = cursor::limit(limit, 100)?;
    let after: Option<PackId> = after.map(|after| cursor::place(PACKS, &after)).transpose()?;
    let all = packs.list(&company, &client, window).await?;
    let mut rest = all.into_iter().filter(|pack| after.as_ref().is_none_or(|after| pack.id < *after));
    let items: Vec<PackView> = rest.by_ref().take(limit).map(Into::into).collect();
    let next_after = rest.next().and_then(|_| items.last()).and_then(|last| cursor::cursor(PACKS, &last.id));
    Ok(Json(PackList { items, next_after }))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Named {
    pack: String,
}

/// A pack: its bytes, or the address in a bucket where they are for some minutes. 202 while it is made.
async fn fetch(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(Named { pack }): Path<Named>,
) -> Result<Pending<answer::Download<Zip>, PackView>, Problem> {
    let id = PackId::parse(pack).map_err(|_| Problem::not_found("pack"))?;
    match packs.fetch(&company, &client, &id, window).await? {
        Download::Bytes(pack, bytes) => Ok(Pending::Here(file(&pack, bytes))),
        // Not to be kept on the way: it is a key to the pack.
        Download::Link(link) => Ok(Pending::Elsewhere(link.to_string())),
        Download::NotReady(PackRecord { state: PackState::Failed { problem }, .. }) => {
            Err(Problem::unprocessable("pack_failed", problem))
        }
        Download::NotReady(pack) => Ok(Pending::Later { seconds: PACK_TAKES, answer: pack.into() }),
        Download::Gone => Err(Problem::gone("the pack is not kept any more: ask for it again")),
    }
}

/// What packs are.
struct Zip;

impl MediaTypes for Zip {
    const ALL: &'static [&'static str] = &["application/zip"];
}

fn file(pack: &PackRecord, bytes: Vec<u8>) -> answer::Download<Zip> {
    let etag = match &pack.state {
        PackState::Ready { sha256, .. } => Some(format!("sha256-{sha256}")),
        _ => None,
    };
    let name = format!("{}_{}_{}.zip", pack.client, pack.from, pack.to);
    answer::Download { media_type: "application/zip".to_owned(), name, etag, bytes, kind: PhantomData }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct Form {
    format: String,
}

/// What exports are.
struct Exports;

impl MediaTypes for Exports {
    const ALL: &'static [&'static str] = &["application/json", "application/zip"];
}

/// One export of a client's newest evidence: OSCAL, OCSF, or all tables as a zip file.
async fn export(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(Form { format }): Path<Form>,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<answer::Download<Exports>, Problem> {
    let (format, kind, name) = match format.as_str() {
        "oscal" => (ExportFormat::Oscal, "application/json", "oscal.json"),
        "ocsf" => (ExportFormat::Ocsf, "application/json", "ocsf.json"),
        "csv" => (ExportFormat::Csv, "application/zip", "csv.zip"),
        _ => return Err(Problem::not_found("export")),
    };
    let allowed = span(window);
    let at = packs.instant(as_of).min(allowed.end);
    if at < allowed.start {
        packs.reader.store.check_client(&company, &client).await?;
        return Err(StoreError::NotFound { record: "evidence" }.into());
    }
    let bytes = packs.export(&company, &client, format, Window { end: at, ..allowed }).await?;
    let (media_type, name) = (kind.to_owned(), format!("{client}_{name}"));
    Ok(answer::Download { media_type, name, etag: None, bytes, kind: PhantomData })
}
