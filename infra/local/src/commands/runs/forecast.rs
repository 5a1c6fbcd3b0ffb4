//! `sync --dry-run`: what the next run will ask of Huntress.

use super::sync::Options;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::ForecastAnswer;
use common::app::stack::Stack;
use common::domain::forecast::{Basis, Forecast};
use common::domain::text::counted;

pub async fn run(options: &Options) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let (company, id) = (&options.storage.company, &options.connection);
    let Ok(planner) = stack.parts.planner();
    let forecast = planner.forecast(company, id, &stack.parts.limiters).await;
    let forecast = forecast.map_err(|error| faults::stored(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&ForecastAnswer { forecast });
    }
    match forecast {
        Some(forecast) => render::text(&text(&forecast)),
        None => {
            render::text(&format!("no run of {id} has succeeded yet, so there is nothing to tell the next one from\n"))
        }
    }
}

fn text(forecast: &Forecast) -> String {
    let mut table = render::table(&["list", "records last time", "requests"]);
    for list in &forecast.lists {
        let records = list.records.map_or_else(|| "-".to_owned(), |records| records.to_string());
        table.add_row([list.list.clone(), records, list.requests.to_string()]);
    }
    let at_least = match forecast.basis {
        Basis::Pages => "",
        Basis::Records => "at least ",
    };
    let mut text = format!("{table}\n\n{at_least}{}", counted(forecast.requests, "request", "requests"));
    text += &match forecast.parts {
        1 => " in one go".to_owned(),
        parts => format!(" in {parts} parts, with {}", counted(parts - 1, "continuation", "continuations")),
    };
    text += &format!(", {at_least}{}", duration(forecast.seconds));
    if let Some(left) = forecast.left_now {
        text += &format!("; the account's limit leaves {} now", counted(left, "request", "requests"));
    }
    let as_of = forecast.as_of.map_or_else(String::new, |as_of| format!(" of {}", render::time(as_of)));
    text += &format!("\ntold from run {}{as_of}; nothing was asked of Huntress\n", forecast.last_run);
    if !forecast.in_time {
        text += "that is more than 23 hours: the run would end as rate_limited; raise the account's limit, or lower the caps of the connection\n";
    }
    text
}

/// A duration in the two largest units that matter.
fn duration(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
