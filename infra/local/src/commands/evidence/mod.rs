//! Evidence as it is stored.

pub mod controls;
pub mod history;
pub mod metrics;
pub mod signals;

use crate::render;
use chrono::{DateTime, Utc};
use common::app::evidence::Evidence;
use common::domain::text::line;
use common::store::EvidenceOwner;

/// That there is evidence which a wrong clock has dated.
fn passed_over(ahead: DateTime<Utc>) -> String {
    format!(
        "evidence dated {} is passed over: that lies ahead, so the clock of whoever made it was wrong, or this one is",
        render::time(ahead)
    )
}

/// Whose evidence it is, how old, and the three times that an auditor asks for.
fn heading(evidence: &Evidence) -> String {
    let stored = &evidence.stored;
    let whose = match &stored.owner {
        EvidenceOwner::Company => "the company over all its organizations".to_owned(),
        EvidenceOwner::Client(client) => format!("client {client}"),
    };
    let age = evidence.age();
    let stale = if age.stale { ", STALE" } else { "" };
    let mut text = format!(
        "evidence of {whose}, connection {}, run {}\nage {} h{stale}",
        stored.connection,
        stored.run_id,
        age.age.num_hours(),
    );
    if let Some(connection) = &evidence.connection {
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
    if let Some(ahead) = evidence.dated_ahead {
        text += &format!("\n{}", passed_over(ahead));
    }
    text + "\n\n"
}
