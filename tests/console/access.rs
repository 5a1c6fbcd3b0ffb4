//! Who may open which page.

use super::world::{CLIENT, OTHER, World, caller, client, company, first, run};
use chrono::TimeDelta;
use common::api::{Entry, Method, Role};
use common::console::table;
use common::domain::id::ConnectionId;
use common::domain::mapping::Mapping;
use common::store::ConnectionChange;
use reqwest::StatusCode;

fn path_of(entry: &Entry, client: &str) -> String {
    let path = entry.path.replace("{client}", client).replace("{product}", "huntress-edr");
    path.replace("{run}", run(1).as_str())
        .replace("{link}", "nothing")
        .replace("{file}", "nothing")
        .replace("{id}", "0123456789ab")
        .replace("{rule}", "edr-online")
        .replace("{connection}", "edr")
        .replace("{person}", "0123456789abcdef0123456789abcdef")
        .replace("{pack}", "20260322T110000Z-0")
}

fn method(entry: &Entry) -> reqwest::Method {
    entry.method.as_str().parse().unwrap()
}

/// What is refused for want of rights, whatever else is wrong with a form.
fn is_refused(status: StatusCode, body: &str) -> bool {
    status == StatusCode::FORBIDDEN
        && (body.contains("<code>scope_missing</code>") || body.contains("<code>clients_only</code>"))
}

/// Every page for every role: in exactly where the role has the page's scope.
#[tokio::test]
async fn a_role_gets_in_where_it_has_the_scope() {
    let world = World::new().await;
    for token in Role::ALL.map(Role::as_str).into_iter().chain(["nothing"]) {
        let browser = world.browser(token).await;
        let scopes = caller(token).unwrap().scopes;
        for entry in table().iter().filter(|entry| !entry.is_public && entry.path != "/logout") {
            let page = match entry.method {
                Method::Get => browser.get(&path_of(entry, CLIENT)).await,
                _ => browser.post(&path_of(entry, CLIENT), &[]).await,
            };
            let may = entry.scope.is_none_or(|scope| scopes.contains(scope));
            let what = format!("{token} {} {}: {}", entry.method, entry.path, page.status);
            assert!(!page.status.is_server_error(), "{what} {}", page.body);
            if may {
                let own = page.body.contains("<code>clients_only</code>") && caller(token).unwrap().clients.is_some();
                assert!(own || !is_refused(page.status, &page.body), "{what}");
                assert_ne!(page.status, StatusCode::UNAUTHORIZED, "{what}");
            } else {
                assert!(is_refused(page.status, &page.body), "{what} {}", page.body);
            }
        }
    }
}

/// Nobody sees a page without a session: reading leads to the login, and on from there; a form is kept as it was typed.
#[tokio::test]
async fn nobody_gets_in_without_a_session() {
    let world = World::new().await;
    let stranger = world.stranger();
    for entry in table().iter().filter(|entry| !entry.is_public) {
        let path = path_of(entry, CLIENT);
        let page = stranger
            .send(method(entry), &path, &[], Some(&[("reason", "a long <b>story"), ("apiSecret", "s3cret-marker")]))
            .await;
        match entry.method {
            Method::Get => {
                assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
                assert!(page.location.unwrap().starts_with("/login"), "{path}");
            }
            _ => {
                assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
                page.has("You are signed out").has("a long &#60;b&#62;story").has_not("s3cret-marker");
            }
        }
    }
    assert_eq!(
        stranger.get("/clients/client-a?days=90").await.location.as_deref(),
        Some("/login?to=%2Fclients%2Fclient-a%3Fdays%3D90")
    );
}

/// A client that a session is not bound to, and one that is not there: told alike, on every page.
#[tokio::test]
async fn who_is_bound_to_clients_sees_no_other() {
    let world = World::new().await;
    let bound = world.browser("of-client-b").await;
    for entry in table().iter().filter(|entry| entry.path.contains("{client}")) {
        let of = async |client: &str| match entry.method {
            Method::Get => bound.get(&path_of(entry, client)).await,
            _ => bound.post(&path_of(entry, client), &[]).await,
        };
        let (theirs, nobody) = (of(CLIENT).await, of("nobody").await);
        assert_eq!((theirs.status, nobody.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{}", entry.path);
        theirs.has_not(CLIENT);
    }
    bound.open("/").await.has(OTHER).has_not(CLIENT);
    bound.open("/exceptions").await.has_not(CLIENT);
    bound.open("/settings").await.has(OTHER).has_not(CLIENT);
    for path in ["/runs", "/integrations", "/integrations/edr"] {
        assert_eq!(bound.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

const NO_CLIENT: &str = "here is no such client; check its id";

/// A client that nobody knows, told of as one that is another's on every page about one; one that is known is there with evidence, without it, and when the
/// connections are gone that gave it.
#[tokio::test]
async fn a_client_is_there_that_somebody_knows() {
    let world = World::new().await;
    // Mapped from now on, and never measured yet.
    let change = ConnectionChange {
        mapping: Some(Mapping::OneClient { client: client("client-new") }),
        ..ConnectionChange::default()
    };
    let connection = ConnectionId::parse("edr").unwrap();
    world.store.change_connection(&company(), &connection, change).await.unwrap();
    let pages: Vec<Entry> = table().into_iter().filter(|entry| entry.path.contains("{client}")).collect();
    assert!(pages.len() > 10);
    let whole: Vec<&str> =
        ["", "/over-time", "/controls", "/window", "/window.csv", "/findings", "/what-if", "/training"].into();
    for token in Role::ALL.map(Role::as_str) {
        if caller(token).unwrap().clients.is_some() {
            continue;
        }
        let (browser, scopes) = (world.browser(token).await, caller(token).unwrap().scopes);
        for entry in pages.iter().filter(|entry| entry.scope.is_none_or(|scope| scopes.contains(scope))) {
            let of = async |client: &str| match entry.method {
                Method::Get => browser.get(&path_of(entry, client)).await,
                _ => browser.post(&path_of(entry, client), &[]).await,
            };
            let nobody = of("nobody").await;
            assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{token} {}", entry.path);
            nobody.has(NO_CLIENT);
            for known in [CLIENT, OTHER, "client-new"] {
                of(known).await.has_not(NO_CLIENT);
            }
        }
    }
    let browser = world.browser("admin").await;
    browser.open("/clients/client-new/controls").await.has("No evidence of this client yet");
    for id in ["edr", "sat"] {
        let id = ConnectionId::parse(id).unwrap();
        world.store.remove_connection(&company(), &id, first() + TimeDelta::days(7)).await.unwrap();
    }
    for page in whole {
        for kept in [CLIENT, OTHER] {
            browser.open(&format!("/clients/{kept}{page}")).await;
        }
        assert_eq!(browser.get(&format!("/clients/client-new{page}")).await.status, StatusCode::NOT_FOUND, "{page}");
    }
}

/// A form from elsewhere changes nothing: without the session's token, with another one's, from another origin, or with none.
#[tokio::test]
async fn forged_forms_are_refused() {
    let world = World::new().await;
    let (browser, other) = (world.browser("admin").await, world.browser("admin").await);
    for entry in table().iter().filter(|entry| entry.method != Method::Get && !entry.is_public) {
        let path = path_of(entry, CLIENT);
        let own = browser.form_token.as_str();
        let typed = ("reason", "what I typed");
        for (headers, token) in [
            (&[][..], ""),
            (&[][..], other.form_token.as_str()),
            (&[("origin", "https://evil.example")][..], own),
            (&[("origin", "null")][..], own),
        ] {
            let page = browser.send(reqwest::Method::POST, &path, headers, Some(&[("form_token", token), typed])).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
            page.has("<code>form_refused</code>").has("othing was changed");
            page.has("what I typed");
        }
    }
    // The session is still there: nothing of it was ended.
    browser.open("/").await;
}

#[tokio::test]
async fn a_foreign_host_is_refused() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1"] {
        for path in ["/", "/login", "/clients/client-a", "/nothing"] {
            let page = browser.send(reqwest::Method::GET, path, &[("host", host)], None).await;
            assert_eq!(page.status, StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
            page.has(&world.origin).has_not("Sign out");
        }
    }
}

/// The headers of every answer, good or bad.
#[tokio::test]
async fn every_answer_has_the_headers_of_a_page() {
    let world = World::new().await;
    let (browser, stranger) = (world.browser("admin").await, world.stranger());
    for page in [
        browser.get("/").await,
        browser.get("/clients/client-a").await,
        browser.get("/nothing").await,
        browser.post("/runs", &[]).await,
        stranger.get("/").await,
        stranger.get("/login").await,
    ] {
        let header = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(
            (header("referrer-policy"), header("x-content-type-options")),
            ("same-origin".to_owned(), "nosniff".to_owned())
        );
        assert_eq!(header("cache-control"), "no-store");
        // What the policy forbids is not even there.
        for inline in [" style=", "<style", " onclick=", " onload=", "javascript:", "https://", "http://www"] {
            page.has_not(inline);
        }
    }
}
