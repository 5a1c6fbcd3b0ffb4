mod errors;
mod limits;
mod pages;
mod tokens;

use serde_json::json;

use super::*;
use crate::sat::{LearnerIdAs, SatRecords, SatSpec};

const FIVE: &str = "account:read assignments:read assignments:learner-activity learners:read phishing-campaigns:read";
const FORM: &str = "application/x-www-form-urlencoded";

fn training() -> SatAccount {
    let spec =
        SatSpec { seed: 9, learners: 130, assignments: 14, campaigns: 22, activity_per_assignment: 60, as_of: as_of() };
    spec.generate()
}

fn training_only() -> SimulatorBuilder {
    Simulator::sat_only(training()).sat_rate_limit(None, None)
}

/// An assignment in progress.
const CURRENT: usize = 1;

fn current() -> String {
    training().to_records().assignments[CURRENT]["id"].as_str().unwrap().to_owned()
}

fn home() -> String {
    training().home_id().unwrap().to_owned()
}

/// What the token endpoint answers to this form, with Basic credentials if they are given.
async fn ask(simulator: &Simulator, basic: Option<(&str, &str)>, form: &str) -> Response {
    let mut request = client().post(format!("{}/oauth/token", simulator.origin())).header("content-type", FORM);
    if let Some((id, secret)) = basic {
        request = request.basic_auth(id, Some(secret));
    }
    request.body(form.to_owned()).send().await.unwrap()
}

fn form(scopes: &str) -> String {
    format!("grant_type=client_credentials&scope={}", scopes.replace(':', "%3A").replace(' ', "+"))
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn token_for(simulator: &Simulator, scopes: &str) -> String {
    let response = ask(simulator, Some((SAT_CLIENT_ID, SAT_CLIENT_SECRET)), &form(scopes)).await;
    assert_eq!(response.status(), 200);
    json(response).await["access_token"].as_str().unwrap().to_owned()
}

async fn fetch(simulator: &Simulator, token: &str, path: &str) -> Response {
    client().get(format!("{}{path}", simulator.origin())).bearer_auth(token).send().await.unwrap()
}

/// The JSON of a path, which must be there.
async fn read(simulator: &Simulator, path: &str) -> Value {
    let token = token_for(simulator, FIVE).await;
    let response = fetch(simulator, &token, path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/vnd.api+json");
    json(response).await
}

fn size(number: u64, size: u64) -> String {
    format!("page%5Bnumber%5D={number}&page%5Bsize%5D={size}")
}
