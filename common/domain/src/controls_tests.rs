use super::*;

const PRIVACY: ControlOptions = ControlOptions { training_covers_privacy_policies: true };

/// A framework and its controls.
type Named = (&'static str, &'static [&'static str]);

/// The contract's table, row by row.
const TABLE: &[(&str, &[Named])] = &[
    (
        "workforce_coverage",
        &[
            ("HIPAA", &["164.308(a)(5)(ii)(A)", "164.530(b)(1)"]),
            ("SOC 2", &["CC1.4", "CC2.2"]),
            ("NIST CSF", &["PR.AT-01"]),
            ("NIST SP 800-53", &["AT-2", "AT-4"]),
            ("NIST SP 800-171", &["3.2.1"]),
            ("CMMC", &["AT.L2-3.2.1"]),
            ("CIS Controls", &["14.1", "14.2"]),
            ("PCI DSS", &["12.6.1", "12.6.3"]),
            ("ISO/IEC 27001", &["A.6.3"]),
        ],
    ),
    (
        "phishing_simulation",
        &[
            ("HIPAA", &["164.308(a)(5)(ii)(A)", "164.530(b)(1)", "164.308(a)(6)(ii)"]),
            ("SOC 2", &["CC2.2"]),
            ("NIST SP 800-53", &["AT-2(1)", "AT-2(3)", "IR-6"]),
            ("CIS Controls", &["14.2", "14.6"]),
            ("PCI DSS", &["12.6.3.1"]),
            ("ISO/IEC 27001", &["A.6.3", "A.6.8"]),
        ],
    ),
    (
        "person_training",
        &[
            ("HIPAA", &["164.308(a)(5)(i)"]),
            ("SOC 2", &["CC1.4"]),
            ("NIST SP 800-53", &["AT-4"]),
            ("NIST SP 800-171", &["3.2.1"]),
            ("PCI DSS", &["12.6.3"]),
            ("ISO/IEC 27001", &["A.6.3"]),
        ],
    ),
    (
        "endpoint_protection",
        &[
            ("CIS Controls", &["10.1", "13.7"]),
            ("CMMC", &["SI.L2-3.14.2"]),
            ("NIST SP 800-171", &["3.14.2"]),
            ("NIST CSF", &["DE.CM-09"]),
            ("NIST SP 800-53", &["SI-3", "SI-4"]),
            ("SOC 2", &["CC6.8", "CC7.2"]),
            ("HIPAA", &["164.308(a)(5)(ii)(B)"]),
            ("PCI DSS", &["5.2.1", "10.7.2"]),
            ("ISO/IEC 27001", &["A.8.7"]),
        ],
    ),
    (
        "asset_inventory",
        &[
            ("CIS Controls", &["1.1"]),
            ("NIST CSF", &["ID.AM-01"]),
            ("NIST SP 800-53", &["CM-8"]),
            ("NIST SP 800-171", &["3.4.1"]),
            ("PCI DSS", &["12.5.1"]),
            ("ISO/IEC 27001", &["A.5.9"]),
        ],
    ),
    (
        "incident_response",
        &[
            ("CIS Controls", &["17"]),
            ("CMMC", &["IR.L2-3.6.1"]),
            ("NIST SP 800-171", &["3.6.1", "3.6.2"]),
            ("NIST SP 800-53", &["IR-4", "IR-5"]),
            ("NIST CSF", &["RS.AN-03", "RS.MA-02", "RS.MI-01"]),
            ("SOC 2", &["CC7.2", "CC7.3", "CC7.4"]),
            ("HIPAA", &["164.308(a)(6)(ii)"]),
            ("PCI DSS", &["12.10.1"]),
            ("ISO/IEC 27001", &["A.5.25", "A.5.26"]),
        ],
    ),
];

#[test]
fn every_row_of_the_contract_is_there_exactly_once_and_nothing_else() {
    let map = ControlMap::parse(FILE).unwrap();
    let mut listed: Vec<_> =
        map.controls.iter().map(|row| (row.evidence.as_str(), row.framework.as_str(), row.id.as_str())).collect();
    let mut expected = Vec::new();
    for (evidence, frameworks) in TABLE {
        for (framework, ids) in *frameworks {
            expected.extend(ids.iter().map(|id| (*evidence, *framework, *id)));
        }
    }
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert_eq!(ControlMap::current(), &map);
}

#[test]
fn each_framework_has_one_edition() {
    let editions: BTreeSet<_> =
        ControlMap::current().controls.iter().map(|row| (row.framework.as_str(), row.version.as_str())).collect();
    let expected = [
        ("CIS Controls", "v8.1"),
        ("CMMC", "2.0"),
        ("HIPAA", "45 CFR 164"),
        ("ISO/IEC 27001", "2022"),
        ("NIST CSF", "2.0"),
        // The numbers are those of revision 2; revision 3 writes 03.02.01.
        ("NIST SP 800-171", "r2"),
        ("NIST SP 800-53", "r5"),
        ("PCI DSS", "4.0.1"),
        ("SOC 2", "2017, revised 2022"),
    ];
    assert_eq!(editions, expected.into());
}

#[test]
fn people_who_report_messages_are_no_protection_from_malware() {
    let anti_malware = ["164.308(a)(5)(ii)(B)", "10.1", "5.2.1", "A.8.7", "CC6.8", "3.14.2", "SI.L2-3.14.2"];
    for evidence in [Evidence::PhishingSimulation, Evidence::WorkforceCoverage, Evidence::PersonTraining] {
        for control in ControlMap::current().controls_for(evidence, PRIVACY) {
            assert!(!anti_malware.contains(&control.id.as_str()), "{evidence:?} {control:?}");
        }
    }
}

#[test]
fn training_in_privacy_policies_is_claimed_only_where_the_tenant_says_so() {
    let map = ControlMap::current();
    let names = |evidence, options| {
        let named = map.controls_for(evidence, options);
        named.iter().any(|control| control.id == "164.530(b)(1)")
    };
    for evidence in Evidence::ALL {
        let about_training = matches!(evidence, Evidence::WorkforceCoverage | Evidence::PhishingSimulation);
        assert!(!names(evidence, ControlOptions::default()), "{evidence:?}");
        assert_eq!(names(evidence, PRIVACY), about_training, "{evidence:?}");
    }
}

#[test]
fn rationales_are_one_sentence_each() {
    for row in &ControlMap::current().controls {
        assert!(row.rationale.ends_with('.') && row.rationale.len() < 160, "{}", row.rationale);
        assert!(!row.rationale.trim_end_matches('.').contains(". "), "{}", row.rationale);
    }
}

#[test]
fn older_numbers_of_a_practice_are_kept_beside_it() {
    let rows = &ControlMap::current().controls;
    let formerly: BTreeSet<_> =
        rows.iter().filter_map(|row| Some((row.id.as_str(), row.formerly.as_deref()?))).collect();
    assert_eq!(formerly, [("SI.L2-3.14.2", "SI.1.210"), ("IR.L2-3.6.1", "IR.2.092")].into());
}

#[test]
fn a_damaged_file_is_refused() {
    let rows = &ControlMap::current().controls;
    let file = |rows: &[ControlRow]| serde_json::json!({"version": "1", "controls": rows}).to_string();
    assert!(matches!(ControlMap::parse("{"), Err(InvalidControlMap::Unreadable(_))));
    assert!(matches!(ControlMap::parse(&file(&rows[1..3])), Err(InvalidControlMap::Missing(_))));
    let twice = [rows.as_slice(), &rows[..1]].concat();
    assert!(matches!(ControlMap::parse(&file(&twice)), Err(InvalidControlMap::Repeated { .. })));
    let mut blank = rows.clone();
    blank[3].rationale = " ".to_owned();
    assert!(matches!(ControlMap::parse(&file(&blank)), Err(InvalidControlMap::Blank { row: 4 })));
}

#[test]
fn a_category_of_metrics_is_a_kind_of_evidence() {
    for category in [Category::EndpointProtection, Category::IncidentResponse, Category::AssetInventory] {
        let name = serde_json::to_value(category).unwrap();
        assert_eq!(name, Evidence::from(category).as_str());
    }
}

#[test]
fn every_control_has_an_oscal_token_of_its_own() {
    let map = ControlMap::current();
    assert_eq!(map.version(), "2.0.0");
    let tokens: BTreeMap<_, _> =
        map.rows().iter().map(|row| (row.oscal_id.as_deref().unwrap(), (&row.framework, &row.id))).collect();
    let controls: BTreeSet<_> = map.rows().iter().map(|row| (&row.framework, &row.id)).collect();
    assert_eq!(tokens.len(), controls.len());
    assert_eq!(map.oscal_id("nist sp 800-53 AT-2(3)"), Some("at-2.3"));
    let broken = |change: fn(&mut Vec<ControlRow>)| {
        let mut rows = map.rows().to_vec();
        change(&mut rows);
        ControlMap::parse(&serde_json::json!({"version": "3", "controls": rows}).to_string())
    };
    assert!(broken(|_| {}).is_ok());
    for change in [
        (|rows: &mut Vec<ControlRow>| rows[4].oscal_id = None) as fn(&mut Vec<ControlRow>),
        |rows| rows[4].oscal_id = Some("14.1".to_owned()),
        |rows| rows[4].oscal_id = Some("cis 14.1".to_owned()),
        |rows| rows[4].oscal_id = rows[3].oscal_id.clone(),
        // Two tokens of one control, which stands in two rows.
        |rows| rows.iter_mut().find(|row| row.id == "3.2.1").unwrap().oscal_id = Some("other".to_owned()),
    ] {
        assert!(matches!(broken(change), Err(InvalidControlMap::OscalId { .. })));
    }
}

#[test]
fn version_one_is_still_read() {
    let first = ControlMap::of_version("1.0.0").unwrap();
    assert_eq!((first.version(), first.rows().len() + 6), ("1.0.0", ControlMap::current().rows().len()));
    assert!(first.rows().iter().all(|row| row.oscal_id.is_none()));
    assert_eq!(ControlMap::of_version("2.0.0").as_ref(), Some(ControlMap::current()));
    assert_eq!(ControlMap::of_version("9.0.0"), None);
}

#[test]
fn every_control_has_a_title_and_every_title_a_control() {
    let map = ControlMap::current();
    let untitled: Vec<_> = map.rows().iter().filter(|row| map.title(row).is_none()).map(|row| &row.id).collect();
    assert!(untitled.is_empty(), "{untitled:?}");
    let named: BTreeSet<String> = map.rows().iter().map(|row| format!("{} {}", row.framework, row.id)).collect();
    assert_eq!(TITLES.len(), named.len());
}
