//! Forms: read whole, and only from pages of this session.

use super::Viewer;
use crate::api::{LARGEST_BODY, Problem};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;

/// The field of every form that carries the session's token.
pub const FORM_TOKEN: &str = "form_token";

/// The fields of a form, in their order. A field may stand several times, as ticked boxes do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of a field; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The first value of a field, without blanks around it; `None` where nothing was typed.
    #[must_use]
    pub fn typed(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        named.collect::<Vec<_>>().into_iter()
    }

    /// Every field and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What may be shown again of it: nothing that is a secret, or looks like one.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["token", "secret", "key", "password", "code"].iter().any(|word| name.contains(word))
        };
        let kept = self.iter().filter(|(name, value)| !is_secret(name) && !value.trim().is_empty());
        Self(kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// A form of this session's pages, and who sent it.
pub struct SignedForm {
    /// Who.
    pub viewer: Viewer,
    /// What.
    pub fields: Fields,
}

/// Reads the fields of a form, whoever sent it.
pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Fields, Problem> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/x-www-form-urlencoded" {
        return Err(Problem::bad_request("send the form of the page"));
    }
    let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
        413 => Problem::too_large(LARGEST_BODY),
        _ => Problem::bad_request("the form could not be read to its end; send it again"),
    })?;
    Ok(Fields::parse(&body))
}

impl<S: Send + Sync> FromRequest<S> for SignedForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        let fields = read(Request::from_parts(parts, body), state).await?;
        if !viewer.session.owns_form(fields.get(FORM_TOKEN)) {
            return Err(Problem::form_refused());
        }
        Ok(Self { viewer, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_their_letters() {
        let fields = Fields::parse("a=1&b=%3Cscript%3E&a=2&c=+x%0D%0Ay+".as_bytes());
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((fields.get("b"), fields.typed("c"), fields.typed("d")), ("<script>", Some("x\r\ny"), None));
    }

    #[test]
    fn no_secret_is_shown_again() {
        let fields = Fields::parse(b"form_token=t&apiKey=k&apiSecret=s&webhook_secret=w&reason=because&until=&code=c");
        assert_eq!(fields.without_secrets().iter().collect::<Vec<_>>(), [("reason", "because")]);
    }
}
