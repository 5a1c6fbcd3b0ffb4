//! The training of people: picking, looking, resetting, certificates, erasing.

use super::connections::{said, stored};
use super::{by, open};
use crate::arguments::{
    CertificateOf, Erase, OfConnection, OfPerson, People, Pick, Privacy, ProviderOf, Reset, StorageArgs,
};
use crate::outcome::CliError;
use crate::render;
use common::app::people::{Choice, KeyringError, PeopleError, PeopleService};
use common::domain::id::ConnectionId;
use common::domain::sat::person::PrivacyMode;
use common::store::StoreError;
use huntress_evidence::stack::LocalStack;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// A fault at the desk, with what it was about.
fn fault(error: PeopleError, connection: &ConnectionId) -> CliError {
    match error {
        PeopleError::Failed(failure) => failure.into(),
        PeopleError::Refused(line) => CliError::usage(line),
        PeopleError::Store(StoreError::NotFound { record: "person" }) => {
            CliError::other(format!("there is no such person; see: huntress-evidence people {connection}"))
        }
        PeopleError::Store(StoreError::NotFound { record: "certificate" }) => CliError::other(format!(
            "there is no certificate of this person; see: huntress-evidence person {connection} PERSON"
        )),
        PeopleError::Store(error) => stored(error, connection),
        PeopleError::PeopleKeyring(KeyringError::NothingSealed) => CliError::other(format!(
            "{}; see: huntress-evidence privacy {connection} full",
            KeyringError::NothingSealed
        )),
        PeopleError::PeopleKeyring(error) => CliError::other(error.to_string()),
    }
}

async fn desk(place: &StorageArgs) -> Result<(LocalStack, PeopleService), CliError> {
    let (stack, _) = open(place).await?;
    let desk = stack.desk();
    Ok((stack, desk))
}

pub async fn assignments(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let listed = stack.picker().assignments(&options.place.company, &options.connection).await;
    let (assignments, gone) = listed.map_err(|error| fault(error, &options.connection))?;
    stack.close().await;
    if options.json {
        return render::json(&json!({"assignments": assignments, "picked_but_missing": gone}));
    }
    render::text(&render::assignments(&assignments, &gone))
}

pub async fn pick(options: Pick) -> Result<(), CliError> {
    let picks = match (options.assignments.is_empty(), options.none) {
        (false, _) => Some(options.assignments.into_iter().collect()),
        (true, true) => Some(common::domain::sat::selection::SelectedAssignments::new()),
        (true, false) if options.recertify_after_days.is_some() || options.max_activity.is_some() => None,
        (true, false) => {
            return Err(CliError::usage(format!(
                "name the assignments, or say --none; see: huntress-evidence assignments {}",
                options.connection
            )));
        }
    };
    let recertify_after_days = options.recertify_after_days.map(|days| Some(days).filter(|days| *days > 0));
    let (stack, _) = open(&options.place).await?;
    let choice = Choice { picks, recertify_after_days, max_activity: options.max_activity };
    let picked = stack.picker().pick(&options.place.company, &options.connection, choice).await;
    let connection = picked.map_err(|error| fault(error, &options.connection))?;
    stack.close().await;
    let people = &connection.people;
    let next = match people.mode {
        _ if people.picks.is_empty() => "follows nobody".to_owned(),
        PrivacyMode::Aggregate => format!(
            "has picked {}; nobody is followed in the privacy mode aggregate: choose pseudonymous or full with huntress-evidence privacy {}",
            render::ids(&people.picks),
            connection.id
        ),
        mode => format!(
            "follows people in {}, in the privacy mode {mode}, from the next sync on",
            render::ids(&people.picks)
        ),
    };
    said(&connection, options.json, &next)
}

pub async fn privacy(options: Privacy) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let mode = PrivacyMode::from(options.mode);
    let set = desk.set_mode(&options.place.company, &options.connection, mode, options.erase).await;
    let connection = set.map_err(|error| match error {
        PeopleError::Refused(line) => CliError::usage(format!("{line} with --erase")),
        error => fault(error, &options.connection),
    })?;
    close(stack, options.erase).await?;
    let next = match connection.people.is_on() {
        true => "".to_owned(),
        false if mode == PrivacyMode::Aggregate => "; nobody is followed".to_owned(),
        false => format!(
            "; nobody is followed before assignments are picked: huntress-evidence assignments {}",
            connection.id
        ),
    };
    said(&connection, options.json, &format!("is in the privacy mode {mode}{next}"))
}

/// Ends the stack; after an erasing, the data file is written anew without what was erased.
async fn close(stack: LocalStack, erased: bool) -> Result<(), CliError> {
    if !erased {
        stack.close().await;
        return Ok(());
    }
    stack.close_and_compact().await.map_err(|error| {
        CliError::other(format!(
            "it was erased, but its bytes are still in free pages of the data file: {error}; erase again"
        ))
    })
}

pub async fn people(options: People) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let status = options.status.map(Into::into);
    let (people, summary) = desk.people(company, id, status).await.map_err(|error| fault(error, id))?;
    let identities = match &options.reason {
        Some(reason) => {
            let opened = desk.identities(company, id, &people, &by(&options.who), reason).await;
            Some(opened.map_err(|error| fault(error, id))?)
        }
        None => None,
    };
    let connection = desk.connection(company, id).await.map_err(|error| fault(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&render::people_json(&people, identities.as_deref(), &summary, &connection));
    }
    render::text(&render::people(&people, identities.as_deref(), &summary, &connection))
}

pub async fn person(options: OfPerson) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let record = desk.person(company, id, &options.person).await.map_err(|error| fault(error, id))?;
    let events = desk.events(company, id, &record.person).await.map_err(|error| fault(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&render::person_json(&record, &events));
    }
    render::text(&render::person(&record, &events))
}

pub async fn onboarding(options: OfPerson) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let prompt = desk.onboarding(&options.place.company, &options.connection, &options.person).await;
    let prompt = prompt.map_err(|error| fault(error, &options.connection))?;
    stack.close().await;
    if options.json {
        return render::json(&prompt);
    }
    render::text(&render::onboarding(&prompt))
}

pub async fn reset(options: Reset) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let reset = desk.reset(company, id, &options.person, &by(&options.who), &options.reason).await;
    let record = reset.map_err(|error| fault(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&render::person_json(&record, &[]));
    }
    render::text(&format!("{} is unknown until the next sync evaluates them by the source\n", record.person))
}

pub async fn certificate(options: CertificateOf) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, id, path) = (&options.place.company, &options.connection, &options.output);
    let who = by(&options.who);
    let opened = desk.certificate(company, id, &options.person, options.assignment.as_ref(), (&who, &options.reason));
    let opened = opened.await.map_err(|error| fault(error, id))?;
    stack.close().await;
    // A certificate names a person: only who asked can read the file, and no other is overwritten.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(&opened.bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| CliError::other(format!("{}: {error}", path.display())))?;
    if options.json {
        return render::json(&json!({
            "file": path, "assignment": opened.assignment, "sha256": opened.stored.sha256, "bytes": opened.stored.bytes,
            "content_type": opened.stored.content_type, "fetched_at": opened.stored.fetched_at, "source": opened.stored.source,
        }));
    }
    render::text(&format!(
        "{}: {} of assignment {}, {} bytes, SHA-256 {}, fetched {}\n",
        path.display(),
        opened.stored.content_type,
        opened.assignment,
        opened.stored.bytes,
        opened.stored.sha256,
        render::time(opened.stored.fetched_at)
    ))
}

pub async fn erase(options: Erase) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let erased = match &options.person {
        Some(person) => desk.erase_person(company, id, person).await,
        None => desk.erase_everybody(company, id).await,
    };
    erased.map_err(|error| fault(error, id))?;
    let follows = stack.store.connection(company, id).await.map_err(|error| stored(error, id))?;
    close(stack, true).await?;
    let whom = if options.everybody { "everybody of the connection is" } else { "the person is" };
    let next = match follows {
        Some(connection) if connection.people.is_on() => {
            "; whoever Huntress still lists is found again by the next sync, as somebody new"
        }
        _ => "",
    };
    render::text(&format!("{whom} erased, and the data file is compacted; the evidence stays{next}\n"))
}

pub async fn provider(options: ProviderOf) -> Result<(), CliError> {
    let (stack, desk) = desk(&options.place).await?;
    let (company, client) = (&options.place.company, &options.client);
    let unusable = |error: StoreError| CliError::other(format!("the data file cannot be used: {error}"));
    let provider = match &options.connection {
        Some(id) => {
            let named = desk.name_provider(company, client, id, &by(&options.who)).await;
            Some(named.map_err(|error| fault(error, id))?)
        }
        None if options.none => {
            let now = stack.huntress.instant();
            stack.store.forget_provider(company, client, now, &by(&options.who)).await.map_err(unusable)?;
            None
        }
        None => stack.store.provider(company, client).await.map_err(unusable)?,
    };
    stack.close().await;
    if options.json {
        return render::json(&json!({"client": client, "provider": provider}));
    }
    render::text(&match provider {
        Some(provider) => format!(
            "the security-awareness training of {client} is provided by the connection {}, since {}\n",
            provider.connection,
            render::time(provider.since)
        ),
        None => format!("no connection is named as the provider of the security-awareness training of {client}\n"),
    })
}
