//! What the functions ask of AWS against what their roles allow: `infra/permissions.json`, which CI compares with the template.
//!
//! Both directions count. A request that no statement allows would be refused; an action that no request needs is too much.

use super::redirect::{Act, Site};
use super::services::Service;
use super::{World, ask, connection, function, sample, tick};
use acceptance::aws::Aws;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use axum::Router;
use chrono::TimeDelta;
use common::api::routes;
use common::app::collection::batch;
use common::app::collection::worker::{Processed, Worker};
use common::app::connections::Connections;
use common::app::runs::plan::Planner;
use common::app::runs::tick::{self, Tick};
use common::app::stack::{Parts, Stack};
use common::aws::queue::RunMessage;
use common::aws::secrets::{Binding, Credential, Credentials};
use common::aws::telemetry::Telemetry;
use common::domain::id::ClientId;
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::huntress::edr::EdrCredential;
use common::huntress::sat::SatCredential;
use common::store::{ConnectionChange, LeaseOutcome, Store, Suspension};
use serde::Deserialize;
use serde_json::{Value, json};
use simulator::{
    API_KEY, API_SECRET, Account, AccountSpec, Fault, FaultKind, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount,
    Shape,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

#[derive(Deserialize)]
struct Permissions {
    roles: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
struct Role {
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    sid: String,
    #[serde(rename = "for")]
    used_by: String,
    actions: BTreeSet<String>,
    resources: Vec<String>,
    leading_keys: Option<Vec<String>>,
    attributes: Option<BTreeSet<String>>,
    purposes: Option<BTreeSet<String>>,
    /// Only where the parameter `Secrets` has this value.
    secrets: Option<String>,
    /// Only where people may connect by redirect.
    #[serde(default)]
    redirect: bool,
    /// Only while one key of the logs takes the place of another, or only while none does.
    replacing: Option<bool>,
}

/// One thing that is asked of AWS, as IAM sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    action: String,
    resource: String,
    /// The partition keys, for the table: one, or all that meet in one transaction.
    keys: BTreeSet<String>,
    /// The attributes that a put or an update names.
    attributes: BTreeSet<String>,
    /// The purpose in the encryption context, for keys.
    purpose: String,
}

impl Statement {
    fn allows(&self, wanted: &Use) -> bool {
        let covered = |patterns: &Vec<String>| {
            let begins = |key: &String, pattern: &String| {
                pattern.strip_suffix('*').is_some_and(|prefix| key.starts_with(prefix))
            };
            // `ForAllValues` alone is true where a request has no keys; `Null` in the template refuses that.
            !wanted.keys.is_empty() && wanted.keys.iter().all(|key| patterns.iter().any(|pattern| begins(key, pattern)))
        };
        let names = |attributes: &BTreeSet<String>| wanted.attributes.is_subset(attributes);
        self.actions.contains(&wanted.action)
            && self.resources.contains(&wanted.resource)
            && self.leading_keys.as_ref().is_none_or(covered)
            && self.attributes.as_ref().is_none_or(names)
            && self.purposes.as_ref().is_none_or(|purposes| purposes.contains(&wanted.purpose))
    }
}

/// The statements of a role in a stack that keeps credentials so, and lets people connect by redirect or not.
fn statements(role: &str, secrets: &str, redirect: bool) -> Vec<Statement> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/permissions.json");
    let mut permissions: Permissions = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut statements = permissions.roles.remove(role).unwrap().statements;
    statements.retain(|it| it.secrets.as_deref().is_none_or(|value| value == secrets) && (redirect || !it.redirect));
    statements.retain(|it| it.replacing != Some(true));
    statements
}

/// Compares what was asked for with the role of a function in a stack that keeps credentials so.
pub(super) fn compare(role: &str, secrets: &str, uses: BTreeSet<Use>) {
    compare_where(role, &statements(role, secrets, false), uses, |statement| statement.used_by == "code");
}

/// Everything that was asked for is allowed, and every action of the statements that are to be used was asked for.
fn compare_where(role: &str, statements: &[Statement], uses: BTreeSet<Use>, to_be_used: impl Fn(&Statement) -> bool) {
    let mut unused: BTreeSet<(&str, &str)> = BTreeSet::new();
    for statement in statements.iter().filter(|statement| to_be_used(statement)) {
        unused.extend(statement.actions.iter().map(|action| (statement.sid.as_str(), action.as_str())));
    }
    for wanted in &uses {
        let allowing: Vec<_> = statements.iter().filter(|statement| statement.allows(wanted)).collect();
        assert!(!allowing.is_empty(), "{role} would be refused {wanted:?}: add it to the role and to permissions.json");
        for statement in allowing {
            unused.remove(&(statement.sid.as_str(), wanted.action.as_str()));
        }
    }
    assert_eq!(
        unused,
        BTreeSet::new(),
        "{role}: nothing uses these, take them out of the role and of permissions.json"
    );
}

/// Writes down what is asked of the table.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<BTreeSet<Use>>>);

impl Recorder {
    fn note(&self, action: &str, resource: &str, key: &Value, attributes: BTreeSet<String>) {
        self.insert(of_table(action, resource, key, attributes));
    }

    fn insert(&self, it: Use) {
        self.0.lock().unwrap().insert(it);
    }

    /// The members of a transaction under both readings of AWS's documents, which do not say whether `LeadingKeys` and `Attributes` hold the values of
    /// one member or of all members with the same action.
    fn transaction(&self, items: &[Value]) {
        let mut together: BTreeMap<String, Use> = BTreeMap::new();
        for (action, part) in items.iter().flat_map(|item| item.as_object().unwrap()) {
            let alone = written(action, part);
            let all = together.entry(alone.action.clone()).or_insert_with(|| alone.clone());
            all.keys.extend(alone.keys.iter().cloned());
            all.attributes.extend(alone.attributes.iter().cloned());
            self.insert(alone);
        }
        together.into_values().for_each(|all| self.insert(all));
    }

    fn request(&self, operation: &str, request: &Value) {
        match operation {
            "GetItem" => self.note("GetItem", "Table", &request["Key"]["pk"], BTreeSet::new()),
            "PutItem" => self.insert(written("Put", request)),
            "UpdateItem" => self.insert(written("Update", request)),
            "DeleteItem" => self.insert(written("Delete", request)),
            "Query" => {
                let index = request["IndexName"].as_str();
                let resource = index.map_or("Table".to_owned(), |index| format!("Table/index/{index}"));
                // The condition begins with the partition key, e.g. `pk = :pk AND …`.
                let placeholder = request["KeyConditionExpression"].as_str().unwrap().split(' ').nth(2).unwrap();
                let key = &request["ExpressionAttributeValues"][placeholder];
                self.note("Query", &resource, key, BTreeSet::new());
            }
            "TransactWriteItems" => self.transaction(request["TransactItems"].as_array().unwrap()),
            "BatchGetItem" => {
                let tables = request["RequestItems"].as_object().unwrap().values();
                for key in tables.flat_map(|table| table["Keys"].as_array().unwrap()) {
                    self.note("BatchGetItem", "Table", &key["pk"], BTreeSet::new());
                }
            }
            "BatchWriteItem" => {
                for part in request["RequestItems"].as_object().unwrap().values().flat_map(|it| it.as_array().unwrap())
                {
                    let put = &part["PutRequest"]["Item"]["pk"];
                    let key = if put.is_null() { &part["DeleteRequest"]["Key"]["pk"] } else { put };
                    self.note("BatchWriteItem", "Table", key, BTreeSet::new());
                }
            }
            other => unreachable!("the functions use {other}, which this test does not know"),
        }
    }
}

fn of_table(action: &str, resource: &str, key: &Value, attributes: BTreeSet<String>) -> Use {
    let keys = BTreeSet::from([key["S"].as_str().unwrap().to_owned()]);
    let (action, resource) = (format!("dynamodb:{action}"), resource.to_owned());
    Use { action, resource, keys, attributes, ..Default::default() }
}

/// A write, alone or as the member of a transaction.
fn written(action: &str, request: &Value) -> Use {
    let key = &request["Key"]["pk"];
    match action {
        "Put" => {
            let attributes = request["Item"].as_object().unwrap().keys().cloned().collect();
            of_table("PutItem", "Table", &request["Item"]["pk"], attributes)
        }
        "Update" => of_table("UpdateItem", "Table", key, named(request)),
        "Delete" => of_table("DeleteItem", "Table", key, BTreeSet::new()),
        "ConditionCheck" => of_table("ConditionCheckItem", "Table", key, BTreeSet::new()),
        other => unreachable!("a transaction holds {other}, which this test does not know"),
    }
}

/// The attributes that an update names, its key among them.
fn named(request: &Value) -> BTreeSet<String> {
    let names = request["ExpressionAttributeNames"].as_object().unwrap().values();
    let names = names.map(|name| name.as_str().unwrap().to_owned());
    names.chain(["pk".to_owned(), "sk".to_owned()]).collect()
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let body = serde_json::from_slice(context.request().body().bytes().unwrap_or_default())?;
        self.request(target.rsplit('.').next().unwrap_or_default(), &body);
        Ok(())
    }
}

/// A world whose AWS services write down what is asked of them, apart from its own preparations.
struct Watched {
    world: World,
    store: Store,
    table: Recorder,
    queue: Service,
    secrets: Service,
    /// KMS, where credentials are sealed in the table, and how often it was asked in preparation.
    sealed: Option<(Aws, usize)>,
}

impl World {
    /// From now on the recorder hears what is asked of the table.
    pub(super) fn watch(&mut self, recorder: &Recorder) {
        let config = self._engine.client().config().to_builder().interceptor(recorder.clone());
        // Where evidence ends, a worker does more than elsewhere.
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "evidence");
        self.store = store.with_retention(Some(TimeDelta::days(400)));
    }
}

/// What each function asks of the table where people are followed. Keys and certificates are on this machine here.
#[derive(Default)]
struct People {
    connection_test: Recorder,
    people_api: Recorder,
    worker: Recorder,
}

impl People {
    async fn followed() -> Self {
        let heard = Self::default();
        let mut world = super::people::world().await;
        world.oauth = super::onboarding::with_pages();
        world.watch(&heard.connection_test);
        assert_eq!(world.assignments("GET", Value::Null).await.0, 200);
        assert_eq!(world.assignments("PUT", json!({"assignments": ["A", "B"]})).await.0, 200);
        world.watch(&heard.people_api);
        assert_eq!(world.people("PUT", "/privacy", json!({"mode": "full"})).await.0, 200);
        // The second run meets the people of the first.
        for _ in 0..2 {
            // Asking for the run is the planner's, so it goes first.
            world.watch(&Recorder::default());
            world.planner().sync_now(&super::company(), &connection("sat"), None).await.unwrap();
            let message = world.sent().remove(0);
            world.watch(&heard.worker);
            let deadline = world.huntress.clock.now() + TimeDelta::minutes(10);
            let processed = world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
            assert_eq!(processed, Processed::Succeeded { bundles: 1 });
        }

        world.watch(&heard.people_api);
        let (_, page) = world.people("GET", "/people?limit=3&status=compliant", Value::Null).await;
        let person = page["people"][0]["person"].as_str().unwrap().to_owned();
        let at = |rest: &str| format!("/people/{person}{rest}");
        let why = json!({"reason": "the audit"});
        for (method, path, body) in [
            ("POST", "/people/lookup".to_owned(), json!({"learner_id": "person-1"})),
            ("GET", at(""), Value::Null),
            ("GET", at("/onboarding"), Value::Null),
            ("POST", at("/onboarding-link"), json!({})),
            ("DELETE", at("/onboarding-link"), Value::Null),
            ("POST", at("/identity"), why.clone()),
            ("POST", at("/certificate"), why.clone()),
            ("POST", at("/reset"), why),
            ("PUT", "/privacy".to_owned(), json!({"mode": "pseudonymous", "erase": true})),
            ("DELETE", at(""), Value::Null),
            ("DELETE", "/people".to_owned(), Value::Null),
        ] {
            let status = world.people(method, &path, body).await.0;
            assert!((200..300).contains(&status), "{method} {path}: {status}");
        }
        let path = "/clients/client-acme-corp/training-provider";
        for (method, body) in [("PUT", json!({"connection": "sat"})), ("GET", Value::Null), ("DELETE", Value::Null)] {
            let (status, _) = ask(world.people_api(), &super::people::event(method, path, body)).await;
            assert!((200..300).contains(&status), "{method} {path}: {status}");
        }
        let nobody = super::people::event("GET", "/clients/nobody/training-provider", Value::Null);
        assert_eq!(ask(world.people_api(), &nobody).await.0, 404);
        heard
    }
}

impl Recorder {
    pub(super) fn heard(&self) -> BTreeSet<Use> {
        self.0.lock().unwrap().clone()
    }
}

impl Watched {
    /// With these connections, and their credentials in Secrets Manager.
    async fn over(connections: &[&str]) -> Self {
        let world = World::with(connections).await;
        let table = Recorder::default();
        let config = world._engine.client().config().to_builder().interceptor(table.clone());
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "evidence");
        let store = store.with_retention(Some(TimeDelta::days(400)));
        let queue = Service::start(|call| {
            // A message that is given back has no entries.
            let entries = call.1["Entries"].as_array().cloned().unwrap_or_default();
            let taken = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"});
            (200, json!({"Successful": entries.iter().map(taken).collect::<Value>(), "Failed": []}))
        });
        let secrets = Service::start(|call| {
            let name = call.1["SecretId"].as_str().unwrap();
            let mut parts = name.strip_prefix("huntress-evidence/prod/").unwrap().split('/');
            let (company, connection) = (parts.next().unwrap(), parts.next().unwrap());
            let content = if connection.starts_with("sat") {
                json!({"company": company, "connection": connection, "product": Product::Sat,
                    "client_id": SAT_CLIENT_ID, "client_secret": SAT_CLIENT_SECRET})
            } else {
                json!({"company": company, "connection": connection, "product": Product::Edr,
                    "api_key": API_KEY, "api_secret": API_SECRET})
            };
            (200, json!({"ARN": "arn", "Name": name, "SecretString": content.to_string()}))
        });
        Self { world, store, table, queue: queue.await, secrets: secrets.await, sealed: None }
    }

    /// From now on credentials are sealed in the table.
    async fn seal(mut self, connections: &[(&str, Credential)]) -> Self {
        let aws = Aws::start().await;
        let credentials = aws.sealed(self.world.store.clone());
        for (id, credential) in connections {
            let (company, connection) = (super::company(), connection(id));
            let binding = Binding { company: &company, connection: &connection, product: credential.product() };
            credentials.put(binding, credential).await.unwrap();
        }
        let asked = aws.calls().len();
        self.sealed = Some((aws, asked));
        self
    }

    fn planner(&self) -> Planner {
        // It is the worker's setting.
        Planner {
            store: self.store.clone().with_retention(None),
            queue: Arc::new(self.queue.queue()),
            ..self.world.planner()
        }
    }

    fn worker(&self) -> Worker {
        let queue = Arc::new(self.queue.queue());
        Worker { store: self.store.clone(), credentials: self.credentials(), queue, ..self.world.worker() }
    }

    fn connections(&self) -> Connections {
        Connections { store: self.store.clone(), credentials: self.credentials(), ..self.world.connection_service() }
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::new(match &self.sealed {
            Some((aws, _)) => aws.sealed(self.store.clone()),
            None => self.secrets.secrets(),
        })
    }

    /// Everything that was asked for, of all services.
    fn uses(&self) -> BTreeSet<Use> {
        let mut uses = self.table.0.lock().unwrap().clone();
        let of = |action: &str, resource: &str| Use {
            action: action.to_owned(),
            resource: resource.to_owned(),
            ..Default::default()
        };
        for (operation, _) in self.queue.calls() {
            let action = match operation.as_str() {
                "AmazonSQS.SendMessageBatch" => "sqs:SendMessage",
                "AmazonSQS.ChangeMessageVisibility" => "sqs:ChangeMessageVisibility",
                other => unreachable!("the functions use {other}, which this test does not know"),
            };
            uses.insert(of(action, "Queue"));
        }
        for (operation, _) in self.secrets.calls() {
            assert_eq!(operation, "secretsmanager.GetSecretValue");
            // Its name was checked when it was answered.
            let secret =
                "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretPrefix}/*";
            uses.insert(of("secretsmanager:GetSecretValue", secret));
        }
        for (operation, input) in self.sealed.iter().flat_map(|(aws, asked)| aws.calls().split_off(*asked)) {
            assert_eq!(operation, "TrentService.Decrypt");
            let purpose = input["EncryptionContext"]["purpose"].as_str().unwrap().to_owned();
            uses.insert(Use { purpose, ..of("kms:Decrypt", "Key") });
        }
        uses
    }

    /// Starts a run that goes on later, as one does that has to wait for the request limit, and gives the worker its message too early.
    async fn suspend(&self, id: &str) {
        let (company, connection) = (super::company(), connection(id));
        let asked = self.world.planner().sync_now(&company, &connection, None).await.unwrap();
        let until = TimeDelta::minutes(5);
        let taken = self.store.take(&company, &connection, &asked.run.id, "worker", tick(), until).await.unwrap();
        let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
        let suspension = Suspension { state: b"state", continue_at: tick() + until, api_calls: 1, now: tick() };
        self.store.suspend(&lease, suspension).await.unwrap();
        let message = RunMessage { company, connection, run: asked.run.id };
        let processed = self.worker().process(&message, "another", tick() + until, Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Waiting { .. }), "{processed:?}");
    }

    /// Starts a run and lets the worker have it.
    async fn work(&self, id: &str) -> Processed {
        let asked = self.world.planner().sync_now(&super::company(), &connection(id), None).await.unwrap();
        let message = RunMessage { company: super::company(), connection: connection(id), run: asked.run.id };
        let batch = json!({"Records": [{"messageId": "m", "body": serde_json::to_string(&message).unwrap()}]});
        let deadline = tick() + TimeDelta::minutes(14);
        let batch = serde_json::from_value(batch).unwrap();
        let worker = self.worker();
        let answer = batch::handle(&worker, &Telemetry::none(), batch, deadline).await;
        assert_eq!(answer.batch_item_failures, [], "{id}");
        // Once more, as a message is that was delivered twice.
        worker.process(&message, "another", deadline, Arc::default()).await.unwrap()
    }
}

#[tokio::test]
async fn scheduled_sync() {
    let watched = Watched::over(&["edr-main", "edr-lab", "edr-lost", "edr-old"]).await;
    let planner = watched.planner();
    // One is to be joined, one to be sent again, one to be ended; and the tick comes twice.
    watched.world.planner().sync_now(&super::company(), &connection("edr-lab"), None).await.unwrap();
    // It has a log already, which the end of the other run goes on with.
    let asked = watched.world.planner().sync_now(&super::company(), &connection("edr-old"), None).await.unwrap();
    let message = RunMessage { company: super::company(), connection: connection("edr-old"), run: asked.run.id };
    let deadline = tick() + TimeDelta::minutes(14);
    watched.world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
    watched.world.queued_at("edr-lost", "lost", tick() - TimeDelta::hours(2)).await;
    watched.world.queued_at("edr-old", "old", tick() - TimeDelta::hours(24)).await;
    for _ in 0..2 {
        let tick = Tick::daily(tick());
        tick::handle(&planner, &Telemetry::none(), tick).await.unwrap();
    }
    compare("ScheduledSyncRole", "manager", watched.uses());
}

#[tokio::test]
async fn on_demand_sync() {
    let watched = Watched::over(&["edr-main"]).await;
    // Its turn in the tick's jitter is still to come.
    let planner = Planner { jitter: TimeDelta::hours(12), ..watched.world.planner() };
    planner.tick(tick()).await.unwrap();
    let on_demand_sync = || -> Router { function(routes::ON_DEMAND_SYNC.router(Arc::new(watched.planner()))) };
    let mut asked = sample("on-demand-sync/events/sync-now.json");
    ask(on_demand_sync(), &asked).await;
    for _ in 0..2 {
        // A key makes it write also where it joins.
        asked["headers"]["idempotency-key"] = json!("order-1");
        assert_eq!(ask(on_demand_sync(), &asked).await.0, 202);
    }
    for path in ["runs", "runs/r", "forecast"] {
        let path = format!("/v1/companies/msp-acme/connections/edr-main/{path}");
        let mut state = sample("on-demand-sync/events/run-state.json");
        state["rawPath"] = json!(path);
        state["requestContext"]["http"]["path"] = json!(path);
        assert!([200, 404].contains(&ask(on_demand_sync(), &state).await.0));
    }
    compare("OnDemandSyncRole", "manager", watched.uses());
}

#[tokio::test]
async fn evidence_api() {
    let watched = Watched::over(&["edr-main"]).await;
    assert_eq!(watched.work("edr-main").await, Processed::AlreadyFinished);
    let runs = watched.world.store.runs(&super::company(), &connection("edr-main"), 1).await.unwrap();
    watched.table.0.lock().unwrap().clear();
    let parts = Parts { store: watched.store.clone(), ..watched.world.parts() };
    let Ok(evidence) = parts.evidence();
    let evidence_api = function(routes::EVIDENCE_API.router(Arc::new(evidence)));
    let of_run = format!("evidence/huntress-edr/{}", runs[0].id);
    let window = "window?from=2026-03-21&to=2026-03-22";
    for path in [
        "evidence",
        "metrics",
        "signals",
        "history?key=agents_total",
        "controls",
        "explain/agents_total",
        window,
        &of_run,
    ] {
        let event = super::people::event("GET", &format!("/clients/client-acme-corp/{path}"), Value::Null);
        assert_eq!(ask(evidence_api.clone(), &event).await.0, 200, "{path}");
    }
    for path in ["/audit-log", "/clients", "/clients/client-acme-corp"] {
        let event = super::people::event("GET", path, Value::Null);
        assert_eq!(ask(evidence_api.clone(), &event).await.0, 200, "{path}");
    }
    // Signed beside the function, so that there is something to read.
    watched.world.log().sign_all(&super::company()).await.unwrap();
    for path in
        ["edr-main/checkpoint", "edr-main/entries", "_company/entries", &format!("edr-main/proof?run={}", runs[0].id)]
    {
        let event = super::people::event("GET", &format!("/log/{path}"), Value::Null);
        assert_eq!(ask(evidence_api.clone(), &event).await.0, 200, "{path}");
    }
    let log_key = super::people::event("GET", "/log-key", Value::Null);
    assert_eq!(ask(evidence_api.clone(), &log_key).await.0, 200);
    let table = watched.table.0.lock().unwrap().clone();
    compare("EvidenceApiRole", "manager", table);
}

/// Lambda, KMS and S3 have tests of their own: see `signing`.
#[tokio::test]
async fn packs_api_and_log_signing() {
    let mut watched = Watched::over(&["edr-main"]).await;
    assert_eq!(watched.work("edr-main").await, Processed::AlreadyFinished);
    let decided = common::app::decisions::Decisions {
        store: watched.world.store.clone(),
        clock: watched.world.huntress.clock.clone(),
    };
    let client = ClientId::parse("client-acme-corp").unwrap();
    let alice = common::domain::decisions::Decider { name: "alice".to_owned(), on_this_machine: true };
    decided.choose(&super::company(), &client, common::domain::policy::baseline(), &alice).await.unwrap();
    watched.world.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::hours(3)));
    watched.table.0.lock().unwrap().clear();
    // What `packs-api` asks for, but not what the maker beside it does.
    let store = Store::new(watched.world._engine.client(), "evidence");
    let maker = |store: &Store| common::app::packs::PackMaker {
        reader: common::app::packs::PackReader { store: store.clone(), ..watched.world.pack_reader() },
        signer: watched.world.signer(),
    };
    let packs = common::app::packs::PackService {
        reader: maker(&watched.store).reader,
        dispatch: common::app::packs::PackDispatch::Here(Arc::new(maker(&store))),
        shelf: watched.world.packs().shelf,
    };
    let shelf = Arc::clone(&packs.shelf);
    let packs_api = function(routes::PACKS_API.router(Arc::new(packs)));
    let days = json!({"from": "2026-03-22", "to": "2026-03-22"});
    let asked = super::people::event("POST", "/clients/client-acme-corp/packs", days);
    let (status, pack) = ask(packs_api.clone(), &asked).await;
    assert_eq!(status, 202);
    for path in ["packs", &format!("packs/{}", pack["id"].as_str().unwrap()), "export/oscal"] {
        let event = super::people::event("GET", &format!("/clients/client-acme-corp/{path}"), Value::Null);
        let status = ask(packs_api.clone(), &event).await.0;
        assert!([200, 202].contains(&status), "{path}: {status}");
    }
    let nobody = super::people::event("GET", "/clients/nobody/packs", Value::Null);
    assert_eq!(ask(packs_api.clone(), &nobody).await.0, 404);
    compare("PacksApiRole", "manager", watched.table.heard());

    // Once the maker beside is through, which signs as well, both logs grow again.
    let path = format!("/clients/client-acme-corp/packs/{}", pack["id"].as_str().unwrap());
    let fetch = super::people::event("GET", &path, Value::Null);
    while ask(packs_api.clone(), &fetch).await.0 == 202 {
        tokio::task::yield_now().await;
    }
    let now = watched.world.huntress.clock.now();
    watched.world.store.remove_connection(&super::company(), &connection("edr-main"), now).await.unwrap();
    let strict = common::domain::policy::presets().iter().find(|policy| policy.name().as_str() == "strict").unwrap();
    decided.choose(&super::company(), &client, strict, &alice).await.unwrap();
    watched.table.0.lock().unwrap().clear();
    let maker = maker(&watched.store);
    let wanted: common::app::packs::PackWanted =
        serde_json::from_value(json!({"company": "msp-acme", "client": "client-acme-corp", "pack": pack["id"]}))
            .unwrap();
    let log = common::app::log::EvidenceLog { store: watched.store.clone(), ..watched.world.log() };
    assert_eq!(log.sign_grown().await.unwrap().signed, 2, "of the connection and of the company");
    maker.fulfil(&shelf, &wanted).await.unwrap();
    compare("LogSigningRole", "manager", watched.table.heard());
}

#[tokio::test]
async fn connections_api() {
    let watched = Watched::over(&["edr-main"]).await;
    // Credentials are in files here: what is asked of their services has tests of its own.
    let parts = Parts { store: watched.store.clone(), ..watched.world.parts() };
    let Ok(connections) = parts.connections();
    let Ok(decisions) = parts.decisions();
    let decisions = routes::DECISIONS_API.router(Arc::new(decisions));
    let connections_api = function(routes::CONNECTIONS_API.router(Arc::new(connections)).merge(decisions));
    let policy = json!({"policy": "ours", "version": "1.0.0", "rules": [{"id": "few", "evidence": "endpoint_protection",
        "metric": "agents_missing", "pass": {"at_most": "3"}}]});
    let reason = "The laptops of the sales team are replaced in May.";
    let exception = json!({"rule": "few", "reason": reason, "until": "2026-06-01"});
    let attestation = json!({"value": 3, "source": "RMM export", "dated": "2026-03-20", "until": "2026-12-31"});
    let provider = "/clients/client-acme-corp/training-provider";
    let named = json!({"connection": "edr-new"});
    let new =
        json!({"id": "edr-new", "product": "huntress-edr", "credential": {"apiKey": API_KEY, "apiSecret": API_SECRET}});
    for (method, path, body, expected) in [
        ("POST", "/connections", new.clone(), 201),
        ("GET", "/connections", Value::Null, 200),
        ("GET", "/connections/edr-new/setup", Value::Null, 200),
        ("PATCH", "/connections/edr-new", json!({"missing_after_days": 30}), 200),
        ("PUT", "/connections/edr-new/credential", new["credential"].clone(), 200),
        ("PUT", "/connections/edr-new/mapping", json!({"default_client": "client-acme-corp"}), 200),
        ("PUT", provider, named, 400),
        ("PUT", "/policies/ours/1.0.0", policy, 200),
        ("PUT", "/clients/client-acme-corp/policy", json!({"policy": "ours"}), 200),
        ("GET", "/clients/client-acme-corp/policy", Value::Null, 200),
        ("POST", "/clients/client-acme-corp/exceptions", exception, 201),
        ("GET", "/clients/client-acme-corp/exceptions", Value::Null, 200),
        ("PUT", "/clients/client-acme-corp/attestations/expected_devices", attestation.clone(), 200),
        ("PUT", "/clients/nobody/attestations/expected_devices", attestation, 404),
        ("POST", "/connections/edr-new/pause", Value::Null, 200),
        ("DELETE", "/connections/edr-new", Value::Null, 204),
        // Its id has a log by now.
        ("POST", "/connections", new, 201),
        ("DELETE", "/connections/edr-new", Value::Null, 204),
    ] {
        let mut asked = super::people::event(method, path, body);
        asked["headers"]["if-match"] = json!("*");
        let function = if path == provider { watched.world.people_api() } else { connections_api.clone() };
        assert_eq!(ask(function, &asked).await.0, expected, "{method} {path}");
        if path.ends_with("/pause") {
            let (company, client) = (super::company(), ClientId::parse("client-acme-corp").unwrap());
            let provider = common::store::Provider {
                client,
                connection: connection("edr-new"),
                since: tick(),
                by: "x".to_owned(),
            };
            watched.world.store.name_provider(&company, provider, None).await.unwrap();
        }
    }
    let table = watched.table.0.lock().unwrap().clone();
    compare("ConnectionsApiRole", "manager", table);
}

#[tokio::test]
async fn connection_test() {
    let people = People::followed().await.connection_test.heard();
    for secrets in ["manager", "sealed"] {
        let mut watched = Watched::over(&["edr-main"]).await;
        if secrets == "sealed" {
            watched = watched.seal(&[("edr-main", edr())]).await;
        }
        let connection_test = function(routes::CONNECTION_TEST.router(Arc::new(watched.connections())));
        let (status, answer) = ask(connection_test, &sample("connection-test/events/test.json")).await;
        assert_eq!((status, &answer["passed"]), (200, &json!(true)));
        compare("ConnectionTestRole", secrets, watched.uses().into_iter().chain(people.clone()).collect());
    }
}

#[tokio::test]
async fn people_api() {
    compare("PeopleApiRole", "manager", People::followed().await.people_api.heard());
}

#[tokio::test]
async fn sync_worker() {
    let mut watched = Watched::over(&["edr-main", "edr-big", "edr-lab", "edr-off", "sat-main"]).await;
    let account =
        AccountSpec { seed: 7, shape: Shape::Vendor, organizations: 120, agents: 200, incidents: 5, as_of: tick() };
    let account: Account = account.generate();
    let builder = simulator::Simulator::builder(account.clone()).rate_limit(None).sat(SatAccount::demo(tick()));
    watched.world.use_simulator(builder.start().await.unwrap());
    // More clients than fit into one transaction.
    let clients = account.records(List::Organizations).map(|organization| {
        let id = organization["id"].to_string();
        let client = ClientId::parse(format!("client-{id}")).unwrap();
        (id, client)
    });
    let mapping = Mapping::ByOrganization { clients: clients.collect(), ignored: BTreeSet::new() };
    let change = ConnectionChange { mapping: Some(mapping), ..Default::default() };
    watched.world.store.change_connection(&super::company(), &connection("edr-big"), change).await.unwrap();
    watched.world.make_training("sat-main").await;

    for id in ["edr-main", "edr-big", "sat-main"] {
        assert_eq!(watched.work(id).await, Processed::AlreadyFinished);
    }
    watched.world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Forbidden)]);
    assert_eq!(watched.work("edr-off").await, Processed::AlreadyFinished);
    watched.suspend("edr-lab").await;
    // What is no message of ours goes back to the queue.
    let batch = serde_json::from_value(json!({"Records": [{"messageId": "m", "receiptHandle": "r", "body": "?"}]}));
    let deadline = tick() + TimeDelta::minutes(14);
    let answer = batch::handle(&watched.worker(), &Telemetry::none(), batch.unwrap(), deadline).await;
    assert_eq!(answer.batch_item_failures.len(), 1);
    let people = People::followed().await.worker.heard();
    compare("SyncWorkerRole", "manager", watched.uses().into_iter().chain(people.clone()).collect());

    // The same from sealed credentials, which nothing but their reading tells apart.
    let (all, asked) = (watched.uses(), watched.secrets.calls());
    watched.table.0.lock().unwrap().clear();
    watched.world.simulator.set_faults(Vec::new());
    let sat = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
    let watched = watched.seal(&[("edr-main", edr()), ("sat-main", Credential::Sat(sat))]).await;
    for id in ["edr-main", "sat-main"] {
        assert_eq!(watched.work(id).await, Processed::AlreadyFinished);
    }
    assert_eq!(watched.secrets.calls(), asked, "Secrets Manager is left alone");
    let of_both = |it: &Use| !it.action.starts_with("secretsmanager:");
    let uses = all.into_iter().filter(of_both).chain(watched.uses().into_iter().filter(of_both)).chain(people);
    compare("SyncWorkerRole", "sealed", uses.collect());
}

fn edr() -> Credential {
    Credential::Edr(EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() })
}

/// What was asked of the services beside the table, as IAM sees it.
fn of_services(calls: &[acceptance::aws::Call]) -> BTreeSet<Use> {
    const OURS: &str = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretPrefix}/*";
    const OAUTH: &str =
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SatOauthSecret}-??????";
    let of = |(operation, input): &acceptance::aws::Call| match operation.split_once('.').unwrap() {
        ("secretsmanager", action) => Use {
            action: format!("secretsmanager:{action}"),
            resource: if input["SecretId"] == "oauth" { OAUTH } else { OURS }.to_owned(),
            ..Default::default()
        },
        ("TrentService", action) => Use {
            action: format!("kms:{action}"),
            resource: "CredentialKey".to_owned(),
            purpose: input["EncryptionContext"]["purpose"].as_str().unwrap().to_owned(),
            ..Default::default()
        },
        other => unreachable!("the functions use {other:?}, which this test does not know"),
    };
    calls.iter().map(of).collect()
}

#[tokio::test]
async fn connecting_by_redirect() {
    for secrets in ["manager", "sealed"] {
        let aws = Aws::start().await;
        let client = json!({"client_id": simulator::OAUTH_CLIENT_ID, "client_secret": simulator::OAUTH_CLIENT_SECRET});
        aws.secrets(|all| all.insert("oauth".to_owned(), client.to_string()));
        let several = SatAccount::demo(tick()).with_accounts(simulator::SatAccounts::Many);
        let mut site = Site::of(several).await;
        // From now on in the name of a role, with the credentials where a stack has them.
        let mut recorded = async |role: &str, act: Act| {
            let (recorder, before) = (Recorder::default(), aws.calls().len());
            site.world.watch(&recorder);
            let store = site.world.store.clone();
            site.world.credentials = Arc::new(if secrets == "sealed" { aws.sealed(store) } else { aws.managed() });
            let secret = aws_sdk_secretsmanager::Client::new(&aws.config());
            let oauth =
                common::aws::secrets::oauth_client::OauthClient::Secret { client: secret, id: "oauth".to_owned() };
            site.use_client(oauth);
            site.act(act).await;
            let uses = recorder.heard().into_iter().chain(of_services(&aws.calls()[before..])).collect();
            let to_be_used = |it: &Statement| {
                let removes = act == Act::Remove;
                !removes
                    && it.redirect
                    && it.used_by == "connecting by redirect, whose requests a test of its own looks at"
            };
            compare_where(role, &statements(role, secrets, true), uses, to_be_used);
        };
        // Who comes first after somebody has agreed exchanges otherwise than who comes later.
        recorded("ConnectionsApiRole", Act::Connect).await;
        recorded("ConnectionTestRole", Act::Test).await;
        recorded("ConnectionsApiRole", Act::Connect).await;
        recorded("SyncWorkerRole", Act::Sync).await;
        recorded("ConnectionsApiRole", Act::Remove).await;
    }
}

/// A POST with a key is claimed before it is carried out, and its answer is kept: under the role of each function that takes keys.
#[tokio::test]
async fn requests_with_a_key() {
    let watched = Watched::over(&["edr-main"]).await;
    let clock = watched.world.huntress.clock.clone();
    let parts = Parts { store: watched.store.clone(), ..watched.world.parts() };
    let (Ok(people), Ok(decisions)) = (parts.people(), parts.decisions());
    let connections = Arc::new(watched.connections());
    let exception = json!({"rule": "few", "reason": "The laptops are replaced in May.", "until": "2026-06-01"});
    let days = json!({"from": "2026-03-21", "to": "2026-03-21"});
    let packs = watched.world.packs();
    let shelf = Arc::clone(&packs.shelf);
    let reader = common::app::packs::PackReader { store: watched.store.clone(), ..watched.world.pack_reader() };
    let packs = common::app::packs::PackService {
        dispatch: common::app::packs::PackDispatch::Here(Arc::new(common::app::packs::PackMaker {
            reader: common::app::packs::PackReader {
                store: watched.world.store.clone(),
                ..watched.world.pack_reader()
            },
            signer: watched.world.signer(),
        })),
        reader,
        shelf,
    };
    for (role, routes, path, body) in [
        (
            "ConnectionTestRole",
            routes::CONNECTION_TEST.router(Arc::clone(&connections)),
            "/connections/edr-main/test",
            Value::Null,
        ),
        (
            "ConnectionsApiRole",
            routes::CONNECTIONS_API.router(connections).merge(routes::DECISIONS_API.router(Arc::new(decisions))),
            "/clients/client-acme-corp/exceptions",
            exception,
        ),
        (
            "PeopleApiRole",
            routes::PEOPLE_API.router(Arc::new(people)),
            "/connections/edr-main/people/lookup",
            json!({"learner_id": "p"}),
        ),
        ("PacksApiRole", routes::PACKS_API.router(Arc::new(packs)), "/clients/client-acme-corp/packs", days),
    ] {
        watched.table.0.lock().unwrap().clear();
        let keyed = common::api::Once { store: watched.store.clone(), clock: clock.clone() };
        let claims = Arc::new(common::api::Claims::read(&|_| None));
        let function = common::api::host(routes)
            .layer(axum::middleware::from_fn_with_state(keyed, common::api::once))
            .layer(axum::middleware::from_fn_with_state(claims, common::api::lambda_caller));
        let mut event = super::people::event("POST", path, body);
        event["headers"]["idempotency-key"] = json!(role);
        let first = ask(function.clone(), &event).await;
        assert_eq!(ask(function, &event).await.0, first.0, "{role}: {first:?}");
        let uses = watched.table.heard();
        let claimed =
            |it: &&Use| it.action == "dynamodb:PutItem" && it.keys.iter().any(|key| key.starts_with("AUDIT#"));
        assert!(uses.iter().any(|it| claimed(&it)), "{role} claims nothing: {first:?}");
        // What the routes themselves use has tests of its own.
        compare_where(role, &statements(role, "manager", false), uses, |_| false);
    }
}
