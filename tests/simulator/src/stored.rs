//! Records written by hand: sorted anew for each request, and as wrong as a test wants them.

use serde_json::Value;

use crate::list::List;
use crate::query::{Filters, SortField};
use crate::token::SortKey;

pub(crate) struct Stored {
    pub(crate) organizations: Vec<Value>,
    pub(crate) agents: Vec<Value>,
    pub(crate) incident_reports: Vec<Value>,
}

impl Stored {
    fn records(&self, list: List) -> &[Value] {
        match list {
            List::Organizations => &self.organizations,
            List::Agents => &self.agents,
            List::IncidentReports => &self.incident_reports,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, list: List, index: u64) -> Option<&Value> {
        self.records(list).get(usize::try_from(index).ok()?)
    }

    pub(crate) fn count(&self, list: List) -> u64 {
        self.records(list).len() as u64
    }

    pub(crate) fn sort_key(&self, list: List, index: u64, field: SortField) -> SortKey {
        let name = match field {
            SortField::Id => "id",
            SortField::CreatedAt => "created_at",
            SortField::UpdatedAt => "updated_at",
            SortField::Name => "name",
            SortField::Key => "key",
        };
        match self.get(list, index).and_then(|record| record.get(name)) {
            Some(Value::Number(number)) => number.as_i64().map_or(SortKey::Null, SortKey::Number),
            Some(Value::String(text)) => SortKey::Text(text.clone()),
            _ => SortKey::Null,
        }
    }

    pub(crate) fn matches(&self, list: List, index: u64, filters: &Filters) -> bool {
        let Some(record) = self.get(list, index) else {
            return false;
        };
        let is = |name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| record.get(name).and_then(Value::as_str) == Some(wanted))
        };
        let belongs = filters.organization_id.is_none_or(|wanted| match record.get("organization_id") {
            Some(Value::String(id)) => id.parse() == Ok(wanted),
            Some(id) => id.as_i64() == Some(wanted),
            None => false,
        });
        belongs
            && is("platform", &filters.platform)
            && is("status", &filters.status)
            && is("severity", &filters.severity)
            && is("name", &filters.name)
            && is("key", &filters.key)
    }
}
