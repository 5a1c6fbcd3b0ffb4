//! JSON as vendors send it: lenient about fields of another type, since one odd record must not cost a whole run.

use super::error::BodyError;
use evidence_domain::id::RecordKey;
use evidence_domain::text;
use evidence_domain::time::RawTimestamp;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

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
            Self::Text(text) if text.contains(|c: char| !c.is_whitespace()) => Some(text),
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
    pub fn timestamp(&self) -> RawTimestamp<'_> {
        match self {
            Self::NoKey | Self::Null => RawTimestamp::Absent,
            Self::Text(text) => RawTimestamp::Text(text),
            _ => RawTimestamp::NotText,
        }
    }

    /// The field as an id, sent as a number or a string. A text that was damaged on its way, or that no id is as long as, is none.
    #[must_use]
    pub fn key(&self) -> Option<RecordKey> {
        match self {
            Self::Number(number) => Some(RecordKey::Number(*number)),
            Self::Text(text) => id_text(text).and_then(RecordKey::from_text),
            _ => None,
        }
    }

    /// The same id as text.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Number(number) => Some(number.to_string().into()),
            Self::Text(text) => id_text(text).map(Cow::Borrowed),
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

    /// The field as a truth value, sent as such, as 0 or 1, or as one of these words.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Number(1) => Some(true),
            Self::Number(0) => Some(false),
            Self::Text(text) if is_word(text, "true") || is_word(text, "1") => Some(true),
            Self::Text(text) if is_word(text, "false") || is_word(text, "0") => Some(false),
            _ => None,
        }
    }
}

/// Longer texts are no ids.
const LONGEST_ID: usize = 200;

fn id_text(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_id = !text.is_empty()
        && text.len() <= LONGEST_ID
        && !text.contains(|c| c == char::REPLACEMENT_CHARACTER || text::is_hidden(c));
    is_id.then_some(text)
}

fn is_word(text: &str, word: &str) -> bool {
    text.trim().eq_ignore_ascii_case(word)
}

/// Any value, with an object read as `O` and an array as `A`: the one place that knows what JSON can hold. What is read more narrowly is made of it.
#[derive(Debug)]
pub enum Value<'a, O, A> {
    /// Anything but an object or an array.
    Scalar(Scalar<'a>),
    /// An object.
    Object(O),
    /// An array.
    Array(A),
}

impl<'de: 'a, 'a, O: Deserialize<'de>, A: Deserialize<'de>> Deserialize<'de> for Value<'a, O, A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue(PhantomData))
    }
}

struct AnyValue<O, A>(PhantomData<(O, A)>);

impl<'de, O: Deserialize<'de>, A: Deserialize<'de>> Visitor<'de> for AnyValue<O, A> {
    type Value = Value<'de, O, A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Null))
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Bool(flag)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Number(number)))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Other))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Scalar(whole_number(number).map_or(Scalar::Other, Scalar::Number)))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Scalar(Scalar::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_seq<S: SeqAccess<'de>>(self, items: S) -> Result<Self::Value, S::Error> {
        A::deserialize(SeqAccessDeserializer::new(items)).map(Value::Array)
    }
    fn visit_map<M: MapAccess<'de>>(self, fields: M) -> Result<Self::Value, M::Error> {
        O::deserialize(MapAccessDeserializer::new(fields)).map(Value::Object)
    }
}

/// A whole number that a sender without integers wrote with a point, as in `30417.0`; exact up to 2⁵³.
fn whole_number(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in the range")]
    let whole = (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64);
    whole
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::<'de, IgnoredAny, IgnoredAny>::deserialize(deserializer)? {
            Value::Scalar(scalar) => scalar,
            Value::Object(_) | Value::Array(_) => Scalar::Other,
        })
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

    /// The object, or an empty one in its place.
    pub fn or_default(self) -> T
    where
        T: Default,
    {
        match self {
            Self::Object(object) => object,
            Self::Other => T::default(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::<'de, T, IgnoredAny>::deserialize(deserializer)? {
            Value::Object(object) => Self::Object(object),
            Value::Scalar(_) | Value::Array(_) => Self::Other,
        })
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
        Ok(match Value::<'de, IgnoredAny, Vec<Element<T>>>::deserialize(deserializer)? {
            Value::Array(items) => Self::Of(items),
            Value::Scalar(Scalar::Null) => Self::Absent,
            Value::Scalar(_) | Value::Object(_) => Self::NotAList,
        })
    }
}

/// Reads a body with `read`: without a byte-order mark, and with a replacement character in place of each half of a surrogate pair that stands alone,
/// since a name must not stop a run.
///
/// # Errors
/// [`BodyError::NotJson`] for bytes that are no UTF-8, and what `read` says of the text. It is called again only after [`BodyError::NotJson`].
pub fn read_json<T>(body: &[u8], mut read: impl FnMut(&str) -> Result<T, BodyError>) -> Result<T, BodyError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Checking the text once as a whole is faster than string by string.
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotJson)?;
    match read(text) {
        Err(BodyError::NotJson) => {
            without_lone_surrogates(text).map_or(Err(BodyError::NotJson), |mended| read(&mended))
        }
        read => read,
    }
}

/// Why JSON could not be read as what stands at `path`.
pub fn json_error(error: &serde_json::Error, path: &str) -> BodyError {
    match error.classify() {
        serde_json::error::Category::Data => {
            BodyError::shape(path, "a field is there twice, or a value is out of range")
        }
        _ => BodyError::NotJson,
    }
}

/// The text with `\ufffd` in place of each escape that is half of a surrogate pair; `None` if there is none.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(place) = text.get(at..).and_then(|rest| rest.find('\\')).map(|found| at + found) {
        at = match unit(place) {
            Some(0xd800..=0xdbff) if matches!(unit(place + 6), Some(0xdc00..=0xdfff)) => place + 12,
            Some(0xd800..=0xdfff) => {
                mended.push_str(text.get(kept..place)?);
                mended.push_str("\\ufffd");
                kept = place + 6;
                kept
            }
            Some(_) => place + 6,
            // A backslash hides the one after it.
            None => place + 2,
        };
    }
    mended.push_str(text.get(kept..)?);
    (kept > 0).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scalar_takes_what_comes() {
        let read = |text| serde_json::from_str::<Scalar<'_>>(text).unwrap();
        for seven in ["7", "\"7\"", "7.0", "\" 7 \""] {
            assert_eq!(read(seven).key(), Some(RecordKey::Number(7)), "{seven}");
            assert_eq!(read(seven).id().as_deref(), Some("7"), "{seven}");
        }
        for none in ["7.5", "-7", "true", "null", "\"\"", "\"a\\u0000\"", "\"a\\ufffd\"", "1e300"] {
            assert_eq!((read(none).key(), read(none).id()), (None, None), "{none}");
        }
        assert_eq!(Scalar::Text("x".repeat(201).into()).key(), None);
        assert_eq!(read("\"a\\u0062\"").text(), Some("ab"));
        assert_eq!(read("\" \"").text(), None);
        assert_eq!(read("{\"a\":[1,{\"b\":2}]}"), Scalar::Other);
        assert_eq!(read("null").timestamp(), RawTimestamp::Absent);
        assert_eq!(read("1711108800").timestamp(), RawTimestamp::NotText);
        assert_eq!(read("\"42\"").count(), Some(42));
        for yes in ["true", "1", "\"True\"", "\"1\"", "1.0"] {
            assert_eq!(read(yes).flag(), Some(true), "{yes}");
        }
        for no in ["false", "0", "\"FALSE\"", "\"0\""] {
            assert_eq!(read(no).flag(), Some(false), "{no}");
        }
        for neither in ["2", "\"yes\"", "null", "[]"] {
            assert_eq!(read(neither).flag(), None, "{neither}");
        }
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

    fn text_of(body: &[u8]) -> Option<String> {
        read_json(body, |text| serde_json::from_str::<String>(text).map_err(|error| json_error(&error, "x"))).ok()
    }

    #[test]
    fn a_mark_and_half_a_character_do_not_stop_a_run() {
        assert_eq!(text_of(b"\xef\xbb\xbf\"a\"").as_deref(), Some("a"));
        assert_eq!(text_of(b"\"a\xff\""), None);
        assert_eq!(text_of(br#""a\ud800b""#).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text_of(br#""\udc00\ud83d\ude00\ud83d""#).as_deref(), Some("\u{fffd}😀\u{fffd}"));
        assert_eq!(text_of(br#""\\ud800""#).as_deref(), Some("\\ud800"));
        assert_eq!(text_of(br#""\ud800"#), None);
        assert_eq!(text_of(b""), None);
    }

    proptest! {
        #[test]
        fn a_text_of_halves_is_read_as_a_lenient_reader_would(units in proptest::collection::vec(prop_oneof![0xd7ff_u16..0xdc02, 0xdffe_u16..0xe001, 0x20_u16..0x80], 0..12)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(text_of(format!("\"{escaped}\"").as_bytes()), Some(String::from_utf16_lossy(&units)));
        }
    }
}
