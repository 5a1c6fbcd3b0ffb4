//! `people`: where they stand.

use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, faults, open, open_to_read};
use crate::outcome::CliError;
use crate::render;
use clap::{Args, ValueEnum};
use common::api::views::PeopleReport;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;
use common::domain::people::status::PersonStatus;

/// A status, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StatusName {
    /// Done with everything that they are enrolled in
    Compliant,
    /// Not done with something
    #[value(alias = "not-compliant")]
    NotCompliant,
    /// Enrolled in nothing that counts
    #[value(alias = "not-enrolled")]
    NotEnrolled,
    /// It cannot be said
    Unknown,
}

impl From<StatusName> for PersonStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Compliant => Self::Compliant,
            StatusName::NotCompliant => Self::NotCompliant,
            StatusName::NotEnrolled => Self::NotEnrolled,
            StatusName::Unknown => Self::Unknown,
        }
    }
}

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// Only people of this status
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StatusName>,
    /// Open names and e-mail addresses, in the privacy mode full; that is kept, with the reason
    #[arg(long, requires = "reason")]
    pub names: bool,
    /// Why names are opened
    #[arg(long, value_name = "TEXT", requires = "names")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    // That names were opened is written down.
    let (stack, _) = if options.names { open(&options.storage).await? } else { open_to_read(&options.storage).await? };
    let Ok(service) = stack.parts.people();
    let (company, id) = (&options.storage.company, &options.connection);
    let status = options.status.map(Into::into);
    let (people, summary) = service.people(company, id, status).await.map_err(|error| faults::of_people(error, id))?;
    let identities = match &options.reason {
        Some(reason) => {
            let opened = service.identities(company, id, &people, &by(&options.actor), reason).await;
            Some(opened.map_err(|error| faults::of_people(error, id))?)
        }
        None => None,
    };
    let connection = service.connection(company, id).await.map_err(|error| faults::of_people(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&PeopleReport::of(people, identities, summary, &connection));
    }
    render::text(&render::people(&people, identities.as_deref(), &summary, &connection))
}
