//! The audit events of a pack: what was done about a client and its connections, with nothing about another.

use super::{MakePackError, PackReader};
use crate::domain::audit::{AuditAction, AuditEvent};
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::mapping::Mapping;
use crate::domain::time::Window;
use crate::pack::contents::{PackedEvent, WindowFacts};
use crate::store::PlacedEvent;
use serde_json::Value;
use std::collections::BTreeSet;

/// Events that are read at once.
const READ_TOGETHER: usize = 500;

impl PackReader {
    /// What was done from the first instant of the pack to its own. The making of packs is left out, so that the same pack stays the same file.
    pub(super) async fn events(
        &self,
        company: &CompanyId,
        client: &ClientId,
        facts: &WindowFacts,
        window: Window,
    ) -> Result<Vec<PackedEvent>, MakePackError> {
        let mut others: BTreeSet<String> = BTreeSet::new();
        for connection in self.store.connections(company).await? {
            others.extend(connection.mapping.clients().into_iter().map(ToString::to_string));
        }
        others.remove(client.as_str());
        let (mut events, mut after) = (Vec::new(), None::<String>);
        loop {
            let found = self.store.audit_events(company, window, after.as_deref(), READ_TOGETHER).await?;
            let is_last = found.len() < READ_TOGETHER;
            for PlacedEvent { place, event } in found {
                after = Some(place);
                if window.contains(event.at) {
                    events.extend(cut(event, client, facts, &others));
                }
            }
            if is_last {
                return Ok(events);
            }
        }
    }
}

/// An event as it is told to a client, if it is about it or about a connection of its.
fn cut(event: AuditEvent, client: &ClientId, window: &WindowFacts, others: &BTreeSet<String>) -> Option<PackedEvent> {
    let of_client = match (&event.client, &event.connection) {
        (Some(about), _) if about == client => true,
        (Some(_), _) => return None,
        (None, Some(connection)) if window.connections.contains_key(connection) => false,
        (None, _) => return None,
    };
    if event.action == AuditAction::PackMade {
        return None;
    }
    let value = |value: Option<Value>| {
        let value = value?;
        let kept = match event.action {
            AuditAction::ConnectionCreated | AuditAction::MappingChanged => own_part(value, client)?,
            AuditAction::SettingsChanged | AuditAction::PrivacyChanged => value,
            _ if of_client => value,
            // What it says may be of many.
            _ => return None,
        };
        (!names(&kept, others)).then_some(kept)
    };
    let told = |text: &String| !words(text).any(|word| others.contains(word));
    Some(PackedEvent {
        at: event.at,
        company: event.company,
        actor: event.actor,
        actor_kind: serde_json::to_value(event.actor_kind).ok()?.as_str()?.to_owned(),
        action: event.action.as_str().to_owned(),
        subject: Some(event.subject).filter(told)?,
        before: value(event.before).unwrap_or_default(),
        after: value(event.after).unwrap_or_default(),
        reason: event.reason.filter(told),
        request_id: event.request_id,
    })
}

/// A mapping, with the organizations of this client alone.
fn own_part(value: Value, client: &ClientId) -> Option<Value> {
    let own = match serde_json::from_value(value).ok()? {
        Mapping::OneClient { client: of } => (of == *client).then_some(Mapping::OneClient { client: of })?,
        Mapping::ByOrganization { mut clients, .. } => {
            clients.retain(|_, of| of == client);
            // Organizations that are left out are nobody's.
            Mapping::ByOrganization { clients, ignored: BTreeSet::new() }
        }
    };
    serde_json::to_value(own).ok()
}

/// The words of a text that could be ids.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
}

/// Whether one of these clients is named anywhere in a value.
fn names(value: &Value, others: &BTreeSet<String>) -> bool {
    let said = |text: &str| words(text).any(|word| others.contains(word));
    match value {
        Value::String(text) => said(text),
        Value::Array(items) => items.iter().any(|item| names(item, others)),
        Value::Object(fields) => fields.iter().any(|(name, value)| said(name) || names(value, others)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Actor;
    use crate::domain::id::{ConnectionId, ConnectionKey};
    use crate::domain::product::Product;
    use crate::domain::time::parse;
    use crate::pack::contents::ConnectionFacts;
    use serde_json::json;

    fn told(event: AuditEvent) -> Option<PackedEvent> {
        let facts = ConnectionFacts { product: Product::Edr, connected_at: event.at, pauses: Vec::new() };
        let connections = [(ConnectionId::parse("edr").unwrap(), facts)].into();
        let window = WindowFacts { connections, ..WindowFacts::default() };
        cut(event, &ClientId::parse("client-a").unwrap(), &window, &["client-b".to_owned()].into())
    }

    fn event(action: AuditAction, connection: &str) -> AuditEvent {
        let company = CompanyId::parse("msp-acme").unwrap();
        let connection = ConnectionId::parse(connection).unwrap();
        let at = parse("2026-03-22T12:00:00Z").unwrap();
        AuditEvent::of_connection(&Actor::cli("alice"), action, ConnectionKey { company, connection }, at)
    }

    #[test]
    fn a_mapping_is_cut_to_the_client() {
        let mapping = |clients: Value| json!({"kind": "by_organization", "clients": clients, "ignored": ["9"]});
        let changed = event(AuditAction::MappingChanged, "edr")
            .changing(&mapping(json!({"1": "client-b"})), &mapping(json!({"1": "client-b", "2": "client-a"})));
        let told = told(changed).unwrap();
        assert_eq!(told.before, json!({"kind": "by_organization", "clients": {}, "ignored": []}));
        assert_eq!(told.after, json!({"kind": "by_organization", "clients": {"2": "client-a"}, "ignored": []}));
        let one = json!({"kind": "one_client", "client": "client-b"});
        let changed = event(AuditAction::MappingChanged, "edr").changing(&one, &one);
        assert_eq!(super::tests::told(changed).unwrap().after, Value::Null);
    }

    #[test]
    fn nothing_about_another_client_or_connection_is_told() {
        assert_eq!(told(event(AuditAction::ConnectionPaused, "sat")), None);
        let other = ClientId::parse("client-b").unwrap();
        assert_eq!(told(AuditEvent { client: Some(other), ..event(AuditAction::ProviderNamed, "edr") }), None);
        assert_eq!(told(event(AuditAction::PackMade, "edr")), None);
        let reset = event(AuditAction::PersonReset, "edr").because("moved from client-b, see there");
        assert_eq!(told(reset).unwrap().reason, None);
        let reset = event(AuditAction::PersonReset, "edr").because("a new contract (client-bb)");
        assert_eq!(told(reset).unwrap().reason.as_deref(), Some("a new contract (client-bb)"));
        let settings = event(AuditAction::SettingsChanged, "edr")
            .changing(&json!({"missing_after_days": 21}), &json!({"note": {"client-b": 1}}));
        let told = told(settings).unwrap();
        assert_eq!((told.before, told.after), (json!({"missing_after_days": 21}), Value::Null));
    }
}
