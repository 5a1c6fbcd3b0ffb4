//! Numbers that look random and are a pure function of the seed and the record's place.

/// Separate streams, so that a cheap question ("whose agent is this?") has the same answer whether or not the rest of the
/// record was built.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    AgentId = 1,
    AgentOwner,
    AgentRetired,
    AgentMachine,
    AgentDetail,
    IncidentId,
    IncidentSubject,
    IncidentTime,
    IncidentDetail,
    OrganizationId,
    OrganizationDetail,
    OrganizationName,
    Learner,
    Assignment,
    Activity,
    Absent,
    Departed,
    Campaign,
    SatId,
    AccessToken,
    AgentPast,
}

/// SplitMix64 (Steele, Lea, Flood 2014): 8 bytes of state, so a generator per record costs nothing, and no dependency
/// whose next version could change every generated account.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let stream = (stream as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(mix(seed ^ stream).wrapping_add(mix(index)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add_unsigned(self.below(width))
    }

    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(crate) fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64);
        usize::try_from(at).ok().and_then(|at| from.get(at)).copied().unwrap_or_default()
    }

    /// Uniform in `0..bound`, squared towards 0: a few large customers and a long tail of small ones.
    pub(crate) fn skewed_below(&mut self, bound: u64) -> u64 {
        let uniform = self.next();
        scale(scale(uniform, uniform), bound)
    }
}

fn scale(uniform: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(uniform) * u128::from(bound)) >> 64).unwrap_or(0)
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
