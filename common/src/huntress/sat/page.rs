//! Pages of the training API: JSON:API documents, `{"data": […], "meta": {"page": {…}}, "links": {…}}`.

use super::super::error::BodyError;
use super::super::wire::{Element, List, Scalar};
use crate::domain::id::RecordKey;
use serde::Deserialize;

/// A kind of record, at any lifetime of the body it is borrowed from.
pub(super) trait Resource {
    /// The record.
    type Of<'a>: Deserialize<'a> + Default + Identified;

    /// Reads a page of them: [`read_page`], in a function of its own, so that it is compiled here, for speed, and not where the future that
    /// calls it is polled, for size.
    ///
    /// # Errors
    /// As [`read_page`].
    fn page(body: &[u8]) -> Result<Page<Self::Of<'_>>, BodyError>;
}

/// A record with an id.
pub(super) trait Identified {
    /// Its id, if it has one.
    fn key(&self) -> Option<RecordKey>;
}

/// A page, borrowed from its body.
pub(super) struct Page<T> {
    /// Its records. What is no object stands as an empty record, which has no id.
    pub records: Vec<T>,
    /// What it says of its place in the list.
    pub end: PageEnd,
    /// The id of its first record.
    pub first: Option<RecordKey>,
    /// The size in which it was asked for.
    pub size: &'static str,
}

impl<T> Page<T> {
    /// Path and query of the list, without the number of the page.
    pub(super) fn request(&self, path: &str) -> String {
        format!("{path}?page[size]={}", self.size)
    }
}

/// What a page says of the end of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageEnd {
    /// How many records the list has.
    pub total: Option<u64>,
    last_page: Option<u64>,
    has_next: bool,
    is_empty: bool,
}

impl PageEnd {
    /// Whether page `number` is the last: by the count of pages, which goes by the server's own page size; else by the link to the next one.
    pub(super) fn is_last(self, number: u32) -> bool {
        match self.last_page {
            Some(last) => u64::from(number) >= last,
            None => self.is_empty || !self.has_next,
        }
    }
}

#[derive(Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de>"))]
struct Document<'a, T> {
    data: List<T>,
    #[serde(borrow)]
    meta: Element<Meta<'a>>,
    #[serde(borrow)]
    links: Element<Links<'a>>,
}

impl<T> Default for Document<'_, T> {
    fn default() -> Self {
        Self { data: List::Absent, meta: Element::Other, links: Element::Other }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    page: Element<PageMeta<'a>>,
    #[serde(borrow)]
    counts: Element<Counts<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMeta<'a> {
    #[serde(borrow)]
    last_page: Scalar<'a>,
    #[serde(borrow)]
    total: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counts<'a> {
    #[serde(borrow)]
    active_learners: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Links<'a> {
    #[serde(borrow)]
    next: Scalar<'a>,
}

/// Reads a page.
///
/// # Errors
/// [`BodyError::NotJson`] for what is no JSON or is cut off, [`BodyError::Shape`] for JSON that is no page.
pub(super) fn read_page<R: Resource>(body: &[u8]) -> Result<Page<R::Of<'_>>, BodyError> {
    let document: Document<'_, R::Of<'_>> = read_object(body)?;
    let elements = match document.data {
        List::Of(elements) => elements,
        List::Absent => return Err(shape("data", "the list is not there")),
        List::NotAList => return Err(shape("data", "it is no list")),
    };
    let records: Vec<R::Of<'_>> = elements
        .into_iter()
        .map(|element| match element {
            Element::Object(record) => record,
            Element::Other => R::Of::default(),
        })
        .collect();
    let meta = document.meta.object().and_then(|meta| meta.page.object());
    let last_page = meta.and_then(|page| page.last_page.count());
    let end = PageEnd {
        total: meta.and_then(|page| page.total.count()),
        last_page,
        has_next: document.links.object().is_some_and(|links| links.next.is_given()),
        is_empty: records.is_empty(),
    };
    let first = records.first().and_then(Identified::key);
    Ok(Page { records, end, first, size: "" })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountDocument<'a> {
    #[serde(borrow)]
    data: Element<AccountData<'a>>,
    #[serde(borrow)]
    meta: Element<Meta<'a>>,
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
/// As [`read_page`]; a document without a count is `None`.
pub(super) fn read_account(body: &[u8]) -> Result<Option<u64>, BodyError> {
    let document: AccountDocument<'_> = read_object(body)?;
    let Element::Object(data) = &document.data else { return Err(shape("data", "the account is not there")) };
    let count = |meta: &Element<Meta<'_>>| meta.object()?.counts.object()?.active_learners.count();
    Ok(count(&data.meta).or_else(|| count(&document.meta)))
}

/// Reads one object.
///
/// # Errors
/// As [`read_page`].
pub(super) fn read_object<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotJson)?;
    let element: Result<Element<T>, serde_json::Error> = serde_json::from_str(text);
    match element {
        Ok(Element::Object(object)) => Ok(object),
        Ok(Element::Other) => Err(shape("the whole answer", "it is no object")),
        Err(error) if error.classify() == serde_json::error::Category::Data => {
            Err(shape("data", "a record has a field twice, or a value that is out of range"))
        }
        Err(_) => Err(BodyError::NotJson),
    }
}

fn shape(path: &str, what: &str) -> BodyError {
    BodyError::Shape { path: path.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::records::Statuses;
    use super::*;

    fn last(text: &str, number: u32) -> bool {
        read_page::<Statuses>(text.as_bytes()).unwrap().end.is_last(number)
    }

    #[test]
    fn the_count_of_pages_decides_and_else_the_link() {
        let page = r#"{"data":[{"id":"a"}],"meta":{"page":{"currentPage":1,"lastPage":2,"perPage":100}}}"#;
        assert!(!last(page, 1) && last(page, 2) && last(page, 3));
        assert!(last(r#"{"data":[{"id":"a"}]}"#, 1));
        assert!(!last(r#"{"data":[{"id":"a"}],"links":{"next":"https://x"}}"#, 1));
        assert!(last(r#"{"data":[{"id":"a"}],"links":{"next":null}}"#, 1));
        assert!(last(r#"{"data":[],"links":{"next":"https://x"}}"#, 1));
        assert!(last(r#"{"data":[],"meta":[],"links":"none"}"#, 1));
    }

    #[test]
    fn what_is_no_page_says_where() {
        let path = |text: &str| match read_page::<Statuses>(text.as_bytes()) {
            Err(BodyError::Shape { path, .. }) => path,
            Err(BodyError::NotJson | BodyError::Inconsistent { .. }) => "no json".to_owned(),
            Ok(_) => "a page".to_owned(),
        };
        assert_eq!(path(r#"{"meta":{}}"#), "data");
        assert_eq!(path(r#"{"data":{}}"#), "data");
        assert_eq!(path("[]"), "the whole answer");
        assert_eq!(path("<html>"), "no json");
    }

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
    }
}
