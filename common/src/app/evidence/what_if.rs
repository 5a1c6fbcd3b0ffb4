//! The days of a window under other limits: differences only, and nothing is stored.

use super::EvidenceReader;
use super::explain::names;
use super::facts_used::{QuestionError, UsedFacts, evaluated};
use crate::app::decisions::policies_at;
use crate::domain::calendar::DayRange;
use crate::domain::controls::Evidence as EvidenceKind;
use crate::domain::edr::EdrSettings;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RuleId, RunId};
use crate::domain::policy::{InForce, LimitChanges, Limits, Outcome, Policy, Verdict, evaluate};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::domain::window::WindowBounds;
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Days that are looked at where none are given, today among them.
const DEFAULT_DAYS: u64 = 30;

/// What is tried out.
#[derive(Debug, Clone, Default)]
pub struct WhatIf {
    /// Another policy, as if it had been chosen.
    pub policy: Option<Arc<Policy>>,
    /// Other limits of rules.
    pub limits: LimitChanges,
    /// An agent is online up to so many hours after its last call.
    pub online_within_hours: Option<u32>,
    /// An agent is missing so many days after its last call.
    pub missing_after_days: Option<u32>,
    /// The first day; 30 days up to the last one when it is not given.
    pub from: Option<NaiveDate>,
    /// The last day; today when it is not given.
    pub to: Option<NaiveDate>,
}

/// What a rule says or said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhatIfSide {
    /// The outcome; `not_evaluated` where no rule was in force.
    pub outcome: Outcome,
    /// The value as it is shown.
    pub value: Option<String>,
    /// The limits; null where no rule was in force.
    pub limit: Option<Limits>,
}

/// A day on which other limits say something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhatIfRow {
    /// The day.
    pub day: NaiveDate,
    /// The connection.
    pub connection: ConnectionId,
    /// Its product.
    pub product: Product,
    /// The run of the evidence.
    pub run_id: RunId,
    /// The instant of the evidence.
    pub as_of: DateTime<Utc>,
    /// What the rule is about.
    pub evidence: EvidenceKind,
    /// The rule.
    pub rule: RuleId,
    /// The metric.
    pub metric: String,
    /// What was committed.
    pub before: WhatIfSide,
    /// What the other limits say.
    pub after: WhatIfSide,
}

/// The differences that other limits would have made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhatIfAnswer {
    /// The client.
    pub client_id: ClientId,
    /// The zone of the days.
    pub zone: String,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// Pieces of evidence that were evaluated again: of each day and connection the newest.
    pub evaluated: usize,
    /// Pieces that are older than facts are, and were left out.
    pub without_facts: usize,
    /// Days on which something differs.
    pub days_changed: usize,
    /// The differences, oldest first.
    pub rows: Vec<WhatIfRow>,
}

impl EvidenceReader {
    /// What the days of a window would say under other limits, within a span.
    ///
    /// # Errors
    /// [`QuestionError`] for limits, rules and days that cannot be, and for a client that nobody knows.
    pub async fn what_if(
        &self,
        company: &CompanyId,
        client: &ClientId,
        wanted: &WhatIf,
        span: Window,
    ) -> Result<WhatIfAnswer, QuestionError> {
        self.store.check_client(company, client).await?;
        let now = self.clock.now();
        let in_force = policies_at(&self.store, company, now).await?.of(Some(client));
        let tried = wanted.tried(in_force)?;
        let calendar = self.store.calendar();
        let to = wanted.to.unwrap_or_else(|| calendar.day_of(now));
        let first = || to.checked_sub_days(Days::new(DEFAULT_DAYS - 1)).unwrap_or(to);
        let bounds = WindowBounds::new(calendar, DayRange { from: wanted.from.unwrap_or_else(first), to }, now)?;
        let within =
            Window { start: bounds.start(), end: bounds.end() }.within(span).until(Some(self.believed_until()));
        let known = self.known_policies(company).await?;
        let mut answer = WhatIfAnswer {
            client_id: client.clone(),
            zone: calendar.zone().to_owned(),
            from: bounds.from,
            to: bounds.to,
            evaluated: 0,
            without_facts: 0,
            days_changed: 0,
            rows: Vec::new(),
        };
        for stored in self.newest_of_days(company, client, within).await? {
            let Some(used) = UsedFacts::of(&stored)? else {
                answer.without_facts += 1;
                continue;
            };
            answer.evaluated += 1;
            let (before, then) = evaluated(&stored, &known)?;
            let used = used.under_committed_rules(stored.product, &before, &then);
            let agents = match used.agent_limits() {
                Some(limits) => Some(wanted.agents(limits)?),
                None => None,
            };
            let rules = tried.on(&then)?;
            let after = evaluate(&rules, stored.product, &used.measures(agents), used.doubt);
            answer.rows.extend(differences(&stored, calendar.day_of(stored.as_of), &before, &after));
        }
        answer.rows.sort_by(|one, other| {
            (one.day, &one.connection, &one.rule).cmp(&(other.day, &other.connection, &other.rule))
        });
        answer.days_changed = answer.rows.iter().map(|row| row.day).collect::<BTreeSet<_>>().len();
        Ok(answer)
    }

    /// Of each day and connection the newest evidence.
    async fn newest_of_days(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<Vec<StoredEvidence>, QuestionError> {
        let owner = EvidenceOwner::Client(client.clone());
        let mut newest: BTreeMap<(NaiveDate, ConnectionId), StoredEvidence> = BTreeMap::new();
        for product in [Product::Edr, Product::Sat] {
            for stored in self.store.history(company, &owner, product, span).await? {
                let place = (self.store.calendar().day_of(stored.as_of), stored.connection.clone());
                match newest.get(&place) {
                    Some(there) if there.as_of > stored.as_of => {}
                    _ => {
                        newest.insert(place, stored);
                    }
                }
            }
        }
        Ok(newest.into_values().collect())
    }
}

/// The rules of what is tried out, for evidence of any day.
struct Tried<'a> {
    wanted: &'a WhatIf,
    /// What is in force now, with the policy that is tried out.
    now: InForce,
}

impl WhatIf {
    fn agents(&self, limits: EdrSettings) -> Result<EdrSettings, QuestionError> {
        let online = self.online_within_hours.unwrap_or_else(|| limits.online_within_hours());
        Ok(EdrSettings::new(online, self.missing_after_days.unwrap_or_else(|| limits.missing_after_days()))?)
    }

    fn tried(&self, in_force: InForce) -> Result<Tried<'_>, QuestionError> {
        let agents = self.online_within_hours.is_some() || self.missing_after_days.is_some();
        if self.policy.is_none() && self.limits.is_empty() && !agents {
            return Err(QuestionError::NothingDifferent);
        }
        let now = match &self.policy {
            Some(policy) => in_force.choose(policy)?,
            None => in_force,
        };
        if let Some(rule) = self.limits.keys().find(|rule| now.rule(rule).is_none()) {
            return Err(QuestionError::UnknownRule { rule: rule.to_string(), known: names(&now) });
        }
        // What is wrong with the limits is said even where there is no evidence.
        now.changed(&self.limits)?;
        Ok(Tried { wanted: self, now })
    }
}

impl Tried<'_> {
    /// The rules for evidence that was evaluated under `then`: those, with the policy that is tried out, and with the changed limits. A rule that was not in
    /// force then and that is changed counts as the policy has it that is in force now.
    fn on(&self, then: &InForce) -> Result<InForce, QuestionError> {
        let mut rules = match &self.wanted.policy {
            Some(policy) => then.choose(policy)?,
            None => then.clone(),
        };
        for rule in self.wanted.limits.keys() {
            let policy = self.now.rule(rule).and_then(|(_, rule)| self.now.policy_for(rule.evidence));
            if let (None, Some(policy)) = (rules.rule(rule), policy) {
                rules = rules.choose(policy)?;
            }
        }
        Ok(rules.changed(&self.wanted.limits)?)
    }
}

fn side(verdict: Option<&Verdict>) -> WhatIfSide {
    WhatIfSide {
        outcome: verdict.map_or(Outcome::NotEvaluated, |verdict| verdict.outcome),
        value: verdict.and_then(|verdict| verdict.value.clone()),
        limit: verdict.map(|verdict| verdict.limit.clone()),
    }
}

/// The rules of which one side says another outcome than the other, or another value.
fn differences(stored: &StoredEvidence, day: NaiveDate, before: &[Verdict], after: &[Verdict]) -> Vec<WhatIfRow> {
    let by_rule = |verdicts: &[Verdict]| -> BTreeMap<(EvidenceKind, RuleId), Verdict> {
        verdicts.iter().map(|verdict| ((verdict.evidence, verdict.rule.clone()), verdict.clone())).collect()
    };
    let (before, after) = (by_rule(before), by_rule(after));
    let rules: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let row = |key: &(EvidenceKind, RuleId)| {
        let (was, is) = (before.get(key), after.get(key));
        let metric = is.or(was).map(|verdict| verdict.metric.clone()).unwrap_or_default();
        let (was, is) = (side(was), side(is));
        (was.outcome != is.outcome || was.value != is.value).then(|| WhatIfRow {
            day,
            connection: stored.connection.clone(),
            product: stored.product,
            run_id: stored.run_id.clone(),
            as_of: stored.as_of,
            evidence: key.0,
            rule: key.1.clone(),
            metric,
            before: was,
            after: is,
        })
    };
    rules.into_iter().filter_map(row).collect()
}
