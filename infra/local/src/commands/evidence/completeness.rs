//! `completeness`: how completely the lists behind a client's evidence were read.

use super::{heading, latest};
use crate::arguments::OfClientAsOf;
use crate::commands::faults;
use crate::outcome::CliError;
use crate::render;
use common::api::views::CompletenessList;
use common::domain::completeness::ListCompleteness;

pub async fn run(options: OfClientAsOf) -> Result<(), CliError> {
    let evidence = latest(&options, None).await?;
    let list = CompletenessList::try_from(evidence.as_slice()).map_err(faults::of_evidence)?;
    if options.json {
        return render::json(&list);
    }
    let mut text = String::new();
    for (evidence, view) in evidence.iter().zip(&list.completeness) {
        text += &heading(evidence, options.as_of);
        text += &if view.lists.is_empty() {
            "this evidence is older than this record; the next sync has one\n".to_owned()
        } else {
            shown(&view.lists)
        };
        text += "\n";
    }
    render::text(&text)
}

fn shown(lists: &[ListCompleteness]) -> String {
    let mut table =
        render::table(&["list", "request", "pages", "records", "different", "dropped", "read", "another source"]);
    for list in lists {
        let dropped: u64 = list.dropped.values().sum();
        let other = match (&list.expected, list.matches) {
            (Some(expected), Some(true)) => format!("agrees: {}", expected.count),
            (Some(expected), _) => format!("DIFFERS: {} of {}", expected.found, expected.count),
            (None, _) => "none".to_owned(),
        };
        table.add_row([
            list.list.clone(),
            list.request.clone(),
            list.pages.to_string(),
            list.records.to_string(),
            list.unique.to_string(),
            dropped.to_string(),
            if list.whole { "whole" } else { "CUT at its cap" }.to_owned(),
            other,
        ]);
    }
    format!("{table}\n")
}
