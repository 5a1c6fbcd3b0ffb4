use serde_json::json;

use super::*;

fn all_ids(account: &Account, list: List) -> Vec<i64> {
    account.records(list).map(|it| it["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn each_record_comes_once_for_each_size_order_and_direction() {
    let simulator = unlimited(account()).start().await.unwrap();
    let cases = [(List::Organizations, 1), (List::Organizations, 7), (List::IncidentReports, 7), (List::Agents, 500)];
    for (list, limit) in cases {
        let ascending = all_ids(&account(), list);
        let count = ascending.len();
        for field in ["id", "created_at", "updated_at"] {
            let query = format!("limit={limit}&sort_field={field}");
            let (mut up, pages) = walk(&simulator, list, &format!("{query}&sort_direction=asc")).await;
            assert_eq!(pages, count.div_ceil(limit), "{list:?} {query}");
            let (mut down, _) = walk(&simulator, list, &format!("{query}&sort_direction=desc")).await;
            down.reverse();
            assert_eq!(up, down);
            if field == "updated_at" {
                assert!(up != ascending || list == List::IncidentReports, "an order of its own, where there are many");
                up.sort_unstable();
            }
            assert_eq!(up, ascending);
        }
    }
    simulator.stop().await;
}

#[tokio::test]
async fn hand_written_records_are_sorted_and_none_is_lost() {
    let agents = [9, 4, 4, 7, 1].map(|id| json!({"id": id, "hostname": format!("h{id}")}));
    let broken = [json!({"hostname": "no id"}), json!({"id": "12", "hostname": "text"})];
    let account = Account::from_records(vec![], agents.into_iter().chain(broken).collect(), vec![]);
    let simulator = unlimited(account).start().await.unwrap();
    let names = |page: &Value| page["agents"][0]["hostname"].as_str().unwrap().to_owned();
    let mut seen = Vec::new();
    let mut page = get(&simulator, "/v1/agents?limit=1&sort_direction=asc").await;
    loop {
        seen.push(names(&page));
        let Some(next) = token(&page) else { break };
        page = get(&simulator, &format!("/v1/agents?limit=1&sort_direction=asc&page_token={next}")).await;
    }
    assert_eq!(seen, ["no id", "h1", "h4", "h4", "h7", "h9", "text"]);
}

#[tokio::test]
async fn a_record_that_goes_between_two_pages_shifts_nothing() {
    let agents = |ids: &[i64]| Account::from_records(vec![], ids.iter().map(|id| json!({"id": id})).collect(), vec![]);
    let simulator = unlimited(agents(&[1, 2, 3, 4, 5])).start().await.unwrap();
    let page = get(&simulator, "/v1/agents?limit=2&sort_direction=asc").await;
    assert_eq!(ids(&page, List::Agents), [1, 2]);
    simulator.set_account(agents(&[2, 3, 4, 5]));
    let next = token(&page).unwrap();
    let page = get(&simulator, &format!("/v1/agents?limit=9&sort_direction=asc&page_token={next}")).await;
    assert_eq!(ids(&page, List::Agents), [3, 4, 5]);
}

#[tokio::test]
async fn the_envelope_is_the_vendors() {
    let simulator = unlimited(account()).start().await.unwrap();
    let page = get(&simulator, "/v1/organizations").await;
    assert_eq!(ids(&page, List::Organizations).len(), 10, "the default limit");
    let mut newest = all_ids(&account(), List::Organizations);
    newest.reverse();
    assert_eq!(ids(&page, List::Organizations), newest[..10], "the default order");
    let url = page["pagination"]["next_page_url"].as_str().unwrap();
    let second = get(&simulator, url.strip_prefix(&simulator.origin()).unwrap()).await;
    assert_eq!(ids(&second, List::Organizations), newest[10..20]);

    // Exactly full, and yet the last.
    let page = get(&simulator, "/v1/organizations?limit=40").await;
    assert_eq!(page["pagination"], json!({}));
    assert_eq!(ids(&page, List::Organizations).len(), 40);
    simulator.set_account(Account::from_records(vec![], vec![], vec![]));
    assert_eq!(get(&simulator, "/v1/agents").await, json!({"agents": [], "pagination": {}}));
    assert_eq!(get(&simulator, "/v1/account").await["account"]["status"], "enabled");
    assert_eq!(get(&simulator, "/v1/actor").await["account"]["id"], 5121);
}

/// What a filter has to find, before the other kind of account has to find the same.
enum Found {
    /// So many records.
    Records(usize),
    /// More than a page.
    SeveralPages,
    /// This record alone.
    Id(i64),
    /// Whatever it is.
    Something,
}

#[tokio::test]
async fn filters_hold_for_both_kinds_of_account() {
    let generated = account();
    let copy = Account::from_records(
        generated.records(List::Organizations).collect(),
        generated.records(List::Agents).collect(),
        generated.records(List::IncidentReports).collect(),
    );
    let organization = generated.record(List::Organizations, 3).unwrap();
    let (id, name) = (organization["id"].as_i64().unwrap(), organization["name"].as_str().unwrap());
    let simulator = unlimited(generated).start().await.unwrap();
    let of_one = format!("limit=500&organization_id={id}");
    let by_name = format!("name={}", name.replace(' ', "%20"));
    let count_of = |name: &str| usize::try_from(organization[name].as_u64().unwrap()).unwrap();
    let cases = [
        (List::Agents, of_one.as_str(), Found::Records(count_of("agents_count"))),
        (List::Agents, "limit=50&platform=darwin", Found::SeveralPages),
        (List::Agents, "limit=500&organization_id=1", Found::Records(0)),
        (List::IncidentReports, of_one.as_str(), Found::Records(count_of("incident_reports_count"))),
        (List::IncidentReports, "limit=3&status=closed&severity=high", Found::Something),
        (List::IncidentReports, "platform=microsoft_365", Found::Something),
        (List::Organizations, by_name.as_str(), Found::Id(id)),
        (List::Organizations, "sort_field=name&limit=9", Found::Something),
        (List::Organizations, "sort_field=key&limit=9&sort_direction=asc", Found::Something),
    ];
    let mut answers = Vec::new();
    for (list, query, found) in cases {
        let (ids, pages) = walk(&simulator, list, query).await;
        match found {
            Found::Records(count) => assert_eq!(ids.len(), count, "{list:?} {query}"),
            Found::SeveralPages => assert!(pages > 1, "{list:?} {query}"),
            Found::Id(id) => assert_eq!(ids, [id], "{list:?} {query}"),
            Found::Something => {}
        }
        answers.push((list, query, (ids, pages)));
    }
    simulator.set_account(copy);
    for (list, query, answer) in answers {
        assert_eq!(walk(&simulator, list, query).await, answer, "{list:?} {query}");
    }
}

#[tokio::test]
async fn pages_can_be_forced_to_be_small() {
    let simulator = unlimited(account()).max_page(25).start().await.unwrap();
    let (ids, pages) = walk(&simulator, List::Organizations, "limit=500").await;
    assert_eq!((ids.len(), pages), (40, 2));
}
