use super::*;
use crate::time::parse;
use proptest::prelude::*;

fn as_of() -> DateTime<Utc> {
    parse("2026-03-22T12:00:00Z").unwrap()
}

fn campaign(id: u64, sent: u64, compromised: u64) -> CampaignFacts<'static> {
    CampaignFacts {
        id: Some(RecordKey::Number(id)),
        status: Some("completed"),
        campaign_ends_at: RawTimestamp::Text("2026-03-01T00:00:00Z"),
        sent: Some(sent),
        compromised: Some(compromised),
        reported: Some(0),
        ..Default::default()
    }
}

/// What comes of a list, with what was noted on the way.
struct Evaluated {
    phishing: Phishing,
    ends: [u64; 3],
    quality: Quality,
}

impl std::ops::Deref for Evaluated {
    type Target = Phishing;
    fn deref(&self) -> &Phishing {
        &self.phishing
    }
}

fn of(tally: &PhishingTally) -> Evaluated {
    let phishing = assess(&tally.facts(), WINDOW_DAYS);
    let quality = tally.quality(&phishing);
    Evaluated { phishing, ends: tally.ends(), quality }
}

fn evaluated(campaigns: &[CampaignFacts<'_>]) -> Evaluated {
    let mut tally = PhishingTally::new(as_of(), 5_000);
    campaigns.iter().for_each(|facts| tally.add(facts, as_of()));
    tally.check().unwrap();
    of(&tally)
}

#[test]
fn thresholds_are_exact_over_the_sums() {
    let status = |compromised| evaluated(&[campaign(1, 400, compromised), campaign(2, 600, 0)]).status;
    assert_eq!([50, 51].map(status), [Status::Pass, Status::Warning]);
    assert_eq!([150, 151].map(status), [Status::Warning, Status::Fail]);
    let just_above = evaluated(&[campaign(1, 100_000, 5_001)]);
    assert_eq!(just_above.compromise_rate().as_deref(), Some("5.0"));
    assert_eq!(just_above.status, Status::Warning);
}

#[test]
fn the_window_holds_to_the_second() {
    let counted = |end| {
        let facts = CampaignFacts { campaign_ends_at: RawTimestamp::Text(end), ..campaign(1, 10, 0) };
        evaluated(&[facts]).campaigns
    };
    assert_eq!(["2025-12-22T11:59:59Z", "2025-12-22T12:00:00Z"].map(counted), [0, 1]);
    assert_eq!(["2026-03-22T12:00:00Z", "2026-03-22T12:00:01Z"].map(counted), [1, 0]);
}

#[test]
fn the_end_is_the_first_field_that_can_be_read() {
    let facts = CampaignFacts {
        campaign_ends_at: RawTimestamp::Text("soon"),
        ends_at: RawTimestamp::Absent,
        completed_at: RawTimestamp::Text("2026-03-01T00:00:00Z"),
        ..campaign(1, 10, 0)
    };
    let result = evaluated(&[facts]);
    assert_eq!(result.ends, [0, 0, 1]);
    assert_eq!(result.quality.count(QualityCode::MalformedTimestamp), 1);
    assert_eq!(result.status, Status::Pass);
    let later_alternative = CampaignFacts {
        campaign_ends_at: RawTimestamp::Text("2020-01-01T00:00:00Z"),
        completed_at: RawTimestamp::Text("2026-03-01T00:00:00Z"),
        ..campaign(1, 10, 0)
    };
    assert_eq!(evaluated(&[later_alternative]).campaigns, 0);
}

#[test]
fn a_future_end_counts_for_nothing_and_is_told() {
    let facts = CampaignFacts { campaign_ends_at: RawTimestamp::Text("2026-04-01T00:00:00Z"), ..campaign(1, 10, 0) };
    let result = evaluated(&[facts]);
    assert_eq!(result.quality.count(QualityCode::FutureTimestamp), 1);
    assert_eq!(result.reason, Some(Reason::NoRecentCampaigns));
}

#[test]
fn only_completed_campaigns_with_messages_count() {
    let with_status = |id, status| CampaignFacts { status: Some(status), ..campaign(id, 10, 10) };
    let listed = [
        with_status(1, "in-progress"),
        with_status(2, "canceled"),
        with_status(3, "draft"),
        with_status(4, "Scheduled"),
        with_status(5, "building"),
        campaign(6, 0, 0),
        campaign(7, 0, 3),
    ];
    let result = evaluated(&listed);
    assert_eq!((result.status, result.reason), (Status::Warning, Some(Reason::NoRecentCampaigns)));
    assert_eq!((result.compromise_rate(), result.report_rate()), (None, None));
    assert!(result.quality.entries().is_empty());
    assert_eq!(evaluated(&[]).reason, Some(Reason::NoRecentCampaigns));
}

#[test]
fn parents_count_only_where_there_is_nothing_else() {
    let parent = CampaignFacts { is_parent: true, ..campaign(1, 100, 50) };
    let alone = evaluated(&[parent]);
    assert_eq!((alone.status, alone.sent, alone.parents_counted), (Status::Fail, 100, 1));
    assert_eq!(alone.quality.count(QualityCode::ParentCampaignsCounted), 1);

    let with_child = evaluated(&[parent, campaign(2, 100, 5)]);
    assert_eq!((with_child.status, with_child.sent), (Status::Pass, 100));
    assert!(with_child.quality.entries().is_empty());

    // Any other campaign, even one that does not count itself.
    let draft = CampaignFacts { status: Some("draft"), ..campaign(3, 0, 0) };
    assert_eq!(evaluated(&[parent, draft]).reason, Some(Reason::NoRecentCampaigns));
}

#[test]
fn a_campaign_counts_once() {
    let result = evaluated(&[campaign(1, 100, 5), campaign(1, 100, 50)]);
    assert_eq!((result.sent, result.compromised, result.status), (100, 5, Status::Pass));
    assert_eq!(result.quality.count(QualityCode::DuplicateRecord), 1);
}

#[test]
fn a_cut_list_is_inconclusive_and_one_of_exactly_the_cap_is_not() {
    let with_cap = |cap| {
        let mut tally = PhishingTally::new(as_of(), cap);
        tally.add(&campaign(1, 100, 0), as_of());
        tally.add(&campaign(2, 100, 100), as_of());
        of(&tally)
    };
    let cut = with_cap(1);
    assert_eq!((cut.status, cut.reason), (Status::Inconclusive, Some(Reason::Truncated)));
    assert_eq!(cut.compromise_rate().as_deref(), Some("0.0"));
    assert_eq!(with_cap(2).status, Status::Fail);
}

#[test]
fn missing_counts_decide_nothing_where_they_make_no_difference() {
    let no_counts = CampaignFacts { sent: None, compromised: None, reported: None, ..campaign(1, 0, 0) };
    let result = evaluated(&[no_counts, campaign(2, 100, 0)]);
    assert_eq!((result.status, result.reason), (Status::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!((result.campaigns, result.sent), (1, 100));
    assert_eq!(result.quality.count(QualityCode::CampaignIncomplete), 1);

    let unknown_compromised = |sent| CampaignFacts { compromised: None, ..campaign(1, sent, 0) };
    // At worst 5 of 100, at best 0.
    assert_eq!(evaluated(&[unknown_compromised(5), campaign(2, 95, 0)]).status, Status::Pass);
    assert_eq!(evaluated(&[unknown_compromised(6), campaign(2, 94, 0)]).status, Status::Inconclusive);
    // At best 16 of 100.
    assert_eq!(evaluated(&[unknown_compromised(6), campaign(2, 94, 16)]).status, Status::Fail);
}

#[test]
fn a_campaign_that_may_not_count_decides_nothing_where_it_makes_no_difference() {
    let paused = |compromised| CampaignFacts { status: Some("paused"), ..campaign(1, 100, compromised) };
    assert_eq!(evaluated(&[paused(4), campaign(2, 100, 1)]).status, Status::Pass);
    let open = evaluated(&[paused(20), campaign(2, 100, 1)]);
    assert_eq!((open.status, open.reason), (Status::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!(open.quality.count(QualityCode::UnknownCampaignStatus), 1);
    assert_eq!((open.sent, open.compromised), (100, 1));
    // Nothing else: either no campaign at all, or this one.
    assert_eq!(evaluated(&[paused(0)]).status, Status::Inconclusive);

    let endless = CampaignFacts { campaign_ends_at: RawTimestamp::Absent, ..campaign(1, 100, 20) };
    let open = evaluated(&[endless, campaign(2, 100, 1)]);
    assert_eq!((open.status, open.campaigns), (Status::Inconclusive, 1));
    assert_eq!(open.quality.count(QualityCode::CampaignIncomplete), 1);
}

#[test]
fn without_reports_the_report_rate_alone_is_unknown() {
    let silent = CampaignFacts { reported: None, ..campaign(1, 100, 5) };
    let result = evaluated(&[silent, campaign(2, 100, 5)]);
    assert_eq!((result.status, result.reported), (Status::Pass, None));
    assert_eq!(result.reason, Some(Reason::NotProvidedBySource));
}

#[test]
fn a_list_of_records_without_ids_is_an_error() {
    let mut tally = PhishingTally::new(as_of(), 10);
    tally.add(&CampaignFacts::default(), as_of());
    assert!(tally.check().is_err());
}

type Raw = (u64, Option<u64>, Option<u64>, bool, bool);

fn facts((id, sent, compromised, known, ended): Raw) -> CampaignFacts<'static> {
    CampaignFacts {
        status: Some(if known { "completed" } else { "paused" }),
        campaign_ends_at: if ended { RawTimestamp::Text("2026-03-01T00:00:00Z") } else { RawTimestamp::Absent },
        sent,
        compromised,
        ..campaign(id, 0, 0)
    }
}

proptest! {
    #[test]
    fn order_and_duplicates_do_not_matter(
        raw in proptest::collection::vec((0_u64..1_000, 0_u64..50, 0_u64..10, any::<bool>()), 0..30),
    ) {
        let all: Vec<_> = raw
            .iter()
            .enumerate()
            .map(|(id, (_, sent, compromised, is_parent))| CampaignFacts { is_parent: *is_parent, ..campaign(id as u64, *sent, *compromised) })
            .collect();
        let mut turned: Vec<_> = all.iter().rev().copied().collect();
        turned.extend(all.iter().copied());
        let (plain, other) = (evaluated(&all), evaluated(&turned));
        prop_assert_eq!((plain.status, plain.sent, plain.compromised, plain.campaigns), (other.status, other.sent, other.compromised, other.campaigns));
    }

    /// Whatever the unknown turns out to be, a given status is the one that it would give.
    #[test]
    fn a_given_status_holds_for_every_reading_of_the_unknown(
        raw in proptest::collection::vec((0_u64..1, proptest::option::weighted(0.9, 1_u64..40), 0_u64..8, proptest::bool::weighted(0.8), proptest::bool::weighted(0.8)), 1..6),
        hidden in proptest::collection::vec(proptest::bool::weighted(0.2), 6),
        counts in proptest::collection::vec(any::<bool>(), 6),
    ) {
        let seen: Vec<Raw> = raw.iter().zip(&hidden).enumerate()
            .map(|(id, ((_, sent, compromised, known, ended), hide))| (id as u64, *sent, (!hide).then_some((*compromised).min(sent.unwrap_or(8))), *known, *ended))
            .collect();
        let given = evaluated(&seen.iter().copied().map(facts).collect::<Vec<_>>());
        prop_assume!(given.status != Status::Inconclusive);
        // One possible truth.
        let truth: Vec<_> = seen.iter().zip(&raw).zip(&counts)
            .filter(|(((_, _, _, known, ended), _), counts)| (*known && *ended) || **counts)
            .map(|(((id, sent, _, _, _), (_, _, compromised, _, _)), _)| (*id, *sent, Some((*compromised).min(sent.unwrap_or(8))), true, true))
            .map(facts)
            .collect();
        prop_assert_eq!(evaluated(&truth).status, given.status);
    }
}
