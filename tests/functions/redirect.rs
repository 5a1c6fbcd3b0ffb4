//! Connecting by redirect, over real HTTP on both sides: how it goes, each attack on it, and what becomes of the refresh token afterwards.

use super::{World, company, connection, tick};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use chrono::TimeDelta;
use common::api::{Caller, Role, host, routes};
use common::app::collection::worker::Processed;
use common::app::connections::OauthSettings;
use common::aws::secrets::oauth_client::OauthClient;
use common::aws::secrets::{Binding, Credential};
use common::domain::connection::ConnectionStatus;
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::CompanyId;
use common::domain::product::Product;
use common::huntress::sat::SatCredential;
use common::settings::PublicUrl;
use common::store::ExchangeOutcome;
use reqwest::{Client, Method};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use simulator::{
    Account, Consent, Fault, FaultKind, List, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, Rotation, SatAccount, SatAccounts,
    Simulator,
};
use std::net::TcpListener;
use std::sync::Arc;

/// The connections' routes at an address of their own, and a simulated vendor where people agree.
pub(super) struct Site {
    pub(super) world: World,
    origin: String,
    client: Client,
    serving: tokio::task::JoinHandle<()>,
}

/// What a browser got.
#[derive(Debug)]
struct Shown {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

/// Somebody who was sent to Huntress.
#[derive(Clone)]
struct Sent {
    address: String,
    cookie: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn account() -> SatAccount {
    SatAccount::demo(tick())
}

impl Site {
    async fn open() -> Self {
        Self::of(account()).await
    }

    pub(super) async fn of(account: SatAccount) -> Self {
        let mut world = World::with(&[]).await;
        let builder = Simulator::builder(Account::worked_example(tick())).rate_limit(None).sat(account);
        world.use_simulator(builder.clock(Arc::new(tick)).start().await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let client = SatCredential { client_id: OAUTH_CLIENT_ID.into(), client_secret: OAUTH_CLIENT_SECRET.into() };
        world.oauth = Arc::new(OauthSettings {
            client: OauthClient::Given(Arc::new(client)),
            public_url: Some(PublicUrl::parse(&origin).unwrap()),
            has_pages: true,
        });
        let client = world.huntress.http.clone();
        let serving = serve(&world, listener);
        Self { world, origin, client, serving }
    }

    /// The same site at a later time.
    async fn later(&mut self, time: TimeDelta) {
        self.serving.abort();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // The address that was told to Huntress stays: a proxy would lead it here.
        self.origin = format!("http://{}", listener.local_addr().unwrap());
        self.world.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::seconds(5) + time));
        self.serving = serve(&self.world, listener);
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Value) -> Shown {
        let request = self.client.request(method, format!("{}{path}", self.origin));
        shown(request.bearer_auth(token).header("content-type", "application/json").body(body.to_string())).await
    }

    async fn start_as(&self, token: &str, id: &str, body: Value) -> Shown {
        self.ask(Method::POST, &format!("/v1/companies/msp-acme/connections/{id}/oauth/start"), token, body).await
    }

    /// Somebody is sent to Huntress.
    async fn start(&self, id: &str) -> Sent {
        let started = self.start_as("admin", id, json!({})).await;
        assert_eq!(started.status, 200, "{started:?}");
        let cookie = started.headers["set-cookie"].to_str().unwrap().to_owned();
        let attributes = "; Path=/oauth/huntress; Max-Age=600; HttpOnly; Secure; SameSite=Lax";
        assert!(cookie.ends_with(attributes), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Sent { address: started.json()["authorize_url"].as_str().unwrap().to_owned(), cookie }
    }

    /// They do at Huntress what everybody does there; where they are sent then, below our own address.
    async fn decide(&self, sent: &Sent) -> String {
        let answer = self.client.get(&sent.address).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        let back = answer.headers()["location"].to_str().unwrap();
        let at = back.find("/oauth/huntress/callback?").unwrap();
        back[at..].to_owned()
    }

    /// A browser comes back.
    async fn back(&self, path: &str, cookie: Option<&str>) -> Shown {
        let mut request = self.client.get(format!("{}{path}", self.origin)).header("accept", "application/json");
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        shown(request).await
    }

    /// Somebody connects, from the beginning to the end.
    async fn connect(&self, id: &str) -> Shown {
        let sent = self.start(id).await;
        let path = self.decide(&sent).await;
        self.back(&path, Some(&sent.cookie)).await
    }

    /// Nothing is there that was not there before: no connection, no credential, no event.
    async fn is_untouched(&self) {
        assert_eq!(self.world.store.connections(&company()).await.unwrap(), []);
        assert!(self.credential("sat").await.is_none());
        let log = self.audit_log().await;
        assert_eq!(log, Vec::<String>::new());
    }

    async fn audit_log(&self) -> Vec<String> {
        let asked = super::people::event("GET", "/audit-log", Value::Null);
        let (status, log) = super::ask(self.world.evidence_api(), &asked).await;
        assert_eq!(status, 200, "{log}");
        let items = log["items"].as_array().unwrap().iter();
        items
            .map(|event| format!("{} {}", event["actor"].as_str().unwrap(), event["action"].as_str().unwrap()))
            .collect()
    }

    /// The refresh token that is kept.
    async fn credential(&self, id: &str) -> Option<String> {
        let (company, connection) = (company(), connection(id));
        let binding = Binding { company: &company, connection: &connection, product: Product::Sat };
        match self.world.credentials.get(binding).await {
            Ok(Credential::Agreement(agreement)) => Some(agreement.refresh_token.expose_secret().to_owned()),
            Ok(_) => panic!("another credential"),
            Err(_) => None,
        }
    }

    /// Everything that the table holds, as text.
    async fn table(&self) -> String {
        let scanned = self.world._engine.client().scan().table_name("evidence").send().await.unwrap();
        format!("{:?}", scanned.items())
    }

    /// Runs a sync of the connection.
    async fn sync(&mut self, id: &str) -> Processed {
        self.world.planner().sync_now(&company(), &connection(id), None).await.unwrap();
        let message = self.world.sent().remove(0);
        let deadline = self.world.huntress.clock.now() + TimeDelta::minutes(10);
        self.world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap()
    }

    async fn status(&self, id: &str) -> ConnectionStatus {
        self.world.store.connection(&company(), &connection(id)).await.unwrap().unwrap().status
    }
}

impl Shown {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A problem, from which nothing is learnt.
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        for (name, value) in
            [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
        {
            assert_eq!(self.headers[name], value);
        }
        assert!(self.headers.get("set-cookie").is_none() && self.headers.get("location").is_none());
    }
}

fn serve(world: &World, listener: TcpListener) -> tokio::task::JoinHandle<()> {
    let connections = Arc::new(world.connection_service());
    let site =
        routes::CONNECTIONS_API.router(Arc::clone(&connections)).merge(routes::CONNECTION_TEST.router(connections));
    let site = host(site).layer(from_fn(identify));
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, site).await.unwrap() })
}

/// Callers by the words of these tests.
async fn identify(mut request: Request, next: Next) -> axum::response::Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let caller = match token {
        "Bearer admin" => Some((company(), Role::Admin)),
        "Bearer reader" => Some((company(), Role::AccessReviewer)),
        "Bearer stranger" => Some((CompanyId::parse("msp-other").unwrap(), Role::Admin)),
        _ => None,
    };
    if let Some((company, role)) = caller {
        request.extensions_mut().insert(Caller::with_role(company, "user-7f3a", role));
    }
    next.run(request).await
}

async fn shown(request: reqwest::RequestBuilder) -> Shown {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Shown { status, headers, text: answer.text().await.unwrap() }
}

/// A parameter of an address.
fn parameter(address: &str, name: &str) -> String {
    let query = address.split_once('?').unwrap().1;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
}

#[tokio::test]
async fn who_agrees_is_connected_and_collected_from() {
    let mut site = Site::open().await;
    let sent = site.start("sat").await;
    assert!(sent.address.starts_with(&format!("{}/oauth/authorize?", site.world.simulator.origin())));
    let path = site.decide(&sent).await;
    let request = site.client.get(format!("{}{path}", site.origin)).header("cookie", &sent.cookie);
    let connected = shown(request.header("accept", "text/html,application/xhtml+xml")).await;
    assert_eq!(connected.status, 200, "{connected:?}");
    assert!(connected.text.contains("<h1>Connected</h1>") && connected.text.contains("<code>sat</code>"));
    assert_eq!(connected.headers["referrer-policy"], "no-referrer");
    assert_eq!(connected.headers["cache-control"], "no-store");
    let policy = connected.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !connected.text.contains("<script"));

    let saved = site.ask(Method::GET, "/v1/companies/msp-acme/connections/sat", "reader", json!({})).await.json();
    let saved = &saved["connection"];
    assert_eq!((&saved["product"], &saved["default_client"]), (&json!("huntress-sat"), &json!("msp-acme")));
    // 335 days from 2026-03-22T11:00:05Z.
    assert_eq!(saved["expiry"], json!({"state": "ok", "at": "2027-02-20T11:00:05Z"}));
    assert_eq!(saved["credential"]["by_redirect"], true);
    assert_eq!(site.audit_log().await, ["user-7f3a connection.created"]);

    // Each run exchanges the refresh token, and keeps the next one.
    let mut kept = vec![site.credential("sat").await.unwrap()];
    for _ in 0..2 {
        assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
        kept.push(site.credential("sat").await.unwrap());
    }
    let tested = site.ask(Method::POST, "/v1/companies/msp-acme/connections/sat/test", "admin", json!({})).await;
    assert_eq!((tested.status, &tested.json()["passed"]), (200, &json!(true)), "{tested:?}");
    kept.push(site.credential("sat").await.unwrap());
    let mut different = kept.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 4, "{kept:?}");
    assert!(site.world.simulator.would_refresh(&kept[3]) && !site.world.simulator.would_refresh(&kept[2]));

    // One that is good for ever is left as it is.
    site.world.simulator.set_rotation(Rotation::Keep);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    assert_eq!(site.credential("sat").await.as_ref(), kept.last());
}

#[tokio::test]
async fn nothing_that_lets_in_is_in_the_table_or_in_a_file() {
    let mut site = Site::open().await;
    let sent = site.start("sat").await;
    let mut secrets = vec![
        OAUTH_CLIENT_SECRET.to_owned(),
        parameter(&sent.address, "state"),
        sent.cookie.split_once('=').unwrap().1.to_owned(),
    ];
    let during = site.table().await;
    let path = site.decide(&sent).await;
    assert_eq!(site.back(&path, Some(&sent.cookie)).await.status, 200);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    secrets.extend(site.world.simulator.codes_and_refresh_tokens());
    secrets.extend(site.world.simulator.access_tokens());
    assert!(secrets.len() >= 8, "{secrets:?}");
    let (after, challenge) = (site.table().await, parameter(&sent.address, "code_challenge"));
    assert!(during.contains("REDIRECT") && !after.contains("\"REDIRECT\"") && after.contains("EXCHANGE"));
    let mut places = vec![("the table on the way", during.into_bytes()), ("the table afterwards", after.into_bytes())];
    for file in std::fs::read_dir(site.world.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            places.push(("a file", std::fs::read(path).unwrap()));
        }
    }
    for secret in secrets.iter().chain([&challenge]) {
        for (place, bytes) in &places {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} is in {place}");
        }
    }
}

#[tokio::test]
async fn an_address_counts_once_in_one_browser_for_ten_minutes() {
    let mut site = Site::open().await;
    let sent = site.start("sat").await;
    let path = site.decide(&sent).await;
    let (name, value) = sent.cookie.split_once('=').unwrap();
    let wrong = format!("{name}={}", "A".repeat(value.len()));
    let other = site.start("other").await;
    for cookie in [None, Some(wrong.as_str()), Some(other.cookie.as_str()), Some(&format!("{name}="))] {
        site.back(&path, cookie).await.is_problem(403, "oauth_browser");
    }
    // A cookie of the right name beside another one of that name is nobody's.
    let twice = format!("{}; {wrong}", sent.cookie);
    site.back(&path, Some(&twice)).await.is_problem(403, "oauth_browser");
    let code = parameter(&path, "code");
    for state in [parameter(&other.address, "state"), "A".repeat(43), "x".to_owned(), String::new()] {
        let foreign = format!("/oauth/huntress/callback?code={code}&state={state}");
        let answer = site.back(&foreign, Some(&sent.cookie)).await;
        let known = answer.status == 403;
        answer.is_problem(if known { 403 } else { 400 }, if known { "oauth_browser" } else { "oauth_state" });
    }
    for broken in ["", "?", "?code=a", &format!("?{}&state=b", path.split_once('?').unwrap().1)] {
        site.back(&format!("/oauth/huntress/callback{broken}"), Some(&sent.cookie))
            .await
            .is_problem(400, "oauth_state");
    }
    site.is_untouched().await;
    // None of that has used it up, and this does.
    assert_eq!(site.back(&path, Some(&sent.cookie)).await.status, 200);
    let kept = site.credential("sat").await;
    site.back(&path, Some(&sent.cookie)).await.is_problem(400, "oauth_state");
    assert_eq!(site.credential("sat").await, kept);
    assert!(site.world.simulator.would_refresh(&kept.unwrap()), "the code was not brought twice");

    // Of two at the same time one gets on.
    let both = site.start("both").await;
    let path = site.decide(&both).await;
    let (one, two) = tokio::join!(site.back(&path, Some(&both.cookie)), site.back(&path, Some(&both.cookie)));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);

    let late = site.start("late").await;
    let path = site.decide(&late).await;
    site.later(TimeDelta::minutes(10)).await;
    site.back(&path, Some(&late.cookie)).await.is_problem(400, "oauth_state");
    let connections = site.world.store.connections(&company()).await.unwrap();
    assert_eq!(connections.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["both", "sat"]);
}

#[tokio::test]
async fn nobody_begins_for_another_company_or_without_the_right_to() {
    let site = Site::open().await;
    for (token, status, code) in
        [("nobody", 401, "unauthenticated"), ("stranger", 403, "forbidden"), ("reader", 403, "scope_missing")]
    {
        let answer = site.start_as(token, "sat", json!({})).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{token}");
        assert!(answer.headers.get("set-cookie").is_none());
    }
    site.world.add("edr-main").await;
    let edr = site.start_as("admin", "edr-main", json!({})).await;
    assert_eq!((edr.status, &edr.json()["code"]), (422, &json!("other_product")));
    for body in [json!({"company": "msp-other"}), json!({"redirect_uri": "https://evil.example"}), json!([])] {
        assert_eq!(site.start_as("admin", "sat", body.clone()).await.status, 400, "{body}");
    }
    // A redirect of one company saves nothing for another one, whoever is signed in.
    let sent = site.start("sat").await;
    let path = site.decide(&sent).await;
    let stranger = site.client.get(format!("{}{path}&company=msp-other", site.origin)).bearer_auth("stranger");
    assert_eq!(shown(stranger.header("cookie", &sent.cookie)).await.status, 200);
    let other = CompanyId::parse("msp-other").unwrap();
    assert_eq!(site.world.store.connections(&other).await.unwrap(), []);
    assert!(site.world.store.connection(&company(), &connection("sat")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_huntress_does_not_grant_is_not_saved() {
    let site = Site::open().await;
    let narrow = |told| Consent::Narrow { scopes: vec!["account:read".to_owned(), "learners:read".to_owned()], told };
    for (consent, code) in [
        (Consent::Deny, "oauth_denied"),
        (Consent::Error("server_error".to_owned()), "oauth_refused"),
        (Consent::Error("<script>alert(1)</script>".to_owned()), "oauth_refused"),
        (narrow(true), "missing_scopes"),
        (narrow(false), "missing_scopes"),
    ] {
        site.world.simulator.set_consent(consent.clone());
        let answer = site.connect("sat").await;
        answer.is_problem(424, code);
        assert!(!answer.text.contains("script"), "{answer:?}");
        if code == "missing_scopes" {
            assert!(answer.text.contains("assignments:read"), "{answer:?}");
        }
    }
    site.world.simulator.set_consent(Consent::Agree);
    site.world.simulator.set_rotation(Rotation::None);
    site.connect("sat").await.is_problem(424, "refused");
    site.world.simulator.set_rotation(Rotation::Rotate);
    // A code is exchanged once, whatever becomes of the answer.
    for kind in [FaultKind::Status(503), FaultKind::Reset, FaultKind::Truncate, FaultKind::NotJson] {
        site.world.simulator.set_faults(vec![Fault::always(Some(List::Token), kind.clone())]);
        site.world.simulator.reset_log();
        let answer = site.connect("sat").await;
        assert_eq!(answer.status, 424, "{kind:?} {answer:?}");
        let asked = site.world.simulator.requests().iter().filter(|it| it.list == Some(List::Token)).count();
        assert_eq!(asked, 1, "{kind:?}");
    }
    site.world.simulator.set_faults(Vec::new());
    // The client of this service is not the customer's.
    site.world.simulator.set_faults(vec![Fault::always(Some(List::Token), FaultKind::Unauthorized)]);
    let answer = site.connect("sat").await;
    answer.is_problem(424, "refused");
    assert!(answer.text.contains("HUNTRESS_SAT_OAUTH_CLIENT_ID"), "{answer:?}");
    site.is_untouched().await;
}

#[tokio::test]
async fn a_code_of_somebody_else_is_worth_nothing() {
    let site = Site::open().await;
    // The attacker's own way, on which they bring the victim's code: the verifier is another one.
    let victim = site.start("victim").await;
    let stolen = parameter(&site.decide(&victim).await, "code");
    let attacker = site.start("sat").await;
    let state = parameter(&attacker.address, "state");
    let path = format!("/oauth/huntress/callback?code={stolen}&state={state}");
    site.back(&path, Some(&attacker.cookie)).await.is_problem(424, "auth_failed");
    // The victim's address in the attacker's browser, and the attacker's in the victim's.
    let attacker = site.start("sat").await;
    let path = site.decide(&attacker).await;
    site.back(&path, Some(&victim.cookie)).await.is_problem(403, "oauth_browser");
    site.is_untouched().await;
    // A code that was used.
    let sent = site.start("sat").await;
    let used = site.decide(&sent).await;
    assert_eq!(site.back(&used, Some(&sent.cookie)).await.status, 200);
    let again = site.start("again").await;
    let (code, state) = (parameter(&used, "code"), parameter(&again.address, "state"));
    let path = format!("/oauth/huntress/callback?code={code}&state={state}");
    site.back(&path, Some(&again.cookie)).await.is_problem(424, "auth_failed");
    assert!(site.world.store.connection(&company(), &connection("again")).await.unwrap().is_none());
}

#[tokio::test]
async fn where_it_is_not_set_up_it_says_so() {
    let mut site = Site::open().await;
    site.world.oauth = OauthSettings::none();
    site.later(TimeDelta::zero()).await;
    let answer = site.start_as("admin", "sat", json!({})).await;
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("oauth_not_configured")));
    assert!(answer.json()["detail"].as_str().unwrap().contains("PUBLIC_URL"));
    site.is_untouched().await;
}

#[tokio::test]
async fn of_several_accounts_one_is_chosen_on_a_page() {
    let site = Site::of(account().with_accounts(SatAccounts::Many)).await;
    let home = account().home_id().unwrap().to_owned();
    let sent = site.start("sat").await;
    let path = site.decide(&sent).await;
    let page = site.back(&path, Some(&sent.cookie)).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.contains("Opal Ridge Freight") && page.text.contains(&home), "{}", page.text);
    site.is_untouched().await;
    let field = |name: &str| {
        let at = page.text.find(&format!("name=\"{name}\" value=\"")).unwrap() + name.len() + 15;
        page.text[at..].split('"').next().unwrap().to_owned()
    };
    let state = field("state");
    let cookie = page.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let choose = async |state: &str, account: &str, cookie: &str| site.choose(state, account, cookie).await;
    // The address of the way there is not that of the choice, nor is its cookie.
    choose(&parameter(&sent.address, "state"), &home, &sent.cookie).await.is_problem(400, "oauth_state");
    choose(&state, &home, &sent.cookie).await.is_problem(403, "oauth_browser");
    site.back(&format!("/oauth/huntress/callback?code=a&state={state}"), Some(&cookie))
        .await
        .is_problem(400, "oauth_state");
    for account in ["acc-9", "", "../accounts"] {
        choose(&state, account, &cookie).await.is_problem(422, "account_not_visible");
    }
    site.is_untouched().await;
    let table = site.table().await;
    for secret in site.world.simulator.codes_and_refresh_tokens().iter().chain(&site.world.simulator.access_tokens()) {
        assert!(!table.contains(secret.as_str()));
    }
    let connected = choose(&state, &home, &cookie).await;
    assert_eq!(connected.status, 200, "{connected:?}");
    choose(&state, &home, &cookie).await.is_problem(400, "oauth_state");
    let saved = site.world.store.connection(&company(), &connection("sat")).await.unwrap().unwrap();
    assert_eq!(saved.account_id.unwrap().as_str(), home);
}

/// What somebody or something does, each in the name of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Somebody is sent to Huntress, comes back, and chooses one of several accounts.
    Connect,
    /// A worker syncs.
    Sync,
    /// Somebody tests the connection.
    Test,
    /// Somebody removes it.
    Remove,
}

impl Site {
    /// The same site with the client from elsewhere, and with what its world has by now.
    pub(super) fn use_client(&mut self, client: OauthClient) {
        let public_url = self.world.oauth.public_url.clone();
        self.world.oauth = Arc::new(OauthSettings { client, public_url, has_pages: true });
        self.serving.abort();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        self.origin = format!("http://{}", listener.local_addr().unwrap());
        self.serving = serve(&self.world, listener);
    }

    /// Posts the form that chooses an account.
    async fn choose(&self, state: &str, account: &str, cookie: &str) -> Shown {
        let form = format!("state={state}&account={account}");
        let request = self.client.post(format!("{}/oauth/huntress/callback", self.origin)).header("cookie", cookie);
        shown(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await
    }

    /// Does it to the connection `sat`.
    pub(super) async fn act(&mut self, act: Act) {
        match act {
            Act::Connect => {
                let sent = self.start("sat").await;
                let path = self.decide(&sent).await;
                let mut shown = self.back(&path, Some(&sent.cookie)).await;
                if let Some((_, rest)) = shown.text.split_once("name=\"state\" value=\"") {
                    let cookie = shown.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
                    let home = account().home_id().unwrap().to_owned();
                    shown = self.choose(rest.split('"').next().unwrap(), &home, cookie).await;
                }
                assert_eq!(shown.status, 200, "{shown:?}");
            }
            // One exchange is new, the others change what is there.
            Act::Sync => {
                for _ in 0..2 {
                    assert_eq!(self.sync("sat").await, Processed::Succeeded { bundles: 1 });
                }
            }
            Act::Test => {
                let path = "/v1/companies/msp-acme/connections/sat/test";
                for _ in 0..2 {
                    let tested = self.ask(Method::POST, path, "admin", json!({})).await;
                    assert_eq!((tested.status, &tested.json()["passed"]), (200, &json!(true)), "{tested:?}");
                }
            }
            Act::Remove => {
                let path = format!("{}/v1/companies/msp-acme/connections/sat", self.origin);
                let request = self.client.delete(path).bearer_auth("admin").header("if-match", "*");
                let removed = shown(request).await;
                assert_eq!(removed.status, 204, "{removed:?}");
            }
        }
    }

    /// A failed run, and that the connection says so.
    async fn fails(&mut self, code: FailureCode, parts: &[&str]) -> Failure {
        let Processed::Failed(failure) = self.sync("sat").await else { panic!("it did not fail") };
        assert_eq!(failure.code, code, "{failure}");
        let text = failure.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        failure
    }
}

#[tokio::test]
async fn what_was_withdrawn_asks_to_connect_again_and_that_helps() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    site.world.simulator.withdraw_agreements();
    site.fails(FailureCode::AuthFailed, &["refresh token", "connect again", "--oauth"]).await;
    assert_eq!(site.status("sat").await, ConnectionStatus::AuthFailed);
    // Its mapping stays, so nobody may give another one.
    let mapping = json!({"mapping": {"default_client": "client-acme-corp"}});
    assert_eq!(site.start_as("admin", "sat", mapping).await.status, 422);
    let before = site.world.store.connection(&company(), &connection("sat")).await.unwrap().unwrap();
    assert_eq!(site.connect("sat").await.status, 200);
    let after = site.world.store.connection(&company(), &connection("sat")).await.unwrap().unwrap();
    assert_eq!((&after.mapping, after.revision), (&before.mapping, before.revision + 1));
    assert_eq!(site.audit_log().await.iter().filter(|it| it.contains("credential.replaced")).count(), 1);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });

    // Who asks with another client than the one that was agreed with is told so, and nothing is sent.
    let other = SatCredential { client_id: "another".into(), client_secret: OAUTH_CLIENT_SECRET.into() };
    let public_url = site.world.oauth.public_url.clone();
    site.world.oauth =
        Arc::new(OauthSettings { client: OauthClient::Given(Arc::new(other)), public_url, has_pages: true });
    site.world.simulator.reset_log();
    site.fails(FailureCode::AuthFailed, &["another API client", "connect again"]).await;
    site.world.oauth = OauthSettings::none();
    site.fails(FailureCode::CredentialMissing, &["no OAuth client"]).await;
    assert_eq!(site.world.simulator.requests(), []);
}

#[tokio::test]
async fn an_exchange_that_was_interrupted_is_told_and_never_passed_over() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    let hold = TimeDelta::seconds(60);
    let take = async |site: &Site, now| {
        let taken = site.world.store.take_exchange(&company(), &connection("sat"), now, hold).await.unwrap();
        let ExchangeOutcome::Acquired(exchange) = taken else { panic!("{taken:?}") };
        exchange
    };
    let now = site.world.huntress.clock.now();
    // Somebody is at it: a test does not wait, and a run in vain.
    let other = take(&site, now).await;
    let tested = site.ask(Method::POST, "/v1/companies/msp-acme/connections/sat/test", "admin", json!({})).await;
    assert_eq!((tested.status, &tested.json()["passed"]), (200, &json!(false)));
    assert!(tested.text.contains("try again in a minute"), "{tested:?}");
    site.fails(FailureCode::Unavailable, &["another request renews"]).await;
    site.world.store.end_exchange(&other, false).await.unwrap();
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });

    // A process that died at it, before Huntress exchanged anything: the next one finds the token good.
    take(&site, now - TimeDelta::minutes(2)).await;
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    // And one that died after the answer, with the new token.
    let dead = take(&site, now - TimeDelta::minutes(2)).await;
    site.world.simulator.withdraw_agreements();
    site.fails(FailureCode::AuthFailed, &["interrupted", "connect again"]).await;
    // Whoever it was, it changes nothing any more.
    assert!(!site.world.store.keeps_exchange(&dead, now + hold).await.unwrap());
    assert_eq!(site.connect("sat").await.status, 200);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    site.world.simulator.withdraw_agreements();
    let failure = site.fails(FailureCode::AuthFailed, &["connect again"]).await;
    assert!(!failure.message.contains("interrupted"), "that was over: {failure}");
}

#[tokio::test]
async fn a_new_refresh_token_that_cannot_be_kept_fails_the_run_before_it_reads_anything() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    // What is written beside a sealed file, before it takes its place, cannot be.
    let beside = site.world.folder.path().join("sat@msp-acme.new");
    std::fs::create_dir(&beside).unwrap();
    site.world.simulator.reset_log();
    site.fails(FailureCode::AuthFailed, &["could not be kept", "connect again"]).await;
    let requests = site.world.simulator.requests();
    assert!(requests.iter().all(|it| it.list == Some(List::Token)), "the access token was used: {requests:?}");
    std::fs::remove_dir(&beside).unwrap();
    site.fails(FailureCode::AuthFailed, &["interrupted", "connect again"]).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_at_the_exchange_asks_to_connect_again() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    // Huntress exchanges, and its answer is cut off; the same token is refused then.
    site.world.simulator.set_faults(vec![Fault::once(Some(List::Token), 1, FaultKind::Truncate)]);
    site.fails(FailureCode::AuthFailed, &["refresh token", "connect again"]).await;
    // One that does not arrive uses nothing up.
    assert_eq!(site.connect("sat").await.status, 200);
    site.world.simulator.set_faults(vec![Fault::once(Some(List::Token), 1, FaultKind::Reset)]);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    site.world.simulator.set_faults(vec![Fault::always(Some(List::Token), FaultKind::Status(503))]);
    site.fails(FailureCode::Unavailable, &[]).await;
    site.world.simulator.set_faults(Vec::new());
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
}

#[tokio::test]
async fn a_credential_that_was_replaced_meanwhile_stays() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    let first = site.credential("sat").await.unwrap();
    // While Huntress answers, somebody takes the connection away.
    let store = site.world.store.clone();
    let (answered, replaced) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let (said, go_on) = (std::sync::Mutex::new(answered.0), std::sync::Mutex::new(replaced.1));
    let hold = FaultKind::patch(move |_| {
        said.lock().unwrap().send(()).unwrap();
        go_on.lock().unwrap().recv().unwrap();
    });
    site.world.simulator.set_faults(vec![Fault::once(Some(List::Token), 1, hold)]);
    let replacing = tokio::task::spawn_blocking(move || answered.1.recv().unwrap());
    let replace = async {
        replacing.await.unwrap();
        store.forget_exchange(&company(), &connection("sat")).await.unwrap();
        replaced.0.send(()).unwrap();
    };
    let (processed, ()) = tokio::join!(site.sync("sat"), replace);
    let Processed::Failed(failure) = processed else { panic!("{processed:?}") };
    assert_eq!(failure.code, FailureCode::LeaseLost, "{failure}");
    assert_eq!(site.credential("sat").await.unwrap(), first);
}

/// A worker that stalls between the question and the answer, and one that takes its run over: one of them has the token, the other is told so.
#[tokio::test]
async fn of_two_workers_that_race_for_the_token_none_overwrites_the_other() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    // The first one stalls while Huntress answers, and its hold is over.
    let (answered, go_on) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let (said, waits) = (std::sync::Mutex::new(answered.0), std::sync::Mutex::new(go_on.1));
    let hold = FaultKind::patch(move |_| {
        said.lock().unwrap().send(()).unwrap();
        waits.lock().unwrap().recv().unwrap();
    });
    site.world.simulator.set_faults(vec![Fault::once(Some(List::Token), 1, hold)]);
    let store = site.world.store.clone();
    let now = site.world.huntress.clock.now();
    let stalled = tokio::task::spawn_blocking(move || answered.1.recv().unwrap());
    let second = async {
        stalled.await.unwrap();
        // Within the hold, nobody else gets at it.
        let hold = TimeDelta::seconds(60);
        let within = store.take_exchange(&company(), &connection("sat"), now + TimeDelta::seconds(59), hold).await;
        assert!(matches!(within.unwrap(), ExchangeOutcome::Held { .. }));
        // After it, the next one has it, and knows that nobody knows how that one ended.
        let after = store.take_exchange(&company(), &connection("sat"), now + TimeDelta::seconds(61), hold).await;
        let ExchangeOutcome::Acquired(taken) = after.unwrap() else { panic!("the hold is over") };
        assert!(taken.after_interruption);
        go_on.0.send(()).unwrap();
        taken
    };
    let before = site.credential("sat").await.unwrap();
    let (first, taken) = tokio::join!(site.sync("sat"), second);
    let Processed::Failed(failure) = first else { panic!("{first:?}") };
    assert_eq!(failure.code, FailureCode::LeaseLost, "{failure}");
    assert_eq!(site.credential("sat").await.unwrap(), before, "it keeps nothing any more");
    // The second one died as well. What Huntress has exchanged by now is told, and never passed over.
    drop(taken);
    site.world.huntress.clock = Arc::new(super::Stopped(now + TimeDelta::minutes(10)));
    site.fails(FailureCode::AuthFailed, &["interrupted", "connect again"]).await;
    assert_eq!(site.status("sat").await, ConnectionStatus::AuthFailed);
    assert_eq!(site.connect("sat").await.status, 200);
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
}

/// However many ask at once, the token is exchanged by one after the other, and the agreement outlives it.
#[tokio::test]
async fn syncs_and_tests_at_once_leave_the_agreement_good() {
    let mut site = Site::open().await;
    assert_eq!(site.connect("sat").await.status, 200);
    site.world.simulator.reset_log();
    let (client, path) = (site.client.clone(), format!("{}/v1/companies/msp-acme/connections/sat/test", site.origin));
    let tests = (0..6).map(|_| {
        let request = client.post(&path).bearer_auth("admin").header("content-type", "application/json").body("{}");
        tokio::spawn(shown(request))
    });
    let tests: Vec<_> = tests.collect();
    let synced = site.sync("sat").await;
    let mut passed = 0;
    for test in tests {
        let answer = test.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let is_busy = answer.text.contains("try again in a minute");
        assert!(answer.json()["passed"] == true || is_busy, "{answer:?}");
        passed += usize::from(answer.json()["passed"] == true);
    }
    let exchanges = site.world.simulator.requests().iter().filter(|it| it.list == Some(List::Token)).count();
    let succeeded = usize::from(synced == Processed::Succeeded { bundles: 1 });
    assert!(exchanges >= 1 && exchanges == passed + succeeded, "{exchanges} exchanges, {passed} tests, {synced:?}");
    assert_eq!(site.sync("sat").await, Processed::Succeeded { bundles: 1 });
    assert_eq!(site.status("sat").await, ConnectionStatus::Ok);
}
