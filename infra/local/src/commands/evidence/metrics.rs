//! `metrics`: the latest endpoint evidence.

use super::heading;
use crate::arguments::StorageArgs;
use crate::commands::{faults, open};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::EvidenceList;
use common::app::stack::Stack;
use common::domain::evidence::EdrBundle;
use common::domain::id::ClientId;
use common::domain::product::Product;

#[derive(Debug, Args)]
pub struct Options {
    /// A connection, for its company's own evidence, or a client
    #[arg(value_name = "CONNECTION|CLIENT")]
    pub subject: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    // A name that is neither is a mistake of whoever typed it.
    ClientId::parse(&options.subject).map_err(|error| CliError::usage(error.to_string()))?;
    let (stack, _) = open(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let named = evidence.named(&options.storage.company, &options.subject, Product::Edr).await;
    let (latest, is_connection) = named.map_err(|error| faults::unusable(&error))?;
    stack.close().await;
    if latest.is_empty() {
        return Err(CliError::other(nothing_yet(&options.subject, is_connection)));
    }
    if options.json {
        return render::json(&EvidenceList::try_from(latest).map_err(faults::of_evidence)?);
    }
    let mut text = String::new();
    for evidence in &latest {
        let bundle: EdrBundle = evidence.bundle().map_err(faults::of_evidence)?;
        text += &format!("{}{}\n", heading(evidence), render::metrics(&bundle));
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
