//! Connecting a training account by redirect: through `serve`, and with a command that waits for the browser.

use super::server::Server;
use super::{Home, bare, files, now, simulated, wait, worked_example};
use reqwest::Client;
use serde_json::{Value, json};
use simulator::{OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, SatAccount};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

fn home() -> Home {
    Home::of(simulated(worked_example()).sat(SatAccount::demo(now())))
}

impl Home {
    /// What a process needs to be a client of Huntress.
    fn oauth(&self) -> [(&'static str, String); 3] {
        [
            ("HUNTRESS_SAT_URL", self.simulator.origin()),
            ("HUNTRESS_SAT_OAUTH_CLIENT_ID", OAUTH_CLIENT_ID.to_owned()),
            ("HUNTRESS_SAT_OAUTH_CLIENT_SECRET", format!(" {OAUTH_CLIENT_SECRET}\n")),
        ]
    }
}

/// A browser that keeps one cookie and follows nothing by itself.
struct Browser(Client);

impl Browser {
    fn new() -> Self {
        // The first client of ours gives the process its provider of ciphers.
        drop(common::huntress::request::http_client(common::huntress::request::Timeouts::default()));
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none());
        Self(client.build().unwrap())
    }

    /// Agrees at Huntress, and comes back with a cookie.
    async fn agree(&self, address: &str, cookie: &str) -> (u16, String) {
        let answer = self.0.get(address).send().await.unwrap();
        let back = answer.headers()["location"].to_str().unwrap().to_owned();
        let shown = self.0.get(back).header("cookie", cookie).header("accept", "text/html").send().await.unwrap();
        (shown.status().as_u16(), shown.text().await.unwrap())
    }
}

fn cookie(answer: &reqwest::Response) -> String {
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// None of these is in a file of the folder, the log of `serve` among them, or in what a command said.
#[track_caller]
fn assert_unseen(home: &Home, mut secrets: Vec<String>, said: &str) {
    secrets.extend(home.simulator.codes_and_refresh_tokens());
    secrets.extend(home.simulator.access_tokens());
    secrets.push(OAUTH_CLIENT_SECRET.to_owned());
    assert!(secrets.len() >= 5, "{secrets:?}");
    for secret in &secrets {
        for (path, bytes) in files(home.folder.path()) {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} in {}",
                path.display()
            );
        }
        assert!(!said.contains(secret.as_str()), "{said}");
    }
}

#[test]
fn serve_connects_and_collects_and_nothing_that_lets_in_is_in_the_folder() {
    let home = home();
    let server = Server::start_with(&home, &[], &home.oauth());
    let start = format!("{}/v1/companies/local/connections/sat/oauth/start", server.origin);
    let (started, cookie) = wait(async {
        let body = json!({"mapping": {"default_client": "acme"}}).to_string();
        let request =
            Browser::new().0.post(&start).bearer_auth(&server.token).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = cookie(&answer);
        (serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(), cookie)
    });
    let address = started["authorize_url"].as_str().unwrap();
    // `serve` is reached where it listens, unless PUBLIC_URL says otherwise.
    let escaped = server.origin.replace(':', "%3A").replace('/', "%2F");
    assert!(address.contains(&format!("redirect_uri={escaped}%2Foauth%2Fhuntress%2Fcallback")), "{address}");
    let (status, page) = wait(Browser::new().agree(address, &cookie));
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("<h1>Connected</h1>") && page.contains(&server.origin), "{page}");
    let run = server.post("/v1/companies/local/connections/sat/sync");
    assert_eq!(run.status, 202, "{run:?}");
    let id = run.body["run_id"].as_str().unwrap().to_owned();
    let ended = super::eventually("run that has ended", || {
        let run = server.get(&format!("/v1/companies/local/connections/sat/runs/{id}")).body["run"].clone();
        Some(run).filter(|run| run["status"] == "succeeded" || run["status"] == "failed")
    });
    assert_eq!(ended["status"], "succeeded", "{ended}");
    server.terminate();
    let state = address.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    assert_unseen(&home, vec![state, cookie.split_once('=').unwrap().1.to_owned()], "");
}

#[test]
fn a_command_waits_for_the_browser() {
    let home = home();
    let without = home.on_data(&["connect", "sat", "--oauth"]).refused(2);
    assert!(without.contains("HUNTRESS_SAT_OAUTH_CLIENT_ID"), "{without}");
    let mut command = bare(home.folder.path(), &["connect", "sat", "--oauth", "--client", "acme", "--json", "--data"]);
    command.arg(home.data()).envs(home.oauth()).env("HUNTRESS_ALLOW_LOOPBACK", "1");
    // Any free port, which another process might take in between.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    command.env("PUBLIC_URL", format!("http://127.0.0.1:{port}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let link = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
    wait(async {
        let browser = Browser::new();
        let wrong = browser.0.get(format!("http://127.0.0.1:{port}/begin/0")).send().await.unwrap();
        assert_eq!(wrong.status(), 403);
        let page = browser.0.get(link).send().await.unwrap();
        let cookie = cookie(&page);
        let text = page.text().await.unwrap();
        let address = text.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
        // The link works once.
        assert_eq!(browser.0.get(link).send().await.unwrap().status(), 403);
        let (status, page) = browser.agree(&address, "").await;
        assert_eq!(status, 403, "{page}");
        let (status, page) = browser.agree(&address, &cookie).await;
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("You can close this page"), "{page}");
    });
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{printed}");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["connection"]["default_client"], "acme");
    assert_eq!(printed["connection"]["credential"]["by_redirect"], true);
    let synced = super::output(home.command(&["sync", "sat", "--data"]).arg(home.data()).envs(home.oauth()));
    assert_eq!(synced.code, 0, "{synced:?}");
    assert_unseen(&home, Vec::new(), &format!("{printed} {line}"));
}
