//! Which controls a piece of evidence supports: a versioned data file, and the questions asked of it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

/// What a metric is evidence of; also the row of the control map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Endpoints are protected.
    EndpointProtection,
    /// Incidents are handled.
    IncidentResponse,
    /// Asset inventory: which endpoints exist.
    AssetInventory,
}

/// A kind of evidence that the map has rows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EvidenceKind))]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The share of the workforce that completed training.
    WorkforceCoverage,
    /// How people met simulated phishing.
    PhishingSimulation,
    /// The training of one person.
    PersonTraining,
    /// Endpoints are protected.
    EndpointProtection,
    /// It is known what there is.
    AssetInventory,
    /// Incidents are handled.
    IncidentResponse,
}

impl Evidence {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] = [
        Self::WorkforceCoverage,
        Self::PhishingSimulation,
        Self::PersonTraining,
        Self::EndpointProtection,
        Self::AssetInventory,
        Self::IncidentResponse,
    ];

    /// The name as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkforceCoverage => "workforce_coverage",
            Self::PhishingSimulation => "phishing_simulation",
            Self::PersonTraining => "person_training",
            Self::EndpointProtection => "endpoint_protection",
            Self::AssetInventory => "asset_inventory",
            Self::IncidentResponse => "incident_response",
        }
    }
}

impl From<Category> for Evidence {
    fn from(category: Category) -> Self {
        match category {
            Category::EndpointProtection => Self::EndpointProtection,
            Category::IncidentResponse => Self::IncidentResponse,
            Category::AssetInventory => Self::AssetInventory,
        }
    }
}

/// How far the evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// It measures what the control asks for.
    Direct,
    /// It shows a part of it, or its effect; the control needs other evidence too.
    Supporting,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Supporting => "supporting",
        })
    }
}

/// What must be true of the tenant for a row to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The tenant says that the training covers its privacy policies and procedures.
    TrainingCoversPrivacyPolicies,
}

/// A row of the map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRow {
    /// The framework, e.g. `NIST CSF`.
    pub framework: String,
    /// Its edition, e.g. `2.0`.
    pub version: String,
    /// The control as the framework numbers it.
    pub id: String,
    /// Its OSCAL token, one for each control; absent in version 1 of the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oscal_id: Option<String>,
    /// Another number of it in some listings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formerly: Option<String>,
    /// The evidence.
    pub evidence: Evidence,
    /// How far it goes.
    pub strength: Strength,
    /// Why it says something about the control, in one sentence.
    pub rationale: String,
    /// What must be true of the tenant; a row without it always holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<Condition>,
}

/// A control as evidence names it. The row of the map, found by the map's version, says why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ControlRef {
    /// The framework.
    pub framework: String,
    /// Its edition.
    pub version: String,
    /// The control.
    pub id: String,
    /// How far the evidence goes.
    pub strength: Strength,
}

impl From<&ControlRow> for ControlRef {
    fn from(row: &ControlRow) -> Self {
        Self {
            framework: row.framework.clone(),
            version: row.version.clone(),
            id: row.id.clone(),
            strength: row.strength,
        }
    }
}

/// What is known of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlOptions {
    /// Whether the training covers its privacy policies and procedures.
    pub training_covers_privacy_policies: bool,
}

impl ControlOptions {
    fn meet(self, condition: Option<Condition>) -> bool {
        match condition {
            None => true,
            Some(Condition::TrainingCoversPrivacyPolicies) => self.training_covers_privacy_policies,
        }
    }
}

/// The map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlMap {
    version: String,
    controls: Vec<ControlRow>,
}

/// A data file that is no control map.
#[derive(Debug, thiserror::Error)]
pub enum InvalidControlMap {
    /// It cannot be read.
    #[error("the control map cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// A field is blank.
    #[error("row {row} of the control map has a blank field")]
    Blank {
        /// Which row, from 1.
        row: usize,
    },
    /// Two rows say something of the same control and evidence.
    #[error("row {row} of the control map repeats {framework} {id}")]
    Repeated {
        /// Which row, from 1.
        row: usize,
        /// The framework.
        framework: String,
        /// The control.
        id: String,
    },
    /// A row has no OSCAL token where others have one, or none that OSCAL allows, or one of another control.
    #[error("row {row} of the control map needs an oscal_id of its control alone, like cis-10.1")]
    OscalId {
        /// Which row, from 1.
        row: usize,
    },
    /// A kind of evidence has no control.
    #[error("the control map has no row for {0:?}")]
    Missing(Evidence),
}

const FILE: &str = include_str!("controls.json");

/// Earlier versions, which older records name.
const EARLIER: [&str; 1] = [include_str!("controls-1.json")];

/// Titles of controls, by framework and id.
static TITLES: LazyLock<BTreeMap<String, String>> =
    // The file is part of the program, and a test reads it.
    LazyLock::new(|| serde_json::from_str(include_str!("control-titles.json")).unwrap_or_default());

static CURRENT: LazyLock<ControlMap> = LazyLock::new(|| {
    // The file is part of the program and a test reads it, so the second case is none; evidence would then name no control and say so.
    ControlMap::parse(FILE).unwrap_or_else(|_| ControlMap { version: "unreadable".to_owned(), controls: Vec::new() })
});

impl ControlMap {
    /// The map that this program was built with.
    ///
    /// ```
    /// use evidence_domain::controls::*;
    /// let map = ControlMap::current();
    /// let controls = map.controls_for(Evidence::AssetInventory, ControlOptions::default());
    /// assert!(controls.iter().any(|control| control.framework == "NIST CSF" && control.id == "ID.AM-01"));
    /// ```
    #[must_use]
    pub fn current() -> &'static Self {
        &CURRENT
    }

    /// The JCS form (RFC 8785) of the map that this program was built with: its SHA-256 stands in the evidence log.
    ///
    /// ```
    /// use evidence_domain::controls::ControlMap;
    /// let form = String::from_utf8(ControlMap::current_form()).unwrap();
    /// assert!(form.starts_with("{\"controls\":[{"));
    /// assert_eq!(ControlMap::parse(&form).unwrap().version(), ControlMap::current().version());
    /// ```
    #[must_use]
    pub fn current_form() -> Vec<u8> {
        // The file is part of the program, and the example above reads it: neither step fails.
        let file: serde_json::Value = serde_json::from_str(FILE).unwrap_or_default();
        super::log::jcs::to_bytes(&file).unwrap_or_default()
    }

    /// The canonical form whose hash this is, of the versions that this program knows.
    #[must_use]
    pub fn form_of(hash: &super::log::Hash) -> Option<Vec<u8>> {
        let form = |file: &str| super::log::jcs::to_bytes(&serde_json::from_str::<serde_json::Value>(file).ok()?).ok();
        let mut forms = std::iter::once(FILE).chain(EARLIER).filter_map(form);
        forms.find(|form| super::log::Hash::of(form) == *hash)
    }

    /// What a control is about, in a few words; `None` for one that has no title here. Titles are no part of the map that evidence names: they help a reader.
    #[must_use]
    pub fn title(&self, row: &ControlRow) -> Option<&'static str> {
        TITLES.get(&format!("{} {}", row.framework, row.id)).map(String::as_str)
    }

    /// Reads and checks a data file.
    ///
    /// # Errors
    /// [`InvalidControlMap`] for one that cannot be read, has blank or repeated rows, or no row for some evidence.
    pub fn parse(text: &str) -> Result<Self, InvalidControlMap> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            version: String,
            controls: Vec<ControlRow>,
        }
        let File { version, controls } = serde_json::from_str(text).map_err(InvalidControlMap::Unreadable)?;
        let mut seen = BTreeSet::new();
        for (index, control) in controls.iter().enumerate() {
            let row = index + 1;
            let texts = [&version, &control.framework, &control.version, &control.id, &control.rationale];
            if texts.iter().any(|text| text.trim().is_empty()) {
                return Err(InvalidControlMap::Blank { row });
            }
            if !seen.insert((control.evidence, &control.framework, &control.id)) {
                return Err(InvalidControlMap::Repeated {
                    row,
                    framework: control.framework.clone(),
                    id: control.id.clone(),
                });
            }
        }
        check_tokens(&controls)?;
        let covered = |evidence: &Evidence| controls.iter().any(|control| control.evidence == *evidence);
        if let Some(missing) = Evidence::ALL.into_iter().find(|evidence| !covered(evidence)) {
            return Err(InvalidControlMap::Missing(missing));
        }
        Ok(Self { version, controls })
    }

    /// The map of a version that this program knows.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Self> {
        EARLIER.into_iter().chain([FILE]).filter_map(|file| Self::parse(file).ok()).find(|map| map.version == version)
    }

    /// All rows, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[ControlRow] {
        &self.controls
    }

    /// The OSCAL token of the control that a person means: the token itself, or framework and id as `SOC 2 CC6.8`.
    ///
    /// ```
    /// use evidence_domain::controls::ControlMap;
    /// let map = ControlMap::current();
    /// assert_eq!(map.oscal_id("SOC 2 CC6.8"), Some("tsc-cc6.8"));
    /// assert_eq!(map.oscal_id("tsc-cc6.8"), Some("tsc-cc6.8"));
    /// assert_eq!(map.oscal_id("CC9.9"), None);
    /// ```
    #[must_use]
    pub fn oscal_id(&self, named: &str) -> Option<&str> {
        let is_named = |row: &&ControlRow| {
            row.oscal_id.as_deref() == Some(named)
                || format!("{} {}", row.framework, row.id).eq_ignore_ascii_case(named)
        };
        self.controls.iter().find(is_named)?.oscal_id.as_deref()
    }

    /// The version, which goes into every record that names a control.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rows that hold for this evidence and tenant, in the order of the file.
    pub fn rows_for(&self, evidence: Evidence, options: ControlOptions) -> impl Iterator<Item = &ControlRow> {
        self.controls.iter().filter(move |row| row.evidence == evidence && options.meet(row.only_if))
    }

    /// The controls that this evidence supports for this tenant.
    #[must_use]
    pub fn controls_for(&self, evidence: Evidence, options: ControlOptions) -> Vec<ControlRef> {
        self.rows_for(evidence, options).map(ControlRef::from).collect()
    }

    /// The controls of several kinds of evidence.
    #[must_use]
    pub fn controls_of(&self, kinds: &[Evidence], options: ControlOptions) -> BTreeMap<Evidence, Vec<ControlRef>> {
        let named = |kind: &Evidence| (*kind, self.controls_for(*kind, options));
        kinds.iter().map(named).collect()
    }
}

/// OSCAL's tokens begin with a letter or `_` and go on with these, digits, `.` and `-`. Where one row has one all have, and each control has its own.
fn check_tokens(controls: &[ControlRow]) -> Result<(), InvalidControlMap> {
    if controls.iter().all(|control| control.oscal_id.is_none()) {
        return Ok(());
    }
    let mut owners = BTreeMap::new();
    let mut tokens = BTreeMap::new();
    for (row, control) in (1..).zip(controls) {
        let id = (&control.framework, &control.id);
        let token = control.oscal_id.as_deref().unwrap_or_default();
        let is_token = token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        let is_own = *owners.entry(token).or_insert(id) == id && *tokens.entry(id).or_insert(token) == token;
        if !is_token || !is_own {
            return Err(InvalidControlMap::OscalId { row });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "controls_tests.rs"]
mod tests;
