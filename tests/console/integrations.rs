//! Connecting from a page, and what is done with a connection there.

use super::world::{Browser, Page, World, company};
use common::app::connections::{ExpiryChange, SettingsChange};
use common::domain::id::ConnectionId;
use reqwest::StatusCode;
use simulator::{API_KEY, API_SECRET};

const SECRET: &str = "s3cret-marker-of-a-test";

async fn connect(browser: &Browser, key: &str, secret: &str) -> Page {
    let form =
        [("product", "huntress-edr"), ("id", "mine"), ("client", "client-c"), ("apiKey", key), ("apiSecret", secret)];
    browser.post("/integrations", &form).await
}

/// What a form of the page carries.
fn hidden(page: &Page, name: &str) -> String {
    let field = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1).and_then(|rest| rest.split('"').next());
    field.unwrap_or_else(|| panic!("no {name} in {}", page.body)).to_owned()
}

#[tokio::test]
async fn the_first_visit_leads_to_a_connection() {
    let world = World::empty().await;
    let browser = world.browser("admin").await;
    let page = browser.open("/integrations").await;
    page.has("Nothing is connected yet. In order:").has("Test and connect");
    // The whole guide and every trouble of both products.
    for product in [common::domain::product::Product::Edr, common::domain::product::Product::Sat] {
        for step in common::domain::guidance::setup(product) {
            page.has(step.title);
        }
        for trouble in common::domain::guidance::troubles(product) {
            page.has(&trouble.cause.replace('\'', "&#39;"));
        }
    }
    // A credential that Huntress refuses connects nothing, keeps what was typed but for the secrets, and says what to do.
    let refused = connect(&browser, SECRET, SECRET).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused
        .has("Nothing was connected")
        .has("value=\"client-c\"")
        .has("Create a new key under API Credentials")
        .has_not(SECRET);
    browser.open("/integrations").await.has("Nothing is connected yet");
    let connected = connect(&browser, &format!(" \"{API_KEY}\""), &format!("{API_SECRET}\r\n")).await;
    assert_eq!(connected.location.as_deref(), Some("/integrations/mine?done=connected-trimmed"));
    let page = browser.open("/integrations/mine?done=connected-trimmed").await;
    page.has("quotes around the pasted credential were removed").has("It has not run yet").has_not(API_SECRET);
    // The same name again.
    connect(&browser, API_KEY, API_SECRET).await.has("there is a connection mine already");
}

#[tokio::test]
async fn a_test_shows_a_line_per_permission_and_the_text_about_what_failed() {
    let world = World::empty().await;
    let browser = world.browser("admin").await;
    connect(&browser, API_KEY, API_SECRET).await;
    let page = browser.post("/integrations/mine/test", &[]).await;
    page.has("The test passed.").has("granted").has_not("not granted");
    let revision = hidden(&browser.open("/integrations/mine").await, "revision");
    let form = [("revision", revision.as_str()), ("apiKey", SECRET), ("apiSecret", SECRET)];
    let refused = browser.post("/integrations/mine/credential", &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.has("the one before is still used").has("The key was replaced or deleted").has_not(SECRET);
    browser.post("/integrations/mine/test", &[]).await.has("The test passed.");
    let form = [("revision", revision.as_str()), ("apiKey", API_KEY), ("apiSecret", API_SECRET)];
    let replaced = browser.post("/integrations/mine/credential", &form).await;
    assert_eq!(replaced.location.as_deref(), Some("/integrations/mine?done=replaced"));
    // A form of a page that is older than that change.
    let form = [("revision", revision.as_str()), ("online_within_hours", "12"), ("missing_after_days", "5")];
    assert_eq!(browser.post("/integrations/mine/settings", &form).await.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn settings_that_cannot_be_are_kept_in_the_form() {
    let world = World::new().await;
    let browser = world.browser("devops-engineer").await;
    let revision = hidden(&browser.open("/integrations/edr").await, "revision");
    for (hours, wrong) in [("a day", "a day is no whole number"), ("999999", "Nothing was changed")] {
        let form = [("revision", revision.as_str()), ("online_within_hours", hours), ("missing_after_days", "30")];
        let page = browser.post("/integrations/edr/settings", &form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        page.has(wrong).has(&format!("value=\"{hours}\""));
    }
    let form = [("revision", revision.as_str()), ("online_within_hours", "12"), ("missing_after_days", "5")];
    let saved = browser.post("/integrations/edr/settings", &form).await;
    assert_eq!(saved.location.as_deref(), Some("/integrations/edr?done=changed"));
    let id = ConnectionId::parse("edr").unwrap();
    assert_eq!(world.store.connection(&company(), &id).await.unwrap().unwrap().edr.online_within_hours(), 12);
}

#[tokio::test]
async fn organizations_are_mapped_many_at_once() {
    let world = World::new().await;
    let browser = world.browser("workspace-manager").await;
    let page = browser.open("/integrations/edr/mapping").await;
    page.has("no client").has("client-a");
    let revision = hidden(&page, "revision");
    let organizations: Vec<String> = page
        .body
        .split("name=\"organization\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect();
    let unmapped = organizations[0].as_str();
    let form = [
        ("revision", revision.as_str()),
        ("do", "bulk"),
        ("bulk_client", "client-new"),
        ("pick", unmapped),
        ("organization", unmapped),
    ];
    let saved = browser.post("/integrations/edr/mapping", &form).await;
    assert_eq!(saved.location.as_deref(), Some("/integrations/edr?done=mapped"));
    browser.open("/integrations/edr/mapping?search=client-new").await.has(unmapped).has("1 organization,");
    browser.open("/integrations/edr/mapping?search=%3Cb%3E").await.has("No organization is found by").has_not("<b>");
    // Somebody else's change in between is not overwritten.
    assert_eq!(browser.post("/integrations/edr/mapping", &form).await.status, StatusCode::PRECONDITION_FAILED);
}

/// A connection that was one client's is divided on the page, and no organization is lost by it.
#[tokio::test]
async fn what_was_one_clients_is_divided_on_the_page() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    let revision = hidden(&browser.open("/integrations/edr/mapping").await, "revision");
    let form = [("revision", revision.as_str()), ("do", "one"), ("one_client", "client-a")];
    assert_eq!(browser.post("/integrations/edr/mapping", &form).await.status, StatusCode::SEE_OTHER);
    let page = browser.open("/integrations/edr/mapping").await;
    page.has("Now all of it is one client").has("Give the ticked to this client").has_not("command line");
    let revision = hidden(&page, "revision");
    let organizations: Vec<String> = page
        .body
        .split("name=\"organization\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect();
    assert!(organizations.len() > 2, "{organizations:?}");
    let first = organizations[0].as_str();
    let names: Vec<String> = organizations.iter().map(|id| format!("client:{id}")).collect();
    let mut form =
        vec![("revision", revision.as_str()), ("do", "bulk"), ("bulk_client", "client-new"), ("pick", first)];
    for (id, name) in organizations.iter().zip(&names) {
        form.extend([("organization", id.as_str()), (name.as_str(), "client-a")]);
    }
    assert_eq!(browser.post("/integrations/edr/mapping", &form).await.status, StatusCode::SEE_OTHER);
    let id = ConnectionId::parse("edr").unwrap();
    let mapping = world.store.connection(&company(), &id).await.unwrap().unwrap().mapping;
    let common::domain::mapping::Mapping::ByOrganization { clients, ignored } = mapping else { panic!("{mapping:?}") };
    assert_eq!((clients.len(), ignored.len()), (organizations.len(), 0));
    assert_eq!(clients.values().filter(|client| client.as_str() == "client-new").count(), 1);
    assert_eq!(clients[first].as_str(), "client-new");
}

#[tokio::test]
async fn a_connection_is_paused_resumed_synced_and_taken_away() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    browser.post("/integrations/edr/pause", &[]).await;
    browser.open("/integrations/edr").await.has("paused").has("none while it is paused");
    browser.post("/integrations/edr/resume", &[]).await;
    browser.open("/integrations/edr").await.has("Pause the daily sync");
    let asked = browser.post("/integrations/edr/sync", &[]).await;
    assert_eq!(asked.location.as_deref(), Some("/integrations/edr?done=synced"));
    browser.open("/integrations/edr").await.has("data-live").has("queued");
    let revision = hidden(&browser.open("/integrations/edr").await, "revision");
    let page = browser.post("/integrations/edr/disconnect", &[("revision", &revision), ("named", "sat")]).await;
    page.has("type edr to remove it");
    let gone = browser.post("/integrations/edr/disconnect", &[("revision", &revision), ("named", "edr")]).await;
    assert_eq!(gone.location.as_deref(), Some("/integrations?done=disconnected"));
    assert_eq!(browser.get("/integrations/edr").await.status, StatusCode::NOT_FOUND);
    // Who only reads finds no form.
    let reader = world.browser("access-reviewer").await.open("/integrations/sat").await;
    reader.has_not("Sync now</button>").has_not("Disconnect");
    reader.has("How it is set up");
}

#[tokio::test]
async fn without_a_client_of_oauth_nobody_is_sent_to_huntress() {
    let world = World::empty().await;
    let browser = world.browser("admin").await;
    browser.open("/integrations").await.has_not("Connect by agreeing at Huntress");
    let form = [("id", "sat"), ("client", "client-c"), ("clientSecret", SECRET)];
    let refused = browser.post("/integrations/redirect", &form).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.has("oauth_not_configured").has_not(SECRET);
}

#[tokio::test]
async fn the_end_of_a_credential_is_told_before_it_comes() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    browser.open("/integrations/edr").await.has_not("<dt>Credential</dt>");
    let id = ConnectionId::parse("edr").unwrap();
    let actor = common::domain::audit::Actor::cli("somebody");
    for (days, said) in [(60, "good"), (7, "ends soon: replace it")] {
        let at = common::clock::Clock::now(&world.clock) + chrono::TimeDelta::days(days);
        let change = SettingsChange { expires_at: Some(ExpiryChange::At(at)), ..Default::default() };
        world.console.connections.connections.change_settings(&company(), &id, change, None, &actor).await.unwrap();
        browser.open("/integrations/edr").await.has("<dt>Credential</dt>").has(said);
        browser.open("/integrations").await.has("<dt>Credential</dt>").has(said);
    }
    browser.open("/").await.has("The credential of <bdi>edr</bdi> ends soon").has("/integrations/edr#credential");
    // Who is bound to clients has no connections.
    world.browser("auditor").await.open("/").await.has_not("The credential of");
    world.clock.move_to(common::clock::Clock::now(&world.clock) + chrono::TimeDelta::days(8));
    // The session of before has ended, too.
    let browser = world.browser("admin").await;
    browser.open("/integrations/edr").await.has("has ended: replace it");
    browser.open("/").await.has("The credential of <bdi>edr</bdi> has ended");
}
