//! What each privacy mode keeps, what opens it, and that erasing leaves nothing.

use super::world::{World, contains};
use acceptance::log::Log;
use acceptance::people::Workforce;
use common::app::collection::worker::Processed;
use common::app::people::{Identity, KeyringError, Opening};
use common::aws::documents::{certificate_key, prefix_of_connection};
use common::domain::id::{CompanyId, ConnectionId};
use common::domain::people::person::{PersonId, PrivacyMode};
use common::store::PersonRecord;
use huntress_evidence_compact::compact;

/// The data file is written anew as `huntress-evidence erase` does.
mod huntress_evidence_compact {
    use std::path::Path;

    pub fn compact(file: &Path) {
        let database = rusqlite::Connection::open(file).unwrap();
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    }
}

const LEARNERS: [&str; 4] = ["person-1", "person-2", "person-3", "person-4"];

/// Everything that tells who a learner is.
fn markers() -> Vec<String> {
    let of = |id: &&str| [id.to_string(), format!("First-{id}"), format!("Last-{id}"), format!("{id}@learner.example")];
    LEARNERS.iter().flat_map(of).collect()
}

async fn synced(mode: PrivacyMode) -> World {
    let mut world = World::new(&Workforce::four_people(), mode, &["A", "B"]).await;
    assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
    world
}

fn opening<'a>(world: &World) -> Opening<'a> {
    Opening { by: "auditor", reason: "the audit of 2026", at: common::clock::Clock::now(&world.clock) }
}

async fn open(world: &World, record: &PersonRecord) -> Result<Identity, KeyringError> {
    world.keyring.open_identity(&world.store, &world.company, &world.id, record, opening(world)).await
}

/// Nothing personal is anywhere, though everybody is followed, reset, opened and told of.
#[test]
fn no_mode_leaves_a_learner_in_a_file_a_log_line_or_what_is_told() {
    for mode in [PrivacyMode::Pseudonymous, PrivacyMode::Full] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ((bytes, told, ids), log) = Log::of(|| {
            runtime.block_on(async {
                let mut world = synced(mode).await;
                world.reset("person-1", "changed roles").await;
                world.night(&Workforce::four_people()).await;
                let people = world.store.people(&world.company, &world.id).await.unwrap();
                let ids: Vec<PersonId> = people.iter().map(|record| record.person.clone()).collect();
                let mut told = format!("{people:?}\n{:?}\n", world.history("person-1").await);
                told += &serde_json::to_string(&world.bundle().await).unwrap();
                if mode == PrivacyMode::Full {
                    assert!(open(&world, &people[0]).await.is_ok());
                }
                (world.end().await, told, ids)
            })
        });
        assert_eq!(ids.len(), 4);
        // What is kept is there to be found, so silence means that nothing else was.
        assert!(ids.iter().all(|id| contains(&bytes, id.as_str()) && told.contains(id.as_str())), "{mode}");
        assert!(log.contains("people written") && log.contains("hyper_util"));
        assert_eq!(log.contains("sealed columns of a person opened"), mode == PrivacyMode::Full);
        for marker in markers() {
            assert!(!contains(&bytes, &marker), "{marker} in a file, mode {mode}");
            assert!(!told.contains(&marker), "{marker} was told, mode {mode}");
            let line = log.lines().find(|line| line.contains(&marker));
            assert_eq!(line, None, "{marker} in the log, mode {mode}");
        }
    }
}

#[tokio::test]
async fn a_name_opens_for_who_says_why_and_that_is_kept() {
    let world = synced(PrivacyMode::Full).await;
    let record = world.person("person-2").await.unwrap();
    let opened = open(&world, &record).await.unwrap();
    assert_eq!(opened.name.as_deref(), Some("First-person-2 Last-person-2"));
    assert_eq!(opened.email.as_deref(), Some("person-2@learner.example"));
    assert_eq!(world.history("person-2").await, ["> not_compliant", "name+email opened by auditor: the audit of 2026"]);
    let people = world.store.people(&world.company, &world.id).await.unwrap();
    let all = world.keyring.open_identities(&world.store, &world.company, &world.id, &people, opening(&world)).await;
    assert_eq!(all.unwrap().len(), 4);
    let accesses = world.store.accesses(&world.company, &world.id).await.unwrap();
    assert_eq!((accesses.len(), accesses[0].people, accesses[0].by.as_str()), (1, 4, "auditor"));
    assert_eq!(accesses[0].reason, "the audit of 2026");
}

#[tokio::test]
async fn a_sealed_value_moved_to_another_row_column_connection_or_company_does_not_open() {
    let world = synced(PrivacyMode::Full).await;
    let (one, two) = (world.person("person-1").await.unwrap(), world.person("person-2").await.unwrap());
    assert!(open(&world, &one).await.is_ok());
    let moved_row = PersonRecord { sealed: two.sealed.clone(), ..one.clone() };
    assert!(matches!(open(&world, &moved_row).await, Err(KeyringError::DoesNotOpen(_))));
    let mut moved_column = one.clone();
    std::mem::swap(&mut moved_column.sealed.name, &mut moved_column.sealed.email);
    assert!(matches!(open(&world, &moved_column).await, Err(KeyringError::DoesNotOpen(_))));
    // Even with the key record of the other company or connection replaced by this one's.
    for (company, connection) in [("msp-other", "sat"), ("msp-acme", "sat-2")] {
        let (company, connection) = (CompanyId::parse(company).unwrap(), ConnectionId::parse(connection).unwrap());
        let own = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap();
        world.store.keep_people(&company, &connection, own.data_key).await.unwrap();
        let opened = world.keyring.open_identity(&world.store, &company, &connection, &one, opening(&world)).await;
        assert!(matches!(opened, Err(KeyringError::Wrap(_))), "the key is bound to its connection");
    }
}

#[tokio::test]
async fn equal_names_of_two_people_do_not_look_equal_and_the_companies_hashes_differ() {
    let world = synced(PrivacyMode::Full).await;
    let (one, two) = (world.person("person-1").await.unwrap(), world.person("person-2").await.unwrap());
    assert_ne!((one.sealed.name, one.sealed.tag), (two.sealed.name, two.sealed.tag));
    let other = CompanyId::parse("msp-other").unwrap();
    let hasher = world.keyring.hasher(&world.store, &other).await.unwrap();
    let learner = common::domain::people::roster::LearnerId::new("person-1").unwrap();
    assert_ne!(hasher.person(&learner), world.person_id("person-1").await);
}

#[tokio::test]
async fn the_same_name_is_not_sealed_again_and_a_new_one_is() {
    let mut world = synced(PrivacyMode::Full).await;
    let before = world.person("person-2").await;
    world.night(&Workforce::four_people()).await;
    assert_eq!(world.person("person-2").await, before);
}

#[tokio::test]
async fn erasing_a_person_leaves_no_trace_in_any_file_and_keeps_the_evidence() {
    for mode in [PrivacyMode::Pseudonymous, PrivacyMode::Full] {
        let mut world = synced(mode).await;
        world.reset("person-1", "a reason that names nobody").await;
        world.night(&Workforce::four_people()).await;
        if mode == PrivacyMode::Full {
            let record = world.person("person-1").await.unwrap();
            assert!(open(&world, &record).await.is_ok());
            assert!(record.state.stored_certificate(None).is_some());
        }
        let person = world.person_id("person-1").await;
        let record = world.person("person-1").await.unwrap();
        let evidence = world.bundle().await;
        let erased = world.keyring.erase_person(&world.store, &world.company, &world.id, &person).await.unwrap();
        assert!(erased >= 4, "the row and what happened: {erased}");
        assert_eq!(world.person("person-1").await, None);
        assert_eq!(world.store.people(&world.company, &world.id).await.unwrap().len(), 3);
        assert_eq!(world.bundle().await, evidence);
        let file = world.folder.path().join("data.db");
        let folder = world.folder.path().to_owned();
        let bodies = world.engine.bodies().await;
        world.engine.stop().await;
        compact(&file);
        let bytes = [bodies.into_bytes(), super::world::bytes_below(&folder)].concat();
        let sealed = [record.sealed.name, record.sealed.email, record.sealed.tag];
        for trace in std::iter::once(person.to_string()).chain(sealed.into_iter().flatten()) {
            assert!(!contains(&bytes, &trace), "{trace}, mode {mode}");
        }
        assert!(contains(&bytes, "workforce_coverage"));
    }
}

#[tokio::test]
async fn erasing_everybody_destroys_the_key_and_every_row_and_keeps_the_evidence() {
    let world = synced(PrivacyMode::Full).await;
    let people = world.store.people(&world.company, &world.id).await.unwrap();
    let key = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap().data_key.unwrap();
    let evidence = world.bundle().await;
    world.keyring.erase_people(&world.store, &world.company, &world.id).await.unwrap();
    assert_eq!(world.store.people(&world.company, &world.id).await.unwrap(), []);
    assert!(matches!(open(&world, &people[0]).await, Err(KeyringError::NothingSealed)));
    assert_eq!(world.bundle().await, evidence);
    let certificates = world.folder.path().join("people/certificates");
    assert!(!certificates.join(prefix_of_connection(&world.company, &world.id)).exists());
    let (file, folder) = (world.folder.path().join("data.db"), world.folder.path().to_owned());
    let bodies = world.engine.bodies().await;
    world.engine.stop().await;
    compact(&file);
    let bytes = [bodies.into_bytes(), super::world::bytes_below(&folder)].concat();
    for record in people {
        let traces = [Some(record.person.to_string()), record.sealed.name, record.sealed.email];
        assert!(traces.into_iter().flatten().all(|trace| !contains(&bytes, &trace)));
    }
    assert!(!contains(&bytes, &key), "the wrapped key");
    assert!(contains(&bytes, "workforce_coverage"));
}

#[tokio::test]
async fn after_erasing_everybody_a_sync_begins_anew() {
    let mut world = synced(PrivacyMode::Full).await;
    let before = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap();
    world.keyring.erase_people(&world.store, &world.company, &world.id).await.unwrap();
    world.night(&Workforce::four_people()).await;
    let after = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap();
    assert_ne!((before.id, before.data_key), (after.id, after.data_key));
    let record = world.person("person-1").await.unwrap();
    assert!(open(&world, &record).await.is_ok());
    assert_eq!(world.history("person-1").await[0], "> compliant");
}

#[tokio::test]
async fn a_mode_that_keeps_less_forgets_who_people_are_and_keeps_what_they_did() {
    let mut world = synced(PrivacyMode::Full).await;
    let record = world.person("person-1").await.unwrap();
    let certificate = record.state.stored_certificate(None).unwrap();
    let key = certificate_key(&world.company, &world.id, &record.person, certificate.assignment, certificate.earned_at);
    assert!(world.keyring.documents.get(&key).await.unwrap().is_some());
    world.configure(|people| people.mode = PrivacyMode::Pseudonymous).await;
    assert_eq!(world.keyring.forget_identities(&world.store, &world.company, &world.id).await.unwrap(), 4);
    assert!(world.keyring.documents.get(&key).await.unwrap().is_none());
    let forgotten = world.person("person-1").await.unwrap();
    assert_eq!(forgotten.sealed, common::store::SealedProfile::default());
    assert_eq!((forgotten.state.compliance, forgotten.state.certificates.len()), (record.state.compliance, 0));
    world.night(&Workforce::four_people()).await;
    assert_eq!(world.person("person-1").await, Some(forgotten));
    // And back: who is settled gets a name and certificates again.
    world.configure(|people| people.mode = PrivacyMode::Full).await;
    world.night(&Workforce::four_people()).await;
    let again = world.person("person-1").await.unwrap();
    assert_eq!(open(&world, &again).await.unwrap().name.as_deref(), Some("First-person-1 Last-person-1"));
    assert!(again.state.stored_certificate(None).is_some());
    assert_eq!(again.state.compliance, record.state.compliance);
}
