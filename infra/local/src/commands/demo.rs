//! The demonstration: a simulated account of both products, ninety days of its history, and everything else as it is.

use crate::commands::evidence::forecast;
use crate::demo::{CLIENT, COMPANY, Demo, DemoError, HISTORY_DAYS};
use crate::outcome::CliError;
use crate::render;
use crate::stack::LocalStack;
use common::app::decisions::ExceptionView;
use common::app::evidence::{RuleResult, SupportedControl};
use common::app::stack::Stack;
use common::domain::calendar::Calendar;
use common::domain::evidence::EdrBundle;
use common::domain::id::{ClientId, CompanyId};
use common::domain::product::Product;
use common::domain::run::Run;
use common::domain::sat::bundle::SatBundle;
use common::domain::text::counted;
use common::domain::time::Window;
use common::store::EvidenceOwner;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

pub async fn run() -> Result<(), CliError> {
    show().await.map_err(|error| CliError::other(format!("the demonstration failed: {error}")))
}

async fn show() -> Result<(), DemoError> {
    let demo = Demo::start().await?;
    let (stack, company) = (&demo.stack, CompanyId::parse(COMPANY)?);
    let mut ends = String::new();
    for (connection, id) in &demo.runs {
        ends += &summary(stack.parts.store.run(&company, connection, id).await?.ok_or("a run is gone")?)?;
    }

    let client = ClientId::parse(CLIENT)?;
    let endpoint: EdrBundle = latest(stack, &EvidenceOwner::Company, Product::Edr).await?;
    let training: SatBundle = latest(stack, &EvidenceOwner::Client(client.clone()), Product::Sat).await?;
    let own: EdrBundle = latest(stack, &EvidenceOwner::Client(client.clone()), Product::Edr).await?;
    let Ok(evidence) = stack.parts.evidence();
    let statuses = evidence.statuses(&company, &client, Window::ALL).await?;
    let supported = evidence.controls(&company, &client, Window::ALL).await?.ok_or("the evidence is gone")?;
    let ahead = evidence.forecast_training(&company, &client, Window::ALL).await?;
    let Ok(decisions) = stack.parts.decisions();
    let excepted = decisions.exceptions(&company, Some(&client), None).await?;
    let text = format!(
        "A simulated Huntress account at {}\n\nEndpoints and incidents of the company {COMPANY}, over all its organizations\n\n{}\n\
         Training of its client {CLIENT}\n\n{}\n\
         What the policies baseline and training say of {CLIENT}\n\n{}\n{}{}\n\
         Where its controls stand, by framework\n\n{}\n\n{}\n\
         Behind this lie {HISTORY_DAYS} days of runs; the last ones:\n{ends}\n\
         Look around in it:\n  \
         huntress-evidence serve --demo     the same over HTTP\n\n\
         Next, with a key of your own:\n  \
         huntress-evidence setup edr        how to get one\n  \
         huntress-evidence collect edr      with HUNTRESS_API_KEY and HUNTRESS_API_SECRET: collect once, store nothing\n  \
         huntress-evidence connect edr      save it and sync daily; then: huntress-evidence serve\n",
        demo.world.simulator.origin(),
        render::metrics(&endpoint),
        render::signals(&training),
        rules(&statuses.rules()),
        findings(&own),
        exceptions(&excepted),
        controls(&supported.controls),
        forecast::text(&ahead),
    );
    render::text(&text).map_err(|_| "stdout is closed")?;
    demo.end().await;
    Ok(())
}

/// What each rule said, worst first.
fn rules(rules: &[RuleResult]) -> String {
    let mut table = render::table(&["rule", "metric", "value", "status"]);
    for result in rules {
        let name = |it: Option<&str>| it.unwrap_or("-").to_owned();
        table.add_row([
            name(result.rule.as_ref().map(|rule| rule.as_str())),
            name(result.key.as_deref()),
            name(result.value.as_deref()),
            result.status.text.clone(),
        ]);
    }
    table.to_string()
}

/// Controls by their status, the worst first.
type ByStatus<'a> = BTreeMap<(u8, &'a str), Vec<&'a str>>;

/// The controls of each framework by their status, worst first.
fn controls(controls: &[SupportedControl]) -> String {
    let mut frameworks: Vec<(&str, ByStatus<'_>)> = Vec::new();
    for control in controls {
        let Some(status) = &control.status else { continue };
        if frameworks.last().is_none_or(|(name, _)| *name != control.framework) {
            frameworks.push((&control.framework, BTreeMap::new()));
        }
        if let Some((_, statuses)) = frameworks.last_mut() {
            statuses.entry((status.outcome.rank(), &status.text)).or_default().push(&control.id);
        }
    }
    let mut table = render::table(&["framework", "status", "controls"]);
    for (framework, statuses) in frameworks {
        for ((_, status), ids) in statuses {
            table.add_row([framework, status, &ids.join(", ")]);
        }
    }
    table.to_string()
}

/// The exceptions, a line each.
fn exceptions(views: &[ExceptionView]) -> String {
    let line = |view: &ExceptionView| {
        let ExceptionView { exception, state, .. } = view;
        format!(
            "{state} exception for {}, proposed by {}, until {}: {}\n",
            exception.subject,
            exception.proposed_by,
            Calendar::default().last_day_before(exception.until),
            exception.reason
        )
    };
    views.iter().map(line).collect()
}

/// The two findings that have lasted longest, and how many there are.
fn findings(bundle: &EdrBundle) -> String {
    let Some(findings) = &bundle.findings else { return String::new() };
    let mut text = String::new();
    for finding in findings.items.iter().take(2) {
        let since = render::time_or_dash(finding.since);
        text += &format!("  {} {} since {since}\n", finding.kind.as_str(), finding.id);
    }
    format!("Of {} findings the first two\n{text}", findings.total.values().sum::<u64>())
}

fn summary(run: Run) -> Result<String, DemoError> {
    match run.failure {
        Some(failure) => Err(failure.to_string().into()),
        None => Ok(format!(
            "  {} · run {} {} · {} · {} in one commit\n",
            run.connection,
            run.id,
            run.status,
            counted(run.api_calls, "request", "requests"),
            counted(run.bundles, "bundle", "bundles"),
        )),
    }
}

/// The newest evidence of an owner, as it is stored.
async fn latest<B: DeserializeOwned>(
    stack: &LocalStack,
    owner: &EvidenceOwner,
    product: Product,
) -> Result<B, DemoError> {
    let latest = stack.parts.store.latest(&CompanyId::parse(COMPANY)?, owner).await?;
    let evidence = latest.iter().find(|evidence| evidence.product == product).ok_or("there is no evidence")?;
    Ok(serde_json::from_str(&evidence.body)?)
}
