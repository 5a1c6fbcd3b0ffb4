//! `connect edr` and `connect sat`: a credential is tested, sealed, and its connection saved.

use super::connections::{no_connection, refuse_failed, said, stored};
use super::{collect, mapping, open};
use crate::arguments::{ConnectEdr, ConnectSat, StorageArgs};
use crate::outcome::CliError;
use chrono::{DateTime, Utc};
use common::app::collection::collect::budget_of;
use common::app::connections::test::{TEST_TIME, account_of};
use common::aws::secrets::{Binding, Credential};
use common::domain::connection::Connection;
use common::domain::id::{ClientId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::sat::id::SatId;
use common::huntress::connection_test::TestReport;
use common::huntress::edr::EdrCredential;
use common::huntress::sat::SatCredential;
use common::settings::environment;
use common::store::ConnectionChange;
use huntress_evidence::stack::LocalStack;
use secrecy::SecretString;
use std::io::IsTerminal;
use std::sync::Arc;

/// What both products have in common.
struct Wanted<'a> {
    id: &'a ConnectionId,
    place: &'a StorageArgs,
    replace_key: bool,
    no_test: bool,
    json: bool,
}

pub async fn edr(options: ConnectEdr) -> Result<(), CliError> {
    let settings = collect::settings(&options.rules)?;
    let mapping = mapping::read(&options.mapping, &options.place.company)?;
    let wanted = Wanted {
        id: &options.id,
        place: &options.place,
        replace_key: options.replace_key,
        no_test: options.no_test,
        json: options.json,
    };
    let make = |now| Connection { edr: settings, ..new(&wanted, Product::Edr, mapping.clone(), now) };
    let [key, secret] = Variable::pair(["HUNTRESS_API_KEY", "HUNTRESS_API_SECRET"]);
    let ask = || {
        let credential = EdrCredential { key: key.read("API key")?, secret: secret.read("API secret")? };
        Ok(Credential::Edr(credential))
    };
    save(&wanted, ask, make).await
}

pub async fn sat(options: ConnectSat) -> Result<(), CliError> {
    let settings = collect::training_settings(&options.rules)?;
    let company = &options.place.company;
    let client = options.client.clone().map_or_else(|| ClientId::parse(company.as_str()), Ok);
    let mapping = Mapping::OneClient { client: client.map_err(|error| CliError::usage(error.to_string()))? };
    let configured = match &options.account {
        Some(account) => Some(account.clone()),
        None => environment("HUNTRESS_SAT_ACCOUNT_ID").map(SatId::parse).transpose().map_err(|error| {
            CliError::usage(format!("the environment variable HUNTRESS_SAT_ACCOUNT_ID cannot be used: {error}"))
        })?,
    };
    let wanted = Wanted {
        id: &options.id,
        place: &options.place,
        replace_key: options.replace_key,
        no_test: options.no_test,
        json: options.json,
    };
    let make = |now| Connection {
        sat: settings,
        account_id: configured.clone(),
        ..new(&wanted, Product::Sat, mapping.clone(), now)
    };
    let [id, secret] = Variable::pair(["HUNTRESS_SAT_CLIENT_ID", "HUNTRESS_SAT_CLIENT_SECRET"]);
    let ask = || {
        let credential =
            SatCredential { client_id: id.read("client id")?, client_secret: secret.read("client secret")? };
        Ok(Credential::Sat(credential))
    };
    save(&wanted, ask, make).await
}

fn new(wanted: &Wanted<'_>, product: Product, mapping: Mapping, now: DateTime<Utc>) -> Connection {
    Connection::new(wanted.place.company.clone(), wanted.id.clone(), product, mapping, now)
}

/// The variable that holds one half of a credential.
struct Variable {
    name: &'static str,
    pair: [&'static str; 2],
}

impl Variable {
    fn pair(pair: [&'static str; 2]) -> [Self; 2] {
        pair.map(|name| Self { name, pair })
    }

    /// The secret from the environment, or from a prompt that does not show it.
    fn read(&self, question: &str) -> Result<SecretString, CliError> {
        if let Some(value) = environment(self.name) {
            return Ok(value.into());
        }
        if !std::io::stdin().is_terminal() {
            let (name, [first, second]) = (self.name, self.pair);
            return Err(CliError::usage(format!(
                "the environment variable {name} is not set, and there is no terminal to ask on; set {first} and {second}"
            )));
        }
        let typed = rpassword::prompt_password(format!("{question}: "));
        let typed = typed.map_err(|error| CliError::other(format!("the prompt failed: {error}")))?;
        if typed.trim().is_empty() {
            Err(CliError::usage(format!("no {question} was given")))
        } else {
            Ok(typed.trim().to_owned().into())
        }
    }
}

/// Tests the credential, seals it and saves the connection, in this order: what does not work is not saved.
async fn save(
    wanted: &Wanted<'_>,
    ask: impl Fn() -> Result<Credential, CliError>,
    make: impl Fn(DateTime<Utc>) -> Connection,
) -> Result<(), CliError> {
    let (stack, _) = open(wanted.place).await?;
    let (company, id) = (&wanted.place.company, wanted.id);
    let known = stack.store.connection(company, id).await.map_err(|error| stored(error, id))?;
    let now = stack.huntress.instant();
    let (connection, is_new) = match (known, wanted.replace_key) {
        (Some(_), false) => {
            return Err(CliError::usage(format!(
                "there is a connection {id} already; give it a new key with --replace-key, or choose another --id"
            )));
        }
        (Some(known), true) => (known, false),
        (None, true) => return Err(no_connection(id)),
        (None, false) => (make(now), true),
    };
    let credential = ask()?;
    if credential.product() != connection.product {
        return Err(CliError::usage(format!(
            "the connection {id} is one of {}; choose another --id",
            connection.product
        )));
    }
    let mut connection = connection;
    if !wanted.no_test {
        let report = test(&stack, &credential, &connection).await;
        let account = account_of(connection.product, &report);
        refuse_failed(report)?;
        connection.account_id = account.or(connection.account_id);
    }
    let binding = Binding { company, connection: id, product: connection.product };
    let put = stack.credentials.put(binding, &credential).await;
    put.map_err(|error| CliError::other(format!("the credential cannot be saved: {error}")))?;
    if is_new {
        stack.store.add_connection(&connection).await.map_err(|error| stored(error, id))?;
    } else {
        // The new key may be for another account.
        let found = ConnectionChange { account_id: connection.account_id.clone(), ..ConnectionChange::default() };
        stack.store.change_connection(company, id, found).await.map_err(|error| stored(error, id))?;
    }
    stack.close().await;
    let tested = if wanted.no_test { "saved without a test" } else { "tested and saved" };
    let next =
        if wanted.place.aws { "due at the next tick".to_owned() } else { format!("next: huntress-evidence sync {id}") };
    said(&connection, wanted.json, &format!("{tested}; {next}"))
}

async fn test(stack: &LocalStack, credential: &Credential, connection: &Connection) -> TestReport {
    let deadline = stack.huntress.clock.now() + TEST_TIME;
    let budget = Arc::new(budget_of(connection.product));
    match credential {
        Credential::Edr(credential) => stack.huntress.test_edr(credential, budget, deadline).await,
        Credential::Sat(credential) => {
            let configured = connection.account_id.as_ref().map(SatId::as_str);
            stack.huntress.test_sat(credential, configured, budget, deadline).await
        }
    }
}
