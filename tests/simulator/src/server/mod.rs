//! The running server: starting and stopping, and what it remembers.

mod answer;
mod body;
mod builder;
mod edr;
mod page;
mod reply;
mod sat;
#[cfg(test)]
mod tests;
mod wire;

use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use crate::account::Account;
use crate::fault::{Fault, Faults};
use crate::list::{List, Product};
use crate::rate::Window;
use crate::sat::SatAccount;
pub use builder::SimulatorBuilder;
pub use sat::{
    CertificateAnswer, ClientAuthentication, Consent, CountsAt, ErrorShape, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET,
    Rotation, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SCOPES, TokenMode, TokenRequest,
};
use sat::{SatClient, SatSettings, SatWindows};
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
    pub accept: Option<String>,
    /// Whether it carried the right credential, at the token endpoint that of a client that is not revoked, or a token that
    /// is good.
    pub authenticated: bool,
    /// What it asked for, at the token endpoint.
    pub token: Option<TokenRequest>,
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
    dated: bool,
    origin: String,
    sat: SatSettings,
}

struct State {
    account: Option<Account>,
    sat_account: Option<SatAccount>,
    sat: SatClient,
    sat_windows: SatWindows,
    faults: Faults,
    window: Window,
    log: Vec<Request>,
    /// How many entries of the log were dropped, so that an answer finds its request again.
    forgotten: usize,
    /// Counts the tokens that faults hand out, so that no two are equal.
    turns: u32,
}

impl State {
    fn serves(&self, product: Product) -> bool {
        match product {
            Product::Edr => self.account.is_some(),
            Product::Sat => self.sat_account.is_some(),
        }
    }
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two servers' tokens differ, as their addresses do.
    fn seed(&self) -> u64 {
        self.settings.origin.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte))
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
    let timeout = async {
        let _ = begun.await;
        pause(GRACE).await;
    };
    tokio::select! {
        result = serving => result,
        () = timeout => Ok(()),
    }
}

async fn pause(time: Duration) {
    // On the server's own runtime, whose time no test can pause: what waits here is a client's time-out.
    let _ = tokio::time::timeout(time, pending::<()>()).await;
}

/// A running server. Dropping it stops it, too, but does not wait.
pub struct Simulator {
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    end: oneshot::Receiver<io::Result<()>>,
}

impl Simulator {
    /// A server of an endpoint account; [`sat`](SimulatorBuilder::sat) adds a training account.
    pub fn builder(account: Account) -> SimulatorBuilder {
        SimulatorBuilder::new(Some(account), None)
    }

    /// A server of a training account alone.
    pub fn sat_only(account: SatAccount) -> SimulatorBuilder {
        SimulatorBuilder::new(None, Some(account))
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
        self.shared.state().account = Some(account);
    }

    /// From the next request on.
    pub fn set_sat(&self, account: SatAccount) {
        self.shared.state().sat_account = Some(account);
    }

    /// From the next token on.
    pub fn set_scopes_granted(&self, scopes: Vec<&str>) {
        self.shared.state().sat.granted = scopes.into_iter().map(str::to_owned).collect();
    }

    /// From the next token on.
    pub fn set_revoked_client(&self, revoked: bool) {
        self.shared.state().sat.revoked = revoked;
    }

    /// Every access token that was issued, in order: what must be found nowhere else.
    pub fn access_tokens(&self) -> Vec<String> {
        self.shared.state().sat.tokens.clone()
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
