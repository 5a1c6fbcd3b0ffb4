use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::account::List;

/// Something that goes wrong at chosen requests.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Of which list; `None` for all of them together.
    pub list: Option<List>,
    /// The first request that it strikes, from 1. Counted are the requests to that list (or to all) that got past the
    /// credential and the rate limit, since the server started or its faults were last set.
    pub from_request: u32,
    /// How many requests in a row; `u32::MAX` for ever.
    pub times: u32,
    pub kind: FaultKind,
}

/// A change to a page.
pub type Patch = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What goes wrong. A kind that concerns paging does nothing to the two single objects.
#[derive(Clone)]
pub enum FaultKind {
    /// This status with a small JSON body.
    Status(u16),
    /// Status, body, content type.
    StatusWithBody(u16, Vec<u8>, String),
    /// Status, and the value of its `Retry-After`.
    RetryAfter(u16, String),
    /// 401, though the credential is right.
    Unauthorized,
    /// 403, as for a key without the permission.
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
    /// 200 without the collection key.
    MissingKey,
    /// The token of the next page is the one asked with, for ever; on the first page it is right.
    RepeatToken,
    /// There is always another page, with a new token. Behind the last record they are empty.
    EndlessPages,
    /// An empty page, whose token leads to the records that were due.
    EmptyPageWithToken,
    /// The right token, and a `next_page_url` below this origin.
    ForeignNextUrl(String),
    /// No answer for so long; then the right one.
    Hang(Duration),
    /// A small gzip body that decompresses to this many bytes of valid JSON.
    GzipBomb(u64),
    /// This many bytes of valid JSON, of unannounced length.
    Oversize(u64),
    /// The right page, changed before it is sent.
    Patch(Patch),
}

impl Fault {
    /// Strikes one request.
    pub fn once(list: Option<List>, from_request: u32, kind: FaultKind) -> Self {
        Self { list, from_request, times: 1, kind }
    }

    /// Strikes every request.
    pub fn always(list: Option<List>, kind: FaultKind) -> Self {
        Self { list, from_request: 1, times: u32::MAX, kind }
    }

    fn strikes(&self, request: u32) -> bool {
        request.checked_sub(self.from_request).is_some_and(|later| later < self.times)
    }
}

impl FaultKind {
    pub fn patch(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Patch(Arc::new(change))
    }
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
        }
    }
}

/// The faults of a server, and how far it has counted.
pub(crate) struct Faults {
    faults: Vec<Fault>,
    of_list: [(List, u32); List::ALL.len()],
    of_all: u32,
}

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, of_list: List::ALL.map(|list| (list, 0)), of_all: 0 }
    }

    /// Counts a request; the first fault that strikes it is the one that happens.
    pub(crate) fn next(&mut self, list: List) -> Option<FaultKind> {
        self.of_all = self.of_all.saturating_add(1);
        let mut of_this = 0;
        for (_, count) in self.of_list.iter_mut().filter(|(of, _)| *of == list) {
            *count = count.saturating_add(1);
            of_this = *count;
        }
        let struck = self.faults.iter().find(|fault| match fault.list {
            Some(of) => of == list && fault.strikes(of_this),
            None => fault.strikes(self.of_all),
        });
        struck.map(|fault| fault.kind.clone())
    }
}
