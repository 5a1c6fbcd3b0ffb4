//! Access tokens of one machine: made and revoked by command, beside a running `serve` or without one, and what each lets in.

use super::server::{Answer, Server};
use super::{Home, files, worked_example};
use reqwest::Method;
use serde_json::{Value, json};

const COMPANY: &str = "/v1/companies/local";

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn get(server: &Server, token: &str, path: &str) -> Answer {
    server.ask(Method::GET, path, &[("authorization", &bearer(token))])
}

fn made(home: &Home, arguments: &[&str]) -> Value {
    home.on_data(&[&["token", "add"], arguments, &["--json"]].concat()).json()
}

fn secret(token: &Value) -> String {
    token["token"].as_str().unwrap().to_owned()
}

/// Every byte of the data folder.
fn holds(home: &Home, text: &str) -> bool {
    let within = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    files(&home.data()).iter().any(|(_, bytes)| within(bytes))
}

#[test]
fn a_token_lets_in_where_its_role_does_until_it_is_revoked() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    // Without a serve.
    let reviewer = made(&home, &["reviewer", "--role", "access-reviewer", "--by", "kay"]);
    let reader = secret(&reviewer);
    assert!(reader.starts_with("het_reviewer_") && reviewer["created_by"] == "kay", "{reviewer}");
    let server = Server::start(&home, &[]);
    // Beside one.
    let devops = secret(&made(&home, &["ci", "--scope", "sync:run", "--scope", "connections:read", "--expires", "1d"]));
    for (token, path, status) in [
        (&reader, "/v1/me", 200),
        (&reader, "/v1/companies/local/clients", 200),
        (&reader, "/v1/companies/local/connections", 200),
        (&reader, "/v1/companies/local/tokens", 403),
        (&reader, "/v1/companies/other/clients", 403),
        (&devops, "/v1/companies/local/connections", 200),
        (&devops, "/v1/companies/local/clients", 403),
    ] {
        let answer = get(&server, token, path);
        assert_eq!(answer.status, status, "{path} {answer:?}");
    }
    let me = get(&server, &reader, "/v1/me").body;
    assert_eq!((&me["subject"], &me["companies"]), (&json!("reviewer"), &json!(["local"])));
    let sync = |token: &str| {
        server.ask(Method::POST, &format!("{COMPANY}/connections/edr/sync"), &[("authorization", &bearer(token))])
    };
    assert_eq!(sync(&reader).body["code"], "scope_missing");
    // Nearly the token.
    for wrong in
        [&reader[1..], &reader[..reader.len() - 1], &reader.replace("reviewer", "ci"), &format!("{reader}0"), ""]
    {
        assert_eq!(get(&server, wrong, "/v1/me").status, 401, "{wrong}");
    }
    let listed = home.on_data(&["token", "list", "--json"]).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.iter().map(|it| it["id"].clone()).collect::<Vec<_>>(), ["ci", "reviewer"]);
    assert!(items.iter().all(|it| it["last_used_at"].is_string() && it["token"].is_null()), "{listed}");
    let text = home.on_data(&["token", "list"]).done().stdout;
    assert!(text.contains("access-reviewer") && text.contains("sync:run") && !text.contains("het_"), "{text}");
    // A name once.
    let line = home.on_data(&["token", "add", "ci", "--role", "admin"]).refused(2);
    assert!(line.contains("there is a token ci"), "{line}");

    home.on_data(&["token", "revoke", "reviewer"]).done();
    assert_eq!(get(&server, &reader, "/v1/me").status, 401);
    let line = home.on_data(&["token", "revoke", "reviewer"]).refused(4);
    assert!(line.contains("no such token"), "{line}");
    assert_eq!(get(&server, &devops, "/v1/me").status, 200);
    assert!(server.terminate().success());
    home.on_data(&["token", "revoke", "ci"]).done();
    home.on_data(&["token", "revoke", "ci"]).refused(4);

    let log = home.on_data(&["audit-log", "--json"]).json();
    let events =
        log["items"].as_array().unwrap().iter().filter(|event| event["action"].as_str().unwrap().starts_with("token."));
    let events: Vec<_> = events
        .map(|it| (it["actor"].as_str().unwrap(), it["action"].as_str().unwrap(), it["subject"].as_str().unwrap()))
        .collect();
    let own = events.last().unwrap().0;
    let expected = [
        ("kay", "token.added", "reviewer"),
        ("local", "token.added", "ci"),
        ("local", "token.revoked", "reviewer"),
        (own, "token.revoked", "ci"),
    ];
    assert_eq!(events, expected);
    // What lets in is nowhere; that a search finds what is there is shown by the name.
    assert!(holds(&home, "reviewer"));
    for token in [&reader, &devops] {
        assert!(!holds(&home, token) && !holds(&home, token.rsplit('_').next().unwrap()), "the token is kept");
    }
}

#[test]
fn an_auditor_sees_the_own_clients_and_nothing_of_the_company() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let server = Server::start(&home, &[]);
    let year = ["--from", "2020-01-01", "--to", "2099-12-31"];
    let auditor = secret(&made(&home, &[&["kpmg", "--role", "auditor", "--client", "acme"], &year[..]].concat()));
    let other = secret(&made(&home, &[&["pwc", "--role", "auditor", "--client", "other"], &year[..]].concat()));
    let past = secret(&made(
        &home,
        &["ey", "--role", "auditor", "--client", "acme", "--from", "2020-01-01", "--to", "2020-12-31"],
    ));
    let items = |token: &str, path: &str| {
        get(&server, token, &format!("{COMPANY}{path}")).body["items"].as_array().unwrap().len()
    };
    assert_eq!((items(&auditor, "/clients"), items(&other, "/clients")), (1, 0));
    let evidence = |token: &str| get(&server, token, &format!("{COMPANY}/clients/acme/evidence"));
    assert_eq!(evidence(&auditor).body["evidence"].as_array().unwrap().len(), 1);
    assert_eq!(evidence(&other).status, 404);
    assert_eq!(evidence(&past).body["evidence"], json!([]));
    for path in ["/evidence", "/evidence/metrics", "/connections", "/tokens"] {
        assert_eq!(get(&server, &auditor, &format!("{COMPANY}{path}")).status, 403, "{path}");
    }
}

#[test]
fn a_token_that_cannot_be_says_what_to_give() {
    let home = Home::new(worked_example());
    for (arguments, word) in [
        (&["x", "--role", "root"][..], "access-reviewer"),
        (&["x", "--scope", "everything"], "evidence:read"),
        (&["x", "--role", "auditor"], "clients"),
        (&["x", "--role", "auditor", "--client", "a"], "window"),
        (&["local", "--role", "admin"], "another name"),
        (&["x", "--role", "admin", "--expires", "366d"], "365d"),
        (&["x", "--role", "admin", "--expires", "0d"], "365d"),
        (&["x", "--role", "admin", "--from", "2026-02-01", "--to", "2026-01-01"], "--from"),
        (&["x", "--role", "admin", "--scope", "sync:run"], "--scope"),
        (&["x"], "--role"),
        (&["a b", "--role", "admin"], "token name"),
    ] {
        let line = home.on_data(&[&["token", "add"], arguments].concat()).refused(2);
        assert!(line.contains(word), "{arguments:?}: {line}");
    }
    assert_eq!(home.on_data(&["token", "list", "--json"]).json()["items"], json!([]));
    assert_eq!(home.on_data(&["audit-log", "--json"]).json()["items"], json!([]));

    // Nobody makes a token that may do more than they.
    let server = Server::start(&home, &[]);
    let maker = secret(&made(&home, &["maker", "--scope", "tokens:write", "--scope", "evidence:read"]));
    let post = |token: &str, body: Value| {
        let headers = [("authorization", bearer(token)), ("content-type", "application/json".to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.send(Method::POST, &format!("{COMPANY}/tokens"), &headers, body.to_string())
    };
    let answer = post(&maker, json!({"name": "more", "role": "admin"}));
    assert_eq!((answer.status, &answer.body["code"]), (403, &json!("scope_missing")), "{answer:?}");
    assert_eq!(post(&maker, json!({"name": "less", "scopes": ["evidence:read"]})).status, 201);
    let answer = post(&server.token, json!({"name": "x", "role": "root"}));
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("refused_token")), "{answer:?}");
    for body in [
        json!({"name": "x", "role": "admin", "other": 1}),
        json!({"role": "admin"}),
        json!({"name": "x", "role": "admin", "expires_in_days": -1}),
    ] {
        assert_eq!(post(&server.token, body).status, 400);
    }
    assert_eq!(post(&server.token, json!({"name": "less", "role": "admin"})).status, 409);
}
