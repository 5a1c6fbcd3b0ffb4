//! A deployment at work: who asks for a run asks until it is heard, and the queue delivers until a message is done with or dead.

use crate::aws::{Aws, Interrupt};
use crate::scenario::{Deployment, company, connection_id};
use crate::snapshot::newest;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::batch::{self, Attributes, Batch, BatchAnswer, Delivery};
use common::app::runs::plan::{Asked, PlanError};
use common::app::runs::tick::{self, Tick, TickAnswer};
use common::aws::queue::{MOST_DELIVERIES as MOST_RECEIVED, RunMessage};
use common::aws::telemetry::Telemetry;
use common::clock::Clock;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// As the template has them.
const VISIBILITY: TimeDelta = TimeDelta::seconds(5_400);
const INVOCATION: TimeDelta = TimeDelta::seconds(900);

/// No run that comes to an end needs as many deliveries, and no process as much real time.
const MOST_DELIVERIES: u32 = 1_000;
const LONGEST_STEP: Duration = Duration::from_secs(120);

/// Looks after a run, one an hour, while nothing goes wrong: it ends within a day.
const MOST_LOOKS: u32 = 36;
const HOUR: TimeDelta = TimeDelta::hours(1);

/// What a process came to.
pub enum Outcome {
    Asked(Box<Result<Asked, PlanError>>),
    Ticked(Box<Result<TickAnswer, PlanError>>),
    Handled(BatchAnswer),
}

type Process = Pin<Box<dyn Future<Output = Outcome>>>;

#[derive(Debug, Clone)]
pub struct Message {
    pub message: RunMessage,
    /// Its name in the queue, which a message keeps however often it is delivered.
    id: String,
    visible_at: DateTime<Utc>,
    received: u32,
}

struct Stalled {
    process: Process,
    resumed: Arc<Notify>,
    since: u32,
}

/// The queue, its dead letters, and the processes that do not go on for now.
pub struct Executor<'a> {
    deployment: &'a Deployment,
    aws: Aws,
    queue: Vec<Message>,
    pub dead: Vec<Message>,
    stalled: Vec<Stalled>,
    deliveries: u32,
    sent: u32,
    doubled: Option<u32>,
    resumes_after: u32,
    /// When the schedule looks after the runs the next time, once it has asked for one.
    next_look: Option<DateTime<Utc>>,
    /// Processes that died or stalled.
    pub interrupts: u32,
}

impl<'a> Executor<'a> {
    pub fn new(deployment: &'a Deployment, doubled: Option<u32>, resumes_after: u32) -> Self {
        Self {
            deployment,
            aws: deployment.aws.clone(),
            queue: Vec::new(),
            dead: Vec::new(),
            stalled: Vec::new(),
            deliveries: 0,
            sent: 0,
            doubled,
            resumes_after,
            next_look: None,
            interrupts: 0,
        }
    }

    /// With these messages in the queue as if they had just been sent.
    pub fn redrive(deployment: &'a Deployment, dead: &[Message]) -> Self {
        let mut executor = Self::new(deployment, None, 0);
        let visible_at = deployment.clock.now();
        executor.queue = dead.iter().map(|it| Message { visible_at, received: 0, ..it.clone() }).collect();
        executor
    }

    fn now(&self) -> DateTime<Utc> {
        self.deployment.clock.now()
    }

    /// Lets a process go on until it ends, and says what it came to, or until it dies or stalls.
    async fn step(&mut self, mut process: Process) -> Result<Option<Outcome>, String> {
        let aws = self.aws.clone();
        let both = async {
            tokio::select! {
                biased;
                interrupt = aws.interrupted() => Err(interrupt),
                outcome = &mut process => Ok(outcome),
            }
        };
        let ended = tokio::time::timeout(LONGEST_STEP, both).await.map_err(|_| "a process hangs")?;
        let now = self.now();
        for sent in self.aws.sent() {
            self.sent += 1;
            let id = format!("message-{}", self.sent);
            self.queue.push(Message { message: sent.message, id, visible_at: now + sent.delay, received: 0 });
        }
        match ended {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(Interrupt::Died) => {}
            Err(Interrupt::Stalled(resumed)) => {
                self.stalled.push(Stalled { process, resumed, since: self.deliveries });
            }
        }
        self.interrupts += 1;
        // Who reads now finds what one run has left, of every owner the same.
        let armed = self.aws.set_armed(false);
        let found = newest(&self.deployment.store, self.deployment.scene).await.map_err(|error| error.to_string())?;
        self.aws.set_armed(armed);
        if found.len() == 1 { Ok(None) } else { Err(format!("evidence of several runs at once: {found:?}")) }
    }

    /// Asks for a run as often as it takes, always with the same key.
    pub async fn ask(&mut self, key: &str) -> Result<(), String> {
        for attempt in 0..12 {
            // Nobody asks through an outage for ever.
            if attempt == 10 {
                self.aws.set_armed(false);
            }
            let (planner, key) = (self.deployment.planner(), key.to_owned());
            self.aws.note("sync now");
            let asking = async move {
                Outcome::Asked(Box::new(planner.sync_now(&company(), &connection_id(), Some(key)).await))
            };
            if let Some(Outcome::Asked(asked)) = self.step(Box::pin(asking)).await? {
                match *asked {
                    Ok(asked) => {
                        self.aws.note(format_args!("asked: {}", asked.run.id));
                        self.aws.set_armed(true);
                        return Ok(());
                    }
                    Err(error) => self.aws.note(format_args!("refused: {error}")),
                }
            }
            self.deployment.clock.move_to(self.now() + TimeDelta::seconds(30));
        }
        Err("nobody can ask for a run, though nothing goes wrong any more".to_owned())
    }

    /// The daily tick of an instant, which EventBridge Scheduler sends again until it is done with.
    pub async fn tick(&mut self, scheduled_at: DateTime<Utc>) -> Result<(), String> {
        self.deployment.clock.move_to(scheduled_at);
        for attempt in 0..12 {
            if attempt == 10 {
                self.aws.set_armed(false);
            }
            if self.ticked(Tick::daily(scheduled_at)).await? {
                self.next_look = Some(scheduled_at + HOUR);
                self.aws.set_armed(true);
                return Ok(());
            }
            self.deployment.clock.move_to(self.now() + TimeDelta::minutes(1));
        }
        Err("the tick is never done with, though nothing goes wrong any more".to_owned())
    }

    /// Looks after the run each hour until it is over; whether that took a look.
    pub async fn look_after(&mut self) -> Result<bool, String> {
        let (mut looked, mut quiet, mut struck) = (false, 0, self.aws.struck().len());
        while quiet < MOST_LOOKS {
            let armed = self.aws.set_armed(false);
            let active = self.deployment.store.active_run(&company(), &connection_id()).await;
            self.aws.set_armed(armed);
            if active.map_err(|error| error.to_string())?.is_none() {
                return Ok(looked);
            }
            self.look(self.now() + HOUR).await?;
            self.deliver_all().await?;
            looked = true;
            // Once an hour, a hundred refusals of the queue outlast the run that was given up and several that were tried in its place.
            let all = self.aws.struck().len();
            quiet = if all == struck { quiet + 1 } else { 0 };
            struck = all;
        }
        Err(format!("the run has not ended after {MOST_LOOKS} hours in which nothing went wrong"))
    }

    async fn look(&mut self, at: DateTime<Utc>) -> Result<(), String> {
        self.deployment.clock.move_to(at);
        self.next_look = Some(at + HOUR);
        self.ticked(Tick::hourly(at)).await.map(drop)
    }

    /// Whether a tick was done with.
    async fn ticked(&mut self, tick: Tick) -> Result<bool, String> {
        self.aws.note(format_args!("tick: {tick:?}"));
        let planner = self.deployment.planner();
        let ticking = async move { Outcome::Ticked(Box::new(tick::handle(&planner, &Telemetry::none(), tick).await)) };
        match self.step(Box::pin(ticking)).await? {
            Some(Outcome::Ticked(answer)) => {
                self.aws.note(format_args!("ticked: {answer:?}"));
                Ok(answer.is_ok())
            }
            _ => Ok(false),
        }
    }

    /// Delivers until the queue is empty and everybody is at rest.
    pub async fn deliver_all(&mut self) -> Result<(), String> {
        loop {
            let due = |it: &Stalled| self.deliveries >= it.since + self.resumes_after || self.queue.is_empty();
            if let Some(place) = self.stalled.iter().position(due) {
                let Stalled { process, resumed, .. } = self.stalled.remove(place);
                self.aws.note("a process goes on that had stalled");
                resumed.notify_waiters();
                // What it comes to is the same to everybody: its message has been delivered again, or will be.
                self.step(process).await?;
                continue;
            }
            let Some(place) = (0..self.queue.len()).min_by_key(|place| self.queue[*place].visible_at) else {
                return Ok(());
            };
            if let Some(at) = self.next_look.filter(|at| *at < self.queue[place].visible_at) {
                self.look(at).await?;
                continue;
            }
            let message = self.queue.remove(place);
            self.deliver(message).await?;
            if self.deliveries > MOST_DELIVERIES {
                return Err(format!("no end after {MOST_DELIVERIES} deliveries"));
            }
        }
    }

    async fn deliver(&mut self, mut message: Message) -> Result<(), String> {
        self.deployment.clock.move_to(message.visible_at);
        if message.received == MOST_RECEIVED {
            self.aws.note("dead letter");
            self.dead.push(message);
            return Ok(());
        }
        let now = self.now();
        self.deliveries += 1;
        message.received += 1;
        message.visible_at = now + VISIBILITY;
        if self.doubled == Some(self.deliveries) {
            let again = Message { visible_at: now, ..message.clone() };
            self.queue.push(again);
        }
        self.aws.note(format_args!("delivery {}, received {} times", self.deliveries, message.received));
        let body = serde_json::to_string(&message.message).unwrap();
        let attributes = Attributes { approximate_receive_count: message.received.to_string() };
        let delivery =
            Delivery { message_id: message.id.clone(), body, receipt_handle: "receipt".to_owned(), attributes };
        let batch = Batch { records: vec![delivery] };
        let worker = self.deployment.worker();
        let handling = async move {
            let response = batch::handle(&worker, &Telemetry::none(), batch, now + INVOCATION).await;
            Outcome::Handled(response)
        };
        match self.step(Box::pin(handling)).await? {
            Some(Outcome::Handled(response)) if response.batch_item_failures.is_empty() => {}
            Some(_) => {
                // Given back, if the queue heard of it.
                message.visible_at = self.aws.returned().map_or(message.visible_at, |delay| self.now() + delay);
                self.queue.push(message);
            }
            None => self.queue.push(message),
        }
        Ok(())
    }
}

impl Deployment {
    /// A run from its asking to its end, while nothing goes wrong.
    pub async fn sync(&self) -> Result<(), String> {
        self.aws.set_armed(false);
        let mut executor = Executor::new(self, None, 0);
        executor.ask(&format!("sync at {}", self.clock.now())).await?;
        self.aws.set_armed(false);
        executor.deliver_all().await?;
        if executor.dead.is_empty() { Ok(()) } else { Err("a dead letter, though nothing goes wrong".to_owned()) }
    }
}
