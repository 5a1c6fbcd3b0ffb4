//! Numbers and outcomes, computed again from the facts of each bundle.

use super::Failed;
use crate::domain::controls::Evidence;
use crate::domain::decisions::Decision;
use crate::domain::edr::EdrSettings;
use crate::domain::edr::facts::EdrFacts;
use crate::domain::edr::measures::{SeverityBounds, measures_within};
use crate::domain::edr::metrics::{EdrRules, extended_metrics, metrics};
use crate::domain::evidence::{Metric, Reason};
use crate::domain::log::Hash;
use crate::domain::log::statement::{EvidenceLeaf, RULES};
use crate::domain::policy::{InForce, Measures, Policy, PolicyChoice, PolicyRef, Verdict, evaluate};
use crate::domain::product::Product;
use crate::domain::sat::facts::SatFacts;
use crate::domain::sat::measures::{SatRules, measures as sat_measures};
use crate::domain::sat::{coverage, phishing};
use crate::domain::text;
use crate::pack::contents::{Contents, PackedBundle, policies_of};
use crate::pack::layout;
use chrono::SubsecRound;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What numbers are computed from.
#[derive(Deserialize)]
struct Part<F> {
    facts: F,
    #[serde(default)]
    metadata: MetadataPart,
}

#[derive(Default, Deserialize)]
struct MetadataPart {
    /// The limits that the numbers depend on.
    #[serde(default)]
    derivation: Value,
}

/// What was computed again.
#[derive(Default)]
struct Counted {
    bundles: u64,
    numbers: u64,
    verdicts: u64,
    without_facts: u64,
}

/// Every number and outcome follows from the facts of its bundle, under the policies that are here.
pub(super) fn check(contents: &Contents) -> Result<String, Vec<Failed>> {
    let mut failed = Vec::new();
    let mut counted = Counted::default();
    for bundle in &contents.bundles {
        let problem = check_policies(contents, bundle)
            .and_then(|()| check_choices(contents, bundle))
            .and_then(|()| check_bundle(contents, bundle, &mut counted));
        failed.extend(problem.err().map(|problem| Failed::of(&bundle.path(), problem)));
    }
    if contents.logged_control_map().is_some_and(|hash| hash != Hash::of(&contents.control_map)) {
        let problem = "it is not the one that the log says was in force for the newest evidence";
        failed.push(Failed::of(layout::CONTROL_MAP, problem));
    }
    if !failed.is_empty() {
        return Err(failed);
    }
    let Counted { bundles, numbers, verdicts, without_facts } = counted;
    Ok(format!(
        "{} and {} of {} follow from facts; without facts: {without_facts}",
        text::counted(numbers, "number", "numbers"),
        text::counted(verdicts, "verdict", "verdicts"),
        text::counted(bundles, "bundle", "bundles"),
    ))
}

/// What the log says of a bundle's run; nothing of one from before the log.
fn leaf_of<'a>(contents: &'a Contents, bundle: &PackedBundle) -> Option<&'a EvidenceLeaf> {
    let proof = bundle.proof.as_ref()?;
    let statements = &contents.logs.get(&bundle.connection)?.statements;
    statements.get(usize::try_from(proof.leaf_index).ok()?)?.evidence()
}

/// How releases with the rules of a bundle bounded what they did not know.
fn bounds_of(leaf: Option<&EvidenceLeaf>) -> Result<&'static [SeverityBounds], String> {
    match leaf.map(|leaf| leaf.rules.as_str()) {
        Some(RULES) => Ok(&[SeverityBounds::Any]),
        // Two releases gave this number to both.
        Some("2") | None => Ok(&[SeverityBounds::Any, SeverityBounds::None]),
        Some(other) => {
            Err(format!("it came about by rules {other}, which this release does not know: check it with a newer one"))
        }
    }
}

/// The policies of the verdicts are here, are what the verdicts say, and are those that the log says were in force.
fn check_policies(contents: &Contents, bundle: &PackedBundle) -> Result<(), String> {
    let leaf = leaf_of(contents, bundle);
    for used in policies_of(bundle) {
        let named = format!("{} {}", used.policy, used.version);
        let Some(policy) = contents.policy(&used) else {
            return Err(format!("the policy {named} of its verdicts is not here"));
        };
        if policy.sha256() != used.sha256 {
            return Err(format!("the policy {named} is not the one of its verdicts"));
        }
        let logged = |leaf: &EvidenceLeaf| leaf.policies.iter().map(Hash::hex).any(|hash| hash == used.sha256);
        if leaf.is_some_and(|leaf| !logged(leaf)) {
            return Err(format!("the log does not say that the policy {named} was in force"));
        }
    }
    Ok(())
}

/// The policies in force at an instant: the presets, and what the client had chosen by then.
fn in_force(contents: &Contents, chosen: impl Fn(&PolicyChoice) -> bool) -> Result<InForce, String> {
    let choices = contents.decisions.iter().filter_map(|decision| match decision {
        Decision::Policy(choice) if chosen(choice) => Some(choice),
        _ => None,
    });
    let policy = |choice: &PolicyChoice| {
        let named = format!("{} {}", choice.chosen.policy, choice.chosen.version);
        let policy = contents.policy(&choice.chosen).filter(|policy| policy.sha256() == choice.chosen.sha256);
        policy.ok_or_else(|| format!("the policy {named} that the client chose is not here, or is another one"))
    };
    let policies: Result<Vec<_>, String> = choices.map(policy).collect();
    Ok(InForce::after(policies?))
}

/// The verdicts are by the policies that the client had chosen, for each evidence that these have rules for.
fn check_choices(contents: &Contents, bundle: &PackedBundle) -> Result<(), String> {
    // The first version of bundles has no verdicts.
    if bundle.view.facts.is_none() {
        return Ok(());
    }
    let as_of = bundle.as_of();
    // Runs are evaluated at whole seconds: of a choice in that very second nobody can tell whether the run had seen it.
    let before = in_force(contents, |choice| choice.at <= as_of)?;
    let within = in_force(contents, |choice| choice.at.trunc_subsecs(0) <= as_of)?;
    let used: BTreeSet<(Evidence, String)> =
        bundle.view.verdicts.iter().map(|verdict| (verdict.evidence, verdict.policy_sha256.clone())).collect();
    let wanted = |in_force: &InForce| -> BTreeSet<(Evidence, String)> {
        let of = |evidence: Evidence| Some((evidence, in_force.policy_for(evidence)?.sha256()));
        let own = |evidence: &Evidence| evidence.product() == Some(bundle.product);
        Evidence::ALL.into_iter().filter(own).filter_map(of).collect()
    };
    if used == wanted(&before) || used == wanted(&within) {
        return Ok(());
    }
    Err("its verdicts are not by the policies that the client had chosen".to_owned())
}

fn check_bundle(contents: &Contents, bundle: &PackedBundle, counted: &mut Counted) -> Result<(), String> {
    // The first version of bundles has no facts.
    if bundle.view.facts.is_none() {
        counted.without_facts += 1;
        return Ok(());
    }
    let unreadable = |error: serde_json::Error| format!("its facts cannot be read: {error}");
    let (measured, doubt): (Vec<Measures>, _) = match bundle.product {
        Product::Edr => {
            let Part { facts, metadata }: Part<EdrFacts> = bundle.read().map_err(unreadable)?;
            let limits = EdrSettings::of_derivation(&metadata.derivation);
            let limits = limits.ok_or("it does not say under which limits of agent age its numbers came about")?;
            let rules = EdrRules::from(limits);
            let committed = bundle.view.metrics.iter().chain(&bundle.view.extended_metrics);
            let computed: Vec<Metric> =
                metrics(&facts, rules).into_iter().chain(extended_metrics(&facts, rules)).map(Into::into).collect();
            for (metric, computed) in committed.clone().zip(&computed) {
                if metric != computed {
                    return Err(format!("{} is not what its facts give", metric.metric_key));
                }
                counted.numbers += 1;
            }
            if committed.count() != computed.len() {
                return Err("it does not have the metrics that its facts give".to_owned());
            }
            let bounds = bounds_of(leaf_of(contents, bundle))?;
            (bounds.iter().map(|bounds| measures_within(&facts, rules, *bounds)).collect(), None)
        }
        Product::Sat => {
            let Part { facts, .. }: Part<SatFacts> = bundle.read().map_err(unreadable)?;
            let coverage = coverage::assess(&facts.learners, coverage::WINDOW_DAYS).values();
            let phishing = phishing::assess(&facts.campaigns, phishing::WINDOW_DAYS).values();
            let computed = [serde_json::to_value(coverage), serde_json::to_value(phishing)];
            for (key, values) in ["workforce_coverage", "phishing_simulation"].into_iter().zip(computed) {
                let values = values.map_err(unreadable)?;
                let is_it = |signal: &&Value| signal.get("signal_key").and_then(Value::as_str) == Some(key);
                let committed = bundle.view.signals.iter().find(is_it).and_then(|signal| signal.get("values"));
                if committed != Some(&values) {
                    return Err(format!("{key} is not what its facts give"));
                }
                counted.numbers += values.as_object().map_or(0, |values| values.len() as u64);
            }
            let elsewhere = bundle.body.contains("\"code\":\"account_of_another_client\"");
            (vec![sat_measures(&facts, SatRules::default())], elsewhere.then_some(Reason::AccountOfAnotherClient))
        }
    };
    let computed: Vec<Vec<Verdict>> =
        measured.iter().map(|measures| outcomes(contents, bundle, measures, doubt)).collect();
    if let (false, Some(verdicts)) = (computed.contains(&bundle.view.verdicts), computed.first()) {
        let other = bundle.view.verdicts.iter().find(|verdict| !verdicts.contains(verdict));
        let what = other.map_or("an outcome is missing".to_owned(), |it| format!("the outcome of {}", it.rule));
        return Err(format!("{what} is not what its facts and policies give"));
    }
    counted.bundles += 1;
    counted.verdicts += bundle.view.verdicts.len() as u64;
    Ok(())
}

/// What the policies behind the verdicts say of these measures, evidence by evidence.
fn outcomes(contents: &Contents, bundle: &PackedBundle, measures: &Measures, doubt: Option<Reason>) -> Vec<Verdict> {
    let policy_of = |evidence: Evidence| -> Option<&Arc<Policy>> {
        let verdict = bundle.view.verdicts.iter().find(|verdict| verdict.evidence == evidence)?;
        contents.policy(&PolicyRef {
            policy: verdict.policy.clone(),
            version: verdict.version,
            sha256: verdict.policy_sha256.clone(),
        })
    };
    let of = |evidence: Evidence| -> Vec<Verdict> {
        let Some(policy) = policy_of(evidence) else { return Vec::new() };
        let verdicts = evaluate(&InForce::after([policy]), bundle.product, measures, doubt);
        verdicts.into_iter().filter(|verdict| verdict.evidence == evidence).collect()
    };
    Evidence::ALL.into_iter().flat_map(of).collect()
}
