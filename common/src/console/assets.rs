//! The stylesheet and the script: ours, compiled in, and named by what is in them.

use crate::api::Problem;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

fn named(stem: &str, content: &str, extension: &str) -> String {
    let hash = Sha256::digest(content);
    let digits: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("/assets/{stem}-{digits}.{extension}")
}

/// The path of the stylesheet.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| named("console", STYLE, "css"));
/// The path of the script.
pub static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| named("console", SCRIPT, "js"));
/// The path of the icon.
pub static ICON_PATH: LazyLock<String> = LazyLock::new(|| named("icon", ICON, "svg"));

/// One of them. Its name changes with its content, so it can be kept for ever.
pub async fn serve(Path(file): Path<String>) -> Result<Response, Problem> {
    let path = format!("/assets/{file}");
    let (media_type, content) = if path == *STYLE_PATH {
        ("text/css; charset=utf-8", STYLE)
    } else if path == *SCRIPT_PATH {
        ("text/javascript; charset=utf-8", SCRIPT)
    } else if path == *ICON_PATH {
        ("image/svg+xml", ICON)
    } else {
        return Err(Problem::not_found("file"));
    };
    let kept = (CACHE_CONTROL, "public, max-age=31536000, immutable");
    Ok(([(CONTENT_TYPE, media_type), kept], content).into_response())
}
