//! The metrics as rules see them: exact, and with what they may be if what is unknown were known.

use super::facts::{EdrFacts, OfSeverity};
use super::incident::Severity;
use super::metrics::{EdrRules, Exact, Value, extended_metrics, metrics};
use crate::evidence::Reason;
use crate::facts::ended::ClassBounds;
use crate::number::Ratio;
use crate::policy::{Measure, Measures, Reading};

/// What an incident of a severity that nobody knows may be, as releases had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeverityBounds {
    /// Of none: so it was in the first releases with rules.
    None,
    /// Of any.
    #[default]
    Any,
}

/// The measures of the bundle that has these facts.
///
/// Agents of unknown state may be in the better or in the worse one. An incident that is not over and has no start that can be read may be older than
/// all others, and one of a severity that nobody knows may be of any. A percentile is known to its class.
#[must_use]
pub fn measures(facts: &EdrFacts, rules: EdrRules) -> Measures {
    measures_within(facts, rules, SeverityBounds::default())
}

/// The same as an earlier release had them.
#[must_use]
pub fn measures_within(facts: &EdrFacts, rules: EdrRules, bounds: SeverityBounds) -> Measures {
    let values = metrics(facts, rules).into_iter().chain(extended_metrics(facts, rules));
    values.map(|value| (value.key, measure(facts, rules, bounds, &value))).collect()
}

fn measure(facts: &EdrFacts, rules: EdrRules, bounds: SeverityBounds, value: &Value) -> Measure {
    let EdrFacts { agents, organizations, incidents } = facts;
    let perhaps_of_any = match bounds {
        SeverityBounds::Any => incidents.of(Severity::Unknown),
        SeverityBounds::None => OfSeverity::default(),
    };
    let states = agents.by_state(rules.agents);
    let unknown = states.unknown;
    let certain = match value.exact {
        Ok(Exact::Ratio(ratio)) => Measure::exact(ratio),
        Ok(Exact::Duration(class)) => {
            let reading = |hours: Option<Ratio>| hours.map_or(Reading::Open, Reading::At);
            let ClassBounds { shortest: least, longest: greatest } = class.hours();
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
        // An incident of a severity that nobody knows may be of any.
        "incidents_critical" | "incidents_high" | "incidents_low" => and_up_to(perhaps_of_any.states.total(), 1),
        "incidents_open_critical" | "incidents_open_high" => and_up_to(perhaps_of_any.states.unfinished(), 1),
        "oldest_open_critical_incident_age_hours" => {
            perhaps_another(perhaps_older(certain, [&incidents.of(Severity::Critical)]), &perhaps_of_any)
        }
        "oldest_open_high_incident_age_hours" => {
            perhaps_another(perhaps_older(certain, [&incidents.of(Severity::High)]), &perhaps_of_any)
        }
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

/// An age that may be that of another incident, whose severity nobody knows.
fn perhaps_another(age: Measure, unknown: &OfSeverity) -> Measure {
    if unknown.states.unfinished() == 0 {
        return age;
    }
    let other = unknown.oldest.and_then(|oldest| Ratio::mean_hours(oldest.0, 1));
    let greatest = match (age.greatest, other) {
        (Reading::Open, _) => Reading::Open,
        _ if unknown.without_start() > 0 => Reading::Open,
        (Reading::At(known), Some(other)) => Reading::At(if other.exceeds(known) { other } else { known }),
        (_, Some(other)) => Reading::At(other),
        (known, None) => known,
    };
    age.between(age.least, greatest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edr::EdrSettings;
    use crate::edr::facts::States;
    use crate::facts::Seconds;
    use crate::id::RuleId;
    use crate::policy::{Evaluation, Outcome, baseline};

    const HOUR: i128 = 3_600_000_000_000;

    fn open(hours: Option<i128>) -> OfSeverity {
        let mut of = OfSeverity { states: States { open: 1, ..States::default() }, ..OfSeverity::default() };
        if let Some(hours) = hours {
            of.open_days.add(1);
            of.oldest = Some(Seconds(hours * HOUR));
        }
        of
    }

    fn critical_within_a_day(incidents: &[(Severity, OfSeverity)]) -> Evaluation {
        let mut facts = EdrFacts::default();
        facts.incidents.by_severity = incidents.iter().cloned().collect();
        let measures = measures(&facts, EdrSettings::default().into());
        baseline().rule(&RuleId::parse("ir-critical-24h").unwrap()).unwrap().evaluate(&measures)
    }

    #[test]
    fn an_open_incident_of_unknown_severity_may_be_a_critical_one() {
        use Severity::{Critical, High, Unknown};
        let of = |incidents: &[(Severity, OfSeverity)]| critical_within_a_day(incidents).outcome;
        assert_eq!(of(&[]), Outcome::Pass, "nothing to measure");
        assert_eq!(of(&[(High, open(Some(99)))]), Outcome::Pass);
        // It would pass whatever it is, up to the very limit.
        assert_eq!(of(&[(Unknown, open(Some(24)))]), Outcome::Pass);
        assert_eq!(of(&[(Unknown, open(Some(25)))]), Outcome::Inconclusive);
        assert_eq!(of(&[(Unknown, open(None))]), Outcome::Inconclusive);
        assert_eq!(of(&[(Critical, open(Some(3))), (Unknown, open(Some(25)))]), Outcome::Inconclusive);
        // It fails whatever the other is.
        assert_eq!(of(&[(Critical, open(Some(30))), (Unknown, open(Some(2)))]), Outcome::Fail);
        assert_eq!(critical_within_a_day(&[(Unknown, open(Some(25)))]).reason, Some(Reason::UnknownValues));
    }

    #[test]
    fn counts_of_a_severity_may_be_higher_by_those_of_none() {
        let mut facts = EdrFacts::default();
        facts.incidents.by_severity = [(Severity::Critical, open(Some(1))), (Severity::Unknown, open(None))].into();
        let measures = measures(&facts, EdrSettings::default().into());
        for (key, most) in [("incidents_open_critical", 2), ("incidents_open_high", 1), ("incidents_critical", 2)] {
            assert_eq!(measures.get(key).greatest, Reading::At(Ratio::new(most, 1).unwrap()), "{key}");
        }
    }
}
