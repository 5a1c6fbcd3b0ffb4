//! The same over a socket: `microburst`, a proxy that knows the protocol of AWS, between the SDK and the embedded engine.

use crate::executor::Executor;
use crate::plan::{Plan, Scene};
use crate::scenario::Harness;
use crate::seeded::evaluate;
use crate::snapshot::look;
use acceptance::engine::Engine;
use chrono::TimeDelta;
use common::clock::Clock;
use common::huntress::request::{Timeouts, http_client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Each with a share of the calls that it rules.
fn rules() -> [(&'static str, Value); 7] {
    [
        ("throttled", json!({"probability": 0.3, "error": {"code": "ThrottlingException", "status": 400}})),
        ("capacity", json!({"probability": 0.6, "error": {"code": "ProvisionedThroughputExceededException"}})),
        ("500", json!({"probability": 0.4, "error": {"code": "InternalServerError", "status": 500}})),
        ("reset", json!({"probability": 0.4, "reset": true})),
        ("latency", json!({"probability": 0.5, "latency": {"min": 5, "max": 40}})),
        ("answer lost", json!({"probability": 0.4, "response": {"abort_frac": 0.3}})),
        // Beyond the repeats of the SDK.
        (
            "transactions unheard",
            json!({"operation": "TransactWriteItems", "times": 7, "response": {"abort_bytes": 0}}),
        ),
    ]
}

/// The proxy. It ends with this value.
struct Proxy {
    child: Child,
    endpoint: String,
    http: reqwest::Client,
}

impl Proxy {
    async fn start(program: &str, upstream: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--upstream", upstream, "--no-resign"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let http = http_client(Timeouts::default()).unwrap();
        let proxy = Self { child, endpoint: format!("http://127.0.0.1:{port}"), http };
        for _ in 0..300 {
            if proxy.http.get(proxy.control("health")).send().await.is_ok_and(|it| it.status() == 200) {
                return proxy;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("microburst does not answer");
    }

    fn control(&self, what: &str) -> String {
        format!("{}/_microburst/{what}", self.endpoint)
    }

    async fn set(&self, rules: &[Value]) {
        let answer = self.http.post(self.control("rules")).body(Value::from(rules).to_string());
        let answer = answer.header("content-type", "application/json").send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// The faults since the last call.
    async fn fired(&self) -> usize {
        let fired = self.http.get(self.control("fired")).send().await.unwrap().bytes().await.unwrap();
        self.http.delete(self.control("fired")).send().await.unwrap();
        let fired: Value = serde_json::from_slice(&fired).unwrap();
        fired.as_array().expect("a list").len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
#[ignore = "needs microburst: bash .ci/run faults"]
async fn microburst_between_the_sdk_and_the_table() {
    let program = std::env::vars().find(|(name, _)| name == "MICROBURST").expect("MICROBURST names the program").1;
    let rounds = crate::number("FAULT_ROUNDS").unwrap_or(1);
    let mut harness = Harness::open().await;
    let mut endings: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for scene in [Scene::Endpoints, Scene::ManyClients, Scene::Training] {
        let plan = Plan { scene, earlier: true, requests: Vec::new(), rules: Vec::new(), ..Plan::of(0) };
        let engine = Engine::over(harness.table_before(&plan).await).await;
        let proxy = Proxy::start(&program, engine.endpoint()).await;
        let mut deployment = harness.troubled(&plan).await;
        deployment.use_table(engine.client_through(&proxy.endpoint));
        let direct = engine.client();
        for (name, rule) in rules() {
            let mut rule = rule;
            rule["service"] = json!("dynamodb");
            let mut fired = 0;
            for round in 0..rounds {
                let before = look(&direct, scene).await.unwrap();
                deployment.clock.move_to(deployment.clock.now() + TimeDelta::days(1));
                proxy.set(std::slice::from_ref(&rule)).await;
                let mut executor = Executor::new(&deployment, None, 0);
                // As often as it takes; what is not done in the end is redriven without faults.
                let asked = executor.ask(&format!("{name} {round}")).await;
                if asked.is_ok() {
                    executor.deliver_all().await.unwrap();
                }
                fired += proxy.fired().await;
                proxy.set(&[]).await;
                let mut executor = Executor::redrive(&deployment, &executor.dead);
                executor.ask(&format!("{name} {round}")).await.unwrap();
                executor.deliver_all().await.unwrap();
                let seen = look(&direct, scene).await.unwrap();
                assert_eq!(seen.runs.len(), before.runs.len() + 1, "{name}: one run was asked for");
                let ending = evaluate(&mut harness, &plan, &before, &seen).await;
                let ending = ending.unwrap_or_else(|why| panic!("{name}, {scene:?}: {why}"));
                *endings.entry((name, ending)).or_default() += 1;
            }
            assert!(fired > 0, "{name} never happened");
        }
    }
    println!("{endings:#?}");
}
