//! Packs that were made once and are kept: what an auditor holds has to be good for every later release.
//!
//! `UPDATE_GOLDEN=1` makes them anew, which is right only together with another renderer or format.

use super::{World, client, company, connection, first};
use chrono::TimeDelta;
use common::app::decisions::Decisions;
use common::app::log::LogSigner;
use common::app::packs::{PackMaker, PackRequest};
use common::domain::audit::{Actor, AuditAction, AuditEvent};
use common::domain::decisions::{AttestationKey, AttestationRequest, Decider};
use common::pack::manifest::{FORMAT, RENDERER};
use common::pack::verify::{Known, verify};
use common::signing::LogKey;
use std::sync::Arc;

/// Of the key that signed them. It signs nothing else.
const SEED: [u8; 32] = [11; 32];

fn path() -> String {
    format!("{}/samples/packs/format-{FORMAT}-renderer-{RENDERER}.zip", env!("CARGO_MANIFEST_DIR"))
}

async fn made() -> Vec<u8> {
    let world = World::new().await;
    let alice = Decider { name: "alice".to_owned(), on_this_machine: true };
    let decisions = Decisions { store: world.store.clone(), clock: Arc::new(world.clock.clone()) };
    let attested = AttestationRequest {
        client: client("client-a"),
        key: AttestationKey::ExpectedDevices,
        value: "60".to_owned(),
        source: "=RMM export of 2026-03-15, \"all\" sites".to_owned(),
        dated: "2026-03-15".parse().unwrap(),
        by: alice.clone(),
        until: first() + TimeDelta::days(90),
    };
    decisions.attest(&company(), attested).await.unwrap();
    for day in 0..5 {
        if day == 2 { world.fail(day).await } else { world.succeed(day).await }
    }
    world.succeed_training(0).await;
    let actor = Actor::cli("alice");
    let at = first() + TimeDelta::days(1);
    let event = AuditEvent::of_connection(&actor, AuditAction::ConnectionTested, (&company(), &connection()), at);
    world.store.add_audit_event(&event).await.unwrap();
    world.clock.move_to(first() + TimeDelta::days(7));
    let signer = Arc::new(LogSigner::Key(LogKey::of_seed(&SEED, None).unwrap()));
    let maker = PackMaker { signer, ..world.maker.clone() };
    let request = PackRequest { to: "2026-03-22".parse().unwrap(), ..World::request("client-a") };
    maker.pack(&request).await.unwrap()
}

#[tokio::test]
async fn packs_of_earlier_releases_are_still_good() {
    if std::env::vars().any(|(name, _)| name == "UPDATE_GOLDEN") {
        std::fs::write(path(), made().await).unwrap();
    }
    let key = LogKey::of_seed(&SEED, None).unwrap().verifier().clone();
    let folder = format!("{}/samples/packs", env!("CARGO_MANIFEST_DIR"));
    let mut packs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    packs.retain(|path| path.extension().is_some_and(|ending| ending == "zip"));
    packs.sort();
    assert!(packs.iter().any(|pack| pack.to_str() == Some(&path())), "none of this format and renderer");
    for pack in packs {
        let bytes = std::fs::read(&pack).unwrap();
        let report = verify(&bytes, &Known { keys: vec![key.clone()], older: Vec::new() });
        let steps: Vec<String> = report
            .steps
            .iter()
            .map(|it| format!("{} {}: {}", if it.ok { "ok" } else { "WRONG" }, it.step, it.detail))
            .collect();
        assert!(report.is_good(), "{pack:?}: {:?}", report.failure());
        let name = pack.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(name, steps.join("\n"));
    }
}
