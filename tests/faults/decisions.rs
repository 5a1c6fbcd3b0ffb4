//! Decisions, pauses and removals with trouble at every call of the table: what is there is there whole, with its leaf, its event and what explains it later.

use crate::aws::{Aws, FaultRule, TABLE, Trouble};
use crate::scenario::{company, connection_id, start};
use acceptance::clock::SteppingClock;
use chrono::TimeDelta;
use common::app::decisions::{DecisionError, Decisions, ExceptionSpec};
use common::domain::audit::{Actor, AuditAction, AuditEvent};
use common::domain::calendar::Until;
use common::domain::connection::Connection;
use common::domain::decisions::{Decider, ExceptionRequest, ExceptionState, ExceptionSubject};
use common::domain::id::{ClientId, ConnectionKey};
use common::domain::log::statement::{CompanyEvent, CompanyStatement, Leaf};
use common::domain::log::{Hash, jcs};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::time::Window;
use common::store::{AuditedChange, ConnectionChange, Scheduling, Store, Timeline};
use dynoxide::Database;
use std::collections::BTreeSet;
use std::sync::Arc;

const TROUBLES: [Trouble; 7] = [
    Trouble::Throttled,
    Trouble::Broken,
    Trouble::Reset,
    Trouble::AnswerLost,
    Trouble::AnswerBroken,
    Trouble::DiesBefore,
    Trouble::DiesAfter,
];

/// Calls that go wrong in a row: one that is repeated by itself, and as many as the repetitions.
const TIMES: [u32; 2] = [1, 4];

fn client() -> ClientId {
    ClientId::parse("client-a").unwrap()
}

struct Table {
    aws: Aws,
    clock: SteppingClock,
    store: Store,
}

impl Table {
    /// With a connection of the client.
    async fn new() -> Self {
        let clock = SteppingClock::at(start());
        let aws = Aws::new(Database::memory().unwrap(), clock.clone());
        let store = Store::new(aws.client("decisions"), TABLE);
        store.create_table().await.unwrap();
        let mapping = Mapping::OneClient { client: client() };
        let connection = Connection::new(company(), connection_id(), Product::Edr, mapping, start());
        store.add_connection(&connection).await.unwrap();
        Self { aws, clock, store }
    }

    fn decisions(&self) -> Decisions {
        Decisions { store: self.store.clone(), clock: Arc::new(self.clock.clone()) }
    }

    /// Does it with trouble; `None` where the process dies of it.
    async fn troubled<T>(&self, rule: FaultRule, action: impl Future<Output = T>) -> Option<T> {
        self.aws.arm(&[rule]);
        let done = tokio::select! {
            done = action => Some(done),
            _ = self.aws.interrupted() => None,
        };
        self.aws.set_armed(false);
        done
    }

    /// Each decision has one leaf that commits to it and one event, and nothing else has.
    async fn check(&self) {
        let mut decisions = self.store.policy_choices(&company(), None).await.unwrap();
        decisions.extend(self.store.decisions(&company(), None).await.unwrap());
        let committed = |hash: &Hash| hash.hex();
        let mut leaves = BTreeSet::new();
        for data in self.store.company_log(&company()).await.unwrap() {
            let statement = CompanyStatement::parse(data.as_bytes()).unwrap();
            if let CompanyEvent::Decision { sha256, .. } = statement.event {
                assert!(leaves.insert(committed(&sha256)), "two leaves for one decision");
            }
        }
        let hashes: BTreeSet<String> =
            decisions.iter().map(|it| committed(&Hash::of(&jcs::to_bytes(it).unwrap()))).collect();
        assert_eq!(leaves, hashes, "the log and the decisions are apart");
        let window = Window { start: start() - TimeDelta::days(1), end: start() + TimeDelta::days(9) };
        let events = self.store.audit_events(&company(), window, None, 99).await.unwrap();
        let told =
            |action: AuditAction| action.as_str().starts_with("exception.") || action == AuditAction::PolicyChosen;
        assert_eq!(events.iter().filter(|it| told(it.event.action)).count(), decisions.len(), "events and decisions");
    }
}

fn by(name: &str) -> Decider {
    Decider { name: name.to_owned(), on_this_machine: true }
}

async fn decided(decisions: &Decisions) -> Result<(), DecisionError> {
    let baseline = decisions.policy(&company(), "baseline", None).await?;
    decisions.choose(&company(), &client(), &baseline, &by("alice")).await?;
    let request = ExceptionRequest {
        client: client(),
        subject: ExceptionSubject::Control(String::new()),
        reason: "The laptops of the sales team are replaced in May.".to_owned(),
        by: by("alice"),
        from: None,
        until: Until::Instant(start() + TimeDelta::days(30)),
        link: None,
    };
    let spec = ExceptionSpec::Rule("edr-missing".to_owned());
    decisions.except(&company(), &spec, request, Some(&by("bob"))).await.map(drop)
}

#[tokio::test]
async fn a_decision_is_there_with_its_leaf_and_its_event_or_not_at_all() {
    let clean = Table::new().await;
    decided(&clean.decisions()).await.unwrap();
    clean.check().await;
    let calls = 24;
    let mut struck = 0;
    for trouble in TROUBLES {
        for times in TIMES {
            for from in 1..=calls {
                let table = Table::new().await;
                let rule = FaultRule { operation: None, from, times, trouble };
                let decisions = table.decisions();
                let done = table.troubled(rule, decided(&decisions)).await;
                struck += usize::from(!table.aws.struck().is_empty());
                table.check().await;
                if matches!(done, Some(Ok(()))) {
                    let views = decisions.exceptions(&company(), None, None).await.unwrap();
                    let states: Vec<ExceptionState> = views.iter().map(|view| view.state).collect();
                    assert_eq!(states, [ExceptionState::Approved], "{rule:?}\n{}", table.aws.trace());
                }
                // Whatever was lost: it can be done again.
                decided(&table.decisions()).await.unwrap();
                table.check().await;
            }
        }
    }
    assert!(struck > 100, "trouble struck {struck} times only");
}

#[tokio::test]
async fn a_pause_is_there_with_what_explains_it_or_not_at_all() {
    let mut struck = 0;
    for trouble in TROUBLES {
        for from in 1..=6 {
            let table = Table::new().await;
            let rule = FaultRule { operation: None, from, times: 4, trouble };
            let connection = table.store.connection(&company(), &connection_id()).await.unwrap().unwrap();
            let mut timeline = Timeline::of(&connection);
            Timeline::begin(&mut timeline.pauses, start());
            let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..Default::default() };
            let key = ConnectionKey { company: company(), connection: connection_id() };
            let event = AuditEvent::of_connection(&Actor::cli("alice"), AuditAction::ConnectionPaused, key, start());
            let (of, id) = (company(), connection_id());
            let change = table.store.change_connection_as(
                &of,
                &id,
                AuditedChange { change: pause, if_revision: None, event: &event, timeline: Some(&timeline) },
            );
            drop(table.troubled(rule, change).await);
            struck += usize::from(!table.aws.struck().is_empty());
            let paused = table.store.connection(&company(), &connection_id()).await.unwrap().unwrap().paused;
            let kept = table.store.timeline(&company(), &connection_id()).await.unwrap();
            assert_eq!(kept, paused.then_some(timeline), "{rule:?}\n{}", table.aws.trace());
        }
    }
    assert!(struck > 10, "trouble struck {struck} times only");
}
