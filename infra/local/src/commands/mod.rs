//! Commands by noun, one file per verb: its arguments, and what it does. A new one is its file, a line of [`Command`] and a line of [`run`].

mod assignments;
mod audit;
mod clients;
mod collect;
mod connections;
mod decisions;
mod demo;
mod evidence;
mod faults;
mod given;
mod people;
mod runs;
mod serve;
mod tokens;

use crate::arguments::{ActorArgs, Arguments, Listing, OfClientAsOf, OfConnection, OfPerson, StorageArgs};
use crate::aws::Desk;
use crate::outcome::CliError;
use crate::stack::LocalStack;
use clap::Subcommand;
use common::app::collection::collect::Huntress;
use common::app::connections::OauthSettings;
use common::aws::queue::Queued;
use common::aws::secrets::oauth_client::OauthClient;
use common::clock::{Clock, SystemClock};
use common::domain::audit::Actor;
use common::huntress::request::{Timeouts, http_client};
use common::settings::{Origins, PublicUrl, environment};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show everything over a simulated account; needs no key and stores nothing
    Demo,
    /// Collect once and print; store nothing
    #[command(subcommand)]
    Collect(collect::Collect),
    /// Show how to get a key, and what to do when something goes wrong
    Setup(connections::setup::Options),
    /// Save a connection
    #[command(subcommand)]
    Connect(connections::connect::Connect),
    /// Copy the credentials of a deployed stack's connections to where its parameter Secrets is to have them
    CopyCredentials(connections::copy_credentials::Options),
    /// Change which client each organization's evidence belongs to
    Map(connections::map::Options),
    /// Change limits and caps of a connection
    Settings(connections::settings::Options),
    /// Say who did what
    AuditLog(audit::audit_log::Options),
    /// Show every client at a glance, worst first
    Clients(Listing),
    /// List the saved connections
    Connections(Listing),
    /// Test a saved connection, permission by permission
    Test(OfConnection),
    /// Sync a saved connection now
    Sync(runs::sync::Options),
    /// List the runs of a connection, newest first
    Runs(OfConnection),
    /// Print the latest evidence of a connection's company, or of a client
    Metrics(evidence::metrics::Options),
    /// Print the values of one metric, the outcomes of a rule or the statuses of a control over time
    History(evidence::history::Options),
    /// Print the latest training signals of a client
    Signals(OfClientAsOf),
    /// Print the controls that a client's evidence supports
    Controls(OfClientAsOf),
    /// Print which agents, incidents and organizations pull a client's numbers down
    Findings(evidence::findings::Options),
    /// Print how completely the lists behind a client's evidence were read
    Completeness(OfClientAsOf),
    /// Say how a number came about, what a rule said of it, and what would change that
    Explain(evidence::explain::Options),
    /// Try other limits out on the evidence that is there; store nothing
    WhatIf(evidence::what_if::Options),
    /// Say what becomes of a number if nothing is done
    #[command(subcommand)]
    Forecast(evidence::forecast::Forecast),
    /// List the training assignments that can be selected
    Assignments(OfConnection),
    /// Select the assignments that count for each person's training
    #[command(visible_alias = "pick")]
    Select(assignments::select::Options),
    /// Say what is kept of people: nothing, a keyed hash, or name and e-mail, sealed
    Privacy(people::privacy::Options),
    /// List people and where they stand
    People(people::list::Options),
    /// Show one person, and what happened to them
    Person(OfPerson),
    /// Show what a page tells a person who has to be trained
    Onboarding(people::onboarding::Options),
    /// Put a person back, so that they have to earn compliance again
    Reset(people::reset::Options),
    /// Write the completion certificate of a person to a file
    Certificate(people::certificate::Options),
    /// Erase a person, or everybody of a connection; the evidence stays
    Erase(people::erase::Options),
    /// Keep evidence from ending: a legal hold on a client, or on everything
    #[command(subcommand)]
    Hold(clients::hold::HoldCommand),
    /// Name the connection that provides a client's security-awareness training, or show it
    Provider(clients::provider::Options),
    /// Skip a connection at the daily sync
    Pause(OfConnection),
    /// Sync a paused connection daily again
    Resume(OfConnection),
    /// Remove a connection and its credential; its runs and its evidence stay
    Disconnect(connections::disconnect::Options),
    /// Move messages from the dead-letter queue of a deployed stack back to its workers
    Redrive(runs::redrive::Options),
    /// Make a pack of a client's evidence for an auditor
    Pack(audit::pack::Options),
    /// Check a pack with nothing but the file
    Verify(audit::verify::Options),
    /// Print the newest evidence of a client as OSCAL, OCSF or tables
    Export(audit::export::Options),
    /// Print the key that checks packs and checkpoints
    LogKey(audit::log_key::Options),
    /// Show the evidence log of a connection, or sign it
    Log(audit::log::Options),
    /// List the policies that a client can be measured by
    Policies(Listing),
    /// Show the rules in force for a client, choose its policy, or import one
    Policy(decisions::policy::Options),
    /// Accept a failing outcome for a time
    #[command(subcommand)]
    Exception(decisions::exception::Exception),
    /// State a number that Huntress cannot know, such as how many devices a client has
    Attest(decisions::attest::Options),
    /// Show what there is for each day and connection of a client, or why there is nothing
    Window(audit::window::Options),
    /// Access tokens of this machine: who may do what over HTTP
    #[command(subcommand)]
    Token(tokens::Token),
    /// Run scheduler, queue, worker and HTTP on this machine
    Serve(serve::Options),
}

/// Carries the command out.
pub async fn run(arguments: Arguments) -> Result<(), CliError> {
    match arguments.command.unwrap_or(Command::Demo) {
        Command::Demo => demo::run().await,
        Command::Collect(collect) => collect::run(collect).await,
        Command::Setup(options) => connections::setup::run(&options),
        Command::Connect(connect) => connections::connect::run(connect).await,
        Command::CopyCredentials(options) => connections::copy_credentials::run(options).await,
        Command::Map(options) => connections::map::run(options).await,
        Command::Settings(options) => connections::settings::run(options).await,
        Command::AuditLog(options) => audit::audit_log::run(options).await,
        Command::Clients(options) => clients::list::run(options).await,
        Command::Connections(options) => connections::list::run(options).await,
        Command::Test(options) => connections::test::run(options).await,
        Command::Pause(options) => connections::pause::run(options).await,
        Command::Resume(options) => connections::resume::run(options).await,
        Command::Disconnect(options) => connections::disconnect::run(options).await,
        Command::Sync(options) => runs::sync::run(options).await,
        Command::Runs(options) => runs::list::run(options).await,
        Command::Redrive(options) => runs::redrive::run(options).await,
        Command::Metrics(options) => evidence::metrics::run(options).await,
        Command::History(options) => evidence::history::run(options).await,
        Command::Signals(options) => evidence::signals::run(options).await,
        Command::Controls(options) => evidence::controls::run(options).await,
        Command::Findings(options) => evidence::findings::run(options).await,
        Command::Completeness(options) => evidence::completeness::run(options).await,
        Command::Explain(options) => evidence::explain::run(options).await,
        Command::WhatIf(options) => evidence::what_if::run(options).await,
        Command::Forecast(command) => evidence::forecast::run(command).await,
        Command::Assignments(options) => assignments::list::run(options).await,
        Command::Select(options) => assignments::select::run(options).await,
        Command::Privacy(options) => people::privacy::run(options).await,
        Command::People(options) => people::list::run(options).await,
        Command::Person(options) => people::show::run(options).await,
        Command::Onboarding(options) => people::onboarding::run(options).await,
        Command::Reset(options) => people::reset::run(options).await,
        Command::Certificate(options) => people::certificate::run(options).await,
        Command::Erase(options) => people::erase::run(options).await,
        Command::Hold(command) => clients::hold::run(command).await,
        Command::Provider(options) => clients::provider::run(options).await,
        Command::Pack(options) => audit::pack::run(options).await,
        Command::Verify(options) => audit::verify::run(&options),
        Command::Export(options) => audit::export::run(options).await,
        Command::LogKey(options) => audit::log_key::run(options).await,
        Command::Log(options) => audit::log::run(options).await,
        Command::Policies(options) => decisions::policies::run(options).await,
        Command::Policy(options) => decisions::policy::run(options).await,
        Command::Exception(command) => decisions::exception::run(command).await,
        Command::Attest(options) => decisions::attest::run(options).await,
        Command::Window(options) => audit::window::run(options).await,
        Command::Token(command) => tokens::run(command).await,
        Command::Serve(options) => serve::run(options).await,
    }
}

/// Who does it: as given, or as the machine knows them.
fn by(actor: &ActorArgs) -> Actor {
    Actor::cli(actor.by.clone().or_else(|| environment("USER")).unwrap_or_else(|| "local".to_owned()))
}

/// Who is at the command line, where nobody is named.
fn somebody() -> Actor {
    by(&ActorArgs { by: None })
}

/// How Huntress is reached from this process.
fn huntress(clock: Arc<dyn Clock>) -> Result<Huntress, CliError> {
    let origins = Origins::read(&environment)?;
    let http = http_client(Timeouts::default());
    let http = http.map_err(|error| CliError::other(format!("the HTTP client does not start: {error}")))?;
    Ok(Huntress { http, clock, origins })
}

/// Refuses what a deployed stack does itself.
fn refuse_deployed(storage: &StorageArgs, what: &str) -> Result<(), CliError> {
    if storage.aws {
        Err(CliError::usage(format!("--aws cannot {what}: the deployed stack has workers of its own")))
    } else {
        Ok(())
    }
}

/// Opens the stack of a data folder, or a deployed one.
async fn open(storage: &StorageArgs) -> Result<(LocalStack, UnboundedReceiver<Queued>), CliError> {
    let huntress = huntress(Arc::new(SystemClock))?;
    if storage.aws {
        let desk = Desk::find().await?;
        return LocalStack::deployed(&desk.aws(), huntress).map_err(|error| CliError::usage(error.to_string()));
    }
    let oauth = oauth(None, false)?;
    let opened = LocalStack::open(&storage.data, huntress).await;
    let (mut stack, queue) = opened.map_err(|error| CliError::other(error.to_string()))?;
    stack.parts.oauth = oauth;
    Ok((stack, queue))
}

/// The OAuth client of the environment, and where browsers reach this service: `PUBLIC_URL`, or else `address`.
fn oauth(address: Option<SocketAddr>, has_pages: bool) -> Result<Arc<OauthSettings>, CliError> {
    let client = OauthClient::read(&environment)?;
    let own = || address.and_then(|address| PublicUrl::parse(&format!("http://{address}")).ok());
    Ok(Arc::new(OauthSettings { client, public_url: PublicUrl::read(&environment)?.or_else(own), has_pages }))
}

/// The same for a command that only reads, which works on a full disk and in a folder that cannot be written to.
async fn open_to_read(storage: &StorageArgs) -> Result<(LocalStack, UnboundedReceiver<Queued>), CliError> {
    if storage.aws {
        return open(storage).await;
    }
    let huntress = huntress(Arc::new(SystemClock))?;
    LocalStack::open_to_read(&storage.data, huntress).await.map_err(|error| CliError::other(error.to_string()))
}
