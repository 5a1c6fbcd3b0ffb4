//! The token endpoint, and who may do what with a token.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Request as HttpRequest, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use url::form_urlencoded;

use super::certificate;
use super::consent::{Agreements, Granted, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET};
use super::settings::SatSettings;
use super::voice::SatVoice;
use crate::fault::FaultKind;
use crate::generated::{Draw, Stream};
use crate::list::List;
use crate::server::Shared;
use crate::server::answer::Call;
use crate::server::reply::{Answer, JSON, Voice, finish, strike};

/// All the scopes that the vendor is known to have.
pub const SCOPES: [&str; 8] = [
    ACCOUNT,
    ASSIGNMENTS,
    ACTIVITY,
    "assignments:manage",
    LEARNERS,
    "learners:manage",
    CAMPAIGNS,
    "phishing-scenarios:read",
];
const ACCOUNT: &str = "account:read";
const ASSIGNMENTS: &str = "assignments:read";
const ACTIVITY: &str = "assignments:learner-activity";
const LEARNERS: &str = "learners:read";
const CAMPAIGNS: &str = "phishing-campaigns:read";

const EXPIRES_IN: TimeDelta = TimeDelta::hours(1);

/// How a client may authenticate at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenMode {
    /// With HTTP Basic, and in the body as well.
    #[default]
    Basic,
    /// In the body; 401 `invalid_client` for HTTP Basic.
    BodyOnly,
    /// With HTTP Basic; 401 `invalid_client` for the body.
    BasicOnly,
    /// In the body; 405 for HTTP Basic.
    MethodNotAllowed405ForBasic,
}

/// Where a client put its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    None,
    Basic,
    Body,
    /// Which is forbidden: 400.
    Both,
}

/// What was asked at the token endpoint, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub grant_type: Option<String>,
    /// In the order asked for.
    pub scopes: Vec<String>,
    pub authentication: ClientAuthentication,
}

/// The API client as the vendor keeps it, and the tokens it was given.
pub(in crate::server) struct SatClient {
    pub(in crate::server) granted: Vec<String>,
    pub(in crate::server) revoked: bool,
    /// In the order of issue.
    pub(in crate::server) tokens: Vec<String>,
    grants: HashMap<String, Grant>,
    pub(super) agreements: Agreements,
}

struct Grant {
    scopes: Vec<String>,
    issued_at: DateTime<Utc>,
    requests: u32,
}

impl Default for SatClient {
    fn default() -> Self {
        Self {
            granted: SCOPES.map(str::to_owned).into(),
            revoked: false,
            tokens: Vec::new(),
            grants: HashMap::new(),
            agreements: Agreements::default(),
        }
    }
}

/// What a request to the training API presented.
#[derive(Default)]
pub(in crate::server) struct Presented {
    pub(in crate::server) authenticated: bool,
    pub(in crate::server) asked: Option<TokenRequest>,
    /// Those of its token.
    pub(in crate::server) scopes: Vec<String>,
    /// The form, at the token endpoint.
    form: HashMap<String, String>,
}

/// Whether a request may pass; counts it against its token.
pub(in crate::server) fn present(
    settings: &SatSettings,
    client: &mut SatClient,
    list: List,
    id: &str,
    query: &[(String, String)],
    request: &HttpRequest<Bytes>,
    now: DateTime<Utc>,
) -> Presented {
    match list {
        List::Token => asked(settings, client, request),
        List::Authorize => Presented { authenticated: true, ..Presented::default() },
        List::CertificateFile => Presented { authenticated: certificate::is_signed(id, query), ..Presented::default() },
        _ => {
            let scopes = credential(request.headers(), "bearer").and_then(|token| client.admit(&token, settings, now));
            let authenticated = scopes.is_some();
            Presented { authenticated, scopes: scopes.unwrap_or_default(), ..Presented::default() }
        }
    }
}

fn credential(headers: &HeaderMap, scheme: &str) -> Option<String> {
    let (sent_scheme, sent) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    sent_scheme.eq_ignore_ascii_case(scheme).then(|| sent.trim().to_owned())
}

fn asked(settings: &SatSettings, client: &SatClient, request: &HttpRequest<Bytes>) -> Presented {
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.starts_with("application/x-www-form-urlencoded"));
    let body = if is_form { request.body() } else { &Bytes::new() };
    let form: HashMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
    let in_header = credential(request.headers(), "basic");
    let in_body = form.get("client_secret");
    // Another client for each kind of grant.
    let (id, wanted) = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code" | "refresh_token") => (OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET),
        _ => (settings.client_id.as_str(), settings.client_secret.as_str()),
    };
    let is_right = match (&in_header, in_body) {
        (Some(sent), _) => *sent == STANDARD.encode(format!("{id}:{wanted}")),
        (None, Some(secret)) => secret == wanted && form.get("client_id").is_some_and(|sent| sent == id),
        (None, None) => false,
    };
    let authentication = match (in_header.is_some(), in_body.is_some()) {
        (true, true) => ClientAuthentication::Both,
        (true, false) => ClientAuthentication::Basic,
        (false, true) => ClientAuthentication::Body,
        (false, false) => ClientAuthentication::None,
    };
    let scopes = form.get("scope").map(|it| it.split_ascii_whitespace().map(str::to_owned).collect());
    Presented {
        authenticated: is_right && !client.revoked,
        asked: Some(TokenRequest {
            grant_type: form.get("grant_type").cloned(),
            scopes: scopes.unwrap_or_default(),
            authentication,
        }),
        scopes: Vec::new(),
        form,
    }
}

impl SatClient {
    /// The scopes of a token that is still good.
    fn admit(&mut self, token: &str, settings: &SatSettings, now: DateTime<Utc>) -> Option<Vec<String>> {
        let grant = self.grants.get_mut(token)?;
        if now - grant.issued_at >= EXPIRES_IN || settings.token_lifetime.is_some_and(|most| grant.requests >= most) {
            return None;
        }
        grant.requests = grant.requests.saturating_add(1);
        Some(grant.scopes.clone())
    }

    /// A new token that looks like a signed one.
    fn issue(&mut self, seed: u64, scopes: Vec<String>, now: DateTime<Utc>) -> String {
        let number = self.tokens.len() as u64;
        let mut draw = Draw::new(seed, Stream::AccessToken, number);
        let signature: Vec<u8> = (0..8).flat_map(|_| draw.next().to_be_bytes()).collect();
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        let token = format!(
            "{}.{}.{}",
            part(json!({"typ": "JWT", "alg": "RS256"}).to_string()),
            part(json!({"jti": number, "exp": (now + EXPIRES_IN).timestamp()}).to_string()),
            URL_SAFE_NO_PAD.encode(signature)
        );
        self.tokens.push(token.clone());
        self.grants.insert(token.clone(), Grant { scopes, issued_at: now, requests: 0 });
        token
    }
}

/// What a token must allow for this list. The vendor does not document it for an assignment's learners, where both that make
/// sense are asked for, and for certificates, which say what the activity says.
pub(super) fn scopes_of(list: List) -> &'static [&'static str] {
    match list {
        List::Accounts | List::AccountById => &[ACCOUNT],
        List::Assignments | List::AssignmentById => &[ASSIGNMENTS],
        List::AssignmentLearners => &[ASSIGNMENTS, LEARNERS],
        List::Learners => &[LEARNERS],
        List::LearnerActivity | List::Certificate => &[ACTIVITY],
        List::PhishingCampaigns => &[CAMPAIGNS],
        _ => &[],
    }
}

/// `None` is a reset connection.
pub(super) async fn decide(shared: &Shared, call: &Call) -> Option<Answer> {
    let voice = SatVoice::token(shared.settings.sat.token_errors);
    if call.request.method != Method::POST.as_str() {
        return Some(not_allowed(voice));
    }
    strike(shared, call, List::Token, Voice::Sat(voice), |fault| answer(shared, call, voice, fault)).await
}

fn not_allowed(voice: SatVoice) -> Answer {
    voice.error(StatusCode::METHOD_NOT_ALLOWED, "The method is not supported for this route.")
}

fn answer(shared: &Shared, call: &Call, voice: SatVoice, fault: Option<FaultKind>) -> Answer {
    let settings = &shared.settings.sat;
    let Some(asked) = &call.request.token else {
        return not_allowed(voice);
    };
    let bad = |code, text| voice.coded_error(StatusCode::BAD_REQUEST, code, text);
    let is_basic = matches!(asked.authentication, ClientAuthentication::Basic | ClientAuthentication::Both);
    let refuses = match settings.token_mode {
        TokenMode::Basic => false,
        TokenMode::BodyOnly => is_basic,
        TokenMode::BasicOnly => !is_basic,
        TokenMode::MethodNotAllowed405ForBasic if is_basic => return not_allowed(voice),
        TokenMode::MethodNotAllowed405ForBasic => false,
    };
    let grant_type = asked.grant_type.as_deref().unwrap_or_default();
    if !["client_credentials", "authorization_code", "refresh_token"].contains(&grant_type) {
        let text = "The authorization grant type is not supported by the authorization server.";
        return bad("unsupported_grant_type", text);
    }
    if asked.authentication == ClientAuthentication::Both {
        return bad("invalid_request", "The request uses more than one way to authenticate the client.");
    }
    if refuses || !call.request.authenticated {
        let mut answer = voice.unauthorized();
        if is_basic {
            answer.headers_mut().insert("www-authenticate", HeaderValue::from_static("Basic realm=\"OAuth\""));
        }
        return answer;
    }
    let (mut state, seed) = (shared.state(), shared.seed());
    let granted = match grant_type {
        "authorization_code" => state.sat.agreements.exchange(seed, &call.grant.form, call.request.at),
        "refresh_token" => {
            let token = call.grant.form.get("refresh_token").map(String::as_str).unwrap_or_default();
            state.sat.agreements.refresh(seed, token)
        }
        _ => Some(Granted { scopes: asked.scopes.clone(), refresh_token: None, told: false }),
    };
    let Some(granted) = granted else {
        return bad(
            "invalid_grant",
            "The provided authorization grant or refresh token is invalid, expired or revoked",
        );
    };
    if !asked.scopes.iter().all(|scope| state.sat.granted.contains(scope)) {
        return bad("invalid_scope", "The requested scope is invalid, unknown, or malformed");
    }
    let Granted { scopes, refresh_token, told } = granted;
    let scope = told.then(|| scopes.join(" "));
    let token = state.sat.issue(seed, scopes, call.request.at);
    drop(state);
    let mut body = json!({"token_type": "Bearer", "expires_in": EXPIRES_IN.num_seconds(), "access_token": token});
    for (name, value) in [("refresh_token", refresh_token), ("scope", scope)] {
        if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
            fields.insert(name.to_owned(), value.into());
        }
    }
    if let (Some(FaultKind::MissingKey), Some(fields)) = (&fault, body.as_object_mut()) {
        fields.remove("access_token");
    }
    finish(shared, &call.headers, JSON, body.to_string().into_bytes(), fault)
}
