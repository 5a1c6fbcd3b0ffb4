//! An exception accepts a failing outcome for a time. It changes how an outcome counts, never the outcome.

use super::{
    Decider, DecisionId, InvalidText, LONGEST_REASON, LONGEST_SOURCE, NewRecord, Nonce, is_same_person, person_name,
    plain,
};
use crate::calendar::{Calendar, Until, days_between};
use crate::control_status::Accepted;
use crate::id::{ClientId, PersonId, RuleId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest time that one exception lasts, in calendar days. Renewing it is a new record.
pub const LONGEST_DAYS: i64 = 365;

/// The shortest reason, in characters.
pub const SHORTEST_REASON: usize = 20;

/// What an exception is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExceptionSubject {
    /// A rule, e.g. `edr-online`.
    Rule(RuleId),
    /// A control, by the `oscal_id` of the control map.
    Control(String),
    /// The training of one person.
    Person(PersonId),
}

impl fmt::Display for ExceptionSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Control(control) => write!(f, "control {control}"),
            Self::Person(person) => write!(f, "person {person}"),
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct ExceptionRequest {
    /// Whose evidence.
    pub client: ClientId,
    /// What for.
    pub subject: ExceptionSubject,
    /// Why; several lines may be.
    pub reason: String,
    /// Who asks.
    pub by: Decider,
    /// From when on; now, where nothing is said.
    pub from: Option<DateTime<Utc>>,
    /// Until when it counts.
    pub until: Until,
    /// Where more is said, e.g. a ticket.
    pub link: Option<String>,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidException {
    /// A text is missing or cannot be kept.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// The reason says too little.
    #[error(
        "the reason has {0} characters: say in at least {SHORTEST_REASON} why this is accepted, and what is done about it"
    )]
    ShortReason(usize),
    /// It would end before it begins.
    #[error("the exception would end before it begins: give an --until after {0}")]
    Backwards(String),
    /// It would be over already.
    #[error("the exception would be over already: give an --until that lies ahead")]
    Over,
    /// It would last too long.
    #[error(
        "the exception would last {0} days: at most {LONGEST_DAYS} are allowed; it can be renewed by a new one before it ends"
    )]
    TooLong(i64),
    /// The link is none.
    #[error("the link is no web address: begin it with https://")]
    Link,
}

/// An exception as it was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exception {
    /// Its id.
    pub id: DecisionId,
    /// Whose evidence.
    pub client: ClientId,
    /// What for.
    #[serde(flatten)]
    pub subject: ExceptionSubject,
    /// Why.
    pub reason: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether that was said on the machine that keeps the records.
    pub on_this_machine: bool,
    /// From when on it counts, once it is approved.
    pub from: DateTime<Utc>,
    /// The first instant at which it no longer counts.
    pub until: DateTime<Utc>,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Random, for the commitment in the log.
    pub nonce: Nonce,
}

/// What became of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReviewKind {
    /// Somebody else approved it: from now on it counts.
    Approved,
    /// Somebody else refused it.
    Rejected,
    /// Somebody else ended it before its time.
    Revoked,
}

impl fmt::Display for ReviewKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        })
    }
}

/// A decision about an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Review {
    /// Its own id.
    pub id: DecisionId,
    /// Whose evidence.
    pub client: ClientId,
    /// Which exception.
    pub exception: DecisionId,
    /// What was decided.
    pub decision: ReviewKind,
    /// Who decided; never who proposed it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether that was said on the machine that keeps the records.
    pub on_this_machine: bool,
    /// Why, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Random, for the commitment in the log.
    pub nonce: Nonce,
}

/// Where an exception stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    /// Nobody has decided yet: it does not count.
    Proposed,
    /// It counts, from its beginning to its end.
    Approved,
    /// It was refused.
    Rejected,
    /// It was ended before its time.
    Revoked,
    /// Its time is over, whether it was approved or not.
    Expired,
}

impl fmt::Display for ExceptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        })
    }
}

/// A decision about an exception that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReview {
    /// By who proposed it.
    #[error("{0} proposed this exception: somebody else has to decide about it; give another name with --by")]
    SamePerson(String),
    /// It stands where this cannot be decided.
    #[error("the exception is {state}: it cannot be {decision}{}", if *state == ExceptionState::Approved { "; it can be revoked" } else { "; propose a new one" })]
    State {
        /// Where it stands.
        state: ExceptionState,
        /// What was to be decided.
        decision: ReviewKind,
    },
    /// A text is missing or cannot be kept.
    #[error(transparent)]
    Text(#[from] InvalidText),
}

impl ExceptionRequest {
    /// The record; days are those of the calendar.
    ///
    /// # Errors
    /// [`InvalidException`], which says what to do.
    pub fn propose(self, new: NewRecord, calendar: &Calendar) -> Result<Exception, InvalidException> {
        let NewRecord { id, nonce, at: now } = new;
        let reason = plain(&self.reason, "the reason", LONGEST_REASON, true)?;
        let length = reason.chars().filter(|c| !c.is_whitespace()).count();
        if reason.chars().count() < SHORTEST_REASON || length < SHORTEST_REASON / 2 {
            return Err(InvalidException::ShortReason(reason.chars().count().min(length)));
        }
        let proposed_by = person_name(&self.by.name, "the name of who proposes it")?;
        let (from, until) = (self.from.unwrap_or(now), self.until.instant(calendar));
        if until <= from {
            return Err(InvalidException::Backwards(calendar.day_of(from).to_string()));
        }
        if until <= now {
            return Err(InvalidException::Over);
        }
        let days = days_between(calendar.day_of(from), calendar.last_day_before(until));
        if days > LONGEST_DAYS {
            return Err(InvalidException::TooLong(days));
        }
        let link = self.link.map(|link| plain(&link, "the link", LONGEST_SOURCE, false)).transpose()?;
        let is_address = |link: &String| {
            let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty()) && !link.contains(char::is_whitespace)
        };
        if link.as_ref().is_some_and(|link| !is_address(link)) {
            return Err(InvalidException::Link);
        }
        Ok(Exception {
            id,
            client: self.client,
            subject: self.subject,
            reason,
            proposed_by,
            at: now,
            on_this_machine: self.by.on_this_machine,
            from,
            until,
            link,
            nonce,
        })
    }
}

impl Exception {
    /// Where it stands at `instant`, after the decisions that were made by then.
    #[must_use]
    pub fn state_at<'a>(
        &self,
        reviews: impl IntoIterator<Item = &'a Review>,
        instant: DateTime<Utc>,
    ) -> ExceptionState {
        let mut own: Vec<&Review> =
            reviews.into_iter().filter(|review| review.exception == self.id && review.at <= instant).collect();
        own.sort_by_key(|review| review.at);
        match own.last().map(|review| review.decision) {
            Some(ReviewKind::Rejected) => ExceptionState::Rejected,
            Some(ReviewKind::Revoked) => ExceptionState::Revoked,
            _ if instant >= self.until => ExceptionState::Expired,
            Some(ReviewKind::Approved) => ExceptionState::Approved,
            None => ExceptionState::Proposed,
        }
    }

    /// Whether it counts at `instant`: approved, begun and not over.
    #[must_use]
    pub fn is_in_force<'a>(&self, reviews: impl IntoIterator<Item = &'a Review>, instant: DateTime<Utc>) -> bool {
        self.from <= instant && self.state_at(reviews, instant) == ExceptionState::Approved
    }

    /// A decision about it, after `earlier` ones.
    ///
    /// # Errors
    /// [`InvalidReview`] when it is by who proposed it, or when it stands where this cannot be decided.
    pub fn review(
        &self,
        earlier: &[Review],
        decision: ReviewKind,
        by: &Decider,
        reason: Option<&str>,
        new: NewRecord,
    ) -> Result<Review, InvalidReview> {
        let NewRecord { id, nonce, at: now } = new;
        let name = person_name(&by.name, "the name of who decides")?;
        if is_same_person(&name, &self.proposed_by) {
            return Err(InvalidReview::SamePerson(name));
        }
        let state = self.state_at(earlier, now);
        let possible = match decision {
            ReviewKind::Approved | ReviewKind::Rejected => state == ExceptionState::Proposed,
            ReviewKind::Revoked => state == ExceptionState::Approved,
        };
        if !possible {
            return Err(InvalidReview::State { state, decision });
        }
        let reason = reason.map(|reason| plain(reason, "the reason", LONGEST_REASON, true)).transpose()?;
        Ok(Review {
            id,
            client: self.client.clone(),
            exception: self.id.clone(),
            decision,
            by: name,
            at: now,
            on_this_machine: by.on_this_machine,
            reason,
            nonce,
        })
    }
}

/// The exceptions that were proposed by `instant`, with their states then.
pub fn exceptions_at<'a>(
    exceptions: impl IntoIterator<Item = &'a Exception>,
    reviews: &[Review],
    instant: DateTime<Utc>,
) -> Vec<(&'a Exception, ExceptionState)> {
    let known = exceptions.into_iter().filter(|exception| exception.at <= instant);
    known.map(|exception| (exception, exception.state_at(reviews, instant))).collect()
}

/// The exception in force at `instant` for any of `subjects`; of several the one that ends last.
pub fn exception_in_force<'a>(
    exceptions: impl IntoIterator<Item = &'a Exception>,
    reviews: &[Review],
    subjects: &[ExceptionSubject],
    instant: DateTime<Utc>,
) -> Option<Accepted> {
    let in_force = exceptions
        .into_iter()
        .filter(|it| it.at <= instant && subjects.contains(&it.subject) && it.is_in_force(reviews, instant));
    let last = in_force.max_by_key(|exception| exception.until)?;
    Some(Accepted { id: last.id.to_string(), until: last.until })
}
