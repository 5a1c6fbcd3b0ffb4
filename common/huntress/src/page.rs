//! One page of a list, of either product: `{"<key>": [records], …}`, and what it says of the pages after it.

use super::error::BodyError;
use super::wire::{Element, List, Scalar, Value, json_error};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A page, borrowed from its text.
pub(super) struct Page<'a, R> {
    /// Its records. What is no object is a record without an id.
    pub records: Vec<Element<R>>,
    /// What it says of the pages after it.
    pub announced: Announced<'a>,
}

impl<'a, R: Deserialize<'a>> Page<'a, R> {
    /// Reads a page whose list stands under `key`.
    ///
    /// # Errors
    /// [`BodyError::NotJson`] for what is no JSON or is cut off, [`BodyError::Shape`] for JSON that is no page, and [`BodyError::Reported`] for a page that
    /// reports errors, whatever else it carries.
    pub(super) fn parse(text: &'a str, key: &'static str) -> Result<Self, BodyError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let document = PageAt { key, record: PhantomData::<R> }.deserialize(&mut json);
        let document = document.and_then(|document| json.end().map(|()| document));
        let Some(document) = document.map_err(|error| json_error(&error, key))? else {
            return Err(BodyError::shape("the whole answer", "it is no object"));
        };
        if document.has_errors {
            return Err(BodyError::Reported);
        }
        match document.records {
            List::Of(records) => Ok(Self { records, announced: document.announced }),
            List::Absent => Err(BodyError::shape(key, "the list is not there")),
            List::NotAList => Err(BodyError::shape(key, "it is no list")),
        }
    }
}

struct Document<'a, R> {
    records: List<R>,
    announced: Announced<'a>,
    has_errors: bool,
}

/// Reads the object around a list, whose key is the list's; `None` for what is no object.
struct PageAt<R> {
    key: &'static str,
    record: PhantomData<R>,
}

impl<'de, R: Deserialize<'de>> DeserializeSeed<'de> for PageAt<R> {
    type Value = Option<Document<'de, R>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Deserialize<'de>> Visitor<'de> for PageAt<R> {
    type Value = Option<Document<'de, R>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Self::Value, M::Error> {
        let (mut records, mut announced, mut has_errors, mut described) = (None, Announced::default(), false, false);
        while let Some(Key(key)) = fields.next_key()? {
            // A second list, or a second pagination, would silently replace the first and its records.
            if key == self.key {
                if records.replace(fields.next_value()?).is_some() {
                    return Err(M::Error::duplicate_field(self.key));
                }
            } else if key == "errors" || key == "error" {
                has_errors |= fields.next_value::<Reported>()?.0;
            } else if Word::of(&key) == Word::Described {
                if key == "pagination" && std::mem::replace(&mut described, true) {
                    return Err(M::Error::duplicate_field("pagination"));
                }
                announced.read_field(&key, &mut fields)?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Some(Document { records: records.unwrap_or_default(), announced, has_errors }))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self::Value, S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a field `errors` reports something: null, false, and an empty text, list or object do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reported(pub bool);

impl<'de> Deserialize<'de> for Reported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::<'de, Fields, Vec<IgnoredAny>>::deserialize(deserializer)? {
            Value::Scalar(scalar) => is_set(&scalar),
            Value::Object(Fields(count)) => count > 0,
            Value::Array(items) => !items.is_empty(),
        }))
    }
}

/// How many fields an object has.
struct Fields(usize);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Self::Value, M::Error> {
                let mut count = 0;
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Fields(count))
            }
        }
        deserializer.deserialize_map(Count)
    }
}

/// Whether a scalar says anything but no: it is neither absent, null, false, 0 nor blank.
fn is_set(scalar: &Scalar<'_>) -> bool {
    match scalar {
        Scalar::NoKey | Scalar::Null | Scalar::Bool(false) | Scalar::Number(0) => false,
        Scalar::Text(text) => !text.trim().is_empty(),
        Scalar::Bool(true) | Scalar::Number(_) | Scalar::Other => true,
    }
}

/// What a page says of the pages after it, wherever and however it says so: the vendor's APIs have their own words, older versions of them and the servers
/// that other clients met have others. A name counts in any letter case, with and without `_` and `-`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Announced<'a> {
    /// `next_page_token`, where the endpoint API has it: in `pagination`, in this spelling.
    pub token: Scalar<'a>,
    /// Whether there is a next page: a link, a number, a token in another place, or a flag.
    pub more: Option<bool>,
    /// The number of the last page.
    pub last_page: Option<u64>,
    /// The number of records of the whole list.
    pub total: Option<u64>,
    /// One of these is said twice, and differently.
    pub contradiction: bool,
}

impl<'a> Announced<'a> {
    fn say<T: PartialEq>(place: &mut Option<T>, said: Option<T>) -> bool {
        match (place.as_ref(), said) {
            (Some(before), Some(said)) => *before != said,
            (None, Some(said)) => {
                *place = Some(said);
                false
            }
            (_, None) => false,
        }
    }

    /// Reads the value of `key` in one of the objects that describe the page, or the whole of such an object.
    fn read_field<'de: 'a, M: MapAccess<'de>>(&mut self, key: &str, fields: &mut M) -> Result<(), M::Error> {
        match Word::of(key) {
            Word::Described => {
                if let Element::Object(within) = fields.next_value::<Element<Self>>()? {
                    if key == "pagination" && within.token.is_given() {
                        self.contradiction |= self.token.is_given() && self.token != within.token;
                        self.token = within.token;
                    } else if is_set(&within.token) {
                        self.contradiction |= Self::say(&mut self.more, Some(true));
                    }
                    self.contradiction |= within.contradiction
                        | Self::say(&mut self.more, within.more)
                        | Self::say(&mut self.last_page, within.last_page)
                        | Self::say(&mut self.total, within.total);
                }
            }
            Word::Token if key == "next_page_token" => self.token = fields.next_value()?,
            Word::Token | Word::Next => {
                let next = fields.next_value::<Scalar<'de>>()?;
                self.contradiction |= Self::say(&mut self.more, Some(is_set(&next)));
            }
            Word::HasMore => {
                let flag = fields.next_value::<Scalar<'de>>()?;
                // A flag that cannot be read may mean that there is more.
                let more = flag.is_given().then(|| flag.flag() != Some(false));
                self.contradiction |= Self::say(&mut self.more, more);
            }
            Word::LastPage => {
                let said = fields.next_value::<Scalar<'de>>()?.count();
                self.contradiction |= Self::say(&mut self.last_page, said);
            }
            Word::Total => {
                let said = fields.next_value::<Scalar<'de>>()?.count();
                self.contradiction |= Self::say(&mut self.total, said);
            }
            Word::Other => {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Announced<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Within<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Within<'a> {
            type Value = Announced<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Self::Value, M::Error> {
                let mut announced = Announced::default();
                while let Some(Key(key)) = fields.next_key()? {
                    announced.read_field(&key, &mut fields)?;
                }
                Ok(announced)
            }
        }
        deserializer.deserialize_map(Within(PhantomData))
    }
}

/// What a key of a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// An object that describes the page.
    Described,
    Token,
    Next,
    HasMore,
    LastPage,
    Total,
    Other,
}

impl Word {
    fn of(key: &str) -> Self {
        let letters = key.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase());
        let is = |word: &str| letters.clone().eq(word.bytes());
        let any = |words: &[&str]| words.iter().any(|word| is(word));
        if any(&["pagination", "meta", "page", "links"]) {
            Self::Described
        } else if any(&["nextpagetoken", "nexttoken", "nextcursor"]) {
            Self::Token
        } else if any(&["next", "nextpage", "nextpageurl", "nexturl", "nextlink"]) {
            Self::Next
        } else if any(&["hasmore", "hasnext", "hasnextpage"]) {
            Self::HasMore
        } else if any(&["lastpage", "totalpages", "pagecount"]) {
            Self::LastPage
        } else if any(&["total", "totalcount", "totalrecords"]) {
            Self::Total
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Empty {}

    fn announced(text: &str) -> Announced<'_> {
        Page::<Empty>::parse(text, "agents").map_err(|error| format!("{text}: {error:?}")).unwrap().announced
    }

    #[test]
    fn more_is_announced_in_many_words() {
        let said = |within: &str| {
            let text = format!(r#"{{"agents":[],{within}}}"#);
            let said = announced(&text);
            (said.more, said.last_page, said.total, said.contradiction)
        };
        for more in [
            r#""pagination":{"next_page":2}"#,
            r#""pagination":{"next_page_url":"https://x"}"#,
            r#""pagination":{"nextPageToken":"abc"}"#,
            r#""meta":{"pagination":{"links":{"next":"https://x"}}}"#,
            r#""links":{"next":{"href":"https://x"}}"#,
            r#""meta":{"has-more":"yes"}"#,
            r#""meta":{"next_page_token":"abc"}"#,
        ] {
            assert_eq!(said(more), (Some(true), None, None, false), "{more}");
        }
        for none in [r#""links":{"next":null}"#, r#""pagination":{"next_page":0}"#, r#""meta":{"hasMore":0}"#] {
            assert_eq!(said(none), (Some(false), None, None, false), "{none}");
        }
        for silent in
            [r#""pagination":null"#, r#""pagination":[]"#, r#""meta":"x""#, r#""links":{"self":"x"}"#, r#""x":1"#]
        {
            assert_eq!(said(silent), (None, None, None, false), "{silent}");
        }
        for last in ["lastPage", "last_page", "last-page", "LASTPAGE", "total_pages", "totalPages"] {
            for place in [
                format!(r#""meta":{{"page":{{"{last}":3}}}}"#),
                format!(r#""meta":{{"{last}":"3"}}"#),
                format!(r#""pagination":{{"{last}":3.0}}"#),
            ] {
                assert_eq!(said(&place), (None, Some(3), None, false), "{place}");
            }
        }
        assert_eq!(said(r#""meta":{"page":{"total":7},"Total":7}"#), (None, None, Some(7), false));
        assert!(said(r#""meta":{"page":{"lastPage":2},"last_page":3}"#).3);
        assert!(said(r#""links":{"next":null},"meta":{"next_page":2}"#).3);
    }

    #[test]
    fn the_token_is_the_one_in_pagination() {
        assert_eq!(
            announced(r#"{"agents":[],"pagination":{"next_page_token":"abc"}}"#).token,
            Scalar::Text("abc".into())
        );
        assert_eq!(announced(r#"{"pagination":{"next_page_token":12},"agents":[]}"#).token, Scalar::Number(12));
    }

    #[test]
    fn what_is_no_page_says_where() {
        let problem = |text: &str| match Page::<Empty>::parse(text, "agents").map(|_| ()).unwrap_err() {
            BodyError::Shape { path, .. } => path,
            BodyError::Reported => "errors".to_owned(),
            BodyError::NotJson | BodyError::Inconsistent { .. } => "not json".to_owned(),
        };
        assert_eq!(problem(r#"{"pagination":{}}"#), "agents");
        assert_eq!(problem(r#"{"agents":null}"#), "agents");
        assert_eq!(problem(r#"{"agents":{"0":{}}}"#), "agents");
        assert_eq!(problem(r#"{"agents":[],"agents":[]}"#), "agents");
        assert_eq!(problem("[]"), "the whole answer");
        for cut in ["<html>", r#"{"agents":[{"id":1}"#, r#"{"agents":[]} trailing"#, ""] {
            assert_eq!(problem(cut), "not json", "{cut}");
        }
        for half in [
            r#""errors":[{"status":"500"}]"#,
            r#""errors":"x""#,
            r#""errors":{"a":1}"#,
            r#""error":{"code":5}"#,
            r#""errors":true"#,
        ] {
            assert_eq!(problem(&format!(r#"{{"agents":[],{half}}}"#)), "errors", "{half}");
            assert_eq!(problem(&format!(r#"{{{half}}}"#)), "errors", "{half}");
        }
        for none in ["null", "[]", "{}", "\"\"", "false"] {
            assert!(Page::<Empty>::parse(&format!(r#"{{"agents":[],"errors":{none}}}"#), "agents").is_ok(), "{none}");
        }
    }
}
