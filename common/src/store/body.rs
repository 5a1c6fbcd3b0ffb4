//! The body of evidence as the table has it: compressed, since a bundle is a fifth of its size then.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io::{Read, Write};

/// No body is longer when it is opened: what is cannot be one of ours.
const LONGEST: u64 = 64 << 20;

/// A text that is kept as gzip, in an attribute of bytes. Earlier releases kept it as it is, in an attribute of text, which is read as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompressedText(pub String);

impl Serialize for CompressedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // No time and no name are in it, so that the same text has the same bytes.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let written = gzip.write_all(self.0.as_bytes()).and_then(|()| gzip.finish());
        serializer.serialize_bytes(&written.map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for CompressedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrGzip)
    }
}

struct TextOrGzip;

impl Visitor<'_> for TextOrGzip {
    type Value = CompressedText;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, or a text as gzip")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CompressedText, E> {
        Ok(CompressedText(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<CompressedText, E> {
        Ok(CompressedText(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<CompressedText, E> {
        let mut text = String::new();
        // The reason may quote what is in it.
        let read = GzDecoder::new(bytes).take(LONGEST).read_to_string(&mut text);
        read.map_err(|_| E::custom("its body is no gzip of a text"))?;
        Ok(CompressedText(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::AttributeValue;

    #[test]
    fn a_text_is_kept_as_gzip_and_one_of_an_earlier_release_is_read() {
        let text =
            CompressedText(format!("{{\"metrics\": [{}]}}", "{\"key\": \"agents_total\", \"value\": 87},".repeat(200)));
        let kept: AttributeValue = serde_dynamo::to_attribute_value(&text).unwrap();
        let bytes = kept.as_b().unwrap().as_ref();
        assert!(bytes.len() * 5 < text.0.len(), "{} of {}", bytes.len(), text.0.len());
        assert_eq!(serde_dynamo::from_attribute_value::<_, CompressedText>(kept.clone()).unwrap(), text);
        let plain = AttributeValue::S("as it was".to_owned());
        assert_eq!(serde_dynamo::from_attribute_value::<_, CompressedText>(plain).unwrap().0, "as it was");
        let damaged = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(&bytes[..bytes.len() / 2]));
        assert!(serde_dynamo::from_attribute_value::<_, CompressedText>(damaged).is_err());
    }
}
