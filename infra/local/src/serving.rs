//! A `serve` that has the data folder: where it listens, and how a command asks it instead of the folder itself.

use crate::outcome::CliError;
use common::huntress::request::{Timeouts, http_client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the data folder that says where `serve` listens.
const FILE: &str = "serve-address";

/// A `serve` that has the data folder.
pub struct Serving {
    origin: String,
    token: String,
}

#[derive(serde::Deserialize)]
struct Refusal {
    detail: String,
}

impl Serving {
    /// Says where this process listens, to commands on the same folder. Gives the file.
    pub fn announce(data: &Path, address: SocketAddr) -> std::io::Result<PathBuf> {
        let path = data.join(FILE);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&path)?.write_all(address.to_string().as_bytes())?;
        Ok(path)
    }

    /// The one that has this folder; `None` where something else has it.
    pub fn of(data: &Path) -> Option<Self> {
        let address: SocketAddr = std::fs::read_to_string(data.join(FILE)).ok()?.trim().parse().ok()?;
        let token = std::fs::read_to_string(data.join("api-token")).ok()?;
        let local = address.ip().is_loopback();
        local.then(|| Self { origin: format!("http://{address}"), token: token.trim().to_owned() })
    }

    /// GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        parsed(&self.asked("GET", path, None).await?)
    }

    /// POST with a body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        let body = serde_json::to_string(body).map_err(|error| CliError::other(error.to_string()))?;
        parsed(&self.asked("POST", path, Some(body)).await?)
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<(), CliError> {
        self.asked("DELETE", path, None).await.map(drop)
    }

    async fn asked(&self, method: &str, path: &str, body: Option<String>) -> Result<String, CliError> {
        let lost = |error: &dyn std::error::Error| {
            CliError::other(format!("serve has the data folder and does not answer at {}: {error}", self.origin))
        };
        let client = http_client(Timeouts::default()).map_err(|error| lost(&error))?;
        let url = format!("{}{path}", self.origin);
        let request = match method {
            "GET" => client.get(url),
            "DELETE" => client.delete(url),
            _ => client.post(url),
        };
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| lost(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| lost(&error))?;
        if status.is_success() {
            return Ok(text);
        }
        let detail = serde_json::from_str(&text).map_or_else(|_| status.to_string(), |Refusal { detail }| detail);
        Err(if status.is_client_error() && status.as_u16() != 404 {
            CliError::usage(detail)
        } else {
            CliError::other(detail)
        })
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, CliError> {
    serde_json::from_str(text).map_err(|error| CliError::other(format!("serve answered something else: {error}")))
}
