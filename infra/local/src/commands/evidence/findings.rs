//! `findings`: which records pull a client's numbers down.

use super::{heading, latest};
use crate::arguments::{ActorArgs, OfClientAsOf};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::api::views::FindingsList;
use common::app::connections::RecordNames;
use common::app::stack::Stack;
use common::domain::edr::findings::{Finding, FindingKind, Findings};
use common::domain::id::ConnectionId;
use common::domain::product::Product;
use common::domain::text::line;
use common::huntress::edr::NamedRecord;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Findings of one kind in a table; all of them are in the JSON.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub of: OfClientAsOf,
    /// Ask Huntress now what the hosts, organizations and incidents in the table are called; it is kept that you did, and not what they are called
    #[arg(long)]
    pub names: bool,
    #[command(flatten)]
    pub actor: ActorArgs,
}

/// The findings, with what is asked for beside them.
#[derive(Serialize)]
struct Named<'a> {
    #[serde(flatten)]
    list: &'a FindingsList,
    names: &'a BTreeMap<ConnectionId, RecordNames>,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let Options { of, names, actor } = options;
    let evidence = latest(&of, Some(Product::Edr)).await?;
    let list = FindingsList::try_from(evidence.as_slice()).map_err(faults::of_evidence)?;
    let names = if names { asked(&of, &list, &actor).await? } else { BTreeMap::new() };
    if of.json {
        let named = Named { list: &list, names: &names };
        return if names.is_empty() { render::json(&list) } else { render::json(&named) };
    }
    let mut text = String::new();
    for (evidence, view) in evidence.iter().zip(&list.findings) {
        text += &heading(evidence, of.as_of);
        text += &match &view.findings {
            Some(findings) => shown(findings, names.get(&view.evidence.connection), evidence.read_at),
            None => "this evidence is older than findings are; the next sync has some\n".to_owned(),
        };
        text += "\n";
    }
    render::text(&text)
}

/// What Huntress calls the records of the table.
async fn asked(
    of: &OfClientAsOf,
    list: &FindingsList,
    actor: &ActorArgs,
) -> Result<BTreeMap<ConnectionId, RecordNames>, CliError> {
    let (stack, _) = open(&of.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let mut names = BTreeMap::new();
    for view in &list.findings {
        let wanted: BTreeSet<_> = view.findings.iter().flat_map(in_table).flat_map(records).collect();
        let id = &view.evidence.connection;
        let found = connections.names(&of.storage.company, id, &of.client, &wanted, &by(actor)).await;
        names.insert(id.clone(), found.map_err(|error| faults::of_connection(error, id))?);
    }
    stack.close().await;
    Ok(names)
}

/// The findings that the table shows: of each kind the worst.
fn in_table(findings: &Findings) -> impl Iterator<Item = &Finding> {
    FindingKind::ALL
        .into_iter()
        .flat_map(|kind| findings.items.iter().filter(move |finding| finding.kind == kind).take(SHOWN))
}

/// The records that a finding names.
fn records(finding: &Finding) -> Vec<(NamedRecord, String)> {
    let organization = finding.organization_id.iter().map(|id| (NamedRecord::Organization, id.clone()));
    organization.chain([(record_of(finding.kind), finding.id.clone())]).collect()
}

fn record_of(kind: FindingKind) -> NamedRecord {
    match kind {
        FindingKind::AgentMissing
        | FindingKind::AgentUnknown
        | FindingKind::AgentIsolated
        | FindingKind::AgentWithoutEdr
        | FindingKind::AgentDefenderUnhealthy => NamedRecord::Agent,
        FindingKind::OrganizationWithoutAgents => NamedRecord::Organization,
        FindingKind::IncidentOpen => NamedRecord::IncidentReport,
    }
}

fn shown(findings: &Findings, names: Option<&RecordNames>, at: DateTime<Utc>) -> String {
    if findings.total.values().all(|count| *count == 0) {
        return "nothing pulls a number down\n".to_owned();
    }
    let named = |of: NamedRecord, id: &str| {
        let name = names?.get(&of)?.get(id)?;
        Some(name.as_deref().map_or_else(|| "not there any more".to_owned(), line))
    };
    let mut columns = vec!["kind", "id", "organization", "severity", "last call, or start", "ago"];
    if names.is_some() {
        columns.insert(2, "name");
    }
    let mut table = render::table(&columns);
    for finding in in_table(findings) {
        let organization = finding.organization_id.as_deref().map(|id| {
            named(NamedRecord::Organization, id).map_or_else(|| line(id), |name| format!("{} {name}", line(id)))
        });
        let mut row = vec![
            finding.kind.as_str().to_owned(),
            line(&finding.id),
            organization.unwrap_or_else(|| "-".to_owned()),
            finding.severity.map_or("-", |severity| severity.as_str()).to_owned(),
            render::time_or_dash(finding.since),
            finding.since.map_or_else(|| "-".to_owned(), |since| lasting(at.signed_duration_since(since))),
        ];
        if names.is_some() {
            row.insert(2, named(record_of(finding.kind), &finding.id).unwrap_or_else(|| "-".to_owned()));
        }
        table.add_row(row);
    }
    let more: String = FindingKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let total = findings.total.get(&kind).copied().unwrap_or(0);
            let listed = findings.items.iter().filter(|finding| finding.kind == kind).count().min(SHOWN) as u64;
            (total > listed).then(|| format!("{}: the {listed} oldest of {total}\n", kind.as_str()))
        })
        .collect();
    format!("{table}\n{more}")
}

/// How long something has lasted.
fn lasting(time: chrono::TimeDelta) -> String {
    match time.num_days() {
        ..=2 => format!("{} h", time.num_hours().max(0)),
        days => format!("{days} days"),
    }
}
