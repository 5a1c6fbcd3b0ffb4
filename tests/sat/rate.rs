//! The account's limits of requests, in simulated time.

use crate::records::{assignment, serve, workforce};
use acceptance::log::Log;
use acceptance::sat::{SatOutcome, SatScene};
use chrono::TimeDelta;
use common::domain::failure::FailureCode;
use simulator::{List, SatAccount};

fn of_assignments(count: usize) -> SatAccount {
    let mut records = workforce(10, 9);
    records.assignments.extend((1..count).map(|n| assignment(&format!("as{n}"), "completed")));
    serve(records)
}

fn refused(outcome: &SatOutcome) -> usize {
    outcome.requests.iter().filter(|request| request.status == Some(429)).count()
}

/// The most requests in any period that the account saw, those for tokens too.
fn densest(outcome: &SatOutcome, period: TimeDelta) -> usize {
    let times: Vec<_> = outcome.requests.iter().map(|request| request.at).collect();
    let within = |from| times.iter().filter(|at| (TimeDelta::zero()..period).contains(&(**at - from))).count();
    times.iter().map(|from| within(*from)).max().unwrap_or(0)
}

#[tokio::test]
async fn an_account_with_250_assignments_is_collected_without_a_single_429() {
    let outcome = SatScene::of(of_assignments(250)).exact_time().collect().await;
    assert_eq!(outcome.coverage().2.distinct_trained_learners, 9);
    assert_eq!((outcome.requests_to(List::LearnerActivity).len(), refused(&outcome)), (250, 0));
    assert_eq!(outcome.requests.len(), 256);
    assert_eq!(densest(&outcome, TimeDelta::minutes(1)), 200);
    assert!((60..70).contains(&outcome.passed.num_seconds()), "{}", outcome.passed);
}

#[tokio::test]
async fn the_limit_of_an_hour_is_kept_as_well() {
    let outcome = SatScene::of(of_assignments(1600)).exact_time().patience(TimeDelta::hours(3)).collect().await;
    // The token lives for an hour, so some requests are answered the second time.
    let answered = outcome.requests_to(List::LearnerActivity).iter().filter(|it| it.status == Some(200)).count();
    assert_eq!((answered, refused(&outcome)), (1600, 0));
    assert_eq!(densest(&outcome, TimeDelta::minutes(1)), 200);
    assert_eq!(densest(&outcome, TimeDelta::hours(1)), 1500);
    assert!((60..70).contains(&outcome.passed.num_minutes()), "{}", outcome.passed);
}

#[tokio::test]
async fn a_limit_that_outlives_the_run_ends_it_as_rate_limited() {
    let outcome = SatScene::of(of_assignments(250)).exact_time().patience(TimeDelta::seconds(30)).collect().await;
    assert_eq!(outcome.failure().code, FailureCode::RateLimited, "{}", outcome.failure());
    assert!(!outcome.failure().code.is_auth());
    // Of those that were under way when it ended, some never arrived.
    assert!((192..=200).contains(&outcome.requests.len()), "{}", outcome.requests.len());
    assert_eq!((refused(&outcome), outcome.passed), (0, TimeDelta::zero()));
}

#[tokio::test]
async fn fewer_than_100_requests_left_are_told_once_in_the_metadata() {
    // 1 account list, 1 account, 3 lists and the activity of each assignment: 5 + n requests of 200.
    for (assignments, left) in [(94, None), (95, None), (96, Some(99)), (105, Some(90))] {
        let outcome = SatScene::of(of_assignments(assignments)).exact_time().collect().await;
        let warning = outcome.bundle().metadata.rate_limit_warning;
        assert_eq!(warning.as_ref().map(|it| it.lowest_remaining), left, "{assignments}");
        assert!(warning.is_none_or(|it| it.advice.contains("integration")));
    }
}

#[tokio::test]
async fn a_source_that_says_nothing_of_its_limit_gives_no_warning() {
    let outcome = SatScene::of(of_assignments(150)).simulator(|it| it.rate_headers(false)).collect().await;
    assert_eq!(outcome.bundle().metadata.rate_limit_warning, None);
}

#[test]
fn fewer_than_100_requests_left_are_one_warning_in_the_log() {
    let logged = |assignments| {
        let scene = SatScene::of(of_assignments(assignments)).exact_time();
        let (outcome, log) = Log::of(|| scene.collect_blocking());
        assert!(outcome.result.is_ok());
        log.lines().filter(|line| line.contains("WARN") && line.contains("few requests are left")).count()
    };
    assert_eq!((logged(95), logged(120)), (0, 1));
}
