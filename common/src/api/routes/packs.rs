//! Packs and exports of a client.

use super::evidence::{instant, span};
use crate::api::views::{PackList, PackView};
use crate::api::{Body, ClientPath, Explained, Method, Parameters, Problem, Route, Scope, Window};
use crate::app::packs::{Download, ExportFormat, MakePackError, PackRequest, PackService, PackServiceError};
use crate::domain::audit::Actor;
use crate::domain::id::PackId;
use crate::pack::contents::PackError;
use crate::store::{PackRecord, PackState, StoreError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use std::sync::Arc;

const PACKS: &str = "/v1/companies/{company}/clients/{client}/packs";
const PACK: &str = "/v1/companies/{company}/clients/{client}/packs/{pack}";
const EXPORT: &str = "/v1/companies/{company}/clients/{client}/export/{format}";

pub(super) const ROUTES: &[Route<Arc<PackService>>] = &[
    Route::new(Method::Post, PACKS, Scope::PacksMake, |method| on(method, ask)),
    Route::new(Method::Get, PACKS, Scope::PacksMake, |method| on(method, list)),
    Route::new(Method::Get, PACK, Scope::PacksMake, |method| on(method, fetch)),
    Route::new(Method::Get, EXPORT, Scope::PacksMake, |method| on(method, export)),
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

/// The time that a caller may see, if not all.
fn limits(window: Option<Window>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    window.map(|Window { from, to }| (from, to))
}

#[derive(Deserialize)]
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
) -> Result<Response, Problem> {
    let request = PackRequest { company: company.clone(), client: client.clone(), from, to };
    let pack = packs.ask(&request, limits(window), &Actor::api(subject)).await?;
    let place = format!("/v1/companies/{company}/clients/{client}/packs/{}", pack.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(PackView::from(pack))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    after: Option<PackId>,
}

impl Explained for Page {
    const WANTED: &str = "limit must be 1 to 100, after the next_after of the page before";
}

/// The packs of a client that were asked for, the newest instant first.
async fn list(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(Page { limit, after }): Parameters<Page>,
) -> Result<Json<PackList>, Problem> {
    let limit = limit.unwrap_or(100);
    if !(1..=100).contains(&limit) {
        return Err(Problem::bad_request(Page::WANTED));
    }
    let all = packs.list(&company, &client, limits(window)).await?;
    let mut rest = all.into_iter().filter(|pack| after.as_ref().is_none_or(|after| pack.id < *after));
    let items: Vec<PackView> = rest.by_ref().take(limit).map(Into::into).collect();
    let next_after = rest.next().and_then(|_| items.last().map(|last| last.id.clone()));
    Ok(Json(PackList { items, next_after }))
}

#[derive(Deserialize)]
struct Named {
    pack: String,
}

/// A pack: its bytes, or the address in a bucket where they are for some minutes. 202 while it is made.
async fn fetch(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(Named { pack }): Path<Named>,
) -> Result<Response, Problem> {
    let id = PackId::parse(pack).map_err(|_| Problem::not_found("pack"))?;
    match packs.fetch(&company, &client, &id, limits(window)).await? {
        Download::Bytes(pack, bytes) => Ok(file(&pack, bytes)),
        // Not to be kept on the way: it is a key to the pack.
        Download::Link(link) => Ok((StatusCode::SEE_OTHER, [(LOCATION, link.to_string())]).into_response()),
        Download::NotReady(PackRecord { state: PackState::Failed { problem }, .. }) => {
            Err(Problem::unprocessable("pack_failed", problem))
        }
        Download::NotReady(pack) => {
            let later = [(RETRY_AFTER, PACK_TAKES.to_string())];
            Ok((StatusCode::ACCEPTED, later, Json(PackView::from(pack))).into_response())
        }
        Download::Gone => Err(Problem::gone("the pack is not kept any more: ask for it again")),
    }
}

fn file(pack: &PackRecord, bytes: Vec<u8>) -> Response {
    let name = format!("attachment; filename=\"{}_{}_{}.zip\"", pack.client, pack.from, pack.to);
    let fixed = [
        (CONTENT_TYPE, "application/zip".to_owned()),
        (CONTENT_DISPOSITION, name),
        (CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    let etag = match &pack.state {
        PackState::Ready { sha256, .. } => Some([(ETAG, format!("\"sha256-{sha256}\""))]),
        _ => None,
    };
    let mut response = (fixed, bytes).into_response();
    if let Some(etag) = etag {
        response = (etag, response).into_response();
    }
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsOf {
    #[serde(default, deserialize_with = "instant")]
    as_of: Option<DateTime<Utc>>,
}

impl Explained for AsOf {
    const WANTED: &str = "as_of must be an instant as in 2026-03-22T12:00:00Z";
}

#[derive(Deserialize)]
struct Form {
    format: String,
}

/// One export of a client's newest evidence: OSCAL, OCSF, or all tables as a zip file.
async fn export(
    State(packs): State<Arc<PackService>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(Form { format }): Path<Form>,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Response, Problem> {
    let (format, kind, name) = match format.as_str() {
        "oscal" => (ExportFormat::Oscal, "application/json", "oscal.json"),
        "ocsf" => (ExportFormat::Ocsf, "application/json", "ocsf.json"),
        "csv" => (ExportFormat::Csv, "application/zip", "csv.zip"),
        _ => return Err(Problem::not_found("export")),
    };
    let allowed = span(window);
    let at = packs.instant(as_of).min(allowed.to);
    if at < allowed.from {
        return Err(StoreError::NotFound { record: "evidence" }.into());
    }
    let bytes = packs.reader.export(&company, &client, format, (allowed.from, at)).await?;
    let name = format!("attachment; filename=\"{client}_{name}\"");
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, name)], bytes).into_response())
}
