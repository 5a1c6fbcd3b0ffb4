//! The container, the manifest, and the recorded files as what they say.

use super::{Failed, LARGEST_PACK};
use crate::domain::decisions::Decision;
use crate::domain::id::ConnectionId;
use crate::domain::log::Hash;
use crate::domain::log::statement::{CompanyStatement, Leaf, Statement};
use crate::domain::log::tree::{Tree, leaf_hash};
use crate::domain::policy::Policy;
use crate::domain::product::Product;
use crate::pack::contents::{
    BundleProof, BundleView, Contents, PackedBundle, PackedEvent, PackedLog, Scope, WindowFacts,
};
use crate::pack::layout;
use crate::pack::manifest::{FORMAT, Manifest};
use crate::pack::zip::Archive;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The recorded files of the manifest, whose hashes are right. Those that are derived are made again, and need not be kept.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What the recorded files say.
pub(super) struct Recorded {
    pub contents: Contents,
    /// Logs whose last line has no end.
    pub unended: Vec<String>,
}

/// The largest manifest that is read.
const LARGEST_MANIFEST: u64 = 32 * 1024 * 1024;
/// The largest signature that is read.
pub(super) const LARGEST_NOTE: u64 = 64 * 1024;
/// All files together may have so many bytes.
const LARGEST_WHOLE: u64 = 1024 * 1024 * 1024;
/// And one of them so many.
const LARGEST_FILE: u64 = 128 * 1024 * 1024;

pub(super) fn open(bytes: &[u8]) -> Result<(Archive<'_>, BTreeSet<String>), Vec<Failed>> {
    if bytes.len() as u64 > LARGEST_PACK {
        return Err(vec![Failed::whole(format!("the file is larger than {LARGEST_PACK} bytes, which no pack is"))]);
    }
    let archive = Archive::open(bytes).map_err(|error| vec![Failed::whole(error.to_string())])?;
    let names: BTreeSet<String> = archive.entries().iter().map(|entry| entry.name.clone()).collect();
    let unknown: Vec<Failed> = names
        .iter()
        .filter(|name| !layout::is_known(name))
        .map(|name| Failed::of(name, "a pack has no such file"))
        .collect();
    if unknown.is_empty() { Ok((archive, names)) } else { Err(unknown) }
}

/// The bytes of one file.
pub(super) fn read(archive: &Archive<'_>, path: &str, most: u64) -> Result<Vec<u8>, Failed> {
    let entry = archive.entries().iter().find(|entry| entry.name == path);
    let entry = entry.ok_or_else(|| Failed::of(path, "it is missing"))?;
    archive.read(entry, most).map_err(|problem| Failed::of(path, problem.to_string()))
}

pub(super) fn manifest(archive: &Archive<'_>, names: &BTreeSet<String>) -> Result<(Manifest, Vec<u8>), Vec<Failed>> {
    let wrong = |problem: String| vec![Failed::of(layout::MANIFEST, problem)];
    let raw = read(archive, layout::MANIFEST, LARGEST_MANIFEST).map_err(|failed| vec![failed])?;
    let manifest: Manifest = match serde_json::from_slice(&raw) {
        Ok(manifest) => manifest,
        Err(error) => return Err(wrong(format!("it cannot be read: {error}"))),
    };
    if manifest.format != FORMAT {
        return Err(wrong(format!("format {} is not one that this version reads ({FORMAT})", manifest.format)));
    }
    if manifest.to_bytes().ok().as_ref() != Some(&raw) {
        return Err(wrong("it is not written as a pack has it".to_owned()));
    }
    let mut failed = Vec::new();
    let mut listed = BTreeSet::new();
    let mut before = "";
    for entry in &manifest.files {
        if entry.path.as_str() <= before {
            failed.push(Failed::of(&entry.path, "the manifest does not list it in its order, or twice"));
        }
        before = &entry.path;
        listed.insert(entry.path.clone());
        if !names.contains(&entry.path) {
            failed.push(Failed::of(&entry.path, "the manifest lists it, and it is missing"));
        }
    }
    for name in names {
        if !listed.contains(name) && name != layout::MANIFEST && name != layout::MANIFEST_NOTE {
            failed.push(Failed::of(name, "the manifest does not list it"));
        }
    }
    if failed.is_empty() { Ok((manifest, raw)) } else { Err(failed) }
}

/// All files that the manifest lists are read and their hashes checked; those that were recorded are kept.
pub(super) fn read_all(archive: &Archive<'_>, manifest: &Manifest) -> Result<Files, Vec<Failed>> {
    let total = manifest.files.iter().try_fold(0_u64, |total, entry| total.checked_add(entry.bytes));
    if total.is_none_or(|total| total > LARGEST_WHOLE) {
        let problem = format!("its files have more than {LARGEST_WHOLE} bytes together, which no pack has");
        return Err(vec![Failed::of(layout::MANIFEST, problem)]);
    }
    let entries: BTreeMap<&str, _> = archive.entries().iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let (mut files, mut failed) = (Files::new(), Vec::new());
    for listed in &manifest.files {
        let Some(entry) = entries.get(listed.path.as_str()) else { continue };
        if entry.size != listed.bytes {
            failed.push(Failed::of(
                &listed.path,
                format!("it has {} bytes, and the manifest says {}", entry.size, listed.bytes),
            ));
            continue;
        }
        match archive.read(entry, listed.bytes.min(LARGEST_FILE)) {
            Ok(bytes) if Hash::of(&bytes).hex() == listed.sha256 => {
                if layout::is_recorded(&listed.path) {
                    files.insert(listed.path.clone(), bytes);
                }
            }
            Ok(_) => failed.push(Failed::of(&listed.path, "its SHA-256 is not the one in the manifest")),
            Err(problem) => failed.push(Failed::of(&listed.path, problem.to_string())),
        }
    }
    if failed.is_empty() { Ok(files) } else { Err(failed) }
}

/// The recorded files as what they say. The bytes of bundles go from one into the other.
pub(super) fn contents(manifest: &Manifest, mut files: Files) -> Result<Recorded, Vec<Failed>> {
    let scope = Scope {
        company: manifest.company.clone(),
        client: manifest.client.clone(),
        from: manifest.from,
        to: manifest.to,
        zone: manifest.zone.clone(),
        at: manifest.at,
        product_version: manifest.product_version.clone(),
        log: manifest.log.clone(),
        key: manifest.key.clone(),
    };
    let (mut bundles, mut logs, mut decisions, mut policies) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
    let mut failed = Vec::new();
    let unlogged: BTreeSet<&str> =
        manifest.files.iter().filter(|entry| entry.unlogged).map(|entry| entry.path.as_str()).collect();
    let evidence: Vec<String> = files.keys().filter(|path| path.starts_with("evidence/")).cloned().collect();
    for path in evidence {
        let bytes = files.remove(&path).unwrap_or_default();
        match bundle(manifest, &mut files, &path, bytes, unlogged.contains(path.as_str())) {
            Ok(bundle) => bundles.push(bundle),
            Err(problem) => failed.push(Failed::of(&path, problem)),
        }
    }
    let files = &files;
    let one = |path: &str| files.get(path).ok_or_else(|| vec![Failed::of(path, "it is missing")]);
    let mut unended = Vec::new();
    for (path, bytes) in files {
        if path.ends_with(".jsonl") && !bytes.is_empty() && bytes.last() != Some(&b'\n') {
            unended.push(path.clone());
        }
        let parts: Vec<&str> = path.split('/').collect();
        let read = match parts.as_slice() {
            ["log", "_company.jsonl"] => Ok(()),
            ["log", name] => match name.strip_suffix(".jsonl").map(ConnectionId::parse) {
                Some(Ok(id)) => log::<Statement>(files, &layout::checkpoint(&id), bytes).map(|log| {
                    logs.insert(id, log);
                }),
                Some(Err(_)) => Err("its name is no connection".to_owned()),
                None => Ok(()),
            },
            ["decisions", _] => match serde_json::from_slice::<Decision>(bytes) {
                Ok(decision) => {
                    decisions.push(decision);
                    Ok(())
                }
                Err(error) => Err(format!("it is no decision: {error}")),
            },
            ["policies", _] => match std::str::from_utf8(bytes).map(Policy::parse) {
                Ok(Ok(policy)) => {
                    policies.push(Arc::new(policy));
                    Ok(())
                }
                Ok(Err(error)) => Err(format!("it is no policy: {error}")),
                Err(_) => Err("it is no text".to_owned()),
            },
            _ => Ok(()),
        };
        failed.extend(read.err().map(|problem| Failed::of(path, problem)));
    }
    let company_log = log::<CompanyStatement>(files, layout::COMPANY_CHECKPOINT, one(layout::COMPANY_LOG)?);
    let company_log = company_log.map_err(|problem| vec![Failed::of(layout::COMPANY_LOG, problem)])?;
    let window: WindowFacts = serde_json::from_slice(one(layout::WINDOW)?)
        .map_err(|error| vec![Failed::of(layout::WINDOW, format!("it cannot be read: {error}"))])?;
    if window.calendar.zone() != scope.zone {
        let problem = format!("its zone is {}, and the manifest says {}", window.calendar.zone(), scope.zone);
        failed.push(Failed::of(layout::WINDOW, problem));
    }
    let mut events = Vec::new();
    for (place, line) in lines(one(layout::EVENTS)?).into_iter().enumerate() {
        match serde_json::from_slice::<PackedEvent>(line) {
            Ok(event) => events.push(event),
            Err(error) => failed.push(Failed::of(layout::EVENTS, format!("line {}: {error}", place + 1))),
        }
    }
    if !failed.is_empty() {
        return Err(failed);
    }
    bundles
        .sort_by(|a: &PackedBundle, b| (&a.connection, a.as_of(), a.run()).cmp(&(&b.connection, b.as_of(), b.run())));
    decisions.sort_by(|a, b| (a.at(), a.id()).cmp(&(b.at(), b.id())));
    let control_map = one(layout::CONTROL_MAP)?.clone();
    let people = files.get(layout::PEOPLE).cloned();
    let contents =
        Contents { scope, bundles, logs, company_log, decisions, events, people, window, policies, control_map };
    Ok(Recorded { contents, unended })
}

/// Lines without their ends; what follows the last end counts as a line.
pub(super) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

fn log<L: Leaf>(files: &Files, checkpoint: &str, bytes: &[u8]) -> Result<PackedLog<L>, String> {
    let note = files.get(checkpoint).ok_or_else(|| format!("its checkpoint {checkpoint} is missing"))?;
    let checkpoint = String::from_utf8(note.clone()).map_err(|_| format!("{checkpoint} is no text"))?;
    let (mut statements, mut tree) = (Vec::new(), Tree::default());
    for (place, line) in lines(bytes).into_iter().enumerate() {
        let statement = L::parse(line).map_err(|error| format!("line {}: {error}", place + 1))?;
        statements.push(statement);
        tree.append(leaf_hash(line));
    }
    Ok(PackedLog { statements, tree, checkpoint })
}

fn bundle(
    manifest: &Manifest,
    files: &mut Files,
    path: &str,
    bytes: Vec<u8>,
    unlogged: bool,
) -> Result<PackedBundle, String> {
    let mut parts = path.split('/').skip(1);
    let (product, connection) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let product = [Product::Edr, Product::Sat].into_iter().find(|known| known.as_str() == product);
    let product = product.ok_or("its folder is no product")?;
    let connection = ConnectionId::parse(connection).map_err(|_| "its folder is no connection")?;
    let body = String::from_utf8(bytes).map_err(|_| "it is no text")?;
    let view: BundleView = serde_json::from_str(&body).map_err(|error| format!("it is no bundle: {error}"))?;
    if view.schema_version.is_some_and(|version| version > 2) {
        return Err("its schema version is not one that this version reads".to_owned());
    }
    if view.tenant.company_id.as_ref() != Some(&manifest.company)
        || view.tenant.client_id.as_ref() != Some(&manifest.client)
    {
        return Err("it is not about this client".to_owned());
    }
    let mut bundle = PackedBundle { product, connection, body, view, proof: None };
    if bundle.path() != path {
        return Err(format!("it says that it is {}", bundle.path()));
    }
    match (files.remove(&bundle.proof_path()), unlogged) {
        (Some(proof), false) => {
            let proof: BundleProof = serde_json::from_slice(&proof)
                .map_err(|error| format!("its proof {} cannot be read: {error}", bundle.proof_path()))?;
            bundle.proof = Some(proof);
        }
        (None, true) => {}
        (None, false) => return Err("it has no proof, and is not marked as from before the log".to_owned()),
        (Some(_), true) => return Err("it is marked as from before the log, and has a proof".to_owned()),
    }
    Ok(bundle)
}
