//! The simulator's answers in the vendor's shape, checked against the schema that the vendor publishes, so that the tests do not agree
//! with a mistake of our own. `HUNTRESS_VENDOR_SCHEMA` names the vendor's Swagger 2.0 file; without it there is nothing to compare with.

use acceptance::edr::as_of;
use common::huntress::request::{Timeouts, http_client};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use simulator::{API_KEY, API_SECRET, Account, AccountSpec, List, Shape, Simulator};

const VARIABLE: &str = "HUNTRESS_VENDOR_SCHEMA";

/// `required` names of `Organization` that its properties do not have any more.
const STALE: [&str; 3] = ["microsoft_365_tenant_id", "microsoft_365_users_count", "notify_emails"];

fn vendor() -> Option<Value> {
    let Some(path) = common::settings::environment(VARIABLE) else {
        println!("skipped: {VARIABLE} does not name the vendor's schema");
        return None;
    };
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{VARIABLE} cannot be read: {error}"));
    Some(serde_json::from_slice(&text).unwrap())
}

/// Swagger 2.0 to JSON schema: every property that is not required may be null, which Swagger cannot say, and no others may be there.
fn strict(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut strict = Map::new();
    let required: Vec<&Value> =
        fields.get("required").and_then(Value::as_array).into_iter().flatten().filter(|name| !is_stale(name)).collect();
    for (key, value) in fields {
        let value = match key.as_str() {
            "properties" => {
                strict.insert("additionalProperties".to_owned(), json!(false));
                let properties = value.as_object().unwrap().iter().map(|(name, property)| {
                    let property = self::strict(property);
                    let is_required = required.iter().any(|required| *required == name);
                    (name.clone(), if is_required { property } else { json!({"anyOf": [property, {"type": "null"}]}) })
                });
                Value::Object(properties.collect())
            }
            "items" => self::strict(value),
            "required" => json!(required),
            // Written with a capital in one place.
            "type" => json!(value.as_str().unwrap().to_lowercase()),
            "$ref" | "enum" | "format" => value.clone(),
            "description" | "example" => continue,
            other => panic!("{other} is not translated"),
        };
        strict.insert(key.clone(), value);
    }
    Value::Object(strict)
}

fn is_stale(name: &Value) -> bool {
    name.as_str().is_some_and(|name| STALE.contains(&name))
}

/// The schema of a list's answer, with the definitions that it leads to.
fn validator(vendor: &Value, list: List) -> Validator {
    let mut schema = strict(&vendor["paths"][list.path()]["get"]["responses"]["200"]["schema"]);
    assert!(schema["properties"].is_object() || schema["$ref"].is_string(), "no schema for {}", list.path());
    let names =
        ["Account", "Actor", "Address", "Agent", "IncidentReport", "Organization", "Pagination", "Remediation", "User"];
    let named = names.iter().filter_map(|name| Some(((*name).to_owned(), strict(vendor["definitions"].get(name)?))));
    schema["definitions"] = Value::Object(named.collect());
    build(&schema)
}

/// Draft 4, which Swagger 2.0 is made of, forbids a `required` that names nothing; draft 6 differs in little else.
fn build(schema: &Value) -> Validator {
    jsonschema::options().with_draft(Draft::Draft6).should_validate_formats(true).build(schema).unwrap()
}

fn faults(validator: &Validator, answer: &Value) -> Vec<String> {
    validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).take(5).collect()
}

/// Every page of a list, as the simulator sends it.
async fn pages(account: Account, list: List) -> Vec<Value> {
    let simulator = Simulator::builder(account).rate_limit(None).max_page(100).start().await.unwrap();
    let client = http_client(Timeouts::default()).unwrap();
    let mut pages: Vec<Value> = Vec::new();
    loop {
        let token = pages.last().map(|page| page["pagination"]["next_page_token"].as_str().unwrap_or_default());
        let query = match token {
            Some("") => return pages,
            Some(token) => vec![("limit", "500"), ("page_token", token)],
            None => vec![("limit", "500")],
        };
        let request = client.get(format!("{}{}", simulator.origin(), list.path())).query(&query);
        let answer = request.basic_auth(API_KEY, Some(API_SECRET)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        pages.push(serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap());
    }
}

fn vendor_shaped() -> [Account; 3] {
    let spec = |seed, organizations, agents, incidents| AccountSpec {
        seed,
        shape: Shape::Vendor,
        organizations,
        agents,
        incidents,
        as_of: as_of(),
    };
    [Account::demo(as_of()), spec(1, 150, 1200, 600).generate(), spec(2, 0, 0, 0).generate()]
}

#[tokio::test]
async fn every_answer_in_the_vendors_shape_follows_the_vendors_schema() {
    let Some(vendor) = vendor() else { return };
    for list in List::EDR {
        let validator = validator(&vendor, list);
        let (mut records, mut checked) = (0, 0);
        for account in vendor_shaped() {
            for page in pages(account, list).await {
                assert_eq!(faults(&validator, &page), [""; 0], "{}", list.path());
                records += page[list.key()].as_array().map_or(1, Vec::len);
                checked += 1;
            }
        }
        let expected = match list {
            List::Account | List::Actor => (3, 3),
            List::Organizations => (12 + 150, 1 + 2 + 1),
            List::Agents => (90 + 1200, 1 + 12 + 1),
            List::IncidentReports => (15 + 600, 1 + 6 + 1),
            other => panic!("{} is no list of the endpoint API", other.path()),
        };
        assert_eq!((records, checked), expected, "{}", list.path());
    }
}

/// The schema says no more of `remediations` than that it is an object, with an example; its items have a definition of their own, which
/// contradicts the example in two fields.
#[test]
fn every_remediation_follows_the_vendors_example_and_definition() {
    let Some(vendor) = vendor() else { return };
    let example = &vendor["definitions"]["IncidentReport"]["properties"]["remediations"]["example"];
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut definition = vendor["definitions"]["Remediation"].clone();
    for disputed in ["parameters", "approved_by"] {
        definition["properties"][disputed] = json!({});
    }
    let item_validator = build(&strict(&definition));
    let mut items = 0;
    for account in vendor_shaped() {
        for incident in account.records(List::IncidentReports) {
            let remediations = &incident["remediations"];
            assert_eq!(keys(remediations), keys(example));
            let listed = remediations["items"].as_array().unwrap();
            assert!(listed.len() <= 10 && remediations["total_count"].as_u64().unwrap() >= listed.len() as u64);
            for item in listed {
                assert_eq!(keys(item), keys(&example["items"][0]));
                assert_eq!(faults(&item_validator, item), [""; 0]);
                items += 1;
            }
        }
    }
    assert!(items > 500, "{items}");
}

#[test]
fn invented_fields_wrong_types_and_wrong_times_are_found() {
    let Some(vendor) = vendor() else { return };
    let account = Account::demo(as_of());
    for (list, key, value) in [
        (List::Agents, "status", json!("online")),
        (List::Agents, "id", json!("7")),
        (List::Agents, "last_callback_at", json!("yesterday")),
        (List::Agents, "mac_addresses", json!([7])),
        (List::Organizations, "agents_count", json!("many")),
        (List::Organizations, "created_at", json!(17)),
        (List::IncidentReports, "detected_at", json!("2026-03-22T12:00:00Z")),
        (List::IncidentReports, "remediations", json!([])),
        (List::Account, "status", json!("active")),
    ] {
        let validator = validator(&vendor, list);
        let mut record = account.record(list, 0).unwrap();
        let answer = |record: &Value| match list {
            List::Account => json!({"account": record}),
            _ => json!({list.key(): [record], "pagination": {}}),
        };
        assert_eq!(faults(&validator, &answer(&record)), [""; 0]);
        record[key] = value;
        assert_ne!(faults(&validator, &answer(&record)), [""; 0], "{key}");
    }
    let validator = validator(&vendor, List::Agents);
    for wrong in [
        json!({"agents": []}),
        json!({"agents": [], "pagination": {"page": 1}}),
        json!({"agents": {}, "pagination": {}}),
    ] {
        assert_ne!(faults(&validator, &wrong), [""; 0], "{wrong}");
    }
}

/// The platforms' shape is not the vendor's, so the check above tells the two apart.
#[tokio::test]
async fn the_platforms_shape_does_not_follow_the_vendors_schema() {
    let Some(vendor) = vendor() else { return };
    for list in [List::Agents, List::IncidentReports] {
        let page = &pages(Account::worked_example(as_of()), list).await[0];
        assert_ne!(faults(&validator(&vendor, list), page), [""; 0], "{}", list.path());
    }
}
