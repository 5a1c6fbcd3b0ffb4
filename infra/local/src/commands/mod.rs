//! One file per command, or family of commands.

mod collect;
mod connect;
mod connections;
mod credentials;
mod demo;
mod evidence;
mod forecast;
mod mapping;
mod people;
mod redrive;
mod serve;
mod signals;

use crate::arguments::{Actor, Arguments, Collect, Command, Connect, ProductName, StorageArgs};
use crate::outcome::CliError;
use crate::render;
use common::aws::queue::Queued;
use common::clock::SystemClock;
use common::domain::product::Product;
use common::settings::environment;
use huntress_evidence::stack::LocalStack;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Carries the command out.
pub async fn run(arguments: Arguments) -> Result<(), CliError> {
    match arguments.command.unwrap_or(Command::Demo) {
        Command::Demo => demo::run().await,
        Command::Collect(Collect::Edr(options)) => collect::edr(options).await,
        Command::Collect(Collect::Sat(options)) => collect::sat(options).await,
        Command::Collect(Collect::Training(options)) => collect::training(options).await,
        Command::Connect(Connect::Edr(options)) => connect::edr(options).await,
        Command::Connect(Connect::Sat(options)) => connect::sat(options).await,
        Command::CopyCredentials(options) => credentials::copy(options).await,
        Command::Map(options) => connections::map(options).await,
        Command::Connections(options) => connections::list(options).await,
        Command::Test(options) => connections::test(options).await,
        Command::Sync(options) if options.dry_run => forecast::run(options).await,
        Command::Sync(options) => connections::sync(options).await,
        Command::Runs(options) => connections::runs(options).await,
        Command::Pause(options) => connections::pause(options).await,
        Command::Resume(options) => connections::resume(options).await,
        Command::Metrics(options) => evidence::metrics(options).await,
        Command::History(options) => evidence::history(options).await,
        Command::Setup(options) => setup(options.product),
        Command::Signals(options) => signals::signals(options).await,
        Command::Controls(options) => signals::controls(options).await,
        Command::Assignments(options) => people::assignments(options).await,
        Command::Pick(options) => people::pick(options).await,
        Command::Privacy(options) => people::privacy(options).await,
        Command::People(options) => people::people(options).await,
        Command::Person(options) => people::person(options).await,
        Command::Onboarding(options) => people::onboarding(options).await,
        Command::Reset(options) => people::reset(options).await,
        Command::Certificate(options) => people::certificate(options).await,
        Command::Erase(options) => people::erase(options).await,
        Command::Provider(options) => people::provider(options).await,
        Command::Disconnect(options) => connections::disconnect(options).await,
        Command::Redrive(options) => redrive::run(options).await,
        Command::Serve(options) => serve::run(options).await,
    }
}

/// Prints the steps to a key of a product, and what to do about its troubles.
fn setup(product: ProductName) -> Result<(), CliError> {
    let product = match product {
        ProductName::Edr => Product::Edr,
        ProductName::Sat => Product::Sat,
    };
    render::text(&render::setup(product))
}

/// Actor does it: as given, or as the machine knows them.
fn by(who: &Actor) -> String {
    who.by.clone().or_else(|| environment("USER")).unwrap_or_else(|| "local".to_owned())
}

/// Refuses what a deployed stack does itself.
fn refuse_deployed(place: &StorageArgs, what: &str) -> Result<(), CliError> {
    if place.aws {
        Err(CliError::usage(format!("--aws cannot {what}: the deployed stack has workers of its own")))
    } else {
        Ok(())
    }
}

/// Opens the stack of a data folder, or a deployed one.
async fn open(place: &StorageArgs) -> Result<(LocalStack, UnboundedReceiver<Queued>), CliError> {
    let huntress = collect::huntress(Arc::new(SystemClock))?;
    if place.aws {
        return LocalStack::deployed(&environment, huntress).map_err(|error| CliError::usage(error.to_string()));
    }
    LocalStack::open(&place.data, huntress).await.map_err(|error| CliError::other(error.to_string()))
}
