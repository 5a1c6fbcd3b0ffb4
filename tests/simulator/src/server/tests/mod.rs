mod faults;
mod paging;
mod rules;
mod sat;

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;

use super::*;
use crate::generated::{AccountSpec, Shape};

fn as_of() -> DateTime<Utc> {
    "2026-03-22T12:00:00Z".parse().unwrap()
}

/// 40 organizations, 1,040 agents, 63 incidents.
fn account() -> Account {
    let (organizations, agents, incidents) = (40, 1040, 63);
    AccountSpec { seed: 9, shape: Shape::Vendor, organizations, agents, incidents, as_of: as_of() }.generate()
}

fn unlimited(account: Account) -> SimulatorBuilder {
    Simulator::builder(account).rate_limit(None)
}

/// One for all tests, since building one reads the system's certificates. It keeps no connection, because each test has a
/// runtime of its own.
fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    let build = || {
        // Nothing here is encrypted, but no client is built without a provider of ciphers.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder().no_proxy().redirect(Policy::none()).pool_max_idle_per_host(0);
        builder.user_agent("simulator-test").build().unwrap()
    };
    CLIENT.get_or_init(build).clone()
}

async fn send(simulator: &Simulator, path: &str) -> reqwest::Result<Response> {
    let url = format!("{}{path}", simulator.origin());
    client().get(url).basic_auth(API_KEY, Some(API_SECRET)).send().await
}

async fn get(simulator: &Simulator, path: &str) -> Value {
    let response = send(simulator, path).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn status(simulator: &Simulator, path: &str) -> u16 {
    send(simulator, path).await.unwrap().status().as_u16()
}

fn token(page: &Value) -> Option<&str> {
    page["pagination"].get("next_page_token").map(|token| token.as_str().unwrap())
}

fn ids(page: &Value, list: List) -> Vec<i64> {
    page[list.key()].as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

/// The ids of all pages, and how many pages there were.
async fn walk(simulator: &Simulator, list: List, query: &str) -> (Vec<i64>, usize) {
    let mut all = Vec::new();
    let mut page = get(simulator, &format!("{}?{query}", list.path())).await;
    for pages in 1.. {
        all.extend(ids(&page, list));
        let Some(next) = token(&page) else { return (all, pages) };
        page = get(simulator, &format!("{}?{query}&page_token={next}", list.path())).await;
    }
    unreachable!()
}
