//! Kinds of anomalies that users of this API and of others met: each in every list where it can occur.

use crate::records::{agent, agents, ago, hours_ago, incident, incidents, organization, small};
use acceptance::edr::{Outcome, Scene, as_of, metric, quality};
use chrono::TimeDelta;
use common::domain::failure::FailureCode;
use common::domain::quality::QualityCode;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use simulator::{Account, FaultKind, List};
use std::io::Write;

const LISTS: [List; 3] = [List::Organizations, List::Agents, List::IncidentReports];

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn assert_small(outcome: &Outcome) {
    outcome.assert_values(&[("organizations_total", "1"), ("agents_online", "1"), ("incidents_open", "1")]);
    outcome.assert_quality(&[]);
    assert_eq!(outcome.requests.len(), 3);
}

async fn patched(list: List, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Outcome {
    Scene::of(small()).always(list, FaultKind::patch(change)).collect().await
}

#[tokio::test]
async fn ids_of_another_type_are_the_same_ids() {
    for id in [json!(1), json!("1"), json!(" 1 "), json!(1.0)] {
        for list in LISTS {
            let id = id.clone();
            let outcome = patched(list, move |page| {
                page[list.key()][0]["id"] = id.clone();
                if list != List::Organizations {
                    page[list.key()][0]["organization_id"] = id.clone();
                }
            });
            let outcome = outcome.await;
            assert_small(&outcome);
            let of_organization = outcome.bundle_of(&["1"]).unwrap();
            assert_eq!(metric(&of_organization, "agents_online").metric_value.as_deref(), Some("1"));
        }
    }
}

#[tokio::test]
async fn the_same_id_in_both_forms_is_one() {
    for list in LISTS {
        let outcome = patched(list, move |page| {
            let mut copy = page[list.key()][0].clone();
            copy["id"] = json!("1");
            page[list.key()].as_array_mut().unwrap().push(copy);
        });
        let outcome = outcome.await;
        outcome.assert_values(&[("organizations_total", "1"), ("agents_online", "1"), ("incidents_open", "1")]);
        outcome.assert_quality(&[(QualityCode::DuplicateRecord, 1)]);
    }
}

#[tokio::test]
async fn more_that_is_announced_in_other_words_is_never_left_out() {
    for list in LISTS {
        for more in [
            json!({"next_page": 2}),
            json!({"next_page": "2", "next_page_token": null}),
            json!({"next_page_url": "https://api.huntress.io/v1/agents?page=2"}),
            json!({"total_count": 2, "current_page": 1}),
            json!({"total_count": "2"}),
            json!({"nextPageToken": "abc"}),
            json!({"has_more": true}),
            json!({"total_pages": 2}),
            json!({"links": {"next": "https://api.huntress.io/v1/agents?page=2"}}),
        ] {
            let said = more.clone();
            let outcome = patched(list, move |page| page["pagination"] = said.clone()).await;
            outcome.assert_failure(FailureCode::Inconsistent, list, &["announces more records"]);
            assert_eq!(outcome.requests_to(list).len(), 1, "{more}");
        }
        for whole in [
            json!({"next_page": null, "next_page_url": "", "next_page_token": ""}),
            json!({"total_count": 1, "current_page": 1, "current_page_count": 1, "limit": 500, "next_page": null}),
            json!({"has_more": 0, "total_pages": 1}),
        ] {
            assert_small(&patched(list, move |page| page["pagination"] = whole.clone()).await);
        }
    }
}

#[tokio::test]
async fn a_total_is_that_of_all_pages() {
    let account = agents((0..25).map(|_| json!({"status": "online"})));
    let total = |count: u64| FaultKind::patch(move |page| page["pagination"]["total_count"] = json!(count));
    let whole = Scene::of(agents((0..25).map(|_| json!({"status": "online"})))).max_page(10);
    whole.always(List::Agents, total(25)).collect().await.assert_values(&[("agents_online", "25")]);
    let half = Scene::of(account).max_page(10).always(List::Agents, total(26)).collect().await;
    half.assert_failure(FailureCode::Inconsistent, List::Agents, &["announces more"]);
    assert_eq!(half.requests_to(List::Agents).len(), 3);
}

#[tokio::test]
async fn an_answer_that_reports_errors_is_no_evidence() {
    for list in LISTS {
        for errors in [json!([{"status": "500"}]), json!("timeout"), json!({"code": 5}), json!(true)] {
            for key in ["errors", "error"] {
                let errors = errors.clone();
                let outcome = patched(list, move |page| page[key] = errors.clone()).await;
                outcome.assert_failure(FailureCode::Unavailable, list, &["reports errors"]);
                assert_eq!(outcome.requests_to(list).len(), 1);
            }
        }
        for none in [json!(null), json!([]), json!({}), json!(""), json!(false)] {
            assert_small(&patched(list, move |page| page["errors"] = none.clone()).await);
        }
    }
}

#[tokio::test]
async fn codings_that_were_not_asked_for_are_errors_whatever_the_body_looks_like() {
    for coding in ["br", "zstd", "foo", "deflate", "gzip, br"] {
        let outcome = Scene::of(small())
            .always(List::Agents, FaultKind::headers(&[("content-encoding", coding)]))
            .collect()
            .await;
        outcome.assert_failure(FailureCode::Malformed, List::Agents, &["content coding"]);
        assert_eq!(outcome.requests_to(List::Agents).len(), 1, "{coding}");
    }
}

#[tokio::test]
async fn gzip_is_read_in_every_spelling_and_in_several_members() {
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
        let packed = FaultKind::rewrite(&[("content-encoding", coding)], |body| gzip(&body));
        assert_small(&Scene::of(small()).always(List::Agents, packed).collect().await);
    }
    let members = |body: Vec<u8>| {
        let (first, rest) = body.split_at(body.len() / 2);
        [gzip(first), gzip(b""), gzip(rest), vec![0; 512]].concat()
    };
    for list in LISTS {
        let packed = FaultKind::rewrite(&[("content-encoding", "gzip")], members);
        assert_small(&Scene::of(small()).always(list, packed).collect().await);
    }
}

#[tokio::test]
async fn a_gzip_that_ends_early_or_is_none_is_tried_again_and_no_evidence() {
    let cut = |mut body: Vec<u8>| {
        body = gzip(&body);
        body.truncate(body.len() - 3);
        body
    };
    for change in [cut as fn(Vec<u8>) -> Vec<u8>, |body| body, |body| [gzip(&body), b"more".to_vec()].concat()] {
        let fault = FaultKind::rewrite(&[("content-encoding", "gzip")], change);
        let outcome = Scene::of(small()).always(List::Agents, fault).collect().await;
        outcome.assert_failure(FailureCode::Unavailable, List::Agents, &["no usable answer"]);
        assert_eq!(outcome.requests_to(List::Agents).len(), 4);
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    for list in LISTS {
        let marked = FaultKind::rewrite(&[], |body| [b"\xef\xbb\xbf".to_vec(), body].concat());
        assert_small(&Scene::of(small()).always(list, marked).collect().await);
    }
}

#[tokio::test]
async fn half_a_surrogate_pair_is_replaced_and_stops_nothing() {
    let name = FaultKind::rewrite(&[], |body| {
        String::from_utf8(body).unwrap().replace("Organization 1", r"Half \ud83d and \udc00 \ud83d\ude00").into_bytes()
    });
    let outcome = Scene::of(small()).always(List::Organizations, name).collect().await;
    assert_small(&outcome);
    let (tally, _) = outcome.result.as_ref().unwrap();
    let organization = tally.organizations().values().next().unwrap();
    assert_eq!(organization.name.as_deref(), Some("Half \u{fffd} and \u{fffd} \u{1f600}"));
}

#[tokio::test]
async fn names_are_cut_and_cleaned_and_stop_nothing() {
    for (name, kept) in [
        ("x".repeat(500_000), Some("x".repeat(200))),
        (
            "Acme\u{1b}[2J\nas of 2020 · all good\u{202e}\u{0}".to_owned(),
            Some("Acme[2J as of 2020 · all good".to_owned()),
        ),
        ("\u{0}\u{202e}".to_owned(), None),
    ] {
        let outcome = patched(List::Organizations, move |page| page["organizations"][0]["name"] = json!(name)).await;
        assert_small(&outcome);
        let (tally, _) = outcome.result.as_ref().unwrap();
        assert_eq!(tally.organizations().values().next().unwrap().name, kept);
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_dropped_and_reported() {
    for id in [json!(-1), json!(1.5), json!("x".repeat(500)), json!("a\u{0}b"), json!([1]), json!({"id": 1})] {
        let account = Account::from_records(
            vec![organization(1, json!({}))],
            vec![agent(1, json!({"status": "online"})), agent(2, json!({"status": "online", "id": id}))],
            vec![],
        );
        let outcome = Scene::of(account).collect().await;
        outcome.assert_values(&[("agents_total", "1")]);
        outcome.assert_quality(&[(QualityCode::RecordWithoutId, 1)]);
    }
}

#[tokio::test]
async fn a_clock_that_is_more_than_five_minutes_off_ends_the_run() {
    let date = |ahead: i64| {
        let date = (as_of() - TimeDelta::seconds(ahead)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        FaultKind::headers(&[("date", &date)])
    };
    for (ahead, said) in [(301, "5 minutes ahead of"), (-301, "5 minutes behind"), (200 * 86_400, "200 days ahead of")]
    {
        for list in LISTS {
            let outcome = Scene::of(small()).always(list, date(ahead)).collect().await;
            outcome.assert_failure(FailureCode::ClockWrong, list, &[said]);
            assert_eq!(outcome.requests_to(list).len(), 1);
        }
    }
    for ahead in [300, -300, 0] {
        assert_small(&Scene::of(small()).always(List::Agents, date(ahead)).collect().await);
    }
    let cached = FaultKind::headers(&[("date", "Sun, 22 Mar 2026 11:00:00 GMT"), ("age", "3600")]);
    assert_small(&Scene::of(small()).always(List::Agents, cached).collect().await);
}

#[tokio::test]
async fn a_date_to_wait_for_is_measured_against_the_answers_own() {
    // The source's clock is a minute behind ours.
    let wait = [("date", "Sun, 22 Mar 2026 11:59:00 GMT"), ("retry-after", "Sun, 22 Mar 2026 11:59:30 GMT")];
    for status in [429, 503] {
        let fault = FaultKind::status_with_headers(status, &wait);
        let outcome = Scene::of(small()).fault(List::Agents, 1, 1, fault).collect().await;
        outcome.assert_values(&[("agents_online", "1")]);
        assert_eq!(outcome.passed, TimeDelta::seconds(30), "{status}");
    }
    let fraction = FaultKind::RetryAfter(429, "3.5".to_owned());
    let outcome = Scene::of(small()).fault(List::Agents, 1, 1, fraction).collect().await;
    assert_eq!(outcome.passed, TimeDelta::seconds(4));
}

#[tokio::test]
async fn what_is_told_of_a_status_is_true_of_it() {
    for (status, said, action) in [
        (404, "nothing at this address", "licensed"),
        (201, "status 201 in place of 200", "report the request"),
        (204, "status 204 in place of 200", "report the request"),
        (304, "status 304 in place of 200", "report the request"),
        (408, "did not wait", "try again later"),
        (402, "refused the request for agents", "licensed"),
    ] {
        let outcome = Scene::of(small()).always(List::Agents, FaultKind::Status(status)).collect().await;
        outcome.assert_failure(FailureCode::Refused, List::Agents, &["agents", said]);
        assert!(outcome.failure().action.contains(action), "{}", outcome.failure());
    }
}

#[tokio::test]
async fn remediations_that_are_more_than_are_listed_are_incomplete() {
    let done = json!({"type": "assisted", "status": "completed", "approved_by": null});
    for (envelope, complete) in [
        (json!({"total_count": 2, "has_more": false, "items": [done]}), false),
        (json!({"total_count": 1, "has_more": 0, "items": [done]}), true),
        (json!({"has_more": 1, "items": [done]}), false),
        (json!({"has_more": "false", "items": [done]}), true),
    ] {
        let outcome = Scene::of(incidents([json!({"status": "closed", "remediations": envelope})])).collect().await;
        outcome.assert_values(&[("incidents_auto_resolved", if complete { "1" } else { "0" })]);
        let expected = [(QualityCode::RemediationsIncomplete, 1)];
        outcome.assert_quality(if complete { &[] } else { &expected });
    }
}

#[tokio::test]
async fn dates_that_are_no_dates_are_unreadable() {
    for zero in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59+0000"] {
        let outcome = Scene::of(agents([json!({"last_callback_at": zero})])).collect().await;
        outcome.assert_values(&[("agents_unknown", "1")]);
        outcome.assert_quality(&[(QualityCode::MalformedTimestamp, 1)]);
        let resolved = json!({"status": "closed", "sent_at": zero, "closed_at": hours_ago(1)});
        let outcome = Scene::of(incidents([resolved])).collect().await;
        assert_eq!(outcome.value("mean_time_to_resolve_hours"), None);
        outcome.assert_quality(&[(QualityCode::MalformedTimestamp, 1)]);
    }
    let offset = json!({"last_callback_at": "2026-03-22T11:00:00+0000"});
    Scene::of(agents([offset])).collect().await.assert_values(&[("agents_online", "1")]);
}

#[tokio::test]
async fn an_end_is_a_future_one_by_our_clock_and_not_by_a_given_instant() {
    let closed = |at: TimeDelta| json!({"status": "closed", "sent_at": hours_ago(50), "closed_at": ago(at)});
    // Evaluated as of two days ago; the incident was closed since.
    let scene = Scene::of(incidents([closed(TimeDelta::hours(1))])).given_as_of(as_of() - TimeDelta::days(2));
    let outcome = scene.collect().await;
    outcome.assert_values(&[("mean_time_to_resolve_hours", "49.0")]);
    outcome.assert_quality(&[]);
    let outcome = Scene::of(incidents([closed(-TimeDelta::minutes(6))])).collect().await;
    assert_eq!(outcome.value("mean_time_to_resolve_hours"), None);
    outcome.assert_quality(&[(QualityCode::FutureTimestamp, 1)]);
}

#[tokio::test]
async fn agents_that_may_be_reinstallations_are_reported_and_counted() {
    let with = |id: u64, organization: u64, serial: &str| {
        agent(id, json!({"status": "online", "organization_id": organization, "serial_number": serial}))
    };
    let account = || {
        let organizations = vec![organization(1, json!({})), organization(2, json!({}))];
        let agents = vec![
            with(1, 1, "PF3K9ABC"),
            with(2, 1, "pf3k9abc"),
            with(3, 2, "PF3K9ABC"),
            with(4, 1, "To be filled by O.E.M."),
            with(5, 1, "To be filled by O.E.M."),
        ];
        Account::from_records(organizations, agents, vec![])
    };
    for page in [500, 1] {
        let outcome = Scene::of(account()).max_page(page).collect().await;
        outcome.assert_values(&[("agents_total", "5"), ("agents_online", "5")]);
        outcome.assert_quality(&[(QualityCode::PossibleReinstall, 1)]);
        assert_eq!(quality(&outcome.bundle_of(&["1"]).unwrap()), [(QualityCode::PossibleReinstall, 1)]);
        assert_eq!(quality(&outcome.bundle_of(&["2"]).unwrap()), []);
    }
}

/// How a source may write the same account.
#[derive(Debug, Clone)]
struct Spelling {
    ids: Vec<u8>,
    page: u32,
    last: Value,
    mark: bool,
    coding: Option<&'static str>,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let ends = vec![
        json!(null),
        json!({}),
        json!({"next_page_token": null}),
        json!({"next_page_token": "", "next_page_url": "", "next_page": null}),
        json!({"has_more": 0, "next_page": null}),
        json!({"total_count": "0", "hasMore": "false"}),
    ];
    (proptest::collection::vec(0_u8..4, 8), 1_u32..6, select(ends), any::<bool>(), select(vec![None, Some("X-GZIP")]))
        .prop_map(|(ids, page, last, mark, coding)| Spelling { ids, page, last, mark, coding })
}

impl Spelling {
    /// A page of the simulator in this spelling.
    fn of(&self, list: List, body: Vec<u8>) -> Vec<u8> {
        let mut page: Value = serde_json::from_slice(&body).unwrap();
        for record in page[list.key()].as_array_mut().unwrap() {
            for key in ["id", "organization_id"] {
                let Some(id) = record[key].as_u64() else { continue };
                record[key] = match self.ids[id as usize % self.ids.len()] {
                    0 => json!(id),
                    1 => json!(id.to_string()),
                    2 => json!(format!(" {id}\n")),
                    _ => json!(id as f64),
                };
            }
        }
        if page["pagination"]["next_page_token"].is_null() {
            page["pagination"] = self.last.clone();
        }
        let mark: &[u8] = if self.mark { b"\xef\xbb\xbf" } else { b"" };
        let text = [mark, page.to_string().as_bytes()].concat();
        if self.coding.is_some() { gzip(&text) } else { text }
    }

    fn collect(&self) -> Outcome {
        let account = Account::from_records(
            (1..=3).map(|id| organization(id, json!({}))).collect(),
            (1..=17)
                .map(|id| {
                    agent(id, json!({"organization_id": id % 3 + 1, "last_callback_at": hours_ago(id as i64 * 20)}))
                })
                .collect(),
            (1..=9).map(|id| incident(id, json!({"status": "sent", "sent_at": hours_ago(id as i64)}))).collect(),
        );
        let headers: Vec<(&'static str, &str)> =
            self.coding.map(|coding| ("content-encoding", coding)).into_iter().collect();
        let scene = LISTS.into_iter().fold(Scene::of(account).max_page(self.page), |scene, list| {
            let spelling = self.clone();
            scene.always(list, FaultKind::rewrite(&headers, move |body| spelling.of(list, body)))
        });
        scene.collect_blocking()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_it_is_spelled_the_evidence_is_the_same(one in spelling(), other in spelling()) {
        let (one, other) = (one.collect().bundle(), other.collect().bundle());
        prop_assert_eq!(&one.metrics, &other.metrics);
        prop_assert_eq!(&one.extended_metrics, &other.extended_metrics);
        prop_assert_eq!(quality(&one), vec![]);
        prop_assert_eq!(metric(&one, "agents_total").metric_value, Some("17".to_owned()));
    }
}
