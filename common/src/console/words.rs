//! What keys and codes are called on a page.

use crate::domain::controls::Evidence;
use crate::domain::policy::{Limit, Limits, MetricDefinition, Rule};
use crate::domain::product::Product;

/// The name of a product.
pub fn product(product: Product) -> &'static str {
    match product {
        Product::Edr => "Huntress Managed EDR",
        Product::Sat => "Huntress Managed SAT",
    }
}

/// What a kind of evidence is called.
pub fn evidence(kind: Evidence) -> &'static str {
    match kind {
        Evidence::WorkforceCoverage => "Security awareness training",
        Evidence::PhishingSimulation => "Phishing simulations",
        Evidence::PersonTraining => "Training of people",
        Evidence::EndpointProtection => "Endpoints",
        Evidence::AssetInventory => "Organizations with agents",
        Evidence::IncidentResponse => "Incidents",
    }
}

/// What a metric is called.
pub fn metric(key: &str) -> String {
    let words = match MetricDefinition::find(key) {
        Some(known) => known.what.to_owned(),
        None => key.replace('_', " "),
    };
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// The unit behind a value of a metric.
pub fn unit(key: &str) -> &'static str {
    MetricDefinition::find(key).map_or("", |known| known.kind.unit())
}

/// A limit with its unit: `at least 95 %`.
fn limit(limit: &Limit, unit: &str) -> String {
    format!("{limit}{unit}")
}

/// The limits of a rule: `at least 95 %; a warning from 90 %, below it fails`.
pub fn limits(key: &str, limits: &Limits) -> String {
    let unit = unit(key);
    let pass = self::limit(&limits.pass, unit);
    match &limits.warning {
        Some(warning) => {
            let until = if warning.is_at_least() { "down to" } else { "up to" };
            format!("passes with {pass}, warns {until} {}{unit}, fails beyond", warning.decimal())
        }
        None => format!("passes with {pass}, fails otherwise"),
    }
}

/// A rule in words.
pub fn rule(rule: &Rule) -> String {
    let what = match MetricDefinition::find(&rule.metric) {
        Some(known) if !known.of.is_empty() => format!("{} of {}", known.what, known.of),
        Some(known) => known.what.to_owned(),
        None => rule.metric.replace('_', " "),
    };
    format!("{what}: {}", limits(&rule.metric, &rule.limits))
}

/// A code as words: `agent_missing` → `agent missing`.
pub fn code(code: &str) -> String {
    code.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::baseline;

    #[test]
    fn a_rule_is_told_in_words_with_units() {
        let rules: Vec<String> = baseline().rules().iter().map(rule).collect();
        assert_eq!(
            rules.first().map(String::as_str),
            Some("agents online of agents: passes with at least 95 %, warns down to 90 %, fails beyond")
        );
        assert!(rules.iter().any(|rule| rule.contains("passes with at most 24 h, fails otherwise")), "{rules:?}");
        assert_eq!(metric("agents_total"), "Agents");
    }
}
