//! The demonstration: a simulated account, and everything else as it is.

use crate::outcome::Fault;
use crate::render;
use chrono::TimeDelta;
use common::clock::SystemClock;
use common::domain::connection::{Connection, ConnectionStatus, Product};
use common::domain::edr::EdrSettings;
use common::domain::evidence::EdrBundle;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::mapping::Mapping;
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::transport::{Timeouts, http_client};
use common::secrets::{Binding, Credential};
use common::store::EvidenceOwner;
use common::sync::collect::Huntress;
use huntress_evidence::stack::{Stack, deliver, event};
use scheduled_sync::Tick;
use simulator::{API_KEY, API_SECRET, Account, List, Simulator};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// A run of the demonstration takes a second; the handlers want a limit.
const TIME: TimeDelta = TimeDelta::minutes(5);

/// A data folder that goes with the demonstration.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub async fn run() -> Result<(), Fault> {
    show().await.map_err(|error| Fault::other(format!("the demonstration failed: {error}")))
}

async fn show() -> Result<(), Box<dyn Error>> {
    let clock: Arc<dyn common::clock::Clock> = Arc::new(SystemClock);
    let account = Account::demo(clock.now());
    let simulator = Simulator::builder(account.clone()).start().await?;
    let origin = Origin::parse(&simulator.origin(), Product::Edr, true)?;
    let huntress = Huntress { http: http_client(Timeouts::default())?, clock, edr: origin };
    let folder = Folder(std::env::temp_dir().join(format!(
        "huntress-evidence-demo-{}-{}",
        std::process::id(),
        fastrand::u32(..)
    )));
    let (stack, mut queue) = Stack::open(&folder.0, huntress).await?;

    // One client for the first three organizations, another for the next two; one is ignored, and the rest is left unmapped, to show what becomes of it.
    let (company, id) = (CompanyId::parse("msp-demo")?, ConnectionId::parse("edr")?);
    let organization = |index| {
        let record = account.record(List::Organizations, index).unwrap_or_default();
        record.get("id").map_or_else(String::new, ToString::to_string)
    };
    let clients = [
        (0, "client-acme-corp"),
        (1, "client-acme-corp"),
        (2, "client-acme-corp"),
        (3, "client-globex"),
        (4, "client-globex"),
    ];
    let clients: Result<_, _> =
        clients.iter().map(|(index, client)| Ok((organization(*index), ClientId::parse(*client)?))).collect();
    let mapping = Mapping::ByOrganization {
        clients: clients.map_err(|error: common::domain::id::InvalidId| error)?,
        ignored: [organization(5)].into(),
    };
    let binding = Binding { company: &company, connection: &id, product: Product::Edr };
    let credential = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
    stack.credentials.put(binding, &Credential::Edr(credential)).await?;
    let now = stack.huntress.instant();
    let connection = Connection {
        company: company.clone(),
        id: id.clone(),
        product: Product::Edr,
        edr: EdrSettings::default(),
        mapping,
        paused: false,
        status: ConnectionStatus::New,
        created_at: now,
        last_attempt_at: None,
        last_success_at: None,
        next_run_at: Some(now),
        last_failure: None,
        last_test: None,
    };
    stack.store.add_connection(&connection).await?;

    // The very handlers of the Lambda functions: the tick queues a run, the worker does it.
    let planned = scheduled_sync::handle(&stack.planner(), event(Tick { scheduled_at: now }, now + TIME)).await?;
    let message = queue.try_recv()?;
    if !deliver(&stack.worker(), &message, TIME).await {
        return Err("the run did not end".into());
    }
    let run = stack.store.run(&company, &id, &message.run).await?.ok_or("the run is gone")?;
    if let Some(failure) = run.failure {
        return Err(failure.to_string().into());
    }
    let latest = stack.store.latest(&company, &EvidenceOwner::Company).await?;
    let evidence = latest.first().ok_or("there is no evidence")?;
    let bundle: EdrBundle = serde_json::from_str(&evidence.body)?;
    let mut text = format!(
        "A simulated Huntress account at {}: {} organizations of the company {company}.\n\n",
        simulator.origin(),
        bundle.metadata.records_read.organizations
    );
    text += &render::metrics(&bundle);
    text += &format!(
        "\nrun {} {} · tick: {} due, {} queued · {} requests · {} bundles in one commit: the company's own and one for each client\n",
        run.id, run.status, planned.due, planned.new, run.api_calls, run.bundles
    );
    text += "\nNext, with a key of your own:\n  HUNTRESS_API_KEY=… HUNTRESS_API_SECRET=… huntress-evidence collect edr\n  huntress-evidence connect edr\n";
    render::text(&text).map_err(|_| "stdout is closed")?;
    stack.close().await;
    simulator.stop().await;
    Ok(())
}
