//! Ids that ascend with gaps and can be found without a search: one per stretch of `stride` numbers.

use super::draw::{Draw, Stream};

#[derive(Clone, Copy)]
pub(crate) struct Ids {
    base: u64,
    stride: u64,
    stream: Stream,
}

impl Ids {
    pub(crate) const AGENTS: Self = Self { base: 4_200_000, stride: 8, stream: Stream::AgentId };
    pub(crate) const INCIDENTS: Self = Self { base: 910_000, stride: 5, stream: Stream::IncidentId };
    pub(crate) const ORGANIZATIONS: Self = Self { base: 30_000, stride: 7, stream: Stream::OrganizationId };

    pub(crate) fn id(self, seed: u64, index: u64) -> i64 {
        let jitter = Draw::new(seed, self.stream, index).below(self.stride);
        i64::try_from(self.base + index * self.stride + jitter).unwrap_or(i64::MAX)
    }

    /// The first index whose id is at least `id`.
    pub(crate) fn lower_bound(self, seed: u64, id: i64) -> u64 {
        let Some(offset) = u64::try_from(id).ok().and_then(|id| id.checked_sub(self.base)) else {
            return 0;
        };
        let index = offset / self.stride;
        if self.id(seed, index) >= id { index } else { index + 1 }
    }

    pub(crate) fn index_of(self, seed: u64, id: i64) -> Option<u64> {
        let index = self.lower_bound(seed, id);
        (self.id(seed, index) == id).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_are_found_again() {
        for ids in [Ids::AGENTS, Ids::INCIDENTS, Ids::ORGANIZATIONS] {
            let mut gaps = 0;
            for index in 0..2000 {
                let (id, next) = (ids.id(7, index), ids.id(7, index + 1));
                assert!(id < next);
                gaps += i32::from(next - id > 1);
                assert_eq!(ids.index_of(7, id), Some(index));
                assert_eq!(ids.lower_bound(7, id), index);
                assert_eq!(ids.lower_bound(7, id + 1), index + 1);
            }
            assert!(gaps > 1000);
            assert_eq!(ids.lower_bound(7, -1), 0);
            assert_eq!(ids.index_of(7, 3), None);
        }
    }
}
