use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::TimeDelta;
use serde_json::json;

use super::*;

fn as_of() -> DateTime<Utc> {
    "2026-03-22T12:00:00Z".parse().unwrap()
}

fn spec() -> SatSpec {
    SatSpec { seed: 3, learners: 400, assignments: 30, campaigns: 40, activity_per_assignment: 120, as_of: as_of() }
}

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().to_utc()
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

fn tally(records: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record["attributes"]["status"].as_str().unwrap()).or_default() += 1;
    }
    counts
}

/// Distinct learners with a completion in the last 365 days, in assignments that are evidence.
fn trained(records: &SatRecords) -> HashSet<String> {
    let evidence = |it: &&Value| ["completed", "in-progress"].contains(&it["attributes"]["status"].as_str().unwrap());
    let rows = records.assignments.iter().filter(evidence).flat_map(|it| &records.learner_activity[&id(it)]);
    let in_window = |row: &&Value| {
        let completed_at = &row["attributes"]["completedAt"];
        !completed_at.is_null() && (as_of() - TimeDelta::days(365)..=as_of()).contains(&time(completed_at))
    };
    rows.filter(in_window).filter_map(activity::learner_id).collect()
}

#[test]
fn equal_specifications_give_equal_accounts() {
    let records = spec().generate().to_records();
    assert_eq!(records, spec().generate().to_records());
    assert_ne!(records, SatSpec { seed: 4, ..spec() }.generate().to_records());
    // Written by hand they are the same account.
    let copy = SatAccount::from_records(records.clone());
    assert_eq!(copy.to_records(), records);
    assert_eq!(copy.home_id(), spec().generate().home_id());
    assert_eq!(copy.counts(&copy.accounts()[0]), spec().generate().counts(&copy.accounts()[0]));
    assert_eq!(copy.personal_markers(), spec().generate().personal_markers());
}

#[test]
fn generated_accounts_have_something_of_everything() {
    let account = spec().generate();
    let records = account.to_records();
    assert_eq!(
        tally(&records.assignments).into_keys().collect::<Vec<_>>(),
        ["canceled", "completed", "draft", "in-progress", "launching", "staged"]
    );
    assert_eq!(
        tally(&records.phishing_campaigns).into_keys().collect::<Vec<_>>(),
        ["building", "canceled", "completed", "draft", "in-progress", "scheduled"]
    );
    let learners = tally(&records.learners);
    assert!((10..60).contains(&learners["inactive"]), "{learners:?}");
    assert_eq!(account.counts(&records.accounts[0])["activeLearners"], learners["active"]);

    let listed: HashMap<_, _> = records.learners.iter().map(|it| (id(it), &it["attributes"]["status"])).collect();
    let trained = trained(&records);
    assert!(trained.iter().any(|it| !listed.contains_key(it)), "some who are no longer listed");
    assert!(trained.iter().any(|it| listed.get(it).is_some_and(|it| *it == "inactive")));
    assert!(records.phishing_campaigns.iter().any(|it| it["attributes"]["attemptStats"].is_null()));
}

#[test]
fn activity_is_of_those_who_started() {
    let records = spec().generate().to_records();
    let mut ids = HashSet::new();
    for assignment in &records.assignments {
        let status = assignment["attributes"]["status"].as_str().unwrap();
        let rows = &records.learner_activity[&id(assignment)];
        let expected = match status {
            "completed" | "in-progress" => 120,
            "canceled" => 12,
            _ => 0,
        };
        assert_eq!(rows.len(), expected, "{status}");
        let mut of_learner: HashMap<_, usize> = HashMap::new();
        for row in rows {
            assert!(ids.insert(id(row)));
            *of_learner.entry(activity::learner_id(row).unwrap()).or_default() += 1;
            let completed_at = &row["attributes"]["completedAt"];
            assert_eq!(row["attributes"]["progress"] == 100, !completed_at.is_null());
            if !completed_at.is_null() {
                assert!(time(&assignment["attributes"]["startsAt"]) <= time(completed_at));
                assert!(time(completed_at) <= as_of());
            }
        }
        let enrolled: HashSet<_> = records.assignment_learners[&id(assignment)].iter().map(id).collect();
        assert_eq!(enrolled.len(), records.assignment_learners[&id(assignment)].len(), "each once");
        let known: HashSet<_> = records.learners.iter().map(id).collect();
        assert!(enrolled.is_subset(&known));
        assert!(of_learner.keys().all(|it| enrolled.contains(it) || !known.contains(it)));
        if expected == 120 {
            assert!(of_learner.values().any(|rows| *rows > 1));
            assert!(enrolled.iter().filter(|it| !of_learner.contains_key(*it)).count() > 10);
        }
    }
}

#[test]
fn parents_repeat_what_their_children_count() {
    let records = spec().generate().to_records();
    let parent_of = |it: &Value| it["relationships"]["parent"]["data"]["id"].as_str().map(str::to_owned);
    let mut parents = 0;
    for campaign in &records.phishing_campaigns {
        let children: Vec<_> =
            records.phishing_campaigns.iter().filter(|it| parent_of(it) == Some(id(campaign))).collect();
        assert_eq!(campaign["attributes"]["isParent"], !children.is_empty());
        if children.is_empty() {
            continue;
        }
        parents += 1;
        for count in ["totalRecipients", "sent", "uniqueClicks", "totalClicks", "reported", "compromised"] {
            let of = |it: &Value| it["attributes"]["attemptStats"][count].as_u64().unwrap();
            assert_eq!(of(campaign), children.iter().map(|it| of(it)).sum::<u64>());
        }
        let last = children.iter().map(|it| time(&it["attributes"]["campaignEndsAt"])).max();
        assert_eq!(Some(time(&campaign["attributes"]["campaignEndsAt"])), last);
    }
    assert_eq!(parents, 4);
    for campaign in &records.phishing_campaigns {
        let attributes = &campaign["attributes"];
        if attributes["status"] == "completed" {
            assert!(time(&attributes["campaignEndsAt"]) <= as_of());
        }
        let stats = &attributes["attemptStats"];
        if !stats.is_null() {
            let of = |count: &str| stats[count].as_u64().unwrap();
            assert!(of("compromised") <= of("uniqueClicks") && of("uniqueClicks") <= of("totalClicks"));
            assert!(of("sent") <= of("totalRecipients") && of("reported") <= of("sent"));
            assert!(of("uniqueClicks") <= of("sent"));
        }
    }
}

#[test]
fn accounts_may_be_empty_or_tiny() {
    for (learners, assignments, campaigns, rows) in [(0, 0, 0, 0), (0, 3, 1, 9), (1, 2, 2, 30), (5, 13, 11, 0)] {
        let account = SatSpec { learners, assignments, campaigns, activity_per_assignment: rows, ..spec() }.generate();
        let records = account.to_records();
        assert_eq!(records.learners.len() as u64, learners);
        assert_eq!(records.assignments.len() as u64, assignments);
        assert_eq!(records.phishing_campaigns.len() as u64, campaigns);
        for (id, rows) in &records.learner_activity {
            let enrolled = records.assignment_learners[id].len();
            assert!(enrolled as u64 <= learners);
            assert!(learners > 0 || rows.is_empty());
        }
    }
}

/// The size of the benchmark: looked at here and there, and nothing of it is kept.
#[test]
fn twenty_thousand_learners_are_no_burden() {
    let spec = SatSpec { learners: 20_000, assignments: 200, campaigns: 500, activity_per_assignment: 900, ..spec() };
    let account = spec.generate();
    let home = account.home_id().unwrap();
    let assignments = account.collection(List::Assignments, home).unwrap();
    assert_eq!(assignments.len(), 200);
    assert_eq!(account.collection(List::PhishingCampaigns, home).unwrap().len(), 500);
    assert_eq!(account.collection(List::Learners, home).unwrap().len(), 20_000);
    let first = id(&assignments.values()[0]);
    assert_eq!(account.collection(List::LearnerActivity, &first).unwrap().len(), 900);
    assert!(account.collection(List::LearnerActivity, "aAAAAAAA").is_none());
}

#[test]
fn markers_are_of_everybody_and_invented() {
    let account = spec().generate();
    let records = account.to_records();
    let markers: HashSet<_> = account.personal_markers().into_iter().collect();
    for learner in &records.learners {
        assert!(markers.contains(&id(learner)));
        for name in ["firstName", "lastName", "email"] {
            assert!(markers.contains(learner["attributes"][name].as_str().unwrap()));
        }
        assert!(learner["attributes"]["email"].as_str().unwrap().ends_with("@learner.example"));
    }
    let rows = records.learner_activity.values().flatten();
    assert!(rows.filter_map(activity::learner_id).all(|it| markers.contains(&it)));
    assert!(markers.iter().all(|it| it.len() >= 8), "none is in other text by accident");
}

#[test]
fn the_learners_id_can_be_anywhere() {
    let places = [LearnerIdAs::Attribute, LearnerIdAs::Relationship, LearnerIdAs::RelationshipArray];
    let row = json!({"id": 1, "attributes": {"learnerId": 77, "progress": 3}, "relationships": {"x": []}});
    for from in places {
        let before = activity::moved(&row, from);
        for to in places {
            let after = activity::moved(&before, to);
            assert_eq!(activity::learner_id(&after).as_deref(), Some("77"));
            assert_eq!(after["attributes"].get("learnerId").is_some(), to == LearnerIdAs::Attribute);
            assert_eq!(after["relationships"]["learner"]["data"].is_array(), to == LearnerIdAs::RelationshipArray);
            assert_eq!(after["relationships"]["x"], json!([]));
        }
    }
    let nobody = json!({"id": 1, "attributes": {"progress": 3}});
    assert_eq!(activity::moved(&nobody, LearnerIdAs::Relationship), nobody);
}

#[test]
fn accounts_that_are_seen() {
    let kinds = |which| {
        let account = spec().generate().with_accounts(which);
        let accounts = account.accounts();
        let kinds: Vec<_> = accounts.iter().map(|it| it["attributes"]["type"].as_str().unwrap().to_owned()).collect();
        let at = accounts.iter().position(|it| it["id"].as_str() == account.home_id());
        for (place, seen) in accounts.iter().enumerate() {
            let learners = account.collection(List::Learners, &id(seen)).unwrap();
            assert_eq!(learners.len() > 0, Some(place) == at);
            assert_eq!(account.counts(seen)["activeLearners"].as_u64() > Some(0), Some(place) == at);
        }
        (kinds, at)
    };
    let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(SatAccounts::None), (words(&[]), None));
    assert_eq!(kinds(SatAccounts::One), (words(&["paid"]), Some(0)));
    assert_eq!(kinds(SatAccounts::Many), (words(&["paid", "paid", "paid"]), Some(1)));
    assert_eq!(kinds(SatAccounts::WithSandbox), (words(&["sandbox", "paid"]), Some(1)));
    assert_eq!(kinds(SatAccounts::WithDemo), (words(&["demo", "paid"]), Some(1)));
    assert_eq!(kinds(SatAccounts::OnlySandbox), (words(&["sandbox"]), Some(0)));
    assert_eq!(kinds(SatAccounts::OnlyDemo), (words(&["demo"]), Some(0)));
}

#[test]
fn written_records_belong_to_the_account_they_name() {
    let account = |id: &str, kind: &str| json!({"type": "accounts", "id": id, "attributes": {"type": kind}});
    let learner = |id: u64, account: Option<&str>| {
        let owner = account.map(|it| json!({"account": {"data": {"type": "accounts", "id": it}}}));
        json!({"id": id, "attributes": {"status": "active"}, "relationships": owner})
    };
    let account = SatAccount::from_records(SatRecords {
        accounts: vec![account("s", "sandbox"), account("a", "paid"), account("b", "paid")],
        learners: vec![learner(1, None), learner(2, Some("b")), learner(3, Some("a"))],
        ..SatRecords::default()
    });
    let ids =
        |of| account.collection(List::Learners, of).map(|it| it.values().iter().map(|it| it["id"].clone()).collect());
    assert_eq!(account.home_id(), Some("a"));
    assert_eq!(ids("a"), Some(vec![json!(1), json!(3)]));
    assert_eq!(ids("b"), Some(vec![json!(2)]));
    assert_eq!(ids("s"), Some(vec![]));
    assert_eq!(ids("x"), None);
    assert_eq!(account.counts(account.account("a").unwrap()), json!({"activeLearners": 2}));
    assert_eq!(account.counts(&json!({"id": "a", "meta": {"counts": {"activeLearners": 9}}}))["activeLearners"], 9);
}

#[test]
fn the_demo_has_its_signals() {
    let account = SatAccount::demo(as_of());
    let records = account.to_records();
    let count = |wanted: &str| tally(&records.learners)[wanted];
    assert_eq!((count("active"), count("inactive")), (58, 2));
    assert_eq!(account.counts(&records.accounts[0])["activeLearners"], 58);
    assert_eq!(tally(&records.assignments).len(), 6);
    let trained = trained(&records);
    let active: HashSet<_> = records.learners.iter().filter(|it| stored::is_active(it)).map(id).collect();
    assert_eq!((trained.len(), trained.intersection(&active).count()), (51, 49));
    let all_rows: Vec<_> = records.learner_activity.values().flatten().collect();
    assert_eq!(all_rows.iter().map(|it| id(it)).collect::<HashSet<_>>().len(), all_rows.len());

    assert_eq!(records.phishing_campaigns.len(), 5);
    let since = as_of() - TimeDelta::days(90);
    let counted =
        records.phishing_campaigns.iter().map(|it| &it["attributes"]).filter(|it| {
            it["isParent"] == false && it["status"] == "completed" && time(&it["campaignEndsAt"]) >= since
        });
    let sums = counted.fold((0, 0, 0), |(sent, compromised, reported), it| {
        let of = |count: &str| it["attemptStats"][count].as_u64().unwrap();
        (sent + of("sent"), compromised + of("compromised"), reported + of("reported"))
    });
    assert_eq!(sums, (116, 5, 35));
    let parents: Vec<_> = records.phishing_campaigns.iter().filter(|it| it["attributes"]["isParent"] == true).collect();
    assert_eq!((parents.len(), &parents[0]["attributes"]["attemptStats"]["sent"]), (1, &json!(116)));

    // The same customer as in the endpoint demo.
    let organization = crate::Account::demo(as_of()).record(List::Organizations, 0).unwrap();
    let attributes = &records.accounts[0]["attributes"];
    assert_eq!(attributes["ioOrgId"], organization["id"].to_string());
    assert_eq!(attributes["name"], organization["name"]);
}
