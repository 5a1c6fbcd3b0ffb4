//! Where a page of a list ends, as callers hand it back: opaque, and not to be changed.

use super::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Bytes of the hash that tell a cursor from one that was changed. Nobody is kept from making one: it says where to go on and lets nobody see more.
const CHECK: usize = 8;

fn check(list: &str, place: &[u8]) -> Vec<u8> {
    let hash = Sha256::new().chain_update(list).chain_update([0]).chain_update(place).finalize();
    hash.iter().take(CHECK).copied().collect()
}

/// The cursor of a place in a list.
pub(super) fn cursor(list: &str, place: &impl Serialize) -> Option<String> {
    let mut bytes = serde_json::to_vec(place).ok()?;
    let check = check(list, &bytes);
    bytes.extend(check);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The place that a cursor of this list stands for.
///
/// # Errors
/// A [`Problem`] with status 400 for one that was changed, or is of another list.
pub(super) fn place<P: DeserializeOwned>(list: &str, cursor: &str) -> Result<P, Problem> {
    let wrong = || Problem::bad_request("after must be the next_after of the page before, as it was given");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    let (place, checked) = bytes.split_at_checked(bytes.len().saturating_sub(CHECK)).ok_or_else(wrong)?;
    if check(list, place) != checked {
        return Err(wrong());
    }
    serde_json::from_slice(place).map_err(|_| wrong())
}

/// The number of items of a page, from what was asked for.
///
/// # Errors
/// A [`Problem`] with status 400 for 0, and for more than `most`.
pub(super) fn limit(asked: Option<usize>, most: usize) -> Result<usize, Problem> {
    match asked {
        None => Ok(most.min(100)),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!("limit must be 1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_no_other_text_is() {
        let good = cursor("clients", &("worst", 7)).unwrap();
        assert_eq!(place::<(String, u8)>("clients", &good).unwrap(), ("worst".to_owned(), 7));
        assert!(place::<(String, u8)>("history", &good).is_err(), "of another list");
        for index in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(place::<(String, u8)>("clients", std::str::from_utf8(&changed).unwrap()).is_err(), "{index}");
        }
        for wrong in ["", "A", "edr-main", "%", &good[1..], &format!("{good}A")] {
            assert!(place::<(String, u8)>("clients", wrong).is_err(), "{wrong}");
        }
        assert!(limit(Some(0), 100).is_err() && limit(Some(1_000_000_000), 100).is_err());
        assert_eq!((limit(None, 500).unwrap(), limit(Some(500), 500).unwrap()), (100, 500));
    }
}
