//! What is seen of a connection from outside: by readers of evidence, by who looks after runs, and in the table itself.

use crate::aws::TABLE;
use crate::plan::Scene;
use crate::scenario::{company, connection_id};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use common::domain::connection::Connection;
use common::domain::id::RunId;
use common::domain::log::statement::{Leaf, Statement};
use common::domain::log::tree::{Tree, leaf_hash};
use common::domain::run::{Run, RunStatus};
use common::domain::time::Window;
use common::store::{EvidenceOwner, LogHead, Store, StoreError};
use serde_json::Value;
use std::collections::BTreeMap;

/// A visible piece of evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub run: RunId,
    pub as_of: DateTime<Utc>,
    /// Without what differs between runs of the same lists: their ids, and when and with how many requests they were done.
    pub bundle: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Of each owner, oldest first.
    pub evidence: BTreeMap<EvidenceOwner, Vec<Piece>>,
    /// Everybody who is visible, without their ids.
    pub people: Vec<String>,
    /// Newest first.
    pub runs: Vec<Run>,
    /// The run that is not over.
    pub active: Option<RunId>,
    pub commits: usize,
    pub connection: Connection,
}

pub async fn look(client: &Client, scene: Scene) -> Result<Snapshot, StoreError> {
    let store = Store::new(client.clone(), TABLE);
    let (company, id) = (company(), connection_id());
    let mut evidence = BTreeMap::new();
    for owner in scene.owners() {
        let history = store.history(&company, &owner, scene.product(), Window::ALL).await?;
        let pieces = history.iter().map(|it| piece(&it.run_id, it.as_of, &it.body)).collect();
        evidence.insert(owner, pieces);
    }
    let mut people: Vec<String> = Vec::new();
    if scene.tracks_people() {
        people = store.people(&company, &id).await?.iter().map(|person| format!("{:?}", person.state)).collect();
        people.sort();
    }
    let commits = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk AND begins_with(sk, :commit)")
        .expression_attribute_values(":pk", AttributeValue::S(format!("CONNECTION#{company}#{id}")))
        .expression_attribute_values(":commit", AttributeValue::S("COMMIT#".to_owned()))
        .send()
        .await?;
    let runs = store.runs(&company, &id, 1_000).await?;
    check_log(&store, &runs).await?;
    Ok(Snapshot {
        evidence,
        people,
        runs,
        active: store.active_run(&company, &id).await?.map(|active| active.run_id),
        commits: commits.items().len(),
        connection: store.connection(&company, &id).await?.expect("nobody removes the connection"),
    })
}

/// The log has one leaf for each run that ended, and nothing else; its head is that of its leaves.
async fn check_log(store: &Store, runs: &[Run]) -> Result<(), StoreError> {
    let (company, id) = (company(), connection_id());
    let head = store.log_head(&company, &id).await?;
    let size = head.as_ref().map_or(0, LogHead::size);
    let leaves = store.log_leaves(&company, &id, 0, size).await?;
    let tree = Tree::of(leaves.iter().map(|data| leaf_hash(data.as_bytes())));
    assert_eq!(head.map(|head| head.root()), (size > 0).then(|| tree.root()), "the head of the log is another's");
    let mut logged: Vec<(RunId, bool)> = Vec::new();
    for data in leaves {
        let statement = Statement::parse(data.as_bytes()).expect("a leaf is a statement");
        let run = statement.run_id().expect("nobody removes the connection").clone();
        logged.push((run, statement.evidence().is_some()));
    }
    let ended = runs.iter().filter(|run| run.status.is_final());
    let mut ended: Vec<_> = ended.map(|run| (run.id.clone(), run.status == RunStatus::Succeeded)).collect();
    logged.sort();
    ended.sort();
    assert_eq!(logged, ended, "the log does not have the runs that ended");
    Ok(())
}

/// The runs whose evidence is the newest of its owner: one, or none.
pub async fn newest(store: &Store, scene: Scene) -> Result<Vec<Option<RunId>>, StoreError> {
    let mut runs = Vec::new();
    for owner in scene.owners() {
        let latest = store.latest(&company(), &owner).await?;
        assert!(latest.len() <= 1, "one connection, one product");
        runs.push(latest.into_iter().next().map(|it| it.run_id));
    }
    runs.dedup();
    Ok(runs)
}

fn piece(run: &RunId, as_of: DateTime<Utc>, body: &str) -> Piece {
    let mut bundle: Value = serde_json::from_str(body).expect("evidence is JSON");
    let fields = bundle.as_object_mut().expect("a bundle is an object");
    fields.remove("collected_at");
    let metadata = fields["metadata"].as_object_mut().expect("a bundle has metadata");
    assert_eq!(metadata.get("run_id").and_then(Value::as_str), Some(run.as_str()), "a bundle names its run");
    for differs in ["run_id", "api_calls_made", "collection_duration_ms", "rate_limit_warning"] {
        metadata.remove(differs);
    }
    for list in metadata["completeness"].as_array_mut().expect("a bundle tells how complete its lists are") {
        // A run that has to ask again reads later.
        for differs in ["first_observed_at", "last_observed_at"] {
            assert!(list.as_object_mut().and_then(|list| list.remove(differs)).is_some(), "a list has {differs}");
        }
        // A run whose first page size was refused asks for smaller pages.
        if let Some((path, _)) = list["request"].as_str().and_then(|request| request.split_once('?')) {
            list["request"] = path.to_owned().into();
        }
    }
    Piece { run: run.clone(), as_of, bundle }
}
