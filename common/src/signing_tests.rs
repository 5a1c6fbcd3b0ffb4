//! Our trees, checkpoints and notes against another implementation: Cloudflare's `tlog_tiles` and `signed_note`, ports of Go's.

use super::*;
use crate::domain::log::proof::{TreeHead, is_consistent, is_included};
use crate::domain::log::tree::{Tree, leaf_hash};
use crate::domain::log::{Checkpoint, Hash, Origin};
use crate::domain::{id::CompanyId, id::ConnectionId};
use signed_note::{StandardVerifier, VerifierList};
use std::cell::RefCell;

/// From RFC 8032, section 7.1: test 2.
const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap())
}

fn key() -> LogKey {
    LogKey::of_seed(&hex(SEED), Some("log.example")).unwrap()
}

#[test]
fn signatures_are_those_of_rfc_8032() {
    let key = key();
    assert_eq!(key.verifier().public_key(), &hex(PUBLIC));
    assert_eq!(key.sign(&[0x72]), hex(SIGNATURE));
    assert!(verify(&hex(PUBLIC), &[0x72], &hex::<64>(SIGNATURE)));
    assert!(!verify(&hex(PUBLIC), &[0x73], &hex::<64>(SIGNATURE)));
    assert!(!verify(&hex(PUBLIC), &[0x72], &hex::<64>(SIGNATURE)[..63]));
}

#[test]
fn a_key_file_is_read_as_it_was_written_and_named_after_its_key() {
    let (key, text) = LogKey::generate(None).unwrap();
    let again = LogKey::parse(&text).unwrap();
    assert_eq!(again.verifier(), key.verifier());
    let digits = &Hash::of(key.verifier().public_key()).hex()[..8];
    assert_eq!(key.verifier().name(), format!("huntress-evidence.local/{digits}"));
    // The other implementation takes it for a key as well.
    assert!(signed_note::StandardSigner::new(text.trim()).is_ok());
    for bad in ["", "PRIVATE+KEY+a", &text.replace("PRIVATE", "PUBLIC"), &text.replace("local", "loca1")] {
        assert!(LogKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn another_implementation_opens_our_checkpoints_and_we_open_its() {
    let key = key();
    let (company, connection) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("edr").unwrap());
    let tree = Tree::of((0_u8..7).map(|leaf| leaf_hash(&[leaf])));
    let origin = Origin::of_connection("log.example", &company, &connection);
    let checkpoint = Checkpoint { origin, head: TreeHead { size: 7, root: tree.root() } };
    let ours = key.note(checkpoint.text()).to_string();

    let their_verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(their_verifier)]);
    let theirs = signed_note::Note::from_bytes(ours.as_bytes()).unwrap();
    let (verified, unverified) = theirs.verify(&verifiers).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let parsed = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((parsed.origin(), parsed.size(), parsed.hash().0), ("log.example/msp-acme/edr", 7, tree.root().0));

    let note = Note::parse(&theirs.to_bytes()).unwrap();
    assert!(note.is_signed_by(key.verifier(), verify));
    assert_eq!(Checkpoint::parse(&note.text), Ok(checkpoint));
    let changed = Note { text: note.text.replace('7', "8"), ..note };
    assert!(!changed.is_signed_by(key.verifier(), verify));
}

/// The store of hashes that the other implementation wants.
struct Stored(RefCell<Vec<tlog_tiles::Hash>>);

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0.borrow()[*index as usize]).collect())
    }
}

#[test]
fn another_implementation_makes_the_same_roots_and_proofs() {
    let stored = Stored(RefCell::default());
    let mut tree = Tree::default();
    let ours = |path: &[tlog_tiles::Hash]| path.iter().map(|hash| Hash(hash.0)).collect::<Vec<_>>();
    for size in 1..=70_u64 {
        let data = format!("leaf {size}");
        let hashes = tlog_tiles::stored_hashes(size - 1, data.as_bytes(), &stored).unwrap();
        stored.0.borrow_mut().extend(hashes);
        tree.append(leaf_hash(data.as_bytes()));
        let root = tlog_tiles::tree_hash(size, &stored).unwrap();
        assert_eq!(tree.root().0, root.0, "{size}");
        for index in 0..size {
            let proof = tlog_tiles::prove_record(size, index, &stored).unwrap();
            assert_eq!(tree.inclusion_path(index).unwrap(), ours(&proof), "{index} of {size}");
            assert!(is_included(&tree.leaf(index).unwrap(), index, size, &ours(&proof), &tree.root()));
            let leaf = tlog_tiles::Hash(tree.leaf(index).unwrap().0);
            assert!(tlog_tiles::check_record(&proof, size, root, index, leaf).is_ok());
            let old = index + 1;
            let proof = tlog_tiles::prove_tree(size, old, &stored).unwrap();
            let (before, after) = (tree.root_at(old).unwrap(), tree.root());
            assert!(is_consistent(
                &TreeHead { size: old, root: before },
                &TreeHead { size, root: after },
                &ours(&proof)
            ));
            assert_eq!(tree.consistency_path(old).unwrap(), ours(&proof), "{old} of {size}");
            assert!(tlog_tiles::check_tree(&proof, size, root, old, tlog_tiles::Hash(before.0)).is_ok());
        }
    }
}
