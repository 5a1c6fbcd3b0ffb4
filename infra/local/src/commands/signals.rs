//! Training evidence as it is stored: signals, and the controls that a client's evidence supports.

use super::evidence::{Entries, Entry, bundle, heading, unusable};
use super::open;
use crate::arguments::OfClient;
use crate::outcome::CliError;
use crate::render;
use common::domain::controls::ControlRef;
use common::domain::evidence::EdrBundle;
use common::domain::product::Product;
use common::domain::sat::bundle::SatBundle;
use common::store::{EvidenceOwner, StoredEvidence};
use serde_json::json;
use std::collections::BTreeMap;

pub async fn signals(options: OfClient) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let company = &options.place.company;
    let owner = EvidenceOwner::Client(options.client.clone());
    let latest = stack.store.latest(company, &owner).await.map_err(|error| unusable(&error))?;
    let connections = stack.store.connections(company).await.map_err(|error| unusable(&error))?;
    let now = stack.huntress.clock.now();
    stack.close().await;
    let latest: Vec<StoredEvidence> = latest.into_iter().filter(|evidence| evidence.product == Product::Sat).collect();
    if latest.is_empty() {
        return Err(CliError::other(format!(
            "there is no training evidence of a client {}; see: huntress-evidence connections",
            options.client
        )));
    }
    let of = |evidence: &StoredEvidence| connections.iter().find(|connection| connection.id == evidence.connection);
    if options.json {
        let evidence: Result<Vec<_>, CliError> =
            latest.iter().map(|evidence| Entry::<SatBundle>::of(evidence, of(evidence), now)).collect();
        return render::json(&Entries { evidence: evidence? });
    }
    for evidence in &latest {
        let bundle: SatBundle = bundle(evidence)?;
        render::text(&format!("{}{}\n", heading(evidence, of(evidence), now), render::signals(&bundle)))?;
    }
    Ok(())
}

/// Which evidence supports a control, and how strongly.
type Supports = BTreeMap<(String, String, String), Vec<(String, String)>>;

pub async fn controls(options: OfClient) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let owner = EvidenceOwner::Client(options.client.clone());
    let latest = stack.store.latest(&options.place.company, &owner).await.map_err(|error| unusable(&error))?;
    stack.close().await;
    if latest.is_empty() {
        return Err(CliError::other(format!(
            "there is no evidence of a client {}; see: huntress-evidence connections",
            options.client
        )));
    }
    let mut supports = Supports::new();
    let mut add = |evidence: String, control: &ControlRef| {
        let key = (control.framework.clone(), control.version.clone(), control.id.clone());
        supports.entry(key).or_default().push((evidence, control.strength.to_string()));
    };
    let mut versions = Vec::new();
    for evidence in &latest {
        match evidence.product {
            Product::Edr => {
                let bundle: EdrBundle = bundle(evidence)?;
                versions.push(bundle.metadata.control_map_version);
                for (category, controls) in &bundle.metadata.controls {
                    controls.iter().for_each(|control| add(category.as_str().to_owned(), control));
                }
            }
            Product::Sat => {
                let bundle: SatBundle = bundle(evidence)?;
                for signal in &bundle.signals {
                    versions.push(signal.metadata.control_map_version.clone());
                    let name = format!("{} ({})", signal.signal_key, signal.status);
                    signal.controls.iter().for_each(|control| add(name.clone(), control));
                }
                if let Some(people) = &bundle.people {
                    versions.push(people.control_map_version.clone());
                    let summary = people.summary;
                    let name = format!("training of people ({} of {} compliant)", summary.compliant, summary.total());
                    people.controls.iter().for_each(|control| add(name.clone(), control));
                }
            }
        }
    }
    versions.sort();
    versions.dedup();
    if options.json {
        let rows: Vec<_> = supports
            .iter()
            .map(|((framework, version, id), evidence)| {
                let evidence: Vec<_> =
                    evidence.iter().map(|(name, strength)| json!({"evidence": name, "strength": strength})).collect();
                json!({"framework": framework, "version": version, "id": id, "evidence": evidence})
            })
            .collect();
        return render::json(&json!({"client_id": options.client, "control_map_versions": versions, "controls": rows}));
    }
    let mut table = render::table(&["framework", "control", "supported by", "strength"]);
    for ((framework, version, id), evidence) in &supports {
        let joined = |part: fn(&(String, String)) -> &str| evidence.iter().map(part).collect::<Vec<_>>().join("\n");
        table.add_row([
            format!("{framework} {version}"),
            id.clone(),
            joined(|(name, _)| name),
            joined(|(_, strength)| strength),
        ]);
    }
    render::text(&format!("{table}\ncontrol map {}\n", versions.join(", ")))
}
