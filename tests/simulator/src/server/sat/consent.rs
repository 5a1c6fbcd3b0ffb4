//! The authorization-code grant: the page where somebody agrees, codes, and refresh tokens that take each other's place.

use std::collections::HashMap;

use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::voice::SatVoice;
use crate::generated::{Draw, Stream};
use crate::server::answer::Call;
use crate::server::reply::{Answer, insert};
use crate::server::{Request, Shared, Simulator};

/// The OAuth client that a simulator knows.
pub const OAUTH_CLIENT_ID: &str = "7d20-simulator-oauth";
pub const OAUTH_CLIENT_SECRET: &str = "oauth-simulator-secret-Bq7Lw2";

/// A code is good for so long.
const CODE_TIME: TimeDelta = TimeDelta::minutes(10);

/// What somebody does at the page where they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// They agree.
    #[default]
    Agree,
    /// They do not.
    Deny,
    /// The server says so instead of asking.
    Error(String),
    /// They agree to these scopes alone; whether the token's answer says which.
    Narrow { scopes: Vec<String>, told: bool },
}

/// Whether a refresh token is good for one exchange, which brings the next one, or for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    #[default]
    Rotate,
    Keep,
    /// The exchange of a code brings none.
    None,
}

/// What was agreed to.
#[derive(Default)]
pub(in crate::server) struct Agreements {
    consent: Consent,
    rotation: Rotation,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Agreement>,
    /// Codes and refresh tokens in the order of issue: what must be found nowhere else.
    issued: Vec<String>,
}

struct Code {
    redirect_uri: String,
    challenge: String,
    scopes: Vec<String>,
    told: bool,
    issued_at: DateTime<Utc>,
    /// The refresh token that it was exchanged for.
    exchanged: Option<Option<String>>,
}

struct Agreement {
    scopes: Vec<String>,
    used: bool,
}

/// What a grant brings.
pub(super) struct Granted {
    pub(super) scopes: Vec<String>,
    pub(super) refresh_token: Option<String>,
    /// Whether the answer says the scopes.
    pub(super) told: bool,
}

impl Agreements {
    fn issue(&mut self, seed: u64, kind: &str) -> String {
        let mut draw = Draw::new(seed, Stream::AccessToken, 1_000_000 + self.issued.len() as u64);
        let bytes: Vec<u8> = (0..6).flat_map(|_| draw.next().to_be_bytes()).collect();
        let token = format!("{kind}-{}", URL_SAFE_NO_PAD.encode(bytes));
        self.issued.push(token.clone());
        token
    }

    fn refresh_token(&mut self, seed: u64, scopes: Vec<String>) -> String {
        let token = self.issue(seed, "refresh");
        self.tokens.insert(token.clone(), Agreement { scopes, used: false });
        token
    }

    /// Exchanges a code. One that comes twice takes back what it brought.
    pub(super) fn exchange(
        &mut self,
        seed: u64,
        form: &HashMap<String, String>,
        now: DateTime<Utc>,
    ) -> Option<Granted> {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let code = self.codes.get_mut(field("code"))?;
        if let Some(brought) = &code.exchanged {
            if let Some(agreement) = brought.as_ref().and_then(|token| self.tokens.get_mut(token)) {
                agreement.used = true;
            }
            return None;
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
        let is_right = field("redirect_uri") == code.redirect_uri
            && challenge == code.challenge
            && now - code.issued_at < CODE_TIME;
        if !is_right {
            return None;
        }
        code.exchanged = Some(None);
        let (scopes, told) = (code.scopes.clone(), code.told);
        let refresh_token = match self.rotation {
            Rotation::None => None,
            Rotation::Rotate | Rotation::Keep => Some(self.refresh_token(seed, scopes.clone())),
        };
        if let Some(code) = self.codes.get_mut(field("code")) {
            code.exchanged = Some(refresh_token.clone());
        }
        Some(Granted { scopes, refresh_token, told })
    }

    /// Exchanges a refresh token.
    pub(super) fn refresh(&mut self, seed: u64, token: &str) -> Option<Granted> {
        let agreement = self.tokens.get_mut(token).filter(|agreement| !agreement.used)?;
        let scopes = agreement.scopes.clone();
        let refresh_token = if self.rotation == Rotation::Keep {
            token.to_owned()
        } else {
            agreement.used = true;
            self.refresh_token(seed, scopes.clone())
        };
        Some(Granted { scopes, refresh_token: Some(refresh_token), told: false })
    }
}

/// Sends the browser back, with a code or an error; or shows an error where the request is none that a client may make.
pub(super) fn decide(shared: &Shared, call: &Call, voice: SatVoice) -> Answer {
    let request = &call.request;
    let of = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    if request.method != Method::GET.as_str() {
        return voice.error(StatusCode::METHOD_NOT_ALLOWED, "The method is not supported for this route.");
    }
    let is_known = of("client_id") == OAUTH_CLIENT_ID && is_of_a_client(&of("redirect_uri"));
    if !is_known || of("response_type") != "code" || of("code_challenge_method") != "S256" {
        return voice.coded_error(StatusCode::BAD_REQUEST, "invalid_client", "The client or its redirect is not known");
    }
    let asked: Vec<String> = of("scope").split(' ').map(str::to_owned).collect();
    let mut state = shared.state();
    let consent = state.sat.agreements.consent.clone();
    let unknown = asked.iter().any(|scope| !state.sat.granted.contains(scope));
    let answer = match consent {
        _ if unknown => ("error", "invalid_scope".to_owned()),
        Consent::Deny => ("error", "access_denied".to_owned()),
        Consent::Error(error) => ("error", error),
        Consent::Agree => ("code", code(shared, &mut state.sat.agreements, request, asked, false)),
        Consent::Narrow { scopes, told } => ("code", code(shared, &mut state.sat.agreements, request, scopes, told)),
    };
    drop(state);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(answer.0, &answer.1).append_pair("state", &of("state"));
    let mut back = voice.error(StatusCode::FOUND, "Found");
    insert(&mut back, LOCATION, &format!("{}?{}", of("redirect_uri"), query.finish()));
    back
}

/// Clients come back to an address of their own.
fn is_of_a_client(redirect_uri: &str) -> bool {
    url::Url::parse(redirect_uri).is_ok_and(|url| url.query().is_none() && url.fragment().is_none())
}

fn code(shared: &Shared, agreements: &mut Agreements, request: &Request, scopes: Vec<String>, told: bool) -> String {
    let of = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let code = agreements.issue(shared.seed(), "code");
    let kept = Code {
        redirect_uri: of("redirect_uri"),
        challenge: of("code_challenge"),
        scopes,
        told,
        issued_at: request.at,
        exchanged: None,
    };
    agreements.codes.insert(code.clone(), kept);
    code
}

impl Simulator {
    /// What everybody does who is asked from now on.
    pub fn set_consent(&self, consent: Consent) {
        self.shared.state().sat.agreements.consent = consent;
    }

    /// From the next exchange on.
    pub fn set_rotation(&self, rotation: Rotation) {
        self.shared.state().sat.agreements.rotation = rotation;
    }

    /// All agreements are withdrawn: their refresh tokens are `invalid_grant`.
    pub fn withdraw_agreements(&self) {
        self.shared.state().sat.agreements.tokens.values_mut().for_each(|agreement| agreement.used = true);
    }

    /// Every code and refresh token that was issued, in order: what must be found nowhere else.
    pub fn codes_and_refresh_tokens(&self) -> Vec<String> {
        self.shared.state().sat.agreements.issued.clone()
    }

    /// Whether a refresh token would be exchanged now.
    pub fn would_refresh(&self, token: &str) -> bool {
        self.shared.state().sat.agreements.tokens.get(token).is_some_and(|agreement| !agreement.used)
    }
}
