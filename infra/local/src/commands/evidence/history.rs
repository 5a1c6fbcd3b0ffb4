//! `history`: the values of one metric, the outcomes of a rule or the statuses of a control over time.

use crate::arguments::{StorageArgs, instant};
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::api::views::HistoryList;
use common::app::evidence::HistoryRequest;
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::time::Window;
use common::store::EvidenceOwner;

#[derive(Debug, Args)]
pub struct Options {
    /// The metric, e.g. agents_online_percentage, a value of a signal, e.g. workforce_coverage.coverage_pct, a rule, e.g. edr-online, or a control, e.g. "SOC 2 CC6.8"
    pub metric: String,
    /// The client; the company's own evidence when none is given
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// From this instant on; a year ago when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// Up to this instant; now when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let owner = options.client.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
    let Ok(evidence) = stack.parts.evidence();
    let wanted = HistoryRequest { key: &options.metric, from: options.from, to: options.to };
    let history = evidence.history(&options.storage.company, &owner, wanted, Window::ALL).await;
    let history = history.map_err(faults::of_evidence)?;
    stack.close().await;
    if history.values.is_empty() {
        let why = if history.pieces == 0 {
            "there is no evidence in that time"
        } else {
            "the evidence has no such metric, and no rule or control of that name was evaluated"
        };
        return Err(CliError::other(format!("no values of {}: {why}", options.metric)));
    }
    if options.json {
        return render::json(&HistoryList::of(options.metric, options.client, history));
    }
    let mut table = render::table(&["as of", &options.metric, "connection", "run"]);
    for value in &history.values {
        table.add_row([
            render::time(value.as_of),
            render::measured(value.value.as_deref(), value.reason.as_deref(), &value.unit),
            value.connection.to_string(),
            if value.unlogged { format!("{} (unlogged)", value.run_id) } else { value.run_id.to_string() },
        ]);
    }
    render::text(&format!("{table}\n"))
}
