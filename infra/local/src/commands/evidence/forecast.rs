//! `forecast`: what becomes of the training coverage if nobody trains again.

use crate::arguments::OfClientAsOf;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use clap::Subcommand;
use common::app::evidence::ForecastAnswer;
use common::app::stack::Stack;
use common::domain::sat::forecast::CoverageAhead;
use common::domain::time::Window;

#[derive(Debug, Subcommand)]
pub enum Forecast {
    /// The coverage after 30, 60 and 90 days, and the day on which it leaves its band, if nobody trains again
    Training(OfClientAsOf),
}

pub async fn run(command: Forecast) -> Result<(), CliError> {
    let Forecast::Training(options) = command;
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let span = Window::ALL.until(options.as_of);
    let forecast = evidence.forecast_training(&options.storage.company, &options.client, span).await;
    let forecast = forecast.map_err(faults::of_question)?;
    stack.close().await;
    if options.json {
        return render::json(&forecast);
    }
    render::text(&text(&forecast))
}

/// The forecast as a table and a sentence.
pub fn text(answer: &ForecastAnswer) -> String {
    let ForecastAnswer { forecast, client_id, .. } = answer;
    let mut table = render::table(&["in", "day", "trained", "coverage", "outcome"]);
    let coverage =
        |day: &CoverageAhead| day.coverage_pct.as_ref().map_or("unknown".to_owned(), |pct| format!("{pct} %"));
    for day in std::iter::once(&forecast.now).chain(&forecast.ahead) {
        table.add_row([
            if day.days == 0 { "now".to_owned() } else { format!("{} days", day.days) },
            day.at.date_naive().to_string(),
            match day.departed {
                0 => format!("{} of {}", day.trained, forecast.active_learners),
                departed => {
                    format!("{} of {}, {departed} of them departed", day.trained, forecast.active_learners)
                }
            },
            coverage(day),
            day.outcome.to_string(),
        ]);
    }
    let leaves = match &forecast.leaves_band {
        Some(day) => format!(
            "on {}, in {} days, it is no longer {} but {} ({})",
            day.at.date_naive(),
            day.days,
            forecast.now.outcome,
            day.outcome,
            coverage(day)
        ),
        None => format!("it stays {} for a year", forecast.now.outcome),
    };
    let coarse = if forecast.coarse {
        "with so few learners completions are kept to 30 days only, so the days are coarse\n"
    } else {
        ""
    };
    format!(
        "training coverage of {client_id} if nobody trains again and nobody comes or goes\n\n{table}\n{leaves}\n{coarse}"
    )
}
