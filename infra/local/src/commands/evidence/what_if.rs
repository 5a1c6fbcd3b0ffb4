//! `what-if`: the days of a window under other limits; differences only, and nothing is stored.

use crate::arguments::StorageArgs;
use crate::commands::decisions::{day, fault, policy_file};
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use crate::stack::LocalStack;
use chrono::NaiveDate;
use clap::Args;
use common::app::evidence::{WhatIf, WhatIfAnswer, WhatIfSide};
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::policy::{Policy, PolicyVersion, limit_changes};
use common::domain::text::counted;
use common::domain::time::Window;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Options {
    /// The client
    pub client: ClientId,
    /// A file with a policy, or the name of one that there is
    #[arg(long, value_name = "FILE|NAME[@VERSION]")]
    pub policy: Option<String>,
    /// Another limit of a rule, e.g. edr-online.pass=90; can be repeated
    #[arg(long, value_name = "RULE.pass|warning=N")]
    pub set: Vec<String>,
    /// As if an agent were online up to so many hours after its last call
    #[arg(long, value_name = "HOURS")]
    pub online_within_hours: Option<u32>,
    /// As if an agent were missing so many days after its last call
    #[arg(long, value_name = "DAYS")]
    pub missing_after_days: Option<u32>,
    /// The first day; 30 days up to the last one when it is not given
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<NaiveDate>,
    /// The last day; today when it is not given
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: Option<NaiveDate>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let limits = limit_changes(options.set.iter().map(String::as_str));
    let limits = limits.map_err(|error| CliError::usage(error.to_string()))?;
    let (stack, _) = open_to_read(&options.storage).await?;
    let policy = match &options.policy {
        Some(named) => Some(policy(&stack, &options, named).await?),
        None => None,
    };
    let wanted = WhatIf {
        policy,
        limits,
        online_within_hours: options.online_within_hours,
        missing_after_days: options.missing_after_days,
        from: options.from,
        to: options.to,
    };
    let Ok(evidence) = stack.parts.evidence();
    let answer = evidence.what_if(&options.storage.company, &options.client, &wanted, Window::ALL).await;
    let answer = answer.map_err(faults::of_question)?;
    stack.close().await;
    if options.json {
        return render::json(&answer);
    }
    render::text(&text(&answer))
}

/// The policy of a file, or one that there is.
async fn policy(stack: &LocalStack, options: &Options, named: &str) -> Result<Arc<Policy>, CliError> {
    if Path::new(named).exists() {
        let policy = Policy::parse(&policy_file(Path::new(named))?);
        return policy.map(Arc::new).map_err(|error| CliError::usage(error.to_string()));
    }
    let (name, version) = named.split_once('@').map_or((named, None), |(name, version)| (name, Some(version)));
    let version = version.map(PolicyVersion::parse).transpose().map_err(|error| CliError::usage(error.to_string()))?;
    let Ok(decisions) = stack.parts.decisions();
    decisions.policy(&options.storage.company, name, version).await.map_err(fault)
}

fn text(answer: &WhatIfAnswer) -> String {
    let side = |side: &WhatIfSide| {
        let value = side.value.as_ref().map_or_else(String::new, |value| format!(" ({value})"));
        format!("{}{value}", side.outcome)
    };
    let mut text = format!(
        "{} from {} to {}, {} evaluated again\n\n",
        answer.client_id,
        answer.from,
        answer.to,
        counted(answer.evaluated, "piece of evidence", "pieces of evidence"),
    );
    if answer.rows.is_empty() {
        text += "nothing would differ\n";
    } else {
        let mut table = render::table(&["day", "rule", "as committed", "as tried out", "connection"]);
        for row in &answer.rows {
            table.add_row([
                row.day.to_string(),
                row.rule.to_string(),
                side(&row.before),
                side(&row.after),
                row.connection.to_string(),
            ]);
        }
        text += &format!("{table}\n{} of the days differ; nothing was stored\n", answer.days_changed);
    }
    if answer.without_facts > 0 {
        text += &format!("left out, because it is older than facts: {}\n", answer.without_facts);
    }
    text
}
