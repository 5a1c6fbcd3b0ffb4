//! Documents of the training API, which are JSON:API: `{"data": […], "meta": {…}, "links": {…}}`.

use super::super::error::BodyError;
use super::super::page::{Announced, Page, Reported};
use super::super::wire::{Element, Scalar, json_error, read_json};
use evidence_domain::id::RecordKey;
use serde::Deserialize;

/// A kind of record, at any lifetime of the text it is borrowed from.
pub(super) trait Resource {
    /// The record.
    type Of<'a>: Deserialize<'a> + Default + Identified;

    /// Reads a page of them: [`SatPage::parse`], in a function of its own, so that it is compiled here, for speed, and not where the future that
    /// calls it is polled, for size.
    ///
    /// # Errors
    /// As [`SatPage::parse`].
    fn page(text: &str) -> Result<SatPage<'_, Self::Of<'_>>, BodyError>;
}

/// A record with an id.
pub(super) trait Identified {
    /// Its id, if it has one.
    fn key(&self) -> Option<RecordKey>;
}

/// A page, borrowed from its text.
pub(super) struct SatPage<'a, T> {
    /// Its records. What is no object stands as an empty record, which has no id.
    pub records: Vec<T>,
    /// What it says of the pages after it.
    pub announced: Announced<'a>,
    /// The size in which it was asked for.
    pub size: u64,
}

impl<T> SatPage<'_, T> {
    /// Path and query of the list, without the number of the page.
    pub(super) fn request(&self, path: &str) -> String {
        format!("{path}?page[size]={}", self.size)
    }
}

impl<'a, T: Deserialize<'a> + Default + Identified> SatPage<'a, T> {
    /// Reads a page.
    ///
    /// # Errors
    /// As [`Page::parse`].
    pub(super) fn parse(text: &'a str) -> Result<Self, BodyError> {
        let Page { records, announced } = Page::<T>::parse(text, "data")?;
        Ok(Self { records: records.into_iter().map(Element::or_default).collect(), announced, size: 0 })
    }

    /// The id of its first record.
    pub(super) fn first(&self) -> Option<RecordKey> {
        self.records.first().and_then(Identified::key)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    counts: Element<Counts<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts<'a> {
    #[serde(borrow)]
    active_learners: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountDocument<'a> {
    #[serde(borrow)]
    data: Element<AccountData<'a>>,
    #[serde(borrow)]
    meta: Element<Meta<'a>>,
    errors: Reported,
    error: Reported,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountData<'a> {
    #[serde(borrow)]
    meta: Element<Meta<'a>>,
}

/// Reads the count of active learners of an account, which is at the record's own `meta` or at the document's.
///
/// # Errors
/// [`BodyError`] for what is no account; a document without a count is `None`.
pub(super) fn read_account(body: &[u8]) -> Result<Option<u64>, BodyError> {
    read_json(body, |text| {
        let document: AccountDocument<'_> = read_object(text)?;
        if document.errors.0 || document.error.0 {
            return Err(BodyError::Reported);
        }
        let Element::Object(data) = &document.data else {
            return Err(BodyError::shape("data", "the account is not there"));
        };
        let count = |meta: &Element<Meta<'_>>| meta.object()?.counts.object()?.active_learners.count();
        Ok(count(&data.meta).or_else(|| count(&document.meta)))
    })
}

/// Reads one object.
///
/// # Errors
/// [`BodyError::NotJson`] for what is no JSON or is cut off, [`BodyError::Shape`] for JSON that is no object.
pub(super) fn read_object<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, BodyError> {
    match serde_json::from_str(text).map_err(|error| json_error(&error, "data"))? {
        Element::Object(object) => Ok(object),
        Element::Other => Err(BodyError::shape("the whole answer", "it is no object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_learners_is_at_either_place() {
        let read = |text: &str| read_account(text.as_bytes()).unwrap();
        assert_eq!(
            read(
                r#"{"data":{"id":"a","meta":{"counts":{"activeLearners":48}}},"meta":{"counts":{"activeLearners":1}}}"#
            ),
            Some(48)
        );
        assert_eq!(
            read(r#"{"data":{"id":"a","meta":{"counts":{}}},"meta":{"counts":{"activeLearners":"7"}}}"#),
            Some(7)
        );
        assert_eq!(read(r#"{"data":{"id":"a"},"meta":[]}"#), None);
        assert!(read_account(br#"{"data":null}"#).is_err());
        let half = br#"{"data":{"id":"a"},"errors":[{"status":"500"}]}"#;
        assert!(matches!(read_account(half), Err(BodyError::Reported)));
    }
}
