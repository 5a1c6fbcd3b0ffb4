use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::list::List;

/// Something that goes wrong at chosen requests.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Of which list; `None` for all of them together.
    pub list: Option<List>,
    /// Only at this path, as in [`List::path_of`]; `None` for any.
    pub path: Option<String>,
    /// The first request that it strikes, from 1. Counted are the requests of that list (or of all) and that path (or of
    /// any) that got past the credential and the rate limit, since the server started or its faults were last set. At the
    /// token endpoint every POST counts, since a credential is what it is there to check.
    pub from_request: u32,
    /// How many requests in a row; `u32::MAX` for ever.
    pub times: u32,
    pub kind: FaultKind,
}

/// A change to a page.
pub type Patch = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// A change to the bytes of a page.
pub type Rewrite = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// What goes wrong. A kind that concerns paging does nothing to single objects and to the token.
#[derive(Clone)]
pub enum FaultKind {
    /// This status with a small JSON body.
    Status(u16),
    /// Status, body, content type.
    StatusWithBody(u16, Vec<u8>, String),
    /// Status, and the value of its `Retry-After`.
    RetryAfter(u16, String),
    /// 401, though the credential or the token is right; at the token endpoint `invalid_client`.
    Unauthorized,
    /// 403, as for a key without the permission, or a token without the scope.
    Forbidden,
    /// To another address, with 302.
    Redirect(String),
    /// The connection is reset without an answer.
    Reset,
    /// The connection is closed after half of the announced length.
    Truncate,
    /// Half of the JSON, with the length of that half.
    TruncateJson,
    /// 200 and these bytes as `application/json`.
    Body(Vec<u8>),
    /// 200 and an HTML page.
    NotJson,
    /// 200 without the collection key, or without the access token.
    MissingKey,
    /// The token of the next page is the one asked with, for ever; on the first page it is right. A SAT list, which has
    /// numbers, is always at its first page.
    RepeatToken,
    /// There is always another page, with a new token. Behind the last record they are empty.
    EndlessPages,
    /// An empty page, whose token leads to the records that were due. In a SAT list the records are lost: a number cannot
    /// lead back to them.
    EmptyPageWithToken,
    /// The right token, and a `next_page_url` (or `links`) below this origin.
    ForeignNextUrl(String),
    /// No answer for so long; then the right one.
    Hang(Duration),
    /// A small gzip body that decompresses to this many bytes of valid JSON.
    GzipBomb(u64),
    /// This many bytes of valid JSON, of unannounced length.
    Oversize(u64),
    /// The right page, changed before it is sent.
    Patch(Patch),
    /// The right page with its bytes changed, and these headers in place of those that it has; it is not compressed.
    Rewrite(Vec<(&'static str, String)>, Rewrite),
    /// Status, and headers in place of those that it has.
    StatusWithHeaders(u16, Vec<(&'static str, String)>),
}

impl Fault {
    /// Strikes one request.
    pub fn once(list: Option<List>, from_request: u32, kind: FaultKind) -> Self {
        Self { list, path: None, from_request, times: 1, kind }
    }

    /// Strikes every request.
    pub fn always(list: Option<List>, kind: FaultKind) -> Self {
        Self { list, path: None, from_request: 1, times: u32::MAX, kind }
    }

    /// Aims it at one path, such as `List::LearnerActivity.path_of("a8Rt2")`.
    pub fn at(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    fn concerns(&self, list: List, path: &str) -> bool {
        self.list.is_none_or(|of| of == list) && self.path.as_deref().is_none_or(|of| of == path)
    }

    fn strikes(&self, request: u32) -> bool {
        request.checked_sub(self.from_request).is_some_and(|later| later < self.times)
    }
}

impl FaultKind {
    pub fn patch(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Patch(Arc::new(change))
    }

    pub fn rewrite(
        headers: &[(&'static str, &str)],
        change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::Rewrite(owned(headers), Arc::new(change))
    }

    /// The right page with other headers.
    pub fn headers(headers: &[(&'static str, &str)]) -> Self {
        Self::rewrite(headers, |body| body)
    }

    pub fn status_with_headers(status: u16, headers: &[(&'static str, &str)]) -> Self {
        Self::StatusWithHeaders(status, owned(headers))
    }
}

fn owned(headers: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

impl fmt::Debug for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "Status({status})"),
            Self::StatusWithBody(status, body, kind) => write!(f, "StatusWithBody({status}, {} B, {kind})", body.len()),
            Self::RetryAfter(status, value) => write!(f, "RetryAfter({status}, {value:?})"),
            Self::Unauthorized => f.write_str("Unauthorized"),
            Self::Forbidden => f.write_str("Forbidden"),
            Self::Redirect(to) => write!(f, "Redirect({to})"),
            Self::Reset => f.write_str("Reset"),
            Self::Truncate => f.write_str("Truncate"),
            Self::TruncateJson => f.write_str("TruncateJson"),
            Self::Body(body) => write!(f, "Body({} B)", body.len()),
            Self::NotJson => f.write_str("NotJson"),
            Self::MissingKey => f.write_str("MissingKey"),
            Self::RepeatToken => f.write_str("RepeatToken"),
            Self::EndlessPages => f.write_str("EndlessPages"),
            Self::EmptyPageWithToken => f.write_str("EmptyPageWithToken"),
            Self::ForeignNextUrl(origin) => write!(f, "ForeignNextUrl({origin})"),
            Self::Hang(time) => write!(f, "Hang({time:?})"),
            Self::GzipBomb(bytes) => write!(f, "GzipBomb({bytes})"),
            Self::Oversize(bytes) => write!(f, "Oversize({bytes})"),
            Self::Patch(_) => f.write_str("Patch"),
            Self::Rewrite(headers, _) => write!(f, "Rewrite({headers:?})"),
            Self::StatusWithHeaders(status, headers) => write!(f, "StatusWithHeaders({status}, {headers:?})"),
        }
    }
}

/// The faults of a server, and how many of the requests that concern it each has seen.
pub(crate) struct Faults(Vec<(Fault, u32)>);

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self(faults.into_iter().map(|fault| (fault, 0)).collect())
    }

    /// Counts a request; the first fault that strikes it is the one that happens.
    pub(crate) fn next(&mut self, list: List, path: &str) -> Option<FaultKind> {
        let mut struck = None;
        for (fault, seen) in self.0.iter_mut().filter(|(fault, _)| fault.concerns(list, path)) {
            *seen = seen.saturating_add(1);
            if struck.is_none() && fault.strikes(*seen) {
                struck = Some(fault.kind.clone());
            }
        }
        struck
    }
}
