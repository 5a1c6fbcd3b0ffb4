//! Cookies that hold everything themselves, sealed: who is signed in, and who is on the way to the issuer.

use crate::api::{Caller, Scope};
use crate::aws::secrets::sealing::{CipherFailed, SealingKey};
use crate::console::Session;
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::time::Window;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read;

/// Browsers keep cookies of 4,096 bytes, name and attributes among them.
const LARGEST: usize = 3_800;

/// What a cookie holds, opened: more than this is nothing of ours.
const MOST_OPENED: u64 = 256 * 1024;

/// Why there is no cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSealed {
    #[error(transparent)]
    Cipher(#[from] CipherFailed),
    #[error("what a cookie would have to hold is larger than browsers keep")]
    TooLarge,
}

/// Seals a value for one kind of cookie.
pub(super) fn seal(key: &SealingKey, kind: &str, value: &impl Serialize) -> Result<String, NotSealed> {
    let text = serde_json::to_vec(value).map_err(|_| NotSealed::TooLarge)?;
    // Ids of one company's clients look alike.
    let mut small = Vec::new();
    DeflateEncoder::new(text.as_slice(), Compression::best())
        .read_to_end(&mut small)
        .map_err(|_| NotSealed::TooLarge)?;
    let cookie = URL_SAFE_NO_PAD.encode(key.seal(kind, &small)?);
    if cookie.len() > LARGEST { Err(NotSealed::TooLarge) } else { Ok(cookie) }
}

/// Opens a cookie of a kind; `None` for what this key did not seal for it.
pub(super) fn open<T: DeserializeOwned>(key: &SealingKey, kind: &str, cookie: &str) -> Option<T> {
    let small = key.open(kind, &URL_SAFE_NO_PAD.decode(cookie).ok()?).ok()?;
    let mut text = Vec::new();
    DeflateDecoder::new(small.as_slice()).take(MOST_OPENED).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Somebody on the way to the issuer and back. Only the browser that holds it can come back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OnTheWay {
    pub(super) state: String,
    pub(super) nonce: String,
    /// The verifier of PKCE.
    pub(super) verifier: String,
    /// The page to go on to.
    pub(super) to: String,
    pub(super) until: DateTime<Utc>,
}

/// A session as its cookie holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionInCookie {
    companies: Vec<CompanyId>,
    company: CompanyId,
    subject: String,
    scopes: Vec<String>,
    clients: Option<Vec<ClientId>>,
    #[serde(default, with = "crate::domain::time::as_list")]
    window: Option<Window>,
    form_token: String,
    ends_at: DateTime<Utc>,
}

impl From<&Session> for SessionInCookie {
    fn from(session: &Session) -> Self {
        let caller = &session.caller;
        Self {
            companies: caller.companies.iter().cloned().collect(),
            company: session.company.clone(),
            subject: caller.subject.clone(),
            scopes: caller.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            clients: caller.clients.as_ref().map(|clients| clients.iter().cloned().collect()),
            window: caller.window,
            form_token: session.form_token.clone(),
            ends_at: session.ends_at,
        }
    }
}

impl From<SessionInCookie> for Session {
    fn from(kept: SessionInCookie) -> Self {
        let caller = Caller {
            companies: kept.companies.into_iter().collect(),
            subject: kept.subject,
            scopes: kept.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            clients: kept.clients.map(|clients| clients.into_iter().collect()),
            window: kept.window,
        };
        Self { caller, company: kept.company, form_token: kept.form_token, ends_at: kept.ends_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Role;
    use crate::domain::time::parse;

    fn key(number: u8) -> SealingKey {
        SealingKey::new(&[number; 32]).unwrap()
    }

    fn session(companies: usize) -> Session {
        let of = |number: usize| CompanyId::parse(format!("customer-{number:04}")).unwrap();
        let caller = Caller {
            companies: (0..companies).map(of).collect(),
            clients: Some([ClientId::parse("client-a").unwrap()].into()),
            window: crate::domain::calendar::Calendar::default().window("2026-01-01/2026-03-31"),
            ..Caller::with_role(of(0), "somebody@example.com", Role::Auditor)
        };
        let ends_at = parse("2026-03-22T20:00:00Z").unwrap();
        Session { caller, company: of(0), form_token: "f".repeat(43), ends_at }
    }

    #[test]
    fn a_session_comes_back_as_it_was_and_says_nothing_to_anybody_else() {
        let was = session(2);
        let cookie = seal(&key(1), "session", &SessionInCookie::from(&was)).unwrap();
        let opened =
            |number, kind, cookie: &str| open::<SessionInCookie>(&key(number), kind, cookie).map(Session::from);
        assert_eq!(opened(1, "session", &cookie), Some(was));
        assert_eq!(opened(2, "session", &cookie), None, "another key");
        assert_eq!(opened(1, "sign-in", &cookie), None, "another kind of cookie");
        for at in [0, cookie.len() / 2, cookie.len() - 1] {
            let mut forged = cookie.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(opened(1, "session", std::str::from_utf8(&forged).unwrap()), None, "{at}");
        }
        for other in ["", "A", "somebody", "====", &"A".repeat(5000)] {
            assert_eq!(opened(1, "session", other), None, "{other}");
        }
    }

    #[test]
    fn hundreds_of_companies_fit_and_more_are_refused_instead_of_being_lost() {
        assert!(seal(&key(1), "session", &SessionInCookie::from(&session(500))).is_ok());
        let many = seal(&key(1), "session", &SessionInCookie::from(&session(9000)));
        assert_eq!(many, Err(NotSealed::TooLarge));
    }
}
