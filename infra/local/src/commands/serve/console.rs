//! The console beside the API: which requests go where, who signs in, and the link that opens it.

use super::token::LocalCaller;
use crate::outcome::CliError;
use crate::stack::LocalStack;
use axum::Router;
use axum::extract::Request;
use common::app::packs::PackService;
use common::console::{Console, KnownToken, Sessions, SignIn, Site, Tokens};
use common::settings::environment;
use common::store::StoreError;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tower::ServiceExt;

/// What opens the API opens the console, too.
impl Tokens for LocalCaller {
    fn caller<'a>(
        &'a self,
        token: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<KnownToken, StoreError>> + Send + 'a>> {
        Box::pin(self.of(token))
    }
}

/// The console of this machine.
pub fn console(
    stack: &LocalStack,
    packs: PackService,
    address: SocketAddr,
    local: LocalCaller,
) -> Result<Arc<Console>, CliError> {
    let public = environment("PUBLIC_URL");
    let site = Site::of_machine(address, public.as_deref())
        .map_err(|error| CliError::usage(format!("PUBLIC_URL: {error}")))?;
    let sessions = Sessions::new(Arc::clone(&stack.parts.huntress.clock));
    let Ok(console) = Console::new(&stack.parts, packs, SignIn::Machine { sessions, tokens: Arc::new(local) }, site);
    Ok(Arc::new(console))
}

/// The link that signs in who started this process.
pub fn login_link(console: &Console, local: &LocalCaller) -> Result<String, CliError> {
    console.login_link(local.caller()).map_err(|error| CliError::other(error.to_string()))
}

/// The API below its own paths, pages everywhere else. Each has its own callers: a cookie opens no route, and a token no page.
pub fn beside(api: Router, pages: Router) -> Router {
    let is_api = |path: &str| {
        ["/v1", "/healthz", "/hooks", "/oauth"]
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    Router::new().fallback(move |request: Request| {
        let to = if is_api(request.uri().path()) { api.clone() } else { pages.clone() };
        to.oneshot(request)
    })
}

/// Asks the desktop to open a page; `false` where there is none.
pub fn open(link: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let started = std::process::Command::new(program).arg(link).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
    started.is_ok()
}
