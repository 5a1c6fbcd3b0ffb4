//! `clients`: every client at a glance, worst first.

use crate::arguments::Listing;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::ClientList;
use common::app::evidence::ClientRow;
use common::app::stack::Stack;
use common::domain::policy::Outcome;
use common::domain::product::Product;
use common::domain::time::Window;

pub async fn run(options: Listing) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(reader) = stack.parts.evidence();
    let now = stack.parts.huntress.clock.now();
    let rows = reader.portfolio(&options.storage.company, None, Window::ALL).await.map_err(faults::of_evidence)?;
    stack.close().await;
    if options.json {
        return render::json(&ClientList { items: rows, next_after: None });
    }
    if rows.is_empty() {
        return render::text("no client yet; save a connection first: huntress-evidence connect edr\n");
    }
    let header =
        ["client", "endpoints", "training", "critical open", "coverage", "exceptions due", "credential", "30 days"];
    let mut table = render::table(&header);
    for row in &rows {
        table.add_row([
            row.client.to_string(),
            status(row, Product::Edr),
            status(row, Product::Sat),
            row.open_critical.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            row.coverage_pct.as_ref().map_or_else(|| "-".to_owned(), |percent| format!("{percent} %")),
            row.exceptions_due.to_string(),
            row.expiry.and_then(|expiry| expiry.warning(now)).unwrap_or_else(|| "-".to_owned()),
            line(&row.trend),
        ]);
    }
    let legend = "a letter for each day: p pass, w warning, f fail, i inconclusive, n not evaluated, a not applicable; . no evidence";
    render::text(&format!("{table}\n{legend}\n"))
}

fn status(row: &ClientRow, product: Product) -> String {
    let status = row.products.get(&product).and_then(Option::as_ref);
    status.map_or_else(|| "-".to_owned(), |status| status.text.clone())
}

fn line(trend: &[Option<Outcome>]) -> String {
    let letter = |outcome: &Option<Outcome>| match outcome {
        Some(Outcome::Pass) => 'p',
        Some(Outcome::Warning) => 'w',
        Some(Outcome::Fail) => 'f',
        Some(Outcome::Inconclusive) => 'i',
        Some(Outcome::NotEvaluated) => 'n',
        Some(Outcome::NotApplicable) => 'a',
        None => '.',
    };
    trend.iter().map(letter).collect()
}
