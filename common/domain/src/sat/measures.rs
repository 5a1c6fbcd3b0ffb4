//! The values of the signals as rules see them: exact, and with what they may be if what is unknown were known.

use super::coverage::{self, Bounds, Trained};
use super::facts::{Campaign, Campaigns, Learners, SatFacts};
use super::phishing::{self, InWindow};
use crate::evidence::Reason;
use crate::number::Ratio;
use crate::policy::{Measure, Measures, Reading};

/// The windows of the signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SatRules {
    /// Days in which completions count.
    pub coverage_days: u32,
    /// Days after their end for which campaigns count.
    pub phishing_days: u32,
}

impl Default for SatRules {
    /// 365 and 90 days.
    fn default() -> Self {
        Self { coverage_days: coverage::WINDOW_DAYS, phishing_days: phishing::WINDOW_DAYS }
    }
}

/// The measures of the bundle that has these facts.
#[must_use]
pub fn measures(facts: &SatFacts, rules: SatRules) -> Measures {
    let learners = of_learners(&facts.learners, rules.coverage_days);
    learners.into_iter().chain(of_campaigns(&facts.campaigns, rules.phishing_days)).collect()
}

fn at(ratio: Option<Ratio>) -> Reading {
    ratio.map_or(Reading::Open, Reading::At)
}

fn number(value: u64) -> Reading {
    at(Ratio::new(value, 1))
}

fn percent(part: u64, whole: u64) -> Reading {
    at(Ratio::percent(part, whole))
}

/// Learners with an unknown status word may belong to the workforce or not, completions with a time that cannot be read may count or not, and completions
/// that were not read can only lift a number.
fn of_learners(facts: &Learners, days: u32) -> Vec<(&'static str, Measure)> {
    let evaluated = coverage::assess(facts, days);
    let Bounds { least, greatest } = coverage::bounds(facts, days);
    let shown = Ratio::percent(evaluated.trained, evaluated.active).ok_or(Reason::NoWorkforce);
    let none = Reading::Null(Reason::NoWorkforce);
    let (low, high) = if coverage::is_nobody(facts) {
        (none, if facts.cut { Reading::Open } else { none })
    } else {
        let low = if least.workforce == 0 { number(0) } else { percent(least.trained, least.workforce) };
        let high = match greatest {
            Some(Trained { workforce: 0, .. }) => none,
            Some(Trained { trained, workforce }) => percent(trained, workforce),
            None => Reading::Open,
        };
        (low, high)
    };
    let rate = Measure::of(shown).between(low, high);
    let most = |lower: u64, more: Option<u64>| more.map_or(Reading::Open, |more| number(lower + more));
    let unread = facts.cut || facts.unknown_assignments > 0;
    let reachable = facts.active.reachable(days) + facts.unknown_status.reachable(days);
    let trained_listed = facts.active.trained(days) + facts.unknown_status.trained(days);
    let more_trained = (!unread).then(|| reachable - trained_listed);
    let trained = Measure::count(evaluated.trained);
    let trained = trained.between(number(evaluated.trained), most(evaluated.trained, more_trained));
    let departed = Measure::count(evaluated.departed);
    let departed = departed.between(number(evaluated.departed), most(evaluated.departed, (!unread).then_some(0)));
    let active = Measure::count(evaluated.active);
    let more_active = if facts.claimed.is_some() { 0 } else { facts.unknown_status.total };
    let active = active.between(number(evaluated.active), most(evaluated.active, Some(more_active)));
    let cut = |measure: Measure| if facts.cut { measure.truncated() } else { measure };
    vec![
        ("coverage_pct", cut(rate)),
        ("distinct_trained_learners", cut(trained)),
        ("active_learners", active),
        ("departed_trained_learners", cut(departed)),
    ]
}

/// Campaigns of which something is unknown may count or not, and campaigns that were not read, too.
fn of_campaigns(facts: &Campaigns, days: u32) -> Vec<(&'static str, Measure)> {
    let evaluated = phishing::assess(facts, days);
    let inside = InWindow::of(facts, days);
    let unsure = facts.cut || !inside.open.is_empty();
    let none = evaluated.campaigns == 0 && !unsure;
    let rate_of = |part: u64| {
        let missing = if none { Reason::NoRecentCampaigns } else { Reason::UnknownValues };
        Ratio::percent(part, evaluated.sent).ok_or(missing)
    };
    let anything = (number(0), percent(1, 1));
    let compromise = Measure::of(rate_of(evaluated.compromised));
    let (low, high) = if none {
        (compromise.value, compromise.value)
    } else if facts.cut || inside.certain.is_empty() || inside.is_unbounded() {
        anything
    } else {
        (extreme_rate(&inside, End::Least), extreme_rate(&inside, End::Greatest))
    };
    let compromise = compromise.between(low, high);
    let report = match evaluated.reported {
        Some(reported) => Measure::of(rate_of(reported)),
        None => Measure::null(Reason::NotProvidedBySource),
    };
    let report = if unsure { report.between(anything.0, anything.1) } else { report };
    let sum = |value: u64| {
        let measure = Measure::count(value);
        if unsure { measure.between(number(value), Reading::Open) } else { measure }
    };
    let reported = evaluated.reported.map_or_else(|| Measure::null(Reason::NotProvidedBySource), sum);
    let cut = |measure: Measure| if facts.cut { measure.truncated() } else { measure };
    vec![
        ("compromise_rate_pct", cut(compromise)),
        ("report_rate_pct", cut(report)),
        ("sent", cut(sum(evaluated.sent))),
        ("compromised", cut(sum(evaluated.compromised))),
        ("reported", cut(reported)),
        ("campaigns", cut(sum(evaluated.campaigns))),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Least,
    Greatest,
}

/// The least or the greatest compromise rate over every choice of the campaigns that may count.
///
/// A campaign moves the rate towards its own, so those that help are added, the most extreme first, until the next one would not help.
fn extreme_rate(inside: &InWindow, end: End) -> Reading {
    let counts = |campaign: &Campaign| {
        let sent = campaign.sent.unwrap_or(0);
        let unknown = if end == End::Least { 0 } else { sent };
        (u128::from(campaign.compromised.unwrap_or(unknown)), u128::from(sent))
    };
    let (mut compromised, mut sent) = (0_u128, 0_u128);
    let sure = inside.open.iter().filter(|(_, for_sure)| *for_sure).map(|(campaign, _)| campaign);
    for (c, s) in inside.certain.iter().chain(sure).map(counts) {
        (compromised, sent) = (compromised + c, sent + s);
    }
    let mut optional: Vec<(u128, u128)> =
        inside.open.iter().filter(|(_, for_sure)| !for_sure).map(|(campaign, _)| counts(campaign)).collect();
    optional.sort_by(|a, b| {
        let order = (a.0 * b.1).cmp(&(b.0 * a.1));
        if end == End::Least { order } else { order.reverse() }
    });
    for (c, s) in optional {
        let (own, so_far) = (c.saturating_mul(sent), compromised.saturating_mul(s));
        let helps = if end == End::Least { own < so_far } else { own > so_far };
        if helps {
            (compromised, sent) = (compromised + c, sent + s);
        }
    }
    let exact = |number: u128| i128::try_from(number).unwrap_or(i128::MAX);
    at(Ratio::new(exact(compromised).saturating_mul(100), exact(sent)))
}
