//! Parses S3's XML responses. An unknown or truncated response is an error, because erasing relies on the listing.
//!
//! Shapes: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

/// The namespace of S3's documents. Errors have none, and some servers that speak its protocol always leave it out.
const S3: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Elements lie in one another at most so deep in S3's answers, with room to spare.
const DEEPEST: usize = 16;

/// An answer that cannot be relied on. The text repeats nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an answer of S3 cannot be relied on: {0}")]
pub(super) struct Unreliable(pub &'static str);

/// A version of an object, or a marker that hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The object's name.
    pub key: String,
    /// The version's name; `null` is one, too.
    pub id: String,
}

/// A page of the versions below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Versions and delete markers, in the order of the answer.
    pub versions: Vec<Version>,
    /// Whether there are more after them.
    pub is_truncated: bool,
}

/// Reads an answer to `ListObjectVersions` below `prefix`.
///
/// # Errors
/// [`Unreliable`] for any other document, one that is cut off or contradicts itself, a version without its names, and what was not asked for.
pub(super) fn listing(body: &[u8], prefix: &str) -> Result<Listing, Unreliable> {
    let root = document(body)?;
    if root.name != "ListVersionsResult" {
        return Err(Unreliable("it is no listing of versions"));
    }
    let is_truncated = match root.one("IsTruncated")? {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Unreliable("it does not say whether it is all")),
    };
    if root.one("Prefix")?.is_some_and(|listed| listed != prefix) {
        return Err(Unreliable("it lists what was not asked for"));
    }
    let mut versions = Vec::new();
    for child in &root.children {
        match child.name.as_str() {
            "Version" | "DeleteMarker" => {
                let (Some(key), Some(id)) = (child.one("Key")?, child.one("VersionId")?) else {
                    return Err(Unreliable("a version in it has no name"));
                };
                // A listing of something else must never turn into a deletion of it.
                if !key.starts_with(prefix) {
                    return Err(Unreliable("it lists what was not asked for"));
                }
                versions.push(Version { key: key.to_owned(), id: id.to_owned() });
            }
            "CommonPrefixes" => return Err(Unreliable("it hides versions behind a common prefix")),
            _ => {}
        }
    }
    if is_truncated && (versions.is_empty() || root.one("NextKeyMarker")?.is_none()) {
        return Err(Unreliable("it says that there is more, and not where"));
    }
    Ok(Listing { versions, is_truncated })
}

/// Whether an answer of status 404 says that there is no such object: there may be no such bucket, or no S3 at the address.
pub(super) fn says_no_such_key(body: &[u8]) -> bool {
    document(body).is_ok_and(|root| root.name == "Error" && matches!(root.one("Code"), Ok(Some("NoSuchKey"))))
}

/// An element without its attributes, which S3's answers do not use.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The text of the only child of that name.
    fn one(&self, name: &str) -> Result<Option<&str>, Unreliable> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(Unreliable("it says the same thing twice")),
            (Some(child), None) if !child.children.is_empty() => Err(Unreliable("an element holds others")),
            (child, None) => Ok(child.map(|child| child.text.as_str())),
        }
    }
}

/// The root of a whole document of S3's.
fn document(body: &[u8]) -> Result<Element, Unreliable> {
    let text = str::from_utf8(body).map_err(|_| Unreliable("it is not UTF-8"))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let malformed = Unreliable("it is no well-formed XML");
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| malformed.clone())?;
        let text = match event {
            Event::Start(start) => {
                if !matches!(namespace, ResolveResult::Unbound | ResolveResult::Bound(Namespace(S3))) {
                    return Err(Unreliable("it has an element of another namespace"));
                }
                if root.is_some() || open.len() == DEEPEST {
                    return Err(malformed);
                }
                if start.attributes().any(|attribute| attribute.is_err()) {
                    return Err(malformed);
                }
                open.push(Element { name: start.local_name().as_ref().to_owned(), ..Element::default() });
                continue;
            }
            Event::End(_) => {
                let closed = open.pop().ok_or_else(|| malformed.clone())?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => root = Some(closed),
                }
                continue;
            }
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => character.to_string(),
                Ok(None) => {
                    quick_xml::escape::resolve_predefined_entity(&reference).ok_or(malformed.clone())?.to_owned()
                }
                Err(_) => return Err(malformed),
            },
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
            // It may define entities, and S3 sends none.
            Event::DocType(_) => return Err(Unreliable("it declares a document type")),
            Event::Empty(_) => return Err(malformed),
            // A body that was cut off ends inside of an element.
            Event::Eof => return root.filter(|_| open.is_empty()).ok_or(Unreliable("it is cut off, or empty")),
        };
        match open.last_mut() {
            Some(element) => element.text.push_str(&text),
            None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
            None => return Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "acme/sat/p1/";

    fn listed(xml: &str) -> Result<Vec<(String, String)>, Unreliable> {
        let listing = listing(xml.as_bytes(), PREFIX)?;
        Ok(listing.versions.into_iter().map(|version| (version.key, version.id)).collect())
    }

    fn of(content: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListVersionsResult xmlns=\"{S3}\"><Name>b</Name>\
             <Prefix>{PREFIX}</Prefix><IsTruncated>false</IsTruncated>{content}</ListVersionsResult>"
        )
    }

    fn version(kind: &str, key: &str, id: &str) -> String {
        format!("<{kind}><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>true</IsLatest></{kind}>")
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, Unreliable> {
        Ok(expected.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned())).collect())
    }

    #[test]
    fn versions_and_markers_are_listed() {
        let content = [("Version", "v2"), ("DeleteMarker", "v3"), ("Version", "null")]
            .map(|(kind, id)| version(kind, "acme/sat/p1/a/t", id))
            .concat();
        let key = "acme/sat/p1/a/t";
        assert_eq!(listed(&of(&content)), pairs(&[(key, "v2"), (key, "v3"), (key, "null")]));
        assert_eq!(listed(&of("")), pairs(&[]));
    }

    #[test]
    fn the_spelling_of_xml_does_not_matter() {
        let key = "acme/sat/p1/a&t";
        for xml in [
            // Attributes, blanks, comments, an empty element, and an owner that is not asked for.
            of(
                "\n <Version a=\"1\" >\n<Key b='2'>acme/sat/p1/a&amp;t</Key><!-- <Version> --><VersionId\t>v</VersionId>\
                <Owner><ID>o</ID></Owner><ETag/></Version >",
            ),
            // A prefix for the namespace, CDATA and a character's number.
            format!(
                "<s3:ListVersionsResult xmlns:s3=\"{S3}\"><s3:IsTruncated>false</s3:IsTruncated><s3:Version>\
                 <s3:VersionId>v</s3:VersionId><s3:Key><![CDATA[acme/sat/p1/]]>a&#38;t</s3:Key></s3:Version></s3:ListVersionsResult>"
            ),
            // No namespace at all.
            "\u{feff}<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>acme/sat/p1/a&#x26;t</Key>\
             <VersionId>v</VersionId></Version></ListVersionsResult>\n"
                .to_owned(),
        ] {
            assert_eq!(listed(&xml), pairs(&[(key, "v")]), "{xml}");
        }
    }

    #[test]
    fn what_is_not_a_whole_listing_is_an_error() {
        let whole = of(&version("Version", "acme/sat/p1/a/t", "v"));
        assert!(listed(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(listed(&whole[..end]).is_err(), "cut at {end}");
        }
        let of_another = whole.replace(S3, "urn:other");
        let one_of_another = of("<x:Version xmlns:x=\"urn:other\"><Key>k</Key><VersionId>v</VersionId></x:Version>");
        for xml in [
            "<!DOCTYPE html><html><head><title>Log in</title></head><body><p>Hello<br></body></html>",
            "<html><body/></html>",
            "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
            "<Error><Code>SlowDown</Code></Error>",
            "{\"IsTruncated\": false}",
            "OK",
            "<ListVersionsResult/>",
            "<ListVersionsResult><IsTruncated/></ListVersionsResult>",
            "<ListVersionsResult><IsTruncated>no</IsTruncated></ListVersionsResult>",
            "<ListVersionsResult><IsTruncated>false</IsTruncated><IsTruncated>true</IsTruncated></ListVersionsResult>",
            &of_another,
            &one_of_another,
            &of("<Version><Key>acme/sat/p1/a/t</Key></Version>"),
            &of("<DeleteMarker><VersionId>v</VersionId></DeleteMarker>"),
            &of("<CommonPrefixes><Prefix>acme/sat/p1/a/</Prefix></CommonPrefixes>"),
            &of("<Version><Key>&unknown;</Key><VersionId>v</VersionId></Version>"),
            &of(&version("Version", "acme/sat/p2/a/t", "v")),
            &whole.replace(PREFIX, "acme/"),
            &format!("{whole}<more/>"),
            &whole.replace("<IsTruncated>false", "<IsTruncated>true"),
            &of("").replace(
                "<IsTruncated>false</IsTruncated>",
                "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>",
            ),
        ] {
            assert!(listed(xml).is_err(), "{xml}");
        }
        let more = whole.replace(
            "<IsTruncated>false</IsTruncated>",
            "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>",
        );
        assert_eq!(listing(more.as_bytes(), PREFIX).map(|listing| listing.is_truncated), Ok(true));
        assert!(listing(b"\xff\xfe<", PREFIX).is_err());
    }

    #[test]
    fn an_object_is_missing_only_where_s3_says_so() {
        assert!(says_no_such_key(b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Key>k</Key></Error>"));
        for other in
            ["", "<Error><Code>NoSuchBucket</Code></Error>", "<html>Not Found</html>", "<Error><Code>NoSuchKey"]
        {
            assert!(!says_no_such_key(other.as_bytes()), "{other}");
        }
    }
}
