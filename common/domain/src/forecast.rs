//! What the next run of a connection will ask of Huntress, if its account is as it was: arithmetic on the last run, on the account's request limits, and on
//! what is left of them.

use super::id::RunId;
use super::product::Product;
use super::rate_limit::RateLimitStatus;
use super::run::{LONGEST_RUN, RecordCounts, Run, RunStatus};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How a client sends: the limiter's windows, and the sizes and waits that the client itself goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPolicy {
    /// Every limit of the account, with what is used of it.
    pub limits: Vec<RateLimitStatus>,
    /// Records of a page, if the server gives as many as are asked for.
    pub page_size: u64,
    /// Waits of more than this in all are not waited for: the run goes on in another part.
    pub part_waits: TimeDelta,
}

/// Requests of one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListForecast {
    /// The list, as in the records of a run; `token` and `account` are what every run of training asks besides.
    pub list: String,
    /// Records that the last run read of it.
    pub records: Option<u64>,
    /// Requests that reading it again takes.
    pub requests: u64,
}

/// Where the numbers of pages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The last run counted the pages of each list: the requests are exact while the account is as it was.
    Pages,
    /// The last run is of a release that counted records alone: the requests are the fewest that so many records can take.
    Records,
}

/// The next run, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Forecast {
    /// The run that it is told from.
    pub last_run: RunId,
    /// When that one was evaluated.
    pub as_of: Option<DateTime<Utc>>,
    /// Where the numbers of pages come from.
    pub basis: Basis,
    /// Requests by list. Those that are tried again come on top.
    pub lists: Vec<ListForecast>,
    /// All requests of the run.
    pub requests: u64,
    /// Requests that the narrowest limit leaves now; `None` without a limit.
    pub left_now: Option<u64>,
    /// Parts that the run takes, one more than its continuations.
    pub parts: u64,
    /// Seconds that the limits alone make it take, rounded up; they are counted no further than the 23 hours that a run may take.
    pub limits_seconds: u64,
    /// Seconds that the last run took, its waiting included, rounded up.
    pub last_run_seconds: Option<u64>,
    /// Seconds that it will take: the longer of the two.
    pub seconds: u64,
    /// Whether it ends in time: a run of more than 23 hours ends as `rate_limited`.
    pub in_time: bool,
}

/// Tells the next run from the newest of `runs` that succeeded; `None` if none did.
///
/// ```
/// use chrono::TimeDelta;
/// use evidence_domain::forecast::{RequestPolicy, forecast};
/// use evidence_domain::rate_limit::{Limit, RateLimitStatus};
/// use evidence_domain::{product::Product, time::parse};
/// let last = r#"{"id": "r", "company": "acme", "connection": "edr", "trigger": "schedule", "status": "succeeded", "requested_at": "2026-03-22T11:00:00Z",
///     "records": {"organizations": 40, "agents": 40000, "incident_reports": 900}}"#;
/// let (last, now) = (serde_json::from_str(last).unwrap(), parse("2026-03-23T11:00:00Z").unwrap());
/// let minute = RateLimitStatus::new(Limit { requests: 60, period: TimeDelta::seconds(60) });
/// let policy = RequestPolicy { limits: vec![minute], page_size: 500, part_waits: TimeDelta::seconds(9) };
/// let next = forecast(Product::Edr, &[last], &policy, now).unwrap();
/// // 1 page of organizations, 80 of agents, 2 of incidents; the 61st has to wait a minute, which a later part does.
/// assert_eq!((next.requests, next.parts, next.seconds), (83, 2, 60));
/// ```
#[must_use]
pub fn forecast(product: Product, runs: &[Run], policy: &RequestPolicy, now: DateTime<Utc>) -> Option<Forecast> {
    let last = runs.iter().find(|run| run.status == RunStatus::Succeeded)?;
    let (basis, pages) = match last.pages.is_empty() {
        false => (Basis::Pages, last.pages.clone()),
        true => (Basis::Records, pages_of(&last.records, policy.page_size)),
    };
    let mut lists: Vec<ListForecast> = pages
        .into_iter()
        .map(|(list, requests)| ListForecast { records: last.records.get(&list).copied(), list, requests })
        .collect();
    // The counts of the account, and a token for each part.
    let (once, each_part) = match product {
        Product::Edr => (0, 0),
        Product::Sat => (1, 1),
    };
    let wanted = lists.iter().map(|list| list.requests).sum::<u64>() + once;
    let pace = pace(wanted, each_part, policy, now);
    let besides = [("account", once), ("token", each_part * pace.parts)].map(|(list, requests)| ListForecast {
        list: list.to_owned(),
        records: None,
        requests,
    });
    lists.extend(besides.into_iter().filter(|list| list.requests > 0));
    let took = last.as_of.zip(last.finished_at).map(|(start, end)| seconds(end.signed_duration_since(start)));
    let limits_seconds = seconds(pace.last.signed_duration_since(now));
    Some(Forecast {
        last_run: last.id.clone(),
        as_of: last.as_of,
        basis,
        requests: lists.iter().map(|list| list.requests).sum(),
        lists,
        left_now: policy.limits.iter().map(|limit| u64::from(limit.left(now))).min(),
        parts: pace.parts,
        limits_seconds,
        last_run_seconds: took,
        seconds: took.map_or(limits_seconds, |took| took.max(limits_seconds)),
        in_time: pace.last.signed_duration_since(now) <= LONGEST_RUN,
    })
}

/// The fewest pages that so many records can have. Every assignment is taken for one that has activity to read.
fn pages_of(records: &RecordCounts, page_size: u64) -> RecordCounts {
    let assignments = records.get("assignments").copied().unwrap_or(0);
    let fewest = |(list, count): (&String, &u64)| {
        let least = if list == "learner_activity" { assignments } else { 1 };
        (list.clone(), count.div_ceil(page_size.max(1)).max(least))
    };
    records.iter().map(fewest).collect()
}

/// How requests go out that are sent as early as limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    /// When the last one goes.
    last: DateTime<Utc>,
    /// In how many parts.
    parts: u64,
}

/// Sends `wanted` requests, and `each_part` besides at the beginning of each part. No time passes but by waiting; a wait that is too long begins a part. It
/// ends early with what cannot be done within [`LONGEST_RUN`].
fn pace(wanted: u64, each_part: u64, policy: &RequestPolicy, now: DateTime<Utc>) -> Pace {
    let mut limits = policy.limits.clone();
    let mut pace = Pace { last: now, parts: 1 };
    let (mut waited, mut left) = (TimeDelta::zero(), wanted + each_part);
    // A limit that only just allows what each part asks besides would go on for ever.
    while left > 0 && pace.last.signed_duration_since(now) <= LONGEST_RUN {
        let opens_at = limits.iter().map(|limit| limit.opens_at(pace.last)).max().unwrap_or(pace.last);
        waited += opens_at.signed_duration_since(pace.last);
        pace.last = opens_at;
        if waited > policy.part_waits {
            pace.parts += 1;
            left += each_part;
            waited = TimeDelta::zero();
        }
        for limit in &mut limits {
            limit.forget_before(opens_at);
            limit.record(opens_at, 1);
        }
        left -= 1;
    }
    pace
}

fn seconds(time: TimeDelta) -> u64 {
    let milliseconds = time.max(TimeDelta::zero()).num_milliseconds().unsigned_abs();
    milliseconds.div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Limit;
    use crate::time::parse;
    use proptest::prelude::*;

    fn now() -> DateTime<Utc> {
        parse("2026-03-22T12:00:00Z").unwrap()
    }

    fn limit(requests: u32, seconds: i64) -> RateLimitStatus {
        RateLimitStatus::new(Limit { requests, period: TimeDelta::seconds(seconds) })
    }

    fn policy(limits: &[RateLimitStatus], page_size: u64) -> RequestPolicy {
        RequestPolicy { limits: limits.to_vec(), page_size, part_waits: TimeDelta::seconds(9) }
    }

    fn used(times: usize, seconds_ago: i64) -> RateLimitStatus {
        let mut used = limit(60, 60);
        used.record(now() - TimeDelta::seconds(seconds_ago), times);
        used
    }

    fn run(id: &str, status: RunStatus, pages: &[(&str, u64)], records: &[(&str, u64)]) -> Run {
        let text = format!(
            r#"{{"id": "{id}", "company": "acme", "connection": "c", "trigger": "schedule", "status": "queued", "requested_at": "2026-03-22T11:00:00Z"}}"#
        );
        let counts = |of: &[(&str, u64)]| of.iter().map(|(list, count)| ((*list).to_owned(), *count)).collect();
        Run { status, pages: counts(pages), records: counts(records), ..serde_json::from_str(&text).unwrap() }
    }

    #[test]
    fn training_asks_for_a_token_in_each_part_and_for_the_account_once() {
        let pages = [
            ("accounts", 1),
            ("assignments", 5),
            ("learner_activity", 2_990),
            ("learners", 2),
            ("phishing_campaigns", 1),
        ];
        let limits = [limit(200, 60), limit(1_500, 3_600)];
        let last = run("r", RunStatus::Succeeded, &pages, &[("assignments", 5_000)]);
        let next = forecast(Product::Sat, &[last], &policy(&limits, 1_000), now()).unwrap();
        // 200 a minute up to 1,500, at the eighth minute; from then on as many in the next hour; and the 3,001st after two.
        assert!((3_000 + 15..=3_000 + 19).contains(&next.requests), "{}", next.requests);
        assert_eq!((next.parts, next.in_time, next.left_now), (next.requests - 3_000, true, Some(200)));
        assert!((7_200..7_300).contains(&next.limits_seconds), "{}", next.limits_seconds);
        let of = |list: &str| next.lists.iter().find(|it| it.list == list).unwrap().requests;
        assert_eq!((of("account"), of("token"), of("learner_activity")), (1, next.parts, 2_990));
    }

    #[test]
    fn the_newest_run_that_succeeded_counts() {
        let failed = run("new", RunStatus::Failed, &[], &[]);
        assert_eq!(forecast(Product::Edr, std::slice::from_ref(&failed), &policy(&[], 500), now()), None);
        let runs = [
            failed,
            run("good", RunStatus::Succeeded, &[("agents", 7)], &[]),
            run("old", RunStatus::Succeeded, &[("agents", 9)], &[]),
        ];
        let next = forecast(Product::Edr, &runs, &policy(&[], 500), now()).unwrap();
        assert_eq!((next.last_run.as_str(), next.requests, next.parts, next.seconds), ("good", 7, 1, 0));
        assert_eq!((next.basis, next.left_now), (Basis::Pages, None));
    }

    #[test]
    fn a_run_that_counted_records_alone_gives_the_fewest_pages() {
        let records = [("organizations", 0), ("agents", 1_000), ("incident_reports", 1_001)];
        let next =
            forecast(Product::Edr, &[run("r", RunStatus::Succeeded, &[], &records)], &policy(&[], 500), now()).unwrap();
        assert_eq!((next.basis, next.requests), (Basis::Records, 1 + 2 + 3));
        let records = [
            ("accounts", 1),
            ("assignments", 30),
            ("learner_activity", 500),
            ("learners", 1_001),
            ("phishing_campaigns", 0),
        ];
        let next = forecast(Product::Sat, &[run("r", RunStatus::Succeeded, &[], &records)], &policy(&[], 1_000), now())
            .unwrap();
        assert_eq!(next.requests, 1 + 1 + 30 + 2 + 1 + 2);
    }

    #[test]
    fn what_is_used_now_is_missing_and_what_takes_too_long_is_said() {
        let used_early = used(60, 55);
        let last = [run("r", RunStatus::Succeeded, &[("agents", 3)], &[])];
        let next = forecast(Product::Edr, &last, &policy(&[used_early], 500), now()).unwrap();
        // Five seconds are waited for.
        assert_eq!((next.left_now, next.parts, next.seconds), (Some(0), 1, 5));
        let used_late = used(60, 10);
        let next = forecast(Product::Edr, &last, &policy(&[used_late], 500), now()).unwrap();
        assert_eq!((next.parts, next.seconds), (2, 50));
        let endless = [run("r", RunStatus::Succeeded, &[("agents", 100_000)], &[])];
        let next = forecast(Product::Edr, &endless, &policy(&[limit(60, 60)], 500), now()).unwrap();
        assert!(!next.in_time && next.seconds > 23 * 3_600, "{next:?}");
        // And a limit that lets nothing but the tokens through ends the reckoning, too.
        let pages = [run("r", RunStatus::Succeeded, &[("learners", 3)], &[])];
        assert!(!forecast(Product::Sat, &pages, &policy(&[limit(1, 60)], 1_000), now()).unwrap().in_time);
    }

    proptest! {
        #[test]
        fn more_requests_take_longer_and_the_limits_hold(few in 0_u64..400, more in 0_u64..400, requests in 1_u32..70, seconds in 1_i64..90) {
            let limits = [limit(requests, seconds)];
            let (one, other) = (pace(few, 0, &policy(&limits, 1), now()), pace(few + more, 0, &policy(&limits, 1), now()));
            prop_assert!(one.last <= other.last && one.parts <= other.parts);
            // One limit alone, from nothing used: whole periods pass.
            let periods = i64::try_from(few.saturating_sub(1) / u64::from(requests)).unwrap();
            prop_assert_eq!(one.last, now() + TimeDelta::seconds(seconds * periods));
        }

        #[test]
        fn every_list_takes_a_request_and_no_page_is_too_large(counts in proptest::collection::btree_map("[a-z]{1,6}", 0_u64..100_000, 1..5)) {
            for (list, pages) in pages_of(&counts, 500) {
                let records = counts[&list];
                prop_assert!(pages >= 1 && pages * 500 >= records);
                prop_assert!(pages == 1 || (pages - 1) * 500 < records);
            }
        }
    }
}
