//! `policies`: those that a client can be measured by.

use super::fault;
use crate::arguments::Listing;
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use common::app::stack::Stack;

pub async fn run(options: Listing) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(decisions) = stack.parts.decisions();
    let policies = decisions.policies(&options.storage.company).await.map_err(fault)?;
    stack.close().await;
    if options.json {
        return render::json(&policies);
    }
    let mut table = render::table(&["policy", "version", "rules", "from", "SHA-256"]);
    for policy in &policies {
        let from = if policy.preset { "the product" } else { "an import" };
        let digest: String = policy.sha256.chars().take(12).collect();
        table.add_row([
            policy.policy.to_string(),
            policy.version.to_string(),
            policy.rules.to_string(),
            from.to_owned(),
            digest,
        ]);
    }
    render::text(&format!("{table}\nno standard gives the numbers of these policies: choose what suits the client\n"))
}
