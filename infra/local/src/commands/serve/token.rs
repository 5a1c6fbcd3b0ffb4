//! The token of the folder, and who calls with it.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use common::api::{Caller, Problem, Role, TokenWanted};
use common::app::tokens::Tokens;
use common::console::KnownToken;
use common::domain::id::CompanyId;
use common::domain::token::OWN;
use common::store::StoreError;
use std::path::Path;
use std::sync::Arc;

/// The caller of this machine: who can read the token file.
#[derive(Clone)]
pub struct LocalCaller {
    pub token: Arc<str>,
    pub company: CompanyId,
    pub tokens: Arc<Tokens>,
}

impl LocalCaller {
    /// Who calls with a token, and until when it is good: the folder's own is Admin, another may what it was made for.
    ///
    /// # Errors
    /// [`StoreError`] where the tokens cannot be read.
    pub async fn of(&self, token: &str) -> Result<KnownToken, StoreError> {
        if self.is_token(token) {
            return Ok(Some((self.caller(), None)));
        }
        let known = self.tokens.known(&self.company, token).await?;
        Ok(known.map(|known| (Caller::with_token(self.company.clone(), &known), Some(known.expires_at))))
    }

    /// Whether this is the folder's token. The time that it takes does not tell how much of it is right.
    fn is_token(&self, given: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), self.token.as_bytes()).is_ok()
    }

    /// Who has it.
    pub fn caller(&self) -> Caller {
        Caller::with_role(self.company.clone(), OWN, Role::Admin)
    }
}

/// What is told who sends none of them.
const WANTED: TokenWanted = TokenWanted(
    "send a token that is valid here: Authorization: Bearer TOKEN; the data folder's own is in its file api-token, and huntress-evidence token add makes others",
);

pub async fn identify(State(local): State<LocalCaller>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(WANTED);
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = given.and_then(|value| value.strip_prefix("Bearer ")) {
        match local.of(token).await {
            Ok(Some((caller, _))) => drop(request.extensions_mut().insert(caller)),
            Ok(None) => {}
            Err(error) => return Problem::from(error).into_response(),
        }
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
