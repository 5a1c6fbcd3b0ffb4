//! Signing in over an issuer, as on AWS: a small OpenID provider plays the organization's.

use super::world::{World, reads};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use common::api::Claims;
use common::aws::secrets::oauth_client::OauthClient;
use common::clock::Clock;
use common::console::{CookieKey, IssuerSignIn, IssuerState, SESSION_LENGTH, SealedSessions, SignIn, Site};
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tower::ServiceExt;

const ORIGIN: &str = "https://console.example";
const CLIENT_ID: &str = "console-client";
const CLIENT_SECRET: &str = "a secret: with/odd+letters";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The organization's OpenID provider. What it says of people, and how it errs, is set by the test.
struct Provider {
    address: String,
    pair: Mutex<(EcdsaKeyPair, u32)>,
    /// The claims that differ from those of a good token; `null` leaves one out.
    claims: Mutex<Value>,
    /// Codes that were not exchanged yet, with the challenge and the nonce of their request.
    codes: Mutex<BTreeMap<String, (String, String)>>,
    asked: Mutex<Vec<String>>,
    methods: Value,
    now: i64,
}

fn new_pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

impl Provider {
    async fn start(methods: Value, now: i64) -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let provider = Arc::new(Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            pair: Mutex::new((new_pair(), 1)),
            claims: Mutex::new(json!({})),
            codes: Mutex::default(),
            asked: Mutex::default(),
            methods,
            now,
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(Self::discovery))
            .route("/keys", get(Self::keys))
            .route("/token", post(Self::token))
            .with_state(Arc::clone(&provider));
        tokio::spawn(axum::serve(listener, router).into_future());
        provider
    }

    /// Signs with another key from now on.
    fn rotate(&self) {
        let mut pair = self.pair.lock().unwrap();
        *pair = (new_pair(), pair.1 + 1);
    }

    fn say(&self, claims: Value) {
        *self.claims.lock().unwrap() = claims;
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|it| *it == what).count()
    }

    /// What the person does at the provider: agrees, and is sent back with a code.
    fn agree(&self, address: &str) -> String {
        let url = url::Url::parse(address).unwrap();
        let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        assert!(address.starts_with(&format!("{}/authorize?", self.address)), "{address}");
        assert_eq!(
            (of("response_type"), of("client_id"), of("scope")),
            ("code".into(), CLIENT_ID.into(), "openid".into())
        );
        assert_eq!(of("redirect_uri"), format!("{ORIGIN}/login/callback"));
        assert_eq!(of("code_challenge_method"), "S256");
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (of("code_challenge"), of("nonce")));
        format!("/login/callback?code={code}&state={}", of("state"))
    }

    async fn discovery(State(it): State<Arc<Self>>) -> Response {
        it.asked.lock().unwrap().push("discovery".to_owned());
        let at = |path: &str| format!("{}{path}", it.address);
        let said = json!({"issuer": it.address, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"), "end_session_endpoint": at("/sign-out"), "token_endpoint_auth_methods_supported": it.methods});
        axum::Json(said).into_response()
    }

    async fn keys(State(it): State<Arc<Self>>) -> Response {
        let pair = it.pair.lock().unwrap();
        let point = pair.0.public_key().as_ref();
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": pair.1.to_string(),
            "x": encoded(&point[1..33]), "y": encoded(&point[33..])});
        axum::Json(json!({"keys": [key]})).into_response()
    }

    async fn token(State(it): State<Arc<Self>>, headers: HeaderMap, form: String) -> Response {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        it.asked.lock().unwrap().push("token".to_owned());
        let refused = |error: &str| (StatusCode::BAD_REQUEST, axum::Json(json!({"error": error}))).into_response();
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let encoded_secret: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
        let knows = match authorization {
            Some(basic) => {
                it.methods != json!(["client_secret_post"])
                    && basic == format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{encoded_secret}")))
            }
            None => {
                form.get("client_id").map(String::as_str) == Some(CLIENT_ID) && form["client_secret"] == CLIENT_SECRET
            }
        };
        if !knows {
            return refused("invalid_client");
        }
        let Some((challenge, nonce)) = it.codes.lock().unwrap().remove(&form["code"]) else {
            return refused("invalid_grant");
        };
        let verifier = encoded(Sha256::digest(&form["code_verifier"]));
        if verifier != challenge || form["redirect_uri"] != format!("{ORIGIN}/login/callback") {
            return refused("invalid_grant");
        }
        let mut claims = json!({"iss": it.address, "aud": CLIENT_ID, "sub": "ada@example.com", "nonce": nonce, "iat": it.now,
            "exp": it.now + 300, "company_id": "msp-acme", "role": "admin"});
        claims.as_object_mut().unwrap().extend(it.claims.lock().unwrap().as_object().unwrap().clone());
        let pair = it.pair.lock().unwrap();
        let header = json!({"alg": "ES256", "kid": pair.1.to_string()}).to_string();
        let signed = format!("{}.{}", encoded(header), encoded(claims.to_string()));
        let signature = pair.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        axum::Json(json!({"access_token": "opaque", "token_type": "Bearer", "id_token": format!("{signed}.{}", encoded(signature))}))
            .into_response()
    }
}

/// A console of a function, and the provider beside it.
struct Deployed {
    world: World,
    provider: Arc<Provider>,
    router: Router,
}

/// A browser that keeps cookies.
#[derive(Clone, Default)]
struct Browser(BTreeMap<String, String>);

struct Page {
    status: StatusCode,
    location: String,
    set: Vec<String>,
    body: String,
}

impl Page {
    #[track_caller]
    fn has(&self, text: &str) -> &Self {
        assert!(self.body.contains(text), "no {text:?} in {} {}", self.status, self.body);
        self
    }
}

impl Deployed {
    async fn new() -> Self {
        Self::with(json!(["client_secret_basic"])).await
    }

    async fn with(methods: Value) -> Self {
        let world = World::new().await;
        let provider = Provider::start(methods, world.clock.now().timestamp()).await;
        let router = Self::process(&world, &provider);
        Self { world, provider, router }
    }

    /// The console's two functions, each a process that knows nothing but its settings, behind the routes that the gateway has for them.
    fn process(world: &World, provider: &Provider) -> Router {
        let sessions = || {
            let key = CookieKey::Given("a text of at least 32 characters, made by the stack".into());
            SealedSessions::new(key, world.store.clone(), Arc::new(world.clock.clone()))
        };
        let sign_in = IssuerSignIn {
            issuer: provider.address.clone(),
            client: OauthClient::Given(Arc::new(SatCredential {
                client_id: CLIENT_ID.into(),
                client_secret: CLIENT_SECRET.into(),
            })),
            sessions: sessions(),
            scopes: "openid".to_owned(),
            claims: Claims::read(&|_| None),
            http: http_client(Timeouts::default()).unwrap(),
            origin: ORIGIN.to_owned(),
            allow_loopback: true,
            state: IssuerState::default(),
        };
        let site = || Site::public(ORIGIN).unwrap();
        let evidence = world.console_with(SignIn::Issuer(Box::new(sign_in)), site()).evidence.router();
        let connections = world.console_with(SignIn::Elsewhere(Box::new(sessions())), site()).connections.router();
        acceptance::behind_the_gateway(&[("console", evidence), ("console-connections", connections)])
    }

    async fn send(&self, browser: &mut Browser, method: &str, path: &str, form: Option<&[(&str, &str)]>) -> Page {
        let cookies: Vec<String> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header("host", "console.example");
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let mut body = Body::empty();
        if let Some(form) = form {
            request = request.header("origin", ORIGIN).header("content-type", "application/x-www-form-urlencoded");
            body = Body::from(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish());
        }
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let set: Vec<String> = answer.headers().get_all("set-cookie").iter().map(text).collect();
        for cookie in &set {
            // A browser refuses a cookie of this prefix without them.
            assert!(cookie.starts_with("__Host-") && cookie.contains("; Path=/; HttpOnly; SameSite=Lax; "), "{cookie}");
            assert!(cookie.ends_with("; Secure") && cookie.len() < 4096, "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("; Max-Age=0;") {
                browser.0.remove(name);
            } else {
                browser.0.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(text).unwrap_or_default();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        Page { status, location, set, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn get(&self, browser: &mut Browser, path: &str) -> Page {
        self.send(browser, "GET", path, None).await
    }

    /// As far as the way back from the provider: the address that it sends the browser to.
    async fn agreed(&self, browser: &mut Browser, to: &str) -> String {
        let page = self.get(browser, &format!("/login/start?to={to}")).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        self.provider.agree(&page.location)
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = Browser::default();
        let back = self.agreed(&mut browser, "/settings").await;
        let page = self.get(&mut browser, &back).await;
        assert_eq!((page.status, page.location.as_str()), (StatusCode::SEE_OTHER, "/settings"), "{}", page.body);
        assert_eq!(browser.0.keys().collect::<Vec<_>>(), ["__Host-session"], "nobody is on the way any more");
        browser
    }

    async fn form_token(&self, browser: &mut Browser) -> String {
        let page = self.get(browser, "/settings").await;
        page.body.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Signs in with these claims, and is refused with this code.
    #[track_caller]
    fn refused<'a>(&'a self, claims: Value, code: &'a str) -> impl Future<Output = Page> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            self.provider.say(claims);
            let mut browser = Browser::default();
            let back = self.agreed(&mut browser, "/").await;
            let page = self.get(&mut browser, &back).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{caller}: {}", page.body);
            assert!(browser.0.is_empty(), "{caller}: a cookie stays");
            page.has(&format!("<code>{code}</code>")).has("href=\"/login\"");
            page
        }
    }
}

/// What a page reads on AWS: its own three requests, and one that says that the session was not ended.
#[tokio::test]
async fn a_client_page_takes_three_reads_and_one_of_the_session() {
    let deployed = Deployed::new().await;
    let mut browser = deployed.signed_in().await;
    drop(deployed.world.counted.take());
    deployed.get(&mut browser, "/clients/client-a").await.has("How this came about");
    let asked = deployed.world.counted.take();
    let of = |what: &str| asked.get(what).copied().unwrap_or_default();
    assert_eq!((of("Query"), of("BatchGetItem"), of("GetItem"), reads(&asked)), (2, 1, 1, 4), "{asked:?}");
}

#[tokio::test]
async fn who_signs_in_at_the_issuer_has_the_rights_of_the_token() {
    for methods in [json!(["client_secret_basic"]), json!(["client_secret_post"]), Value::Null] {
        let deployed = Deployed::with(methods).await;
        let mut browser = Browser::default();
        let page = deployed.get(&mut browser, "/clients/client-a?days=90").await;
        assert_eq!(page.location, "/login?to=%2Fclients%2Fclient-a%3Fdays%3D90");
        let page = deployed.get(&mut browser, &page.location).await;
        page.has("href=\"/login/start?to=%2Fclients%2Fclient-a%3Fdays%3D90\"");
        let back = deployed.agreed(&mut browser, "%2Fclients%2Fclient-a%3Fdays%3D90").await;
        let page = deployed.get(&mut browser, &back).await;
        assert_eq!(page.location, "/clients/client-a?days=90", "{}", page.body);
        let session = page.set.iter().find(|it| it.starts_with("__Host-session=")).unwrap();
        assert!(session.contains("; Max-Age=28800;"), "{session}");
        deployed.get(&mut browser, "/settings").await.has("ada@example.com").has("tokens:write");
    }
    let deployed = Deployed::new().await;
    deployed.provider.say(json!({"role": ["access-reviewer"], "clients": "client-b"}));
    let mut browser = deployed.signed_in().await;
    let page = deployed.get(&mut browser, "/settings").await;
    page.has("people:read").has("client-b");
    assert!(!page.body.contains("tokens:write"));
    assert_eq!(deployed.get(&mut browser, "/clients/client-a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(deployed.get(&mut browser, "/clients/client-b").await.status, StatusCode::OK);
}

#[tokio::test]
async fn any_process_knows_a_session_and_none_does_once_it_has_ended() {
    let mut deployed = Deployed::new().await;
    let mut browser = deployed.signed_in().await;
    deployed.router = Deployed::process(&deployed.world, &deployed.provider);
    let token = deployed.form_token(&mut browser).await;
    let mut copy = browser.clone();
    let page = deployed.send(&mut browser, "POST", "/logout", Some(&[("form_token", &token)])).await;
    assert_eq!((page.status, page.location.as_str()), (StatusCode::SEE_OTHER, "/login?signed_out=1"));
    assert!(browser.0.is_empty());
    // Who has copied the cookie has nothing, in whatever process.
    assert_eq!(deployed.get(&mut copy, "/").await.location, "/login");
    deployed.router = Deployed::process(&deployed.world, &deployed.provider);
    assert_eq!(deployed.get(&mut copy, "/settings").await.location, "/login?to=%2Fsettings");
    // The provider's own session is ended there.
    let page = deployed.get(&mut browser, "/login?signed_out=1").await;
    page.has("You are signed out").has(&format!("{}/sign-out?client_id={CLIENT_ID}", deployed.provider.address));
    page.has("post_logout_redirect_uri=https%3A%2F%2Fconsole.example%2Flogin");
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_and_a_sign_in_after_ten_minutes() {
    let deployed = Deployed::new().await;
    let mut browser = deployed.signed_in().await;
    let mut late = Browser::default();
    let back = deployed.agreed(&mut late, "/").await;
    deployed.world.clock.move_to(deployed.world.clock.now() + TimeDelta::minutes(10));
    deployed.get(&mut late, &back).await.has("<code>sign_in_failed</code>");
    assert_eq!(deployed.get(&mut browser, "/settings").await.status, StatusCode::OK);
    deployed.world.clock.move_to(deployed.world.clock.now() + SESSION_LENGTH - TimeDelta::minutes(10));
    assert_eq!(deployed.get(&mut browser, "/settings").await.location, "/login?to=%2Fsettings");
}

/// Nobody can have somebody else signed in, and nobody comes back twice.
#[tokio::test]
async fn only_the_browser_that_began_comes_back_and_once() {
    let deployed = Deployed::new().await;
    let (mut browser, mut other) = (Browser::default(), Browser::default());
    let back = deployed.agreed(&mut browser, "/").await;
    let theirs = deployed.agreed(&mut other, "/").await;
    let code = |address: &str| address.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mixed = back.replace(&code(&back), &code(&theirs));
    for (cookies, address) in [
        (Browser::default(), back.clone()),
        (other.clone(), back.clone()),
        (browser.clone(), back.replace("state=", "state=x")),
        (browser.clone(), format!("/login/callback?code={}", code(&back))),
        (browser.clone(), "/login/callback".to_owned()),
        (browser.clone(), back.replace("code=", "kode=")),
        (browser.clone(), format!("{back}&error=access_denied")),
        (browser.clone(), format!("{back}&iss=https%3A%2F%2Fevil.example")),
        // Somebody else's code: it is for another challenge.
        (browser.clone(), mixed),
    ] {
        let page = deployed.get(&mut cookies.clone(), &address).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{address}");
        page.has("<code>sign_in_failed</code>");
        assert!(!page.set.iter().any(|it| it.starts_with("__Host-session=")), "{address}");
    }
    let mut copy = browser.clone();
    assert_eq!(deployed.get(&mut browser, &back).await.status, StatusCode::SEE_OTHER);
    // The code is used up, even for who has copied the cookie.
    deployed.get(&mut copy, &back).await.has("<code>sign_in_failed</code>");
    // A session's cookie is no sign-in's, and the other way round.
    let session = browser.0["__Host-session"].clone();
    let mut forged = Browser([("__Host-sign-in".to_owned(), session)].into());
    deployed.get(&mut forged, &theirs).await.has("<code>sign_in_failed</code>");
    let mut forged = Browser([("__Host-session".to_owned(), other.0["__Host-sign-in"].clone())].into());
    assert_eq!(deployed.get(&mut forged, "/settings").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_token_that_is_not_of_this_sign_in_is_refused() {
    let deployed = Deployed::new().await;
    for claims in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"iss": "https://evil.example"}),
        json!({"aud": "the-api"}),
        json!({"aud": [CLIENT_ID, "the-api"]}),
        json!({"exp": deployed.provider.now - 3600}),
    ] {
        deployed.refused(claims, "sign_in_failed").await.has("cannot be trusted");
    }
}

#[tokio::test]
async fn who_has_no_role_or_no_company_is_told_so() {
    let deployed = Deployed::new().await;
    let window = "2026-01-01/2026-03-31";
    for claims in [
        json!({"role": null}),
        json!({"role": "janitor"}),
        json!({"company_id": null}),
        json!({"company_id": "a#b"}),
        // An auditor needs clients and a window.
        json!({"role": "auditor", "window": window}),
        json!({"role": "auditor", "clients": ["client-a"]}),
        // A limit that is not understood lets nobody see anything.
        json!({"window": "soon"}),
    ] {
        deployed.refused(claims, "no_role").await.has("Your account has no role here");
    }
    deployed.provider.say(json!({"role": "auditor", "clients": ["client-a"], "window": window}));
    let mut browser = deployed.signed_in().await;
    assert_eq!(deployed.get(&mut browser, "/clients/client-a/window").await.status, StatusCode::OK);
    assert_eq!(deployed.get(&mut browser, "/integrations").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_is_in_several_companies_chooses_one() {
    let deployed = Deployed::new().await;
    deployed.provider.say(json!({"company_id": ["msp-other", "msp-acme"]}));
    let mut browser = Browser::default();
    let back = deployed.agreed(&mut browser, "/settings").await;
    let page = deployed.get(&mut browser, &back).await;
    assert_eq!(page.location, "/company?to=%2Fsettings");
    let page = deployed.get(&mut browser, &page.location).await;
    page.has("Choose a company").has("value=\"msp-acme\"").has("value=\"msp-other\"");
    let token = deployed.form_token(&mut browser).await;
    for (company, status) in [("msp-third", StatusCode::FORBIDDEN), ("msp-other", StatusCode::SEE_OTHER)] {
        let form = [("form_token", token.as_str()), ("company", company), ("to", "//evil.example")];
        let page = deployed.send(&mut browser, "POST", "/company", Some(&form)).await;
        assert_eq!(page.status, status, "{company}");
        assert!(page.location.is_empty() || page.location == "/", "{}", page.location);
    }
    deployed.get(&mut browser, "/").await.has("Nothing is connected yet");
    let form = [("form_token", token.as_str()), ("company", "msp-acme"), ("to", "/settings")];
    deployed.send(&mut browser, "POST", "/company", Some(&form)).await;
    deployed.get(&mut browser, "/").await.has("client-a");
    // More than a cookie holds is refused, and not cut.
    let many: Vec<String> = (0..4_000).map(|number| format!("{:x}", number * 7_919)).collect();
    deployed.refused(json!({"company_id": many}), "sign_in_failed").await.has("more companies");
}

/// Keys change at the provider, and tokens of nobody do not make us ask it again and again.
#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_within_a_minute() {
    let deployed = Deployed::new().await;
    deployed.signed_in().await;
    deployed.provider.rotate();
    for _ in 0..3 {
        deployed.refused(json!({}), "sign_in_failed").await;
    }
    assert_eq!(deployed.provider.asked("discovery"), 1);
    deployed.world.clock.move_to(deployed.world.clock.now() + TimeDelta::minutes(1));
    deployed.signed_in().await;
    assert_eq!(deployed.provider.asked("discovery"), 2);
}

/// What belongs to one machine is not there.
#[tokio::test]
async fn tokens_and_links_of_a_machine_open_nothing() {
    let deployed = Deployed::new().await;
    let mut browser = Browser::default();
    for (method, path, form) in [("POST", "/login", Some(&[("token", "admin")][..])), ("GET", "/login/some-link", None)]
    {
        let page = deployed.send(&mut browser, method, path, form).await;
        assert_eq!((page.status, page.set.len()), (StatusCode::NOT_FOUND, 0), "{path}");
    }
    for cookie in ["", "nothing", "AAAA"] {
        let mut forged = Browser([("__Host-session".to_owned(), cookie.to_owned())].into());
        assert_eq!(deployed.get(&mut forged, "/settings").await.location, "/login?to=%2Fsettings");
    }
}
