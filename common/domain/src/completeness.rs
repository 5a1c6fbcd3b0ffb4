//! How completely each list was read, and whether another source agrees: what auditors call completeness and accuracy of information that
//! the entity produced.

use super::quality::{Quality, QualityCode};
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The pages of one list, or of several of a kind, as they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagesRead {
    /// Path and query without the place in the list.
    request: String,
    pages: u64,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    /// Records that the list says it has.
    announced: Option<u64>,
}

impl PagesRead {
    /// Counts a page that was read at `observed_at`; `announced` is how many records it says that the list has.
    pub fn add(&mut self, request: &str, observed_at: DateTime<Utc>, announced: Option<u64>) {
        if self.pages == 0 {
            request.clone_into(&mut self.request);
        }
        self.pages += 1;
        let observed_at = observed_at.trunc_subsecs(0);
        self.first = self.first.or(Some(observed_at));
        self.last = self.last.max(Some(observed_at));
        self.announced = announced;
    }

    /// Adds another list of the same kind, under one request for all.
    pub fn join(&mut self, other: &Self, request: &str) {
        if other.pages == 0 {
            return;
        }
        self.announced = match (self.pages, self.announced, other.announced) {
            (0, _, announced) => announced,
            (_, Some(mine), Some(theirs)) => Some(mine.saturating_add(theirs)),
            _ => None,
        };
        request.clone_into(&mut self.request);
        self.pages += other.pages;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }

    /// Path and query without the place in the list.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Pages read.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Records that the list says it has.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }
}

/// Where a second count comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OtherSource {
    /// The sum of the organizations' counts of agents.
    #[serde(rename = "organizations.agents_count")]
    OrganizationsAgents,
    /// The sum of the organizations' counts of incident reports, which are cumulative.
    #[serde(rename = "organizations.incident_reports_count")]
    OrganizationsIncidents,
    /// The total that the pages of the list announce.
    #[serde(rename = "meta.page.total")]
    PageTotal,
    /// The account's own count of active learners.
    #[serde(rename = "account.activeLearners")]
    AccountActiveLearners,
}

/// What another source says of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The other source.
    pub from: OtherSource,
    /// How many it says there are.
    pub count: u64,
    /// What this is compared with: how many of the list were found that it counts.
    pub found: u64,
}

/// How completely one list was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListCompleteness {
    /// The list.
    pub list: String,
    /// Path and query without page tokens or numbers; empty where nothing was asked for.
    pub request: String,
    /// Pages read.
    pub pages: u64,
    /// Records listed, up to a cap.
    pub records: u64,
    /// Of them, different ones with an id.
    pub unique: u64,
    /// The others, by reason.
    pub dropped: BTreeMap<QualityCode, u64>,
    /// When the first page was read.
    pub first_observed_at: Option<DateTime<Utc>>,
    /// When the last page was read.
    pub last_observed_at: Option<DateTime<Utc>>,
    /// Whether the list was read to its end, and not cut at a cap.
    pub whole: bool,
    /// What another source says; null where none does.
    pub expected: Option<Expected>,
    /// Whether both agree; null where there is no other source.
    pub matches: Option<bool>,
}

/// What is dropped of a list before any rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Records that were listed before.
    pub duplicates: u64,
    /// Records without an id.
    pub without_id: u64,
}

impl Dropped {
    /// What one list noted.
    #[must_use]
    pub fn of(quality: &Quality) -> Self {
        Self {
            duplicates: quality.count(QualityCode::DuplicateRecord),
            without_id: quality.count(QualityCode::RecordWithoutId),
        }
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: Self) {
        self.duplicates += other.duplicates;
        self.without_id += other.without_id;
    }
}

impl ListCompleteness {
    /// The completeness of a list of which so many records were read.
    #[must_use]
    pub fn new(list: &str, read: &PagesRead, records: u64, dropped: Dropped) -> Self {
        let Dropped { duplicates, without_id } = dropped;
        let by_reason = [(QualityCode::DuplicateRecord, duplicates), (QualityCode::RecordWithoutId, without_id)];
        Self {
            list: list.to_owned(),
            request: read.request.clone(),
            pages: read.pages,
            records,
            unique: records.saturating_sub(duplicates + without_id),
            dropped: by_reason.into_iter().filter(|(_, count)| *count > 0).collect(),
            first_observed_at: read.first,
            last_observed_at: read.last,
            whole: true,
            expected: None,
            matches: None,
        }
    }

    /// The same of a list that was cut at its cap, or not.
    #[must_use]
    pub fn cut(self, cut: bool) -> Self {
        Self { whole: !cut, ..self }
    }

    /// The same beside what another source says, if it says so.
    #[must_use]
    pub fn beside(self, from: OtherSource, count: Option<u64>, found: u64) -> Self {
        match count {
            Some(count) => {
                Self { expected: Some(Expected { from, count, found }), matches: Some(count == found), ..self }
            }
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    #[test]
    fn lists_of_a_kind_add_up_and_one_that_does_not_tell_its_total_leaves_none() {
        let at = |text: &str| parse(text).unwrap();
        let mut one = PagesRead::default();
        one.add("/a?page[size]=100", at("2026-03-22T12:00:02Z"), Some(150));
        one.add("/a?page[size]=100", at("2026-03-22T12:00:03Z"), Some(150));
        let mut other = PagesRead::default();
        other.add("/b?page[size]=100", at("2026-03-22T12:00:01Z"), Some(7));
        let mut all = PagesRead::default();
        for read in [&one, &other, &PagesRead::default()] {
            all.join(read, "/{id}?page[size]=100");
        }
        assert_eq!((all.pages(), all.announced()), (3, Some(157)));
        let shown = ListCompleteness::new("activity", &all, 157, Dropped { duplicates: 2, without_id: 0 }).beside(
            OtherSource::PageTotal,
            all.announced(),
            157,
        );
        assert_eq!(shown.first_observed_at, Some(at("2026-03-22T12:00:01Z")));
        assert_eq!(shown.last_observed_at, Some(at("2026-03-22T12:00:03Z")));
        assert_eq!((shown.unique, shown.matches), (155, Some(true)));
        let mut silent = PagesRead::default();
        silent.add("/c", at("2026-03-22T12:00:01Z"), None);
        all.join(&silent, "/{id}");
        assert_eq!(all.announced(), None);
        let text = serde_json::to_string(&shown).unwrap();
        assert_eq!(serde_json::from_str::<ListCompleteness>(&text).unwrap(), shown);
    }
}
