use super::*;
use crate::calendar::{Calendar, Until, days_after};
use crate::id::{PersonId, RuleId};
use crate::time::parse;
use chrono::{NaiveDate, TimeDelta};

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-03-01T12:00:00Z")
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn id(text: &str) -> DecisionId {
    DecisionId::parse(text).unwrap()
}

fn new(name: &str) -> NewRecord {
    NewRecord { id: id(name), nonce: Nonce::from_bytes([1; 16]), at: now() }
}

fn who(name: &str) -> Decider {
    Decider { name: name.to_owned(), on_this_machine: true }
}

fn online() -> ExceptionSubject {
    ExceptionSubject::Rule(RuleId::parse("edr-online").unwrap())
}

fn request() -> ExceptionRequest {
    ExceptionRequest {
        client: ClientId::parse("acme").unwrap(),
        subject: online(),
        reason: "Laptops of the sales team are replaced in May.\r\nTicket 4711.".to_owned(),
        by: who("alice"),
        from: None,
        until: Until::EndOf(day("2026-12-01")),
        link: Some("https://tickets.example/4711".to_owned()),
    }
}

/// In New York.
fn propose(request: ExceptionRequest, id: &str) -> Result<Exception, InvalidException> {
    request.propose(new(id), &Calendar::default())
}

fn exception() -> Exception {
    propose(request(), "x1").unwrap()
}

fn review(
    exception: &Exception,
    earlier: &[Review],
    decision: ReviewKind,
    by: &str,
    hours: i64,
) -> Result<Review, InvalidReview> {
    let number = earlier.len() + 1;
    let at = now() + TimeDelta::hours(hours);
    exception.review(earlier, decision, &who(by), None, NewRecord { at, ..new(&format!("r{number}")) })
}

#[test]
fn an_exception_keeps_what_was_asked_for_and_counts_once_somebody_else_approved_it() {
    let exception = exception();
    assert_eq!(exception.reason, "Laptops of the sales team are replaced in May.\nTicket 4711.");
    assert_eq!((exception.from, exception.until), (now(), at("2026-12-02T05:00:00Z")));
    assert!(!exception.is_in_force(&[], now()));
    let approved = review(&exception, &[], ReviewKind::Approved, "bob", 2).unwrap();
    let after = |hours| exception.is_in_force([&approved], now() + TimeDelta::hours(hours));
    assert!(!after(1) && after(2));
    assert_eq!(exception.state_at([&approved], now() + TimeDelta::hours(1)), ExceptionState::Proposed);
}

#[test]
fn it_ends_at_midnight_in_the_zone_of_the_schedule_by_itself() {
    let exception = exception();
    let approved = [review(&exception, &[], ReviewKind::Approved, "bob", 0).unwrap()];
    let last = at("2026-12-02T04:59:59Z"); // 23:59:59 in New York
    assert!(exception.is_in_force(&approved, last));
    assert!(!exception.is_in_force(&approved, last + TimeDelta::seconds(1)));
    assert_eq!(exception.state_at(&approved, last + TimeDelta::seconds(1)), ExceptionState::Expired);
    assert_eq!(exception.state_at(&[], last + TimeDelta::seconds(1)), ExceptionState::Expired);
    // In summer midnight is an hour earlier by UTC.
    let summer = propose(ExceptionRequest { until: Until::EndOf(day("2026-06-30")), ..request() }, "x2").unwrap();
    assert_eq!(summer.until, at("2026-07-01T04:00:00Z"));
}

#[test]
fn midnight_is_that_of_the_zone_and_so_is_the_longest_year() {
    let ends = |zone, day_text| {
        let calendar = Calendar::parse("cron(30 5 * * ? *)", zone).unwrap();
        let request = ExceptionRequest { until: Until::EndOf(day(day_text)), ..request() };
        request.propose(new("x1"), &calendar).map(|exception| exception.until)
    };
    assert_eq!(ends("Europe/Vienna", "2026-12-01"), Ok(at("2026-12-01T23:00:00Z")));
    // The clocks go back on that day, so that it is 25 hours long.
    assert_eq!(ends("Europe/Vienna", "2026-10-25"), Ok(at("2026-10-25T23:00:00Z")));
    assert_eq!(ends("Europe/Vienna", "2026-10-24"), Ok(at("2026-10-24T22:00:00Z")));
    assert_eq!(ends("Asia/Kolkata", "2026-12-01"), Ok(at("2026-12-01T18:30:00Z")));
    assert!(ends("Asia/Kolkata", "2027-03-01").is_ok());
    assert_eq!(ends("Asia/Kolkata", "2027-03-02"), Err(InvalidException::TooLong(366)));
    let kolkata = Calendar::parse("cron(30 5 * * ? *)", "Asia/Kolkata").unwrap();
    let request = |now| {
        let request = AttestationRequest {
            client: ClientId::parse("acme").unwrap(),
            key: AttestationKey::ExpectedDevices,
            value: "52".to_owned(),
            source: "RMM export".to_owned(),
            dated: day("2026-03-02"),
            by: who("alice"),
            until: Until::EndOf(day("2026-05-31")),
        };
        request.state(NewRecord { at: at(now), ..new("a1") }, &kolkata)
    };
    // It is the second of March there since half past six in the evening of the first, by universal time.
    assert!(matches!(request("2026-03-01T18:29:59Z"), Err(InvalidAttestation::Future(_))));
    assert_eq!(request("2026-03-01T18:30:00Z").unwrap().until, at("2026-05-31T18:30:00Z"));
}

#[test]
fn who_proposed_it_cannot_decide_about_it() {
    let exception = exception();
    for (decision, name) in [
        (ReviewKind::Approved, "alice"),
        (ReviewKind::Approved, " Alice "),
        (ReviewKind::Rejected, "ALICE"),
        (ReviewKind::Revoked, "alice"),
    ] {
        let error = review(&exception, &[], decision, name, 1).unwrap_err();
        assert!(matches!(error, InvalidReview::SamePerson(_)), "{error}");
    }
    assert!(matches!(
        review(&exception, &[], ReviewKind::Approved, " ", 1),
        Err(InvalidReview::Text(InvalidText::Missing(_)))
    ));
}

#[test]
fn a_decision_is_taken_only_where_it_can_be() {
    let exception = exception();
    let state_of = |reviews: &[Review], hours| exception.state_at(reviews, now() + TimeDelta::hours(hours));
    let error = review(&exception, &[], ReviewKind::Revoked, "bob", 1).unwrap_err();
    assert_eq!(error.to_string(), "the exception is proposed: it cannot be revoked; propose a new one");
    let rejected = vec![review(&exception, &[], ReviewKind::Rejected, "bob", 1).unwrap()];
    assert_eq!(state_of(&rejected, 1), ExceptionState::Rejected);
    assert!(review(&exception, &rejected, ReviewKind::Approved, "bob", 2).is_err());
    let mut approved = vec![review(&exception, &[], ReviewKind::Approved, "bob", 1).unwrap()];
    let error = review(&exception, &approved, ReviewKind::Approved, "carol", 2).unwrap_err();
    assert_eq!(error.to_string(), "the exception is approved: it cannot be approved; it can be revoked");
    approved.push(review(&exception, &approved, ReviewKind::Revoked, "bob", 5).unwrap());
    assert_eq!((state_of(&approved, 4), state_of(&approved, 5)), (ExceptionState::Approved, ExceptionState::Revoked));
    assert!(!exception.is_in_force(&approved, now() + TimeDelta::hours(5)));
    // Whatever order they are read in; and those of another exception are nobody's here.
    approved.reverse();
    assert_eq!(state_of(&approved, 9), ExceptionState::Revoked);
    let other = Review { exception: id("x9"), ..approved[0].clone() };
    assert_eq!(state_of(&[other], 9), ExceptionState::Proposed);
    // After its end nothing can be decided.
    assert!(review(&exception, &[], ReviewKind::Approved, "bob", 24 * 300).is_err());
}

#[test]
fn what_is_wrong_with_an_exception_is_said_with_what_to_do() {
    let refused = |request: ExceptionRequest| propose(request, "x1").unwrap_err().to_string();
    let with_reason = |reason: &str| refused(ExceptionRequest { reason: reason.to_owned(), ..request() });
    assert_eq!(with_reason(" \n"), "the reason is missing");
    assert!(with_reason("because I said so.").starts_with("the reason has 15 characters"));
    assert!(with_reason("a                                     b").starts_with("the reason has 2 characters"));
    assert!(with_reason("a reason with \u{1b}[2J in it, all right").starts_with("the reason has control characters"));
    assert!(with_reason(&"x".repeat(4_001)).starts_with("the reason has 4001 characters"));
    let until = |until| refused(ExceptionRequest { until, ..request() });
    assert!(until(Until::Instant(now())).starts_with("the exception would end before it begins"));
    let early = ExceptionRequest { from: Some(now() - TimeDelta::days(9)), until: Until::Instant(now()), ..request() };
    assert!(refused(early).starts_with("the exception would be over already"));
    // To the end of the same day of the next year, and a day more.
    let year = days_after(day("2026-03-01"), 365);
    assert!(propose(ExceptionRequest { until: Until::EndOf(year), ..request() }, "x1").is_ok());
    assert_eq!(
        until(Until::EndOf(days_after(year, 1))),
        "the exception would last 366 days: at most 365 are allowed; it can be renewed by a new one before it ends"
    );
    for link in ["tickets/4711", "https://", "javascript:alert(1)", "https://a b"] {
        let error = refused(ExceptionRequest { link: Some(link.to_owned()), ..request() });
        assert!(error.starts_with("the link is no web address"), "{link}: {error}");
    }
    assert!(refused(ExceptionRequest { by: who(""), ..request() }).contains("name of who proposes it is missing"));
    let exactly = "x".repeat(SHORTEST_REASON);
    assert!(propose(ExceptionRequest { reason: exactly, ..request() }, "x1").is_ok());
}

#[test]
fn the_exception_that_counts_is_the_one_for_the_subject_that_ends_last() {
    let first = exception();
    let renewal = propose(ExceptionRequest { until: Until::EndOf(day("2027-01-15")), ..request() }, "x2").unwrap();
    let control = ExceptionSubject::Control("cc6.8".to_owned());
    let other = propose(ExceptionRequest { subject: control.clone(), ..request() }, "x3").unwrap();
    let approve = |it: &Exception| review(it, &[], ReviewKind::Approved, "bob", 0).unwrap();
    let all = [first.clone(), renewal.clone(), other.clone()];
    let of = |reviews: &[Review], subjects: &[ExceptionSubject]| {
        exception_in_force(&all, reviews, subjects, now()).map(|it| it.id)
    };
    assert_eq!(of(&[], &[online()]), None);
    assert_eq!(of(&[approve(&first)], &[online()]).as_deref(), Some("x1"));
    assert_eq!(of(&[approve(&first), approve(&renewal)], &[online()]).as_deref(), Some("x2"));
    assert_eq!(of(&[approve(&other)], &[online()]), None);
    assert_eq!(of(&[approve(&other)], &[online(), control]).as_deref(), Some("x3"));
    // Not before it begins, nor before it was proposed.
    let later = propose(ExceptionRequest { from: Some(now() + TimeDelta::days(1)), ..request() }, "x4").unwrap();
    let approved = [approve(&later)];
    assert!(exception_in_force([&later], &approved, &[online()], now()).is_none());
    assert!(exception_in_force([&later], &approved, &[online()], now() + TimeDelta::days(1)).is_some());
    assert_eq!(exceptions_at(&all, &[], now() - TimeDelta::hours(1)), []);
    assert_eq!(exceptions_at(&all, &[], now()).len(), 3);
}

#[test]
fn records_are_read_back_as_they_were_written() {
    let exception = exception();
    let approved = review(&exception, &[], ReviewKind::Approved, "bob", 1).unwrap();
    let person = ExceptionSubject::Person(PersonId::from_hash(7));
    for decision in [
        Decision::Exception(exception.clone()),
        Decision::Exception(Exception { subject: person, link: None, ..exception }),
        Decision::Review(approved),
        Decision::Attestation(attest("52").unwrap()),
    ] {
        let text = serde_json::to_string(&decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision, "{text}");
        assert!(text.contains("\"nonce\":\"01010101010101010101010101010101\""), "{text}");
        assert_eq!((decision.client().as_str(), decision.at() >= now()), ("acme", true));
    }
    assert!(serde_json::from_str::<Nonce>("\"0G\"").is_err());
}

fn attest_with(change: impl FnOnce(&mut AttestationRequest)) -> Result<Attestation, InvalidAttestation> {
    let mut request = AttestationRequest {
        client: ClientId::parse("acme").unwrap(),
        key: AttestationKey::ExpectedDevices,
        value: "52".to_owned(),
        source: "RMM export of 2026-02-27".to_owned(),
        dated: day("2026-02-27"),
        by: who("alice"),
        until: Until::EndOf(day("2026-05-31")),
    };
    change(&mut request);
    request.state(new("a1"), &Calendar::default())
}

fn attest(value: &str) -> Result<Attestation, InvalidAttestation> {
    attest_with(|request| request.value = value.to_owned())
}

#[test]
fn a_number_of_devices_is_whole_and_above_zero() {
    assert_eq!(attest(" 52 ").unwrap().value, 52);
    for bad in ["0", "-3", "", "5.5", "+5", "many", "18446744073709551616", "100000001"] {
        assert!(matches!(attest(bad), Err(InvalidAttestation::Value(_))), "{bad}");
    }
    assert!(attest("0").unwrap_err().to_string().contains("give a whole number above 0"));
    assert!(AttestationKey::parse("expected_printers").is_err());
    assert_eq!(AttestationKey::parse("expected_devices").unwrap().as_str(), "expected_devices");
    assert!(matches!(attest_with(|it| it.source = " ".to_owned()), Err(InvalidAttestation::Text(_))));
    assert!(matches!(attest_with(|it| it.dated = day("2026-03-02")), Err(InvalidAttestation::Future(_))));
    assert!(attest_with(|it| it.dated = day("2026-03-01")).is_ok());
    assert!(matches!(attest_with(|it| it.until = Until::Instant(now())), Err(InvalidAttestation::Over)));
}

#[test]
fn the_attestation_made_last_counts_until_it_ends() {
    let first = attest("52").unwrap();
    let second = Attestation {
        id: id("a2"),
        value: 60,
        at: now() + TimeDelta::days(1),
        until: Calendar::default().start_of(day("2026-03-10")),
        ..first.clone()
    };
    let at = |text: &str| {
        newest_attestation([&first, &second], AttestationKey::ExpectedDevices, at(text))
            .map(|attestation| attestation.value)
    };
    assert_eq!(at("2026-03-01T11:59:59Z"), None);
    assert_eq!(at("2026-03-01T12:00:00Z"), Some(52));
    assert_eq!(at("2026-03-02T12:00:00Z"), Some(60));
    assert_eq!(at("2026-03-10T05:00:00Z"), Some(52)); // the second is over
    assert_eq!(at("2026-06-01T04:00:00Z"), None);
    assert_eq!(EndpointCoverage::of(5, 0), None);
    assert_eq!(EndpointCoverage::of(52, 52).unwrap().more_agents_than_expected, 0);
}
