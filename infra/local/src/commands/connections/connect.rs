//! `connect edr` and `connect sat`: a credential is tested, sealed, and its connection saved.

use super::{mapping, redirect, said};
use crate::arguments::{MappingArguments, Rules, StorageArgs, TrainingRules, end, sat_id};
use crate::commands::given::Given;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::app::connections::{Check, ConnectionError, NewCredential};
use common::app::stack::Stack;
use common::aws::secrets::Credential;
use common::domain::connection::Connection;
use common::domain::expiry::CredentialTerm;
use common::domain::id::{ClientId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::sat::id::SatId;
use common::huntress::edr::EdrCredential;
use common::huntress::sat::SatCredential;
use common::store::StoreError;
use secrecy::SecretString;
use std::io::IsTerminal;

#[derive(Debug, Subcommand)]
pub enum Connect {
    /// The endpoint API; key and secret from HUNTRESS_API_KEY and HUNTRESS_API_SECRET, or asked for
    Edr(EdrOptions),
    /// The training API; client id and secret from HUNTRESS_SAT_CLIENT_ID and HUNTRESS_SAT_CLIENT_SECRET, or asked for
    Sat(SatOptions),
}

#[derive(Debug, Args)]
pub struct EdrOptions {
    /// Id of the connection
    #[arg(long, value_name = "ID", default_value = "edr")]
    pub id: ConnectionId,
    #[command(flatten)]
    pub mapping: MappingArguments,
    #[command(flatten)]
    pub rules: Rules,
    /// Give a connection that is there a new key; its other settings stay
    #[arg(
        long,
        conflicts_with_all = ["client", "map", "map_file", "ignore", "online_within_hours", "missing_after_days"]
    )]
    pub replace_key: bool,
    /// When the key ends, as a day or a time with a zone; a warning comes 30, 7 and 1 days before
    #[arg(long, value_name = "T", value_parser = end)]
    pub expires_at: Option<DateTime<Utc>>,
    /// Save without testing the key first
    #[arg(long)]
    pub no_test: bool,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct SatOptions {
    /// Id of the connection
    #[arg(long, value_name = "ID", default_value = "sat")]
    pub id: ConnectionId,
    /// The client whose training it is; the company's id when none is given
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// The account to measure; not needed if the API client sees only one
    #[arg(long, value_name = "ID", value_parser = sat_id)]
    pub account: Option<SatId>,
    #[command(flatten)]
    pub rules: TrainingRules,
    /// Give a connection that is there a new API client; its other settings stay
    #[arg(long)]
    pub replace_key: bool,
    /// Have somebody agree at Huntress in a browser of this machine instead of pasting an API client's secret
    #[arg(
        long,
        conflicts_with_all = ["max_assignments", "max_activity", "max_campaigns", "training_covers_privacy_policies", "expires_at", "no_test"]
    )]
    pub oauth: bool,
    /// When the API client's secret ends, as a day or a time with a zone; a warning comes 30, 7 and 1 days before
    #[arg(long, value_name = "T", value_parser = end)]
    pub expires_at: Option<DateTime<Utc>>,
    /// Save without testing the API client first
    #[arg(long)]
    pub no_test: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(connect: Connect) -> Result<(), CliError> {
    match connect {
        Connect::Edr(options) => edr(options).await,
        Connect::Sat(options) => sat(options).await,
    }
}

/// What both products have in common.
struct Wanted<'a> {
    id: &'a ConnectionId,
    storage: &'a StorageArgs,
    replace_key: bool,
    expires_at: Option<DateTime<Utc>>,
    no_test: bool,
    json: bool,
}

async fn edr(options: EdrOptions) -> Result<(), CliError> {
    let settings = options.rules.settings()?;
    let mapping = mapping::read(&options.mapping, &options.storage.company)?;
    let wanted = Wanted {
        id: &options.id,
        storage: &options.storage,
        replace_key: options.replace_key,
        expires_at: options.expires_at,
        no_test: options.no_test,
        json: options.json,
    };
    let make = |now| Connection { edr: settings, ..new(&wanted, Product::Edr, mapping.clone(), now) };
    let [key, secret] = Variable::pair(["HUNTRESS_API_KEY", "HUNTRESS_API_SECRET"]);
    let mut given = Given::default();
    let ask = || {
        let key = key.read("API key", &mut given)?;
        Ok(Credential::Edr(EdrCredential { key, secret: secret.read("API secret", &mut given)? }))
    };
    let saved = save(&wanted, ask, make).await;
    given.said(saved)
}

async fn sat(options: SatOptions) -> Result<(), CliError> {
    let settings = options.rules.settings()?;
    let company = &options.storage.company;
    let client = options.client.clone().map_or_else(|| ClientId::parse(company.as_str()), Ok);
    let mapping = Mapping::OneClient { client: client.map_err(|error| CliError::usage(error.to_string()))? };
    let mut given = Given::default();
    let configured = match &options.account {
        Some(account) => Some(account.clone()),
        None => given.variable("HUNTRESS_SAT_ACCOUNT_ID").map(SatId::parse).transpose().map_err(|error| {
            CliError::usage(format!("the environment variable HUNTRESS_SAT_ACCOUNT_ID cannot be used: {error}"))
        })?,
    };
    if options.oauth {
        let wanted = redirect::Wanted {
            id: &options.id,
            client: options.client.as_ref(),
            account: configured,
            replace_key: options.replace_key,
            json: options.json,
            storage: &options.storage,
        };
        let connected = redirect::connect(wanted).await;
        return given.said(connected);
    }
    let wanted = Wanted {
        id: &options.id,
        storage: &options.storage,
        replace_key: options.replace_key,
        expires_at: options.expires_at,
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
        let client_id = id.read("client id", &mut given)?;
        Ok(Credential::Sat(SatCredential { client_id, client_secret: secret.read("client secret", &mut given)? }))
    };
    let saved = save(&wanted, ask, make).await;
    given.said(saved)
}

fn new(wanted: &Wanted<'_>, product: Product, mapping: Mapping, now: DateTime<Utc>) -> Connection {
    let credential_term = CredentialTerm { expires_at: wanted.expires_at, ..CredentialTerm::default() };
    let (company, id) = (wanted.storage.company.clone(), wanted.id.clone());
    Connection { credential_term, ..Connection::new(company, id, product, mapping, now) }
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
    fn read(&self, question: &'static str, given: &mut Given) -> Result<SecretString, CliError> {
        if let Some(value) = given.variable(self.name) {
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
        let typed = given.cleaned(question, &typed);
        typed.map(SecretString::from).ok_or_else(|| CliError::usage(format!("no {question} was given")))
    }
}

/// Tests the credential, seals it and saves the connection, in this order: what does not work is not saved.
async fn save(
    wanted: &Wanted<'_>,
    ask: impl FnOnce() -> Result<Credential, CliError>,
    make: impl Fn(DateTime<Utc>) -> Connection,
) -> Result<(), CliError> {
    let (stack, _) = open(wanted.storage).await?;
    let (company, id) = (&wanted.storage.company, wanted.id);
    let Ok(connections) = stack.parts.connections();
    // Before anybody types a key.
    match (connections.get(company, id).await, wanted.replace_key) {
        (Ok(_), false) => return Err(exists(id)),
        (Ok(_), true) | (Err(StoreError::NotFound { .. }), false) => {}
        (Err(error), _) => return Err(faults::stored(error, id)),
    }
    let credential = ask()?;
    let check = if wanted.no_test { Check::Skip } else { Check::Test };
    let saved = if wanted.replace_key {
        let new = NewCredential { credential: &credential, check, expires_at: wanted.expires_at, account_id: None };
        connections.replace_credential(company, id, new, None, &somebody()).await
    } else {
        connections.add(make(stack.parts.huntress.instant()), &credential, check, &somebody()).await
    };
    let saved = saved.map_err(|error| match error {
        ConnectionError::Exists(id) => exists(&id),
        ConnectionError::OtherProduct(product) => {
            CliError::usage(format!("the connection {id} is one of {product}; choose another --id"))
        }
        ConnectionError::Secret(error) => CliError::other(format!("the credential cannot be saved: {error}")),
        error => faults::of_connection(error, id),
    })?;
    stack.close().await;
    let tested = if wanted.no_test { "saved without a test" } else { "tested and saved" };
    let next = if wanted.storage.aws {
        "due at the next tick".to_owned()
    } else {
        format!("next: huntress-evidence sync {id}")
    };
    said(saved, wanted.json, &format!("{tested}; {next}"))
}

pub(super) fn exists(id: &ConnectionId) -> CliError {
    CliError::usage(format!(
        "there is a connection {id} already; give it a new key with --replace-key, or choose another --id"
    ))
}
