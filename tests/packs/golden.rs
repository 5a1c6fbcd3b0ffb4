//! Packs that were made once and are kept: what an auditor holds has to be good for every later release.
//!
//! `UPDATE_GOLDEN=1` makes them anew, which is right only together with another renderer or format; `UPDATE_GOLDEN=rules-2` the one of the rules that were.

use super::{World, client, company, connection, first};
use acceptance::edr::as_of;
use chrono::TimeDelta;
use common::app::decisions::Decisions;
use common::app::log::LogSigner;
use common::app::packs::{PackMaker, PackRequest};
use common::domain::audit::{Actor, AuditAction, AuditEvent};
use common::domain::calendar::{Calendar, Until};
use common::domain::decisions::{AttestationKey, AttestationRequest, Decider};
use common::domain::edr::EdrSettings;
use common::domain::edr::facts::EdrFacts;
use common::domain::edr::measures::{SeverityBounds, measures_within};
use common::domain::id::ConnectionKey;
use common::domain::policy::{InForce, Outcome, Verdict, baseline, evaluate};
use common::domain::product::Product;
use common::pack::manifest::{FORMAT, RENDERER};
use common::pack::verify::{Known, verify};
use common::signing::LogKey;
use serde_json::{Value, json};
use simulator::{Account, List};
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
        until: Until::Instant(first() + TimeDelta::days(90)),
    };
    decisions.attest(&company(), attested).await.unwrap();
    for day in 0..5 {
        if day == 2 { world.fail(day).await } else { world.succeed(day).await }
    }
    world.succeed_training(0).await;
    let actor = Actor::cli("alice");
    let at = first() + TimeDelta::days(1);
    let event = AuditEvent::of_connection(
        &actor,
        AuditAction::ConnectionTested,
        ConnectionKey::of(&company(), &connection()),
        at,
    );
    world.store.add_audit_event(&event).await.unwrap();
    world.clock.move_to(first() + TimeDelta::days(7));
    let signer = Arc::new(LogSigner::Key(LogKey::of_seed(&SEED, None).unwrap()));
    let maker = PackMaker { signer, ..world.maker.clone() };
    let request = PackRequest { to: "2026-03-22".parse().unwrap(), ..World::request("client-a") };
    maker.pack(&request).await.unwrap()
}

/// A pack of the first releases with rules, which held an open incident of unknown severity to be of none: so there was no critical one.
async fn made_by_rules_2() -> Vec<u8> {
    let plain = Account::worked_example(as_of());
    let of = |list| plain.records(list).collect::<Vec<Value>>();
    let organization = of(List::Organizations)[0]["id"].clone();
    let sent_at = (as_of() - TimeDelta::hours(99)).to_rfc3339();
    let odd = json!({"id": 990_001, "organization_id": organization, "status": "sent", "severity": "grave", "sent_at": sent_at});
    let incidents = vec![odd];
    let account = Account::from_records(of(List::Organizations), of(List::Agents), incidents);
    let world = World::of(account, Calendar::default()).await;
    for day in 0..2 {
        world.commit_by("2", day, by_rules_2).await;
    }
    world.clock.move_to(first() + TimeDelta::days(7));
    let signer = Arc::new(LogSigner::Key(LogKey::of_seed(&SEED, None).unwrap()));
    PackMaker { signer, ..world.maker.clone() }.pack(&World::request("client-a")).await.unwrap()
}

/// The bundle with the outcomes that those releases gave.
fn by_rules_2(bundle: String) -> String {
    let mut bundle: Value = serde_json::from_str(&bundle).unwrap();
    if bundle["tenant"]["client_id"] == "client-a" {
        let facts: EdrFacts = serde_json::from_value(bundle["facts"].clone()).unwrap();
        let limits = EdrSettings::of_derivation(&bundle["metadata"]["derivation"]).unwrap();
        let verdicts = |bounds| {
            let measures = measures_within(&facts, limits.into(), bounds);
            evaluate(&InForce::after([baseline()]), Product::Edr, &measures, None)
        };
        let critical =
            |verdicts: &[Verdict]| verdicts.iter().find(|it| it.rule.as_str() == "ir-critical-24h").unwrap().outcome;
        let then = verdicts(SeverityBounds::None);
        assert_eq!((critical(&then), critical(&verdicts(SeverityBounds::Any))), (Outcome::Pass, Outcome::Inconclusive));
        bundle["verdicts"] = serde_json::to_value(then).unwrap();
    }
    bundle.to_string()
}

#[tokio::test]
async fn packs_of_earlier_releases_are_still_good() {
    let update = std::env::vars().find(|(name, _)| name == "UPDATE_GOLDEN").map(|(_, value)| value);
    match update.as_deref() {
        Some("rules-2") => {
            let path = format!("{}/samples/packs/rules-2.zip", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, made_by_rules_2().await).unwrap();
        }
        Some(_) => std::fs::write(path(), made().await).unwrap(),
        None => {}
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
