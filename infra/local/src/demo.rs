//! The demonstration's world: a simulated account of both products, and ninety days of runs of it, made by the very handlers of the Lambda functions while a
//! clock was moved. Everything lies in a folder that goes with it.

use crate::stack::{LocalStack, deliver};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::assignments::Choice;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Worker;
use common::app::connections::{Check, Connections};
use common::app::decisions::{Decisions, ExceptionSpec};
use common::app::people::{PeopleService, PrivacyChange};
use common::app::runs::plan::Planner;
use common::app::runs::tick::{self, Tick};
use common::app::stack::Stack;
use common::aws::queue::Queued;
use common::aws::secrets::Credential;
use common::aws::telemetry::Telemetry;
use common::clock::{Clock, SystemClock};
use common::domain::audit::Actor;
use common::domain::calendar::Until;
use common::domain::connection::Connection;
use common::domain::decisions::{AttestationKey, AttestationRequest, Decider, ExceptionRequest, ExceptionSubject};
use common::domain::id::{ClientId, CompanyId, ConnectionId, InvalidId, RunId};
use common::domain::mapping::Mapping;
use common::domain::people::person::PrivacyMode;
use common::domain::product::Product;
use common::domain::sat::assignment::AssignmentState;
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use simulator::{
    API_KEY, API_SECRET, Account, Fault, FaultKind, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount, Simulator,
};
use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

/// The company of the demonstration.
pub const COMPANY: &str = "msp-demo";

/// Its client that both products know.
pub const CLIENT: &str = "client-acme-corp";

/// Another one, of endpoints alone.
const OTHER_CLIENT: &str = "client-globex";

/// Days of history, today not among them.
pub const HISTORY_DAYS: i64 = 90;

/// The connections.
const EDR: &str = "edr";
const SAT: &str = "sat";

/// A run of the demonstration takes no time by its clock; the handlers want a limit.
const TIME: TimeDelta = TimeDelta::minutes(5);

/// What went wrong.
pub type DemoError = Box<dyn Error + Send + Sync>;

/// A clock that stands where it was put, until it goes on with the machine's.
#[derive(Debug, Default)]
struct MovedClock(Mutex<Option<DateTime<Utc>>>);

impl MovedClock {
    fn stand_at(&self, instant: Option<DateTime<Utc>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = instant;
    }

    fn stands_at(&self) -> Option<DateTime<Utc>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for MovedClock {
    fn now(&self) -> DateTime<Utc> {
        self.stands_at().unwrap_or_else(|| SystemClock.now())
    }

    fn sleep_until(&self, instant: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        match self.stands_at() {
            Some(now) => {
                self.stand_at(Some(now.max(instant)));
                Box::pin(tokio::task::yield_now())
            }
            None => SystemClock.sleep_until(instant),
        }
    }
}

/// A data folder that goes with the demonstration.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// What happened on a day of the past, besides what happens every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Usual,
    /// The machine was off.
    Off,
    /// Huntress did not answer.
    Outage,
    /// The key was refused.
    Refused,
    /// Somebody paused the endpoint connection before the tick.
    Pause,
    /// And took it up again.
    Resume,
}

/// The days that are not as usual, by how long ago they were.
const DAYS: [(i64, Day); 6] =
    [(71, Day::Off), (58, Day::Outage), (44, Day::Pause), (42, Day::Resume), (27, Day::Refused), (12, Day::Off)];

/// When a policy was chosen, an exception was made and a number was stated, in days ago.
const POLICY_CHOSEN: i64 = 80;
const ATTESTED: i64 = 35;
const EXCEPTED: i64 = 20;

/// When people began to be followed, with their names, in days ago.
const FOLLOWED: i64 = 30;

/// The demonstration.
pub struct Demo {
    /// The stack, at the present time.
    pub stack: LocalStack,
    /// The receiving end of its queue, empty.
    pub queue: UnboundedReceiver<Queued>,
    /// The runs of today.
    pub runs: Vec<(ConnectionId, RunId)>,
    /// What it stands on.
    pub world: World,
}

/// What the stack of the demonstration stands on.
pub struct World {
    /// Huntress.
    pub simulator: Simulator,
    folder: Folder,
}

impl World {
    /// Where the data lies.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.folder.0
    }

    /// Ends it, after the stack; the folder goes.
    pub async fn end(self) {
        self.simulator.stop().await;
    }
}

impl Demo {
    /// Makes it, in a new folder below that of temporary files.
    ///
    /// # Errors
    /// What the machine does not allow: a port, a folder.
    pub async fn start() -> Result<Self, DemoError> {
        // Nobody wants to read of the runs of ninety days.
        Self::made().with_subscriber(NoSubscriber::default()).await
    }

    async fn made() -> Result<Self, DemoError> {
        let clock = Arc::new(MovedClock::default());
        let today = SystemClock.now();
        let account = Account::demo(today);
        let training = SatAccount::demo(today);
        // The rate limits are Huntress's, and nobody waits for them in a demonstration.
        let simulated = Simulator::builder(account.clone()).sat(training.clone()).rate_limit(None).clock({
            let clock = Arc::clone(&clock);
            Arc::new(move || clock.now())
        });
        let simulator = simulated.start().await?;
        let origin = |product| Origin::parse(&simulator.origin(), product, true);
        let origins = Origins { edr: origin(Product::Edr)?, sat: origin(Product::Sat)? };
        let huntress = Huntress { http: http_client(Timeouts::default())?, clock: Arc::clone(&clock) as _, origins };
        let name = format!("huntress-evidence-demo-{}-{}", std::process::id(), fastrand::u32(..));
        let folder = Folder(std::env::temp_dir().join(name));
        let (stack, queue) = LocalStack::open(&folder.0, huntress).await?;
        let (Ok(planner), Ok(worker)) = (stack.parts.planner(), stack.parts.worker());
        let (Ok(connections), Ok(decisions)) = (stack.parts.connections(), stack.parts.decisions());
        let Ok(people) = stack.parts.people();
        let mut past = Past {
            clock: &clock,
            simulator: &simulator,
            account,
            training,
            today,
            company: CompanyId::parse(COMPANY)?,
            client: ClientId::parse(CLIENT)?,
            planner,
            worker,
            connections,
            decisions,
            people,
            queue,
        };
        past.pass().await?;
        let runs = past.arrive().await?;
        let queue = past.queue;
        Ok(Self { stack, queue, runs, world: World { simulator, folder } })
    }

    /// The world apart from the stack, which somebody else serves and ends.
    #[must_use]
    pub fn split(self) -> (World, (LocalStack, UnboundedReceiver<Queued>)) {
        (self.world, (self.stack, self.queue))
    }

    /// Ends it; the folder goes.
    pub async fn end(self) {
        self.stack.close().await;
        self.world.end().await;
    }
}

/// The history while it is made.
struct Past<'a> {
    clock: &'a MovedClock,
    simulator: &'a Simulator,
    account: Account,
    training: SatAccount,
    today: DateTime<Utc>,
    company: CompanyId,
    client: ClientId,
    planner: Planner,
    worker: Worker,
    connections: Connections,
    decisions: Decisions,
    people: PeopleService,
    queue: UnboundedReceiver<Queued>,
}

impl Past<'_> {
    /// Everything up to the last tick.
    async fn pass(&mut self) -> Result<(), DemoError> {
        let schedule = self.planner.schedule.clone();
        let mut tick = schedule.next_after(self.today - TimeDelta::days(HISTORY_DAYS));
        // Somebody connected an hour before the first one.
        self.go_to(tick - TimeDelta::hours(1));
        self.connect().await?;
        while tick <= self.today {
            let ago = (self.today - tick).num_days();
            let day = DAYS.iter().find(|(at, _)| *at == ago).map_or(Day::Usual, |(_, day)| *day);
            self.decide(ago, tick - TimeDelta::minutes(20)).await?;
            self.go_to(tick + TimeDelta::seconds(2));
            self.day(day, tick).await?;
            tick = schedule.next_after(tick);
        }
        Ok(())
    }

    /// The present: a sync of both, and time goes on.
    async fn arrive(&mut self) -> Result<Vec<(ConnectionId, RunId)>, DemoError> {
        self.clock.stand_at(None);
        self.simulator.set_account(self.account.clone());
        self.simulator.set_sat(self.training.clone());
        let mut runs = Vec::new();
        for id in [EDR, SAT] {
            let id = ConnectionId::parse(id)?;
            let asked = self.planner.sync_now_as(&self.company, &id, None, &Actor::cli("dana")).await?;
            runs.push((id, asked.run.id));
        }
        self.work().await?;
        Ok(runs)
    }

    fn go_to(&self, instant: DateTime<Utc>) {
        self.clock.stand_at(Some(instant));
        self.simulator.set_account(self.account.past(instant));
        self.simulator.set_sat(self.training.past(instant));
    }

    async fn connect(&self) -> Result<(), DemoError> {
        let edr = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
        let sat = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
        let one_client = Mapping::OneClient { client: self.client.clone() };
        for (id, credential, mapping) in
            [(EDR, Credential::Edr(edr), by_organization(&self.account)?), (SAT, Credential::Sat(sat), one_client)]
        {
            let id = ConnectionId::parse(id)?;
            let product = credential.product();
            let connection = Connection::new(self.company.clone(), id, product, mapping, self.clock.now());
            self.connections.add(connection, &credential, Check::Test, &Actor::cli("dana")).await?;
        }
        Ok(())
    }

    /// The tick of a day, and its runs.
    async fn day(&mut self, day: Day, tick: DateTime<Utc>) -> Result<(), DemoError> {
        let (edr, dana) = (ConnectionId::parse(EDR)?, Actor::cli("dana"));
        let faults = match day {
            Day::Off => return Ok(()),
            Day::Usual => Vec::new(),
            Day::Outage => vec![Fault::always(Some(List::Agents), FaultKind::Status(503))],
            Day::Refused => vec![Fault::always(Some(List::Organizations), FaultKind::Unauthorized)],
            Day::Pause => {
                self.connections.pause(&self.company, &edr, &dana).await?;
                Vec::new()
            }
            Day::Resume => {
                self.connections.resume(&self.company, &edr, &dana).await?;
                Vec::new()
            }
        };
        self.simulator.set_faults(faults);
        tick::handle(&self.planner, &Telemetry::none(), Tick::daily(tick)).await?;
        self.work().await?;
        self.simulator.set_faults(Vec::new());
        Ok(())
    }

    /// Does what is queued.
    async fn work(&mut self) -> Result<(), DemoError> {
        while let Ok(queued) = self.queue.try_recv() {
            if !deliver(&self.worker, &queued.message, TIME).await {
                return Err("a run did not end".into());
            }
        }
        Ok(())
    }

    /// What people decided on that day.
    async fn decide(&self, ago: i64, at: DateTime<Utc>) -> Result<(), DemoError> {
        self.clock.stand_at(Some(at));
        let by = |name: &str| Decider { name: name.to_owned(), on_this_machine: true };
        match ago {
            POLICY_CHOSEN => {
                let baseline = self.decisions.policy(&self.company, "baseline", None).await?;
                self.decisions.choose(&self.company, &self.client, &baseline, &by("dana")).await?;
            }
            ATTESTED => {
                let request = AttestationRequest {
                    client: self.client.clone(),
                    key: AttestationKey::ExpectedDevices,
                    value: "52".to_owned(),
                    source: "export of the inventory".to_owned(),
                    dated: self.decisions.store.calendar().day_of(at),
                    by: by("dana"),
                    until: Until::Instant(at + TimeDelta::days(120)),
                };
                self.decisions.attest(&self.company, request).await?;
            }
            FOLLOWED => {
                let (sat, dana) = (ConnectionId::parse(SAT)?, Actor::cli("dana"));
                let listed = self.connections.assignments(&self.company, &sat).await?.assignments;
                let going_on = listed.into_iter().filter(|it| it.status == AssignmentState::InProgress);
                let selected = Some(going_on.take(2).map(|it| it.id).collect());
                let choice = Choice { selected, ..Choice::default() };
                self.connections.select_assignments(&self.company, &sat, choice, None, &dana).await?;
                self.people.set_mode(&self.company, &sat, PrivacyChange::to(PrivacyMode::Full), &dana).await?;
            }
            EXCEPTED => {
                let request = ExceptionRequest {
                    client: self.client.clone(),
                    // The use case puts the one there that it finds.
                    subject: ExceptionSubject::Control(String::new()),
                    reason: "Two notebooks are with people on leave and come back in spring.".to_owned(),
                    by: by("dana"),
                    from: None,
                    until: Until::Instant(at + TimeDelta::days(60)),
                    link: None,
                };
                let spec = ExceptionSpec::Rule("edr-missing".to_owned());
                self.decisions.except(&self.company, &spec, request, Some(&by("lee"))).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Some organizations of two clients; one is ignored, and the rest is left unmapped, to show what becomes of it.
fn by_organization(account: &Account) -> Result<Mapping, InvalidId> {
    let organization = |index: u64| {
        let record = account.record(List::Organizations, index).unwrap_or_default();
        record.get("id").map_or_else(String::new, ToString::to_string)
    };
    // Numbers 9 and 10 have an open critical incident and two agents that are missing.
    let of = [(CLIENT, &[0, 1, 2, 9, 10][..]), (OTHER_CLIENT, &[3, 4, 6])];
    let clients = of.iter().flat_map(|(client, indices)| indices.iter().map(move |index| (*index, *client)));
    let clients = clients.map(|(index, client)| Ok((organization(index), ClientId::parse(client)?)));
    Ok(Mapping::ByOrganization { clients: clients.collect::<Result<_, _>>()?, ignored: [organization(5)].into() })
}
