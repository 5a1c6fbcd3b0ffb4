use super::*;
use crate::time::parse;
use proptest::prelude::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn summary(client: &str, at: &str, outcome: Outcome) -> ClientSummary {
    let as_of = parse(at).unwrap();
    let mut trend = Trend::default();
    trend.set(Calendar::default().day_of(as_of), outcome);
    ClientSummary {
        client: ClientId::parse(client).unwrap(),
        product: Product::Edr,
        as_of,
        run_id: RunId::parse("019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11").unwrap(),
        token: 1,
        rules: vec![RuleOutcome {
            evidence: Evidence::EndpointProtection,
            rule: RuleId::parse("edr-online").unwrap(),
            outcome,
        }],
        open_critical: Some(2),
        coverage_pct: None,
        trend,
        leaf: Some(7),
        more_pieces: 0,
    }
}

fn origin(product: Product) -> Origin {
    let ClientSummary { client, as_of, run_id, token, .. } = summary("c", "2026-03-22T12:00:00Z", Outcome::Pass);
    Origin { client, product, as_of, run_id, token }
}

const EDR_V1: &str = include_str!("../../../tests/samples/bundles/edr-v1.json");
const EDR_V2: &str = include_str!("../../../tests/samples/bundles/edr-v2.json");
const SAT_V1: &str = include_str!("../../../tests/samples/bundles/sat-v1.json");
const SAT_V2: &str = include_str!("../../../tests/samples/bundles/sat-v2.json");

/// Every version of a bundle has a summary, and what it has no number for is not known, never zero.
#[test]
fn a_summary_says_what_its_bundle_says() {
    let of = |product, body: &str| ClientSummary::of_bundle(origin(product), body, &Calendar::default()).unwrap();
    let value = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
    assert_eq!((of(Product::Edr, EDR_V1).open_critical, of(Product::Edr, EDR_V1).rules), (None, vec![]));
    let v2 = of(Product::Edr, EDR_V2);
    let metrics = value(EDR_V2)["extended_metrics"].as_array().unwrap().clone();
    let open = metrics.iter().find(|metric| metric["metric_key"] == "incidents_open_critical").unwrap();
    assert_eq!(v2.open_critical.map(|count| count.to_string()).as_deref(), open["metric_value"].as_str());
    assert_eq!(v2.rules.len(), value(EDR_V2)["verdicts"].as_array().unwrap().len());
    for body in [SAT_V1, SAT_V2] {
        let summary = of(Product::Sat, body);
        let coverage = value(body)["signals"][0]["values"]["coverage_pct"].clone();
        assert_eq!(summary.coverage_pct.as_deref(), coverage.as_str());
        assert_eq!(
            summary.rules.iter().map(|it| it.rule.as_str()).collect::<Vec<_>>(),
            ["sat-coverage", "sat-phishing"]
        );
        assert!(summary.coverage_pct.is_some() && summary.open_critical.is_none());
    }
    assert!(ClientSummary::of_bundle(origin(Product::Edr), "no bundle", &Calendar::default()).is_err());
}

#[test]
fn a_run_replaces_its_clients_and_keeps_the_line_of_their_days() {
    let first = vec![
        summary("gone", "2026-03-20T12:00:00Z", Outcome::Pass),
        summary("stays", "2026-03-20T12:00:00Z", Outcome::Fail),
    ];
    let second = vec![summary("stays", "2026-03-22T12:00:00Z", Outcome::Warning)];
    let both = updated(first.clone(), second.clone(), second[0].as_of);
    assert_eq!(both[0], first[0], "what was proved stays");
    assert_eq!(both[1].as_of, second[0].as_of);
    let line = both[1].trend.line(day("2026-03-22"));
    assert_eq!(line[27..], [Some(Outcome::Fail), None, Some(Outcome::Warning)]);
    // A second run of the day has the last word; a run of the past adds its day and changes nothing else.
    let again = updated(both.clone(), vec![summary("stays", "2026-03-22T18:00:00Z", Outcome::Pass)], second[0].as_of);
    assert_eq!(again[1].trend.line(day("2026-03-22"))[29], Some(Outcome::Pass));
    let past = updated(again.clone(), vec![summary("stays", "2026-03-21T12:00:00Z", Outcome::Fail)], second[0].as_of);
    assert_eq!(past[1].as_of, again[1].as_of);
    assert_eq!(
        past[1].trend.line(day("2026-03-22"))[27..],
        [Some(Outcome::Fail), Some(Outcome::Fail), Some(Outcome::Pass)]
    );
    // Long gone: where its evidence is stays known, the line of its days does not.
    let later = updated(both, vec![], parse("2026-05-05T12:00:00Z").unwrap());
    assert_eq!((later.len(), &later[0].trend), (2, &Trend::default()));
    assert_eq!(later[1].trend.line(day("2026-03-22"))[29], Some(Outcome::Warning));
}

#[test]
fn summaries_are_read_back() {
    let first =
        vec![summary("a", "2026-03-20T12:00:00Z", Outcome::Pass), summary("b", "2026-03-20T12:00:00Z", Outcome::Fail)];
    let both = updated(
        first,
        vec![summary("b", "2026-03-22T12:00:00Z", Outcome::Warning)],
        parse("2026-03-22T12:00:00Z").unwrap(),
    );
    let text = serde_json::to_string(&both).unwrap();
    assert_eq!(serde_json::from_str::<Vec<ClientSummary>>(&text).unwrap(), both, "{text}");
}

#[test]
fn a_removed_connection_counts_only_where_no_present_one_has_evidence() {
    let piece = |connection: &str, at: &str| (ConnectionId::parse(connection).unwrap(), parse(at).unwrap());
    let newest_removed = piece("old", "2026-03-22T12:00:00Z");
    let present = piece("new", "2026-03-10T12:00:00Z");
    let pieces = vec![newest_removed.clone(), piece("older", "2026-03-01T12:00:00Z"), present.clone()];
    let of = |(connection, as_of): &(ConnectionId, DateTime<Utc>)| (Product::Edr, connection.clone(), *as_of);
    let new: BTreeSet<_> = [ConnectionId::parse("new").unwrap()].into();
    assert_eq!(counting(pieces.clone(), of, &new), [present]);
    assert_eq!(counting(pieces.clone(), of, &BTreeSet::new()), [newest_removed]);
}

proptest! {
    #[test]
    fn a_trend_is_read_back_and_never_longer_than_its_days(days in proptest::collection::vec((0_u64..60, 0_usize..6), 0..40)) {
        let first = day("2026-01-01");
        let mut trend = Trend::default();
        for (after, outcome) in days {
            trend.set(first.checked_add_days(Days::new(after)).unwrap(), Outcome::WORST_FIRST[outcome]);
        }
        let text = serde_json::to_string(&trend).unwrap();
        prop_assert!(text.len() <= 2 + 11 + 30, "{}", text);
        prop_assert_eq!(serde_json::from_str::<Trend>(&text).unwrap(), trend);
    }
}
