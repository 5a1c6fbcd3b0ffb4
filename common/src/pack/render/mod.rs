//! What is derived from the recorded part of a pack: tables, exports, pages. The same contents give the same bytes.

mod ocsf;
mod oscal;
mod pages;
mod status;
mod tables;

pub use pages::NOT_PROVED;
pub use status::{EvidenceState, states};

use super::contents::{Contents, PackError};
use super::layout;
use crate::domain::product::Product;
use std::collections::BTreeMap;

/// A derived file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The recorded files that it is made of.
    pub from: Vec<String>,
}

/// The JSON Schema of facts that this renderer goes with.
pub const FACTS_SCHEMA: &str = crate::domain::facts::SCHEMA;

/// All derived files of a pack, by path.
///
/// # Errors
/// [`PackError`].
pub fn render(contents: &Contents) -> Result<BTreeMap<String, Derived>, PackError> {
    let mut files = BTreeMap::new();
    render_each(contents, |path, derived| drop(files.insert(path.to_owned(), derived)))?;
    Ok(files)
}

/// The same, one after another.
///
/// # Errors
/// [`PackError`].
pub fn render_each(contents: &Contents, mut take: impl FnMut(&str, Derived)) -> Result<(), PackError> {
    let bundles: Vec<String> = contents.bundles.iter().map(|bundle| bundle.path()).collect();
    let newest: Vec<String> = [Product::Edr, Product::Sat]
        .into_iter()
        .filter_map(|it| contents.newest(it))
        .map(|bundle| bundle.path())
        .collect();
    let decisions: Vec<String> = contents.decisions.iter().map(|it| layout::decision(it.id().as_str())).collect();
    let policies: Vec<String> =
        contents.policies.iter().map(|it| layout::policy(it.name().as_str(), &it.version().to_string())).collect();
    let logs: Vec<String> = contents.logs.keys().map(layout::log).collect();
    let evaluated =
        || [newest.clone(), policies.clone(), decisions.clone(), vec![layout::CONTROL_MAP.to_owned()]].concat();
    let windowed = || [bundles.clone(), logs.clone(), decisions.clone(), vec![layout::WINDOW.to_owned()]].concat();
    let mut add = |path: &str, bytes: Vec<u8>, mut from: Vec<String>| {
        from.sort();
        from.dedup();
        take(path, Derived { bytes, from });
    };
    add("csv/metrics.csv", tables::metrics(contents), bundles.clone());
    add("csv/signals.csv", tables::signals(contents), bundles.clone());
    add("csv/verdicts.csv", tables::verdicts(contents), bundles.clone());
    add("csv/findings.csv", tables::findings(contents), bundles.clone());
    add("csv/completeness.csv", tables::completeness(contents), bundles.clone());
    add("csv/controls.csv", tables::controls(contents), evaluated());
    add("csv/exceptions.csv", tables::exceptions(contents), decisions.clone());
    add("csv/attestations.csv", tables::attestations(contents), decisions.clone());
    add("csv/audit-log.csv", tables::audit_log(contents), vec![layout::EVENTS.to_owned()]);
    add("csv/window.csv", tables::window(contents), windowed());
    add(layout::OSCAL, oscal::results(contents)?, evaluated());
    add(layout::OCSF, ocsf::findings(contents)?, evaluated());
    add(layout::SUMMARY, pages::summary(contents), [evaluated(), windowed()].concat());
    add(layout::README, pages::readme(contents), Vec::new());
    add(layout::FACTS_SCHEMA, FACTS_SCHEMA.as_bytes().to_vec(), Vec::new());
    Ok(())
}
