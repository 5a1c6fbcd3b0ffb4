//! Checking a pack with nothing but the file: no network, no data folder, no AWS.

mod files;
mod history;
mod numbers;
mod report;

pub use report::{Failed, Report, Step, StepReport};

use super::layout;
use super::manifest::{Manifest, RENDERER};
use super::render::render;
use crate::domain::note::VerifierKey;
use history::Older;

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
    report.passed(Step::Container, format!("{} files", names.len()));
    report.passed(
        Step::Manifest,
        format!("format {}, {} files with their SHA-256", manifest.format, manifest.files.len()),
    );
    let keys = report.step(Step::Signature, history::keys(&archive, &manifest, &raw, &files, known))?;
    let contents = report.step(Step::Bundle, files::contents(&manifest, &files))?;
    report.passed(Step::Bundle, format!("{} bundles of {}", contents.bundles.len(), manifest.client));
    let statements: usize = contents.logs.values().map(|log| log.statements.len()).sum();
    report.step(Step::Statement, history::statements(&contents, &files))?;
    report.passed(Step::Statement, format!("{statements} statements in their canonical form"));
    report.step(Step::Log, history::logs(&contents))?;
    report.passed(Step::Log, format!("size and root of {} logs", contents.logs.len() + 1));
    report.step(Step::Signature, history::checkpoints(&contents, &keys.current))?;
    report.passed(Step::Signature, keys.summary.clone());
    report.step(Step::BundleProof, history::bundle_proofs(&contents))?;
    let proved = contents.bundles.iter().filter(|bundle| bundle.proof.is_some()).count();
    report.passed(Step::BundleProof, format!("{proved} bundles are in the trees of their runs"));
    report.step(Step::Inclusion, history::inclusion(&contents))?;
    report.passed(Step::Inclusion, format!("{proved} runs are in their logs"));
    report.step(Step::Unlogged, history::unlogged(&contents))?;
    report.passed(Step::Unlogged, format!("{} bundles are from before the log", contents.bundles.len() - proved));
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
    report.step(Step::Rendering, rendering(&manifest, &contents, &files))?;
    report.passed(Step::Rendering, "tables, exports and pages are what the evidence gives, byte for byte".to_owned());
    Ok(())
}

/// Makes everything derived again.
fn rendering(
    manifest: &Manifest,
    contents: &super::contents::Contents,
    files: &files::Files,
) -> Result<(), Vec<Failed>> {
    let rendered = render(contents).map_err(|error| vec![Failed::of(layout::MANIFEST, error.to_string())])?;
    let recorded = contents.recorded().map_err(|error| vec![Failed::of(layout::MANIFEST, error.to_string())])?;
    let mut wrong = Vec::new();
    for (path, derived) in &rendered {
        match files.get(path) {
            None => wrong.push(Failed::of(path, "it is missing")),
            Some(bytes) if *bytes != derived.bytes => {
                wrong.push(Failed::of(path, "it is not what the evidence of the pack gives"));
            }
            Some(_) => {}
        }
    }
    for (path, bytes) in &recorded {
        match files.get(path) {
            Some(there) if there == bytes => {}
            _ => wrong.push(Failed::of(path, "it is not written as a pack has it")),
        }
    }
    for entry in &manifest.files {
        let derived_from = rendered.get(&entry.path).map(|derived| derived.from.clone()).unwrap_or_default();
        if !rendered.contains_key(&entry.path) && !recorded.contains_key(&entry.path) {
            wrong.push(Failed::of(&entry.path, "no evidence of the pack gives such a file"));
        } else if entry.derived_from != derived_from || entry.media_type != layout::media_type(&entry.path) {
            wrong.push(Failed::of(layout::MANIFEST, format!("what it says of {} is not so", entry.path)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
