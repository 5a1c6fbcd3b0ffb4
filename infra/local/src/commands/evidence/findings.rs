//! `findings`: which records pull a client's numbers down.

use super::{heading, latest};
use crate::arguments::OfClientAsOf;
use crate::commands::faults;
use crate::outcome::CliError;
use crate::render;
use common::api::views::FindingsList;
use common::domain::edr::findings::{FindingKind, Findings};
use common::domain::product::Product;
use common::domain::text::line;

/// Findings of one kind in a table; all of them are in the JSON.
const SHOWN: usize = 10;

pub async fn run(options: OfClientAsOf) -> Result<(), CliError> {
    let evidence = latest(&options, Some(Product::Edr)).await?;
    let list = FindingsList::try_from(evidence.as_slice()).map_err(faults::of_evidence)?;
    if options.json {
        return render::json(&list);
    }
    let mut text = String::new();
    for (evidence, view) in evidence.iter().zip(&list.findings) {
        text += &heading(evidence);
        text += &match &view.findings {
            Some(findings) => shown(findings),
            None => "this evidence is older than findings are; the next sync has some\n".to_owned(),
        };
        text += "\n";
    }
    render::text(&text)
}

fn shown(findings: &Findings) -> String {
    if findings.total.values().all(|count| *count == 0) {
        return "nothing pulls a number down\n".to_owned();
    }
    let mut table = render::table(&["kind", "id", "organization", "severity", "since"]);
    let mut more = String::new();
    for kind in FindingKind::ALL {
        let of_kind = || findings.items.iter().filter(|finding| finding.kind == kind);
        for finding in of_kind().take(SHOWN) {
            table.add_row([
                kind.as_str().to_owned(),
                line(&finding.id),
                finding.organization_id.as_deref().map_or_else(|| "-".to_owned(), line),
                finding.severity.map_or("-", |severity| severity.as_str()).to_owned(),
                render::time_or_dash(finding.since),
            ]);
        }
        let total = findings.total.get(&kind).copied().unwrap_or(0);
        let shown = of_kind().count().min(SHOWN) as u64;
        if total > shown {
            more += &format!("{kind}: the {shown} oldest of {total}\n", kind = kind.as_str());
        }
    }
    format!("{table}\n{more}")
}
