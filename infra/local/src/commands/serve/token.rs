//! The token of the folder, and who calls with it.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use common::api::{Caller, Role};
use common::domain::id::CompanyId;
use std::path::Path;
use std::sync::Arc;

/// The caller of this machine: who can read the token file.
#[derive(Clone)]
pub struct LocalCaller {
    pub token: Arc<str>,
    pub company: CompanyId,
}

impl LocalCaller {
    /// Whether this is the folder's token. The time that it takes does not tell how much of it is right.
    pub fn is_token(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), self.token.as_bytes()).is_ok()
    }

    /// Who has it.
    pub fn caller(&self) -> Caller {
        Caller::with_role(self.company.clone(), "local", Role::Admin)
    }
}

pub async fn identify(State(local): State<LocalCaller>, mut request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if given.is_some_and(|given| local.is_token(given)) {
        request.extensions_mut().insert(local.caller());
    }
    next.run(request).await
}

/// The token of the HTTP interface, made on first use and readable by its owner alone.
pub fn of_folder(data: &Path) -> std::io::Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("api-token");
    match std::fs::read_to_string(&path) {
        Ok(token) if token.trim().len() >= 32 => return Ok(token.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path)?.write_all(token.as_bytes())?;
    Ok(token)
}
