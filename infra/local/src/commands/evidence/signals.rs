//! `signals`: the latest training evidence of a client.

use super::{heading, passed_over};
use crate::arguments::OfClientAsOf;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::EvidenceList;
use common::app::stack::Stack;
use common::domain::product::Product;
use common::domain::sat::bundle::SatBundle;
use common::domain::time::Window;
use common::store::EvidenceOwner;

pub async fn run(options: OfClientAsOf) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let owner = EvidenceOwner::Client(options.client.clone());
    let Ok(evidence) = stack.parts.evidence();
    let latest =
        evidence.latest(&options.storage.company, &owner, Some(Product::Sat), Window::ALL.until(options.as_of)).await;
    let latest = latest.map_err(|error| faults::unusable(&error))?;
    if latest.is_empty() {
        let ahead = evidence.dated_ahead(&options.storage.company, &owner, Product::Sat).await;
        let ahead = ahead.map_err(|error| faults::unusable(&error))?;
        let until = options.as_of.map_or_else(String::new, |as_of| format!(" until {}", render::time(as_of)));
        return Err(CliError::other(format!(
            "there is no training evidence of a client {}{until}; {}",
            options.client,
            ahead.map_or_else(|| "see: huntress-evidence connections".to_owned(), passed_over)
        )));
    }
    stack.close().await;
    if options.json {
        return render::json(&EvidenceList::try_from(latest).map_err(faults::of_evidence)?);
    }
    for evidence in &latest {
        let bundle: SatBundle = evidence.bundle().map_err(faults::of_evidence)?;
        render::text(&format!("{}{}\n", heading(evidence, options.as_of), render::signals(&bundle)))?;
    }
    Ok(())
}
