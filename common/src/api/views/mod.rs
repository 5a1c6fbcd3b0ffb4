//! Answers in JSON, one shape for each thing, whoever prints it. They are not the stored records, so that the table can change without them.

mod assignments;
mod audit;
mod clients;
mod connections;
mod decisions;
mod evidence;
mod findings;
mod known;
mod log;
mod organizations;
#[cfg(feature = "pack")]
mod packs;
mod people;
mod runs;
mod tokens;

pub use assignments::AssignmentList;
pub use audit::{AuditEventView, AuditList};
pub use clients::ClientList;
pub use connections::{ConnectionAnswer, ConnectionList, ConnectionPage, ConnectionView, RedirectAnswer, SettingsView};
pub use decisions::{ClientPolicyView, ExceptionList, PolicyList, PolicyView, RuleInForceView};
pub use evidence::{
    ControlEvidence, ControlList, ControlRow, ControlView, EvidenceList, EvidenceView, HistoryList, HistoryValueView,
    SupportView,
};
pub use findings::{CompletenessList, CompletenessView, EvidenceRef, FindingsList, FindingsView};
pub use known::{
    CredentialSchema, Health, JsonSchema, Me, PropertySchema, SetupAnswer, StepView, TroubleView, WindowView,
};
pub use log::{LogEntryList, LogEntryView, LogKeyAnswer, LogProofAnswer};
pub use organizations::OrganizationList;
#[cfg(feature = "pack")]
pub use packs::{PackList, PackStatus, PackView};
pub use people::{
    HistoryEvent, IdentityAnswer, OnboardingLinkAnswer, PeoplePage, PeopleReport, PersonAnswer, PersonHistory,
    PersonView, ProviderAnswer,
};
pub use runs::{ForecastAnswer, RunAnswer, RunList, RunView, SyncAnswer};
pub use tokens::{NewToken, TokenList, TokenView};
