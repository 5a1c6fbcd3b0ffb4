//! `/settings`: who one is, which policy counts for a client, and who trains its people.

use super::undecided;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::people::PeopleError;
use crate::console::layout::{Frame, name};
use crate::console::{ConnectionPages, SignedForm, Viewer, html, see_other, words};
use crate::domain::audit::Actor;
use crate::domain::decisions::Decider;
use crate::domain::id::{ClientId, ConnectionId};
use crate::domain::policy::PolicyVersion;
use crate::domain::product::Product;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<ConnectionPages>>] = &[
    Route::known(Method::Get, "/settings", |method| on(method, show)),
    Route::new(Method::Post, "/settings/policy", Scope::PolicyWrite, |method| on(method, choose_policy)),
    Route::new(Method::Post, "/settings/provider", Scope::PeopleChange, |method| on(method, name_provider)),
];

#[derive(Deserialize)]
struct Wanted {
    done: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    form_token: String,
    subject: String,
    scopes: Vec<&'static str>,
    bound_to: Option<String>,
    clients: Vec<Client>,
    policies: Vec<PolicyRow>,
    may_choose: bool,
    providers: Vec<Provider>,
    training: Vec<String>,
    may_name: bool,
    /// Once something was signed.
    key: Option<String>,
    wrong: Option<String>,
}

struct Client {
    id: String,
    in_force: Vec<RuleInForce>,
}

/// A rule in words, and the policy that it is of.
struct RuleInForce {
    policy: String,
    rule: String,
}

struct PolicyRow {
    name: String,
    rules: usize,
    preset: bool,
}

struct Provider {
    client: String,
    connection: Option<String>,
}

/// Clients whose policies are shown at once. Beyond it the client's own page says what is in force.
const SHOWN: usize = 50;

async fn page(console: &ConnectionPages, viewer: &Viewer, wrong: Option<String>) -> Result<Settings, Problem> {
    let (caller, company) = (viewer.caller(), viewer.company());
    let scopes = caller.scopes;
    let mut clients: BTreeSet<ClientId> = BTreeSet::new();
    let mut training = Vec::new();
    if scopes.contains(Scope::EvidenceRead) {
        for connection in console.connections.list(company).await? {
            let own = connection.mapping.clients().into_iter().filter(|client| caller.see_client(client).is_ok());
            clients.extend(own.cloned());
            if connection.product == Product::Sat {
                training.push(connection.id.to_string());
            }
        }
    }
    let may_choose = scopes.contains(Scope::PolicyWrite);
    let now = console.entrance.clock.now();
    let clients: BTreeSet<ClientId> = clients.into_iter().take(SHOWN).collect();
    let all_in_force = console.decisions.all_in_force(company, now).await.map_err(undecided)?;
    let named = match scopes.contains(Scope::PeopleRead) {
        true => console.people.providers(company, &clients).await?,
        false => BTreeMap::new(),
    };
    let (mut shown, mut providers) = (Vec::new(), Vec::new());
    for client in &clients {
        let in_force = all_in_force.of(Some(client));
        let rules = in_force.rules().map(|(policy, rule)| RuleInForce {
            policy: format!("{} {}", policy.policy, policy.version),
            rule: words::rule(rule),
        });
        shown.push(Client { id: client.to_string(), in_force: rules.collect() });
        if scopes.contains(Scope::PeopleRead) {
            let connection = named.get(client).map(|provider| provider.connection.to_string());
            providers.push(Provider { client: client.to_string(), connection });
        }
    }
    let policies = if may_choose { console.decisions.policies(company).await.map_err(undecided)? } else { Vec::new() };
    let bound_to = caller.clients.as_ref().map(|clients| {
        let names: Vec<&str> = clients.iter().map(ClientId::as_str).collect();
        names.join(", ")
    });
    Ok(Settings {
        frame: Frame::new("Settings", Some(&viewer.session), "/settings"),
        form_token: viewer.session.form_token.clone(),
        subject: name(&caller.subject),
        scopes: scopes.iter().map(Scope::as_str).collect(),
        bound_to,
        clients: shown,
        policies: policies
            .into_iter()
            .map(|it| PolicyRow { name: format!("{} {}", it.policy, it.version), rules: it.rules, preset: it.preset })
            .collect(),
        may_choose,
        providers,
        training,
        may_name: scopes.contains(Scope::PeopleChange),
        key: super::log_key(&console.evidence).await?,
        wrong,
    })
}

async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Query(Wanted { done }): Query<Wanted>,
) -> Result<Response, Problem> {
    let page = page(&console, &viewer, None).await?;
    let told = match done.as_deref() {
        Some("policy") => Some(
            "The policy counts from now on. What was committed before keeps its verdicts; the next sync has new ones.",
        ),
        Some("provider") => Some("The provider of training was changed."),
        _ => None,
    };
    let frame = match told {
        Some(told) => page.frame.with_notice(true, told),
        None => page.frame,
    };
    Ok(html(StatusCode::OK, &Settings { frame, ..page }))
}

async fn refused(console: &ConnectionPages, viewer: &Viewer, wrong: String) -> Response {
    match page(console, viewer, Some(wrong)).await {
        Ok(page) => html(StatusCode::UNPROCESSABLE_ENTITY, &page),
        Err(problem) => problem.into_response(),
    }
}

async fn choose_policy(
    State(console): State<Arc<ConnectionPages>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let company = viewer.company();
    let Ok(client) = ClientId::parse(fields.get("client").trim()) else {
        return refused(&console, &viewer, "Choose a client".to_owned()).await;
    };
    if let Err(problem) = viewer.caller().see_client(&client) {
        return problem.into_response();
    }
    let (name, version) = fields.get("policy").trim().split_once(' ').unwrap_or((fields.get("policy").trim(), ""));
    let policy = console.decisions.policy(company, name, PolicyVersion::parse(version).ok()).await;
    let by = Decider { name: viewer.caller().subject.clone(), on_this_machine: false };
    let chosen = match policy {
        Ok(policy) => console.decisions.choose(company, &client, &policy, &by).await,
        Err(error) => Err(error),
    };
    match chosen {
        Ok(_) => see_other("/settings?done=policy"),
        Err(error) if error.is_refusal() => refused(&console, &viewer, error.to_string()).await,
        Err(error) => undecided(error).into_response(),
    }
}

async fn name_provider(
    State(console): State<Arc<ConnectionPages>>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    if let Err(problem) = viewer.caller().see_company() {
        return problem.into_response();
    }
    let company = viewer.company();
    let Ok(client) = ClientId::parse(fields.get("client").trim()) else {
        return refused(&console, &viewer, "Choose a client".to_owned()).await;
    };
    let actor = Actor::api(viewer.caller().subject.clone());
    let named = match fields.typed("connection") {
        None => console.people.forget_provider(company, &client, &actor).await,
        Some(connection) => match ConnectionId::parse(connection) {
            Ok(id) => console.people.name_provider(company, &client, &id, &actor).await.map(drop),
            Err(error) => Err(PeopleError::Refused(error.to_string())),
        },
    };
    match named {
        Ok(()) => see_other("/settings?done=provider"),
        Err(PeopleError::Refused(wrong)) => refused(&console, &viewer, wrong).await,
        Err(error) => Problem::from(error).into_response(),
    }
}
