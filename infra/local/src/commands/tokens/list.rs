//! `token list`: what each token may do, until when, and when it was last used.

use super::{Place, path, place, refused};
use crate::arguments::StorageArgs;
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::{TokenList, TokenView};
use common::app::stack::Stack;

#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let list: TokenList = match place(&options.storage).await? {
        Place::Serving(serving) => serving.get(&path(&options.storage)).await?,
        Place::Folder(stack) => {
            let Ok(tokens) = stack.parts.tokens();
            let listed = tokens.list(&options.storage.company).await;
            stack.close().await;
            listed.map_err(refused)?.into()
        }
    };
    if options.json {
        return render::json(&list);
    }
    if list.items.is_empty() {
        return render::text(
            "no token yet, beside the folder's own; make one: huntress-evidence token add NAME --role access-reviewer\n",
        );
    }
    let mut table = render::table(&["token", "is", "made by", "expires", "last used"]);
    for token in &list.items {
        table.add_row([
            token.id.to_string(),
            allowed(token),
            common::domain::text::line(&token.created_by),
            render::time(token.expires_at),
            render::time_or_dash(token.last_used_at),
        ]);
    }
    render::text(&format!("{table}\n"))
}

/// What a token may do, in words.
pub(super) fn allowed(token: &TokenView) -> String {
    let mut words = match token.role {
        Some(role) => role.to_string(),
        None => token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
    };
    if let Some(clients) = &token.clients {
        words += &format!(", clients {}", clients.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" "));
    }
    if let Some(window) = token.window {
        words += &format!(", {} to {}", render::time(window.from), render::time(window.to));
    }
    words
}
