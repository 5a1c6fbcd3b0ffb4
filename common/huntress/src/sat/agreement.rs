//! The authorization-code grant: where somebody agrees, and what their agreement is exchanged for.

use super::token::{Answer, Grant, Tokens, ask, refused_grant};
use crate::origin::Origin;
use crate::retry::Transport;
use crate::sat::SatCredential;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::product::Product;
use evidence_domain::sat::SCOPES;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use url::Url;

/// Where people agree. Huntress documents `/oauth/token` alone; this is where the framework that answers there, Laravel Passport, has the other end. If
/// it should be elsewhere, it is changed here and nowhere else.
const AUTHORIZE_PATH: &str = "/oauth/authorize";

/// What a person has to do when an agreement does not hold any more.
pub const CONNECT_AGAIN: &str = "connect again: open the connection and choose to connect it at Huntress, or run huntress-evidence connect sat --oauth --replace-key";

/// An agreement as it is kept: it is exchanged for access tokens. It cannot be printed, copied or serialized.
pub struct SatAgreement {
    /// The public half of the client that it was given to: no other can exchange it.
    pub client_id: SecretString,
    /// What is exchanged. It may be good for one exchange.
    pub refresh_token: SecretString,
}

/// A request for somebody's agreement.
pub struct AgreementRequest<'a> {
    /// The client that asks.
    pub client: &'a SatCredential,
    /// Where they come back to.
    pub redirect_uri: &'a str,
    /// What tells their coming back from anybody else's.
    pub state: &'a str,
    /// What only who asked knows.
    pub verifier: &'a SecretString,
}

impl AgreementRequest<'_> {
    /// The address that somebody opens to agree.
    #[must_use]
    pub fn address(&self, origin: &Origin) -> Url {
        let mut url = origin.url(AUTHORIZE_PATH);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose_secret()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client.client_id.expose_secret())
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("scope", &SCOPES.join(" "))
            .append_pair("state", self.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges the code that somebody came back with, once: a code whose answer was lost is used up.
    ///
    /// # Errors
    /// The [`Failure`] of the token endpoint; [`FailureCode::MissingScopes`] where not all five were agreed to.
    pub async fn exchange(&self, transport: &Transport, code: &SecretString) -> Result<Agreed, Failure> {
        let Self { client, redirect_uri, verifier, .. } = self;
        let grant = Grant::Code { code, redirect_uri, verifier };
        let tokens = match ask(transport, client, grant, None).await? {
            (Answer::Token(tokens), _) => tokens,
            (Answer::InvalidScope, _) => return Err(missing(SCOPES.to_vec())),
            (Answer::Refused { code: Some("invalid_grant"), .. }, _) => {
                let message = "Huntress did not accept the code that the browser brought: it was used, or has expired";
                let failure = Failure::new(FailureCode::AuthFailed, message);
                return Err(Failure { action: "begin again".to_owned(), ..failure });
            }
            (Answer::Refused { status, code }, _) => return Err(refused_grant(status, code)),
        };
        if let Some(granted) = &tokens.scope {
            let granted: Vec<&str> = granted.split_ascii_whitespace().collect();
            let lacking: Vec<&str> = SCOPES.into_iter().filter(|scope| !granted.contains(scope)).collect();
            if !lacking.is_empty() {
                return Err(missing(lacking));
            }
        }
        let Some(refresh_token) = tokens.refresh else {
            let message = "Huntress gave no refresh token, so the agreement would hold for an hour";
            let failure = Failure::new(FailureCode::Refused, message).at("POST /oauth/token");
            let action = "make the API client of this service one of the type Authorization Code, and begin again";
            return Err(Failure { action: action.to_owned(), ..failure });
        };
        let agreement = SatAgreement { client_id: client.client_id.clone(), refresh_token };
        Ok(Agreed { agreement, access_token: tokens.access })
    }
}

fn missing(scopes: Vec<&str>) -> Failure {
    let message = format!("what was agreed to lacks {}", scopes.join(" and "));
    let failure = Failure::new(FailureCode::MissingScopes, message).about(Product::Sat);
    let action = "give the API client of this service the five scopes, and agree to all of them; then begin again";
    Failure { action: action.to_owned(), ..failure }
}

/// What a code was exchanged for.
pub struct Agreed {
    /// What is kept.
    pub agreement: SatAgreement,
    /// What is used now, and kept nowhere.
    pub access_token: SecretString,
}

/// What a refresh token was exchanged for.
pub struct Refreshed {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh token in the place of the one that was exchanged, which is used up then.
    pub rotated: Option<SecretString>,
}

/// Why a refresh token was not exchanged.
pub struct NotRefreshed {
    /// Why.
    pub failure: Failure,
    /// Huntress has refused this refresh token.
    pub is_refused: bool,
    /// Nobody knows whether Huntress has exchanged it.
    pub is_unknown: bool,
}

impl SatAgreement {
    /// Exchanges the refresh token for an access token.
    ///
    /// # Errors
    /// [`NotRefreshed`]
    pub async fn refresh(&self, transport: &Transport, client: &SatCredential) -> Result<Refreshed, NotRefreshed> {
        let known = |failure, is_refused| NotRefreshed { failure, is_refused, is_unknown: false };
        if client.client_id.expose_secret() != self.client_id.expose_secret() {
            let message = "the agreement was given to another API client than the one that this service is now";
            let failure = Failure::new(FailureCode::AuthFailed, message);
            return Err(known(Failure { action: CONNECT_AGAIN.to_owned(), ..failure }, true));
        }
        let answer = ask(transport, client, Grant::Refresh(&self.refresh_token), None).await.map_err(|failure| {
            let is_unknown = matches!(failure.code, FailureCode::Unavailable | FailureCode::Malformed);
            let is_unknown = is_unknown && transport.paused_until().is_none();
            NotRefreshed { failure, is_refused: false, is_unknown }
        })?;
        match answer {
            (Answer::Token(Tokens { access, refresh, .. }), _) => {
                let new = |token: &SecretString| token.expose_secret() != self.refresh_token.expose_secret();
                Ok(Refreshed { access_token: access, rotated: refresh.filter(new) })
            }
            (Answer::InvalidScope, _) => Err(known(missing(SCOPES.to_vec()), false)),
            (Answer::Refused { code: Some("invalid_grant"), .. }, _) => {
                let message = "Huntress does not accept the connection's refresh token any more: it was withdrawn, has expired, or was used";
                let failure = Failure::new(FailureCode::AuthFailed, message).at("POST /oauth/token");
                Err(known(Failure { action: CONNECT_AGAIN.to_owned(), ..failure }, true))
            }
            (Answer::Refused { status, code }, _) => Err(known(refused_grant(status, code), false)),
        }
    }
}

/// Where access tokens come from that are not asked for with a client's own credential.
pub trait TokenSource: Send + Sync {
    /// An access token that has not been used.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said; also of the second call where there is one token.
    fn access_token<'s>(&'s self, transport: &'s Transport) -> AccessToken<'s>;
}

/// An access token, in a while.
pub type AccessToken<'s> = Pin<Box<dyn Future<Output = Result<SecretString, Failure>> + Send + 's>>;

/// The one token of a fresh agreement.
pub struct OneToken(Mutex<Option<SecretString>>);

impl OneToken {
    /// This one.
    #[must_use]
    pub fn new(token: SecretString) -> Self {
        Self(Mutex::new(Some(token)))
    }
}

impl TokenSource for OneToken {
    fn access_token<'s>(&'s self, _: &'s Transport) -> AccessToken<'s> {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let none = || Failure::new(FailureCode::AuthFailed, "the access token was refused").about(Product::Sat);
        Box::pin(std::future::ready(token.ok_or_else(none)))
    }
}

/// Where the access tokens of a collection come from.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// An API client's own credential.
    Client(&'a SatCredential),
    /// Somebody's agreement.
    Agreement(&'a dyn TokenSource),
}

impl<'a> From<&'a SatCredential> for Access<'a> {
    fn from(credential: &'a SatCredential) -> Self {
        Self::Client(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_address_asks_for_a_code_for_exactly_five_scopes_and_never_has_a_secret() {
        let client = SatCredential { client_id: "id&x".into(), client_secret: "marker-secret".into() };
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        let redirect_uri = "https://evidence.example.com/oauth/huntress/callback";
        let request = AgreementRequest { client: &client, redirect_uri, state: "state", verifier: &verifier };
        let url = request.address(&Origin::vendor(Product::Sat).unwrap());
        assert_eq!((url.host_str(), url.path()), (Some("mycurricula.com"), "/oauth/authorize"));
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let of = |name: &str| pairs[name].as_str();
        assert_eq!(pairs.len(), 7);
        assert_eq!((of("response_type"), of("client_id"), of("redirect_uri")), ("code", "id&x", redirect_uri));
        assert_eq!((of("state"), of("code_challenge_method")), ("state", "S256"));
        assert_eq!(of("code_challenge"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(of("scope").split(' ').collect::<Vec<_>>(), SCOPES);
        assert!(!url.as_str().contains("marker-secret") && !url.as_str().contains("dBjftJeZ4"));
    }
}
