//! Two workers on one connection, one of them paused beyond its lease: the table refuses the late one, whatever it was about to write.

use crate::aws::{FaultRule, Interrupt, Trouble};
use crate::executor::Executor;
use crate::plan::{Plan, Scene};
use crate::scenario::{Deployment, Harness};
use crate::snapshot::{Snapshot, look};
use chrono::{TimeDelta, Timelike};
use common::app::collection::worker::{Processed, WorkError};
use common::aws::queue::RunMessage;
use common::clock::Clock;
use common::domain::run::RunStatus;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Notify;

type Working = Pin<Box<dyn Future<Output = Result<Processed, WorkError>>>>;

const INVOCATION: TimeDelta = TimeDelta::minutes(14);

/// A run that was asked for, in a deployment where something stalls.
struct Race {
    harness: Harness,
    plan: Plan,
    deployment: Deployment,
    before: Snapshot,
    message: RunMessage,
}

impl Race {
    async fn of(scene: Scene) -> Self {
        let plan = Plan { scene, earlier: true, requests: Vec::new(), rules: Vec::new(), ..Plan::of(0) };
        let mut harness = Harness::open().await;
        let (_, before) = harness.before(scene, true).await;
        let deployment = harness.troubled(&plan).await;
        Executor::new(&deployment, None, 0).ask("the one").await.unwrap();
        let run = look(&deployment.client, scene).await.unwrap().active.unwrap();
        let Snapshot { connection, .. } = &before;
        let message = RunMessage { company: connection.company.clone(), connection: connection.id.clone(), run };
        Self { harness, plan, deployment, before, message }
    }

    fn worker(&self, owner: &'static str) -> Working {
        let (worker, message) = (self.deployment.worker(), self.message.clone());
        let deadline = self.deployment.clock.now() + INVOCATION;
        Box::pin(async move { worker.process(&message, owner, deadline, Arc::default()).await })
    }

    /// Starts a worker that stalls at the `from`-th call of an operation.
    async fn stalled(&self, operation: &'static str, from: u32, trouble: Trouble) -> (Working, Arc<Notify>) {
        self.deployment.aws.arm(&[FaultRule { operation: Some(operation), from, times: 1, trouble }]);
        let mut working = self.worker("late");
        let resumed = tokio::select! {
            biased;
            interrupt = self.deployment.aws.interrupted() => match interrupt {
                Interrupt::Stalled(resumed) => resumed,
                Interrupt::Died => panic!("nobody was to die"),
            },
            done = &mut working => panic!("it did not stall: {done:?}"),
        };
        self.deployment.aws.set_armed(false);
        (working, resumed)
    }

    /// Its lease runs out.
    fn wait_out_the_lease(&self) {
        self.deployment.clock.move_to(self.deployment.clock.now() + INVOCATION + TimeDelta::minutes(2));
    }

    async fn see(&self) -> Snapshot {
        look(&self.deployment.client, self.plan.scene).await.unwrap()
    }

    /// The run's evidence is that of a clean run, once.
    async fn ends_well(&mut self) {
        let seen = self.see().await;
        assert_eq!((seen.runs[0].status, &seen.runs[0].id), (RunStatus::Succeeded, &self.message.run));
        assert_eq!((seen.commits, seen.active.as_ref()), (self.before.commits + 1, None));
        let as_of = seen.runs[0].as_of.unwrap();
        assert_eq!(as_of.nanosecond(), 0);
        let clean = self.harness.clean(self.plan.scene, true, as_of).await;
        for (owner, pieces) in &seen.evidence {
            assert_eq!(pieces[..pieces.len() - 1], self.before.evidence[owner]);
            let last = pieces.last().unwrap();
            assert_eq!((&last.run, &last.bundle), (&self.message.run, &clean.evidence[owner].last().unwrap().bundle));
        }
        assert_eq!(seen.people, clean.people);
    }
}

/// The late worker stalls at a call, the other one does the whole run, and then the late one goes on.
async fn the_other_one_commits(scene: Scene, operation: &'static str, from: u32, trouble: Trouble) {
    let mut race = Race::of(scene).await;
    let (late, resumed) = race.stalled(operation, from, trouble).await;
    assert_eq!(race.worker("too early").await.unwrap(), Processed::Busy);
    race.wait_out_the_lease();
    let done = race.worker("quick").await.unwrap();
    assert!(matches!(done, Processed::Succeeded { .. }), "{done:?}");
    let seen = race.see().await;
    resumed.notify_one();
    assert_eq!(late.await.unwrap(), Processed::LeaseLost);
    assert_eq!(race.see().await, seen, "the late one has changed something");
    race.ends_well().await;
}

#[tokio::test]
async fn a_commit_that_arrives_late_is_refused() {
    // The first transaction takes the run.
    the_other_one_commits(Scene::Endpoints, "TransactWriteItems", 2, Trouble::StallsBefore).await;
    the_other_one_commits(Scene::Training, "TransactWriteItems", 2, Trouble::StallsBefore).await;
}

#[tokio::test]
async fn evidence_that_is_written_late_is_seen_by_nobody() {
    for from in [1, 3] {
        the_other_one_commits(Scene::ManyClients, "BatchWriteItem", from, Trouble::StallsBefore).await;
    }
    the_other_one_commits(Scene::ManyClients, "TransactWriteItems", 2, Trouble::StallsBefore).await;
}

#[tokio::test]
async fn a_worker_that_stalls_while_the_other_is_at_it_is_refused_too() {
    let mut race = Race::of(Scene::Endpoints).await;
    let (late, resumed) = race.stalled("TransactWriteItems", 2, Trouble::StallsBefore).await;
    race.wait_out_the_lease();
    let (quick, quick_resumed) = race.stalled("TransactWriteItems", 2, Trouble::StallsBefore).await;
    resumed.notify_one();
    assert_eq!(late.await.unwrap(), Processed::LeaseLost);
    let seen = race.see().await;
    assert_eq!((seen.runs[0].status, &seen.evidence), (RunStatus::Running, &race.before.evidence));
    quick_resumed.notify_one();
    let done = quick.await.unwrap();
    assert!(matches!(done, Processed::Succeeded { .. }), "{done:?}");
    race.ends_well().await;
}

#[tokio::test]
async fn a_commit_that_was_carried_out_is_known_as_ones_own_however_late_its_answer_is() {
    let mut race = Race::of(Scene::Endpoints).await;
    let (late, resumed) = race.stalled("TransactWriteItems", 2, Trouble::StallsAfter).await;
    race.wait_out_the_lease();
    assert_eq!(race.worker("quick").await.unwrap(), Processed::AlreadyFinished);
    resumed.notify_one();
    let done = late.await.unwrap();
    assert!(matches!(done, Processed::Succeeded { .. }), "{done:?}");
    race.ends_well().await;
}

#[tokio::test]
async fn people_whom_a_late_worker_would_write_stay_as_they_are() {
    // The second transaction writes people, the third commits.
    for from in [2, 3] {
        let mut race = Race::of(Scene::People).await;
        let (late, resumed) = race.stalled("TransactWriteItems", from, Trouble::StallsBefore).await;
        assert_eq!(race.see().await.people, race.before.people, "nobody changes before the commit");
        race.wait_out_the_lease();
        let done = race.worker("quick").await.unwrap();
        assert!(matches!(done, Processed::Succeeded { .. }), "{done:?}");
        resumed.notify_one();
        assert_eq!(late.await.unwrap(), Processed::LeaseLost);
        race.ends_well().await;
    }
}

#[tokio::test]
async fn a_checkpoint_of_a_late_worker_counts_for_nothing() {
    // The pieces, and then what points at them.
    for (operation, from) in [("BatchWriteItem", 1), ("TransactWriteItems", 2)] {
        for scene in [Scene::EndpointsInParts, Scene::TrainingInParts] {
            let mut race = Race::of(scene).await;
            let (late, resumed) = race.stalled(operation, from, Trouble::StallsBefore).await;
            race.wait_out_the_lease();
            let done = race.worker("quick").await.unwrap();
            let Processed::Waiting { until } = done else { panic!("{done:?}") };
            let seen = race.see().await;
            assert_eq!(seen.runs[0].waiting_until, Some(until));
            resumed.notify_one();
            assert_eq!(late.await.unwrap(), Processed::LeaseLost);
            assert_eq!(race.see().await, seen, "the late one has changed something");
            for part in 0.. {
                assert!(part < 20, "no end");
                let waiting = race.see().await.runs[0].waiting_until;
                let Some(until) = waiting else { break };
                race.deployment.clock.move_to(until);
                race.worker("quick").await.unwrap();
            }
            race.ends_well().await;
        }
    }
}
