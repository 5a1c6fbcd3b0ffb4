//! `controls`: those that a client's evidence supports.

use crate::arguments::OfClientAsOf;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::ControlList;
use common::app::evidence::{RuleResult, Support};
use common::app::stack::Stack;
use common::domain::control_status::ControlStatus;
use common::domain::evidence::Reason;
use common::domain::policy::MetricDefinition;
use common::domain::text::line;
use common::domain::time::Window;

pub async fn run(options: OfClientAsOf) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let controls = evidence.controls(&options.storage.company, &options.client, Window::ALL.until(options.as_of)).await;
    let controls = controls.map_err(faults::of_evidence)?;
    stack.close().await;
    let Some(controls) = controls else {
        let until = options.as_of.map_or_else(String::new, |as_of| format!(" until {}", render::time(as_of)));
        return Err(CliError::other(format!(
            "there is no evidence of a client {}{until}; see: huntress-evidence connections",
            options.client
        )));
    };
    if options.json {
        return render::json(&ControlList::of(options.client, controls));
    }
    let mut table = render::table(&["framework", "control", "status", "age", "values", "supported by", "strength"]);
    for control in &controls.controls {
        let joined = |part: fn(&Support) -> &str| control.evidence.iter().map(part).collect::<Vec<_>>().join("\n");
        table.add_row([
            format!("{} {}", control.framework, control.version),
            control.id.clone(),
            control.status.as_ref().map(|status| status.text.clone()).unwrap_or_default(),
            age(control.status.as_ref()),
            values(&control.rules),
            joined(|support| &support.evidence),
            joined(|support| &support.strength),
        ]);
    }
    let versions: Vec<&str> = controls.map_versions.iter().map(String::as_str).collect();
    let coverage = controls.endpoint_coverage.map_or_else(String::new, |it| format!("{}\n", line(&it.text())));
    render::text(&format!("{table}\n{coverage}control map {}\n", versions.join(", ")))
}

/// How old the evidence behind a status is.
fn age(status: Option<&ControlStatus>) -> String {
    status.and_then(|status| status.age_hours).map_or_else(|| "-".to_owned(), |hours| format!("{hours} h"))
}

/// What the rules said, a line each, worst first.
fn values(rules: &[RuleResult]) -> String {
    let mut rules: Vec<&RuleResult> = rules.iter().collect();
    rules.sort_by_key(|result| result.outcome.rank());
    rules.into_iter().filter_map(value).collect::<Vec<_>>().join("\n")
}

/// What a rule said of which value, and why where the value does not say it; nothing where no rule was chosen.
fn value(result: &RuleResult) -> Option<String> {
    let rule = result.rule.as_ref()?;
    let unit = result.key.as_deref().and_then(MetricDefinition::find).map_or("", |metric| metric.kind.unit());
    let value = match (&result.value, result.reason) {
        (Some(value), _) => format!("{value}{unit}"),
        (None, Some(Reason::NothingToMeasure)) => "nothing to measure".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    let why = match (&result.value, result.reason) {
        (Some(_), Some(reason)) => format!(" ({reason})"),
        (None, Some(reason)) if reason != Reason::NothingToMeasure => format!(" ({reason})"),
        _ => String::new(),
    };
    Some(format!("{rule} {value}: {}{why}", result.status.text))
}
