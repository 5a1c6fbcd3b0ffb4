//! `controls`: those that a client's evidence supports.

use crate::arguments::OfClient;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::ControlList;
use common::app::evidence::{RuleResult, Span, Support};
use common::app::stack::Stack;

pub async fn run(options: OfClient) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let controls = evidence.controls(&options.storage.company, &options.client, Span::ALL).await;
    let controls = controls.map_err(faults::of_evidence)?;
    stack.close().await;
    let Some(controls) = controls else {
        return Err(CliError::other(format!(
            "there is no evidence of a client {}; see: huntress-evidence connections",
            options.client
        )));
    };
    if options.json {
        return render::json(&ControlList::of(options.client, controls));
    }
    let mut table = render::table(&["framework", "control", "status", "values", "supported by", "strength"]);
    for control in &controls.controls {
        let joined = |part: fn(&Support) -> &str| control.evidence.iter().map(part).collect::<Vec<_>>().join("\n");
        table.add_row([
            format!("{} {}", control.framework, control.version),
            control.id.clone(),
            control.status.as_ref().map(|status| status.text.clone()).unwrap_or_default(),
            values(&control.rules),
            joined(|support| &support.evidence),
            joined(|support| &support.strength),
        ]);
    }
    let versions: Vec<&str> = controls.map_versions.iter().map(String::as_str).collect();
    render::text(&format!("{table}\ncontrol map {}\n", versions.join(", ")))
}

/// What the rules said, a line each.
fn values(rules: &[RuleResult]) -> String {
    let line = |result: &RuleResult| {
        let rule = result.rule.as_ref()?;
        let value = result.value.as_deref().unwrap_or("unknown");
        Some(format!("{rule} {value}: {}", result.status.text))
    };
    rules.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}
