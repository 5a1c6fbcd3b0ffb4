//! Packs made and checked, and every way to tamper with one.

use super::contents::{Contents, PackedLog};
use super::fixture::{announcement, contents, key, pack, sign};
use super::manifest::Manifest;
use super::verify::{Known, Report, Step, verify};
use super::zip::{Archive, write};
use super::{layout, render};
use crate::domain::log::Hash;
use crate::domain::log::statement::Event;
use crate::domain::note::VerifierKey;
use crate::signing::LogKey;
use chrono::TimeDelta;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn good() -> Vec<u8> {
    pack(&contents(&key()), &key())
}

fn checked(bytes: &[u8]) -> Report {
    verify(bytes, &Known { keys: vec![key().verifier().clone()], older: Vec::new() })
}

fn unzipped(bytes: &[u8]) -> Files {
    let archive = Archive::open(bytes).unwrap();
    archive.entries().iter().map(|entry| (entry.name.clone(), archive.read(entry, 1 << 24).unwrap())).collect()
}

fn zipped(files: &Files) -> Vec<u8> {
    let mut out = Vec::new();
    write(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())), &mut out).unwrap();
    out
}

/// The same files, with a manifest that fits them and a signature by `key`, as who has the key can make it.
fn signed_anew(mut files: Files, key: &LogKey) -> Vec<u8> {
    let mut manifest: Manifest = serde_json::from_slice(&files[layout::MANIFEST]).unwrap();
    manifest.files.retain(|entry| files.contains_key(&entry.path));
    for entry in &mut manifest.files {
        entry.sha256 = Hash::of(&files[&entry.path]).hex();
        entry.bytes = files[&entry.path].len() as u64;
    }
    manifest.key = key.verifier().to_string();
    let raw = manifest.to_bytes().unwrap();
    files.insert(layout::MANIFEST_NOTE.to_owned(), key.note(Manifest::signed_text(&raw)).to_string().into_bytes());
    files.insert(layout::MANIFEST.to_owned(), raw);
    zipped(&files)
}

fn failure(report: &Report) -> (Step, String) {
    let (step, failed) = report.failure().unwrap_or_else(|| panic!("nothing is found wrong: {report:?}"));
    (step, failed.to_string())
}

#[test]
fn a_pack_is_good_and_the_same_contents_give_the_same_bytes() {
    let bytes = good();
    let report = checked(&bytes);
    assert_eq!(report.failure(), None, "{report:#?}");
    assert!(report.is_good());
    assert_eq!(bytes, good());
    let without_key = verify(&bytes, &Known::default());
    let told = &without_key.steps.iter().find(|step| step.step == Step::Signature).unwrap().detail;
    assert!(without_key.is_good() && told.contains("came with the file"), "{told}");
    let names: Vec<String> = unzipped(&bytes).into_keys().collect();
    assert!(names.contains(&"evidence/huntress-edr/edr/20260320T110500Z_run-edr-0.json".to_owned()), "{names:?}");
    // Nothing of another client, not even its name.
    for (path, data) in unzipped(&bytes) {
        assert!(!String::from_utf8(data).unwrap().contains("client-b"), "{path}");
    }
}

#[test]
fn any_changed_byte_of_any_file_is_named() {
    let files = unzipped(&good());
    for path in files.keys() {
        let size = files[path].len();
        // Ends, and places in between; every byte of the short ones.
        for place in (0..size).step_by((size / 40).max(1)).chain([size.saturating_sub(1)]) {
            if size == 0 {
                continue;
            }
            for change in [1, 0x20, 0x80] {
                let mut changed = files.clone();
                changed.get_mut(path).unwrap()[place] ^= change;
                let (_, said) = failure(&checked(&zipped(&changed)));
                // A changed manifest may name a file that it speaks of, or its signature.
                let named = said.contains(path.as_str()) || path == layout::MANIFEST;
                assert!(named, "{path} byte {place} ^ {change}: {said}");
            }
        }
    }
}

/// What a byte is for in the files of a pack.
fn class(byte: u8) -> &'static str {
    match byte {
        b'\n' | b'\r' => "line end",
        b' ' | b'\t' => "blank",
        b'0'..=b'9' => "digit",
        b'a'..=b'z' => "small letter",
        b'A'..=b'Z' => "capital letter",
        b'{' | b'}' | b'[' | b']' | b':' | b',' | b'<' | b'>' => "structure",
        b'"' | b'\'' | b'\\' => "quote",
        0x80.. => "beyond ASCII",
        _ => "other",
    }
}

/// Another byte of the same class.
fn neighbour(byte: u8) -> u8 {
    match byte {
        b'9' | b'z' | b'Z' => byte - 1,
        b'{' => b'[',
        b'\n' => b'\r',
        b' ' => b'\t',
        b'"' => b'\'',
        _ => byte + 1,
    }
}

/// Every file, the first and the last byte of each class in it, and each kind of edit there.
#[test]
fn every_edit_of_every_class_of_byte_in_every_file_is_named() {
    type Edit = fn(&mut Vec<u8>, usize);
    let edits: [(&str, Edit); 6] = [
        ("another byte of its class", |bytes, at| bytes[at] = neighbour(bytes[at])),
        ("a flipped bit", |bytes, at| bytes[at] ^= 0x40),
        ("removed", |bytes, at| {
            bytes.remove(at);
        }),
        ("doubled", |bytes, at| bytes.insert(at, bytes[at])),
        ("cut after it", |bytes, at| bytes.truncate(at)),
        ("swapped with the next other one", |bytes, at| {
            let other = (at + 1..bytes.len()).find(|next| bytes[*next] != bytes[at]);
            match other {
                Some(other) => bytes.swap(at, other),
                None => bytes.push(0),
            }
        }),
    ];
    let files = unzipped(&good());
    let mut seen = std::collections::BTreeSet::new();
    for (path, before) in &files {
        let mut places: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (at, byte) in before.iter().enumerate() {
            places.entry(class(*byte)).or_insert((at, at)).1 = at;
        }
        for (class, (first, last)) in places {
            seen.insert(class);
            for at in std::collections::BTreeSet::from([first, last]) {
                for (kind, edit) in edits {
                    let mut after = before.clone();
                    edit(&mut after, at);
                    assert_ne!(&after, before, "{path}: {kind} changes nothing");
                    let mut changed = files.clone();
                    changed.insert(path.clone(), after);
                    let (_, said) = failure(&checked(&zipped(&changed)));
                    // A changed manifest may name a file that it speaks of, or its signature.
                    let named = said.contains(path.as_str()) || path == layout::MANIFEST;
                    assert!(named, "{path}, {class} at {at}, {kind}: {said}");
                }
            }
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn a_missing_added_renamed_or_longer_file_is_named() {
    let files = unzipped(&good());
    for path in files.keys() {
        let mut without = files.clone();
        without.remove(path);
        let (step, said) = failure(&checked(&zipped(&without)));
        assert!(
            said.contains(path.as_str()) && matches!(step, Step::Manifest | Step::Signature),
            "{path}: {step} {said}"
        );
        let mut longer = files.clone();
        longer.get_mut(path).unwrap().push(b'\n');
        assert!(failure(&checked(&zipped(&longer))).1.contains(path.as_str()), "{path}");
    }
    for (added, step) in
        [("csv/other.csv", Step::Container), ("log/c.jsonl", Step::Manifest), ("evidence/a/b.json", Step::Container)]
    {
        let mut more = files.clone();
        more.insert(added.to_owned(), b"x".to_vec());
        let (found, said) = failure(&checked(&zipped(&more)));
        assert!(found == step && said.contains(added), "{found}: {said}");
    }
}

/// The step and the file that are named when who has the key makes the pack anew after an edit of one file.
fn edited(path: &str, edit: impl FnOnce(String) -> String) -> (Step, String) {
    let mut files = unzipped(&good());
    let before = String::from_utf8(files[path].clone()).unwrap();
    let after = edit(before.clone());
    assert_ne!(after, before, "{path} is not edited");
    files.insert(path.to_owned(), after.into_bytes());
    failure(&checked(&signed_anew(files, &key())))
}

#[test]
fn who_has_the_key_and_edits_a_file_is_found_by_the_step_it_belongs_to() {
    let bundle = "evidence/huntress-edr/edr/20260322T110500Z_run-edr-2.json";
    let proof = "proofs/edr/20260322T110500Z_run-edr-2.json";
    let cases: [(&str, &str, &str, Step); 16] = [
        (bundle, "\"98.0\"", "\"99.0\"", Step::BundleProof),
        (bundle, "client-a", "client-c", Step::Bundle),
        (bundle, "run-edr-2", "run-edr-3", Step::Bundle),
        (proof, "\"bundle_index\":1", "\"bundle_index\":0", Step::BundleProof),
        (proof, "\"leaf_index\":2", "\"leaf_index\":0", Step::BundleProof),
        ("log/edr.jsonl", "unavailable", "malformed", Step::Log),
        ("log/edr.jsonl", "\"v\":1", "\"v\": 1", Step::Bundle),
        ("log/edr.jsonl", "\"connection\":\"edr\"", "\"connection\":\"sat\"", Step::Statement),
        ("log/edr.checkpoint", "\n3\n", "\n2\n", Step::Log),
        ("decisions/a1.json", "52", "53", Step::Decision),
        ("policies/baseline-1.0.0.json", "\"95\"", "\"94\"", Step::Numbers),
        ("csv/metrics.csv", "98.0", "99.0", Step::Rendering),
        ("oscal/assessment-results.json", "satisfied", "not-satisfied", Step::Rendering),
        ("window.json", "\"pauses\":[]", "\"pauses\":[[\"2026-03-01T00:00:00Z\",null]]", Step::Rendering),
        ("facts.schema.json", "{", "{ ", Step::Rendering),
        ("control-map.json", "direct", "other", Step::Numbers),
    ];
    for (path, from, to, step) in cases {
        let (found, said) = edited(path, |text| text.replacen(from, to, 1));
        // What a table is made of is not proved itself: then the table is what does not fit.
        let named =
            said.contains(path) || step == Step::Rendering || step == Step::BundleProof || step == Step::Numbers;
        assert!(found == step && named, "{path} {from}: {found}: {said}");
    }
}

#[test]
fn leaves_that_are_removed_reordered_or_added_are_found() {
    for edit in [
        |lines: &mut Vec<String>| {
            lines.remove(1);
        },
        |lines: &mut Vec<String>| lines.swap(0, 1),
        |lines: &mut Vec<String>| lines.push(lines[0].clone()),
    ] {
        let (step, said) = edited("log/sat.jsonl", |text| {
            let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
            edit(&mut lines);
            lines.concat()
        });
        assert!(step == Step::Log && said.contains("log/sat"), "{step}: {said}");
    }
    // With the checkpoint made anew as well, the proofs of the bundles do not lead there.
    let mut shorter = contents(&key());
    let id = shorter.logs.keys().next().unwrap().clone();
    let mut statements = shorter.logs[&id].statements.clone();
    statements.remove(1);
    shorter.logs.insert(id, PackedLog::unsigned(statements).unwrap());
    sign(&mut shorter, &key());
    let (step, said) = failure(&checked(&pack(&shorter, &key())));
    assert_eq!(step, Step::BundleProof, "{said}");
}

#[test]
fn another_key_is_found_only_by_who_knows_the_right_one() {
    let forger = LogKey::of_seed(&[8; 32], Some(key().verifier().name())).unwrap();
    let mut forged = contents(&forger);
    forged.scope.key = forger.verifier().to_string();
    let bytes = pack(&forged, &forger);
    assert!(verify(&bytes, &Known::default()).is_good());
    let (step, said) = failure(&checked(&bytes));
    assert!(step == Step::Signature && said.contains("none of those given"), "{said}");
    // A manifest that names the right key, signed by another.
    let mut named = forged.clone();
    named.scope.key = key().verifier().to_string();
    let (step, said) = failure(&checked(&pack(&named, &forger)));
    assert!(step == Step::Signature && said.contains(layout::MANIFEST_NOTE), "{said}");
    // The right one over the manifest, another over a checkpoint.
    let mut mixed = contents(&key());
    sign(&mut mixed, &forger);
    let (step, said) = failure(&checked(&pack(&mixed, &key())));
    assert!(step == Step::Signature && said.contains("log/"), "{said}");
}

#[test]
fn a_key_that_an_old_one_announced_is_followed() {
    let (old, new) = (key(), LogKey::of_seed(&[9; 32], Some(key().verifier().name())).unwrap());
    let mut turned = contents(&old);
    turned.scope.key = new.verifier().to_string();
    let mut statements = turned.company_log.statements.clone();
    let announced = announcement(&old, &new, "2026-03-05T00:00:00Z");
    statements.push(announced.clone());
    turned.company_log = PackedLog::unsigned(statements.clone()).unwrap();
    sign(&mut turned, &new);
    let report = checked(&pack(&turned, &new));
    assert!(report.is_good(), "{:?}", report.failure());
    let told = &report.steps.iter().find(|step| step.step == Step::Signature).unwrap().detail;
    assert!(told.contains("announced by a key that was given"), "{told}");
    // An announcement that the old key did not sign leads nowhere.
    *statements.last_mut().unwrap() = announcement(&new, &new, "2026-03-05T00:00:00Z");
    turned.company_log = PackedLog::unsigned(statements).unwrap();
    sign(&mut turned, &new);
    assert_eq!(failure(&checked(&pack(&turned, &new))).0, Step::Signature);
}

/// The contents two days earlier.
fn earlier() -> Contents {
    let mut earlier = contents(&key());
    earlier.scope.at -= TimeDelta::days(2);
    earlier.scope.to = "2026-03-20".parse().unwrap();
    let at = earlier.scope.at;
    for log in earlier.logs.values_mut() {
        let kept = log.statements.iter().filter(|statement| statement.ended_at() <= at).cloned();
        *log = PackedLog::unsigned(kept.collect()).unwrap();
    }
    earlier.bundles.retain(|bundle| bundle.as_of() <= at);
    for bundle in &mut earlier.bundles {
        let tree = &earlier.logs[&bundle.connection].tree;
        let proof = bundle.proof.as_mut().unwrap();
        proof.leaf_path = tree.inclusion_path(proof.leaf_index).unwrap();
    }
    sign(&mut earlier, &key());
    earlier
}

#[test]
fn a_log_goes_on_from_an_older_pack_or_checkpoint() {
    let (old, new) = (pack(&earlier(), &key()), good());
    let since = |bytes: &[u8], older: &[u8]| {
        let older = vec![("old".to_owned(), older)];
        verify(bytes, &Known { keys: vec![key().verifier().clone()], older })
    };
    assert!(checked(&old).is_good(), "{:?}", checked(&old).failure());
    assert!(since(&new, &old).is_good(), "{:?}", since(&new, &old).failure());
    assert!(since(&new, &unzipped(&old)["log/edr.checkpoint"]).is_good());
    let (step, said) = failure(&since(&old, &new));
    assert!(step == Step::Consistency && said.contains("the pack's log is shorter"), "{said}");
    // A log that was rewritten.
    let mut rewritten = earlier();
    let id = rewritten.logs.keys().next().unwrap().clone();
    let mut statements = rewritten.logs[&id].statements.clone();
    let Event::Evidence(leaf) = &mut statements[0].event else { panic!("the first run has evidence") };
    leaf.bundles = 4;
    rewritten.logs.insert(id, PackedLog::unsigned(statements).unwrap());
    sign(&mut rewritten, &key());
    let older = unzipped(&pack(&rewritten, &key()))["log/edr.checkpoint"].clone();
    let (step, said) = failure(&since(&new, &older));
    assert!(step == Step::Consistency && said.contains("rewritten"), "{said}");
    // One of another log, and what is none.
    let other =
        key().note("huntress-evidence.local/other/x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_owned());
    let (step, said) = failure(&since(&new, other.to_string().as_bytes()));
    assert!(step == Step::Consistency && said.contains("no log of this origin"), "{said}");
    assert_eq!(failure(&since(&new, b"nothing")).0, Step::Consistency);
}

#[test]
fn evidence_from_before_the_log_is_marked_and_nothing_later_is() {
    // The first day of training was before the log.
    let mut partly = contents(&key());
    let id = partly.logs.keys().nth(1).unwrap().clone();
    let statements = partly.logs[&id].statements[1..].to_vec();
    partly.logs.insert(id.clone(), PackedLog::unsigned(statements).unwrap());
    for bundle in partly.bundles.iter_mut().filter(|bundle| bundle.connection == id) {
        let proof = bundle.proof.take().unwrap();
        if proof.leaf_index > 0 {
            let leaf_index = proof.leaf_index - 1;
            let leaf_path = partly.logs[&id].tree.inclusion_path(leaf_index).unwrap();
            bundle.proof = Some(super::contents::BundleProof { leaf_index, leaf_path, ..proof });
        }
    }
    sign(&mut partly, &key());
    let bytes = pack(&partly, &key());
    assert!(checked(&bytes).is_good(), "{:?}", checked(&bytes).failure());
    let manifest: Manifest = serde_json::from_slice(&unzipped(&bytes)[layout::MANIFEST]).unwrap();
    let marked: Vec<&str> = manifest.files.iter().filter(|it| it.unlogged).map(|it| it.path.as_str()).collect();
    assert_eq!(marked, ["evidence/huntress-sat/sat/20260320T110500Z_run-sat-0.json"]);
    // The same of a run that the log has.
    let mut hidden = contents(&key());
    hidden.bundles.last_mut().unwrap().proof = None;
    let (step, said) = failure(&checked(&pack(&hidden, &key())));
    assert!(step == Step::Unlogged && said.contains("the log had begun"), "{said}");
}

#[test]
fn a_run_without_a_bundle_of_the_client_is_listed() {
    let mut fewer = contents(&key());
    fewer.bundles.retain(|bundle| bundle.run().as_str() != "run-sat-1");
    let report = checked(&pack(&fewer, &key()));
    assert!(report.is_good(), "{:?}", report.failure());
    let told = &report.steps.iter().find(|step| step.step == Step::Window).unwrap().detail;
    assert!(told.contains("sat run-sat-1"), "{told}");
    let window = String::from_utf8(unzipped(&pack(&fewer, &key()))["csv/window.csv"].clone()).unwrap();
    assert!(window.contains("2026-03-21,sat,huntress-sat,,,not_mapped"), "{window}");
}

#[test]
fn another_renderer_is_said_and_not_failed() {
    let mut files = unzipped(&good());
    let text =
        String::from_utf8(files[layout::MANIFEST].clone()).unwrap().replace("\"renderer\": 1", "\"renderer\": 2");
    files.insert(layout::MANIFEST.to_owned(), text.into_bytes());
    files.insert("csv/metrics.csv".to_owned(), b"other".to_vec());
    let report = checked(&signed_anew(files, &key()));
    assert!(report.is_good() && report.steps.last().unwrap().detail.contains("renderer 2"), "{report:?}");
}

#[test]
fn no_hostile_file_makes_the_check_panic() {
    let mut files = unzipped(&good());
    let deep = "[".repeat(200_000).into_bytes();
    for path in files.keys().cloned().collect::<Vec<_>>() {
        for hostile in [deep.clone(), b"{}".to_vec(), b"null".to_vec(), vec![0xff; 10], Vec::new()] {
            let mut changed = files.clone();
            changed.insert(path.clone(), hostile);
            let bytes = if path.starts_with("manifest") { zipped(&changed) } else { signed_anew(changed, &key()) };
            assert!(!checked(&bytes).is_good(), "{path}");
        }
    }
    files.clear();
    assert!(!checked(&zipped(&files)).is_good());
    for size in [0, 1, 22, 100, 5_000] {
        assert!(!checked(&vec![0x50; size]).is_good());
    }
    let whole = good();
    for end in (0..whole.len()).step_by(97) {
        assert_eq!(failure(&checked(&whole[..end])).0, Step::Container, "cut at {end}");
    }
    assert!(VerifierKey::parse("x").is_err());
}

/// What the manifest says of a file beside its bytes is checked as well, whoever signs it.
#[test]
fn what_the_manifest_says_of_a_file_is_checked() {
    type Edit = fn(&mut super::manifest::FileEntry);
    let edits: [(&str, Edit); 3] = [
        ("csv/metrics.csv", |entry| drop(entry.derived_from.pop())),
        ("csv/metrics.csv", |entry| entry.media_type = "text/html".to_owned()),
        ("window.json", |entry| entry.derived_from.push("README.html".to_owned())),
    ];
    for (path, edit) in edits {
        let mut files = unzipped(&good());
        let mut manifest: Manifest = serde_json::from_slice(&files[layout::MANIFEST]).unwrap();
        edit(manifest.files.iter_mut().find(|entry| entry.path == path).unwrap());
        files.insert(layout::MANIFEST.to_owned(), manifest.to_bytes().unwrap());
        let (step, said) = failure(&checked(&signed_anew(files, &key())));
        assert!(
            step == Step::Rendering && said == format!("manifest.json: what it says of {path} is not so"),
            "{said}"
        );
    }
}

/// As many entries as a zip file can have, and one file that is many things at once.
#[test]
fn a_pack_of_thousands_of_entries_is_refused_by_the_first_that_should_not_be_there() {
    let files = unzipped(&good());
    let mut many = files.clone();
    for number in 0..20_000 {
        many.insert(format!("evidence/huntress-edr/edr/20260320T110500Z_run-{number}.json"), b"{}".to_vec());
    }
    let (step, said) = failure(&checked(&zipped(&many)));
    assert!(step == Step::Manifest && said.contains("run-0.json: the manifest does not list it"), "{step}: {said}");
    // Who has the key can list them: then they are no bundles.
    let mut manifest: Manifest = serde_json::from_slice(&files[layout::MANIFEST]).unwrap();
    let entry = manifest.files.iter().find(|entry| entry.path.starts_with("evidence/")).unwrap().clone();
    manifest.files.extend(
        many.keys()
            .filter(|path| !files.contains_key(*path))
            .map(|path| super::manifest::FileEntry { path: path.clone(), ..entry.clone() }),
    );
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    many.insert(layout::MANIFEST.to_owned(), manifest.to_bytes().unwrap());
    let (step, said) = failure(&checked(&signed_anew(many, &key())));
    assert!(step == Step::Bundle && said.contains("it is no bundle"), "{step}: {said}");
    // Beyond what the directory can count.
    let entries = (0..=super::zip::MOST_ENTRIES).map(|number| format!("log/{number}.jsonl")).collect::<Vec<_>>();
    assert!(write(entries.iter().map(|name| (name.as_str(), b"".as_slice())), std::io::sink()).is_err());
}

/// Thousands of packs that somebody damaged at random, by a seed for each: none makes the check panic, and none that says something else is good.
#[test]
fn no_mutation_of_a_pack_makes_the_check_panic_or_is_taken_for_good() {
    let (whole, files) = (good(), unzipped(&good()));
    let (mut steps, mut kept) = (std::collections::BTreeSet::new(), 0);
    let mut judge = |seed: u64, bytes: &[u8]| match checked(bytes).failure() {
        Some((step, _)) => drop(steps.insert(step)),
        None => {
            assert_eq!(unzipped(bytes), files, "seed {seed} says something else and is good");
            kept += 1;
        }
    };
    for seed in 0..3_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..4) {
            mutate(&mut random, &mut bytes);
        }
        judge(seed, &bytes);
    }
    // By who has the key, and signs what comes out.
    let paths: Vec<&String> = files.keys().filter(|path| !path.starts_with("manifest")).collect();
    for seed in 3_000..4_200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut changed = files.clone();
        let path = paths[random.usize(..paths.len())];
        let bytes = changed.get_mut(path).unwrap();
        mutate(&mut random, bytes);
        if random.u8(..4) == 0 {
            *bytes = files[paths[random.usize(..paths.len())]].clone();
        }
        if *bytes == files[path] {
            continue;
        }
        judge(seed, &signed_anew(changed, &key()));
    }
    assert!(steps.len() >= 7, "the mutations reach these steps alone: {steps:?}");
    assert!(kept < 3_000, "{kept} mutations changed nothing");
}

/// One change: a bit, a byte, a cut, something twice, something deep, or a number at its limits.
fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(random.u8(..));
        return;
    }
    let at = random.usize(..bytes.len());
    let end = (at + random.usize(1..64)).min(bytes.len());
    match random.u8(..9) {
        0 => bytes[at] ^= 1 << random.u8(..8),
        1 => bytes[at] = random.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        5 => drop(bytes.splice(at..at, b"[".repeat(random.usize(1..3_000)))),
        6 => bytes[at..end].fill([0, 0xff][random.usize(..2)]),
        7 => drop(bytes.splice(at..end, *b"18446744073709551616")),
        _ => {
            let other = random.usize(..bytes.len());
            bytes.swap(at, other);
        }
    }
}

#[test]
fn tables_have_no_formula_and_lines_end_as_rfc_4180_says() {
    let rendered = render::render(&contents(&key())).unwrap();
    let table = |name: &str| String::from_utf8(rendered[&format!("csv/{name}.csv")].bytes.clone()).unwrap();
    assert!(table("findings").contains(",'=1+1,7,"), "{}", table("findings"));
    assert!(table("attestations").contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "{}", table("attestations"));
    for name in super::csv::TABLES {
        let text = table(name);
        assert!(text.ends_with("\r\n") && !text.starts_with('\u{feff}'), "{name}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{name}");
    }
    assert!(
        table("window").contains("2026-03-21,edr,huntress-edr,,,failed,unavailable,GET /v1/agents,,"),
        "{}",
        table("window")
    );
}

#[test]
fn a_window_of_another_zone_than_the_manifests_is_found() {
    let change = |text: &str, with: &str| {
        let mut files = unzipped(&good());
        let window = String::from_utf8(files[layout::WINDOW].clone()).unwrap();
        assert!(window.contains(text), "{window}");
        files.insert(layout::WINDOW.to_owned(), window.replace(text, with).into_bytes());
        failure(&checked(&signed_anew(files, &key()))).1
    };
    let said = change("America/New_York", "Asia/Kolkata");
    assert!(said.contains("its zone is Asia/Kolkata, and the manifest says America/New_York"), "{said}");
    let said = change("America/New_York", "America/Atlantis");
    assert!(said.contains("window.json") && said.contains("there is no time zone"), "{said}");
    // Every day at 07:00 is not written, so that packs from before other schedules were told stay what they are.
    let said = change("\"zone\"", "\"schedule\":\"hourly\",\"zone\"");
    assert!(said.contains("window.json") && said.contains("neither a cron nor a rate"), "{said}");
}
