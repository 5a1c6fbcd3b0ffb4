//! Runs without a worker: when their message is sent again, and when they are abandoned. So every run ends.

use super::run::LONGEST_RUN;
use chrono::{DateTime, TimeDelta, Utc};

/// A run that no worker has for so long has lost its message: SQS delivers within minutes, and a dead worker's lease is over by then.
pub const RESEND_AFTER: TimeDelta = TimeDelta::hours(1);

/// How often the message of a run is sent again whose workers did not finish it. A completed part resets the count.
pub const MOST_RESENDS: u32 = 3;

/// What is known of a run that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunProgress {
    /// From when on it was to be taken first.
    pub due_at: DateTime<Utc>,
    /// Its first start, if a worker took it.
    pub as_of: Option<DateTime<Utc>>,
    /// Until when a worker has it, or had it.
    pub lease_until: Option<DateTime<Utc>>,
    /// From when on it may go on, while it waits.
    pub continue_at: Option<DateTime<Utc>>,
    /// How often its message was sent again since it last got on.
    pub resent: u32,
    /// When it was sent again last.
    pub resent_at: Option<DateTime<Utc>>,
}

/// What is to be done about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: a worker has it, or its message is still in the queue.
    Leave,
    /// Its message is sent again.
    SendAgain,
    /// It ends as abandoned, because it is older than [`LONGEST_RUN`].
    TooOld,
    /// It ends as abandoned, because its message was sent again [`MOST_RESENDS`] times.
    TooOften,
}

/// What is to be done about a run at `now`. A run with a worker is always left alone; one that nobody took yet is waited for until it is too old, since a
/// long queue is no fault of its own.
#[must_use]
pub fn evaluate(run: RunProgress, now: DateTime<Utc>) -> Verdict {
    let since = run.lease_until.or(run.continue_at).unwrap_or(run.due_at);
    if since > now {
        return Verdict::Leave;
    }
    if now.signed_duration_since(run.as_of.unwrap_or(run.due_at)) > LONGEST_RUN {
        return Verdict::TooOld;
    }
    let since = run.resent_at.map_or(since, |resent_at| resent_at.max(since));
    if now.signed_duration_since(since) <= RESEND_AFTER {
        return Verdict::Leave;
    }
    match run.resent {
        ..MOST_RESENDS => Verdict::SendAgain,
        _ if run.as_of.is_none() => Verdict::Leave,
        _ => Verdict::TooOften,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;
    use proptest::prelude::*;

    fn tick() -> DateTime<Utc> {
        parse("2026-03-22T11:00:00Z").unwrap()
    }

    fn after(minutes: i64) -> DateTime<Utc> {
        tick() + TimeDelta::minutes(minutes)
    }

    fn queued() -> RunProgress {
        RunProgress { due_at: tick(), as_of: None, lease_until: None, continue_at: None, resent: 0, resent_at: None }
    }

    fn taken() -> RunProgress {
        RunProgress { as_of: Some(after(1)), lease_until: Some(after(17)), ..queued() }
    }

    #[test]
    fn a_lost_message_is_sent_again_after_an_hour_and_no_sooner() {
        assert_eq!(evaluate(queued(), after(60)), Verdict::Leave);
        assert_eq!(evaluate(queued(), after(61)), Verdict::SendAgain);
        assert_eq!(evaluate(taken(), after(77)), Verdict::Leave);
        assert_eq!(evaluate(taken(), after(78)), Verdict::SendAgain);
        let waiting = RunProgress { lease_until: None, continue_at: Some(after(100)), ..taken() };
        assert_eq!(evaluate(waiting, after(160)), Verdict::Leave);
        assert_eq!(evaluate(waiting, after(161)), Verdict::SendAgain);
        let resent = RunProgress { resent: 1, resent_at: Some(after(80)), ..taken() };
        assert_eq!(evaluate(resent, after(140)), Verdict::Leave);
        assert_eq!(evaluate(resent, after(141)), Verdict::SendAgain);
    }

    #[test]
    fn a_run_that_workers_die_of_is_given_up_and_one_that_waits_for_a_worker_is_not() {
        let often = RunProgress { resent: MOST_RESENDS, resent_at: Some(after(300)), ..taken() };
        assert_eq!(evaluate(often, after(361)), Verdict::TooOften);
        let never_taken = RunProgress { as_of: None, lease_until: None, ..often };
        assert_eq!(evaluate(never_taken, after(361)), Verdict::Leave);
        assert_eq!(evaluate(never_taken, after(23 * 60)), Verdict::Leave);
        assert_eq!(evaluate(never_taken, after(23 * 60 + 1)), Verdict::TooOld);
    }

    proptest! {
        #[test]
        fn who_has_a_lease_is_never_cut(until in 1_i64..3_000, as_of in -3_000_i64..0, resent in 0_u32..9) {
            let at_work = RunProgress { as_of: Some(after(as_of)), lease_until: Some(after(until)), resent, ..queued() };
            prop_assert_eq!(evaluate(at_work, tick()), Verdict::Leave);
        }

        #[test]
        fn every_run_ends(taken in any::<bool>(), step in 1_i64..90) {
            let mut run = if taken { self::taken() } else { queued() };
            let mut now = tick();
            let ended = loop {
                now += TimeDelta::minutes(step);
                match evaluate(run, now) {
                    Verdict::Leave => {}
                    Verdict::SendAgain => (run.resent, run.resent_at) = (run.resent + 1, Some(now)),
                    verdict => break verdict,
                }
                prop_assert!(now < after(25 * 60));
            };
            prop_assert_eq!(run.resent, MOST_RESENDS);
            prop_assert_eq!(ended, if taken { Verdict::TooOften } else { Verdict::TooOld });
        }
    }
}
