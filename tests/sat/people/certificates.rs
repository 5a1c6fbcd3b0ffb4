//! Certificates of who is newly compliant: fetched once, in whatever way the source gives them.

use super::world::World;
use acceptance::people::Workforce;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::app::people::{CERTIFICATES_PER_RUN, KeyringError, Opening};
use common::clock::Clock;
use common::domain::people::person::{CertificateOutcome, PrivacyMode};
use common::domain::sat::id::SatId;
use simulator::{CertificateAnswer, Fault, FaultKind, List};

async fn synced(answer: CertificateAnswer, faults: Vec<Fault>) -> World {
    let change = move |builder: simulator::SimulatorBuilder| builder.certificate(answer).faults(faults);
    let mut world = World::with(&Workforce::four_people(), PrivacyMode::Full, &["A", "B"], change).await;
    assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
    world
}

/// What came of the certificates of a learner, in short.
async fn outcomes(world: &World, learner: &str) -> Vec<String> {
    let short = |outcome: &CertificateOutcome| match outcome {
        CertificateOutcome::Due => "due".to_owned(),
        CertificateOutcome::Stored(stored) => stored.content_type.clone(),
        CertificateOutcome::NoneAvailable { answer, .. } => answer.clone(),
    };
    let state = world.person(learner).await.unwrap().state;
    state.certificates.iter().map(|it| format!("{}: {}", it.assignment, short(&it.outcome))).collect()
}

async fn open(world: &World, learner: &str, assignment: &str) -> Result<Vec<u8>, KeyringError> {
    let record = world.person(learner).await.unwrap();
    let found = record.state.stored_certificate(Some(&SatId::parse(assignment).unwrap())).unwrap();
    let opening = Opening { by: "auditor", reason: "the audit of 2026", at: world.clock.now() };
    world.keyring.open_certificate(&world.store, &world.company, &world.id, &record.person, found, opening).await
}

#[tokio::test]
async fn a_link_or_the_document_itself_is_stored_with_its_hash() {
    for answer in [CertificateAnswer::Url, CertificateAnswer::Document] {
        let world = synced(answer, Vec::new()).await;
        assert_eq!(outcomes(&world, "person-1").await, ["A: application/pdf", "B: application/pdf"]);
        assert_eq!(outcomes(&world, "person-3").await, ["A: application/pdf"]);
        assert_eq!(outcomes(&world, "person-2").await, [""; 0]);
        let document = open(&world, "person-1", "B").await.unwrap();
        let text = String::from_utf8_lossy(&document);
        assert!(text.starts_with("%PDF-1.4") && text.contains("B.person-1.pdf"), "{text}");
        let state = world.person("person-1").await.unwrap().state;
        let stored = state.stored_certificate(None).unwrap().stored;
        assert_eq!((stored.bytes, stored.sha256.len()), (document.len() as u64, 64));
        assert!(!stored.source.contains("person-1"), "{}", stored.source);
        assert!(
            world.history("person-1").await.contains(&"certificate/B opened by auditor: the audit of 2026".to_owned())
        );
    }
}

#[tokio::test]
async fn who_has_theirs_costs_no_further_request() {
    let mut world = synced(CertificateAnswer::Url, Vec::new()).await;
    assert_eq!((world.asked(List::Certificate), world.asked(List::CertificateFile)), (3, 3));
    world.night(&Workforce::four_people()).await;
    assert_eq!((world.asked(List::Certificate), world.asked(List::CertificateFile)), (0, 0));
}

#[tokio::test]
async fn that_there_is_none_is_a_fact_and_no_failure() {
    let mut world = synced(CertificateAnswer::NotFound, Vec::new()).await;
    assert_eq!(outcomes(&world, "person-1").await, ["A: status 404", "B: status 404"]);
    world.night(&Workforce::four_people()).await;
    assert_eq!(world.asked(List::Certificate), 0, "a fact is not asked for again");
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let elsewhere = FaultKind::ForeignNextUrl("https://certificates.example".to_owned());
    let world = synced(CertificateAnswer::Url, vec![Fault::always(Some(List::Certificate), elsewhere)]).await;
    let expected = "A: a link to a host that is not allowed, which is not followed";
    assert_eq!(outcomes(&world, "person-3").await, [expected]);
    assert_eq!(world.asked(List::CertificateFile), 0);
}

#[tokio::test]
async fn trouble_leaves_them_for_the_next_run() {
    for kind in [FaultKind::Forbidden, FaultKind::Status(503)] {
        let mut world = synced(CertificateAnswer::Url, vec![Fault::always(Some(List::Certificate), kind)]).await;
        assert_eq!(outcomes(&world, "person-1").await, ["A: due", "B: due"]);
        world.simulator.set_faults(Vec::new());
        world.night(&Workforce::four_people()).await;
        assert_eq!(outcomes(&world, "person-1").await, ["A: application/pdf", "B: application/pdf"]);
        assert_eq!(world.history("person-1").await, ["> compliant"], "it is no change of status");
    }
}

#[tokio::test]
async fn a_web_page_is_no_certificate() {
    let world = synced(CertificateAnswer::Url, vec![Fault::always(Some(List::Certificate), FaultKind::NotJson)]).await;
    assert_eq!(outcomes(&world, "person-3").await, ["A: a web page, which is no certificate"]);
}

#[tokio::test]
async fn a_run_asks_for_a_bounded_number_and_the_next_ones_go_on() {
    let mut workforce = Workforce::new().assignment("A", "completed");
    let people = CERTIFICATES_PER_RUN + 7;
    for number in 0..people {
        let learner = format!("learner-{number}");
        workforce = workforce.enrolled("A", &learner).completed("A", &learner);
    }
    let change = |builder: simulator::SimulatorBuilder| {
        builder.certificate(CertificateAnswer::Document).sat_rate_limit(None, None)
    };
    let mut world = World::with(&workforce, PrivacyMode::Full, &["A"], change).await;
    let mut stored = Vec::new();
    for _ in 0..9 {
        assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
        assert!(world.asked(List::Certificate) <= CERTIFICATES_PER_RUN);
        let all = world.store.people(&world.company, &world.id).await.unwrap();
        stored.push(all.iter().filter(|it| it.state.stored_certificate(None).is_some()).count());
        if stored.last() == Some(&people) {
            break;
        }
        world.wait(TimeDelta::hours(2)).await;
    }
    assert_eq!(stored.last(), Some(&people), "{stored:?}");
    assert!(stored.len() >= 2 && stored[0] <= CERTIFICATES_PER_RUN, "{stored:?}");
}

#[tokio::test]
async fn another_compliance_earns_another_certificate_and_the_first_is_kept() {
    let mut world = synced(CertificateAnswer::Document, Vec::new()).await;
    world.reset("person-3", "changed roles").await;
    world.night(&Workforce::four_people()).await;
    assert_eq!(outcomes(&world, "person-3").await, ["A: application/pdf", "A: application/pdf"]);
    let state = world.person("person-3").await.unwrap().state;
    assert!(state.certificates[0].earned_at < state.certificates[1].earned_at);
    assert!(open(&world, "person-3", "A").await.is_ok());
}

#[tokio::test]
async fn a_certificate_that_was_changed_or_swapped_does_not_open() {
    let world = synced(CertificateAnswer::Document, Vec::new()).await;
    let folder = world.folder.path().join("people/certificates");
    let mut files: Vec<_> = super::world::files_below(&folder);
    assert_eq!(files.len(), 3);
    let last = files.pop().unwrap();
    for file in &files {
        std::fs::copy(&last, file).unwrap();
    }
    let mut bytes = std::fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&last, bytes).unwrap();
    for (learner, assignment) in [("person-1", "A"), ("person-1", "B"), ("person-3", "A")] {
        let opened = open(&world, learner, assignment).await;
        assert!(matches!(opened, Err(KeyringError::DoesNotOpen(_))), "{learner} {assignment}");
    }
}
