//! Checking a pack with nothing but the file: no network, no data folder, no AWS.

mod files;
mod history;
mod numbers;
mod report;

pub use report::{Failed, Report, Step, StepReport};

use super::layout;
use super::manifest::{Manifest, RENDERER};
use super::render::render_each;
use crate::domain::log::Hash;
use crate::domain::note::VerifierKey;
use crate::domain::text::counted;
use history::Older;
use std::collections::BTreeMap;

/// What somebody has to compare a pack with.
#[derive(Debug, Clone, Default)]
pub struct Known<'a> {
    /// Keys that were learnt by another way than the pack.
    pub keys: Vec<VerifierKey>,
    /// Older packs or checkpoints, each with its name.
    pub older: Vec<(String, &'a [u8])>,
}

/// The largest pack that is read.
pub const LARGEST_PACK: u64 = 256 * 1024 * 1024;

/// Checks a pack, step by step; the first step that fails is the last one.
#[must_use]
pub fn verify(bytes: &[u8], known: &Known<'_>) -> Report {
    let mut report = Report::default();
    // A report is complete in either case.
    let _ = steps(bytes, known, &mut report);
    report
}

/// A step that failed; what is wrong is in the report.
struct Stop;

fn steps(bytes: &[u8], known: &Known<'_>, report: &mut Report) -> Result<(), Stop> {
    let (archive, names) = report.step(Step::Container, files::open(bytes))?;
    let (manifest, raw) = report.step(Step::Manifest, files::manifest(&archive, &names))?;
    let files = report.step(Step::Manifest, files::read_all(&archive, &manifest))?;
    report.passed(Step::Container, counted(names.len(), "file", "files"));
    report.passed(
        Step::Manifest,
        format!("format {}, {} with SHA-256", manifest.format, counted(manifest.files.len(), "file", "files")),
    );
    let keys = report.step(Step::Signature, history::keys(&archive, &manifest, &raw, &files, known))?;
    let files::Recorded { contents, unended } = report.step(Step::Bundle, files::contents(&manifest, files))?;
    report.passed(
        Step::Bundle,
        format!("{} of {}", counted(contents.bundles.len(), "bundle", "bundles"), manifest.client),
    );
    let statements: usize = contents.logs.values().map(|log| log.statements.len()).sum();
    report.step(Step::Statement, history::statements(&contents, &unended))?;
    report.passed(Step::Statement, format!("{} in canonical form", counted(statements, "statement", "statements")));
    report.step(Step::Log, history::logs(&contents))?;
    report.passed(Step::Log, format!("size and root of {}", counted(contents.logs.len() + 1, "log", "logs")));
    report.step(Step::Signature, history::checkpoints(&contents, &keys.current))?;
    report.passed(Step::Signature, keys.summary.clone());
    report.step(Step::BundleProof, history::bundle_proofs(&contents))?;
    let proved = contents.bundles.iter().filter(|bundle| bundle.proof.is_some()).count();
    report.passed(Step::BundleProof, format!("in the trees of their runs: {}", counted(proved, "bundle", "bundles")));
    report.step(Step::Inclusion, history::inclusion(&contents))?;
    report.passed(Step::Inclusion, format!("in their logs: {}", counted(proved, "run", "runs")));
    report.step(Step::Unlogged, history::unlogged(&contents))?;
    report.passed(
        Step::Unlogged,
        format!("from before the log: {}", counted(contents.bundles.len() - proved, "bundle", "bundles")),
    );
    let older: Vec<Older> = report.step(Step::Consistency, history::older(known))?;
    let detail = report.step(Step::Consistency, history::consistency(&contents, &older, &keys))?;
    report.passed(Step::Consistency, detail);
    let detail = report.step(Step::Window, history::coverage(&contents))?;
    report.passed(Step::Window, detail);
    let detail = report.step(Step::Decision, history::decisions(&contents))?;
    report.passed(Step::Decision, detail);
    let detail = report.step(Step::Numbers, numbers::check(&contents))?;
    report.passed(Step::Numbers, detail);
    if manifest.renderer != RENDERER {
        let other = format!(
            "renderer {} is not one that this version has ({RENDERER}): tables and exports are not compared",
            manifest.renderer
        );
        report.passed(Step::Rendering, other);
        return Ok(());
    }
    report.step(Step::Rendering, rendering(&manifest, &contents))?;
    report.passed(Step::Rendering, "tables, exports and pages are what the evidence gives, byte for byte".to_owned());
    Ok(())
}

/// Makes everything derived again, and what was recorded in the form that a pack has it in; one file at a time, against the hash in the manifest, which is
/// that of the file.
fn rendering(manifest: &Manifest, contents: &super::contents::Contents) -> Result<(), Vec<Failed>> {
    let listed: BTreeMap<&str, _> = manifest.files.iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let (mut wrong, mut made) = (Vec::new(), BTreeMap::new());
    let mut compare = |path: &str, bytes: &[u8], problem: &str| match listed.get(path) {
        None => wrong.push(Failed::of(path, "it is missing")),
        Some(entry) if entry.bytes != bytes.len() as u64 || entry.sha256 != Hash::of(bytes).hex() => {
            wrong.push(Failed::of(path, problem));
        }
        Some(_) => {}
    };
    let rendered = render_each(contents, |path, derived| {
        compare(path, &derived.bytes, "it is not what the evidence of the pack gives");
        made.insert(path.to_owned(), derived.from);
    });
    let recorded = rendered.and_then(|()| {
        contents.each_recorded(|path, bytes| {
            compare(&path, &bytes, "it is not written as a pack has it");
            made.insert(path, Vec::new());
        })
    });
    recorded.map_err(|error| vec![Failed::of(layout::MANIFEST, error.to_string())])?;
    for entry in &manifest.files {
        match made.get(&entry.path) {
            None => wrong.push(Failed::of(&entry.path, "no evidence of the pack gives such a file")),
            Some(from) if entry.derived_from != *from || entry.media_type != layout::media_type(&entry.path) => {
                wrong.push(Failed::of(layout::MANIFEST, format!("what it says of {} is not so", entry.path)));
            }
            Some(_) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
