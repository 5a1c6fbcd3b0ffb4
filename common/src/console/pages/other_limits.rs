//! The part of `/clients/{client}/what-if` about rules: the days of a window under another policy or other limits, and only what would differ.

use super::client::evidence_path;
use crate::api::Problem;
use crate::app::decisions::DecisionError;
use crate::app::evidence::{QuestionError, WhatIf, WhatIfAnswer, WhatIfRow};
use crate::console::forms::Fields;
use crate::console::layout::State as Mark;
use crate::console::{EvidencePages, Viewer, words};
use crate::domain::id::{ClientId, ConnectionId, RuleId};
use crate::domain::policy::{InForce, Limit, Outcome, PolicyVersion, limit_changes};
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// Stretches of days that are shown at most.
const SHOWN: usize = 100;

/// What is tried, as it was typed, and what it would have made.
pub struct OtherLimits {
    pub(super) policies: Vec<String>,
    /// The policy that is tried; empty for those in force.
    pub(super) policy: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) rules: Vec<RuleTried>,
    pub(super) wrong: Option<String>,
    pub(super) result: Option<Told>,
}

/// A rule that can have other limits.
pub struct RuleTried {
    pub(super) id: String,
    pub(super) words: String,
    pub(super) unit: &'static str,
    pub(super) pass: LimitField,
    pub(super) warning: LimitField,
}

/// A limit that can be tried.
pub struct LimitField {
    /// As it is; empty where there is none.
    pub(super) now: String,
    /// As it was typed.
    pub(super) typed: String,
}

/// What would differ.
pub struct Told {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
    pub(super) zone: String,
    pub(super) evaluated: usize,
    pub(super) without_facts: usize,
    pub(super) days_changed: usize,
    pub(super) stretches: Vec<Stretch>,
    pub(super) more: usize,
}

/// Days one after the other on which a rule would say the same other thing.
pub struct Stretch {
    pub(super) days: String,
    pub(super) name: String,
    pub(super) rule: String,
    pub(super) connection: String,
    pub(super) before: Mark,
    pub(super) after: Mark,
    pub(super) value: String,
    pub(super) limit: String,
    /// The evidence of the first day.
    pub(super) href: String,
}

fn rules(in_force: &InForce, fields: &Fields) -> Vec<RuleTried> {
    let number = |limit: Option<&Limit>| limit.map_or_else(String::new, |limit| limit.decimal().to_string());
    let of = |rule: &crate::domain::policy::Rule| {
        let typed = |which: &str| fields.typed(&format!("{}.{which}", rule.id)).unwrap_or_default().to_owned();
        RuleTried {
            id: rule.id.to_string(),
            words: words::rule(rule),
            unit: words::unit(&rule.metric),
            pass: LimitField { now: number(Some(&rule.limits.pass)), typed: typed("pass") },
            warning: LimitField { now: number(rule.limits.warning.as_ref()), typed: typed("warning") },
        }
    };
    in_force.rules().map(|(_, rule)| of(rule)).collect()
}

/// What was typed into the fields of rules, as the command line writes it.
fn settings(fields: &Fields) -> Vec<String> {
    let of_rules = fields.iter().filter(|(name, value)| name.contains('.') && !value.trim().is_empty());
    of_rules.map(|(name, value)| format!("{name}={}", value.trim())).collect()
}

fn day(fields: &Fields, name: &str, label: &str) -> Result<Option<NaiveDate>, String> {
    let parse = |text: &str| text.parse().map_err(|_| format!("{label} must be a day like 2026-03-22"));
    fields.typed(name).map(parse).transpose()
}

/// What a form asks for.
enum Wanted {
    /// Nothing: it was not filled in.
    Nothing,
    /// What cannot be tried, and why.
    Refused(String),
    /// To try this.
    Try(Box<WhatIf>),
}

async fn wanted(console: &EvidencePages, viewer: &Viewer, fields: &Fields) -> Result<Wanted, Problem> {
    let named = fields.typed("policy");
    let settings = settings(fields);
    if named.is_none() && settings.is_empty() {
        return Ok(Wanted::Nothing);
    }
    let policy = match named {
        None => None,
        Some(named) => {
            let (name, version) = named.split_once(' ').unwrap_or((named, ""));
            match console.decisions.policy(viewer.company(), name, PolicyVersion::parse(version).ok()).await {
                Ok(policy) => Some(policy),
                Err(error @ DecisionError::UnknownPolicy { .. }) => return Ok(Wanted::Refused(error.to_string())),
                Err(error) => return Err(super::undecided(error)),
            }
        }
    };
    let read = || {
        let limits = limit_changes(settings.iter().map(String::as_str)).map_err(|error| error.to_string())?;
        let (from, to) = (day(fields, "from", "From")?, day(fields, "to", "To")?);
        Ok(WhatIf { policy, limits, from, to, ..WhatIf::default() })
    };
    Ok(read().map_or_else(Wanted::Refused, |wanted| Wanted::Try(Box::new(wanted))))
}

/// What other limits would have made of the days that a viewer may see.
pub(super) async fn tried(
    console: &EvidencePages,
    viewer: &Viewer,
    client: &ClientId,
    in_force: &InForce,
    fields: &Fields,
) -> Result<OtherLimits, Problem> {
    let company = viewer.company();
    let at = viewer.span().end.min(console.entrance.clock.now());
    let policies = console.decisions.policies(company).await.map_err(super::undecided)?;
    let (mut wrong, mut result, mut shown) = (None, None, in_force.clone());
    match wanted(console, viewer, fields).await? {
        Wanted::Refused(told) => wrong = Some(told),
        Wanted::Nothing => {}
        Wanted::Try(mut wanted) => {
            if let Some(chosen) = wanted.policy.as_ref().and_then(|policy| in_force.choose(policy).ok()) {
                shown = chosen;
            }
            // Who is bound to a window asks about its last days, not about those after it.
            if viewer.caller().window.is_some() && wanted.to.is_none() {
                wanted.to = Some(console.entrance.calendar().day_of(at));
            }
            match console.evidence.what_if(company, client, &wanted, viewer.span()).await {
                Ok(answer) => result = Some(told(client, answer)),
                Err(QuestionError::Evidence(error)) => return Err(error.into()),
                Err(error) => wrong = Some(error.to_string()),
            }
        }
    }
    let typed = |name: &str| fields.typed(name).unwrap_or_default().to_owned();
    Ok(OtherLimits {
        policies: policies.iter().map(|it| format!("{} {}", it.policy, it.version)).collect(),
        policy: typed("policy"),
        from: typed("from"),
        to: typed("to"),
        rules: rules(&shown, fields),
        wrong,
        result,
    })
}

fn told(client: &ClientId, answer: WhatIfAnswer) -> Told {
    let mut stretches = stretches(client, &answer.rows);
    let more = stretches.len().saturating_sub(SHOWN);
    stretches.truncate(SHOWN);
    Told {
        from: answer.from,
        to: answer.to,
        zone: answer.zone,
        evaluated: answer.evaluated,
        without_facts: answer.without_facts,
        days_changed: answer.days_changed,
        stretches,
        more,
    }
}

/// The days of a stretch, the newest first.
fn stretches(client: &ClientId, rows: &[WhatIfRow]) -> Vec<Stretch> {
    let mut by_rule: BTreeMap<(&ConnectionId, &RuleId), Vec<Vec<&WhatIfRow>>> = BTreeMap::new();
    let of = |row: &WhatIfRow| -> (Outcome, Outcome) { (row.before.outcome, row.after.outcome) };
    // Oldest first.
    for row in rows {
        let found = by_rule.entry((&row.connection, &row.rule)).or_default();
        let goes_on = |last: &&mut Vec<&WhatIfRow>| {
            last.last().is_some_and(|before| of(before) == of(row) && before.day.succ_opt() == Some(row.day))
        };
        match found.last_mut().filter(goes_on) {
            Some(last) => last.push(row),
            None => found.push(vec![row]),
        }
    }
    let mut found: Vec<Vec<&WhatIfRow>> = by_rule.into_values().flatten().collect();
    let newest = |rows: &Vec<&WhatIfRow>| rows.last().map(|row| std::cmp::Reverse(row.day));
    found.sort_by_key(newest);
    found.iter().filter_map(|rows| stretch(client, rows)).collect()
}

fn stretch(client: &ClientId, rows: &[&WhatIfRow]) -> Option<Stretch> {
    let (first, last) = (rows.first()?, rows.last()?);
    let days = match rows.len() {
        1 => first.day.to_string(),
        count => format!("{} to {} ({count} days)", first.day, last.day),
    };
    let with_unit = |value: &str| format!("{value}{}", words::unit(&first.metric));
    let value = |row: &WhatIfRow| row.after.value.clone().or_else(|| row.before.value.clone());
    let mut values: Vec<(f64, String)> =
        rows.iter().filter_map(|row| value(row)).filter_map(|text| Some((text.parse().ok()?, text))).collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let limit = |side: &crate::app::evidence::WhatIfSide| {
        side.limit.as_ref().map_or_else(|| "no rule".to_owned(), |limit| words::limits(&first.metric, limit))
    };
    Some(Stretch {
        days,
        name: words::metric(&first.metric),
        rule: first.rule.to_string(),
        connection: first.connection.to_string(),
        before: Mark::of_outcome(first.before.outcome),
        after: Mark::of_outcome(first.after.outcome),
        value: match (values.first(), values.last()) {
            (Some((_, least)), Some((_, most))) if least == most => with_unit(least),
            (Some((_, least)), Some((_, most))) => format!("{} to {}", with_unit(least), with_unit(most)),
            _ => "no value".to_owned(),
        },
        limit: limit(&first.after),
        href: evidence_path(client, first.product, &first.run_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::evidence::WhatIfSide;
    use crate::domain::controls::Evidence;
    use crate::domain::id::RunId;
    use crate::domain::product::Product;
    use crate::domain::time::parse;

    fn row(day: &str, value: &str, after: Outcome) -> WhatIfRow {
        let side = |outcome| WhatIfSide { outcome, value: Some(value.to_owned()), limit: None };
        WhatIfRow {
            day: day.parse().unwrap(),
            connection: ConnectionId::parse("edr").unwrap(),
            product: Product::Edr,
            run_id: RunId::parse("run-0001").unwrap(),
            as_of: parse("2026-03-22T12:00:00Z").unwrap(),
            evidence: Evidence::EndpointProtection,
            rule: RuleId::parse("edr-online").unwrap(),
            metric: "agents_online_percentage".to_owned(),
            before: side(Outcome::Pass),
            after: side(after),
        }
    }

    #[test]
    fn days_of_the_same_difference_are_one_stretch() {
        let rows = [
            row("2026-03-01", "91.0", Outcome::Fail),
            row("2026-03-02", "100.0", Outcome::Fail),
            row("2026-03-04", "92.0", Outcome::Fail),
            row("2026-03-05", "92.0", Outcome::Warning),
        ];
        let client = ClientId::parse("acme").unwrap();
        let told: Vec<(String, String)> = stretches(&client, &rows).into_iter().map(|it| (it.days, it.value)).collect();
        let said = |days: &str, value: &str| (days.to_owned(), value.to_owned());
        assert_eq!(
            told,
            [
                said("2026-03-05", "92.0 %"),
                said("2026-03-04", "92.0 %"),
                said("2026-03-01 to 2026-03-02 (2 days)", "91.0 % to 100.0 %")
            ]
        );
    }

    #[test]
    fn what_is_left_empty_stays_as_it_is() {
        let fields = Fields::parse(b"edr-online.pass=90&edr-online.warning=+&policy=&hours=3&from=");
        assert_eq!(settings(&fields), ["edr-online.pass=90"]);
    }
}
