//! Evidence as it is stored.

pub mod completeness;
pub mod controls;
pub mod explain;
pub mod findings;
pub mod forecast;
pub mod history;
pub mod metrics;
pub mod signals;
pub mod what_if;

use crate::arguments::OfClientAsOf;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use common::app::evidence::Evidence;
use common::app::stack::Stack;
use common::domain::product::Product;
use common::domain::text::line;
use common::domain::time::Window;
use common::store::EvidenceOwner;

/// That there is evidence which a wrong clock has dated.
fn passed_over(ahead: DateTime<Utc>) -> String {
    format!(
        "evidence dated {} is passed over: that lies ahead, so the clock of whoever made it was wrong, or this one is",
        render::time(ahead)
    )
}

/// The newest evidence of a client until an instant, of a product or of both; that there is none is an error.
async fn latest(options: &OfClientAsOf, product: Option<Product>) -> Result<Vec<Evidence>, CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let owner = EvidenceOwner::Client(options.client.clone());
    let Ok(reader) = stack.parts.evidence();
    let span = Window::ALL.until(options.as_of);
    let latest = reader.latest(&options.storage.company, &owner, product, span).await;
    let latest = latest.map_err(|error| faults::unusable(&error))?;
    stack.close().await;
    if latest.is_empty() {
        let until = options.as_of.map_or_else(String::new, |as_of| format!(" until {}", render::time(as_of)));
        let kind = if product.is_some() { "endpoint evidence" } else { "evidence" };
        return Err(CliError::other(format!(
            "there is no {kind} of a client {}{until}; see: huntress-evidence connections",
            options.client
        )));
    }
    Ok(latest)
}

/// Whose evidence it is, how old, and the three times that an auditor asks for; how old it was, where the reading is as of an instant.
fn heading(evidence: &Evidence, as_of: Option<DateTime<Utc>>) -> String {
    let stored = &evidence.stored;
    let whose = match &stored.owner {
        EvidenceOwner::Company => "the company over all its organizations".to_owned(),
        EvidenceOwner::Client(client) => format!("client {client}"),
    };
    let age = evidence.age();
    let stale = if age.stale { ", STALE" } else { "" };
    let mut text = format!(
        "evidence of {whose}, connection {}, run {}\nage {} h{stale}{}",
        stored.connection,
        stored.run_id,
        age.age.num_hours(),
        as_of.map_or_else(String::new, |as_of| format!(" at {}", render::time(as_of))),
    );
    // How the connection stands now says nothing of then.
    if let (Some(connection), None) = (&evidence.connection, as_of) {
        text += &format!(
            " · last attempt {} · last success {} · next run {}",
            render::time_or_dash(connection.last_attempt_at),
            render::time_or_dash(connection.last_success_at),
            if connection.paused { "paused".to_owned() } else { render::time_or_dash(connection.next_run_at) },
        );
        if let Some(failure) = &connection.last_failure {
            text += &format!("\nthe last run failed: {}", line(&failure.to_string()));
        }
    }
    if stored.leaf.is_none() {
        text += "\nunlogged: it is from before the evidence log, so nothing proves it";
    }
    if let Some(ahead) = evidence.dated_ahead {
        text += &format!("\n{}", passed_over(ahead));
    }
    text + "\n\n"
}
