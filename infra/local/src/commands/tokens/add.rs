//! `token add`: makes a token, and shows it this once.

use super::{Place, path, place, refused};
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::by;
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::NewToken;
use common::app::stack::Stack;
use common::domain::calendar::Calendar;
use common::domain::id::{ClientId, TokenName};
use common::domain::time::Window;
use common::domain::token::TokenRequest;
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Options {
    /// Its name, which is who calls with it
    pub name: TokenName,
    /// What it may do: admin, workspace-manager, devops-engineer, access-reviewer or auditor
    #[arg(long, value_name = "ROLE", required_unless_present = "scope", conflicts_with = "scope")]
    pub role: Option<String>,
    /// One thing that it may do, e.g. evidence:read, instead of a role; can be repeated
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// A client that it is limited to; can be repeated
    #[arg(long, value_name = "ID")]
    pub client: Vec<ClientId>,
    /// The first day whose evidence it may see, in the schedule's zone
    #[arg(long, value_name = "DAY", requires = "to")]
    pub from: Option<String>,
    /// The last one
    #[arg(long, value_name = "DAY", requires = "from")]
    pub to: Option<String>,
    /// How long it is good, at most 365d
    #[arg(long, value_name = "DAYS", default_value = "90d", value_parser = days)]
    pub expires: u16,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

fn days(text: &str) -> Result<u16, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    days.filter(|days| (1..=common::domain::token::LONGEST_DAYS).contains(days))
        .ok_or_else(|| "expected days, 1d to 365d, as in 90d".to_owned())
}

/// The body of the route.
#[derive(Serialize)]
struct Wanted<'a> {
    name: &'a TokenName,
    role: &'a Option<String>,
    scopes: &'a [String],
    clients: &'a [ClientId],
    from: &'a Option<String>,
    to: &'a Option<String>,
    expires_in_days: u16,
}

/// The time that the token is limited to.
fn window(options: &Options, calendar: &Calendar) -> Result<Option<Window>, CliError> {
    let Some((from, to)) = options.from.as_ref().zip(options.to.as_ref()) else { return Ok(None) };
    let wrong = || CliError::usage("--from and --to must be days as in 2026-01-01, the first one first");
    Ok(Some(calendar.window(&format!("{from}/{to}")).ok_or_else(wrong)?))
}

pub async fn run(options: Options) -> Result<(), CliError> {
    // What is no window is refused before anything is opened.
    window(&options, &Calendar::default())?;
    let made = match place(&options.storage).await? {
        Place::Serving(serving) => {
            let wanted = Wanted {
                name: &options.name,
                role: &options.role,
                scopes: &options.scope,
                clients: &options.client,
                from: &options.from,
                to: &options.to,
                expires_in_days: options.expires,
            };
            serving.post::<NewToken>(&path(&options.storage), &wanted).await?
        }
        Place::Folder(stack) => {
            let Ok(tokens) = stack.parts.tokens();
            let window = window(&options, stack.parts.store.calendar())?;
            let request = TokenRequest {
                name: options.name,
                role: options.role,
                scopes: options.scope,
                clients: options.client.into_iter().collect(),
                window,
                days: options.expires,
            };
            let added = tokens.add(&options.storage.company, request, &by(&options.actor)).await;
            stack.close().await;
            let (token, kept) = added.map_err(refused)?;
            NewToken::of(&token, kept)
        }
    };
    if options.json {
        return render::json(&made);
    }
    render::text(&format!(
        "{}\n\nthis is shown once: keep it now. It is {}, good until {}\n",
        made.token,
        super::list::allowed(&made.view),
        render::time(made.view.expires_at)
    ))
}
