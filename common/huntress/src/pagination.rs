//! How far a list was read, and whether a page is its last: by token in the endpoint API, by number in the training API. A list is never taken for whole
//! while a page announces more of it.

use super::collection::MAX_PAGES;
use super::error::BodyError;
use super::page::Announced;
use super::wire::Scalar;
use evidence_domain::id::RecordKey;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Pages in a row that may be empty while more is announced, in a list that is read by number: an empty page of a number is as good as the end.
const MAX_EMPTY_PAGES: u32 = 10;

/// How far one list was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The token of the next page, in a list that is read by token.
    pub token: Option<String>,
    /// Pages read.
    pub pages: u32,
    /// Whether the list is read, or no more of it is wanted.
    pub ended: bool,
    /// Records listed, those that were dropped too.
    records: u64,
    /// Empty pages in a row.
    empty: u32,
    /// What no two pages have in common: their tokens, or the ids of their first records.
    seen: HashSet<RecordKey>,
}

impl Cursor {
    /// Goes on behind a page of `records` records, in a list that is read by token.
    ///
    /// # Errors
    /// [`BodyError`] for a list that has more to give, but not how to get it; that goes in a circle, or does not end within `max_pages`.
    pub(super) fn advance_by_token(
        &mut self,
        records: usize,
        announced: Announced<'_>,
        max_pages: u32,
    ) -> Result<(), BodyError> {
        let pages = u64::from(self.pages) + 1;
        let listed = self.records + records as u64;
        let token = match announced.token {
            Scalar::NoKey | Scalar::Null | Scalar::Bool(false) => None,
            Scalar::Text(token) if token.trim().is_empty() => None,
            Scalar::Text(token) => Some(token.into_owned()),
            Scalar::Number(token) => Some(token.to_string()),
            Scalar::Bool(true) | Scalar::Other => {
                return Err(BodyError::shape("pagination.next_page_token", "it is no text"));
            }
        };
        if token.is_none() {
            let more = announced.more == Some(true)
                || announced.total.is_some_and(|total| total > listed)
                || announced.last_page.is_some_and(|last| last > pages);
            if more || announced.contradiction {
                return Err(BodyError::inconsistent("it announces more records, but no token of a next page"));
            }
        }
        if let Some(token) = &token
            && !RecordKey::from_text(token).is_some_and(|key| self.seen.insert(key))
        {
            return Err(BodyError::inconsistent("a page token came a second time"));
        }
        (self.ended, self.token) = (token.is_none(), token);
        self.turn(records, max_pages)
    }

    /// Goes on behind a page of `records` records, the first of which has the id `first`, in a list that is read by number.
    ///
    /// # Errors
    /// [`BodyError`] for a page that contradicts itself or came before, and for a list that does not end.
    pub(super) fn advance_by_number(
        &mut self,
        records: usize,
        first: Option<RecordKey>,
        announced: &Announced<'_>,
        more_wanted: bool,
    ) -> Result<(), BodyError> {
        // A server that gives one page for any number would otherwise be read for ever, or, if that is the last, leave out another without a word.
        if first.is_some_and(|first| !self.seen.insert(first)) {
            return Err(BodyError::inconsistent("a page came a second time"));
        }
        let number = u64::from(self.pages) + 1;
        let listed = self.records + records as u64;
        let says = [
            announced.last_page.map(|last| number < last),
            announced.total.map(|total| listed < total),
            announced.more,
        ];
        let more = says.iter().flatten().any(|more| *more);
        let end = says.iter().flatten().any(|more| !*more);
        if (more && end) || announced.contradiction {
            return Err(BodyError::inconsistent("what a page says of the pages after it contradicts itself"));
        }
        // Where nothing is said of the end, it is the first empty page.
        let goes_on = if more || end { more } else { records > 0 };
        self.ended = !more_wanted || !goes_on;
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        if !self.ended && self.empty > MAX_EMPTY_PAGES {
            return Err(BodyError::inconsistent(format!(
                "{MAX_EMPTY_PAGES} pages in a row are empty, and more are announced"
            )));
        }
        self.turn(records, MAX_PAGES)
    }

    fn turn(&mut self, records: usize, max_pages: u32) -> Result<(), BodyError> {
        self.pages += 1;
        self.records += records as u64;
        if !self.ended && self.pages >= max_pages {
            return Err(BodyError::inconsistent(format!("it has not ended after {max_pages} pages")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_token(records: usize, announced: Announced<'_>) -> Result<bool, ()> {
        let mut cursor = Cursor::default();
        cursor.advance_by_token(records, announced, 9).map(|()| cursor.ended).map_err(|_| ())
    }

    #[test]
    fn a_token_is_followed_whatever_else_is_said() {
        let token = |token| Announced { token, ..Announced::default() };
        assert_eq!(by_token(1, token(Scalar::Text("abc".into()))), Ok(false));
        assert_eq!(
            by_token(0, Announced { more: Some(false), total: Some(0), ..token(Scalar::Number(12)) }),
            Ok(false)
        );
        for none in [Scalar::NoKey, Scalar::Null, Scalar::Text(" ".into()), Scalar::Bool(false)] {
            assert_eq!(by_token(1, token(none)), Ok(true));
        }
        assert_eq!(by_token(1, token(Scalar::Other)), Err(()));
    }

    #[test]
    fn more_without_a_token_is_an_error() {
        let nothing = Announced::default;
        assert_eq!(
            by_token(3, Announced { total: Some(3), last_page: Some(1), more: Some(false), ..nothing() }),
            Ok(true)
        );
        for more in [
            Announced { total: Some(4), ..nothing() },
            Announced { last_page: Some(2), ..nothing() },
            Announced { more: Some(true), ..nothing() },
            Announced { contradiction: true, ..nothing() },
        ] {
            assert_eq!(by_token(3, more), Err(()));
        }
        let mut cursor = Cursor::default();
        let token = Announced { token: Scalar::Text("abc".into()), total: Some(6), ..nothing() };
        cursor.advance_by_token(3, token, 9).unwrap();
        cursor.advance_by_token(3, Announced { total: Some(6), ..nothing() }, 9).unwrap();
        assert!(cursor.ended);
    }

    /// Whether each page, of so many records, ends the list.
    fn by_number(pages: &[(usize, Announced<'_>)]) -> Result<Vec<bool>, ()> {
        let mut cursor = Cursor::default();
        let mut ids = 0..;
        pages
            .iter()
            .map(|(records, announced)| {
                let first = ids.next().filter(|_| *records > 0).map(RecordKey::Number);
                cursor.advance_by_number(*records, first, announced, true).map(|()| cursor.ended).map_err(|_| ())
            })
            .collect()
    }

    #[test]
    fn what_is_said_decides_and_else_an_empty_page() {
        let last = |last| Announced { last_page: Some(last), ..Announced::default() };
        let total = |total| Announced { total: Some(total), ..Announced::default() };
        let more = |more| Announced { more: Some(more), ..Announced::default() };
        assert_eq!(by_number(&[(2, last(2)), (1, last(2))]), Ok(vec![false, true]));
        assert_eq!(by_number(&[(0, last(0))]), Ok(vec![true]));
        assert_eq!(by_number(&[(2, last(3)), (0, last(3)), (1, last(3))]), Ok(vec![false, false, true]));
        assert_eq!(by_number(&[(2, total(3)), (1, total(3))]), Ok(vec![false, true]));
        assert_eq!(by_number(&[(2, more(true)), (1, more(false))]), Ok(vec![false, true]));
        assert_eq!(
            by_number(&[(2, Announced::default()), (1, Announced::default()), (0, Announced::default())]),
            Ok(vec![false, false, true])
        );
    }

    #[test]
    fn contradictions_repetitions_and_endless_lists_are_errors() {
        let said = |last_page, total, more| Announced { last_page, total, more, ..Announced::default() };
        assert_eq!(by_number(&[(2, said(Some(1), Some(2), Some(false)))]), Ok(vec![true]));
        for contradiction in [
            said(Some(1), Some(3), None),
            said(Some(1), None, Some(true)),
            said(Some(2), Some(2), None),
            said(Some(2), None, Some(false)),
            said(None, Some(2), Some(true)),
            Announced { contradiction: true, ..Announced::default() },
        ] {
            assert_eq!(by_number(&[(2, contradiction)]), Err(()));
        }
        let empty: Vec<_> = (0..20).map(|_| (0, said(None, Some(1), None))).collect();
        assert_eq!(by_number(&empty), Err(()));
        let mut cursor = Cursor::default();
        let first = Some(RecordKey::Number(7));
        cursor.advance_by_number(1, first, &said(Some(3), None, None), true).unwrap();
        assert!(cursor.advance_by_number(1, first, &said(Some(3), None, None), true).is_err());
    }
}
