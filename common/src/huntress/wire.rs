//! JSON as vendors send it: lenient about fields of another type, since one odd record must not cost a whole run.

use crate::domain::id::RecordKey;
use crate::domain::time::RawTimestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A scalar of whatever type; text is borrowed from the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scalar<'a> {
    /// The key is not there.
    #[default]
    NoKey,
    /// Null.
    Null,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number that is not negative.
    Number(u64),
    /// A truth value.
    Bool(bool),
    /// Another number, an object or an array.
    Other,
}

impl Scalar<'_> {
    /// A string that is not blank.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether there is a value: neither absent nor null.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::NoKey | Self::Null)
    }

    /// The field as a timestamp, not yet read. A blank text is no timestamp, but it is there.
    #[must_use]
    pub fn stamp(&self) -> RawTimestamp<'_> {
        match self {
            Self::NoKey | Self::Null => RawTimestamp::Absent,
            Self::Text(text) => RawTimestamp::Text(text),
            _ => RawTimestamp::NotText,
        }
    }

    /// The field as an id, sent as a number or a string.
    #[must_use]
    pub fn key(&self) -> Option<RecordKey> {
        match self {
            Self::Number(number) => Some(RecordKey::Number(*number)),
            Self::Text(text) => RecordKey::from_text(text),
            _ => None,
        }
    }

    /// The field as a count, sent as a number or a string of digits.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The field as a truth value, sent as such or as a word.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(flag))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// An element of a list that should be an object of type `T`.
#[derive(Debug, Default)]
pub enum Element<T> {
    /// It is one.
    Object(T),
    /// It is something else, or not there.
    #[default]
    Other,
}

impl<T> Element<T> {
    /// The object, if it is one.
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Object(object) => Some(object),
            Self::Other => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);
        macro_rules! other {
            ($($visit:ident: $type:ty),*) => {
                $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> { Ok(Element::Other) })*
            };
        }
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Element<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            other!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Element::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Element::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(fields)).map(Element::Object)
            }
        }
        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}

/// A field that should be an array of objects.
#[derive(Debug, Default)]
pub enum List<T> {
    /// The key is not there, or null.
    #[default]
    Absent,
    /// It is something else.
    NotAList,
    /// It is one.
    Of(Vec<Element<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);
        macro_rules! other {
            ($($visit:ident: $type:ty),*) => {
                $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> { Ok(List::NotAList) })*
            };
        }
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            other!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List::Absent)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List::Of(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::NotAList)
            }
        }
        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_takes_what_comes() {
        let read = |text| serde_json::from_str::<Scalar<'_>>(text).unwrap();
        assert_eq!(read("7").key(), Some(RecordKey::Number(7)));
        assert_eq!(read("\"7\"").key(), Some(RecordKey::Number(7)));
        assert_eq!(read("7.5").key(), None);
        assert_eq!(read("\"a\\u0062\"").text(), Some("ab"));
        assert_eq!(read("\" \"").text(), None);
        assert_eq!(read("{\"a\":[1,{\"b\":2}]}"), Scalar::Other);
        assert_eq!(read("null").stamp(), RawTimestamp::Absent);
        assert_eq!(read("1711108800").stamp(), RawTimestamp::NotText);
        assert_eq!(read("\"42\"").count(), Some(42));
        assert_eq!(read("\"True\"").flag(), Some(true));
    }

    #[test]
    fn nesting_of_any_depth_is_skipped() {
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        #[derive(Deserialize)]
        struct Nothing {}
        assert!(serde_json::from_str::<Element<Nothing>>(&deep).is_ok());
    }

    #[test]
    fn a_list_of_oddities_is_still_a_list() {
        #[derive(Deserialize)]
        struct Nothing {}
        let list = serde_json::from_str::<List<Nothing>>("[1,null,{},\"x\",[2],{\"a\":1}]").unwrap();
        let List::Of(items) = list else { panic!("no list") };
        assert_eq!(items.iter().filter(|item| matches!(item, Element::Object(_))).count(), 2);
        assert!(matches!(serde_json::from_str::<List<Nothing>>("{}").unwrap(), List::NotAList));
        assert!(matches!(serde_json::from_str::<List<Nothing>>("null").unwrap(), List::Absent));
    }
}
