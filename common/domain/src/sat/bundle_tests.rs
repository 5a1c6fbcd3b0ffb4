use super::*;
use crate::id::{ClientId, CompanyId, RecordKey};
use crate::sat::Caps;
use crate::sat::activity::ActivityFacts;
use crate::sat::assignment::AssignmentFacts;
use crate::sat::coverage::LearnerFacts;
use crate::sat::id::{LearnerKey, SatId};
use crate::sat::phishing::CampaignFacts;
use crate::sat::status::Status;
use crate::time::{RawTimestamp, parse};

const AS_OF: &str = "2026-03-22T12:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

/// 48 active learners, 42 of them trained, 3 more who left; one campaign of 48 messages.
fn collected(settings: SatSettings) -> SatTally {
    let mut tally = SatTally::new(settings, at(AS_OF));
    tally.accounts_read = 1;
    for (id, status) in [("a1", "in-progress"), ("a2", "completed"), ("a3", "draft")] {
        let facts = AssignmentFacts { id: Some(id), status: Some(status) };
        tally.assignments.add(&facts).unwrap();
    }
    let key = |number: u64| LearnerKey::of("run", &format!("L{number}"));
    tally.coverage.claim_active_learners(Some(48));
    for number in 0..48 {
        let facts = LearnerFacts { learner: key(number), status: Some("active") };
        tally.coverage.add_learner(&facts);
    }
    for (_, numbers) in tally.assignments.to_read().to_vec().iter().zip([0..30, 20..42]) {
        let mut activity = tally.activity();
        for number in numbers.chain(100..103) {
            let facts = ActivityFacts {
                id: RecordKey::from_text(&format!("la{number}")),
                learner: key(number),
                completed_at: RawTimestamp::Text("2026-02-01T00:00:00+00:00"),
            };
            activity.add(&facts, at(AS_OF));
        }
        tally.coverage.join(activity).unwrap();
    }
    let campaign = CampaignFacts {
        id: RecordKey::from_text("pc77"),
        status: Some("completed"),
        campaign_ends_at: RawTimestamp::Text("2026-02-20T12:00:00Z"),
        sent: Some(48),
        compromised: Some(2),
        reported: Some(11),
        ..Default::default()
    };
    tally.phishing.add(&campaign, at(AS_OF));
    tally.check().unwrap();
    tally
}

fn bundle(settings: SatSettings, lowest_remaining: Option<u64>) -> SatBundle {
    let collection = SatCollection {
        collected_at: at("2026-03-22T12:00:01Z"),
        duration_ms: 2340,
        api_calls: 8,
        run: None,
        account: MeasuredAccount {
            id: SatId::parse("pXk93Lq").unwrap(),
            name: Some("Acme Inc.".to_owned()),
            io_org_id: None,
        },
        lowest_remaining,
        mapped_to: None,
    };
    let tenant = Tenant {
        company_id: Some(CompanyId::parse("msp-acme").unwrap()),
        client_id: Some(ClientId::parse("client-acme-corp").unwrap()),
    };
    bundle_of(&collected(settings), &collection, tenant, ControlMap::current(), &InForce::default())
}

const SNAPSHOT: &str = r#"{
  "connector_type_id": "huntress-sat",
  "collected_at": "2026-03-22T12:00:01Z",
  "tenant": {
    "company_id": "msp-acme",
    "client_id": "client-acme-corp"
  },
  "signals": [
    {
      "signal_key": "workforce_coverage",
      "window_days": 365,
      "status": "warning",
      "reason": "inflated_by_departed_learners",
      "values": {
        "coverage_pct": "93.8",
        "distinct_trained_learners": 45,
        "active_learners": 48,
        "departed_trained_learners": 3
      },
      "controls": "14 controls",
      "metadata": {
        "window": {
          "start": "2025-03-22T12:00:00Z",
          "end": "2026-03-22T12:00:00Z"
        },
        "truncated": false,
        "control_map_version": "2.0.0",
        "derivation": {
          "active_learners_from": "account",
          "coverage_without_departed_pct": "87.5",
          "thresholds_pct": {
            "pass_from": 90,
            "warning_from": 70
          }
        }
      }
    },
    {
      "signal_key": "phishing_simulation",
      "window_days": 90,
      "status": "pass",
      "reason": null,
      "values": {
        "compromise_rate_pct": "4.2",
        "report_rate_pct": "22.9",
        "sent": 48,
        "compromised": 2,
        "reported": 11,
        "campaigns": 1
      },
      "controls": "12 controls",
      "metadata": {
        "window": {
          "start": "2025-12-22T12:00:00Z",
          "end": "2026-03-22T12:00:00Z"
        },
        "truncated": false,
        "control_map_version": "2.0.0",
        "derivation": {
          "campaign_end": {
            "campaign_ends_at": 1,
            "completed_at": 0,
            "ends_at": 0
          },
          "parent_campaigns_counted": 0,
          "thresholds_pct": {
            "pass_up_to": 5,
            "warning_up_to": 15
          }
        }
      }
    }
  ],
  "schema_version": 2,
  "facts": {
    "learners": {
      "claimed": 48,
      "active": {
        "total": 48,
        "days": "nDoB"
      },
      "departed_days": "nDB"
    },
    "campaigns": {
      "completed": [
        [
          31,
          48,
          2,
          11
        ]
      ]
    }
  },
  "verdicts": [
    {
      "rule": "sat-coverage",
      "evidence": "workforce_coverage",
      "metric": "coverage_pct",
      "outcome": "warning",
      "reason": "inflated_by_departed_learners",
      "value": "93.8",
      "limit": {
        "pass": {
          "at_least": "90"
        },
        "warning": {
          "at_least": "70"
        }
      },
      "policy": "training",
      "version": "1.0.0",
      "policy_sha256": "SHA-256 of the preset"
    },
    {
      "rule": "sat-phishing",
      "evidence": "phishing_simulation",
      "metric": "compromise_rate_pct",
      "outcome": "pass",
      "reason": null,
      "value": "4.2",
      "limit": {
        "pass": {
          "at_most": "5"
        },
        "warning": {
          "at_most": "15"
        }
      },
      "policy": "training",
      "version": "1.0.0",
      "policy_sha256": "SHA-256 of the preset"
    }
  ],
  "metadata": {
    "api_calls_made": 8,
    "collection_duration_ms": 2340,
    "collection_method": "collectAll",
    "truncated": false,
    "truncated_lists": [],
    "data_quality": [
      {
        "code": "departed_learners",
        "detail": "trained learners who are inactive or no longer listed",
        "count": 3
      }
    ],
    "as_of": "2026-03-22T12:00:00Z",
    "derivation": {
      "assignments_read_for_activity": 2,
      "caps": {
        "activity_per_assignment": 1000,
        "assignments": 5000,
        "campaigns": 5000
      },
      "training_covers_privacy_policies": true
    },
    "records_read": {
      "accounts": 1,
      "assignments": 3,
      "learner_activity": 58,
      "learners": 48,
      "phishing_campaigns": 1
    },
    "completeness": [
      {
        "list": "accounts",
        "request": "",
        "pages": 0,
        "records": 1,
        "unique": 1,
        "dropped": {},
        "first_observed_at": null,
        "last_observed_at": null,
        "whole": true,
        "expected": null,
        "matches": null
      },
      {
        "list": "assignments",
        "request": "",
        "pages": 0,
        "records": 3,
        "unique": 3,
        "dropped": {},
        "first_observed_at": null,
        "last_observed_at": null,
        "whole": true,
        "expected": null,
        "matches": null
      },
      {
        "list": "learner_activity",
        "request": "",
        "pages": 0,
        "records": 58,
        "unique": 58,
        "dropped": {},
        "first_observed_at": null,
        "last_observed_at": null,
        "whole": true,
        "expected": null,
        "matches": null
      },
      {
        "list": "learners",
        "request": "",
        "pages": 0,
        "records": 48,
        "unique": 48,
        "dropped": {},
        "first_observed_at": null,
        "last_observed_at": null,
        "whole": true,
        "expected": {
          "from": "account.activeLearners",
          "count": 48,
          "found": 48
        },
        "matches": true
      },
      {
        "list": "phishing_campaigns",
        "request": "",
        "pages": 0,
        "records": 1,
        "unique": 1,
        "dropped": {},
        "first_observed_at": null,
        "last_observed_at": null,
        "whole": true,
        "expected": null,
        "matches": null
      }
    ],
    "account": {
      "id": "pXk93Lq",
      "name": "Acme Inc.",
      "io_org_id": null
    },
    "control_map_version": "2.0.0"
  }
}"#;

/// The bundle's JSON with each list of controls as its length; the control map has its own tests.
fn shown(bundle: &SatBundle) -> String {
    let text = serde_json::to_string_pretty(bundle).unwrap();
    let mut lines = Vec::new();
    let mut controls = None;
    for line in text.lines() {
        match (line, &mut controls) {
            ("      \"controls\": [", None) => controls = Some(0),
            ("      ],", Some(count)) => {
                lines.push(format!("      \"controls\": \"{count} controls\","));
                controls = None;
            }
            (_, Some(count)) => *count += usize::from(line.contains("\"framework\"")),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn the_bundle_has_the_keys_of_the_contract_in_their_order() {
    let settings = SatSettings::new(Caps::default(), true).unwrap();
    let expected = SNAPSHOT.replace("SHA-256 of the preset", &crate::policy::training().sha256());
    assert_eq!(shown(&bundle(settings, Some(100))), expected);
}

#[test]
fn a_bundle_is_read_back_as_it_was_written() {
    let bundle = bundle(SatSettings::default(), Some(3));
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(serde_json::from_str::<SatBundle>(&text).unwrap(), bundle);
    assert_eq!(bundle.signal(SignalKey::PhishingSimulation).unwrap().controls.len(), 11);
    assert_eq!(bundle.metadata.rate_limit_warning.as_ref().unwrap().lowest_remaining, 3);
}

#[test]
fn each_signal_names_its_own_controls() {
    for covers in [false, true] {
        let options = ControlOptions { training_covers_privacy_policies: covers };
        let bundle = bundle(SatSettings::new(Caps::default(), covers).unwrap(), None);
        for signal in &bundle.signals {
            let named = ControlMap::current().controls_for(signal.signal_key.into(), options);
            assert_eq!(signal.controls, named, "{}", signal.signal_key);
        }
    }
}

#[test]
fn a_cut_list_is_named_where_it_matters() {
    let caps = Caps { activity_per_assignment: 30, ..Caps::default() };
    let bundle = bundle(SatSettings::new(caps, false).unwrap(), None);
    let cut = TruncatedList { list: SatList::LearnerActivity, cap: 30, lists: 1 };
    assert_eq!(bundle.metadata.truncated_lists, [cut]);
    let truncated: Vec<bool> = bundle.signals.iter().map(|signal| signal.metadata.truncated).collect();
    assert_eq!((bundle.metadata.truncated, truncated), (true, vec![true, false]));
    assert_eq!(bundle.signals[0].status, Status::Inconclusive);
    assert_eq!(bundle.signals[1].status, Status::Pass);
}

#[test]
fn an_account_without_a_count_is_said_so() {
    let mut tally = collected(SatSettings::default());
    tally.coverage.claim_active_learners(None);
    let collection = SatCollection {
        collected_at: at(AS_OF),
        duration_ms: 0,
        api_calls: 0,
        run: None,
        account: MeasuredAccount { id: SatId::parse("a").unwrap(), name: None, io_org_id: None },
        lowest_remaining: None,
        mapped_to: None,
    };
    let tenant = Tenant { company_id: None, client_id: None };
    let bundle = bundle_of(&tally, &collection, tenant, ControlMap::current(), &InForce::default());
    let codes: Vec<_> = bundle.metadata.data_quality.iter().map(|entry| entry.code).collect();
    assert!(codes.contains(&QualityCode::ActiveLearnersCountedFromList));
}
