//! OCSF 1.6.0 compliance findings (class 2003): <https://schema.ocsf.io/1.6.0/classes/compliance_finding>. One per rule with an outcome.

use super::status::{in_words, states, supported};
use crate::domain::control_status::EvidenceAge;
use crate::domain::log::Hash;
use crate::domain::policy::Outcome;
use crate::pack::contents::{Contents, PackError, pretty};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct ComplianceFinding {
    activity_id: u32,
    activity_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    class_uid: u32,
    class_name: &'static str,
    type_uid: u32,
    type_name: &'static str,
    severity_id: u32,
    severity: &'static str,
    status_id: u32,
    status: &'static str,
    time: i64,
    time_dt: String,
    metadata: Metadata,
    finding_info: FindingInfo,
    compliance: Compliance,
    evidences: [EvidenceOf; 1],
    resources: [Resource; 1],
    unmapped: Unmapped,
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    product: ProductOf,
    profiles: [&'static str; 1],
    tenant_uid: String,
    uid: String,
    original_time: String,
    log_version: &'static str,
}

#[derive(Serialize)]
struct ProductOf {
    name: &'static str,
    vendor_name: &'static str,
    version: String,
    uid: &'static str,
}

#[derive(Serialize)]
struct FindingInfo {
    uid: String,
    title: String,
    desc: String,
    created_time: i64,
    created_time_dt: String,
    data_sources: [String; 1],
    types: [&'static str; 1],
}

#[derive(Serialize)]
struct Compliance {
    standards: Vec<String>,
    requirements: Vec<String>,
    control: String,
    status_id: u32,
    status: &'static str,
    status_detail: String,
    checks: [Check; 1],
}

#[derive(Serialize)]
struct Check {
    name: String,
    uid: String,
    status_id: u32,
    status: &'static str,
    desc: String,
}

#[derive(Serialize)]
struct EvidenceOf {
    name: String,
    uid: String,
    data: BTreeMap<String, Option<String>>,
}

#[derive(Serialize)]
struct Resource {
    uid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
}

#[derive(Serialize)]
struct Unmapped {
    run_id: String,
    sha256: String,
    policy: String,
    policy_version: String,
    policy_sha256: String,
}

/// All findings, as one JSON array.
pub(super) fn findings(contents: &Contents) -> Result<Vec<u8>, PackError> {
    let scope = &contents.scope;
    let states = states(contents);
    let rows = supported(contents, &states);
    let (time, time_dt) = in_both_forms(scope.at);
    let mut findings = Vec::new();
    for state in &states {
        let of_kind = rows.iter().filter(|(row, _)| row.evidence == state.evidence);
        let mut standards: Vec<String> =
            of_kind.clone().map(|(row, _)| format!("{} {}", row.framework, row.version)).collect();
        let mut requirements: Vec<String> = of_kind.map(|(row, _)| format!("{}:{}", row.framework, row.id)).collect();
        standards.sort();
        standards.dedup();
        requirements.sort();
        requirements.dedup();
        for verdict in &state.verdicts {
            let status = state.status_of(contents, verdict);
            let (status_id, word, severity_id, severity) = match (status.freshness, status.outcome) {
                (_, Outcome::NotEvaluated | Outcome::NotApplicable) => continue,
                // What is not fresh says nothing of now.
                (EvidenceAge::Fresh, Outcome::Pass) => (1, "Pass", 1, "Informational"),
                (EvidenceAge::Fresh, Outcome::Fail) => (3, "Fail", 4, "High"),
                (EvidenceAge::Fresh, Outcome::Warning) => (99, "Warning band", 3, "Medium"),
                _ => (2, "Warning", 1, "Informational"),
            };
            let sha256 = Hash::of(state.bundle.body.as_bytes()).hex();
            let (created_time, created_time_dt) = in_both_forms(state.bundle.as_of());
            findings.push(ComplianceFinding {
                activity_id: 1,
                activity_name: "Create",
                category_uid: 2,
                category_name: "Findings",
                class_uid: 2003,
                class_name: "Compliance Finding",
                type_uid: 200_301,
                type_name: "Compliance Finding: Create",
                severity_id,
                severity,
                status_id: 1,
                status: "New",
                time,
                time_dt: time_dt.clone(),
                metadata: Metadata {
                    version: "1.6.0",
                    product: ProductOf {
                        name: "huntress-evidence",
                        vendor_name: "huntress-evidence",
                        version: scope.product_version.clone(),
                        uid: "huntress-evidence",
                    },
                    profiles: ["datetime"],
                    tenant_uid: scope.client.to_string(),
                    uid: format!("{}/{}", state.bundle.run(), verdict.rule),
                    original_time: created_time_dt.clone(),
                    log_version: "1.0.0",
                },
                finding_info: FindingInfo {
                    uid: format!("{}/{}/{}", scope.company, scope.client, verdict.rule),
                    title: verdict.rule.to_string(),
                    desc: in_words(verdict),
                    created_time,
                    created_time_dt,
                    data_sources: [state.bundle.product.to_string()],
                    types: ["Compliance"],
                },
                compliance: Compliance {
                    standards: standards.clone(),
                    requirements: requirements.clone(),
                    control: state.evidence.as_str().to_owned(),
                    status_id,
                    status: word,
                    status_detail: status.text,
                    checks: [Check {
                        name: verdict.rule.to_string(),
                        uid: verdict.rule.to_string(),
                        status_id,
                        status: word,
                        desc: in_words(verdict),
                    }],
                },
                evidences: [EvidenceOf {
                    name: verdict.metric.clone(),
                    uid: sha256.clone(),
                    data: [(verdict.metric.clone(), verdict.value.clone())].into(),
                }],
                resources: [Resource { uid: scope.client.to_string(), kind: "Client", name: scope.client.to_string() }],
                unmapped: Unmapped {
                    run_id: state.bundle.run().to_string(),
                    sha256,
                    policy: verdict.policy.to_string(),
                    policy_version: verdict.version.to_string(),
                    policy_sha256: verdict.policy_sha256.clone(),
                },
            });
        }
    }
    pretty(&findings)
}

fn in_both_forms(at: DateTime<Utc>) -> (i64, String) {
    (at.timestamp_millis(), at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
