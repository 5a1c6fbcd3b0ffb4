//! Checking proofs: RFC 9162, sections 2.1.3.2 and 2.1.4.2, whose trees are those of RFC 6962.

use super::Hash;
use super::tree::{empty_root, node_hash};

/// The root that a leaf and its audit path give; `None` if the path cannot belong to that place in a tree of that size.
#[must_use]
pub fn root_of(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            // Levels on which this node is the last one and has no sibling.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// Whether the audit path proves that `leaf` is at `index` in the tree of that size and root.
#[must_use]
pub fn is_included(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    root_of(leaf, index, size, path).as_ref() == Some(root)
}

/// A tree as it was at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves it had.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Whether `path` proves that the newer tree begins with all leaves of the older one, in their order.
#[must_use]
pub fn is_consistent(older: &TreeHead, newer: &TreeHead, path: &[Hash]) -> bool {
    if older.size == 0 {
        return path.is_empty() && older.root == empty_root();
    }
    if older.size == newer.size {
        return path.is_empty() && older.root == newer.root;
    }
    if older.size > newer.size {
        return false;
    }
    let (mut node, mut last) = (older.size - 1, newer.size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    // A power of two is a perfect subtree: its root is known, and not in the path.
    let mut path = path.iter();
    let first = if older.size.is_power_of_two() { Some(&older.root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut old, mut new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            (old, new) = (node_hash(sibling, &old), node_hash(sibling, &new));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old == older.root && new == newer.root
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Tree, leaf_hash};
    use super::*;

    fn tree(size: u64) -> Tree {
        Tree::of((0..size).map(|number| leaf_hash(&number.to_be_bytes())))
    }

    /// Each way to change a path by one step.
    fn changed(path: &[Hash]) -> Vec<Vec<Hash>> {
        let mut all = Vec::new();
        for place in 0..path.len() {
            let mut flipped = path.to_vec();
            flipped[place].0[31] ^= 1;
            all.push(flipped);
            all.push([&path[..place], &path[place + 1..]].concat());
            all.push([&path[..place], &[path[place]], &path[place..]].concat());
        }
        all.push([path, &[Hash::of(b"")]].concat());
        all
    }

    #[test]
    fn every_leaf_is_proved_and_nothing_else_is() {
        for size in 0..40 {
            let tree = tree(size);
            assert_eq!(tree.inclusion_path(size), None);
            for index in 0..size {
                let (leaf, path) = (tree.leaf(index).unwrap(), tree.inclusion_path(index).unwrap());
                assert!(is_included(&leaf, index, size, &path, &tree.root()), "{index} of {size}");
                for other in (0..size + 2).filter(|other| *other != index) {
                    assert!(!is_included(&leaf, other, size, &path, &tree.root()), "{index} as {other} of {size}");
                }
                for wrong in changed(&path) {
                    assert!(!is_included(&leaf, index, size, &wrong, &tree.root()), "{index} of {size}");
                }
                assert!(!is_included(&Hash::of(b"other"), index, size, &path, &tree.root()));
            }
        }
    }

    #[test]
    fn every_prefix_is_consistent_and_nothing_else_is() {
        for size in 0..40 {
            let tree = tree(size);
            let newer = TreeHead { size, root: tree.root() };
            assert_eq!(tree.consistency_path(size + 1), None);
            for old in 0..=size {
                let older = TreeHead { size: old, root: tree.root_at(old).unwrap() };
                let path = tree.consistency_path(old).unwrap();
                assert!(is_consistent(&older, &newer, &path), "{old} of {size}");
                let forked = TreeHead { size: old, root: Hash::of(b"fork") };
                assert!(!is_consistent(&forked, &newer, &path), "{old} of {size}");
                assert!(!is_consistent(&older, &TreeHead { root: Hash::of(b"fork"), ..newer }, &path) || old == 0);
                for wrong in changed(&path) {
                    assert!(!is_consistent(&older, &newer, &wrong), "{old} of {size}");
                }
                if old < size {
                    assert!(!is_consistent(&newer, &older, &path), "{size} before {old}");
                }
            }
        }
    }

    #[test]
    fn a_proof_against_the_largest_sizes_ends() {
        let hash = Hash::of(b"");
        assert!(!is_included(&hash, u64::MAX - 1, u64::MAX, &[hash; 100], &hash));
        let (older, newer) = (TreeHead { size: u64::MAX - 1, root: hash }, TreeHead { size: u64::MAX, root: hash });
        assert!(!is_consistent(&older, &newer, &[hash; 100]));
    }
}
