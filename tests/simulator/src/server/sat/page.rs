//! The JSON:API envelope of lists and of single resources, or what a fault makes of it.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::voice::{JSON_API, SatVoice};
use crate::fault::FaultKind;
use crate::list::List;
use crate::sat::{Collection, SatAccount};
use crate::server::Shared;
use crate::server::answer::Call;
use crate::server::reply::{Answer, finish};

const DEFAULT_SIZE: u64 = 15;

/// Where an account asked for by id has its counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountsAt {
    /// `data.meta.counts`
    #[default]
    DataMeta,
    /// `meta.counts`
    TopMeta,
    Absent,
}

pub(super) fn answer(shared: &Shared, call: &Call, list: List, voice: SatVoice, fault: Option<FaultKind>) -> Answer {
    // Cloned, so that a large page holds up nobody else.
    let Some(account) = shared.state().sat_account.clone() else {
        return voice.not_found();
    };
    let body = match list {
        List::AccountById => account_by_id(shared, &account, call, fault.as_ref()),
        List::AssignmentById => account.collection(list, &call.id).map(|it| {
            let mut record = Vec::new();
            it.write(0, None, &mut record);
            single(shared, call, serde_json::from_slice(&record).unwrap_or_default(), None, fault.as_ref())
        }),
        _ => match Numbers::parse(call) {
            Err(parameter) => {
                return voice.error(StatusCode::BAD_REQUEST, &format!("The {parameter} parameter is invalid."));
            }
            Ok(Numbers { number, size }) => match shared.settings.sat.refused_above {
                Some((largest, status)) if size > largest => {
                    return voice.error(status, "The page[size] parameter is too large.");
                }
                _ => {
                    let size = size.min(u64::from(shared.settings.sat.max_page));
                    page(shared, &account, call, list, Numbers { number, size }, fault.as_ref())
                }
            },
        },
    };
    match body {
        Some(body) => finish(shared, &call.headers, JSON_API, body, fault),
        None => voice.not_found(),
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Numbers {
    number: u64,
    size: u64,
}

impl Numbers {
    /// The error names the parameter.
    fn parse(call: &Call) -> Result<Self, &'static str> {
        let value = |name: &'static str, default| match call.request.parameter(name).map(str::parse) {
            None => Ok(default),
            Some(Ok(number @ 1..)) => Ok(number),
            Some(_) => Err(name),
        };
        Ok(Self { number: value("page[number]", 1)?, size: value("page[size]", DEFAULT_SIZE)? })
    }
}

fn page(
    shared: &Shared,
    account: &SatAccount,
    call: &Call,
    list: List,
    asked: Numbers,
    fault: Option<&FaultKind>,
) -> Option<Vec<u8>> {
    let settings = &shared.settings.sat;
    let collection = account.collection(list, &call.id)?;
    let Numbers { number, size } = asked;
    let total = collection.len();
    let true_last = total.div_ceil(size).max(1);
    let (number, last) = match fault {
        Some(FaultKind::RepeatToken) => (1, true_last),
        Some(FaultKind::EndlessPages) => (number, true_last.max(number.saturating_add(1))),
        _ => (number, true_last),
    };
    let shown = if settings.repeat_last_page { number.min(true_last) } else { number };
    let from = (shown - 1).saturating_mul(size).min(total);
    let to = match fault {
        Some(FaultKind::EmptyPageWithToken) => from,
        _ => from.saturating_add(size).min(total),
    };

    let mut body = Vec::with_capacity(usize::try_from(to - from).unwrap_or(0) * 256 + 512);
    body.push(b'{');
    if !matches!(fault, Some(FaultKind::MissingKey)) {
        body.extend_from_slice(b"\"data\":[");
        for index in from..to {
            if index > from {
                body.push(b',');
            }
            match list {
                List::Accounts => listed_account(shared, account, &collection, index, &mut body),
                _ => collection.write(index, settings.learner_id_as, &mut body),
            }
        }
        body.extend_from_slice(b"],");
    }
    let meta = json!({"page": {
        "currentPage": number,
        "from": (to > from).then_some(from + 1),
        "lastPage": last,
        "perPage": size,
        "to": (to > from).then_some(to),
        "total": total,
    }});
    let link = |number| link(shared, call, &format!("?page%5Bnumber%5D={number}&page%5Bsize%5D={size}"), fault);
    let links = json!({
        "first": link(1),
        "last": link(last),
        "prev": (number > 1).then(|| link(number - 1)),
        "next": (number < last).then(|| link(number + 1)),
    });
    let rest = format!("\"meta\":{meta},\"links\":{links},\"jsonapi\":{{\"version\":\"1.0\"}}}}");
    body.extend_from_slice(rest.as_bytes());
    Some(body)
}

fn link(shared: &Shared, call: &Call, query: &str, fault: Option<&FaultKind>) -> String {
    let origin = match fault {
        Some(FaultKind::ForeignNextUrl(origin)) => origin,
        _ => &shared.settings.origin,
    };
    format!("{origin}{}{query}", call.request.path)
}

fn listed_account(shared: &Shared, account: &SatAccount, collection: &Collection<'_>, index: u64, out: &mut Vec<u8>) {
    let mut record = Vec::new();
    collection.write(index, None, &mut record);
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    let counts = shared.settings.sat.counts_on_list.then(|| account.counts(&record));
    out.extend_from_slice(with_counts(record, counts).to_string().as_bytes());
}

fn account_by_id(shared: &Shared, account: &SatAccount, call: &Call, fault: Option<&FaultKind>) -> Option<Vec<u8>> {
    let record = account.account(&call.id)?;
    let counts = Some(account.counts(record));
    let (inside, outside) = match shared.settings.sat.counts_at {
        CountsAt::DataMeta => (counts, None),
        CountsAt::TopMeta => (None, counts),
        CountsAt::Absent => (None, None),
    };
    let meta = outside.map(|counts| json!({"counts": counts}));
    Some(single(shared, call, with_counts(record.clone(), inside), meta, fault))
}

/// The account with these counts in place of those it may have.
fn with_counts(mut account: Value, counts: Option<Value>) -> Value {
    let Some(fields) = account.as_object_mut() else {
        return account;
    };
    let mut meta = match fields.remove("meta") {
        Some(Value::Object(meta)) => meta,
        _ => Map::new(),
    };
    meta.remove("counts");
    if let Some(counts) = counts {
        meta.insert("counts".to_owned(), counts);
    }
    if !meta.is_empty() {
        fields.insert("meta".to_owned(), Value::Object(meta));
    }
    account
}

fn single(shared: &Shared, call: &Call, record: Value, meta: Option<Value>, fault: Option<&FaultKind>) -> Vec<u8> {
    let mut body = Map::new();
    if !matches!(fault, Some(FaultKind::MissingKey)) {
        body.insert("data".to_owned(), record);
    }
    body.extend(meta.map(|meta| ("meta".to_owned(), meta)));
    body.insert("links".to_owned(), json!({"self": link(shared, call, "", fault)}));
    body.insert("jsonapi".to_owned(), json!({"version": "1.0"}));
    Value::Object(body).to_string().into_bytes()
}
