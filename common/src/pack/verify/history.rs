//! Keys, logs, proofs: what the evidence's history says.

use super::files::{Files, LARGEST_NOTE, open, read};
use super::{Failed, Known};
use crate::domain::id::RunId;
use crate::domain::log::proof::{is_included, root_of};
use crate::domain::log::statement::{CompanyEvent, EvidenceLeaf, Leaf, Statement};
use crate::domain::log::tree::leaf_hash;
use crate::domain::log::{Checkpoint, Hash, Origin, jcs};
use crate::domain::note::{Note, VerifierKey};
use crate::domain::text::counted;
use crate::pack::contents::{Contents, PackedBundle, PackedLog};
use crate::pack::layout;
use crate::pack::manifest::Manifest;
use crate::pack::zip::Archive;
use crate::signing;
use base64::Engine;
use std::collections::{BTreeMap, BTreeSet};

/// The keys that count for a pack.
pub(super) struct Keys {
    /// The one that signed it.
    pub current: VerifierKey,
    /// The ones that older checkpoints may be signed by, this one too.
    pub accepted: Vec<VerifierKey>,
    /// How far they can be trusted, for people.
    pub summary: String,
}

/// The key that signed the manifest, and whether it is one that was learnt by another way.
pub(super) fn keys(
    archive: &Archive<'_>,
    manifest: &Manifest,
    raw: &[u8],
    files: &Files,
    known: &Known<'_>,
) -> Result<Keys, Vec<Failed>> {
    let in_manifest = |problem: String| vec![Failed::of(layout::MANIFEST, problem)];
    let in_note = |problem: &str| vec![Failed::of(layout::MANIFEST_NOTE, problem)];
    let current = VerifierKey::parse(&manifest.key).map_err(|error| in_manifest(format!("its key: {error}")))?;
    if current.name() != manifest.log {
        return Err(in_manifest("its key is not named as its log".to_owned()));
    }
    let bytes = read(archive, layout::MANIFEST_NOTE, LARGEST_NOTE).map_err(|failed| vec![failed])?;
    let note = Note::parse(&bytes).map_err(|error| in_note(&error.to_string()))?;
    if note.text != Manifest::signed_text(raw) {
        return Err(in_note("it is not about this manifest"));
    }
    if note.signatures.len() != 1
        || note.to_string().as_bytes() != bytes
        || !note.is_signed_by(&current, signing::verify)
    {
        return Err(in_note("the signature is not that of the key in the manifest"));
    }
    if known.keys.is_empty() {
        let summary =
            format!("signed by {current}; this key came with the file: compare it with the operator's, or give --key");
        return Ok(Keys { accepted: vec![current.clone()], current, summary });
    }
    // From a key that was given, over the leaves that announce others, to the one that signed.
    let mut accepted = known.keys.clone();
    let mut followed = 0;
    for line in files.get(layout::COMPANY_LOG).map(|bytes| super::files::lines(bytes)).unwrap_or_default() {
        let Ok(statement) = crate::domain::log::statement::CompanyStatement::parse(line) else { continue };
        let (Some(form), CompanyEvent::Key { key, signature }) = (statement.signed_form(), &statement.event) else {
            continue;
        };
        let Ok(signature) = base64::engine::general_purpose::STANDARD.decode(signature) else { continue };
        let Ok(new) = VerifierKey::parse(key) else { continue };
        let trusted = accepted.iter().any(|old| signing::verify(old.public_key(), &form, &signature));
        if trusted && !accepted.contains(&new) {
            accepted.push(new);
            followed += 1;
        }
    }
    if !accepted.contains(&current) {
        return Err(in_note("the key that signed is none of those given with --key, and none that they announced"));
    }
    let summary = if known.keys.contains(&current) {
        format!("signed by {current}, which was given")
    } else {
        format!("signed by {current}, announced by a key that was given ({followed} followed)")
    };
    Ok(Keys { current, accepted, summary })
}

/// Every statement is of the log that it is in.
pub(super) fn statements(contents: &Contents, unended: &[String]) -> Result<(), Vec<Failed>> {
    let mut failed = Vec::new();
    for (id, log) in &contents.logs {
        let path = layout::log(id);
        for (place, statement) in log.statements.iter().enumerate() {
            if statement.company != contents.scope.company || statement.connection != *id {
                failed.push(Failed::of(&path, format!("line {}: it is of another log", place + 1)));
            }
            if statement.ended_at() > contents.scope.at {
                failed.push(Failed::of(&path, format!("line {}: it is later than the pack", place + 1)));
            }
        }
        if unended.contains(&path) {
            failed.push(Failed::of(&path, "its last line has no end"));
        }
    }
    for (place, statement) in contents.company_log.statements.iter().enumerate() {
        if statement.company != contents.scope.company || statement.at > contents.scope.at {
            failed.push(Failed::of(
                layout::COMPANY_LOG,
                format!("line {}: it is of another log, or later than the pack", place + 1),
            ));
        }
    }
    for bundle in contents.bundles.iter().filter(|bundle| !contents.logs.contains_key(&bundle.connection)) {
        failed.push(Failed::of(&bundle.path(), "the log of its connection is missing"));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// The logs of the pack by path: checkpoint text, size and root.
fn all_logs(contents: &Contents) -> Vec<(String, Origin, u64, Hash, &str)> {
    let (name, company) = (&contents.scope.log, &contents.scope.company);
    let mut logs: Vec<_> = contents
        .logs
        .iter()
        .map(|(id, log)| {
            let origin = Origin::of_connection(name, company, id);
            (layout::checkpoint(id), origin, log.tree.size(), log.tree.root(), log.checkpoint.as_str())
        })
        .collect();
    let own = &contents.company_log;
    let origin = Origin::of_company(name, company);
    logs.push((
        layout::COMPANY_CHECKPOINT.to_owned(),
        origin,
        own.tree.size(),
        own.tree.root(),
        own.checkpoint.as_str(),
    ));
    logs
}

/// Size and root of every log are those of its checkpoint.
pub(super) fn logs(contents: &Contents) -> Result<(), Vec<Failed>> {
    let mut failed = Vec::new();
    for (path, origin, size, root, note) in all_logs(contents) {
        let log = path.replace(".checkpoint", ".jsonl");
        let checkpoint = Note::parse(note.as_bytes()).ok().and_then(|note| Checkpoint::parse(&note.text).ok());
        let problem = match checkpoint {
            None => Some("it is no signed checkpoint".to_owned()),
            Some(checkpoint) if checkpoint.origin != origin => Some(format!("it is of the log {}", checkpoint.origin)),
            Some(checkpoint) if checkpoint.head.size != size => {
                Some(format!("its size is {}, and {log} has {size} statements", checkpoint.head.size))
            }
            Some(checkpoint) if checkpoint.head.root != root => {
                Some(format!("its root is not that of the statements in {log}"))
            }
            Some(_) => None,
        };
        failed.extend(problem.map(|problem| Failed::of(&path, problem)));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Every checkpoint is signed by the key of the pack.
pub(super) fn checkpoints(contents: &Contents, key: &VerifierKey) -> Result<(), Vec<Failed>> {
    let good = |note: &str| Note::parse(note.as_bytes()).is_ok_and(|note| note.is_signed_by(key, signing::verify));
    let unsigned = all_logs(contents).into_iter().filter(|(_, _, _, _, note)| !good(note));
    let failed: Vec<_> =
        unsigned.map(|(path, ..)| Failed::of(&path, "the signature is not that of the key in the manifest")).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// The evidence leaf that a bundle's proof names.
fn leaf_of<'a>(contents: &'a Contents, bundle: &PackedBundle) -> Option<&'a EvidenceLeaf> {
    let index = usize::try_from(bundle.proof.as_ref()?.leaf_index).ok()?;
    contents.logs.get(&bundle.connection)?.statements.get(index)?.evidence()
}

/// Every bundle is in the tree of its run.
pub(super) fn bundle_proofs(contents: &Contents) -> Result<(), Vec<Failed>> {
    let mut failed = Vec::new();
    for bundle in &contents.bundles {
        let Some(proof) = &bundle.proof else { continue };
        let problem = match leaf_of(contents, bundle) {
            None => Some("its leaf is not there, or is about no evidence"),
            Some(leaf) if leaf.run_id != *bundle.run() || leaf.as_of != bundle.as_of() => {
                Some("its leaf is of another run")
            }
            Some(leaf) => {
                let hash = leaf_hash(bundle.body.as_bytes());
                let proved =
                    is_included(&hash, proof.bundle_index, leaf.bundles, &proof.bundle_path, &leaf.bundle_root);
                (!proved).then_some("the bundle is not what its run committed")
            }
        };
        failed.extend(problem.map(|problem| Failed::of(&bundle.proof_path(), problem)));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Every run with a bundle is in its log.
pub(super) fn inclusion(contents: &Contents) -> Result<(), Vec<Failed>> {
    let mut failed = Vec::new();
    for bundle in &contents.bundles {
        let (Some(proof), Some(log)) = (&bundle.proof, contents.logs.get(&bundle.connection)) else { continue };
        let leaf = log.tree.leaf(proof.leaf_index);
        let root = leaf.and_then(|leaf| root_of(&leaf, proof.leaf_index, log.tree.size(), &proof.leaf_path));
        if root != Some(log.tree.root()) {
            failed.push(Failed::of(&bundle.proof_path(), "its path does not lead to the root of the log"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// Evidence without proof is from before the log.
pub(super) fn unlogged(contents: &Contents) -> Result<(), Vec<Failed>> {
    let mut failed = Vec::new();
    let log = |(id, log): (_, &PackedLog<Statement>)| {
        let runs: BTreeSet<RunId> = log.statements.iter().filter_map(|it| it.run_id().cloned()).collect();
        let first = log.statements.iter().filter_map(|it| Some(it.evidence()?.as_of)).min();
        (id, (runs, first))
    };
    let logs: BTreeMap<_, _> = contents.logs.iter().map(log).collect();
    for bundle in contents.bundles.iter().filter(|bundle| bundle.proof.is_none()) {
        let logged = logs.get(&bundle.connection).is_some_and(|(runs, first)| {
            runs.contains(bundle.run()) || first.is_some_and(|first| first <= bundle.as_of())
        });
        if logged {
            failed.push(Failed::of(&bundle.path(), "it is marked as from before the log, and the log had begun"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

/// A checkpoint that somebody kept.
pub(super) struct Older {
    name: String,
    note: Note,
    checkpoint: Checkpoint,
}

/// The checkpoints of older packs and of files that are one.
pub(super) fn older(known: &Known<'_>) -> Result<Vec<Older>, Vec<Failed>> {
    let mut all = Vec::new();
    for (name, bytes) in &known.older {
        let read_one = |bytes: &[u8]| {
            let note = Note::parse(bytes).map_err(|error| vec![Failed::of(name, error.to_string())])?;
            let checkpoint =
                Checkpoint::parse(&note.text).map_err(|error| vec![Failed::of(name, error.to_string())])?;
            Ok::<_, Vec<Failed>>(Older { name: name.clone(), note, checkpoint })
        };
        if !bytes.starts_with(b"PK") {
            all.push(read_one(bytes)?);
            continue;
        }
        let (archive, names) = open(bytes)?;
        let checkpoints: Vec<&String> = names.iter().filter(|path| path.ends_with(".checkpoint")).collect();
        if checkpoints.is_empty() {
            return Err(vec![Failed::of(name, "it has no checkpoint to compare with")]);
        }
        for path in checkpoints {
            all.push(read_one(&read(&archive, path, LARGEST_NOTE).map_err(|failed| vec![failed])?)?);
        }
    }
    Ok(all)
}

/// Every log begins with what an older checkpoint of it said.
pub(super) fn consistency(contents: &Contents, older: &[Older], keys: &Keys) -> Result<String, Vec<Failed>> {
    if older.is_empty() {
        return Ok("no older pack or checkpoint was given (--since)".to_owned());
    }
    let (name, company) = (&contents.scope.log, &contents.scope.company);
    let mut trees: BTreeMap<Origin, &crate::domain::log::tree::Tree> =
        contents.logs.iter().map(|(id, log)| (Origin::of_connection(name, company, id), &log.tree)).collect();
    trees.insert(Origin::of_company(name, company), &contents.company_log.tree);
    let mut failed = Vec::new();
    for Older { name, note, checkpoint } in older {
        let (origin, head) = (&checkpoint.origin, &checkpoint.head);
        let problem = if !keys.accepted.iter().any(|key| note.is_signed_by(key, signing::verify)) {
            Some("its signature is by no key that counts here".to_owned())
        } else {
            match trees.get(origin).map(|tree| (tree.size(), tree.root_at(head.size))) {
                None => Some(format!("the pack has no log of this origin ({origin})")),
                Some((size, None)) => {
                    Some(format!("the pack's log is shorter ({origin}: {size} statements, {} before)", head.size))
                }
                Some((_, Some(root))) if root != head.root => {
                    Some(format!("the log was rewritten: it does not begin with what was there ({origin})"))
                }
                Some(_) => None,
            }
        };
        failed.extend(problem.map(|problem| Failed::of(name, problem)));
    }
    if failed.is_empty() { Ok(format!("the logs go on from {} older checkpoints", older.len())) } else { Err(failed) }
}

/// The runs of the window without a bundle of this client.
pub(super) fn coverage(contents: &Contents) -> Result<String, Vec<Failed>> {
    let (scope, calendar) = (&contents.scope, &contents.window.calendar);
    let mut without = Vec::new();
    let bundles: BTreeSet<_> = contents.bundles.iter().map(|bundle| (&bundle.connection, bundle.run())).collect();
    for (id, log) in &contents.logs {
        for leaf in log.statements.iter().filter_map(|statement| statement.evidence()) {
            let day = calendar.day_of(leaf.as_of);
            let in_window = scope.from <= day && day <= scope.to;
            if in_window && !bundles.contains(&(id, &leaf.run_id)) {
                without.push(format!("{id} {}", leaf.run_id));
            }
        }
    }
    let outside = contents.bundles.iter().filter(|bundle| {
        let day = calendar.day_of(bundle.as_of());
        day < scope.from || day > scope.to || bundle.as_of() > scope.at
    });
    let failed: Vec<_> = outside.map(|bundle| Failed::of(&bundle.path(), "it is not of the window")).collect();
    if !failed.is_empty() {
        return Err(failed);
    }
    Ok(match without.as_slice() {
        [] => "every run of the window with evidence has a bundle here".to_owned(),
        without => {
            format!("{} had no bundle of this client: {}", counted(without.len(), "run", "runs"), without.join(", "))
        }
    })
}

/// Every decision of the pack is what the company's log committed to.
pub(super) fn decisions(contents: &Contents) -> Result<String, Vec<Failed>> {
    let mut committed = BTreeMap::new();
    for statement in &contents.company_log.statements {
        if let CompanyEvent::Decision { id, sha256 } = &statement.event {
            committed.insert(id.as_str(), *sha256);
        }
    }
    let mut failed = Vec::new();
    for decision in &contents.decisions {
        let path = layout::decision(decision.id().as_str());
        let hash = jcs::to_bytes(decision).map(|form| Hash::of(&form)).ok();
        let problem = match committed.get(decision.id().as_str()) {
            _ if *decision.client() != contents.scope.client => Some("it is about another client"),
            None => Some("the company's log has no commitment to it"),
            Some(committed) if Some(*committed) != hash => {
                Some("it is not the record that the company's log committed to")
            }
            Some(_) => None,
        };
        failed.extend(problem.map(|problem| Failed::of(&path, problem)));
    }
    let others = committed.len().saturating_sub(contents.decisions.len());
    if !failed.is_empty() {
        return Err(failed);
    }
    Ok(format!("{} records; {others} commitments are to records of others", contents.decisions.len()))
}
