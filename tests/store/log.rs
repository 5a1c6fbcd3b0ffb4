//! The evidence log: a leaf for every run that ended, in the transaction that ended it.

use super::*;
use acceptance::engine::Engine;
use common::domain::log::Hash;
use common::domain::log::proof::{TreeHead, is_consistent};
use common::domain::log::statement::{Event, Leaf, Statement, bundle_tree};
use common::domain::log::tree::{Tree, leaf_hash};

/// The whole log, checked against its head.
async fn log(store: &Store) -> (Vec<Statement>, Tree) {
    let head = store.log_head(&acme(), &main_connection()).await.unwrap().unwrap();
    let leaves = store.log_leaves(&acme(), &main_connection(), 0, head.size()).await.unwrap();
    let tree = Tree::of(leaves.iter().map(|data| leaf_hash(data.as_bytes())));
    assert_eq!((tree.size(), tree.root()), (head.size(), head.root()));
    (leaves.iter().map(|data| Statement::parse(data.as_bytes()).unwrap()).collect(), tree)
}

fn kinds(statements: &[Statement]) -> Vec<&'static str> {
    let kind = |statement: &Statement| match statement.event {
        Event::Evidence(_) => "evidence",
        Event::Failure(_) => "failure",
        Event::Disconnected { .. } => "disconnected",
        Event::Reconnected { .. } => "reconnected",
    };
    statements.iter().map(kind).collect()
}

#[tokio::test]
async fn every_run_that_ends_leaves_one_leaf() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    assert_eq!(store.log_head(&acme(), &main_connection()).await.unwrap(), None);
    let lease = started(&store, 1, tick()).await;
    // In the order of the contract, not in the one they come in.
    let evidence =
        vec![bundle(client("b"), "of b"), bundle(EvidenceOwner::Company, "own"), bundle(client("a"), "of a")];
    store.commit(&lease, ended(later(1)), evidence.clone()).await.unwrap();
    // A repetition, as after a lost answer.
    store.commit(&lease, ended(later(1)), evidence).await.unwrap();
    let lease = started(&store, 2, later(2)).await;
    store.fail(&lease, failed(later(3), FailureCode::Unavailable)).await.unwrap();
    store.fail(&lease, failed(later(3), FailureCode::Unavailable)).await.unwrap();

    let (statements, _) = log(&store).await;
    assert_eq!(kinds(&statements), ["evidence", "failure"]);
    let leaf = statements[0].evidence().unwrap();
    assert_eq!((leaf.run_id.clone(), leaf.as_of, leaf.ended_at, leaf.bundles), (run_id(1), tick(), later(1), 3));
    assert_eq!(leaf.bundle_root, bundle_tree([&b"own"[..], b"of a", b"of b"]).root());
    assert_eq!(leaf.control_map, Hash::of(&common::domain::controls::ControlMap::current_form()));
    let Event::Failure(failure) = &statements[1].event else { panic!("{statements:?}") };
    assert_eq!((failure.run_id.clone(), failure.code), (run_id(2), FailureCode::Unavailable));
    assert_eq!(failure.request.as_deref(), Some("GET /v1/agents"));
    assert_eq!(latest(&store, &client("a")).await[0].leaf, Some(0));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_leaves_no_leaf() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    for number in 1..=8 {
        let from = i64::from(number) * 60;
        let slow = started(&store, number, later(from)).await;
        let quick = leased(&store, number, "quick", later(from + 16)).await;
        let both = tokio::join!(
            store.commit(&slow, ended(later(from + 17)), bundles(1, "slow")),
            store.commit(&quick, ended(later(from + 17)), bundles(1, "quick")),
        );
        assert!(both.0.is_err() && both.1.is_ok(), "{both:?}");
        assert!(store.fail(&slow, failed(later(from + 18), FailureCode::TimedOut)).await.is_err());
        let (statements, _) = log(&store).await;
        assert_eq!(statements.len() as u32, number);
        assert_eq!(statements.last().unwrap().run_id(), Some(&run_id(number)));
    }
}

#[tokio::test]
async fn every_older_head_is_a_prefix_of_the_log() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    let mut heads = Vec::new();
    for number in 1..=20 {
        let lease = started(&store, number, later(number.into())).await;
        if number % 3 == 0 {
            store.fail(&lease, failed(later(number.into()), FailureCode::Unavailable)).await.unwrap();
        } else {
            store.commit(&lease, ended(later(number.into())), bundles(1, "{}")).await.unwrap();
        }
        let (_, tree) = log(&store).await;
        heads.push(TreeHead { size: tree.size(), root: tree.root() });
        for older in &heads {
            let path = tree.consistency_path(older.size).unwrap();
            assert!(is_consistent(older, heads.last().unwrap(), &path), "{} of {number}", older.size);
        }
    }
}

#[tokio::test]
async fn a_removed_connection_and_its_return_stand_in_the_same_log() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let there = connection(&acme(), "main");
    store.add_connection(&there).await.unwrap();
    let (lease, late) = (started(&store, 1, tick()).await, later(1));
    store.remove_connection(&acme(), &main_connection(), later(2)).await.unwrap();
    store.remove_connection(&acme(), &main_connection(), later(2)).await.unwrap();
    // The run that was at work comes to its end without a connection.
    store.fail(&lease, failed(later(3), FailureCode::NotFound)).await.unwrap();
    let again = Connection { created_at: later(4), product: Product::Sat, ..there.clone() };
    store.add_connection(&again).await.unwrap();
    assert!(matches!(store.add_connection(&there).await, Err(common::store::StoreError::Conflict { .. })));
    let (statements, _) = log(&store).await;
    assert_eq!(kinds(&statements), ["disconnected", "failure", "reconnected"]);
    assert_eq!(statements[0].ended_at(), later(2));
    assert_eq!((statements[2].ended_at(), statements[2].product), (later(4), Product::Sat));
    assert!(late < statements[0].ended_at());
    assert_eq!(stored_connection(&store).await.product, Product::Sat);
}

#[tokio::test]
async fn the_end_of_a_run_and_a_removal_at_the_same_time_make_no_fork() {
    for _ in 0..8 {
        let engine = Engine::memory().await;
        let store = engine.store().await;
        store.add_connection(&connection(&acme(), "main")).await.unwrap();
        let lease = started(&store, 1, tick()).await;
        let (company, id) = (acme(), main_connection());
        let (committed, removed) = tokio::join!(
            store.commit(&lease, ended(later(1)), bundles(2, "{}")),
            store.remove_connection(&company, &id, later(1)),
        );
        committed.unwrap();
        removed.unwrap();
        let (statements, _) = log(&store).await;
        let mut kinds = kinds(&statements);
        kinds.sort_unstable();
        assert_eq!(kinds, ["disconnected", "evidence"]);
    }
}
