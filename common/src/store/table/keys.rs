//! Every key of the table. Ids hold no `#`, so it separates; no character of an id sorts after `~`, so a prefix and `~` end a range.

use super::Item;
use crate::domain::id::{
    ClientId, CompanyId, ConnectionId, ConnectionKey, DecisionId, PackId, PersonId, PolicyName, RunId, TokenName,
};
use crate::domain::log::LogId;
use crate::domain::policy::PolicyVersion;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The sparse index of the connections that are scheduled, and of the runs that have not ended.
pub const DUE_INDEX: &str = "due";

/// Partitions of [`DUE_INDEX`], so that no single one takes the load of a tick.
pub const DUE_SHARDS: u8 = 16;

/// The key of one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct Key {
    pub pk: String,
    pub sk: String,
}

impl Key {
    /// The key that an item has.
    pub fn of(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    pub fn to_item(&self) -> Item {
        [("pk".to_owned(), AttributeValue::S(self.pk.clone())), ("sk".to_owned(), AttributeValue::S(self.sk.clone()))]
            .into()
    }
}

/// Sort keys of one partition, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Range {
    pub pk: String,
    pub from: String,
    pub to: String,
}

impl Range {
    fn under(pk: String, prefix: &str) -> Self {
        Self { pk, from: prefix.to_owned(), to: format!("{prefix}~") }
    }
}

/// An instant in a fixed width, so that the order of text is the order of time.
///
/// Instants outside of the years 0 to 9999 become the first or the last one that fits.
pub(in crate::store) fn instant(at: DateTime<Utc>) -> String {
    match at.year() {
        ..0 => "0000-01-01T00:00:00.000Z".to_owned(),
        0..=9999 => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        _ => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

pub(in crate::store) fn connection(company: &CompanyId, id: &ConnectionId) -> Key {
    Key { pk: format!("COMPANY#{company}"), sk: format!("CONNECTION#{id}") }
}

pub(in crate::store) fn connections(company: &CompanyId) -> Range {
    Range::under(format!("COMPANY#{company}"), "CONNECTION#")
}

/// The company and the connection that a connection's key names.
pub(in crate::store) fn parse_connection(item: &Item) -> Option<ConnectionKey> {
    let part = |name: &str, prefix: &str| item.get(name)?.as_s().ok()?.strip_prefix(prefix).map(str::to_owned);
    let company = CompanyId::parse(part("pk", "COMPANY#")?).ok()?;
    Some(ConnectionKey { company, connection: ConnectionId::parse(part("sk", "CONNECTION#")?).ok()? })
}

/// The sealed credential of a connection, apart from the connection itself: who may read the one need not read the other.
pub(in crate::store) fn credential(company: &CompanyId, id: &ConnectionId) -> Key {
    Key { pk: format!("CREDENTIAL#{company}"), sk: format!("CONNECTION#{id}") }
}

/// An OAuth authorization in progress, by the hash of its `state`.
pub(in crate::store) fn redirect(hash: &str) -> Key {
    Key { pk: format!("OAUTH#{hash}"), sk: "REDIRECT".to_owned() }
}

/// Who exchanges the refresh token of a connection.
pub(in crate::store) fn exchange(company: &CompanyId, id: &ConnectionId) -> Key {
    Key { pk: format!("OAUTH#{company}#{id}"), sk: "EXCHANGE".to_owned() }
}

/// An onboarding link, by the hash of its secret.
pub(in crate::store) fn link(hash: &str) -> Key {
    Key { pk: format!("LINK#{hash}"), sk: "ONBOARDING".to_owned() }
}

/// A session of the console that was ended, by the hash of what its cookie holds.
pub(in crate::store) fn ended_session(hash: &str) -> Key {
    Key { pk: format!("SESSION#{hash}"), sk: "ENDED".to_owned() }
}

pub(in crate::store) fn shard(number: u8) -> String {
    format!("DUE#{number}")
}

fn number_of(company: &CompanyId, id: &ConnectionId) -> u8 {
    let first = Sha256::digest(format!("{company}#{id}")).first().copied();
    first.unwrap_or_default() % DUE_SHARDS
}

/// The partition of [`DUE_INDEX`] that a connection belongs to, for good.
pub(in crate::store) fn shard_of(company: &CompanyId, id: &ConnectionId) -> String {
    shard(number_of(company, id))
}

pub(in crate::store) fn active_shard(number: u8) -> String {
    format!("ACTIVE#{number}")
}

/// The partition of [`DUE_INDEX`] that the active run of a connection belongs to.
pub(in crate::store) fn active_shard_of(company: &CompanyId, id: &ConnectionId) -> String {
    active_shard(number_of(company, id))
}

/// Where everything of a connection's runs is.
fn of_connection(company: &CompanyId, connection: &ConnectionId) -> String {
    format!("CONNECTION#{company}#{connection}")
}

pub(in crate::store) fn run(company: &CompanyId, connection: &ConnectionId, id: &RunId) -> Key {
    Key { pk: of_connection(company, connection), sk: format!("RUN#{id}") }
}

pub(in crate::store) fn runs(company: &CompanyId, connection: &ConnectionId) -> Range {
    Range::under(of_connection(company, connection), "RUN#")
}

pub(in crate::store) fn active(company: &CompanyId, connection: &ConnectionId) -> Key {
    Key { pk: of_connection(company, connection), sk: "ACTIVE".to_owned() }
}

/// The company and the connection that the key of an active run names.
pub(in crate::store) fn parse_active(item: &Item) -> Option<ConnectionKey> {
    let (company, connection) = item.get("pk")?.as_s().ok()?.strip_prefix("CONNECTION#")?.split_once('#')?;
    let company = CompanyId::parse(company).ok()?;
    Some(ConnectionKey { company, connection: ConnectionId::parse(connection).ok()? })
}

/// The key of a request key, which may be any text: only its hash is stored.
pub(in crate::store) fn request(company: &CompanyId, connection: &ConnectionId, key: &str) -> Key {
    Key { pk: of_connection(company, connection), sk: format!("REQUEST#{}", sha256(key)) }
}

pub(in crate::store) fn commit(
    company: &CompanyId,
    connection: &ConnectionId,
    as_of: DateTime<Utc>,
    run: &RunId,
) -> Key {
    Key { pk: of_connection(company, connection), sk: format!("COMMIT#{}#{run}", instant(as_of)) }
}

pub(in crate::store) fn commits(
    company: &CompanyId,
    connection: &ConnectionId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Range {
    Range {
        pk: of_connection(company, connection),
        from: format!("COMMIT#{}", instant(from)),
        to: format!("COMMIT#{}#~", instant(to)),
    }
}

/// A request that must be carried out once, by its key, which may be any text: only its hash is stored.
pub(in crate::store) fn once(company: &CompanyId, key: &str) -> Key {
    Key { pk: format!("AUDIT#{company}"), sk: format!("REQUEST#{}", sha256(key)) }
}

/// The access tokens of one machine.
pub(in crate::store) fn tokens(company: &CompanyId) -> Range {
    Range::under(format!("TOKENS#{company}"), "TOKEN#")
}

pub(in crate::store) fn token(company: &CompanyId, name: &TokenName) -> Key {
    let Range { pk, from, .. } = tokens(company);
    Key { pk, sk: format!("{from}{name}") }
}

/// What somebody did, apart from the connections: who writes it reaches nothing else.
pub(in crate::store) fn audit_event(company: &CompanyId, place: &str) -> Key {
    Key { pk: format!("AUDIT#{company}"), sk: format!("EVENT#{place}") }
}

/// Events between two instants, after one of them if its place is given.
pub(in crate::store) fn audit_events(
    company: &CompanyId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    after: Option<&str>,
) -> Range {
    let first = format!("EVENT#{}", instant(from));
    // No hexadecimal digit sorts before `#`, so this is the next one.
    let next = after.map(|place| format!("EVENT#{place}#")).filter(|next| *next > first);
    Range { pk: format!("AUDIT#{company}"), from: next.unwrap_or(first), to: format!("EVENT#{}#~", instant(to)) }
}

/// What the next leaf of a connection's evidence log is appended to. The log lies beside the runs that it is about: who ends a run may append.
pub(in crate::store) fn log_head(company: &CompanyId, connection: &ConnectionId) -> Key {
    Key { pk: of_connection(company, connection), sk: "LOG#HEAD".to_owned() }
}

pub(in crate::store) fn log_leaf(company: &CompanyId, connection: &ConnectionId, index: u64) -> Key {
    Key { pk: of_connection(company, connection), sk: format!("LOG#LEAF#{index:020}") }
}

/// The leaves `from..to` of a log.
pub(in crate::store) fn log_leaves(company: &CompanyId, connection: &ConnectionId, from: u64, to: u64) -> Range {
    let Key { pk, sk: from } = log_leaf(company, connection, from);
    // No key lies between the last leaf and this one.
    Range { pk, from, to: format!("LOG#LEAF#{:020}", to.saturating_sub(1)) }
}

/// Where the log of a company's decisions is.
fn company_log(company: &CompanyId) -> String {
    format!("LOG#{company}")
}

pub(in crate::store) fn company_log_head(company: &CompanyId) -> Key {
    Key { pk: company_log(company), sk: "LOG#HEAD".to_owned() }
}

pub(in crate::store) fn company_log_leaf(company: &CompanyId, index: u64) -> Key {
    Key { pk: company_log(company), sk: format!("LOG#LEAF#{index:020}") }
}

/// The leaves `0..to` of any log.
pub(in crate::store) fn leaves_of_log(log: &LogId, to: u64) -> Range {
    let Key { pk, sk: from } = match &log.connection {
        Some(connection) => log_leaf(&log.company, connection, 0),
        None => company_log_leaf(&log.company, 0),
    };
    Range { pk, from, to: format!("LOG#LEAF#{:020}", to.saturating_sub(1)) }
}

/// The head of any log.
pub(in crate::store) fn head_of_log(log: &LogId) -> Key {
    match &log.connection {
        Some(connection) => log_head(&log.company, connection),
        None => company_log_head(&log.company),
    }
}

pub(in crate::store) fn grown_shard(number: u8) -> String {
    format!("LOG#{number}")
}

/// The partition of [`DUE_INDEX`] that a log belongs to while it has grown since its last checkpoint.
pub(in crate::store) fn grown_shard_of(log: &LogId) -> String {
    let first = Sha256::digest(log.to_string()).first().copied();
    grown_shard(first.unwrap_or_default() % DUE_SHARDS)
}

/// The log that the key of a head names.
pub(in crate::store) fn parse_head(item: &Item) -> Option<LogId> {
    let pk = item.get("pk")?.as_s().ok()?;
    let (company, connection) = match pk.strip_prefix("CONNECTION#") {
        Some(of) => of.split_once('#').map(|(company, connection)| (company, Some(connection)))?,
        None => (pk.strip_prefix("LOG#")?, None),
    };
    let connection = connection.map(ConnectionId::parse).transpose().ok()?;
    Some(LogId { company: CompanyId::parse(company).ok()?, connection })
}

/// The newest checkpoint of a log that is kept, apart from the log: who signs appends nothing.
pub(in crate::store) fn log_checkpoint(log: &LogId) -> Key {
    let sk = match &log.connection {
        Some(connection) => format!("CONNECTION#{connection}"),
        None => "COMPANY".to_owned(),
    };
    Key { pk: format!("SIGNED#{}", log.company), sk }
}

/// The key that checks what this stack signs.
pub(in crate::store) fn log_key() -> Key {
    Key { pk: "LOGKEY".to_owned(), sk: "LOGKEY".to_owned() }
}

/// The schedule of one machine.
pub(in crate::store) fn schedule() -> Key {
    Key { pk: "SCHEDULE".to_owned(), sk: "SCHEDULE".to_owned() }
}

/// A pack that was asked for.
pub(in crate::store) fn pack(company: &CompanyId, client: &ClientId, id: &PackId) -> Key {
    Key { pk: format!("PACKS#{company}"), sk: format!("CLIENT#{client}#{id}") }
}

/// The packs of a client, the oldest instant first.
pub(in crate::store) fn packs(company: &CompanyId, client: &ClientId) -> Range {
    Range::under(format!("PACKS#{company}"), &format!("CLIENT#{client}#"))
}

/// One piece of the checkpoint that the worker with a fencing token wrote.
pub(in crate::store) fn checkpoint_piece(
    company: &CompanyId,
    connection: &ConnectionId,
    run: &RunId,
    token: u64,
    piece: usize,
) -> Key {
    let Range { pk, from, .. } = checkpoint_pieces(company, connection, run, token);
    Key { pk, sk: format!("{from}{piece:06}") }
}

pub(in crate::store) fn checkpoint_pieces(
    company: &CompanyId,
    connection: &ConnectionId,
    run: &RunId,
    token: u64,
) -> Range {
    Range::under(of_connection(company, connection), &format!("CHECKPOINT#{run}#{token}#"))
}

/// What one process sent to a vendor account.
pub(in crate::store) fn usage(account: &str, process: &str) -> Key {
    Key { pk: format!("ACCOUNT#{account}"), sk: format!("USED#{process}") }
}

pub(in crate::store) fn usages(account: &str) -> Range {
    Range::under(format!("ACCOUNT#{account}"), "USED#")
}

/// Where everything of the people of a connection is, apart from its runs: it can be erased whole.
fn people_of(company: &CompanyId, connection: &ConnectionId) -> String {
    format!("PEOPLE#{company}#{connection}")
}

pub(in crate::store) fn person(company: &CompanyId, connection: &ConnectionId, person: &PersonId) -> Key {
    Key { pk: people_of(company, connection), sk: format!("PERSON#{person}") }
}

pub(in crate::store) fn people(company: &CompanyId, connection: &ConnectionId) -> Range {
    Range::under(people_of(company, connection), "PERSON#")
}

/// People after one, or all.
pub(in crate::store) fn people_after(
    company: &CompanyId,
    connection: &ConnectionId,
    after: Option<&PersonId>,
) -> Range {
    let all = people(company, connection);
    match after {
        // No hexadecimal digit sorts before `#`, so this is the next one.
        Some(after) => Range { from: format!("PERSON#{after}#"), ..all },
        None => all,
    }
}

/// What happened to a person at an instant, told apart from others by `by`.
pub(in crate::store) fn event(
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    at: DateTime<Utc>,
    by: &str,
) -> Key {
    Key { pk: people_of(company, connection), sk: format!("EVENT#{person}#{}#{by}", instant(at)) }
}

pub(in crate::store) fn events(company: &CompanyId, connection: &ConnectionId, person: &PersonId) -> Range {
    Range::under(people_of(company, connection), &format!("EVENT#{person}#"))
}

/// That a person has an onboarding link, by the hash of its secret.
pub(in crate::store) fn link_of_person(
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    hash: &str,
) -> Key {
    Key { pk: people_of(company, connection), sk: format!("LINK#{person}#{hash}") }
}

/// The links of a person, or of everybody.
pub(in crate::store) fn links_of(company: &CompanyId, connection: &ConnectionId, person: Option<&PersonId>) -> Range {
    let prefix = person.map_or_else(|| "LINK#".to_owned(), |person| format!("LINK#{person}#"));
    Range::under(people_of(company, connection), &prefix)
}

pub(in crate::store) fn people_key_record(company: &CompanyId, connection: &ConnectionId) -> Key {
    Key { pk: people_of(company, connection), sk: "KEEPING".to_owned() }
}

pub(in crate::store) fn access(company: &CompanyId, connection: &ConnectionId, at: DateTime<Utc>, number: u64) -> Key {
    Key { pk: people_of(company, connection), sk: format!("ACCESS#{}#{number:016x}", instant(at)) }
}

pub(in crate::store) fn accesses(company: &CompanyId, connection: &ConnectionId) -> Range {
    Range::under(people_of(company, connection), "ACCESS#")
}

/// Everything of the people of a connection.
pub(in crate::store) fn all_of_people(company: &CompanyId, connection: &ConnectionId) -> Range {
    Range { pk: people_of(company, connection), from: "#".to_owned(), to: "~".to_owned() }
}

/// The key of a company's hashes. Not beside its connections: who writes the one must not reach the others.
pub(in crate::store) fn hash_key(company: &CompanyId) -> Key {
    Key { pk: format!("HASHKEY#{company}"), sk: "HASHKEY".to_owned() }
}

/// The setting that names a client's provider of training, apart from the connections, too.
pub(in crate::store) fn provider(company: &CompanyId, client: &ClientId) -> Key {
    Key { pk: format!("PROVIDER#{company}"), sk: format!("CLIENT#{client}") }
}

/// Where earlier releases stored the two, beside the connections. They are still read there, and not written.
pub(in crate::store) mod legacy {
    use super::{ClientId, CompanyId, Key};

    pub fn hash_key(company: &CompanyId) -> Key {
        Key { pk: format!("COMPANY#{company}"), sk: "HASHKEY".to_owned() }
    }

    pub fn provider(company: &CompanyId, client: &ClientId) -> Key {
        Key { pk: format!("COMPANY#{company}"), sk: format!("PROVIDER#{client}") }
    }
}

/// The partition of the evidence about a company itself.
pub(in crate::store) fn evidence_of_company(company: &CompanyId) -> String {
    format!("EVIDENCE#{company}#COMPANY")
}

/// The partition of the evidence about a client.
pub(in crate::store) fn evidence_of_client(company: &CompanyId, client: &ClientId) -> String {
    format!("EVIDENCE#{company}#CLIENT#{client}")
}

/// The evidence of one product from one connection, within the partition of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Series {
    pub product: String,
    pub connection: ConnectionId,
}

impl Series {
    /// The series that a sort key belongs to.
    pub fn parse(sk: &str) -> Option<Self> {
        let mut parts = sk.split('#');
        Some(Self { product: parts.next()?.to_owned(), connection: ConnectionId::parse(parts.next()?).ok()? })
    }

    fn prefix(&self) -> String {
        format!("{}#{}#", self.product, self.connection)
    }

    /// All of it.
    pub fn all(&self, pk: &str) -> Range {
        Range::under(pk.to_owned(), &self.prefix())
    }

    /// What was evaluated between two instants.
    pub fn between(&self, pk: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Range {
        let prefix = self.prefix();
        Range {
            pk: pk.to_owned(),
            from: format!("{prefix}{}", instant(from)),
            to: format!("{prefix}{}#~", instant(to)),
        }
    }
}

/// Where the series of a product, or of all, lie in a partition.
pub(in crate::store) fn series(pk: &str, product: Option<&str>) -> Range {
    match product {
        Some(product) => Range::under(pk.to_owned(), &format!("{product}#")),
        None => Range {
            pk: pk.to_owned(),
            // A key is never empty, and no product begins with a sign.
            from: "#".to_owned(),
            to: "~".to_owned(),
        },
    }
}

/// One piece of evidence. The fencing token keeps apart what two workers wrote for the same run.
pub(in crate::store) fn evidence(pk: &str, series: &Series, as_of: DateTime<Utc>, run: &RunId, token: u64) -> Key {
    Key { pk: pk.to_owned(), sk: format!("{}{}#{run}#{token}", series.prefix(), instant(as_of)) }
}

/// What does not fit into one record of evidence, in a partition of its own, so that no listing of the evidence comes across it.
pub(in crate::store) fn evidence_pieces(evidence: &Key) -> Range {
    Range::under(pieces_of(&evidence.pk), &format!("{}#", evidence.sk))
}

/// The partition of what does not fit into the records of another.
pub(in crate::store) fn pieces_of(pk: &str) -> String {
    format!("{pk}#PIECES")
}

/// The legal holds of a company.
pub(in crate::store) fn holds(company: &CompanyId) -> Key {
    Key { pk: connections(company).pk, sk: "HOLDS".to_owned() }
}

/// One piece of what does not fit.
pub(in crate::store) fn evidence_piece(evidence: &Key, number: u32) -> Key {
    let Range { pk, from, .. } = evidence_pieces(evidence);
    Key { pk, sk: format!("{from}{number:06}") }
}

/// The summary (portfolio) of a company's clients: the newest evidence of each.
pub(in crate::store) fn portfolio(company: &CompanyId) -> Range {
    Range { pk: format!("PORTFOLIO#{company}"), from: "#".to_owned(), to: "~".to_owned() }
}

/// The same of one connection.
pub(in crate::store) fn portfolio_of(company: &CompanyId, connection: &ConnectionId) -> Range {
    Range::under(portfolio(company).pk, &format!("{connection}#"))
}

/// A piece of what does not fit into one record.
pub(in crate::store) fn portfolio_piece(company: &CompanyId, connection: &ConnectionId, piece: u32) -> Key {
    let Range { pk, from, .. } = portfolio_of(company, connection);
    Key { pk, sk: format!("{from}{piece:03}") }
}

/// Where the decisions of a company are, and its policies.
fn decisions_of(company: &CompanyId) -> String {
    format!("DECISIONS#{company}")
}

pub(in crate::store) fn policy(company: &CompanyId, name: &PolicyName, version: PolicyVersion) -> Key {
    Key { pk: decisions_of(company), sk: format!("POLICY#{name}#{version}") }
}

pub(in crate::store) fn policies(company: &CompanyId) -> Range {
    Range::under(decisions_of(company), "POLICY#")
}

pub(in crate::store) fn decision(company: &CompanyId, client: &ClientId, at: DateTime<Utc>, id: &DecisionId) -> Key {
    Key { pk: decisions_of(company), sk: format!("DECISION#{client}#{}#{id}", instant(at)) }
}

/// Choices of policies lie apart from other decisions: a worker reads them alone.
pub(in crate::store) fn policy_choice(
    company: &CompanyId,
    client: &ClientId,
    at: DateTime<Utc>,
    id: &DecisionId,
) -> Key {
    Key { pk: decisions_of(company), sk: format!("CHOICE#{client}#{}#{id}", instant(at)) }
}

pub(in crate::store) fn decision_at(company: &CompanyId, sk: String) -> Key {
    Key { pk: decisions_of(company), sk }
}

pub(in crate::store) fn decision_by_id(company: &CompanyId, id: &DecisionId) -> Key {
    Key { pk: decisions_of(company), sk: format!("ID#{id}") }
}

pub(in crate::store) fn decisions(company: &CompanyId, client: Option<&ClientId>) -> Range {
    let under = client.map_or_else(|| "DECISION#".to_owned(), |client| format!("DECISION#{client}#"));
    Range::under(decisions_of(company), &under)
}

pub(in crate::store) fn policy_choices(company: &CompanyId, client: Option<&ClientId>) -> Range {
    let under = client.map_or_else(|| "CHOICE#".to_owned(), |client| format!("CHOICE#{client}#"));
    Range::under(decisions_of(company), &under)
}

/// What was decided about an exception: once, and once more that it was revoked.
pub(in crate::store) fn review_of(company: &CompanyId, exception: &DecisionId, revoked: bool) -> Key {
    let which = if revoked { "REVOKED" } else { "DECIDED" };
    Key { pk: decisions_of(company), sk: format!("ID#{exception}#{which}") }
}

/// All decisions about a client in one record.
pub(in crate::store) fn together(company: &CompanyId, client: &ClientId) -> Key {
    Key { pk: decisions_of(company), sk: format!("TOGETHER#{client}") }
}

/// That the company has no decision which is not in such a record.
pub(in crate::store) fn all_together(company: &CompanyId) -> Key {
    Key { pk: decisions_of(company), sk: "TOGETHER".to_owned() }
}

/// When a connection was there and when it was paused, beside what people decided: it outlives the connection.
pub(in crate::store) fn timeline(company: &CompanyId, id: &ConnectionId) -> Key {
    Key { pk: decisions_of(company), sk: format!("TIMELINE#{id}") }
}

pub(in crate::store) fn timelines(company: &CompanyId) -> Range {
    Range::under(decisions_of(company), "TIMELINE#")
}

/// The ticks of the stack: one a day.
const TICKS: &str = "TICKS#DAILY";

/// A tick of the stack. It names nobody.
pub(in crate::store) fn tick(due: DateTime<Utc>) -> Key {
    Key { pk: TICKS.to_owned(), sk: format!("TICK#{}", instant(due)) }
}

pub(in crate::store) fn ticks(from: DateTime<Utc>, to: DateTime<Utc>) -> Range {
    Range { pk: TICKS.to_owned(), from: format!("TICK#{}", instant(from)), to: format!("TICK#{}", instant(to)) }
}

/// The runs that were asked for between two instants: the id of a run is a UUID of version 7, which begins with its time.
pub(in crate::store) fn runs_between(
    company: &CompanyId,
    connection: &ConnectionId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Range {
    let prefix = |at: DateTime<Utc>| {
        let digits = format!("{:012x}", at.timestamp_millis().clamp(0, 0xffff_ffff_ffff));
        let (first, second) = digits.split_at(8);
        format!("RUN#{first}-{second}")
    };
    Range { pk: of_connection(company, connection), from: prefix(from), to: format!("{}~", prefix(to)) }
}

/// SHA-256 in lower-case hexadecimal.
pub(in crate::store) fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use proptest::prelude::*;

    #[test]
    fn a_key_spells_an_instant_in_one_width() {
        assert_eq!(instant(parse("2026-03-22T12:00:00Z").unwrap()), "2026-03-22T12:00:00.000Z");
        assert_eq!(instant(parse("2026-03-22T13:00:00.1239+01:00").unwrap()), "2026-03-22T12:00:00.123Z");
        assert_eq!(instant(DateTime::<Utc>::MIN_UTC), "0000-01-01T00:00:00.000Z");
        assert_eq!(instant(DateTime::<Utc>::MAX_UTC), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_connection_stays_in_its_shard() {
        let company = CompanyId::parse("msp-acme").unwrap();
        let shard = shard_of(&company, &ConnectionId::parse("main").unwrap());
        // A different answer would leave connections in shards where nobody updates them.
        assert_eq!(shard, "DUE#4");
    }

    #[test]
    fn the_series_of_a_connection_ends_before_that_of_a_longer_name() {
        let series =
            |name| Series { product: "huntress-edr".to_owned(), connection: ConnectionId::parse(name).unwrap() };
        let all = series("a").all("pk");
        for longer in ["a-b", "a.b", "a_b", "a0", "aZ"] {
            assert!(all.to < series(longer).all("pk").from, "{longer}");
        }
        assert_eq!(Series::parse("huntress-edr#a-b#2026-03-22T12:00:00.000Z#r#1"), Some(series("a-b")));
    }

    proptest! {
        #[test]
        fn text_order_is_time_order(a in -70_000_000_000_000_i64..260_000_000_000_000, b in -70_000_000_000_000_i64..260_000_000_000_000) {
            let at = |ms| DateTime::<Utc>::from_timestamp_millis(ms).unwrap();
            prop_assert!(a > b || instant(at(a)) <= instant(at(b)));
            prop_assert!(a < b || instant(at(a)) >= instant(at(b)));
        }
    }
}
