//! A run whose parts are done by different builds, as while a deployment moves: a checkpoint of this version goes on, one of another begins the run anew.
//!
//! The samples are checkpoints that other builds wrote, each with its version as first byte. `UPDATE_CHECKPOINTS=1 cargo test --workspace --test store other_builds`
//! writes those of the present version; what was there of an earlier one stays.

use super::continued::{World, endpoints, ids, start, training};
use acceptance::engine::TABLE;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::aws::queue::{Queued, RunMessage};
use common::domain::id::RunId;
use common::domain::product::Product;
use common::domain::run::{RunStatus, Trigger};
use common::store::RunRequest;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

fn sample(product: Product, version: u8) -> PathBuf {
    let name = if product == Product::Edr { "edr" } else { "sat" };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("samples/checkpoints/{name}-v{version}.bin"))
}

async fn world(product: Product) -> World {
    let builder = if product == Product::Edr { endpoints() } else { training(300) };
    World::of(product, builder).await
}

/// A run that waits for its second part. Its id is what learners are hashed with, so it is the same in every build.
async fn paused(product: Product) -> (World, RunId) {
    let mut world = world(product).await;
    let (company, connection, _) = ids();
    let run = RunId::parse("0197a000-0000-7000-8000-000000000001").unwrap();
    let request = RunRequest {
        company: company.clone(),
        connection: connection.clone(),
        run_id: run.clone(),
        trigger: Trigger::OnDemand,
        request_key: None,
        next_run_at: None,
        not_before: None,
        now: start(),
    };
    world.store.request_run(request).await.unwrap();
    let message = RunMessage { company, connection, run: run.clone() };
    world.queue.send(&[Queued::now(message)]).await.unwrap();
    let part = world.deliver(TimeDelta::minutes(14)).await.unwrap();
    assert!(matches!(part.processed, Processed::Waiting { .. }), "{:?}", part.processed);
    (world, run)
}

impl World {
    /// The checkpoint of the run, in one piece.
    async fn kept(&self) -> Vec<u8> {
        let items = self.engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap();
        let pieces: Vec<_> = items.iter().filter(|it| it["sk"].as_s().unwrap().starts_with("CHECKPOINT#")).collect();
        let [piece] = pieces.as_slice() else { panic!("{} pieces", pieces.len()) };
        piece["body"].as_b().unwrap().clone().into_inner()
    }

    /// Puts the checkpoint of another build in the place of this one's.
    async fn replace_checkpoint(&self, state: &[u8]) {
        let client = self.engine.client();
        let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
        let sha256: String = Sha256::digest(state).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut changed = 0;
        for mut item in items {
            let sk = item.get("sk").unwrap().as_s().unwrap().clone();
            if sk.starts_with("CHECKPOINT#") {
                item.insert("body".to_owned(), AttributeValue::B(Blob::new(state)));
            } else if sk == "ACTIVE" {
                let AttributeValue::M(checkpoint) = item.get_mut("checkpoint").unwrap() else {
                    panic!("no checkpoint")
                };
                checkpoint.insert("sha256".to_owned(), AttributeValue::S(sha256.clone()));
            } else {
                continue;
            }
            client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
            changed += 1;
        }
        assert_eq!(changed, 2);
    }
}

/// Plays the rest of a run from a checkpoint. Its evidence is that of a run by one build, however often pages were read.
async fn goes_on_from(product: Product, state: &[u8]) -> usize {
    let (mut world, run) = paused(product).await;
    let as_of = world.run(&run).await.as_of;
    world.replace_checkpoint(state).await;
    while world.deliver(TimeDelta::minutes(14)).await.is_some() {}
    let ended = world.run(&run).await;
    assert_eq!((ended.status, ended.as_of), (RunStatus::Succeeded, as_of), "{:?}", ended.failure);
    let mut whole = self::world(product).await;
    whole.sync().await;
    let (mut evidence, mut wanted) = (world.evidence().await, whole.evidence().await);
    for bundle in [&mut evidence, &mut wanted] {
        // What is begun anew is collected later, as of the same instant.
        bundle.as_object_mut().unwrap().remove("collected_at").unwrap();
    }
    assert_eq!(evidence, wanted);
    world.pages().values().filter(|times| **times > 1).count()
}

#[tokio::test]
async fn a_checkpoint_of_this_version_goes_on_whichever_build_wrote_it() {
    for product in [Product::Edr, Product::Sat] {
        let (world, _) = paused(product).await;
        let written = world.kept().await;
        let path = sample(product, written[0]);
        if std::env::vars().any(|(name, _)| name == "UPDATE_CHECKPOINTS") {
            std::fs::write(&path, &written).unwrap();
        }
        let kept =
            std::fs::read(&path).unwrap_or_else(|_| panic!("no sample of the present version: {}", path.display()));
        // A form that changed without its version, which is VERSION in common/src/app/collection/checkpoint.rs, would begin anew.
        assert_eq!(goes_on_from(product, &kept).await, 0, "a page was read again");
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_version_begins_the_run_anew_at_the_same_instant() {
    let (paused, _) = paused(Product::Sat).await;
    let version = paused.kept().await[0];
    let read_before = paused.pages().len();
    let folder = sample(Product::Sat, 0).parent().unwrap().to_owned();
    let mut earlier = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let state = std::fs::read(file.unwrap().path()).unwrap();
        if state[0] != version {
            assert_eq!(goes_on_from(Product::Sat, &state).await, read_before, "of version {}", state[0]);
            earlier += 1;
        }
    }
    assert!(earlier > 0, "no sample of another version");
    // And one of a release to come, which this build meets when the deployment goes back.
    let mut later = paused.kept().await;
    later[0] += 1;
    assert_eq!(goes_on_from(Product::Sat, &later).await, read_before);
}
