//! `onboarding`: what a page tells a person who has to be trained, or a link that shows it to them.

use crate::arguments::{ActorArgs, OfPerson};
use crate::commands::{by, faults, open, open_to_read};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::OnboardingLinkAnswer;
use common::app::people::LINK_DAYS;
use common::app::stack::Stack;
use common::settings::environment;
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub of: OfPerson,
    /// Make a link that shows it to them without an account, in the pages of `serve`
    #[arg(long)]
    pub link: bool,
    /// Days that the link works
    #[arg(long, default_value_t = LINK_DAYS, value_name = "DAYS", requires = "link")]
    pub days: u32,
    /// Take back every link of theirs: none shows anything from then on
    #[arg(long, conflicts_with = "link")]
    pub take_back: bool,
    #[command(flatten)]
    pub actor: ActorArgs,
}

/// How many links ended.
#[derive(Serialize)]
struct TakenBack {
    ended: u64,
}

/// Where `serve` listens by default.
const SERVED_AT: &str = "http://127.0.0.1:8787";

pub async fn run(options: Options) -> Result<(), CliError> {
    if options.link {
        return make_link(options).await;
    }
    if options.take_back {
        return take_back(options).await;
    }
    let options = options.of;
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let prompt = service.onboarding(&options.storage.company, &options.connection, &options.person).await;
    let prompt = prompt.map_err(|error| faults::of_people(error, &options.connection))?;
    stack.close().await;
    if options.json {
        return render::json(&prompt);
    }
    render::text(&render::onboarding(&prompt))
}

async fn take_back(Options { of, actor, .. }: Options) -> Result<(), CliError> {
    let (stack, _) = open(&of.storage).await?;
    let Ok(service) = stack.parts.people();
    let ended = service.take_back_links(&of.storage.company, &of.connection, &of.person, &by(&actor)).await;
    let ended = ended.map_err(|error| faults::of_people(error, &of.connection))?;
    stack.close().await;
    if of.json {
        return render::json(&TakenBack { ended });
    }
    let links = if ended == 1 { "1 link".to_owned() } else { format!("{ended} links") };
    render::text(&format!("{links} taken back; they show nothing from now on.\n"))
}

async fn make_link(Options { of, days, actor, .. }: Options) -> Result<(), CliError> {
    let (stack, _) = open(&of.storage).await?;
    let Ok(service) = stack.parts.people();
    let made = service.make_link(&of.storage.company, &of.connection, &of.person, days, &by(&actor)).await;
    let link = made.map_err(|error| faults::of_people(error, &of.connection))?;
    stack.close().await;
    let origin = environment("PUBLIC_URL").unwrap_or_else(|| SERVED_AT.to_owned());
    let answer = OnboardingLinkAnswer { url: link.below(&origin), until: link.until };
    if of.json {
        return render::json(&answer);
    }
    let until = render::time(answer.until);
    render::text(&format!(
        "{}\nIt works until {until} while `serve` runs. It is shown once: whoever has it sees what the person sees.\n",
        answer.url
    ))
}
