//! OSCAL 1.2.1 assessment results: <https://pages.nist.gov/OSCAL/>. One result at the instant of the pack.

use super::status::{EvidenceState, in_words, states, supported};
use crate::domain::control_status::EvidenceAge;
use crate::domain::log::Hash;
use crate::domain::policy::Outcome;
use crate::pack::contents::{Contents, PackError, PackedBundle, pretty};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

const NS: &str = "https://github.com/huntress-evidence/ns/oscal";

/// A stable UUID for something of this client.
fn uuid(contents: &Contents, what: &str) -> String {
    let scope = &contents.scope;
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{NS}/{}/{}/{what}", scope.company, scope.client).as_bytes()).to_string()
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    assessment_results: AssessmentResults,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AssessmentResults {
    uuid: String,
    metadata: Metadata,
    import_ap: Link,
    results: [ResultOf; 1],
    back_matter: BackMatter,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    title: String,
    last_modified: String,
    version: String,
    oscal_version: &'static str,
    props: Vec<Prop>,
    roles: [Role; 1],
    parties: [Party; 1],
    responsible_parties: [ResponsibleParty; 1],
}

#[derive(Serialize)]
struct Role {
    id: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct Party {
    uuid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ResponsibleParty {
    role_id: &'static str,
    party_uuids: [String; 1],
}

#[derive(Serialize)]
struct Link {
    href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remarks: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
}

#[derive(Serialize)]
struct Prop {
    name: String,
    ns: &'static str,
    value: String,
}

fn prop(name: impl Into<String>, value: impl Into<String>) -> Prop {
    Prop { name: name.into(), ns: NS, value: value.into() }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ResultOf {
    uuid: String,
    title: String,
    description: &'static str,
    start: String,
    end: String,
    local_definitions: LocalDefinitions,
    reviewed_controls: ReviewedControls,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observations: Vec<Observation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct LocalDefinitions {
    components: [Component; 2],
}

#[derive(Serialize)]
struct Component {
    uuid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    description: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    props: Vec<Prop>,
    status: State,
}

#[derive(Serialize)]
struct State {
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReviewedControls {
    control_selections: Vec<Selection>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Selection {
    description: String,
    props: Vec<Prop>,
    include_controls: Vec<ControlId>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ControlId {
    control_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Origin {
    actors: [Actor; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Actor {
    #[serde(rename = "type")]
    kind: &'static str,
    actor_uuid: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Subject {
    subject_uuid: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Observation {
    uuid: String,
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    props: Vec<Prop>,
    methods: [&'static str; 1],
    types: [&'static str; 1],
    origins: [Origin; 1],
    subjects: [Subject; 1],
    relevant_evidence: [Link; 1],
    collected: String,
    expires: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Finding {
    uuid: String,
    title: String,
    description: String,
    origins: [Origin; 1],
    target: Target,
    related_observations: [ObservationRef; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Target {
    #[serde(rename = "type")]
    kind: &'static str,
    target_id: String,
    title: String,
    props: Vec<Prop>,
    status: TargetStatus,
}

#[derive(Serialize)]
struct TargetStatus {
    state: &'static str,
    reason: &'static str,
    remarks: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ObservationRef {
    observation_uuid: String,
}

#[derive(Serialize)]
struct BackMatter {
    resources: Vec<Resource>,
}

#[derive(Serialize)]
struct Resource {
    uuid: String,
    title: String,
    description: String,
    rlinks: [RelativeLink; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RelativeLink {
    href: String,
    media_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<HashOf>,
}

#[derive(Serialize)]
struct HashOf {
    algorithm: &'static str,
    value: String,
}

/// The document.
pub(super) fn results(contents: &Contents) -> Result<Vec<u8>, PackError> {
    let scope = &contents.scope;
    let states = states(contents);
    let rows = supported(contents, &states);
    let at = instant(scope.at);
    let (tool, service) = (uuid(contents, "component/huntress-evidence"), uuid(contents, "component/huntress"));
    let origin = || [Origin { actors: [Actor { kind: "tool", actor_uuid: tool.clone() }] }];
    let observation_of = |state: &EvidenceState<'_>| {
        uuid(contents, &format!("observation/{}/{}", state.evidence.as_str(), state.bundle.run()))
    };
    let resource_of = |bundle: &PackedBundle| uuid(contents, &format!("evidence/{}", bundle.run()));
    let party = uuid(contents, "party/operator");

    let mut selections: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (row, _) in &rows {
        selections.entry((&row.framework, &row.version)).or_default().push(row.oscal_id());
    }
    let select = |((framework, edition), mut ids): ((&str, &str), Vec<String>)| {
        ids.sort();
        ids.dedup();
        Selection {
            description: format!("{framework} {edition}"),
            props: vec![prop("framework", framework), prop("edition", edition)],
            include_controls: ids.into_iter().map(|control_id| ControlId { control_id }).collect(),
        }
    };
    let observe = |state: &EvidenceState<'_>| {
        let status = state.status(contents, None);
        let said: Vec<String> = state.verdicts.iter().map(|verdict| in_words(verdict)).collect();
        let said = if said.is_empty() { "no rule was chosen".to_owned() } else { said.join("; ") };
        let mut props = values(state);
        props.push(prop("outcome", status.outcome.as_str()));
        props.push(prop("freshness", status.freshness.as_str()));
        Observation {
            uuid: observation_of(state),
            title: state.evidence.as_str().replace('_', " "),
            description: format!("{said}. Status: {}.", status.text),
            props,
            methods: ["TEST"],
            types: ["control-objective"],
            origins: origin(),
            subjects: [Subject { subject_uuid: service.clone(), kind: "component" }],
            relevant_evidence: [Link {
                href: format!("#{}", resource_of(state.bundle)),
                remarks: None,
                description: Some("The bundle as it was committed; its SHA-256 is with the resource."),
            }],
            collected: instant(state.bundle.as_of()),
            expires: instant(state.bundle.as_of() + state.freshness(contents).stale_after()),
        }
    };
    let mut findings = Vec::new();
    for (row, state) in &rows {
        let oscal_id = row.oscal_id();
        let status = state.status(contents, Some(&oscal_id));
        // OSCAL has no third state: what is neither satisfied nor not gives an observation alone.
        let (satisfied, reason) = match (status.freshness, status.outcome) {
            (EvidenceAge::Fresh, Outcome::Pass) => ("satisfied", "pass"),
            (EvidenceAge::Fresh, Outcome::Fail) => ("not-satisfied", "fail"),
            (EvidenceAge::Fresh, Outcome::Warning) => ("not-satisfied", "other"),
            _ => continue,
        };
        let said: Vec<String> = state.verdicts.iter().map(|verdict| in_words(verdict)).collect();
        let name = format!("{} {}", row.framework, row.id);
        findings.push(Finding {
            uuid: uuid(contents, &format!("finding/{}/{oscal_id}/{}", state.evidence.as_str(), state.bundle.run())),
            title: format!("{} supports {name}", state.evidence.as_str()),
            description: format!("{}; strength {}.", said.join("; "), row.strength),
            origins: origin(),
            target: Target {
                kind: "objective-id",
                target_id: oscal_id,
                title: name,
                props: vec![prop("framework", &row.framework), prop("control", &row.id)],
                status: TargetStatus { state: satisfied, reason, remarks: status.text },
            },
            related_observations: [ObservationRef { observation_uuid: observation_of(state) }],
        });
    }
    let mut resources = vec![Resource {
        uuid: uuid(contents, "resource/method"),
        title: "Method".to_owned(),
        description: "How it is measured: the facts, the policies and the control map of the pack.".to_owned(),
        rlinks: [RelativeLink { href: "../README.html".to_owned(), media_type: "text/html", hashes: Vec::new() }],
    }];
    let mut bundles: Vec<&PackedBundle> = states.iter().map(|state| state.bundle).collect();
    bundles.dedup_by_key(|bundle| bundle.run().clone());
    for bundle in bundles {
        resources.push(Resource {
            uuid: resource_of(bundle),
            title: format!("Evidence of {}", bundle.product),
            description: format!("Run {} as of {}.", bundle.run(), instant(bundle.as_of())),
            rlinks: [RelativeLink {
                href: format!("../{}", bundle.path()),
                media_type: "application/json",
                hashes: vec![HashOf { algorithm: "SHA-256", value: Hash::of(bundle.body.as_bytes()).hex() }],
            }],
        });
    }
    let start = states.iter().map(|state| state.bundle.as_of()).min().unwrap_or(scope.at);
    let document = Document {
        assessment_results: AssessmentResults {
            uuid: uuid(contents, &format!("assessment-results/{at}")),
            metadata: Metadata {
                title: format!("Huntress evidence of {}", scope.client),
                last_modified: at.clone(),
                version: at.clone(),
                oscal_version: "1.2.1",
                props: vec![prop("company", scope.company.as_str()), prop("client", scope.client.as_str())],
                roles: [Role { id: "operator", title: "Operator of the collector" }],
                parties: [Party { uuid: party.clone(), kind: "organization", name: scope.company.to_string() }],
                responsible_parties: [ResponsibleParty { role_id: "operator", party_uuids: [party] }],
            },
            import_ap: Link {
                href: format!("#{}", uuid(contents, "resource/method")),
                remarks: Some("There is no assessment plan of its own: rules and method are in the pack."),
                description: None,
            },
            results: [ResultOf {
                uuid: uuid(contents, &format!("result/{at}")),
                title: format!("As of {at}"),
                description: "What the newest evidence of each product says at this instant.",
                start: instant(start.min(scope.at)),
                end: at,
                local_definitions: LocalDefinitions {
                    components: [
                        Component {
                            uuid: service.clone(),
                            kind: "service",
                            title: format!("Huntress Managed EDR and SAT of {}", scope.client),
                            description: "What is measured.",
                            props: Vec::new(),
                            status: State { state: "operational" },
                        },
                        Component {
                            uuid: tool.clone(),
                            kind: "software",
                            title: "huntress-evidence".to_owned(),
                            description: "The collector.",
                            props: vec![prop("version", &scope.product_version)],
                            status: State { state: "operational" },
                        },
                    ],
                },
                reviewed_controls: ReviewedControls {
                    control_selections: if selections.is_empty() {
                        // The schema wants one.
                        vec![Selection {
                            description: "no control has evidence".to_owned(),
                            props: vec![prop("framework", "none")],
                            include_controls: vec![ControlId { control_id: "none".to_owned() }],
                        }]
                    } else {
                        selections.into_iter().map(select).collect()
                    },
                },
                observations: states.iter().map(observe).collect(),
                findings,
            }],
            back_matter: BackMatter { resources },
        },
    };
    pretty(&document)
}

/// The numbers of one kind of evidence.
fn values(state: &EvidenceState<'_>) -> Vec<Prop> {
    let view = &state.bundle.view;
    let of_kind = |metric: &&crate::domain::evidence::Metric| {
        crate::domain::controls::Evidence::from(metric.category) == state.evidence
    };
    let metrics = view.metrics.iter().chain(&view.extended_metrics).filter(of_kind);
    let mut props: Vec<Prop> =
        metrics.filter_map(|metric| Some(prop(&metric.metric_key, metric.metric_value.as_ref()?))).collect();
    let is_signal = |signal: &&serde_json::Value| {
        signal.get("signal_key").and_then(|key| key.as_str()) == Some(state.evidence.as_str())
    };
    for signal in view.signals.iter().filter(is_signal) {
        for (key, value) in signal.get("values").and_then(|values| values.as_object()).into_iter().flatten() {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => props.push(prop(key, text)),
                other => props.push(prop(key, other.to_string())),
            }
        }
    }
    props
}
