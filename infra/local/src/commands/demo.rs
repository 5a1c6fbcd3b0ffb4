//! The demonstration: a simulated account of both products, and everything else as it is.

use crate::outcome::CliError;
use crate::render;
use crate::stack::{LocalStack, deliver};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::Huntress;
use common::app::runs::tick::{self, Tick};
use common::app::stack::Stack;
use common::aws::secrets::{Binding, Credential};
use common::aws::telemetry::Telemetry;
use common::clock::{Clock, SystemClock};
use common::domain::connection::Connection;
use common::domain::evidence::EdrBundle;
use common::domain::id::{ClientId, CompanyId, ConnectionId, InvalidId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::Run;
use common::domain::sat::bundle::SatBundle;
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use common::store::EvidenceOwner;
use serde::de::DeserializeOwned;
use simulator::{API_KEY, API_SECRET, Account, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount, Simulator};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// A run of the demonstration takes a second; the handlers want a limit.
const TIME: TimeDelta = TimeDelta::minutes(5);

/// The company of the demonstration.
const COMPANY: &str = "msp-demo";

/// Its client that both products know.
const CLIENT: &str = "client-acme-corp";

/// A data folder that goes with the demonstration.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub async fn run() -> Result<(), CliError> {
    show().await.map_err(|error| CliError::other(format!("the demonstration failed: {error}")))
}

async fn show() -> Result<(), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let account = Account::demo(now);
    let simulator = Simulator::builder(account.clone()).sat(SatAccount::demo(now)).start().await?;
    let origin = |product| Origin::parse(&simulator.origin(), product, true);
    let origins = Origins { edr: origin(Product::Edr)?, sat: origin(Product::Sat)? };
    let huntress = Huntress { http: http_client(Timeouts::default())?, clock, origins };
    let name = format!("huntress-evidence-demo-{}-{}", std::process::id(), fastrand::u32(..));
    let folder = Folder(std::env::temp_dir().join(name));
    let (stack, mut queue) = LocalStack::open(&folder.0, huntress).await?;

    let now = stack.parts.huntress.instant();
    let edr = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
    save(&stack, "edr", Credential::Edr(edr), by_organization(&account)?, now).await?;
    let sat = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
    let one_client = Mapping::OneClient { client: ClientId::parse(CLIENT)? };
    save(&stack, "sat", Credential::Sat(sat), one_client, now).await?;

    // The very handlers of the Lambda functions: the tick queues a run for each connection, the worker does them.
    let (Ok(planner), Ok(worker)) = (stack.parts.planner(), stack.parts.worker());
    let planned = tick::handle(&planner, &Telemetry::none(), Tick::daily(now)).await?.planned.unwrap_or_default();
    let mut ends = String::new();
    for _ in 0..planned.new {
        let message = queue.try_recv()?.message;
        if !deliver(&worker, &message, TIME).await {
            return Err("a run did not end".into());
        }
        let run =
            stack.parts.store.run(&message.company, &message.connection, &message.run).await?.ok_or("a run is gone")?;
        ends += &summary(run)?;
    }

    let endpoint: EdrBundle = latest(&stack, &EvidenceOwner::Company, Product::Edr).await?;
    let training: SatBundle = latest(&stack, &EvidenceOwner::Client(ClientId::parse(CLIENT)?), Product::Sat).await?;
    let text = format!(
        "A simulated Huntress account at {}\n\nEndpoints and incidents of the company {COMPANY}, over all its organizations\n\n{}\n\
         Training of its client {CLIENT}\n\n{}\n\
         The daily tick found {} connections due and queued {} runs:\n{ends}\n\
         Next, with a key of your own:\n  \
         huntress-evidence setup edr        how to get one\n  \
         huntress-evidence collect edr      with HUNTRESS_API_KEY and HUNTRESS_API_SECRET: collect once, store nothing\n  \
         huntress-evidence connect edr      save it and sync daily; then: huntress-evidence serve\n",
        simulator.origin(),
        render::metrics(&endpoint),
        render::signals(&training),
        planned.due,
        planned.new,
    );
    render::text(&text).map_err(|_| "stdout is closed")?;
    stack.close().await;
    simulator.stop().await;
    Ok(())
}

/// One client for the first three organizations, another for the next two; one is ignored, and the rest is left unmapped, to show what becomes of it.
fn by_organization(account: &Account) -> Result<Mapping, InvalidId> {
    let organization = |index| {
        let record = account.record(List::Organizations, index).unwrap_or_default();
        record.get("id").map_or_else(String::new, ToString::to_string)
    };
    let clients = [(0, CLIENT), (1, CLIENT), (2, CLIENT), (3, "client-globex"), (4, "client-globex")];
    let clients = clients.iter().map(|(index, client)| Ok((organization(*index), ClientId::parse(*client)?)));
    Ok(Mapping::ByOrganization { clients: clients.collect::<Result<_, _>>()?, ignored: [organization(5)].into() })
}

/// Saves a connection that is due at once.
async fn save(
    stack: &LocalStack,
    id: &str,
    credential: Credential,
    mapping: Mapping,
    now: DateTime<Utc>,
) -> Result<(), Box<dyn Error>> {
    let (company, id, product) = (CompanyId::parse(COMPANY)?, ConnectionId::parse(id)?, credential.product());
    stack.parts.credentials.put(Binding { company: &company, connection: &id, product }, &credential).await?;
    let connection = Connection { next_run_at: Some(now), ..Connection::new(company, id, product, mapping, now) };
    Ok(stack.parts.store.add_connection(&connection).await?)
}

fn summary(run: Run) -> Result<String, Box<dyn Error>> {
    match run.failure {
        Some(failure) => Err(failure.to_string().into()),
        None => Ok(format!(
            "  {} · run {} {} · {} requests · {} bundles in one commit\n",
            run.connection, run.id, run.status, run.api_calls, run.bundles
        )),
    }
}

/// The newest evidence of an owner, as it is stored.
async fn latest<B: DeserializeOwned>(
    stack: &LocalStack,
    owner: &EvidenceOwner,
    product: Product,
) -> Result<B, Box<dyn Error>> {
    let latest = stack.parts.store.latest(&CompanyId::parse(COMPANY)?, owner).await?;
    let evidence = latest.iter().find(|evidence| evidence.product == product).ok_or("there is no evidence")?;
    Ok(serde_json::from_str(&evidence.body)?)
}
