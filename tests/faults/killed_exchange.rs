//! A process that is killed with SIGKILL while it exchanges a refresh token: between Huntress's answer and the place where the new token is kept.

use acceptance::clock::SteppingClock;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Processed;
use common::app::connections::OauthSettings;
use common::app::stack::Stack;
use common::aws::queue::RunMessage;
use common::aws::secrets::oauth_client::OauthClient;
use common::aws::secrets::{Binding, Credential};
use common::clock::{Clock, SystemClock};
use common::domain::connection::ConnectionStatus;
use common::domain::failure::FailureCode;
use common::domain::id::{CompanyId, ConnectionId};
use common::domain::product::Product;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use huntress_evidence::stack::{LocalStack, LocalStackError, OWNER};
use reqwest::Client;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use simulator::{
    Account, Fault, FaultKind, List, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, Rotation, SatAccount, Simulator,
};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// `O_NONBLOCK` of Linux.
const NONBLOCKING: i32 = 0o4000;

/// Looks, each after 5 milliseconds, until what is waited for has to be there.
const LOOKS: u32 = 6000;

/// A data folder with a training connection that somebody agreed to.
struct Agreed {
    folder: TempDir,
    simulator: Simulator,
    clock: SteppingClock,
}

/// What is kept of the connection.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    token: String,
    status: ConnectionStatus,
}

fn ids() -> (CompanyId, ConnectionId) {
    (CompanyId::parse("local").unwrap(), ConnectionId::parse("sat").unwrap())
}

impl Agreed {
    async fn new() -> Self {
        let now = SystemClock.now();
        let builder = Simulator::builder(Account::worked_example(now)).sat(SatAccount::demo(now));
        let simulator = builder.rate_limit(None).sat_rate_limit(None, None).start().await.unwrap();
        let agreed = Self { folder: TempDir::new().unwrap(), simulator, clock: SteppingClock::at(now) };
        agreed.connect().await;
        agreed
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_huntress-evidence-tested"));
        command.args(arguments).arg("--data").arg(self.data()).env_clear().current_dir(self.folder.path());
        command.env("HUNTRESS_SAT_URL", self.simulator.origin()).env("HUNTRESS_ALLOW_LOOPBACK", "1");
        command.env("HUNTRESS_SAT_OAUTH_CLIENT_ID", OAUTH_CLIENT_ID);
        command.env("HUNTRESS_SAT_OAUTH_CLIENT_SECRET", OAUTH_CLIENT_SECRET);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Somebody agrees at Huntress, for a new connection or the one that is there.
    async fn connect(&self) {
        drop(http_client(Timeouts::default()));
        let browser = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        let (new, again) = (["--client", "acme"], ["--replace-key"]);
        let mut command = self.command(&["connect", "sat", "--oauth"]);
        command.args(if self.data().exists() { &again[..] } else { &new[..] });
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child =
            command.env("PUBLIC_URL", format!("http://127.0.0.1:{port}")).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let link = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("{line}"));
        let page = browser.get(link).send().await.unwrap();
        let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let text = page.text().await.unwrap();
        let address = text.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
        let back = browser.get(address).send().await.unwrap().headers()["location"].to_str().unwrap().to_owned();
        let shown = browser.get(back).header("cookie", cookie).send().await.unwrap();
        assert_eq!(shown.status(), 200);
        assert!(child.wait().unwrap().success());
    }

    /// Where the credential is, and where it is written before it takes that place.
    fn sealed(&self) -> (PathBuf, PathBuf) {
        let folder = self.data().join("credentials");
        (folder.join("sat@local.sealed"), folder.join("sat@local.new"))
    }

    fn sync(&self) -> Child {
        self.command(&["sync", "sat"]).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The next process, in which no time is waited away: who has the hold of the exchange has it for a minute.
    async fn next(&self) -> LocalStack {
        let origin = |product| Origin::parse(&self.simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let huntress =
            Huntress { http: http_client(Timeouts::default()).unwrap(), clock: Arc::new(self.clock.clone()), origins };
        let mut stack = self.opened(&huntress).await;
        let client = SatCredential { client_id: OAUTH_CLIENT_ID.into(), client_secret: OAUTH_CLIENT_SECRET.into() };
        let client = OauthClient::Given(Arc::new(client));
        stack.parts.oauth = Arc::new(OauthSettings { client, public_url: None, has_pages: false });
        stack
    }

    async fn opened(&self, huntress: &Huntress) -> LocalStack {
        for _ in 0..LOOKS {
            match LocalStack::open(&self.data(), huntress.clone()).await {
                Ok((stack, _)) => return stack,
                // A program that another test starts has what this process has open, the lock among it, until it is that program.
                Err(LocalStackError::InUse(_)) => thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the folder stays in use")
    }

    async fn kept(&self) -> Kept {
        let ((company, connection), stack) = (ids(), self.next().await);
        let binding = Binding { company: &company, connection: &connection, product: Product::Sat };
        let Ok(Credential::Agreement(agreement)) = stack.parts.credentials.get(binding).await else {
            panic!("the credential cannot be read")
        };
        let there = stack.parts.store.connection(&company, &connection).await.unwrap().unwrap();
        stack.close().await;
        Kept { token: agreement.refresh_token.expose_secret().to_owned(), status: there.status }
    }

    /// The run that the killed process was at is brought to its end.
    async fn next_run(&self) -> Processed {
        let ((company, connection), stack) = (ids(), self.next().await);
        let (Ok(planner), Ok(worker)) = (stack.parts.planner(), stack.parts.worker());
        let asked = planner.sync_now(&company, &connection, None).await.unwrap();
        assert!(asked.joined, "the run is that of the process that was killed");
        let message = RunMessage { company, connection, run: asked.run.id };
        let until = worker.huntress.clock.now() + chrono::TimeDelta::minutes(30);
        let processed = worker.process(&message, OWNER, until, Arc::default()).await.unwrap();
        stack.close().await;
        processed
    }
}

/// A pipe in the place of a file, so full that whoever writes to it waits.
fn full_pipe(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    // Who opens both ends waits for nobody.
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCKING).open(path).unwrap();
    for size in [4096, 1] {
        loop {
            match pipe.write(&vec![0; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    pipe
}

/// Waits until a process has a file open.
fn has_open(child: &mut Child, path: &Path) {
    for _ in 0..LOOKS {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        let files = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        if files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).any(|file| file == path) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("it never wrote the new token");
}

/// Whoever asks for a token gets no answer until the other end is gone.
fn unanswered(simulator: &Simulator) -> (Receiver<()>, std::sync::mpsc::Sender<()>) {
    let ((said, asked), (go_on, waits)) = (channel(), channel::<()>());
    let (said, waits) = (Mutex::new(said), Mutex::new(waits));
    let hold = FaultKind::patch(move |_| {
        said.lock().unwrap().send(()).unwrap();
        // That the process is gone is the answer.
        let _ = waits.lock().unwrap().recv();
    });
    simulator.set_faults(vec![Fault::once(Some(List::Token), 1, hold)]);
    (asked, go_on)
}

#[test]
fn a_process_that_is_killed_before_it_keeps_a_new_token_leaves_the_old_one_whole_and_asks_to_connect_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let agreed = runtime.block_on(Agreed::new());
    let before = runtime.block_on(agreed.kept());
    assert!(agreed.simulator.would_refresh(&before.token));
    let (sealed, beside) = agreed.sealed();
    let bytes = fs::read(&sealed).unwrap();

    let pipe = full_pipe(&beside);
    agreed.simulator.reset_log();
    let mut child = agreed.sync();
    has_open(&mut child, &beside);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(pipe);
    fs::remove_file(&beside).unwrap();
    // Huntress has exchanged the token, the answer has come, and it was used for nothing.
    assert!(!agreed.simulator.would_refresh(&before.token));
    assert!(agreed.simulator.requests().iter().all(|it| it.list == Some(List::Token)));
    assert_eq!(fs::read(&sealed).unwrap(), bytes, "what is kept is whole");
    // A disk may have had a part of it.
    fs::write(&beside, &bytes[..bytes.len() / 2]).unwrap();

    let Processed::Failed(failure) = runtime.block_on(agreed.next_run()) else { panic!("the token was used up") };
    assert_eq!(failure.code, FailureCode::AuthFailed, "{failure}");
    let text = failure.to_string();
    assert!(text.contains("interrupted") && text.contains("connect again"), "{text}");
    let after = runtime.block_on(agreed.kept());
    assert_eq!(after, Kept { token: before.token.clone(), status: ConnectionStatus::AuthFailed });

    runtime.block_on(agreed.connect());
    let connected = runtime.block_on(agreed.kept());
    assert_ne!(connected.token, before.token);
    assert!(agreed.sync().wait().unwrap().success());
    let synced = runtime.block_on(agreed.kept());
    assert_eq!(synced.status, ConnectionStatus::Ok);
    assert!(agreed.simulator.would_refresh(&synced.token) && synced.token != connected.token);
}

#[test]
fn a_process_that_is_killed_while_huntress_answers_leaves_a_token_that_works_where_it_was_not_used_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let agreed = runtime.block_on(Agreed::new());
    let before = runtime.block_on(agreed.kept());
    agreed.simulator.set_rotation(Rotation::Keep);
    let (asked, go_on) = unanswered(&agreed.simulator);
    let mut child = agreed.sync();
    asked.recv_timeout(Duration::from_secs(30)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(go_on);
    assert_eq!(runtime.block_on(agreed.next_run()), Processed::Succeeded { bundles: 1 });
    assert_eq!(runtime.block_on(agreed.kept()), Kept { token: before.token, status: ConnectionStatus::Ok });
}
