//! The metrics as rules see them: exact, and with what they may be if what is unknown were known.

use super::facts::{EdrFacts, OfSeverity};
use super::incident::Severity;
use super::metrics::{EdrRules, Exact, Value, extended_metrics, metrics};
use crate::domain::evidence::Reason;
use crate::domain::number::Ratio;
use crate::domain::policy::{Measure, Measures, Reading};

/// The measures of the bundle that has these facts.
///
/// Agents of unknown state may be in the better or in the worse one. An incident that is not over and has no start that can be read may be older than
/// all others. A percentile is known to its class.
#[must_use]
pub fn measures(facts: &EdrFacts, rules: EdrRules) -> Measures {
    let values = metrics(facts, rules).into_iter().chain(extended_metrics(facts, rules));
    values.map(|value| (value.key, measure(facts, rules, &value))).collect()
}

fn measure(facts: &EdrFacts, rules: EdrRules, value: &Value) -> Measure {
    let EdrFacts { agents, organizations, incidents } = facts;
    let states = agents.by_state(rules.agents);
    let unknown = states.unknown;
    let certain = match value.exact {
        Ok(Exact::Ratio(ratio)) => Measure::exact(ratio),
        Ok(Exact::Duration(class)) => {
            let reading = |hours: Option<Ratio>| hours.map_or(Reading::Open, Reading::At);
            let (least, greatest) = class.hours();
            // Every duration of a class is rounded to the same tenth, so any of them shows the value.
            least
                .map_or_else(|| Measure::null(Reason::NothingToMeasure), Measure::exact)
                .between(reading(least), reading(greatest))
        }
        Err(reason) => Measure::null(reason),
    };
    // Up to so many more may belong to what is counted.
    let and_up_to = |more: u64, of: u64| match value.exact {
        Ok(Exact::Ratio(ratio)) => {
            let most = Ratio::new(ratio.numerator() + i128::from(more) * i128::from(of), ratio.denominator());
            certain.between(Reading::At(ratio), most.map_or(Reading::Open, Reading::At))
        }
        _ => certain,
    };
    match value.key {
        "agents_online" | "agents_offline" | "agents_missing" => and_up_to(unknown, 1),
        // In percent.
        "agents_online_percentage" => and_up_to(unknown, 100),
        "agents_servers_online" => and_up_to(agents.servers_by_state(rules.agents).unknown, 1),
        "organizations_with_online_agents" => and_up_to(organizations.perhaps_online(rules.agents), 1),
        "oldest_open_incident_age_hours" => perhaps_older(certain, incidents.by_severity.values()),
        "oldest_open_critical_incident_age_hours" => perhaps_older(certain, [&incidents.of(Severity::Critical)]),
        "oldest_open_high_incident_age_hours" => perhaps_older(certain, [&incidents.of(Severity::High)]),
        _ => certain,
    }
}

/// An age that may be greater, if one of the incidents has no start that can be read.
fn perhaps_older<'a>(age: Measure, incidents: impl IntoIterator<Item = &'a OfSeverity>) -> Measure {
    if incidents.into_iter().all(|of| of.without_start() == 0) {
        return age;
    }
    let least = age.ratio().or_else(|| Ratio::new(0, 1));
    age.between(least.map_or(Reading::Open, Reading::At), Reading::Open)
}
