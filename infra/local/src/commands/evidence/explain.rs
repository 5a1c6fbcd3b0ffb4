//! `explain`: how a number came about, what a rule said of it, and what would change that.

use crate::arguments::{StorageArgs, instant};
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::app::evidence::ExplainedEvidence;
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::policy::{Explanation, RuleExplanation};
use common::domain::time::Window;
use std::fmt::Write;

#[derive(Debug, Args)]
pub struct Options {
    /// The client
    pub client: ClientId,
    /// A rule, e.g. edr-online, or a metric, e.g. agents_online_percentage
    #[arg(value_name = "RULE|KEY")]
    pub key: String,
    /// By the newest evidence of this instant or before it (RFC 3339), under the rules of then
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let span = Window::ALL.until(options.as_of);
    let explained = evidence.explain(&options.storage.company, &options.client, &options.key, span).await;
    let explained = explained.map_err(faults::of_question)?;
    stack.close().await;
    if options.json {
        return render::json(&explained);
    }
    render::text(&text(&explained))
}

fn text(explained: &ExplainedEvidence) -> String {
    let ExplainedEvidence { explanation, .. } = explained;
    let mut text = format!("{}\n", number(explanation));
    // Writing to a text does not fail.
    if let Some(rule) = &explanation.rule {
        let _ = write!(text, "{}", ruled(rule, explained.committed));
    }
    let _ = writeln!(
        text,
        "\nfrom the evidence of {} as of {}, connection {}, run {}",
        explained.client_id,
        render::time(explained.as_of),
        explained.connection,
        explained.run_id,
    );
    if let Some(agents) = explained.agents {
        let _ = writeln!(
            text,
            "an agent is online up to {} h after its last call, and missing after {} days",
            agents.online_within_hours, agents.missing_after_days
        );
    }
    if !explained.requests.is_empty() {
        let mut table = render::table(&["list", "request", "pages", "records", "whole"]);
        for list in &explained.requests {
            table.add_row([
                list.list.clone(),
                list.request.clone(),
                list.pages.to_string(),
                list.records.to_string(),
                if list.whole { "yes" } else { "no, cut at its cap" }.to_owned(),
            ]);
        }
        let _ = write!(text, "\n{table}\n");
    }
    text
}

/// The formula with its numbers.
fn number(explanation: &Explanation) -> String {
    let unit = if explanation.unit.is_empty() { String::new() } else { format!(" {}", explanation.unit) };
    let result = match (&explanation.value, explanation.null_reason) {
        (Some(value), _) => format!("{value}{unit}"),
        (None, Some(reason)) => format!("unknown: {}", reason.to_string().replace('_', " ")),
        (None, None) => "unknown".to_owned(),
    };
    let numbers: Vec<String> = explanation.numbers.iter().map(|it| format!("{} {}", it.value, it.what)).collect();
    let mut text = format!("{} = {result}\n  {}", explanation.metric, explanation.formula);
    if !numbers.is_empty() {
        text += &format!("\n  {}", numbers.join(", "));
    }
    if explanation.uncertain {
        let end =
            |end: &Option<String>| end.as_ref().map_or_else(|| "nobody knows".to_owned(), |it| format!("{it}{unit}"));
        text += &format!(
            "\n  with what is unknown: at the least {}, at the most {}",
            end(&explanation.least),
            end(&explanation.greatest)
        );
    }
    text
}

fn ruled(rule: &RuleExplanation, committed: bool) -> String {
    let because = rule.reason.map_or_else(String::new, |reason| format!(", {}", reason.to_string().replace('_', " ")));
    let mut text = format!(
        "\n{} of {} {}: {}\n  → {}{because}\n",
        rule.rule, rule.policy.policy, rule.policy.version, rule.limit, rule.outcome
    );
    if !committed {
        text += "  chosen after this evidence: it counts from the next sync on\n";
    }
    for need in &rule.needs {
        let there = need.value.as_deref().unwrap_or("unknown");
        text += &format!("  applies from {} {} on; there are {there}\n", need.at_least, need.metric);
    }
    if let (Some(least), Some(greatest)) = (rule.if_least, rule.if_greatest) {
        text += &format!("  the least value would be {least}, the greatest {greatest}\n");
    }
    for change in &rule.changes {
        text += &match change.outcome {
            common::domain::policy::Outcome::NotEvaluated => format!("  missing: {}\n", change.text),
            outcome => format!("  {outcome} with {}\n", change.text),
        };
    }
    text
}
