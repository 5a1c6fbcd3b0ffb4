//! How a server is set up.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::oneshot;

use super::sat::{SatClient, SatSettings, SatWindows};
use super::{API_KEY, API_SECRET, Clock, Settings, Shared, Simulator, State, serve, system_time};
use crate::account::Account;
use crate::fault::{Fault, Faults};
use crate::rate::Window;
use crate::sat::SatAccount;

pub struct SimulatorBuilder {
    pub(super) account: Option<Account>,
    pub(super) sat: Option<SatAccount>,
    pub(super) sat_client: SatClient,
    pub(super) settings: Settings,
    pub(super) faults: Vec<Fault>,
    pub(super) port: u16,
}

impl SimulatorBuilder {
    pub(super) fn new(account: Option<Account>, sat: Option<SatAccount>) -> Self {
        let settings = Settings {
            authorization: STANDARD.encode(format!("{API_KEY}:{API_SECRET}")),
            clock: Arc::new(system_time),
            rate_limit: Some(60),
            max_page: 500,
            rate_headers: true,
            retry_after: false,
            gzip: false,
            dated: false,
            origin: String::new(),
            sat: SatSettings::default(),
        };
        Self { account, sat, sat_client: SatClient::default(), settings, faults: Vec::new(), port: 0 }
    }

    /// Default: [`API_KEY`] and [`API_SECRET`].
    pub fn credentials(mut self, key: &str, secret: &str) -> Self {
        self.settings.authorization = STANDARD.encode(format!("{key}:{secret}"));
        self
    }

    /// What the rate limits and the tokens' lifetime go by. Default: the system's time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Endpoint requests in any 60 seconds. Default: the vendor's 60.
    pub fn rate_limit(mut self, limit: Option<u32>) -> Self {
        self.settings.rate_limit = limit;
        self
    }

    /// Serves at most this many records an endpoint page, whatever is asked for. Default: the vendor's 500.
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

    /// Whether answers carry `x-huntress-api-call-limit` and `-remaining`, or `X-RateLimit-Limit` and `-Remaining`. Default:
    /// yes.
    pub fn rate_headers(mut self, on: bool) -> Self {
        self.settings.rate_headers = on;
        self
    }

    /// Whether an endpoint 429 carries `Retry-After`, which the vendor does not document. Default: no. The training API's does
    /// always.
    pub fn retry_after(mut self, on: bool) -> Self {
        self.settings.retry_after = on;
        self
    }

    /// Whether a client that accepts gzip gets it. Default: no.
    pub fn gzip(mut self, on: bool) -> Self {
        self.settings.gzip = on;
        self
    }

    /// Whether answers carry a `Date`, by the clock. Default: no, an empty one, since clients may live in another time.
    pub fn dated(mut self, on: bool) -> Self {
        self.settings.dated = on;
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
        let Self { account, sat, sat_client, mut settings, faults, port } = self;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        settings.origin = format!("http://{}", listener.local_addr()?);
        let state = State {
            account,
            sat_account: sat,
            sat: sat_client,
            sat_windows: SatWindows::default(),
            faults: Faults::new(faults),
            window: Window::minute(),
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
