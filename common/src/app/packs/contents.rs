//! What a pack is made of, as it was recorded in the stack, checked against the log.

use super::{MakePackError, PackReader, PackRequest};
use crate::app::decisions::all_policies;
use crate::domain::calendar::Calendar;
use crate::domain::controls::ControlMap;
use crate::domain::decisions::Decision;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::log::statement::{CompanyEvent, CompanyStatement, Leaf, Statement};
use crate::domain::log::{Hash, jcs};
use crate::domain::policy::Policy;
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::pack::contents::{
    BundleProof, ConnectionFacts, Contents, PackError, PackedBundle, PackedLog, Scope, WindowFacts,
};
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Evidence that lies in a connection's log, before it has a view.
type Found = BTreeMap<ConnectionId, Vec<StoredEvidence>>;

impl PackReader {
    /// What was recorded of a client over some days, as of an instant, with no signature yet.
    ///
    /// # Errors
    /// [`MakePackError`]; [`PackError::NothingToProve`] where no log has a leaf of the days.
    pub(super) async fn contents(&self, request: &PackRequest, at: DateTime<Utc>) -> Result<Contents, MakePackError> {
        let PackRequest { company, client, from, to } = request;
        let owner = EvidenceOwner::Client(client.clone());
        let mut found = Found::new();
        let window = Window { start: self.store.calendar().start_of(*from), end: at };
        for product in [Product::Edr, Product::Sat] {
            for stored in self.store.history(company, &owner, product, window).await? {
                found.entry(stored.connection.clone()).or_default().push(stored);
            }
        }
        let (facts, known) = self.window_facts(company, client, &found, window).await?;
        let (mut logs, mut bundles) = (BTreeMap::new(), Vec::new());
        let mut first_leaf: Option<DateTime<Utc>> = None;
        for connection in known {
            let leaves = self.store.log(company, &connection).await?;
            let mut statements = Vec::new();
            for leaf in &leaves {
                let statement = Statement::parse(leaf.as_bytes())?;
                first_leaf = Some(first_leaf.map_or(statement.ended_at(), |first| first.min(statement.ended_at())));
                if statement.ended_at() > at {
                    break;
                }
                statements.push(statement);
            }
            let log = PackedLog::unsigned(statements)?;
            for stored in found.remove(&connection).unwrap_or_default() {
                bundles.extend(bundle(stored, &log, request, self.store.calendar())?);
            }
            logs.insert(connection, log);
        }
        let has_leaf = logs.values().any(|log| {
            let in_window = |statement: &Statement| window.contains(statement.ended_at());
            log.statements.iter().any(in_window)
        });
        if !has_leaf {
            return Err(
                PackError::NothingToProve(nothing(request, self.store.calendar().end_of(*to), first_leaf, at)).into()
            );
        }
        bundles.sort_by(|a: &PackedBundle, b| {
            (&a.connection, a.as_of(), a.run()).cmp(&(&b.connection, b.as_of(), b.run()))
        });
        let decisions = self.decisions(company, client, at).await?;
        let company_log = self.company_log(company, at).await?;
        check_commitments(&decisions, &company_log)?;
        let known = all_policies(&self.store, company).await?;
        let policies = policies_of(&known, &bundles, &decisions);
        let events = self.events(company, client, &facts, window).await?;
        let mut contents = Contents {
            scope: Scope {
                company: company.clone(),
                client: client.clone(),
                from: *from,
                to: *to,
                zone: self.store.calendar().zone().to_owned(),
                at,
                product_version: env!("CARGO_PKG_VERSION").to_owned(),
                log: String::new(),
                key: String::new(),
            },
            bundles,
            logs,
            company_log,
            decisions,
            events,
            people: None,
            window: facts,
            policies,
            control_map: ControlMap::current_form(),
        };
        // A release between the evidence and the pack may have brought another map.
        if let Some(form) = contents.logged_control_map().and_then(|hash| ControlMap::form_of(&hash)) {
            contents.control_map = form;
        }
        Ok(contents)
    }

    /// What is claimed of the client's connections: those that are mapped to it, and those that have given evidence of it.
    async fn window_facts(
        &self,
        company: &CompanyId,
        client: &ClientId,
        found: &Found,
        window: Window,
    ) -> Result<(WindowFacts, BTreeSet<ConnectionId>), MakePackError> {
        let mut known: BTreeSet<ConnectionId> = found.keys().cloned().collect();
        let mut connections = BTreeMap::new();
        let timelines = self.store.timelines(company).await?;
        let timelines: BTreeMap<_, _> = timelines.into_iter().map(|kept| (kept.connection.clone(), kept)).collect();
        for connection in self.store.connections(company).await? {
            if !connection.mapping.clients().into_iter().any(|mapped| mapped == client)
                && !known.contains(&connection.id)
            {
                continue;
            }
            known.insert(connection.id.clone());
            let facts = ConnectionFacts {
                product: connection.product,
                connected_at: timelines.get(&connection.id).map_or(connection.created_at, |kept| kept.connected_at),
                pauses: timelines.get(&connection.id).map(|kept| kept.pauses.clone()).unwrap_or_default(),
            };
            connections.insert(connection.id, facts);
        }
        for (id, evidence) in found {
            // A connection that was removed: it was there when its first evidence was.
            if let (false, Some(first)) = (connections.contains_key(id), evidence.first()) {
                let facts = match timelines.get(id) {
                    Some(kept) => ConnectionFacts {
                        product: kept.product,
                        connected_at: kept.connected_at,
                        pauses: kept.pauses.clone(),
                    },
                    None => ConnectionFacts { product: first.product, connected_at: first.as_of, pauses: Vec::new() },
                };
                connections.insert(id.clone(), facts);
            }
        }
        if known.is_empty() {
            let problem =
                format!("no connection has evidence of a client {client}; see: huntress-evidence connections");
            return Err(PackError::NothingToProve(problem).into());
        }
        let due = Window { start: window.start - TimeDelta::days(2), ..window };
        let ticks = self.store.ticks(due).await?;
        let ticks = ticks.into_iter().filter(|tick| tick.handled <= window.end).collect();
        Ok((WindowFacts { calendar: self.store.calendar().clone(), ticks, connections }, known))
    }

    /// What was decided about the client by then.
    async fn decisions(
        &self,
        company: &CompanyId,
        client: &ClientId,
        at: DateTime<Utc>,
    ) -> Result<Vec<Decision>, MakePackError> {
        let mut decisions = self.store.policy_choices(company, Some(client)).await?;
        decisions.extend(self.store.decisions(company, Some(client)).await?);
        decisions.retain(|decision| decision.at() <= at);
        decisions.sort_by(|one, other| (one.at(), one.id()).cmp(&(other.at(), other.id())));
        Ok(decisions)
    }

    async fn company_log(
        &self,
        company: &CompanyId,
        at: DateTime<Utc>,
    ) -> Result<PackedLog<CompanyStatement>, MakePackError> {
        let mut statements = Vec::new();
        for leaf in self.store.company_log(company).await? {
            let statement = CompanyStatement::parse(leaf.as_bytes())?;
            if statement.at > at {
                break;
            }
            statements.push(statement);
        }
        Ok(PackedLog::unsigned(statements)?)
    }
}

/// The first full hour that is not before an instant.
fn next_hour(instant: DateTime<Utc>) -> DateTime<Utc> {
    let hour = TimeDelta::hours(1);
    let full = instant.duration_trunc(hour).unwrap_or(instant);
    if full == instant { full } else { full + hour }
}

/// From when on there is something to prove.
fn nothing(request: &PackRequest, end: DateTime<Utc>, first: Option<DateTime<Utc>>, at: DateTime<Utc>) -> String {
    let client = &request.client;
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    match first {
        // A pack ends with a full hour, so what was logged after it is in the pack of the next one.
        Some(first) if first > at && first < end => format!(
            "the first entry in the logs of {client} is of {}, and a pack made now ends with the last full hour, {}: make it after the next full hour, {}",
            instant(first),
            instant(at),
            instant(next_hour(first))
        ),
        Some(first) => format!("no log of {client} has an entry in these days; the first one is of {}", instant(first)),
        None => format!("the logs of {client} are empty: run a sync first"),
    }
}

/// A stored bundle as it goes into the pack; `None` for one whose run ended after the instant of the pack, or that is of no day of the window.
fn bundle(
    stored: StoredEvidence,
    log: &PackedLog<Statement>,
    request: &PackRequest,
    calendar: &Calendar,
) -> Result<Option<PackedBundle>, PackError> {
    let run = stored.run_id.to_string();
    let view = serde_json::from_str(&stored.body);
    let view = view.map_err(|error| PackError::Bundle { run: run.clone(), problem: error.to_string() })?;
    let (product, connection) = (stored.product, stored.connection);
    let mut bundle = PackedBundle { product, connection, body: stored.body, view, proof: None };
    let day = calendar.day_of(bundle.as_of());
    if day < request.from || day > request.to {
        return Ok(None);
    }
    let Some(leaf_index) = stored.leaf else { return Ok(Some(bundle)) };
    let Some(leaf_path) = log.tree.inclusion_path(leaf_index) else { return Ok(None) };
    let statement = usize::try_from(leaf_index).ok().and_then(|index| log.statements.get(index));
    let of_run = statement.is_some_and(|statement| statement.run_id() == Some(bundle.run()));
    let (true, Some(place)) = (of_run, stored.place) else {
        return Err(PackError::Contradiction(format!("run {run} is not what the log has at leaf {leaf_index}")));
    };
    bundle.proof = Some(BundleProof { leaf_index, bundle_index: place.index, bundle_path: place.path, leaf_path });
    Ok(Some(bundle))
}

/// Refuses decisions that are not those that the company's log committed to.
fn check_commitments(decisions: &[Decision], log: &PackedLog<CompanyStatement>) -> Result<(), PackError> {
    let committed = |statement: &CompanyStatement| match &statement.event {
        CompanyEvent::Decision { id, sha256 } => Some((id.clone(), *sha256)),
        CompanyEvent::Key { .. } => None,
    };
    let committed: BTreeMap<String, Hash> = log.statements.iter().filter_map(committed).collect();
    for decision in decisions {
        let form = jcs::to_bytes(decision).map_err(|_| PackError::Canonical)?;
        if committed.get(decision.id().as_str()) != Some(&Hash::of(&form)) {
            let problem = format!("the decision {} is not what the company's log committed to", decision.id());
            return Err(PackError::Contradiction(problem));
        }
    }
    Ok(())
}

/// The policies that verdicts and choices name.
fn policies_of(known: &[Arc<Policy>], bundles: &[PackedBundle], decisions: &[Decision]) -> Vec<Arc<Policy>> {
    let named = bundles.iter().flat_map(|bundle| &bundle.view.verdicts);
    let named = named.map(|verdict| (verdict.policy.to_string(), verdict.version.to_string()));
    let chosen = decisions.iter().filter_map(|decision| match decision {
        Decision::Policy(choice) => Some((choice.chosen.policy.to_string(), choice.chosen.version.to_string())),
        _ => None,
    });
    let used: BTreeSet<(String, String)> = named.chain(chosen).collect();
    let is_used = |policy: &&Arc<Policy>| used.contains(&(policy.name().to_string(), policy.version().to_string()));
    known.iter().filter(is_used).cloned().collect()
}
