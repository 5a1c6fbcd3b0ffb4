use super::*;
use crate::fault::FaultKind;
use crate::sat::SatAccounts;

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

fn ids_of(records: &[Value]) -> Vec<String> {
    records.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

async fn walk(simulator: &Simulator, path: &str, per_page: u64) -> (Vec<String>, u64) {
    let token = token_for(simulator, FIVE).await;
    let mut all = Vec::new();
    for number in 1.. {
        let page = json(fetch(simulator, &token, &format!("{path}?{}", size(number, per_page))).await).await;
        all.extend(ids(&page));
        let meta = &page["meta"]["page"];
        assert_eq!(meta["currentPage"], number);
        if meta["lastPage"] == number {
            return (all, number);
        }
    }
    unreachable!()
}

#[tokio::test]
async fn each_record_comes_once() {
    let records = training().to_records();
    let (home, current) = (home(), current());
    let cases = [
        (List::Accounts.path_of(""), &records.accounts),
        (List::Assignments.path_of(&home), &records.assignments),
        (List::Learners.path_of(&home), &records.learners),
        (List::PhishingCampaigns.path_of(&home), &records.phishing_campaigns),
        (List::AssignmentLearners.path_of(&current), &records.assignment_learners[&current]),
        (List::LearnerActivity.path_of(&current), &records.learner_activity[&current]),
    ];
    let simulator = training_only().start().await.unwrap();
    for account in [training(), SatAccount::from_records(records.clone())] {
        simulator.set_sat(account);
        for (path, expected) in &cases {
            for per_page in [7, 500] {
                let (seen, pages) = walk(&simulator, path, per_page).await;
                assert_eq!(seen, ids_of(expected), "{path}");
                assert_eq!(pages, (expected.len() as u64).div_ceil(per_page));
            }
        }
        let assignment = read(&simulator, &List::AssignmentById.path_of(&current)).await;
        assert_eq!(assignment["data"], records.assignments[CURRENT]);
    }
}

#[tokio::test]
async fn the_envelope_is_json_api() {
    let simulator = training_only().start().await.unwrap();
    let path = List::Learners.path_of(&home());
    let page = read(&simulator, &path).await;
    assert_eq!(
        page["meta"]["page"],
        json!({"currentPage": 1, "from": 1, "lastPage": 9, "perPage": 15, "to": 15, "total": 130})
    );
    assert_eq!(page["jsonapi"], json!({"version": "1.0"}));
    assert_eq!(page["data"][0]["type"], "learners");
    assert_eq!(page["links"]["prev"], Value::Null);
    let next = page["links"]["next"].as_str().unwrap();
    assert_eq!(next, format!("{}{path}?{}", simulator.origin(), size(2, 15)));
    let second = read(&simulator, next.strip_prefix(&simulator.origin()).unwrap()).await;
    assert_eq!(second["meta"]["page"]["from"], 16);
    let last = read(&simulator, &format!("{path}?{}", size(9, 15))).await;
    assert_eq!((&last["links"]["next"], &last["meta"]["page"]["to"]), (&Value::Null, &json!(130)));
    // Brackets that are not escaped are the same, and what does not exist is ignored.
    let plain = read(&simulator, &format!("{path}?page[number]=2&page[size]=15&sort=-x&filter[y]=1")).await;
    assert_eq!(plain["data"], second["data"]);

    let beyond = read(&simulator, &format!("{path}?{}", size(10, 15))).await;
    assert_eq!(
        (&beyond["data"], &beyond["meta"]["page"]),
        (&json!([]), &json!({"currentPage": 10, "from": null, "lastPage": 9, "perPage": 15, "to": null, "total": 130}))
    );
    let home = SatAccount::from_records(SatRecords { accounts: training().accounts(), ..SatRecords::default() });
    simulator.set_sat(home);
    let empty = read(&simulator, &path).await;
    assert_eq!((&empty["data"], &empty["meta"]["page"]["lastPage"]), (&json!([]), &json!(1)));
}

#[tokio::test]
async fn a_page_may_be_smaller_than_asked_for() {
    let simulator = training_only().start().await.unwrap();
    let path = List::Learners.path_of(&home());
    assert_eq!(read(&simulator, &format!("{path}?{}", size(1, 1000))).await["meta"]["page"]["perPage"], 500);
    let simulator = training_only().sat_max_page(25).start().await.unwrap();
    let page = read(&simulator, &format!("{path}?{}", size(6, 500))).await;
    assert_eq!(page["meta"]["page"]["perPage"], 25);
    assert_eq!((&page["meta"]["page"]["lastPage"], ids(&page).len()), (&json!(6), 5));
    let (all, pages) = walk(&simulator, &path, 500).await;
    assert_eq!((all.len(), pages), (130, 6));
}

#[tokio::test]
async fn numbers_behind_the_last_page_can_repeat_it() {
    let simulator = training_only().repeat_last_page(true).start().await.unwrap();
    let path = List::Learners.path_of(&home());
    let last = read(&simulator, &format!("{path}?{}", size(2, 100))).await;
    let again = read(&simulator, &format!("{path}?{}", size(77, 100))).await;
    assert_eq!(again["data"], last["data"]);
    assert_eq!(ids(&again).len(), 30);
    assert_eq!(again["meta"]["page"]["currentPage"], 77);
}

#[tokio::test]
async fn counts_are_where_they_are_wanted() {
    let active = training().to_records().learners.iter().filter(|it| it["attributes"]["status"] == "active").count();
    let counts = json!({"counts": {"activeLearners": active}});
    let path = List::AccountById.path_of(&home());
    for (place, inside, outside) in
        [(CountsAt::DataMeta, true, false), (CountsAt::TopMeta, false, true), (CountsAt::Absent, false, false)]
    {
        for on_list in [true, false] {
            let simulator = training_only().counts_at(place).counts_on_list(on_list).start().await.unwrap();
            let one = read(&simulator, &path).await;
            assert_eq!(one["data"]["id"], home());
            assert_eq!(one["data"].get("meta"), inside.then_some(&counts));
            assert_eq!(one.get("meta"), outside.then_some(&counts));
            let listed = read(&simulator, "/api/v1/accounts").await;
            assert_eq!(listed["data"][0].get("meta"), on_list.then_some(&counts));
        }
    }
}

#[tokio::test]
async fn accounts_are_those_that_are_seen() {
    let simulator = training_only().start().await.unwrap();
    for (which, count) in
        [(SatAccounts::None, 0), (SatAccounts::One, 1), (SatAccounts::Many, 3), (SatAccounts::WithDemo, 2)]
    {
        simulator.set_sat(training().with_accounts(which));
        let page = read(&simulator, "/api/v1/accounts").await;
        assert_eq!(ids(&page).len(), count);
        for id in ids(&page) {
            let learners = read(&simulator, &List::Learners.path_of(&id)).await;
            assert_eq!(learners["meta"]["page"]["total"] == 130, id == home());
            assert_eq!(read(&simulator, &List::AccountById.path_of(&id)).await["data"]["id"], id);
        }
    }
    simulator.set_sat(training().with_accounts(SatAccounts::None));
    let token = token_for(&simulator, FIVE).await;
    for list in [List::AccountById, List::Learners, List::Assignments, List::PhishingCampaigns] {
        assert_eq!(fetch(&simulator, &token, &list.path_of(&home())).await.status(), 404);
    }
}

#[tokio::test]
async fn the_learners_id_is_where_it_is_wanted() {
    let path = format!("{}?{}", List::LearnerActivity.path_of(&current()), size(1, 100));
    let plain = read(&training_only().start().await.unwrap(), &path).await;
    for account in [training(), SatAccount::from_records(training().to_records())] {
        for place in [LearnerIdAs::Attribute, LearnerIdAs::Relationship, LearnerIdAs::RelationshipArray] {
            let builder = Simulator::sat_only(account.clone()).learner_id_as(place);
            let page = read(&builder.start().await.unwrap(), &path).await;
            for (row, plain) in page["data"].as_array().unwrap().iter().zip(plain["data"].as_array().unwrap()) {
                let data = &row["relationships"]["learner"]["data"];
                let id = match place {
                    LearnerIdAs::Attribute => &row["attributes"]["learnerId"],
                    LearnerIdAs::Relationship => &data["id"],
                    LearnerIdAs::RelationshipArray => &data[0]["id"],
                };
                assert_eq!(*id, plain["attributes"]["learnerId"]);
                assert_eq!(row["attributes"].get("learnerId").is_some(), place == LearnerIdAs::Attribute);
                assert_eq!(row["attributes"]["completedAt"], plain["attributes"]["completedAt"]);
            }
        }
    }
}

#[tokio::test]
async fn certificates_in_each_kind() {
    let (account, current) = (training(), current());
    let records = account.to_records();
    let enrolled = ids_of(&records.assignment_learners[&current]);
    let done = enrolled.iter().find(|it| account.has_completed(&current, it)).unwrap();
    let path =
        |parameter: &str, learner: &str| format!("{}?{parameter}={learner}", List::Certificate.path_of(&current));
    let simulator = training_only().start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;

    let body = read(&simulator, &path("learnerId", done)).await;
    let url = body["data"]["attributes"]["url"].as_str().unwrap();
    assert!(body["data"].get("id").is_none());
    let local = url.strip_prefix(&simulator.origin()).unwrap();
    assert!(local.starts_with("/certificates/"));
    let file = client().get(url).send().await.unwrap();
    assert_eq!((file.status().as_u16(), &file.headers()["content-type"]), (200, &"application/pdf".parse().unwrap()));
    let file = file.bytes().await.unwrap();
    assert!(file.starts_with(b"%PDF-1.4") && file.ends_with(b"%%EOF\n"));
    let unsigned = client().get(url.split_once('?').unwrap().0).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    assert_eq!(fetch(&simulator, &token, &path("learner_id", done)).await.status(), 400);
    assert_eq!(fetch(&simulator, &token, &path("learnerId", "Lnobody1")).await.status(), 404);
    let without = token_for(&simulator, "account:read").await;
    assert_eq!(fetch(&simulator, &without, &path("learnerId", done)).await.status(), 403);

    // Exactly those who completed have one.
    let rows = &records.learner_activity[&current];
    let mut answers = std::collections::HashSet::new();
    for learner in enrolled.iter().take(20) {
        let own: Vec<_> = rows.iter().filter(|it| it["attributes"]["learnerId"] == learner.as_str()).collect();
        let completed = !own.is_empty() && own.iter().all(|it| !it["attributes"]["completedAt"].is_null());
        let status = fetch(&simulator, &token, &path("learnerId", learner)).await.status().as_u16();
        assert_eq!(status, if completed { 200 } else { 404 });
        answers.insert(status);
    }
    assert_eq!(answers.len(), 2);

    let builder = training_only().certificate(CertificateAnswer::Document).certificate_parameter("filter[learner]");
    let simulator = builder.start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    let response = fetch(&simulator, &token, &path("filter%5Blearner%5D", done)).await;
    assert_eq!(response.headers()["content-type"], "application/pdf");
    assert_eq!(response.bytes().await.unwrap(), file);
    let simulator = training_only().certificate(CertificateAnswer::NotFound).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    assert_eq!(fetch(&simulator, &token, &path("learnerId", done)).await.status(), 404);
}

#[tokio::test]
async fn faults_that_concern_pages() {
    let path = format!("{}?{}", List::Learners.path_of(&home()), size(3, 50));
    let with = async |kind| {
        let simulator = training_only().fault(Fault::once(Some(List::Learners), 1, kind)).start().await.unwrap();
        let page = read(&simulator, &path).await;
        assert_eq!(ids(&read(&simulator, &path).await).len(), 30);
        page
    };
    assert!(with(FaultKind::MissingKey).await.get("data").is_none());
    let first = with(FaultKind::RepeatToken).await;
    assert_eq!(
        (ids(&first), &first["meta"]["page"]["currentPage"]),
        (ids_of(&training().to_records().learners[..50]), &json!(1))
    );
    assert_eq!(with(FaultKind::EndlessPages).await["meta"]["page"]["lastPage"], 4);
    let empty = with(FaultKind::EmptyPageWithToken).await;
    assert_eq!((&empty["data"], &empty["meta"]["page"]["total"]), (&json!([]), &json!(130)));
    let foreign = with(FaultKind::ForeignNextUrl("https://evil.example".to_owned())).await;
    assert!(foreign["links"]["prev"].as_str().unwrap().starts_with("https://evil.example/api/v1/"));
    let patched = with(FaultKind::patch(|page| page["data"][0]["id"] = json!(5))).await;
    assert_eq!(patched["data"][0]["id"], 5);
    let big = with(FaultKind::Oversize(100_000)).await;
    assert_eq!(big["data"], json!([]));
}
