//! The controls that a client's evidence supports.

use super::latest::bundle;
use super::status::{RuleResult, Statuses};
use super::{AttestedCoverage, EvidenceError, EvidenceReader};
use crate::domain::control_status::ControlStatus;
use crate::domain::controls::ControlRef;
use crate::domain::evidence::EdrBundle;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use crate::domain::time::Window;
use crate::store::StoredEvidence;
use std::collections::{BTreeMap, BTreeSet};

/// The controls that the latest evidence of a client supports; none without evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Controls {
    /// The versions of the control map that the evidence was committed with.
    pub map_versions: BTreeSet<String>,
    /// Each control once, by framework and id.
    pub controls: Vec<SupportedControl>,
    /// Agents online against the devices that somebody attested.
    pub endpoint_coverage: Option<AttestedCoverage>,
}

/// A control, and what supports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedControl {
    /// The framework, e.g. `SOC 2`.
    pub framework: String,
    /// Its version.
    pub version: String,
    /// The control's id in it.
    pub id: String,
    /// What supports it.
    pub evidence: Vec<Support>,
    /// What a reader has to know of it: the worst outcome of the rules behind it, its age and its exception; `None` for one that the control map of
    /// this program no longer has.
    pub status: Option<ControlStatus>,
    /// What the rules said.
    pub rules: Vec<RuleResult>,
}

/// Evidence that supports a control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// Which evidence, in words.
    pub evidence: String,
    /// How strongly.
    pub strength: String,
}

/// Framework, version and id of a control, and its support.
type Supports = BTreeMap<(String, String, String), Vec<Support>>;

impl EvidenceReader {
    /// The controls that the latest evidence of a client in a span supports; `None` without evidence.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn controls(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<Option<Controls>, EvidenceError> {
        let around = self.around_client(company, client, None, span).await?;
        if around.evidence.is_empty() {
            return Ok(None);
        }
        let (mut supports, mut map_versions) = (Supports::new(), BTreeSet::new());
        for evidence in &around.evidence {
            match evidence.product {
                Product::Edr => of_endpoints(evidence, &mut supports, &mut map_versions)?,
                Product::Sat => of_training(evidence, &mut supports, &mut map_versions)?,
            }
        }
        let statuses = Statuses::of_client(client, &around, self.store.calendar())?;
        let controls = supports.into_iter().map(|((framework, version, id), evidence)| {
            let status = statuses.of_control(&framework, &id);
            let (status, rules) = status.map_or((None, Vec::new()), |(status, rules)| (Some(status), rules));
            SupportedControl { framework, version, id, evidence, status, rules }
        });
        let endpoint_coverage = AttestedCoverage::of(&around)?;
        Ok(Some(Controls { map_versions, controls: controls.collect(), endpoint_coverage }))
    }
}

fn add(supports: &mut Supports, evidence: String, control: &ControlRef) {
    let key = (control.framework.clone(), control.version.clone(), control.id.clone());
    supports.entry(key).or_default().push(Support { evidence, strength: control.strength.to_string() });
}

/// The name of evidence, with a mark where it is from before the log.
fn marked(evidence: &StoredEvidence, name: String) -> String {
    if evidence.leaf.is_none() { format!("{name}, unlogged") } else { name }
}

fn of_endpoints(
    evidence: &StoredEvidence,
    supports: &mut Supports,
    versions: &mut BTreeSet<String>,
) -> Result<(), EvidenceError> {
    let bundle: EdrBundle = bundle(evidence)?;
    versions.insert(bundle.metadata.control_map_version);
    for (category, controls) in &bundle.metadata.controls {
        let name = marked(evidence, category.as_str().to_owned());
        controls.iter().for_each(|control| add(supports, name.clone(), control));
    }
    Ok(())
}

fn of_training(
    evidence: &StoredEvidence,
    supports: &mut Supports,
    versions: &mut BTreeSet<String>,
) -> Result<(), EvidenceError> {
    let bundle: SatBundle = bundle(evidence)?;
    for signal in &bundle.signals {
        versions.insert(signal.metadata.control_map_version.clone());
        let name = marked(evidence, format!("{} ({})", signal.signal_key, signal.status));
        signal.controls.iter().for_each(|control| add(supports, name.clone(), control));
    }
    if let Some(people) = &bundle.people {
        versions.insert(people.control_map_version.clone());
        let summary = people.summary;
        let name =
            marked(evidence, format!("training of people ({} of {} compliant)", summary.compliant, summary.total()));
        people.controls.iter().for_each(|control| add(supports, name.clone(), control));
    }
    Ok(())
}
