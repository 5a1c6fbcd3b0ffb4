//! Errors as HTTP tells them: RFC 9457 problem details with a closed code.

pub mod kinds;

use super::caller::{TokenWanted, UNAUTHENTICATED};
use crate::app::connections::{ConnectionError, RedirectError};
use crate::app::decisions::DecisionError;
use crate::app::evidence::{EvidenceError, QuestionError, WindowError};
use crate::app::people::{KeyringError, PeopleError};
use crate::app::runs::plan::PlanError;
use crate::app::tokens::TokenError;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::InvalidId;
use crate::domain::scope::Scope;
use crate::store::StoreError;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A problem: what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The page that explains the code.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(format = "uri-reference"))]
    page: String,
    /// The status of the answer.
    #[serde(serialize_with = "status_number")]
    #[cfg_attr(feature = "openapi", schema(value_type = u16))]
    status: StatusCode,
    /// What happened, from a closed list: docs/errors.md explains each.
    code: &'static str,
    /// The same in a few words.
    title: &'static str,
    /// What to do. It never quotes what was sent.
    detail: String,
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// The shorter window of the vendor's limits, in seconds.
const LIMIT_WINDOW: u64 = 60;

fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { page: format!("/v1/errors#{code}"), status, code, title, detail: detail.into(), retry_after: None }
    }

    /// Nobody has said who calls.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let detail = "send a token: Authorization: Bearer TOKEN, whose claims name who calls (sub) and a company; docs/access.md says which claims";
        Self::new(UNAUTHENTICATED, "unauthenticated", "The caller is not known", detail)
    }

    /// The same as the host of the request tells it, where it does.
    pub(super) fn unauthenticated_at(host: &axum::http::Extensions) -> Self {
        match host.get::<TokenWanted>() {
            Some(TokenWanted(detail)) => Self { detail: (*detail).to_owned(), ..Self::unauthenticated() },
            None => Self::unauthenticated(),
        }
    }

    /// The caller is not in that company.
    #[must_use]
    pub fn forbidden() -> Self {
        let detail = "use the company of your token";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The caller does not belong to this company", detail)
    }

    /// The caller's token does not have the scope of the route.
    #[must_use]
    pub fn scope_missing(scope: Scope) -> Self {
        let detail = format!("use a token with the scope {scope}, or with a role that has it");
        Self::new(StatusCode::FORBIDDEN, "scope_missing", "The caller may not do this", detail)
    }

    /// The caller is bound to clients, and this is the company's own.
    #[must_use]
    pub fn clients_only() -> Self {
        let detail = "ask for one of the clients of your token";
        Self::new(StatusCode::FORBIDDEN, "clients_only", "The caller may see clients, not the company", detail)
    }

    /// The body is larger than any route takes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("send at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large", detail)
    }

    /// An `Idempotency-Key` that came with another request before.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::unprocessable("key_reused", "the Idempotency-Key was sent with another request before; use a new one")
    }

    /// The body is said to be something else than JSON.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "send the body as JSON, with the header Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "The body is not sent as JSON", detail)
    }

    /// A form that no page of the caller's session sent.
    #[must_use]
    pub fn form_refused() -> Self {
        let detail = "nothing was changed; open the page again and send the form from there";
        Self::new(StatusCode::FORBIDDEN, "form_refused", "The form is not of this session", detail)
    }

    /// The request names a host that is not ours.
    #[must_use]
    pub fn foreign_host(ours: &str) -> Self {
        let detail = format!("open {ours}; where a proxy stands in front, name its address in PUBLIC_URL");
        Self::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", "This is not the address of the console", detail)
    }

    /// A login link that leads nowhere any more.
    #[must_use]
    pub fn link_used() -> Self {
        let detail = "a link works once, within 5 minutes; start `serve` again for a new one, or sign in with a token";
        Self::new(StatusCode::FORBIDDEN, "link_used", "This login link has been used, or is too old", detail)
    }

    /// Nobody was signed in.
    #[must_use]
    pub fn sign_in_failed(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "sign_in_failed", "You are not signed in", detail)
    }

    /// Somebody was signed in whom nothing is allowed.
    #[must_use]
    pub fn no_role() -> Self {
        let detail = "your account has no role here; ask your administrator for one, e.g. access-reviewer, and for the company that it is for";
        Self::new(StatusCode::FORBIDDEN, "no_role", "Your account may not see anything here", detail)
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// After how many seconds it is worth another try, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What happened.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// What to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", format!("there is no such {what}; check its id"))
    }

    /// It was there.
    #[must_use]
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", "It is not kept any more", detail)
    }

    /// The path is right, the method is not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "use the method that the route is documented with";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
    }

    /// The request cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request cannot be understood", detail)
    }

    /// The thing is not in a state that allows it.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Its state does not allow this", detail)
    }

    /// Whoever changes a connection says which revision they have seen.
    #[must_use]
    pub fn revision_needed() -> Self {
        let detail = "send If-Match with the ETag of the connection as you have read it, or * for whatever it is";
        Self::new(StatusCode::PRECONDITION_REQUIRED, "revision_needed", "The change needs a revision", detail)
    }

    /// Somebody else was faster.
    #[must_use]
    pub fn stale() -> Self {
        let detail = "read it again, and send If-Match with its present ETag";
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", "It was changed in between", detail)
    }

    /// What was asked for cannot be done as it was asked.
    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "It cannot be done as it was asked", detail)
    }

    /// What a body names is not there: the path is right, and the body is not.
    #[must_use]
    pub fn of_named(error: DecisionError) -> Self {
        match error {
            DecisionError::UnknownPolicy { .. } => {
                Self::unprocessable("refused_policy", without_options(&error.to_string()))
            }
            error => error.into(),
        }
    }

    /// Huntress could not be asked, or does not allow what was asked for. Whatever it is, it is no fault of this service.
    #[must_use]
    pub fn upstream(failure: &Failure) -> Self {
        let (status, title) = match failure.code {
            FailureCode::NotFound
            | FailureCode::NoAccounts
            | FailureCode::MultipleAccounts
            | FailureCode::AccountNotVisible => (StatusCode::UNPROCESSABLE_ENTITY, "Huntress does not allow this"),
            FailureCode::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "The request limit of the account at Huntress is used up")
            }
            code if code.is_auth() => (StatusCode::FAILED_DEPENDENCY, "Huntress refuses the credential"),
            _ => (StatusCode::FAILED_DEPENDENCY, "Huntress could not be asked"),
        };
        let problem =
            Self::new(status, failure.code.as_str(), title, format!("{}; {}", failure.message, failure.action));
        if status == StatusCode::TOO_MANY_REQUESTS { problem.after(LIMIT_WINDOW) } else { problem }
    }

    /// Says after how many seconds it is worth another try.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Our own trouble: everything to the log, nothing to the caller.
    #[must_use]
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request could not be served");
        let detail = "try again in a minute; the last good evidence is kept";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer now", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let retry_after = self.retry_after.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        let mut response = (self.status, media_type, Json(&self)).into_response();
        // The console tells it as a page.
        response.extensions_mut().insert(self);
        if let Some(retry_after) = retry_after {
            response = (retry_after, response).into_response();
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { record } => Self::not_found(record),
            // As Caller::see_client tells of a client that is another's.
            StoreError::UnknownClient(_) => Self::not_found("client"),
            error @ StoreError::Corrupt { .. } => {
                let detail = "a stored record is damaged, or evidence and its log disagree: nothing of it is shown; the log of the service says which it is";
                Self { detail: detail.to_owned(), ..Self::unavailable(&error) }
            }
            error => Self::unavailable(&error),
        }
    }
}

impl From<PeopleError> for Problem {
    fn from(error: PeopleError) -> Self {
        match error {
            // Of a change that names a revision.
            PeopleError::Store(StoreError::Conflict { record: "connection" }) => Self::stale(),
            PeopleError::Store(error) | PeopleError::PeopleKeyring(KeyringError::Store(error)) => error.into(),
            PeopleError::Failed(failure) => Self::upstream(&failure),
            PeopleError::Refused(detail) => Self::bad_request(detail),
            PeopleError::PeopleKeyring(error @ KeyringError::NothingSealed) => Self::conflict(error.to_string()),
            PeopleError::PeopleKeyring(error) => Self::unavailable(&error),
        }
    }
}

impl From<ConnectionError> for Problem {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Store(error) => error.into(),
            ConnectionError::Secret(error) => Self::unavailable(&error),
            ConnectionError::Failed(failure) => Self::upstream(&failure),
            ConnectionError::Stale => Self::stale(),
            ConnectionError::Exists(_) => Self::conflict(format!("{error}; choose another id")),
            ConnectionError::KeepsPeople => Self::conflict(error.to_string()),
            ConnectionError::OtherProduct(_) => Self::unprocessable("other_product", error.to_string()),
            ConnectionError::Refused(detail) => Self::unprocessable("refused_setting", detail),
        }
    }
}

impl From<RedirectError> for Problem {
    fn from(error: RedirectError) -> Self {
        match error {
            RedirectError::NotConfigured => Self::new(
                StatusCode::CONFLICT,
                "oauth_not_configured",
                "Connecting by redirect is not set up",
                "set HUNTRESS_SAT_OAUTH_CLIENT_ID, HUNTRESS_SAT_OAUTH_CLIENT_SECRET and PUBLIC_URL (on AWS the parameters SatOauthSecret and PublicUrl), or paste a credential",
            ),
            RedirectError::Unknown => Self::new(
                StatusCode::BAD_REQUEST,
                "oauth_state",
                "This address does not count any more",
                "it was used already, is older than ten minutes, or is none of ours; begin again",
            ),
            RedirectError::OtherBrowser => Self::new(
                StatusCode::FORBIDDEN,
                "oauth_browser",
                "Another browser began this",
                "open the address in the browser that began, and let it keep cookies; or begin again here",
            ),
            RedirectError::Denied => Self::new(
                StatusCode::FAILED_DEPENDENCY,
                "oauth_denied",
                "The access was not agreed to",
                "begin again, and agree at Huntress",
            ),
            RedirectError::Refused => Self::new(
                StatusCode::FAILED_DEPENDENCY,
                "oauth_refused",
                "Huntress did not grant the access",
                "check that the API client of this service has the five scopes and this redirect address at Huntress; then begin again",
            ),
            RedirectError::NotListed => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "account_not_visible",
                "The account is none of those that were listed",
                "choose one of the accounts of the page",
            ),
            RedirectError::Failed(failure) => Self::upstream(&failure),
            RedirectError::Connection(error) => error.into(),
        }
    }
}

/// What the command line is told, for who sends fields and has no options or commands.
#[must_use]
pub fn without_options(text: &str) -> String {
    text.split("; see: huntress-evidence").next().unwrap_or_default().replace(" --", " ")
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Store(error) => error.into(),
            error @ EvidenceError::Unreadable { .. } => Self::unavailable(&error),
        }
    }
}

impl From<QuestionError> for Problem {
    fn from(error: QuestionError) -> Self {
        let detail = error.to_string();
        match error {
            QuestionError::Evidence(error) => error.into(),
            QuestionError::NoEvidence { .. } => Self::not_found("evidence"),
            QuestionError::UnknownKey { .. } => Self::not_found("rule or metric"),
            QuestionError::NoFacts(_) => Self::unprocessable("no_facts", detail),
            QuestionError::Days(_) => Self::unprocessable("window_refused", without_options(&detail)),
            QuestionError::Agents(_) => Self::unprocessable("refused_setting", detail),
            QuestionError::UnknownRule { .. }
            | QuestionError::NothingDifferent
            | QuestionError::Setting(_)
            | QuestionError::Policy(_)
            | QuestionError::RuleInUse(_) => Self::unprocessable("refused_policy", detail),
        }
    }
}

impl From<WindowError> for Problem {
    fn from(error: WindowError) -> Self {
        match error {
            WindowError::Evidence(error) => error.into(),
            WindowError::Days(error) => Self::unprocessable("window_refused", without_options(&error.to_string())),
        }
    }
}

impl From<DecisionError> for Problem {
    fn from(error: DecisionError) -> Self {
        let detail = without_options(&error.to_string());
        match error {
            DecisionError::Store(StoreError::Conflict { .. }) => {
                Self::conflict("somebody else has decided it in between; read it again")
            }
            DecisionError::Store(error) => error.into(),
            DecisionError::Random => Self::unavailable(&error),
            DecisionError::UnknownPolicy { .. } => Self::not_found("policy"),
            DecisionError::UnknownException(_) => Self::not_found("exception"),
            DecisionError::VersionChanged(_) => Self::conflict(detail),
            DecisionError::Policy(_) | DecisionError::RuleInUse(_) => Self::unprocessable("refused_policy", detail),
            DecisionError::UnknownRule { .. }
            | DecisionError::UnknownControl(_)
            | DecisionError::UnknownPerson { .. }
            | DecisionError::Exception(_)
            | DecisionError::Review(_) => Self::unprocessable("refused_exception", detail),
            DecisionError::Attestation(_) => Self::unprocessable("refused_attestation", detail),
        }
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => error.into(),
            error @ PlanError::Queue(_) => Self::unavailable(&error),
            error @ PlanError::CoolingDown { seconds } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "cooling_down", "A run has just ended", error.to_string())
                    .after(seconds)
            }
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(error) => error.into(),
            TokenError::Invalid(error) => Self::unprocessable("refused_token", error.to_string()),
            error @ TokenError::Exists(_) => Self::conflict(error.to_string()),
            TokenError::Unknown(_) => Self::not_found("token"),
            error @ TokenError::Random => Self::unavailable(&error),
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::bad_request(error.to_string())
    }
}
