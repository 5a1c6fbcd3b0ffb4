//! The parameters of a list, checked as the vendor's schema says: a value outside its closed set is a 400, a parameter
//! that does not exist is ignored.

use serde::{Deserialize, Serialize};

use crate::list::List;
use crate::token::{Place, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SortField {
    Id,
    CreatedAt,
    UpdatedAt,
    Name,
    Key,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    pub(crate) organization_id: Option<i64>,
    pub(crate) platform: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) key: Option<String>,
}

impl Filters {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) limit: u32,
    pub(crate) field: SortField,
    pub(crate) ascending: bool,
    pub(crate) filters: Filters,
    pub(crate) token: Option<Token>,
}

const AGENT_PLATFORMS: &[&str] = &["windows", "darwin", "linux"];
const INCIDENT_PLATFORMS: &[&str] =
    &["windows", "darwin", "microsoft_365", "google", "linux", "email_security", "other"];
const INCIDENT_STATUSES: &[&str] =
    &["sent", "closed", "dismissed", "auto_remediating", "deleting", "partner_dismissed"];
const SEVERITIES: &[&str] = &["low", "high", "critical"];

impl ListQuery {
    /// The error names the parameter.
    pub(crate) fn parse(list: List, pairs: &[(String, String)]) -> Result<Self, &'static str> {
        // Of a repeated parameter the last one counts, as in Rack, which the vendor's API is built on.
        let value = |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let one_of = |name: &'static str, words: &[&str]| match value(name) {
            Some(word) if !words.contains(&word) => Err(name),
            word => Ok(word.map(str::to_owned)),
        };
        let text = |name: &str| value(name).map(str::to_owned);
        let whole = |name: &'static str| value(name).map(|it| it.parse().map_err(|_| name)).transpose();

        let limit = match value("limit").map(str::parse) {
            None => 10,
            Some(Ok(limit @ 1..=500)) => limit,
            Some(_) => return Err("limit"),
        };
        let field = match (value("sort_field").unwrap_or("id"), list) {
            ("id", _) => SortField::Id,
            ("created_at", _) => SortField::CreatedAt,
            ("updated_at", _) => SortField::UpdatedAt,
            ("name", List::Organizations) => SortField::Name,
            ("key", List::Organizations) => SortField::Key,
            _ => return Err("sort_field"),
        };
        let ascending = match value("sort_direction").unwrap_or("desc") {
            "asc" => true,
            "desc" => false,
            _ => return Err("sort_direction"),
        };
        let filters = match list {
            List::Organizations => Filters { name: text("name"), key: text("key"), ..Filters::default() },
            List::Agents => Filters {
                organization_id: whole("organization_id")?,
                platform: one_of("platform", AGENT_PLATFORMS)?,
                ..Filters::default()
            },
            List::IncidentReports => Filters {
                organization_id: whole("organization_id")?,
                platform: one_of("platform", INCIDENT_PLATFORMS)?,
                status: one_of("status", INCIDENT_STATUSES)?,
                severity: one_of("severity", SEVERITIES)?,
                ..Filters::default()
            },
            _ => Filters::default(),
        };
        let token = value("page_token").map(|text| Token::from_text(text).ok_or("page_token")).transpose()?;
        // A token made for another order points nowhere in this one.
        if let Some(Token { place: Place::After(made_for, _), .. }) = &token
            && *made_for != field
        {
            return Err("page_token");
        }
        Ok(Self { limit, field, ascending, filters, token })
    }
}
