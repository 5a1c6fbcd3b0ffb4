//! Audit events: what people and programs did. Appended, never changed; no secret, name or e-mail of a learner is in one.

use super::id::{ClientId, CompanyId, ConnectionId, ConnectionKey};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

// The name is a `tt`, since derives do not see through a `literal`.
macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:tt,)*) => {
        /// The closed list of what is recorded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum AuditAction {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl AuditAction {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in records.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

actions! {
    /// A connection was made.
    ConnectionCreated = "connection.created",
    /// Its daily sync was stopped.
    ConnectionPaused = "connection.paused",
    /// Its daily sync goes on.
    ConnectionResumed = "connection.resumed",
    /// It was removed, with its credential.
    ConnectionRemoved = "connection.removed",
    /// It was tested.
    ConnectionTested = "connection.tested",
    /// It has another credential.
    CredentialReplaced = "credential.replaced",
    /// Its evidence is divided otherwise.
    MappingChanged = "mapping.changed",
    /// Its limits or caps were changed.
    SettingsChanged = "settings.changed",
    /// A run was asked for.
    SyncRequested = "sync.requested",
    /// Which assignments count was changed.
    AssignmentsSelected = "assignments.selected",
    /// What is kept of people was changed.
    PrivacyChanged = "privacy.changed",
    /// A person was put back.
    PersonReset = "person.reset",
    /// A person's name and e-mail were opened.
    IdentityOpened = "identity.opened",
    /// A person's certificate was opened.
    CertificateOpened = "certificate.opened",
    /// The names of a client's hosts, organizations and incidents were asked for.
    NamesOpened = "names.opened",
    /// An onboarding link of a person was made.
    OnboardingLinkCreated = "onboarding_link.created",
    /// The onboarding links of a person were taken back.
    OnboardingLinksRevoked = "onboarding_link.revoked",
    /// A person was erased.
    PersonErased = "person.erased",
    /// Everybody of a connection was erased.
    PeopleErased = "people.erased",
    /// A client's provider of training was named.
    ProviderNamed = "provider.named",
    /// A client has no provider of training any more.
    ProviderRemoved = "provider.removed",
    /// Evidence of a client, or everything of the company, was put on legal hold.
    HoldPlaced = "hold.placed",
    /// A legal hold was released.
    HoldReleased = "hold.released",
    /// A pack of a client's evidence was made, or asked for.
    PackMade = "pack.made",
    /// The log signs with another key.
    LogKeyReplaced = "log-key.replaced",
    /// A policy was imported.
    PolicyImported = "policy.imported",
    /// A client is measured by a policy.
    PolicyChosen = "policy.chosen",
    /// An exception was proposed.
    ExceptionProposed = "exception.proposed",
    /// It was approved.
    ExceptionApproved = "exception.approved",
    /// It was refused.
    ExceptionRejected = "exception.rejected",
    /// It was ended before its time.
    ExceptionRevoked = "exception.revoked",
    /// A number was stated that Huntress cannot know.
    AttestationMade = "attestation.made",
    /// A token was made.
    TokenAdded = "token.added",
    /// A token was revoked.
    TokenRevoked = "token.revoked",
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an actor came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// With a token, over HTTP.
    Api,
    /// On the command line of the machine that has the data, or AWS's permissions.
    Cli,
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The subject of a token, or the name that was given on the command line.
    pub name: String,
    /// How they came in.
    pub kind: ActorKind,
}

impl Actor {
    /// Who calls over HTTP.
    #[must_use]
    pub fn api(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: ActorKind::Api }
    }

    /// Who is at the command line.
    #[must_use]
    pub fn cli(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: ActorKind::Cli }
    }
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// For which company.
    pub company: CompanyId,
    /// Who.
    pub actor: String,
    /// How they came in.
    pub actor_kind: ActorKind,
    /// What.
    pub action: AuditAction,
    /// What it was done to: the id of a connection, a client or a token. Never a person, not even by their hash: it has to go when they are erased.
    pub subject: String,
    /// The connection that it was done to, or by which.
    #[serde(default)]
    pub connection: Option<ConnectionId>,
    /// The client that it is about alone.
    #[serde(default)]
    pub client: Option<ClientId>,
    /// What was there before, where something was changed.
    #[serde(default)]
    pub before: Option<Value>,
    /// What is there now.
    #[serde(default)]
    pub after: Option<Value>,
    /// Why, where a reason is asked for.
    #[serde(default)]
    pub reason: Option<String>,
    /// The request over HTTP that did it; `None` on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditEvent {
    /// Something that was done to a company's thing.
    #[must_use]
    pub fn new(
        actor: &Actor,
        action: AuditAction,
        company: CompanyId,
        subject: impl Into<String>,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            at,
            company,
            actor: actor.name.clone(),
            actor_kind: actor.kind,
            action,
            subject: subject.into(),
            connection: None,
            client: None,
            before: None,
            after: None,
            reason: None,
            request_id: None,
        }
    }

    /// Something that was done to a connection.
    #[must_use]
    pub fn of_connection(
        actor: &Actor,
        action: AuditAction,
        ConnectionKey { company, connection }: ConnectionKey,
        at: DateTime<Utc>,
    ) -> Self {
        let subject = connection.to_string();
        Self { connection: Some(connection), ..Self::new(actor, action, company, subject, at) }
    }

    /// With what was there before and what is there now.
    #[must_use]
    pub fn changing(self, before: &impl Serialize, after: &impl Serialize) -> Self {
        let value = |it: Result<Value, serde_json::Error>| it.ok();
        Self { before: value(serde_json::to_value(before)), after: value(serde_json::to_value(after)), ..self }
    }

    /// With a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}
