//! One page of a list.

use crate::account::Account;
use crate::list::List;
use crate::query::ListQuery;
use crate::token::{Place, Position, SortKey, Token};

#[derive(Default)]
pub(crate) struct Page {
    /// The records' JSON, with commas between.
    pub(crate) records: Vec<u8>,
    /// Where the next page begins; absent on the last.
    pub(crate) next: Option<Token>,
}

impl Account {
    pub(crate) fn page(&self, list: List, query: &ListQuery, limit: u32) -> Page {
        let after = match query.token.as_ref().map(|token| &token.place) {
            None | Some(Place::Start) => None,
            Some(Place::After(_, position)) => Some(position),
            Some(Place::Beyond) => return Page::default(),
        };
        let mut indices = self.indices(list, query, after).filter(|index| self.matches(list, *index, &query.filters));
        let mut records = Vec::new();
        let mut last = None;
        for index in indices.by_ref().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            if last.is_some() {
                records.push(b',');
            }
            self.write(list, index, &mut records);
            last = Some(index);
        }
        let next = last
            .filter(|_| indices.next().is_some())
            .map(|index| Token { place: Place::After(query.field, self.position(list, index, query)), turn: 0 });
        Page { records, next }
    }

    fn position(&self, list: List, index: u64, query: &ListQuery) -> Position {
        Position(self.sort_key(list, index, query.field), self.id(list, index), index)
    }

    /// The indices from behind `after` on, in the order asked for.
    fn indices<'a>(
        &'a self,
        list: List,
        query: &'a ListQuery,
        after: Option<&Position>,
    ) -> Box<dyn Iterator<Item = u64> + 'a> {
        let count = self.count(list);
        if let Some(generated) = self.in_order_of(query.field) {
            // A generated id says where its record is, so that the millionth page costs what the first does.
            let id = after.map(|Position(_, id, _)| match id {
                SortKey::Number(id) => *id,
                SortKey::Null | SortKey::Text(_) => i64::MIN,
            });
            return if query.ascending {
                Box::new(id.map_or(0, |id| generated.lower_bound(list, id.saturating_add(1)))..count)
            } else {
                Box::new((0..id.map_or(count, |id| generated.lower_bound(list, id))).rev())
            };
        }
        let mut positions: Vec<_> = (0..count).map(|index| self.position(list, index, query)).collect();
        positions.sort_unstable();
        let indices = |positions: Vec<Position>| positions.into_iter().map(|Position(_, _, index)| index);
        if query.ascending {
            let from = after.map_or(0, |after| positions.partition_point(|it| it <= after));
            Box::new(indices(positions).skip(from))
        } else {
            let to = after.map_or(positions.len(), |after| positions.partition_point(|it| it < after));
            positions.truncate(to);
            Box::new(indices(positions).rev())
        }
    }
}
