//! The JSON of an endpoint page: the vendor's envelope, or what a fault makes of it.

use serde_json::{Map, Value};

use super::Shared;
use super::reply::escape;
use crate::account::Account;
use crate::fault::FaultKind;
use crate::list::List;
use crate::listing::Page;
use crate::query::ListQuery;
use crate::token::{Place, Token};

impl Shared {
    /// `None` if no account is served.
    pub(super) fn page(
        &self,
        list: List,
        query: &ListQuery,
        pairs: &[(String, String)],
        fault: Option<&FaultKind>,
    ) -> Option<Vec<u8>> {
        // Cloned, so that a large page holds up nobody else.
        let (account, turn) = {
            let mut state = self.state();
            state.turns = state.turns.wrapping_add(1);
            (state.account.clone()?, state.turns)
        };
        if list.is_single() {
            return Some(single(&account, list, fault));
        }
        let asked_with = query.token.as_ref().map(|token| &token.place);
        let page = match fault {
            Some(FaultKind::EmptyPageWithToken) => {
                let place = asked_with.unwrap_or(&Place::Start).clone();
                Page { records: Vec::new(), next: Some(Token { place, turn }) }
            }
            _ => account.page(list, query, query.limit.min(self.settings.max_page)),
        };
        let next = match fault {
            Some(FaultKind::EndlessPages) => page.next.or(Some(Token { place: Place::Beyond, turn })),
            // A list of one page has no token to repeat; a constant one will do.
            Some(FaultKind::RepeatToken) => {
                query.token.clone().or(page.next).or(Some(Token { place: Place::Beyond, turn: 0 }))
            }
            _ => page.next,
        };

        let mut body = Vec::with_capacity(page.records.len() + 512);
        body.push(b'{');
        if !matches!(fault, Some(FaultKind::MissingKey)) {
            body.extend_from_slice(format!("\"{}\":[", list.key()).as_bytes());
            body.extend_from_slice(&page.records);
            body.extend_from_slice(b"],");
        }
        body.extend_from_slice(b"\"pagination\":");
        let pagination = match &next {
            Some(token) => self.pagination(list, token, pairs, fault),
            None => Value::Object(Map::new()),
        };
        body.extend_from_slice(pagination.to_string().as_bytes());
        body.push(b'}');
        Some(body)
    }

    fn pagination(&self, list: List, token: &Token, pairs: &[(String, String)], fault: Option<&FaultKind>) -> Value {
        let token = token.to_text();
        let origin = match fault {
            Some(FaultKind::ForeignNextUrl(origin)) => origin,
            _ => &self.settings.origin,
        };
        let mut url = format!("{origin}{}?page_token={token}", list.path());
        for (name, value) in pairs.iter().filter(|(name, _)| name != "page_token") {
            url.push_str(&format!("&{}={}", escape(name), escape(value)));
        }
        serde_json::json!({"next_page_token": token, "next_page_url": url})
    }
}

fn single(account: &Account, list: List, fault: Option<&FaultKind>) -> Vec<u8> {
    let mut record = Vec::new();
    account.write(list, 0, &mut record);
    match (list, fault) {
        (_, Some(FaultKind::MissingKey)) => b"{}".to_vec(),
        (List::Actor, _) => record,
        _ => [format!("{{\"{}\":", list.key()).into_bytes(), record, b"}".to_vec()].concat(),
    }
}
