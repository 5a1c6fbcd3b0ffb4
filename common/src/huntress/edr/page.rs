//! One page of a list: `{"<key>": [records], "pagination": {"next_page_token": …}}`.

use super::records::Records;
use crate::huntress::error::BodyError;
use crate::huntress::wire::{Element, List, Scalar};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A page, borrowed from its body.
pub(super) struct Page<'a, L: Records> {
    /// Its records. What is no object stands as an empty record, which has no id.
    pub records: Vec<L::Record<'a>>,
    /// Whether there is another.
    pub next: NextPage,
}

/// What the page says of the next one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// There is none.
    None,
    /// It has this token.
    Token(String),
}

/// Reads a page.
///
/// # Errors
/// [`BodyError::NotJson`] for what is no JSON or is cut off, [`BodyError::Shape`] for JSON that is no page.
pub(super) fn read_page<L: Records>(body: &[u8]) -> Result<Page<'_, L>, BodyError> {
    let shape = |path: &str, what: &str| BodyError::Shape { path: path.to_owned(), what: what.to_owned() };
    // Checking the text once as a whole is faster than string by string.
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotJson)?;
    let raw = read_top::<L>(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => shape(L::KEY, "a field is there twice, or a value is out of range"),
        _ => BodyError::NotJson,
    })?;
    let Some((records, pagination)) = raw else {
        return Err(shape("the whole answer", "it is no object"));
    };
    let records = match records {
        List::Of(elements) => elements,
        List::Absent => return Err(shape(L::KEY, "the list is not there")),
        List::NotAList => return Err(shape(L::KEY, "it is no list")),
    };
    let next = match pagination.0 {
        Scalar::NoKey | Scalar::Null => NextPage::None,
        Scalar::Text(token) if token.trim().is_empty() => NextPage::None,
        Scalar::Text(token) => NextPage::Token(token.into_owned()),
        Scalar::Number(token) => NextPage::Token(token.to_string()),
        Scalar::Bool(_) | Scalar::Other => return Err(shape("pagination.next_page_token", "it is no text")),
    };
    let records = records.into_iter().map(|element| match element {
        Element::Object(record) => record,
        Element::Other => L::Record::default(),
    });
    Ok(Page { records: records.collect(), next })
}

fn read_top<L: Records>(text: &str) -> Result<RawPage<'_, L>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let raw = Top::<L>(PhantomData).deserialize(&mut json)?;
    json.end()?;
    Ok(raw)
}

/// The token inside `pagination`; a `pagination` that is no object has none.
#[derive(Default)]
struct Pagination<'a>(Scalar<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Pagination<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        struct Fields<'a> {
            #[serde(borrow, default)]
            next_page_token: Scalar<'a>,
        }
        Ok(match Element::<Fields<'a>>::deserialize(deserializer)? {
            Element::Object(fields) => Self(fields.next_page_token),
            Element::Other => Self::default(),
        })
    }
}

type RawPage<'a, L> = Option<(List<<L as Records>::Record<'a>>, Pagination<'a>)>;

/// The object around a list, whose key is the list's.
struct Top<L>(PhantomData<L>);

impl<'de, L: Records> DeserializeSeed<'de> for Top<L> {
    type Value = RawPage<'de, L>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, L: Records> Visitor<'de> for Top<L> {
    type Value = RawPage<'de, L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        // A second list, or a second pagination, would silently replace the first and its records.
        let (mut records, mut pagination) = (None, None);
        while let Some(key) = fields.next_key::<Key<'de>>()? {
            if key.0 == L::KEY {
                if records.replace(fields.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field(L::KEY));
                }
            } else if key.0 == "pagination" {
                if pagination.replace(fields.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field("pagination"));
                }
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Some((records.unwrap_or_default(), pagination.unwrap_or_default())))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
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

#[cfg(test)]
mod tests {
    use super::super::records::Agents;
    use super::*;

    fn next(text: &str) -> Result<NextPage, String> {
        read_page::<Agents>(text.as_bytes()).map(|page| page.next).map_err(|error| match error {
            BodyError::Shape { path, .. } => path,
            BodyError::NotJson | BodyError::Inconsistent { .. } => "not json".to_owned(),
        })
    }

    #[test]
    fn a_token_is_followed_and_everything_else_ends_the_list() {
        assert_eq!(next(r#"{"agents":[],"pagination":{"next_page_token":"abc"}}"#), Ok(NextPage::Token("abc".into())));
        assert_eq!(next(r#"{"pagination":{"next_page_token":12},"agents":[]}"#), Ok(NextPage::Token("12".into())));
        for end in [
            "",
            r#","pagination":null"#,
            r#","pagination":{}"#,
            r#","pagination":{"next_page_token":null}"#,
            r#","pagination":{"next_page_token":""}"#,
            r#","pagination":[]"#,
            r#","pagination":{"current_page":1,"total_count":3}"#,
        ] {
            assert_eq!(next(&format!("{{\"agents\":[]{end}}}")), Ok(NextPage::None), "{end}");
        }
        assert_eq!(
            next(r#"{"agents":[],"pagination":{"next_page_token":{}}}"#),
            Err("pagination.next_page_token".into())
        );
    }

    #[test]
    fn what_is_no_page_says_where() {
        assert_eq!(next(r#"{"pagination":{}}"#), Err("agents".into()));
        assert_eq!(next(r#"{"agents":null}"#), Err("agents".into()));
        assert_eq!(next(r#"{"agents":{"0":{}}}"#), Err("agents".into()));
        assert_eq!(next("[]"), Err("the whole answer".into()));
        assert_eq!(next("<html>"), Err("not json".into()));
        assert_eq!(next(r#"{"agents":[{"id":1}"#), Err("not json".into()));
        assert_eq!(next(r#"{"agents":[]} trailing"#), Err("not json".into()));
        assert_eq!(next(""), Err("not json".into()));
    }

    #[test]
    fn invalid_utf8_is_no_json() {
        assert!(matches!(read_page::<Agents>(b"{\"agents\":[{\"id\":\"\xff\"}]}"), Err(BodyError::NotJson)));
    }
}
