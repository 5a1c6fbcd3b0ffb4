//! Bodies and query strings, by one policy for all routes and hosts: JSON up to 64 KB, no unknown field, no key twice.

use super::problem::Problem;
use crate::domain::text;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest body of a request in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;

/// A body in JSON. Its type denies unknown fields.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        read(request, state).await.map(Self)
    }
}

/// Whether a request that takes no body has one all the same. An empty object says as little as nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoBody {
    /// As it should be.
    None,
    /// It has one.
    Some,
}

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = whole(request, state).await?;
        let says: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        Ok(if matches!(says.as_slice(), b"" | b"{}") { Self::None } else { Self::Some })
    }
}

/// The bytes of a body. The limit is the host's layer.
async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
        413 => Problem::too_large(LARGEST_BODY),
        _ => Problem::bad_request("the body could not be read to its end"),
    })
}

async fn read<T: DeserializeOwned, S: Send + Sync>(request: Request, state: &S) -> Result<T, Problem> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" {
        return Err(Problem::not_json());
    }
    parse(&whole(request, state).await?)
}

/// The parser's own words may quote the body, so only the place of what is wrong is told.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if serde_json::from_slice::<Strict>(body).is_err() {
        return Err(Problem::bad_request("the body must be JSON, with no key twice in one object"));
    }
    // A list would pass for an object whose fields it has in their order.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::bad_request("the body must be a JSON object"));
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = text::name(&error.path().to_string()).unwrap_or_default();
        let place = if path == "." {
            "a field is missing, or the whole is no object".to_owned()
        } else {
            format!("see {path}")
        };
        Problem::bad_request(format!("the body does not have the fields that the route is documented with: {place}"))
    })
}

/// JSON in which no object has a key twice.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> serde::de::Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        while items.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut fields: A) -> Result<Strict, A::Error> {
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = fields.next_key::<String>()? {
            fields.next_value::<Strict>()?;
            if !seen.insert(key) {
                return Err(serde::de::Error::custom("a key stands twice"));
            }
        }
        Ok(Strict)
    }
}

/// The parameters of a query string. A type says in [`Explained`] what it wants.
pub struct Parameters<T>(pub T);

/// Parameters that say what they are, for who has sent others.
pub trait Explained {
    /// What each may be.
    const WANTED: &str;
}

impl<T: DeserializeOwned + Explained, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(parameters)| Self(parameters)).map_err(|rejection| {
            let unknown = unknown_parameter(&rejection.body_text());
            Problem::bad_request(
                unknown.map_or_else(|| T::WANTED.to_owned(), |unknown| format!("{unknown}: {}", T::WANTED)),
            )
        })
    }
}

/// That the route has no parameter of a name, in what serde says of a query string; `None` where something else is wrong. The name is what is told of it, and
/// never a value.
fn unknown_parameter(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("unknown field `")?;
    let (name, known) = rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no fields"))?;
    let name: String = text::name(name).unwrap_or_default().chars().take(LONGEST_NAME).collect();
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    Some(match known.split_last() {
        None => format!("there is no parameter {name}"),
        Some((one, [])) => format!("there is no parameter {name}, only {one}"),
        Some((last, others)) => format!("there is no parameter {name}, only {} and {last}", others.join(", ")),
    })
}

/// So much of an unknown parameter's name is told.
const LONGEST_NAME: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is refused is looked at")]
    struct Wanted {
        name: String,
        list: Option<Vec<u32>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is refused is looked at")]
    struct Page {
        limit: Option<usize>,
        after: Option<String>,
    }

    impl Explained for Page {
        const WANTED: &str = "limit must be 1 to 100";
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is refused is looked at")]
    struct One {
        limit: Option<usize>,
    }

    impl Explained for One {
        const WANTED: &str = "limit must be 1 to 100";
    }

    async fn refused<T: DeserializeOwned + Explained + Send>(query: &str) -> String {
        let request = Request::builder().uri(format!("/?{query}")).body(axum::body::Body::empty()).unwrap();
        let (mut parts, _) = request.into_parts();
        let problem = Parameters::<T>::from_request_parts(&mut parts, &()).await.err().unwrap();
        problem.detail().to_owned()
    }

    #[tokio::test]
    async fn a_parameter_that_there_is_not_is_named_with_those_that_there_are() {
        let told = "there is no parameter foo, only limit and after: limit must be 1 to 100";
        assert_eq!(refused::<Page>("foo=secret-value").await, told);
        assert_eq!(refused::<Page>("limit=7&foo").await, told);
        assert_eq!(refused::<One>("foo=1").await, "there is no parameter foo, only limit: limit must be 1 to 100");
        // What is typed cannot say something else in our name, and is not told at length.
        let odd = refused::<One>("a%60%2C%20expected%20%60b%60%1B%5B2J=1").await;
        assert_eq!(odd, "there is no parameter a`, expected `b`[2J, only limit: limit must be 1 to 100");
        assert!(refused::<One>(&"x".repeat(5_000)).await.len() < 120);
        for other in ["limit=x", "limit=1&limit=2", "limit="] {
            assert_eq!(refused::<Page>(other).await, "limit must be 1 to 100", "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_never_quoted() {
        for (body, place) in [
            (r#"{"name": 7}"#, "see name"),
            (r#"{"name": "x", "list": [1, "secret-value"]}"#, "see list[1]"),
            (r#"{"name": "x", "other": "secret-value"}"#, "see other"),
            (r#"{}"#, "a field is missing"),
            (r#"{"name": "x", "name": "secret-value"}"#, "no key twice"),
            (r#"{"name": "x", "list": null, "list": [1]}"#, "no key twice"),
            ("secret-value", "must be JSON"),
            ("", "must be JSON"),
            ("\u{feff}{}", "must be JSON"),
            (r#"{"name": "x"} {"#, "must be JSON"),
            (r#" ["x", [1]]"#, "must be a JSON object"),
        ] {
            let problem = serde_json::to_value(parse::<Wanted>(body.as_bytes()).unwrap_err()).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(place) && !detail.contains("secret-value"), "{body}: {detail}");
        }
        assert!(parse::<Wanted>(br#"{"name": "x", "list": [1]}"#).is_ok());
        // Deep inside, too; and nesting that would use up the stack is refused by the parser.
        assert!(parse::<Value>(br#"{"a": [{"b": {"c": 1, "c": 2}}]}"#).is_err());
        assert!(parse::<Value>("[".repeat(10_000).as_bytes()).is_err());
    }
}
