//! The running server: starting and stopping, and what it remembers.

mod answer;
mod body;
mod page;
#[cfg(test)]
mod tests;
mod wire;

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use crate::account::{Account, List};
use crate::fault::{Fault, Faults};
use crate::rate::Window;
use wire::{Gate, ResetSwitch};

/// The credential that a simulator accepts unless told otherwise.
pub const API_KEY: &str = "hk_simulator";
pub const API_SECRET: &str = "hs_simulator";

/// How long a stopped server waits for the answers that it is still giving.
const GRACE: Duration = Duration::from_secs(1);

/// Where the server has the time from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// One request, as it arrived and as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// `None` for a path that does not exist.
    pub list: Option<List>,
    /// `None` while there is no answer, and when the connection was reset instead.
    pub status: Option<u16>,
    pub user_agent: Option<String>,
    /// Whether it carried the right credential.
    pub authenticated: bool,
    pub at: DateTime<Utc>,
}

impl Request {
    /// The last value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

struct Settings {
    authorization: String,
    clock: Clock,
    rate_limit: Option<u32>,
    max_page: u32,
    rate_headers: bool,
    retry_after: bool,
    gzip: bool,
    origin: String,
}

struct State {
    account: Account,
    faults: Faults,
    window: Window,
    log: Vec<Request>,
    /// How many entries of the log were dropped, so that an answer finds its request again.
    forgotten: usize,
    /// Counts the tokens that faults hand out, so that no two are equal.
    turns: u32,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct SimulatorBuilder {
    account: Account,
    settings: Settings,
    faults: Vec<Fault>,
    port: u16,
}

impl SimulatorBuilder {
    /// Default: [`API_KEY`] and [`API_SECRET`].
    pub fn credentials(mut self, key: &str, secret: &str) -> Self {
        self.settings.authorization = STANDARD.encode(format!("{key}:{secret}"));
        self
    }

    /// What the rate limit goes by. Default: the system's time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Requests in any 60 seconds. Default: the vendor's 60.
    pub fn rate_limit(mut self, limit: Option<u32>) -> Self {
        self.settings.rate_limit = limit;
        self
    }

    /// Serves at most this many records a page, whatever is asked for. Default: the vendor's 500.
    pub fn max_page(mut self, records: u32) -> Self {
        self.settings.max_page = records.max(1);
        self
    }

    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// Whether answers carry `x-huntress-api-call-limit` and `-remaining`. Default: yes.
    pub fn rate_headers(mut self, on: bool) -> Self {
        self.settings.rate_headers = on;
        self
    }

    /// Whether a 429 carries `Retry-After`, which the vendor does not document. Default: no.
    pub fn retry_after(mut self, on: bool) -> Self {
        self.settings.retry_after = on;
        self
    }

    /// Whether a client that accepts gzip gets it. Default: no.
    pub fn gzip(mut self, on: bool) -> Self {
        self.settings.gzip = on;
        self
    }

    /// Default: 0, any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Serves on 127.0.0.1, on a thread of its own: a test may block, and pause its runtime's time, without stopping the
    /// server.
    pub async fn start(self) -> io::Result<Simulator> {
        let Self { account, mut settings, faults, port } = self;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        settings.origin = format!("http://{}", listener.local_addr()?);
        let state = State {
            account,
            faults: Faults::new(faults),
            window: Window::default(),
            log: Vec::new(),
            forgotten: 0,
            turns: 0,
        };
        let shared = Arc::new(Shared { settings, state: Mutex::new(state) });
        let (stop, stopped) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let for_server = Arc::clone(&shared);
        thread::Builder::new().name("huntress-simulator".to_owned()).spawn(move || {
            let result = runtime.block_on(serve(listener, for_server, stopped));
            drop(runtime);
            // Nobody listens to the end of a simulator that was dropped.
            let _ = ended.send(result);
        })?;
        Ok(Simulator { shared, stop, end })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service =
        Router::new().fallback(answer::answer).with_state(shared).into_make_service_with_connect_info::<ResetSwitch>();
    let (begin, begun) = oneshot::channel();
    let serving = axum::serve(Gate(listener), service).with_graceful_shutdown(async move {
        // Ends with an error when the simulator is dropped: the same to us.
        let _ = stopped.await;
        let _ = begin.send(());
    });
    let patience = async {
        let _ = begun.await;
        pause(GRACE).await;
    };
    tokio::select! {
        result = serving => result,
        () = patience => Ok(()),
    }
}

async fn pause(time: Duration) {
    // On the server's own runtime, whose time no test can pause: what waits here is a client's patience.
    let _ = tokio::time::timeout(time, pending::<()>()).await;
}

/// A running server. Dropping it stops it, too, but does not wait.
pub struct Simulator {
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    end: oneshot::Receiver<io::Result<()>>,
}

impl Simulator {
    pub fn builder(account: Account) -> SimulatorBuilder {
        let settings = Settings {
            authorization: STANDARD.encode(format!("{API_KEY}:{API_SECRET}")),
            clock: Arc::new(system_time),
            rate_limit: Some(60),
            max_page: 500,
            rate_headers: true,
            retry_after: false,
            gzip: false,
            origin: String::new(),
        };
        SimulatorBuilder { account, settings, faults: Vec::new(), port: 0 }
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        self.shared.settings.origin.clone()
    }

    /// Every request since the start or the last [`reset_log`](Self::reset_log), in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().log.clone()
    }

    pub fn reset_log(&self) {
        let mut state = self.shared.state();
        state.forgotten += state.log.len();
        state.log.clear();
    }

    /// From the next request on.
    pub fn set_account(&self, account: Account) {
        self.shared.state().account = account;
    }

    /// Replaces all faults; they count from the next request on.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.state().faults = Faults::new(faults);
    }

    /// Refuses new connections, finishes the answers it is giving, within a second, and returns when the port is free.
    pub async fn stop(self) {
        let Self { stop, end, .. } = self;
        // Both fail only if the server has ended already.
        let _ = stop.send(());
        let _ = end.await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulated vendor lives in real time unless a clock is injected")]
fn system_time() -> DateTime<Utc> {
    Utc::now()
}
