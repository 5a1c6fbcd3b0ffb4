//! `metrics`: the latest endpoint evidence.

use super::{heading, passed_over};
use crate::arguments::{StorageArgs, instant};
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::api::views::EvidenceList;
use common::app::stack::Stack;
use common::domain::evidence::EdrBundle;
use common::domain::id::ClientId;
use common::domain::product::Product;
use common::domain::text::line;
use common::domain::time::Window;
use common::store::EvidenceOwner;

#[derive(Debug, Args)]
pub struct Options {
    /// A connection, for its company's own evidence, or a client
    #[arg(value_name = "CONNECTION|CLIENT")]
    pub subject: String,
    /// The newest evidence of this instant or before it (RFC 3339) instead of the newest of all
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    // A name that is neither is a mistake of whoever typed it.
    ClientId::parse(&options.subject).map_err(|error| CliError::usage(error.to_string()))?;
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let span = Window::ALL.until(options.as_of);
    let named = evidence.named(&options.storage.company, &options.subject, Product::Edr, span).await;
    let (latest, is_connection) = named.map_err(|error| faults::unusable(&error))?;
    if latest.is_empty() {
        let owner = match (is_connection, ClientId::parse(&options.subject)) {
            (false, Ok(client)) => EvidenceOwner::Client(client),
            _ => EvidenceOwner::Company,
        };
        let ahead = evidence.dated_ahead(&options.storage.company, &owner, Product::Edr).await;
        let ahead = ahead.map_err(|error| faults::unusable(&error))?;
        let mut nothing = nothing_yet(&options.subject, is_connection);
        if let Some(as_of) = options.as_of {
            nothing = format!("until {}: {nothing}", render::time(as_of));
        }
        return Err(CliError::other(
            ahead.map_or(nothing.clone(), |ahead| format!("{nothing}; {}", passed_over(ahead))),
        ));
    }
    // What a connection gave that is gone is the company's own.
    let coverage = match latest.first().map(|evidence| &evidence.stored.owner) {
        Some(EvidenceOwner::Client(client)) => {
            evidence.latest_with_coverage(&options.storage.company, client, span).await.map(|(_, coverage)| coverage)
        }
        _ => Ok(None),
    };
    let coverage = coverage.map_err(faults::of_evidence)?;
    stack.close().await;
    if options.json {
        let list = EvidenceList::try_from(latest).map_err(faults::of_evidence)?;
        return render::json(&EvidenceList { endpoint_coverage: coverage, ..list });
    }
    let mut text = String::new();
    for evidence in &latest {
        let bundle: EdrBundle = evidence.bundle().map_err(faults::of_evidence)?;
        text += &format!("{}{}\n", heading(evidence, options.as_of), render::metrics(&bundle));
    }
    if let Some(coverage) = coverage {
        text += &format!("{}\n", line(&coverage.text()));
    }
    render::text(&text)
}

fn nothing_yet(subject: &str, is_connection: bool) -> String {
    if is_connection {
        format!("connection {subject} has no evidence yet; see: huntress-evidence runs {subject}")
    } else {
        format!(
            "there is no connection {subject}, and no evidence of a client {subject}; see: huntress-evidence connections"
        )
    }
}
