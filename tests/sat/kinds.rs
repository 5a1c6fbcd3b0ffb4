//! Kinds of anomalies that users of this API and of others met: each in every list where it can occur.

use crate::records::{ACCOUNT, account, activity, assignment, campaign, lately, learner, serve, with, workforce};
use acceptance::edr::as_of;
use acceptance::sat::{SatOutcome, SatScene};
use chrono::TimeDelta;
use common::domain::failure::FailureCode;
use common::domain::quality::QualityCode;
use common::domain::sat::status::Status;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use simulator::{FaultKind, List, SatRecords};

const LISTS: [List; 5] =
    [List::Accounts, List::Assignments, List::LearnerActivity, List::Learners, List::PhishingCampaigns];

fn request(list: List) -> String {
    format!("GET {}", list.path_of(if list == List::LearnerActivity { "1" } else { ACCOUNT }))
}

/// Four learners, three of them trained, one campaign; all ids but the account's are numbers.
fn numbered() -> SatRecords {
    SatRecords {
        accounts: vec![account()],
        learners: (1..=4).map(|n| learner(&n.to_string(), "active")).collect(),
        assignments: vec![assignment("1", "completed")],
        learner_activity: [(
            "1".to_owned(),
            (1..=3).map(|n| activity(&(10 + n).to_string(), &n.to_string(), Some(&lately()))).collect(),
        )]
        .into(),
        phishing_campaigns: vec![campaign("7", 100, 3, 9)],
        ..SatRecords::default()
    }
}

#[track_caller]
fn assert_numbered(outcome: &SatOutcome) {
    let (status, _, coverage) = outcome.coverage();
    assert_eq!(
        (status, coverage.distinct_trained_learners, coverage.departed_trained_learners),
        (Status::Warning, 3, 0)
    );
    assert_eq!((outcome.phishing().2.sent, outcome.phishing().2.campaigns), (100, 1));
    assert_eq!(outcome.quality(), []);
}

async fn patched(list: List, change: impl Fn(&mut Value) + Send + Sync + 'static) -> SatOutcome {
    SatScene::of(serve(numbered())).always(list, FaultKind::patch(change)).collect().await
}

#[tokio::test]
async fn ids_of_another_type_are_the_same_ids() {
    for list in [List::Assignments, List::LearnerActivity, List::Learners, List::PhishingCampaigns] {
        let outcome = patched(list, |page| {
            for record in page["data"].as_array_mut().unwrap() {
                let number = |id: &Value| json!(id.as_str().unwrap().parse::<u64>().unwrap());
                record["id"] = number(&record["id"]);
                if record["attributes"]["learnerId"].is_string() {
                    record["attributes"]["learnerId"] = number(&record["attributes"]["learnerId"]);
                }
            }
        });
        assert_numbered(&outcome.await);
    }
    let mut records = numbered();
    records.accounts[0]["id"] = json!("12345");
    let outcome = SatScene::of(serve(records))
        .always(List::Accounts, FaultKind::patch(|page| page["data"][0]["id"] = json!(12_345)))
        .collect()
        .await;
    assert_numbered(&outcome);
}

#[tokio::test]
async fn the_same_id_in_both_forms_is_one() {
    for list in [List::Assignments, List::LearnerActivity, List::Learners, List::PhishingCampaigns] {
        let outcome = patched(list, |page| {
            let mut copy = page["data"][0].clone();
            copy["id"] = json!(copy["id"].as_str().unwrap().parse::<u64>().unwrap());
            page["data"].as_array_mut().unwrap().push(copy);
            page["meta"] = json!({"page": {"lastPage": 1}});
        });
        let outcome = outcome.await;
        assert_eq!(outcome.quality(), [(QualityCode::DuplicateRecord, 1)], "{list:?}");
        assert_eq!((outcome.coverage().2.distinct_trained_learners, outcome.phishing().2.sent), (3, 100));
    }
}

#[tokio::test]
async fn more_that_is_announced_in_other_words_is_read_or_is_an_error() {
    for list in LISTS {
        for contradiction in [
            json!({"meta": {"page": {"lastPage": 1, "total": 9}}}),
            json!({"meta": {"page": {"lastPage": 1}}, "links": {"next": "https://mycurricula.com/x"}}),
            json!({"meta": {"page": {"lastPage": 2}}, "links": {"next": null}}),
            json!({"meta": {"last_page": 1, "page": {"lastPage": 2}}}),
            json!({"meta": {"pagination": {"total_pages": 1}}, "links": {"next": {"href": "x"}}}),
        ] {
            let said = contradiction.clone();
            let outcome = patched(list, move |page| {
                page.as_object_mut().unwrap().remove("links");
                page.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
            });
            let outcome = outcome.await;
            outcome.assert_failure(FailureCode::Inconsistent, &request(list), &["contradicts itself"]);
            assert_eq!(outcome.requests_to(list).len(), 1, "{contradiction}");
        }
    }
}

/// What a page says of the pages after it, in other words than the simulator's.
fn end(words: u8, page: &mut Value, origin: &str) {
    let said = page["meta"]["page"].clone();
    let (number, last) = (said["currentPage"].as_u64().unwrap(), said["lastPage"].as_u64().unwrap());
    let next = if number < last { json!(format!("{origin}?page[number]={}", number + 1)) } else { json!(null) };
    page.as_object_mut().unwrap().remove("links");
    match words {
        0 => page["meta"] = json!({"page": {"last-page": last}}),
        1 => page["meta"] = json!({"current_page": number, "last_page": last.to_string(), "total": said["total"]}),
        2 => page["meta"] = json!({"pagination": {"total": said["total"], "total_pages": last}}),
        3 => page["meta"] = json!({"page": {"total": said["total"]}}),
        4 => (page["meta"], page["links"]) = (json!({}), json!({"next": next})),
        5 => page["meta"] = json!({"has_more": u8::from(number < last)}),
        6 => (page["meta"], page["links"]) = (said.clone(), json!({"next": next, "self": "x"})),
        _ => page["meta"] = json!(null),
    }
}

#[tokio::test]
async fn every_word_for_the_end_leads_to_the_whole_list() {
    for words in 0..=7 {
        for list in LISTS {
            let mut records = workforce(40, 30);
            records.phishing_campaigns = (0..23).map(|n| campaign(&format!("c{n}"), 10, 0, 1)).collect();
            let scene = SatScene::of(serve(records)).simulator(|it| it.sat_max_page(10));
            let outcome =
                scene.always(list, FaultKind::patch(move |page| end(words, page, "https://x"))).collect().await;
            let read = outcome.bundle().metadata.records_read;
            assert_eq!(
                (read.learners, read.learner_activity, read.phishing_campaigns),
                (40, 30, 23),
                "{words} {list:?}"
            );
            assert_eq!(outcome.quality(), []);
        }
    }
}

#[tokio::test]
async fn an_answer_that_reports_errors_is_no_evidence() {
    for list in LISTS {
        let outcome = patched(list, |page| {
            page["data"] = json!([]);
            page["errors"] = json!([{"status": "500"}]);
        });
        outcome.await.assert_failure(FailureCode::Unavailable, &request(list), &["reports errors"]);
    }
    let outcome = patched(List::AccountById, |page| page["errors"] = json!([{"status": "500"}])).await;
    outcome.assert_failure(FailureCode::Unavailable, &request(List::AccountById), &["reports errors"]);
}

#[tokio::test]
async fn codings_marks_and_flags_are_read_as_in_the_endpoint_api() {
    for list in LISTS {
        let coded = SatScene::of(serve(numbered())).always(list, FaultKind::headers(&[("content-encoding", "br")]));
        coded.collect().await.assert_failure(FailureCode::Malformed, &request(list), &["content coding"]);
        let marked = FaultKind::rewrite(&[], |body| [b"\xef\xbb\xbf".to_vec(), body].concat());
        assert_numbered(&SatScene::of(serve(numbered())).always(list, marked).collect().await);
    }
    for parent in [json!(1), json!("1"), json!("TRUE"), json!(true)] {
        let mut records = numbered();
        records.phishing_campaigns.push(with(campaign("8", 50, 50, 0), json!({"isParent": parent})));
        assert_numbered(&SatScene::of(serve(records)).collect().await);
    }
    for child in [json!(0), json!("0"), json!("false"), json!(null)] {
        let mut records = numbered();
        records.phishing_campaigns = vec![with(campaign("7", 100, 3, 9), json!({"isParent": child}))];
        assert_numbered(&SatScene::of(serve(records)).collect().await);
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_in_a_name_stops_nothing() {
    let name = FaultKind::rewrite(&[], |body| {
        String::from_utf8(body).unwrap().replace("Acme Inc.", r"Acme \ud83d").into_bytes()
    });
    let outcome = SatScene::of(serve(numbered())).always(List::Accounts, name).collect().await;
    assert_numbered(&outcome);
    let name = |name: Value| FaultKind::patch(move |page| page["data"][0]["attributes"]["name"] = name.clone());
    for long in [json!("x".repeat(500_000)), json!("a\u{1b}[2J\u{202e}\u{0}")] {
        assert_numbered(&SatScene::of(serve(numbered())).always(List::Accounts, name(long.clone())).collect().await);
        assert_numbered(&SatScene::of(serve(numbered())).always(List::Assignments, name(long)).collect().await);
    }
}

#[tokio::test]
async fn a_clock_that_is_more_than_five_minutes_off_ends_the_run() {
    let date = (as_of() - TimeDelta::days(200)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for list in LISTS.into_iter().chain([List::AccountById]) {
        let wrong = FaultKind::headers(&[("date", &date)]);
        let outcome = SatScene::of(serve(numbered())).always(list, wrong).collect().await;
        outcome.assert_failure(FailureCode::ClockWrong, &request(list), &["200 days ahead of"]);
    }
    let wrong = FaultKind::headers(&[("date", &date)]);
    let outcome = SatScene::of(serve(numbered())).always(List::Token, wrong).collect().await;
    outcome.assert_failure(FailureCode::ClockWrong, "POST /oauth/token", &["200 days ahead of"]);
}

#[tokio::test]
async fn a_completion_at_no_date_trains_nobody() {
    for zero in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"] {
        let mut records = numbered();
        records.learner_activity.insert("1".to_owned(), vec![activity("11", "1", Some(zero))]);
        let outcome = SatScene::of(serve(records)).collect().await;
        assert_eq!(outcome.coverage().2.distinct_trained_learners, 0);
        assert_eq!(outcome.quality(), [(QualityCode::MalformedTimestamp, 1)]);
    }
}

fn spelled(ids: &[u8], page: &mut Value) {
    for record in page["data"].as_array_mut().unwrap() {
        let number = |id: &Value| id.as_str().and_then(|id| id.parse::<u64>().ok());
        let spell = |id: u64| match ids[id as usize % ids.len()] {
            0 => json!(id),
            1 => json!(id.to_string()),
            2 => json!(format!("\t{id} ")),
            _ => json!(id as f64),
        };
        if let Some(id) = number(&record["id"]) {
            record["id"] = spell(id);
        }
        if let Some(id) = number(&record["attributes"]["learnerId"]) {
            record["attributes"]["learnerId"] = spell(id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_spelled_the_evidence_is_the_same(
        ids in proptest::collection::vec(0_u8..4, 6),
        words in proptest::collection::vec(0_u8..8, 5),
        size in 1_u32..4,
        lifetime in select(vec![None, Some(1), Some(3)]),
    ) {
        let scene = SatScene::of(serve(numbered()))
            .simulator(move |it| it.sat_max_page(size).token_lifetime_requests(lifetime));
        let scene = LISTS.into_iter().zip(words).fold(scene, |scene, (list, words)| {
            let ids = ids.clone();
            scene.always(list, FaultKind::patch(move |page| {
                spelled(&ids, page);
                end(words, page, "https://x");
            }))
        });
        assert_numbered(&scene.collect_blocking());
    }
}
