//! Phishing simulations: thresholds, window, and which campaigns count.

use crate::records::{before, campaign, campaigns, serve, with};
use acceptance::sat::{SatOutcome, SatScene};
use chrono::TimeDelta;
use common::domain::evidence::Reason;
use common::domain::quality::QualityCode;
use common::domain::sat::signal::SignalKey;
use common::domain::sat::status::Status;
use serde_json::{Value, json};

async fn of(all: Vec<Value>) -> SatOutcome {
    SatScene::of(serve(campaigns(all))).collect().await
}

#[tokio::test]
async fn the_thresholds_are_exactly_5_and_15_percent_and_never_the_rounded_value() {
    let cases = [
        (100, 0, Status::Pass, "0.0"),
        (100, 5, Status::Pass, "5.0"),
        (10_000, 501, Status::Warning, "5.0"),
        (100, 6, Status::Warning, "6.0"),
        (100, 15, Status::Warning, "15.0"),
        (10_000, 1501, Status::Fail, "15.0"),
        (100, 100, Status::Fail, "100.0"),
    ];
    for (sent, compromised, status, shown) in cases {
        let outcome = of(vec![campaign("c1", sent, compromised, 0)]).await;
        let (said, reason, values) = outcome.phishing();
        let case = format!("{compromised} of {sent}");
        assert_eq!((said, reason, values.compromise_rate_pct.as_deref()), (status, None, Some(shown)), "{case}");
        assert_eq!((values.sent, values.compromised, values.campaigns), (sent, compromised, 1));
        assert_eq!(outcome.quality(), []);
    }
}

#[tokio::test]
async fn the_rate_is_of_the_sums_and_a_report_rate_has_no_threshold() {
    // 10 % and 4.5 % would be 7.3 % on average; of all messages it is 5 %.
    let outcome = of(vec![campaign("c1", 200, 20, 0), campaign("c2", 2000, 90, 11)]).await;
    let (status, _, values) = outcome.phishing();
    assert_eq!((status, values.compromise_rate_pct.as_deref()), (Status::Pass, Some("5.0")));
    assert_eq!((values.reported, values.report_rate_pct.as_deref(), values.campaigns), (Some(11), Some("0.5"), 2));
}

#[tokio::test]
async fn a_campaign_counts_from_90_days_ago_to_the_evaluation_both_to_the_second() {
    let (quarter, second) = (TimeDelta::days(90), TimeDelta::seconds(1));
    let cases = [(quarter + second, 0), (quarter, 1), (quarter - second, 1), (TimeDelta::zero(), 1), (-second, 0)];
    for (age, counted) in cases {
        // Whichever field says when it ended; those of less weight say something else.
        let (end, never) = (before(age), before(TimeDelta::days(500)));
        let fields = [
            json!({"campaignEndsAt": end, "endsAt": never, "completedAt": never}),
            json!({"campaignEndsAt": null, "endsAt": end, "completedAt": never}),
            json!({"campaignEndsAt": null, "endsAt": null, "completedAt": end}),
        ];
        for fields in fields {
            let outcome = of(vec![with(campaign("c1", 100, 1, 1), fields.clone())]).await;
            let (status, reason, values) = outcome.phishing();
            assert_eq!(values.campaigns, counted, "{age} {fields}");
            let expected = match counted {
                0 => (Status::Warning, Some(Reason::NoRecentCampaigns)),
                _ => (Status::Pass, None),
            };
            assert_eq!((status, reason), expected);
            let signal = outcome.signal(SignalKey::PhishingSimulation);
            assert_eq!(signal.window_days, 90);
            let window = serde_json::to_value(signal.metadata.window).unwrap();
            assert_eq!(window, json!({"start": "2025-12-22T12:00:00Z", "end": "2026-03-22T12:00:00Z"}));
        }
    }
}

#[tokio::test]
async fn with_nothing_sent_or_no_campaign_there_is_a_warning_and_no_rate() {
    let in_state = |status: &str| with(campaign("c", 100, 50, 0), json!({"status": status}));
    let cases = [
        vec![],
        vec![campaign("c1", 0, 0, 0)],
        ["in-progress", "draft", "scheduled", "building", "canceled"].map(in_state).into(),
    ];
    for (n, all) in cases.into_iter().enumerate() {
        let all = all.into_iter().enumerate().map(|(n, mut it)| {
            it["id"] = json!(format!("c{n}"));
            it
        });
        let outcome = of(all.collect()).await;
        let (status, reason, values) = outcome.phishing();
        assert_eq!((status, reason), (Status::Warning, Some(Reason::NoRecentCampaigns)), "{n}");
        assert_eq!((values.compromise_rate_pct, values.report_rate_pct, values.sent), (None, None, 0), "{n}");
        assert_eq!(outcome.quality(), [], "{n}");
    }
}

#[tokio::test]
async fn a_campaign_without_messages_adds_nothing_to_the_others() {
    let (_, _, values) = of(vec![campaign("c1", 0, 0, 0), campaign("c2", 20, 1, 2)]).await.phishing();
    assert_eq!((values.campaigns, values.sent, values.compromise_rate_pct.as_deref()), (1, 20, Some("5.0")));
}

#[tokio::test]
async fn parents_are_skipped_beside_their_children_and_count_alone() {
    let parent = || with(campaign("p", 100, 20, 10), json!({"isParent": true}));
    let outcome = of(vec![parent(), campaign("c1", 50, 1, 5), campaign("c2", 50, 1, 5)]).await;
    let (status, _, values) = outcome.phishing();
    assert_eq!((status, values.sent, values.compromised, values.campaigns), (Status::Pass, 100, 2, 2));
    assert_eq!(outcome.quality(), []);

    let outcome = of(vec![parent()]).await;
    let (status, _, values) = outcome.phishing();
    assert_eq!((status, values.sent, values.compromised, values.campaigns), (Status::Fail, 100, 20, 1));
    assert_eq!(outcome.quality(), [(QualityCode::ParentCampaignsCounted, 1)]);

    // Another campaign of any state or age is one: then the parent is skipped although nothing is left.
    let old = with(campaign("c1", 50, 1, 5), json!({"campaignEndsAt": before(TimeDelta::days(200))}));
    let outcome = of(vec![parent(), old]).await;
    let (status, reason, values) = outcome.phishing();
    assert_eq!((status, reason, values.campaigns), (Status::Warning, Some(Reason::NoRecentCampaigns), 0));
}
