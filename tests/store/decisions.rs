//! Decisions, policies, ticks and timelines in the table.

use super::{acme, connection, later};
use acceptance::engine::Engine;
use common::domain::audit::{Actor, AuditAction, AuditEvent};
use common::domain::calendar::{Calendar, Until};
use common::domain::decisions::{
    Decider, Decision, Exception, ExceptionRequest, ExceptionSubject, NewRecord, Nonce, Review, ReviewKind,
};
use common::domain::id::CompanyId;
use common::domain::id::{ClientId, DecisionId, RuleId};
use common::domain::log::Hash;
use common::domain::log::jcs;
use common::domain::log::statement::{CompanyEvent, CompanyStatement, Leaf};
use common::domain::policy::{Policy, PolicyChoice, PolicyRef, baseline};
use common::domain::time::Window;
use common::domain::window::{Period, Tick};
use common::store::StoreError;
use common::store::Timeline;

fn new(id: &str, minutes: i64) -> NewRecord {
    NewRecord { id: DecisionId::parse(id).unwrap(), nonce: Nonce::from_bytes([3; 16]), at: later(minutes) }
}

fn who(name: &str) -> Decider {
    Decider { name: name.to_owned(), on_this_machine: true }
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn exception(id: &str, of: &str, minutes: i64) -> Exception {
    let request = ExceptionRequest {
        client: client(of),
        subject: ExceptionSubject::Rule(RuleId::parse("edr-online").unwrap()),
        reason: "The laptops of the sales team are replaced in May.".to_owned(),
        by: who("alice"),
        from: None,
        until: Until::Instant(later(60 * 24 * 30)),
        link: None,
    };
    request.propose(new(id, minutes), &Calendar::default()).unwrap()
}

fn approval(exception: &Exception, id: &str, by: &str, minutes: i64) -> Review {
    exception.review(&[], ReviewKind::Approved, &who(by), None, new(id, minutes)).unwrap()
}

fn choice(id: &str, of: &str, minutes: i64) -> Decision {
    let NewRecord { id, nonce, at } = new(id, minutes);
    Decision::Policy(PolicyChoice {
        id,
        client: client(of),
        chosen: PolicyRef::from(baseline().as_ref()),
        at,
        by: "alice".to_owned(),
        reason: None,
        on_this_machine: true,
        nonce,
    })
}

#[tokio::test]
async fn a_decision_is_kept_with_its_leaf_and_found_by_client_and_by_id() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let (first, second) = (exception("x1", "a", 1), exception("x2", "a-b", 2));
    let review = approval(&first, "r1", "bob", 3);
    let decisions = [
        Decision::Exception(first.clone()),
        Decision::Exception(second),
        Decision::Review(review),
        choice("p1", "a", 4),
    ];
    for decision in &decisions {
        store.decide(&acme(), decision).await.unwrap();
        // A repetition, as after a lost answer, changes nothing.
        store.decide(&acme(), decision).await.unwrap();
    }
    // The client `a` is not the client `a-b`.
    assert_eq!(
        store.decisions(&acme(), Some(&client("a"))).await.unwrap(),
        [decisions[0].clone(), decisions[2].clone()]
    );
    assert_eq!(store.decisions(&acme(), None).await.unwrap().len(), 3);
    assert_eq!(store.policy_choices(&acme(), None).await.unwrap(), [decisions[3].clone()]);
    assert_eq!(store.policy_choices(&acme(), Some(&client("a-b"))).await.unwrap(), []);
    assert_eq!(store.decision(&acme(), &first.id).await.unwrap(), Some(decisions[0].clone()));
    assert_eq!(store.decision(&acme(), &DecisionId::parse("x9").unwrap()).await.unwrap(), None);
    let globex = CompanyId::parse("globex").unwrap();
    assert_eq!(store.decision(&globex, &first.id).await.unwrap(), None);
    assert_eq!(store.decisions(&globex, None).await.unwrap(), []);

    let leaves = store.company_log(&acme()).await.unwrap();
    assert_eq!(leaves.len(), 4);
    for (leaf, decision) in leaves.iter().zip(&decisions) {
        let statement = CompanyStatement::parse(leaf.as_bytes()).unwrap();
        let CompanyEvent::Decision { id, sha256 } = statement.event else { panic!("{leaf}") };
        assert_eq!((id.as_str(), sha256), (decision.id().as_str(), Hash::of(&jcs::to_bytes(decision).unwrap())));
        // The log tells nobody about a client.
        assert!(!leaf.contains("\"a\"") && !leaf.contains("alice"), "{leaf}");
    }
}

#[tokio::test]
async fn an_exception_is_decided_about_once() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let exception = exception("x1", "a", 1);
    store.decide(&acme(), &Decision::Exception(exception.clone())).await.unwrap();
    store.decide(&acme(), &Decision::Review(approval(&exception, "r1", "bob", 2))).await.unwrap();
    let second = store.decide(&acme(), &Decision::Review(approval(&exception, "r2", "carol", 2))).await;
    assert!(matches!(second, Err(StoreError::Conflict { .. })), "{second:?}");
    assert_eq!(store.company_log(&acme()).await.unwrap().len(), 2);
    // Revoking is another decision.
    let approved = approval(&exception, "r1", "bob", 2);
    let revoked = exception.review(&[approved], ReviewKind::Revoked, &who("bob"), None, new("r3", 3)).unwrap();
    store.decide(&acme(), &Decision::Review(revoked)).await.unwrap();
}

#[tokio::test]
async fn decisions_at_the_same_time_all_get_their_leaves() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let decisions: Vec<_> = (0..4).map(|number| choice(&format!("p{number}"), "a", number)).collect();
    let company = acme();
    let all = decisions.iter().map(|decision| store.decide(&company, decision));
    futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!(store.company_log(&acme()).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_version_of_a_policy_is_kept_once() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let policy = |limit: &str| {
        let text = format!(
            r#"{{"policy": "ours", "version": "1.0.0", "rules": [{{"id": "m", "evidence": "endpoint_protection",
                "metric": "agents_missing", "pass": {{"at_most": "{limit}"}}}}]}}"#
        );
        Policy::parse(&text).unwrap()
    };
    let event = AuditEvent::new(&Actor::cli("alice"), AuditAction::PolicyImported, acme(), "ours 1.0.0", later(0));
    store.keep_policy(&acme(), &policy("0"), &event).await.unwrap();
    store.keep_policy(&acme(), &policy("0"), &event).await.unwrap();
    let changed = store.keep_policy(&acme(), &policy("1"), &event).await;
    assert!(matches!(changed, Err(StoreError::Conflict { .. })), "{changed:?}");
    assert_eq!(store.imported_policies(&acme()).await.unwrap(), [policy("0")]);
    let events = store.audit_events(&acme(), Window { start: later(-9), end: later(9) }, None, 9).await.unwrap();
    assert_eq!(events.into_iter().map(|placed| placed.event).collect::<Vec<_>>(), [event], "once, with the policy");
    assert_eq!(store.imported_policies(&CompanyId::parse("globex").unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_tick_is_kept_as_it_was_taken_first_and_a_timeline_outlives_its_connection() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    for handled in [later(1), later(9)] {
        store.record_tick(Tick { due: later(0), handled }).await.unwrap();
    }
    store.record_tick(Tick { due: later(60), handled: later(61) }).await.unwrap();
    let ticks = store.ticks(Window { start: later(0), end: later(59) }).await.unwrap();
    assert_eq!(ticks, [Tick { due: later(0), handled: later(1) }]);

    let saved = connection(&acme(), "main");
    store.add_connection(&saved).await.unwrap();
    let mut timeline = Timeline::of(&saved);
    Timeline::begin(&mut timeline.pauses, later(1));
    Timeline::begin(&mut timeline.pauses, later(2));
    Timeline::end(&mut timeline.pauses, later(3));
    Timeline::end(&mut timeline.pauses, later(4));
    Timeline::begin(&mut timeline.removed, later(5));
    assert_eq!(timeline.pauses, [Period { from: later(1), to: Some(later(3)) }]);
    store.keep_timeline(&acme(), &timeline).await.unwrap();
    store.remove_connection(&acme(), &saved.id, later(5)).await.unwrap();
    assert_eq!(store.timelines(&acme()).await.unwrap(), [timeline]);
}
