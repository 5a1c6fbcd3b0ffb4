//! The Merkle tree of RFC 6962, section 2.1: SHA-256, leaves prefixed with 00, nodes with 01.

use super::Hash;
use serde::{Deserialize, Serialize};

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash::of_parts(&[&[0], data])
}

/// The hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of a tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// What is needed to append: the roots of the perfect subtrees from the left, one for each bit of the size, the largest first.
///
/// ```
/// use evidence_domain::log::tree::*;
/// let mut frontier = Frontier::default();
/// let mut tree = Tree::default();
/// for leaf in [b"a", b"b", b"c"] {
///     frontier.append(leaf_hash(leaf));
///     tree.append(leaf_hash(leaf));
/// }
/// assert_eq!((frontier.size(), frontier.root()), (3, tree.root()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FrontierParts")]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

#[derive(Deserialize)]
struct FrontierParts {
    size: u64,
    peaks: Vec<Hash>,
}

impl TryFrom<FrontierParts> for Frontier {
    type Error = &'static str;
    fn try_from(FrontierParts { size, peaks }: FrontierParts) -> Result<Self, Self::Error> {
        match usize::try_from(size.count_ones()) {
            Ok(needed) if needed == peaks.len() => Ok(Self { size, peaks }),
            _ => Err("the head of a log does not have a subtree for each bit of its size"),
        }
    }
}

impl Frontier {
    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                carried = node_hash(&left, &carried);
            }
        }
        self.peaks.push(carried);
        self.size += 1;
    }

    /// The roots of its perfect subtrees.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// The tree of this size whose perfect subtrees have these roots; `None` if there are not as many as the size has.
    #[must_use]
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        Self::try_from(FrontierParts { size, peaks }).ok()
    }

    /// Whether all subtrees of an older one are still there as they were: this one has grown by less than the older one's smallest subtree, with which the
    /// next one of its width will join. See [`joins`].
    ///
    /// ```
    /// use evidence_domain::log::tree::*;
    /// let grown = |size| (0..size).fold(Frontier::default(), |mut tree, leaf: u8| { tree.append(leaf_hash(&[leaf])); tree });
    /// assert!(grown(7).goes_on_from(&grown(6)) && grown(7).goes_on_from(&grown(4)));
    /// assert!(!grown(8).goes_on_from(&grown(6)) && !grown(6).goes_on_from(&grown(7)));
    /// ```
    #[must_use]
    pub fn goes_on_from(&self, older: &Self) -> bool {
        let width = smallest_subtree(older.size);
        self.size.checked_sub(older.size).is_some_and(|grown| older.size == 0 || grown < width)
            && self.peaks.starts_with(&older.peaks)
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let folded = self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }
}

/// The leaves under the smallest perfect subtree of a tree.
fn smallest_subtree(size: u64) -> u64 {
    size & size.wrapping_neg()
}

/// The leaves by which the subtrees of a tree of `from` leaves join larger ones, on its way to `to` leaves, in order. With the trees before each of these,
/// which are a few hashes, the first tree is proved to be what the last one has grown from, in as many steps as the larger size has binary digits at most.
///
/// ```
/// use evidence_domain::log::tree::joins;
/// assert_eq!(joins(3, 13), [3, 7]);
/// assert!(joins(8, 13).is_empty());
/// ```
#[must_use]
pub fn joins(from: u64, to: u64) -> Vec<u64> {
    let (mut size, mut leaves) = (from, Vec::new());
    while size > 0 {
        match size.checked_add(smallest_subtree(size)) {
            Some(joined) if joined <= to => {
                leaves.push(joined - 1);
                size = joined;
            }
            _ => break,
        }
    }
    leaves
}

/// A tree in memory with the hashes of all its perfect subtrees, for proofs.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[k]` has the roots of the perfect subtrees of 2^k leaves, from the left.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaves.
    #[must_use]
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.append(leaf);
        }
        tree
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The hash of a leaf.
    #[must_use]
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.levels.first()?.get(usize::try_from(index).ok()?).copied()
    }

    /// Adds a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(carried);
            match row.as_slice() {
                [.., left, right] if row.len() % 2 == 0 => carried = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root_at(self.size()).unwrap_or_else(empty_root)
    }

    /// The root that the tree had with its first `size` leaves; `None` if it has fewer.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty_root()),
            _ => self.subtree(0, size),
        }
    }

    /// The root over `leaves[start..end]`; `start` is a multiple of the power of two that `end - start` does not exceed.
    fn subtree(&self, start: u64, end: u64) -> Option<Hash> {
        let width = end.checked_sub(start).filter(|width| *width > 0)?;
        if width.is_power_of_two() {
            let level = width.trailing_zeros();
            return self.levels.get(level as usize)?.get(usize::try_from(start >> level).ok()?).copied();
        }
        let middle = start + split(width);
        Some(node_hash(&self.subtree(start, middle)?, &self.subtree(middle, end)?))
    }

    /// The audit path of a leaf (RFC 6962, section 2.1.1), from the leaf up; `None` for a leaf that is not there.
    ///
    /// ```
    /// use evidence_domain::log::{proof, tree::*};
    /// let tree = Tree::of([b"a", b"b", b"c"].map(|leaf| leaf_hash(leaf)));
    /// let path = tree.inclusion_path(2).unwrap();
    /// assert!(proof::is_included(&leaf_hash(b"c"), 2, 3, &path, &tree.root()));
    /// assert!(!proof::is_included(&leaf_hash(b"c"), 1, 3, &path, &tree.root()));
    /// ```
    #[must_use]
    pub fn inclusion_path(&self, index: u64) -> Option<Vec<Hash>> {
        let (mut start, mut end) = (0, self.size());
        if index >= end {
            return None;
        }
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The proof that the first `size` leaves are still what they were (RFC 6962, section 2.1.2); `None` if there are fewer. Empty for no leaf
    /// and for all of them.
    #[must_use]
    pub fn consistency_path(&self, size: u64) -> Option<Vec<Hash>> {
        let (mut start, mut end) = (0, self.size());
        if size > end {
            return None;
        }
        if size == 0 {
            return Some(Vec::new());
        }
        let mut path = Vec::new();
        let mut known = true;
        while size != end {
            let middle = start + split(end - start);
            if size <= middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                (start, known) = (middle, false);
            }
        }
        if !known {
            path.push(self.subtree(start, end)?);
        }
        path.reverse();
        Some(path)
    }
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (u64::BITS - 1 - (width - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_be_bytes())
    }

    #[test]
    fn the_hashes_are_those_of_rfc_6962() {
        // From the tests of Google's certificate-transparency: the roots of the first 0 to 8 of these leaves.
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root().hex(), roots[0]);
        for (data, root) in leaves.iter().zip(&roots[1..]) {
            frontier.append(leaf_hash(data));
            assert_eq!(&frontier.root().hex(), root);
        }
        let tree = Tree::of(leaves.map(leaf_hash));
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(&tree.root_at(size as u64).unwrap().hex(), root);
        }
        assert_eq!(tree.root_at(9), None);
    }

    #[test]
    fn a_frontier_gives_the_root_of_every_prefix() {
        let tree = Tree::of((0..130).map(leaf));
        let mut frontier = Frontier::default();
        for size in 0..=130 {
            assert_eq!(Some(frontier.root()), tree.root_at(size), "{size}");
            // What is stored between two runs.
            let stored = serde_json::to_string(&frontier).unwrap();
            frontier = serde_json::from_str(&stored).unwrap();
            frontier.append(leaf(size));
        }
    }

    /// From each leaf to each later tree, by what is stored with the leaves: and by nothing else.
    #[test]
    fn a_leaf_is_proved_by_the_trees_before_those_that_join_it() {
        const SIZE: u64 = 70;
        let mut before = vec![Frontier::default()];
        for number in 0..SIZE {
            let mut next = before[number as usize].clone();
            next.append(leaf(number));
            before.push(next);
        }
        let proved = |index: u64, data: Hash, before: &[Frontier], head: &Frontier| {
            let mut tree = before[index as usize].clone();
            tree.append(data);
            for join in joins(index + 1, head.size()) {
                let next = &before[join as usize];
                if !next.goes_on_from(&tree) {
                    return false;
                }
                tree = next.clone();
                tree.append(leaf(join));
            }
            head.goes_on_from(&tree)
        };
        for size in 1..=SIZE {
            for index in 0..size {
                let head = &before[size as usize];
                assert!(joins(index + 1, size).len() <= 7, "{index} of {size}");
                assert!(proved(index, leaf(index), &before, head), "{index} of {size}");
                assert!(!proved(index, leaf(index + 1), &before, head), "{index} of {size}");
                let mut other = before.clone();
                for peak in &mut other[index as usize].peaks {
                    peak.0[0] ^= 1;
                }
                // Without a subtree before it there is nothing that is changed.
                assert!(index == 0 || !proved(index, leaf(index), &other, head), "{index} of {size}");
            }
        }
    }

    #[test]
    fn a_frontier_that_does_not_fit_its_size_is_refused() {
        let peak = leaf(1).to_string();
        for (size, peaks) in
            [(0, vec![peak.clone()]), (1, vec![]), (3, vec![peak.clone()]), (4, vec![peak.clone(), peak])]
        {
            let stored = serde_json::json!({"size": size, "peaks": peaks}).to_string();
            assert!(serde_json::from_str::<Frontier>(&stored).is_err(), "{stored}");
        }
    }
}
