//! A running `serve`, and HTTP to it.

use super::{Home, bare, eventually, wait};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

/// A `serve` of its own. It is killed with this value.
pub struct Server {
    child: Child,
    pub origin: String,
    pub token: String,
    log: PathBuf,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub location: Option<String>,
    pub body: Value,
}

impl Server {
    /// Starts one on the data folder of a home.
    pub fn start(home: &Home, options: &[&str]) -> Self {
        Self::start_with(home, options, &[])
    }

    /// The same with these variables, too.
    pub fn start_with(home: &Home, options: &[&str], variables: &[(&str, String)]) -> Self {
        let mut command = bare(home.folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        if !options.contains(&"--sync-cool-down") {
            command.args(["--sync-cool-down", "0"]);
        }
        command.args(options).arg("--data").arg(home.data());
        command.env("HUNTRESS_EDR_URL", home.simulator.origin()).env("HUNTRESS_ALLOW_LOOPBACK", "1");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // A log of its own for each.
        let log =
            (0..).map(|number| home.folder.path().join(format!("serve-{number}.log"))).find(|path| !path.exists());
        let log = log.unwrap();
        let stderr = File::create(&log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let origin = line.strip_prefix("listening on ").and_then(|rest| rest.split_whitespace().next());
        let Some(origin) = origin else {
            drop(child.kill());
            panic!("{line:?}, {}", std::fs::read_to_string(&log).unwrap());
        };
        let token = std::fs::read_to_string(home.data().join("api-token")).unwrap();
        Self { child, origin: origin.to_owned(), token, log }
    }

    /// What it wrote to stderr so far: JSON, a line each.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for a line of the log.
    pub fn logged(&self, message: &str) -> Value {
        eventually(message, || self.log().into_iter().find(|line| line["message"] == message))
    }

    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, path, headers, String::new())
    }

    /// With a body.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        wait(async {
            let mut request = client().request(method, format!("{}{path}", self.origin)).body(body);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            read(request.send().await.unwrap()).await
        })
    }

    /// Asks as the company's own caller.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("authorization", &self.bearer())])
    }

    pub fn post(&self, path: &str) -> Answer {
        self.ask(Method::POST, path, &[("authorization", &self.bearer())])
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A run of the connection `edr`.
    pub fn run(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/companies/local/connections/edr/runs/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["run"].clone()
    }

    /// Waits until a run of the connection `edr` is in a state.
    pub fn run_in(&self, id: &str, status: &str) -> Value {
        eventually(&format!("run that is {status}"), || Some(self.run(id)).filter(|run| run["status"] == status))
    }

    /// Asks for a run of the connection `edr` and gives its id.
    pub fn sync(&self) -> String {
        let answer = self.post("/v1/companies/local/connections/edr/sync");
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.body["run_id"].as_str().unwrap().to_owned()
    }

    /// SIGTERM, and the end.
    pub fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// It keeps no connection, because each request has a runtime of its own.
fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // The first client of ours gives the process its provider of ciphers.
        drop(common::huntress::request::http_client(common::huntress::request::Timeouts::default()));
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    })
}

async fn read(response: Response) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, location) = (response.status().as_u16(), header("location"));
    let media_type = header("content-type").unwrap_or_default();
    let body = response.bytes().await.unwrap();
    Answer { status, media_type, location, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}
