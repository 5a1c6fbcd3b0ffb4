//! The JSON Canonicalization Scheme (RFC 8785): one spelling of a value, so that its hash can be computed by anybody.

use serde::Serialize;

/// A value that JSON does not have, such as a number that is not finite.
#[derive(Debug, thiserror::Error)]
#[error("the value has no canonical JSON form")]
pub struct NotCanonical(#[source] serde_json::Error);

/// The JCS form.
///
/// ```
/// use evidence_domain::log::jcs;
/// let value = serde_json::json!({"b": 1.0, "a": "\u{e9}"});
/// assert_eq!(jcs::to_bytes(&value).unwrap(), "{\"a\":\"\u{e9}\",\"b\":1}".as_bytes());
/// ```
///
/// # Errors
/// [`NotCanonical`].
pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, NotCanonical> {
    serde_json_canonicalizer::to_vec(value).map_err(NotCanonical)
}
