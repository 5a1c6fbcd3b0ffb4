//! People on the pages: from the list of who has to be trained to a link that shows one of them their own training; and what is kept of them.

use super::world::{Browser, CLIENT, Page, World, company};
use common::domain::id::ConnectionId;
use common::domain::people::person::PrivacyMode;
use reqwest::StatusCode;

const TRAINING: &str = "/clients/client-a/training";

/// The page of somebody who has not completed their training, by the link of the list.
async fn somebody(browser: &Browser) -> String {
    let page = browser.open(&format!("{TRAINING}?status=not_compliant")).await;
    let path = page.body.split("href=\"/integrations/sat/people/").nth(1).unwrap_or_else(|| panic!("{}", page.body));
    format!("/integrations/sat/people/{}", path.split('"').next().unwrap())
}

/// The address of the link that was just made, below the console's.
fn made(world: &World, page: &Page) -> String {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let address = page.body.split("id=\"address\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    address.strip_prefix(&world.origin).unwrap_or_else(|| panic!("{address} is not of {}", world.origin)).to_owned()
}

fn hidden(page: &Page, name: &str) -> String {
    let field = page.body.split(&format!("name=\"{name}\" value=\"")).nth(1).and_then(|rest| rest.split('"').next());
    field.unwrap_or_else(|| panic!("no {name} in {}", page.body)).to_owned()
}

#[tokio::test]
async fn an_engineer_makes_a_link_and_the_employee_opens_it() {
    let world = World::followed().await;
    let engineer = world.browser("workspace-manager").await;
    let path = somebody(&engineer).await;
    let person = path.rsplit('/').next().unwrap();
    let page = engineer.open(&path).await;
    page.has(person).has("not compliant").has("No link of theirs works now").has("first seen: not compliant");
    page.has_not("Take back").has_not("learner.example");
    let page = engineer.post(&format!("{path}/link"), &[("days", "14")]).await;
    page.has("shown this once").has("It works until").has("take it back").has("One link of theirs works");
    assert_eq!(page.headers["cache-control"], "no-store");
    // Nobody but this machine reaches it, and that is said.
    page.has("one of this machine alone").has("PUBLIC_URL");
    let link = made(&world, &page);
    engineer.open(&path).await.has_not(&link).has("One link of theirs works");
    // The employee, who has no session.
    let employee = world.stranger();
    let own = employee.open(&link).await;
    own.has("Not complete").has("Go to your training").has("do not pass the link on");
    own.has_not(person).has_not("msp-acme").has_not(CLIENT).has_not("<form").has_not("Sign out");
    assert_eq!(own.headers["referrer-policy"], "no-referrer");
    // A session on the same machine is not shown with it.
    engineer.open(&link).await.has_not("Sign out").has("Not complete");
    // Taken back, each link of theirs shows nothing; another one does again.
    let second = made(&world, &engineer.post(&format!("{path}/link"), &[("days", "1")]).await);
    engineer.open(&path).await.has("2 links of theirs work").has("Take back all their links");
    let page = engineer.post(&format!("{path}/take-back"), &[]).await;
    assert_eq!(page.location, Some(format!("{path}?done=taken-back")), "{}", page.body);
    engineer.open(&format!("{path}?done=taken-back")).await.has("Taken back").has("No link of theirs works now");
    for link in [&link, &second] {
        let page = employee.get(link).await;
        assert_eq!(page.status, StatusCode::GONE);
        page.has("has taken it back").has("Ask whoever sent it to you").has_not("Not complete");
    }
    let third = made(&world, &engineer.post(&format!("{path}/link"), &[("days", "90")]).await);
    employee.open(&third).await;
    // What was done is in the audit log, and to whom is not.
    let log = world.browser("admin").await.open("/audit-log").await;
    log.has("onboarding_link.created").has("onboarding_link.revoked").has_not(person).has_not(&link[12..]);
}

#[tokio::test]
async fn links_are_for_who_may_change_people() {
    let world = World::followed().await;
    let path = somebody(&world.browser("admin").await).await;
    let reviewer = world.browser("access-reviewer").await;
    reviewer.open(&path).await.has("Your role makes no links").has_not("Make a link for them").has_not("reason");
    for token in ["devops-engineer", "auditor", "nothing"] {
        assert_eq!(world.browser(token).await.get(&path).await.status, StatusCode::FORBIDDEN, "{token}");
    }
    for token in ["access-reviewer", "devops-engineer", "auditor", "nothing"] {
        let browser = world.browser(token).await;
        for form in ["link", "take-back", "name"] {
            let page = browser.post(&format!("{path}/{form}"), &[("days", "14"), ("reason", "curiosity")]).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{token} {form}");
            page.has("<code>scope_missing</code>");
        }
    }
    // Who is bound to clients has no people, whatever their role.
    let bound = world.browser("of-client-b").await;
    assert_eq!(bound.post(&format!("{path}/link"), &[("days", "14")]).await.status, StatusCode::FORBIDDEN);
    for nobody in ["0123456789abcdef0123456789abcdef", "%3Cb%3E", "person-2"] {
        let page = world.browser("admin").await.get(&format!("/integrations/sat/people/{nobody}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{nobody}");
    }
}

#[tokio::test]
async fn a_link_of_no_length_is_refused_and_what_was_typed_is_kept() {
    let world = World::followed().await;
    let engineer = world.browser("admin").await;
    let path = somebody(&engineer).await;
    for days in ["0", "91", "-1", "<b>soon", ""] {
        let page = engineer.post(&format!("{path}/link"), &[("days", days)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{days}");
        page.has("No link was made: a link lasts 1 to 90 days").has_not("id=\"address\"").has_not("<b>soon");
        page.has(&format!("name=\"days\" value=\"{}\"", days.replace('<', "&#60;").replace('>', "&#62;")));
    }
    engineer.open(&path).await.has("No link of theirs works now");
}

#[tokio::test]
async fn a_person_is_found_by_their_learner_id_which_stands_in_no_address() {
    let world = World::followed().await;
    let engineer = world.browser("workspace-manager").await;
    let find = format!("{TRAINING}/find");
    let page = engineer.post(&find, &[("learner", " person-2 ")]).await;
    let path = page.location.unwrap();
    assert!(path.starts_with("/integrations/sat/people/") && !path.contains("person-2"), "{path}");
    engineer.open(&path).await.has("<dt>Missing</dt><dd><code>B</code>");
    let page = engineer.post(&find, &[("learner", "person-9<b>")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("Nobody of this id").has("value=\"person-9&#60;b&#62;\"").has_not("<b>");
    // Who they are is opened for a reason.
    let name = format!("{path}/name");
    let page = engineer.post(&name, &[("reason", "  ")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("Nothing was opened").has_not("learner.example");
    let page = engineer.post(&name, &[("reason", "to send <their> link")]).await;
    page.has("First-person-2 Last-person-2").has("person-2@learner.example");
    let page = engineer.open(&path).await;
    page.has("name and email opened by").has("to send &#60;their&#62; link").has_not("learner.example");
}

async fn mode(world: &World) -> PrivacyMode {
    let id = ConnectionId::parse("sat").unwrap();
    world.store.connection(&company(), &id).await.unwrap().unwrap().people.mode
}

const PRIVACY: &str = "/integrations/sat/privacy";

#[tokio::test]
async fn what_is_kept_of_people_is_chosen_on_the_page() {
    let mut world = World::followed().await;
    let admin = world.browser("admin").await;
    let path = somebody(&admin).await;
    let link = made(&world, &admin.post(&format!("{path}/link"), &[("days", "14")]).await);
    let page = admin.open("/integrations/sat").await;
    page.has("With names, encrypted (now)").has("Counts only</label>").has("Under a hash</label>");
    page.has("value=\"full\" checked").has("keyed hash of their learner id");
    let revision = hidden(&page, "revision");
    // What would be erased has to be meant; the choice stays, and nothing has changed.
    let page = admin.post(PRIVACY, &[("revision", &revision), ("mode", "pseudonymous")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("Nothing was changed").has("erased for good").has("value=\"pseudonymous\" checked");
    page.has_not("value=\"full\" checked").has("With names, encrypted (now)");
    for wrong in ["", "everything", "Full"] {
        let page = admin.post(PRIVACY, &[("revision", &revision), ("mode", wrong), ("erase", "yes")]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        page.has("choose what is kept of people");
    }
    assert_eq!(mode(&world).await, PrivacyMode::Full);
    world.stranger().open(&link).await;
    let form = [("revision", revision.as_str()), ("mode", "pseudonymous"), ("erase", "yes")];
    let page = admin.post(PRIVACY, &form).await;
    assert_eq!(page.location.as_deref(), Some("/integrations/sat?done=privacy"), "{}", page.body);
    admin.open("/integrations/sat?done=privacy").await.has("was changed").has("Under a hash (now)");
    assert_eq!(mode(&world).await, PrivacyMode::Pseudonymous);
    // No name is there to be opened any more, and the link shows nothing.
    admin.open(&path).await.has_not("Why do you open their name?");
    world.stranger().get(&link).await.has("is not kept any more");
    // Everybody is erased with the last step; a sync does not bring them back.
    let revision = hidden(&admin.open("/integrations/sat").await, "revision");
    let form = [("revision", revision.as_str()), ("mode", "aggregate"), ("erase", "yes")];
    assert_eq!(admin.post(PRIVACY, &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
    world.sync("sat").await;
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND);
    admin.open("/integrations/sat").await.has("Counts only (now)").has_not("Erase for good");
    // More is kept without anything to erase.
    let revision = hidden(&admin.open("/integrations/sat").await, "revision");
    let page = admin.post(PRIVACY, &[("revision", &revision), ("mode", "full")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let log = admin.open("/audit-log").await;
    assert!(log.body.matches("privacy.changed").count() >= 3, "{}", log.body);
}

#[tokio::test]
async fn a_choice_over_somebody_elses_change_is_kept_and_changes_nothing() {
    let world = World::followed().await;
    let admin = world.browser("admin").await;
    let old = hidden(&admin.open("/integrations/sat").await, "revision");
    let settings =
        [("revision", old.as_str()), ("max_assignments", "50"), ("max_activity", "1000"), ("max_campaigns", "20")];
    let page = admin.post("/integrations/sat/settings", &settings).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let form = |revision| [("revision", revision), ("mode", "aggregate"), ("erase", "yes")];
    let page = admin.post(PRIVACY, &form(&old)).await;
    assert_eq!(page.status, StatusCode::PRECONDITION_FAILED);
    page.has("was changed since you opened this page").has("value=\"aggregate\" checked").has("value=\"yes\" checked");
    assert_eq!(mode(&world).await, PrivacyMode::Full);
    let path = somebody(&admin).await;
    assert_eq!(admin.get(&path).await.status, StatusCode::OK, "nobody was erased");
    // The page that says so can be sent again.
    let again = hidden(&page, "revision");
    assert_ne!(again, old);
    assert_eq!(admin.post(PRIVACY, &form(&again)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(mode(&world).await, PrivacyMode::Aggregate);
    // Of other forms the words are those of a page, and not of headers.
    let page = admin.post("/integrations/sat/settings", &settings).await;
    assert_eq!(page.status, StatusCode::PRECONDITION_FAILED);
    page.has("open the page again").has("50").has_not("If-Match");
}

#[tokio::test]
async fn only_who_may_erase_people_says_what_is_kept_of_them() {
    let world = World::followed().await;
    for token in ["workspace-manager", "devops-engineer", "access-reviewer"] {
        let browser = world.browser(token).await;
        let page = browser.open("/integrations/sat").await;
        page.has("<dt>Kept of people</dt><dd>With names, encrypted").has_not("Save what is kept");
        let revision = world.store.connection(&company(), &ConnectionId::parse("sat").unwrap()).await.unwrap().unwrap();
        let revision = revision.revision.to_string();
        let form = [("revision", revision.as_str()), ("mode", "aggregate"), ("erase", "yes")];
        let page = browser.post(PRIVACY, &form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
        page.has("<code>scope_missing</code>");
    }
    assert_eq!(mode(&world).await, PrivacyMode::Full);
    // A connection of endpoints knows no people.
    let world = World::new().await;
    let admin = world.browser("admin").await;
    let page = admin.open("/integrations/edr").await;
    page.has_not("kept of people");
    let revision = hidden(&page, "revision");
    let page = admin.post("/integrations/edr/privacy", &[("revision", &revision), ("mode", "full")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("which knows no people");
}
