//! The closed list of problems: a status and a code each. A row of the table of routes names those that its handler finds; what its types can find is known.

/// A status with a code, which docs/errors.md explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The status of the answer.
    pub status: u16,
    /// The code in its body.
    pub code: &'static str,
}

/// Problems that come together.
pub type Kinds = &'static [Kind];

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = [$($status:literal $code:literal),* $(,)?];)*) => {
        $($(#[$doc])* pub const $name: Kinds = &[$(Kind { status: $status, code: $code },)*];)*

        /// All of them.
        pub const ALL: &[Kinds] = &[$($name,)*];
    };
}

kinds! {
    /// Path, query string or body cannot be understood.
    BAD_REQUEST = [400 "bad_request"];
    /// Nobody has said who calls.
    UNAUTHENTICATED = [401 "unauthenticated"];
    /// The caller is not in that company.
    FORBIDDEN = [403 "forbidden"];
    /// The caller may not do this.
    SCOPE_MISSING = [403 "scope_missing"];
    /// The caller is bound to clients, and this is the company's own.
    CLIENTS_ONLY = [403 "clients_only"];
    /// There is no such thing, or it is not the caller's.
    NOT_FOUND = [404 "not_found"];
    /// The path has other methods.
    METHOD_NOT_ALLOWED = [405 "method_not_allowed"];
    /// Its state does not allow this.
    CONFLICT = [409 "conflict"];
    /// Nobody can connect by redirect here.
    OAUTH_NOT_CONFIGURED = [409 "oauth_not_configured"];
    /// A browser that is back from Huntress is not let on.
    OAUTH_RETURN = [
        400 "oauth_state", 403 "oauth_browser", 424 "oauth_denied", 424 "oauth_refused", 413 "body_too_large",
    ];
    /// It was there, and is not kept any more.
    GONE = [410 "gone"];
    /// Somebody changed it in between.
    STALE = [412 "stale"];
    /// More than 64 KB.
    BODY_TOO_LARGE = [413 "body_too_large"];
    /// The body is not sent as JSON.
    NOT_JSON = [415 "not_json"];
    /// An `Idempotency-Key` that came with another request before.
    KEY_REUSED = [422 "key_reused"];
    /// The connection is of another product.
    OTHER_PRODUCT = [422 "other_product"];
    /// A setting that cannot be.
    REFUSED_SETTING = [422 "refused_setting"];
    /// Clients that cannot be mapped so.
    REFUSED_MAPPING = [422 "refused_mapping"];
    /// A part of the credential is empty.
    CREDENTIAL_EMPTY = [422 "credential_missing"];
    /// A run of the connection has just ended.
    COOLING_DOWN = [429 "cooling_down"];
    /// A token that cannot be.
    REFUSED_TOKEN = [422 "refused_token"];
    /// A policy or a limit that cannot be.
    REFUSED_POLICY = [422 "refused_policy"];
    /// An exception that cannot be, or not be decided so.
    REFUSED_EXCEPTION = [422 "refused_exception"];
    /// An attestation that cannot be.
    REFUSED_ATTESTATION = [422 "refused_attestation"];
    /// The evidence is older than facts are.
    NO_FACTS = [422 "no_facts"];
    /// Days that a pack cannot be of.
    WINDOW_REFUSED = [422 "window_refused"];
    /// No log has an entry of those days.
    NOTHING_TO_PROVE = [422 "nothing_to_prove"];
    /// The pack could not be made.
    PACK_FAILED = [422 "pack_failed"];
    /// A change without `If-Match`.
    REVISION_NEEDED = [428 "revision_needed"];
    /// Huntress was asked, and could not be, or does not allow it.
    UPSTREAM = [
        422 "not_found", 422 "no_accounts", 422 "multiple_accounts", 422 "account_not_visible",
        424 "auth_failed", 424 "missing_scopes", 424 "unavailable", 424 "malformed", 424 "inconsistent", 424 "refused", 424 "origin_not_allowed",
        424 "credential_missing", 424 "lease_lost", 424 "timed_out", 424 "abandoned", 424 "storage", 424 "not_stored", 424 "clock_wrong",
        429 "rate_limited",
    ];
    /// Our own storage does not answer.
    UNAVAILABLE = [503 "unavailable"];
}
