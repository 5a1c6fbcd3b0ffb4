//! `log-key`: the key that checks checkpoints and packs.

use super::signer;
use crate::arguments::Listing;
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use serde::Serialize;

#[derive(Serialize)]
struct Key {
    key: String,
    log: String,
}

pub async fn run(options: Listing) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let key = signer(&options.storage, &stack);
    stack.close().await;
    let verifier = key?.verifier().clone();
    if options.json {
        return render::json(&Key { key: verifier.to_string(), log: verifier.name().to_owned() });
    }
    render::text(&format!("{verifier}\n"))
}
