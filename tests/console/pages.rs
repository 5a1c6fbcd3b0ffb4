//! What pages show.

use super::world::{Browser, CLIENT, OTHER, World, caller, first, reads, run, training_run};
use chrono::TimeDelta;
use common::api::Caller;
use common::domain::time::Window;
use common::pack::verify::{Known, verify};
use reqwest::StatusCode;

/// The page of the endpoint evidence of a day.
fn evidence(day: i64) -> String {
    format!("/clients/client-a/evidence/huntress-edr/{}", run(day))
}

#[tokio::test]
async fn a_client_page_has_its_cards_rules_ages_and_days() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    let page = browser.open("/clients/client-a").await;
    page.has("Endpoints").has("Incidents").has("Security awareness training").has("Phishing simulations");
    page.has("passes with at least 95 %, warns down to 90 %").has("2 h old").has("How this came about");
    page.has("href=\"/clients/client-a/over-time\"").has_not("Agents by state");
    // The days from the short records: seven, on the third of which the endpoints have none.
    page.has("30 days: · no evidence on 24 days").has("30 days: · no evidence on 23 days");
    page.has("<title>2026-03-18: no evidence</title>").has("<th scope=row>2026-03-18<td>no evidence");
    page.has_not("None").has_not(">null<");
    assert!(page.body.len() < 60_000, "{}", page.body.len());
    // A link of an earlier release leads to the same page.
    assert_eq!(browser.open("/clients/client-a?days=90").await.body.len(), page.body.len());
}

#[tokio::test]
async fn numbers_over_time_are_lines_and_tables() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    let page = browser.open("/clients/client-a/over-time").await;
    page.has("Agents by state").has("url(#hatch)").has("no value on that day").has("pass from 95 %");
    page.has("2026-02-21 to 2026-03-22").has("?days=90\">90 days").has("<strong>30 days</strong>");
    page.has("<summary>Numbers: Training coverage</summary>").has("<th scope=row>2026-03-22<td>").has_not("None");
    let page = browser.open("/clients/client-a/over-time?days=365").await;
    page.has("2025-03-23 to 2026-03-22").has("<strong>365 days</strong>");
    for days in ["0", "3", "7"] {
        browser.open(&format!("/clients/client-a/over-time?days={days}")).await.has("2026-03-16 to 2026-03-22");
    }
    for wrong in ["-1", "x", "70000", ""] {
        let page = browser.get(&format!("/clients/client-a/over-time?days={wrong}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(browser.get("/clients/nobody/over-time").await.status, StatusCode::NOT_FOUND);
    // An auditor's window ends on the fifth day.
    let page = world.browser("auditor").await.open("/clients/client-a/over-time").await;
    page.has("2026-03-16 to 2026-03-20, as of").has("<th scope=row>2026-03-20<td>").has("over 5 days");
    page.has_not("2026-03-21").has_not("row>2026-03-22").has_not(">2026-03-22</text>");
}

/// With as much history as they show.
#[tokio::test]
async fn pages_with_much_to_show_stay_small() {
    let world = World::of_days(90).await;
    let browser = world.browser("admin").await;
    for (path, most) in [
        ("/clients/client-a", 60_000),
        ("/clients/client-a/over-time?days=90", 60_000),
        ("/clients/client-a/over-time?days=365", 150_000),
        ("/clients/client-a/controls", 60_000),
        ("/clients/client-a/window", 110_000),
    ] {
        let page = browser.open(path).await;
        println!("{path}: {} bytes", page.body.len());
        assert!(page.body.len() < most, "{path}: {}", page.body.len());
    }
    world.connect_many(500, 89).await;
    drop(world.counted.take());
    let page = browser.open("/").await;
    let asked = reads(&world.counted.take());
    page.has("502 clients, worst first").has("organizations of <bdi>edr</bdi> are no client's");
    assert_eq!(page.body.matches("<tr><th scope=row>").count(), 500);
    println!("/: {} bytes, {asked} reads", page.body.len());
    assert!(page.body.len() < 150_000 && asked <= 6, "{} bytes, {asked} reads", page.body.len());
}

/// As many reads for fifty clients as for two.
#[tokio::test]
async fn the_settings_of_many_clients_are_read_together() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    let asked = async || {
        drop(world.counted.take());
        let page = browser.open("/settings").await;
        (page.body.matches(": none is named").count(), reads(&world.counted.take()))
    };
    let (few, of_few) = asked().await;
    world.connect_many(60, 1).await;
    let (many, of_many) = asked().await;
    println!("/settings: {of_few} reads for {few} clients, {of_many} for {many}");
    assert!(few < many && of_many == of_few, "{of_few} reads for {few} clients, {of_many} for {many}");
}

/// What an auditor may not see is not in the days at a glance either, though the short record has it.
#[tokio::test]
async fn the_days_at_a_glance_begin_with_the_window_of_who_looks() {
    let world = World::of_days(40).await;
    let from = first() + TimeDelta::days(30) - TimeDelta::hours(8);
    let window = Window { start: from, end: first() + TimeDelta::days(60) };
    let caller = Caller { window: Some(window), ..caller("auditor").unwrap() };
    let browser = world.browser_of(caller).await;
    let page = browser.open("/clients/client-a").await;
    page.has("<title>2026-04-15: ").has("<title>2026-04-24: ").has("10 days: ").has_not("2026-04-14");
    let page = world.browser("admin").await.open("/clients/client-a").await;
    page.has("<title>2026-03-26: ").has("30 days: ");
}

#[tokio::test]
async fn evidence_that_is_old_never_looks_like_a_pass() {
    let world = World::new().await;
    world.clock.move_to(first() + TimeDelta::days(8));
    let browser = world.browser("admin").await;
    for path in ["/clients/client-a", "/clients/client-a/controls", "/"] {
        browser.open(path).await.has("stale (was").has_not("class=\"state pass");
    }
}

#[tokio::test]
async fn without_a_connection_the_way_to_one_is_shown() {
    let world = World::empty().await;
    let browser = world.browser("admin").await;
    browser.open("/").await.has("Nothing is connected yet").has("href=\"/integrations\"");
    browser.open("/runs").await.has("nothing has run");
    browser.open("/exceptions").await.has("There is none");
    browser.open("/packs").await.has("nothing to prove");
    browser.open("/audit-log").await.has("Nothing was done");
    browser.open("/settings").await.has("Nothing has been signed yet").has("admin");
}

#[tokio::test]
async fn the_portfolio_shows_the_worst_first_and_what_is_no_clients() {
    let world = World::new().await;
    let page = world.browser("admin").await.open("/").await;
    page.has("organizations of <bdi>edr</bdi> are no client's").has("<svg><path d=").has("not connected");
    page.has("2 clients, worst first");
    // Who sees some clients only sees no organization of others.
    let page = world.browser("auditor").await.open("/").await;
    page.has(CLIENT).has_not(OTHER).has_not("are no client").has_not("/integrations");
}

#[tokio::test]
async fn control_cards_have_their_rules_support_and_rationale() {
    let world = World::new().await;
    let browser = world.browser("access-reviewer").await;
    let page = browser.open("/clients/client-a/controls").await;
    page.has("SOC 2 CC6.8").has("NIST CSF").has("direct").has("supporting").has("<a href=\"explain/edr-online\">");
    assert!(page.body.len() < 60_000, "{}", page.body.len());
    page.has_not("Propose an exception");
    let page = browser.open("/clients/client-a/controls?framework=SOC%202").await;
    page.has("SOC 2 CC6.8").has_not("<h3>NIST CSF");
    world.browser("admin").await.open("/clients/client-a/controls").await.has("Propose an exception");
}

#[tokio::test]
async fn the_window_has_a_reason_for_each_gap() {
    let world = World::new().await;
    let browser = world.browser("admin").await;
    let page = browser.open("/clients/client-a/window?from=2026-03-10&to=2026-03-23").await;
    page.has("failed: unavailable at GET /v1/agents").has("the connection was made after that day");
    page.has("2026-03-18: failed").has(&format!("\"evidence/huntress-edr/{}", run(1))).has("Longest gap");
    let csv = browser.open("/clients/client-a/window.csv?from=2026-03-16&to=2026-03-18").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.body.lines().count(), 7, "{}", csv.body);
    csv.has("2026-03-18,edr,huntress-edr,,,,failed,unavailable,GET /v1/agents\r\n");
    // What cannot be is told, and the usual days are shown.
    browser.open("/clients/client-a/window?from=%3Cscript%3E").await.has("must be a day like").has_not("<script>");
    browser
        .open("/clients/client-a/window?from=2026-03-20&to=2026-03-10")
        .await
        .has("before it begins")
        .has("value=\"2026-03-20\"");
    browser.open("/clients/client-a/window?from=2030-01-01&to=2030-01-02").await.has("lies ahead");
}

#[tokio::test]
async fn an_auditor_sees_the_own_window_and_nothing_after_it() {
    let world = World::new().await;
    let auditor = world.browser("auditor").await;
    let page = auditor.open("/clients/client-a/window?from=2020-01-01&to=2026-12-31").await;
    page.has("value=\"2026-03-16\"").has("value=\"2026-03-20\"").has_not("2026-03-21");
    auditor.open(&evidence(1)).await.has("SHA-256");
    let later = auditor.get(&evidence(6)).await;
    assert_eq!(later.status, StatusCode::NOT_FOUND);
    auditor.open("/clients/client-a").await.has("As of").has("2026-03-20 11:05");
    for path in ["/runs", "/integrations"] {
        assert!(auditor.get(path).await.status.is_client_error(), "{path}");
        auditor.open("/").await.has_not(&format!("href=\"{path}\""));
    }
    let page = auditor.post("/packs", &[("client", CLIENT), ("from", "2026-03-16"), ("to", "2026-03-22")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("your token may see").has("value=\"2026-03-22\"");
}

#[tokio::test]
async fn evidence_is_shown_down_to_its_bytes() {
    let world = World::new().await;
    let browser = world.browser("auditor").await;
    let path = evidence(1);
    let page = browser.open(&path).await;
    page.has("leaf 1 of the log of edr").has("none covers it yet").has("/v1/agents").has("edr-online");
    page.has("agents_total").has("What this does not prove").has("that Huntress told the truth");
    let bytes = browser.open(&format!("{path}/bytes")).await;
    let sha256: String = bytes.headers["etag"].to_str().unwrap().trim_matches('"').replace("sha256-", "");
    page.has(&sha256);
    use sha2::{Digest, Sha256};
    let hex: String = Sha256::digest(&bytes.body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, sha256);
    let page = browser.open(&format!("/clients/client-a/evidence/huntress-sat/{}", training_run(1))).await;
    page.has("workforce_coverage.coverage_pct").has("sat-coverage");
    for path in ["huntress-edr/run-9999", "huntress-x/run-9999", "huntress-edr/%3Cb%3E"] {
        assert_eq!(browser.get(&format!("/clients/client-a/evidence/{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn findings_and_other_limits() {
    let world = World::new().await;
    let browser = world.browser("access-reviewer").await;
    let page = browser.open("/clients/client-a/findings").await;
    assert!(
        page.body.contains("Agents that are missing") || page.body.contains("Incidents that are open"),
        "{}",
        page.body
    );
    let page = browser.open("/clients/client-a/what-if").await;
    // Huntress says of these agents what they are, so no age decides it.
    page.has("by a word of Huntress").has("the same").has_not("fewer");
    browser.open("/clients/client-a/what-if?hours=x&days=%3Cb%3E").await.has("whole numbers").has_not("<b>");
}

#[tokio::test]
async fn a_rule_is_explained_down_to_its_requests() {
    let world = World::new().await;
    let browser = world.browser("access-reviewer").await;
    browser.open("/clients/client-a").await.has("href=\"/clients/client-a/explain/edr-online\"");
    let page = browser.open("/clients/client-a/explain/edr-online").await;
    page.has("agents online / agents").has("baseline 1.0.0").has("passes with at least 95 %").has("/v1/agents");
    page.has("online up to 24 h").has("was committed with the evidence").has(&format!("huntress-edr/{}", run(6)));
    page.has("What would change it").has_not("Propose an exception").has_not("None");
    let page = browser.open("/clients/client-a/explain/sat-coverage").await;
    page.has("training 1.0.0").has("passes with at least 90 %").has("Formula");
    // A metric that no rule is about, and one that nobody knows.
    browser.open("/clients/client-a/explain/agents_isolated").await.has("No rule in force is about this number");
    for unknown in ["no-such-rule", "%3Cscript%3E"] {
        let page = browser.get(&format!("/clients/client-a/explain/{unknown}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        page.has_not("<script>");
    }
    // As it was: the evidence of a day leads to its own explanation.
    let link = browser.open(&evidence(1)).await;
    let link =
        link.body.split("href=\"/clients/client-a/explain/edr-online").nth(1).unwrap().split('"').next().unwrap();
    let page = browser.open(&format!("/clients/client-a/explain/edr-online{link}")).await;
    page.has(&format!("huntress-edr/{}", run(1)));
    assert_eq!(browser.get("/clients/client-a/explain/edr-online?as_of=soon").await.status, StatusCode::BAD_REQUEST);
    // Who is bound to a window is told what was so at its end.
    let page = world.browser("auditor").await.open("/clients/client-a/explain/edr-online").await;
    page.has(&format!("huntress-edr/{}", run(4))).has_not(run(6).as_str());
    world.browser("admin").await.open("/clients/client-a/explain/edr-online").await.has("Propose an exception");
}

#[tokio::test]
async fn other_limits_of_rules_show_their_differences_only() {
    let world = World::new().await;
    let browser = world.browser("access-reviewer").await;
    let page = browser.open("/clients/client-a/what-if").await;
    page.has("name=\"edr-online.pass\"").has("strict 1.0.0").has_not("evaluated again");
    let days = "from=2026-03-16&to=2026-03-22";
    let page = browser.open(&format!("/clients/client-a/what-if?policy=strict+1.0.0&edr-tamper.pass=99&{days}")).await;
    page.has("evaluated again").has("something would differ on 6 days").has("2026-03-19 to 2026-03-22 (4 days)");
    page.has("<option selected>strict 1.0.0").has("name=\"edr-tamper.pass\" value=\"99\"");
    page.has("passes with at least 99 %").has("not_evaluated".replace('_', " ").as_str());
    let page = browser.open(&format!("/clients/client-a/what-if?sat-coverage.warning=70&{days}")).await;
    page.has("nothing would differ");
    // What cannot be is told in words, and kept.
    for (query, wrong) in [
        ("edr-online.pass=89", "stricter than the pass"),
        ("edr-online.pass=%3Cb%3E", "sets no limit"),
        ("no-such.pass=1", "no rule no-such is in force"),
        ("edr-online.pass=91&from=x", "From must be a day"),
        ("edr-online.pass=91&from=2026-03-20&to=2026-03-10", "before it begins"),
        ("policy=no-such+1.0.0", "there is no policy"),
    ] {
        let page = browser.open(&format!("/clients/client-a/what-if?{query}")).await;
        page.has(wrong).has("What you typed is still here").has_not("<b>").has_not("evaluated again");
    }
    browser.open("/clients/client-a/what-if?edr-online.pass=%3Cb%3E").await.has("value=\"&#60;b&#62;\"");
    // An auditor's window holds here, too.
    let page = world.browser("auditor").await.open("/clients/client-a/what-if?policy=strict+1.0.0").await;
    page.has("something would differ on 4 days").has_not("2026-03-21");
}

#[tokio::test]
async fn training_has_its_curve_and_people_only_for_who_may() {
    let world = World::new().await;
    let page = world.browser("access-reviewer").await.open("/clients/client-a/training").await;
    page.has("tracks people").has("keeps nothing of people");
    page.has("If nobody trains again").has("30 days</th>").has("60 days</th>").has("90 days</th>");
    page.has("Coverage ahead").has("pass from 90 %");
    // Those who left count, and it is said how many they are.
    page.has("% of the workforce are trained, counting ").has(" departed</td>");
    world.browser("auditor").await.open("/clients/client-a/training").await.has("Your role does not see people");
}

#[tokio::test]
async fn an_exception_is_proposed_by_one_and_approved_by_another() {
    let world = World::new().await;
    let (engineer, manager) = (world.browser("devops-engineer").await, world.browser("workspace-manager").await);
    let form = |reason: &'static str, until: &'static str| {
        [
            ("client", CLIENT),
            ("kind", "rule"),
            ("named", "edr-online"),
            ("reason", reason),
            ("until", until),
            ("link", ""),
        ]
    };
    // What is wrong is told, and what was typed is kept.
    let page = engineer.post("/exceptions", &form("too <short>", "2026-06-01")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.has("too &#60;short&#62;").has("at least 20").has("value=\"2026-06-01\"").has("value=\"edr-online\"");
    let page = engineer.post("/exceptions", &form("Replaced by the end of May: <b>ticket</b> 17", "2020-01-01")).await;
    page.has("would end before it begins").has("choose a day after").has("ticket").has_not("--until");
    let page = engineer.post("/exceptions", &form("Replaced by the end of May: <b>ticket</b> 17", "2026-06-01")).await;
    assert_eq!((page.status, page.location.as_deref()), (StatusCode::SEE_OTHER, Some("/exceptions?done=proposed")));
    let page = engineer.open("/exceptions").await;
    page.has("proposed").has("&#60;b&#62;ticket").has_not("<b>ticket").has_not("Approve");
    let page = manager.open("/exceptions").await;
    let id = page.body.split("action=\"/exceptions/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let approve = format!("/exceptions/{id}/approve");
    assert_eq!(engineer.post(&approve, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(manager.post(&approve, &[]).await.location.as_deref(), Some("/exceptions?done=approved"));
    manager.open("/exceptions").await.has("approved").has("Revoke");
    let again = manager.post(&approve, &[]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(manager.post("/exceptions/0123456789ab/approve", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_approves_what_they_proposed() {
    let world = World::new().await;
    let manager = world.browser("workspace-manager").await;
    let form = [
        ("client", CLIENT),
        ("kind", "control"),
        ("named", "SOC 2 CC6.8"),
        ("reason", "Replaced by the end of May."),
        ("until", "2026-06-01"),
    ];
    assert_eq!(manager.post("/exceptions", &form).await.status, StatusCode::SEE_OTHER);
    manager.open("/exceptions").await.has("somebody else decides").has_not("<button>Approve");
    let page = world.browser("admin").await.open("/exceptions").await;
    let id = page.body.split("action=\"/exceptions/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let own = manager.post(&format!("/exceptions/{id}/approve"), &[]).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", own.body);
}

#[tokio::test]
async fn a_pack_from_the_page_verifies() {
    let world = World::new().await;
    let browser = world.browser("auditor").await;
    let form = [("client", CLIENT), ("from", "2026-03-16"), ("to", "2026-03-20")];
    let page = browser.post("/packs", &form).await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/packs?client=client-a")),
        "{}",
        page.body
    );
    let path = ready(&browser).await;
    let pack = browser.bytes(&path).await;
    let page = browser.open("/packs").await;
    let key = page.body.split("--key &#39;").nth(1).or_else(|| page.body.split("--key '").nth(1)).unwrap();
    let key = key.split(['\'', '&']).next().unwrap().parse_key();
    let report = verify(&pack, &Known { keys: vec![key], older: Vec::new() });
    assert!(report.is_good(), "{:?}", report.failure());
    let other = world.browser("of-client-b").await;
    assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND);
}

trait ParseKey {
    fn parse_key(&self) -> common::domain::note::VerifierKey;
}

impl ParseKey for str {
    fn parse_key(&self) -> common::domain::note::VerifierKey {
        common::domain::note::VerifierKey::parse(self).unwrap()
    }
}

/// The path of the pack, once it is there.
async fn ready(browser: &Browser) -> String {
    for _ in 0..2_000 {
        let page = browser.open("/packs?client=client-a").await;
        if let Some(path) = page.body.split("href=\"/packs/client-a/").nth(1) {
            return format!("/packs/client-a/{}", path.split('"').next().unwrap());
        }
        page.has("being made").has("data-live");
        tokio::task::yield_now().await;
    }
    panic!("no pack was made");
}

#[tokio::test]
async fn a_policy_is_chosen_and_the_log_says_by_whom() {
    let world = World::new().await;
    let browser = world.browser("devops-engineer").await;
    browser.open("/settings").await.has("strict 1.0.0").has("(8 rules, preset)").has("(baseline 1.0.0)");
    let page = browser.post("/settings/policy", &[("client", CLIENT), ("policy", "strict 1.0.0")]).await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/settings?done=policy")),
        "{}",
        page.body
    );
    browser.open("/settings?done=policy").await.has("counts from now on").has("(strict 1.0.0)");
    for (client, policy, wrong) in
        [(CLIENT, "no-such 1.0.0", "there is no policy"), ("nobody", "strict 1.0.0", "there is no client")]
    {
        let page = browser.post("/settings/policy", &[("client", client), ("policy", policy)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        page.has(wrong);
    }
}

#[tokio::test]
async fn runs_show_what_failed_as_text() {
    let world = World::new().await;
    let page = world.browser("admin").await.open("/runs").await;
    page.has("Huntress said &#60;b&#62;no&#60;/b&#62;").has_not("<b>no").has("succeeded").has("failed");
}

/// Requests to the table for each page, printed: those that the page makes, once it is known who looks. Of a deployed console one more asks whether the session
/// was ended (`issuer.rs`). A failed run lies behind the newest evidence, an exception was decided, and a policy chosen.
#[tokio::test]
async fn pages_read_the_table_a_few_times() {
    let world = World::new().await;
    let (browser, manager) = (world.browser("admin").await, world.browser("workspace-manager").await);
    let form = [
        ("client", CLIENT),
        ("kind", "rule"),
        ("named", "edr-online"),
        ("reason", "The laptops of the sales team are replaced in May."),
        ("until", "2026-06-01"),
    ];
    assert_eq!(browser.post("/exceptions", &form).await.status, StatusCode::SEE_OTHER);
    let page = manager.open("/exceptions").await;
    let id = page.body.split("action=\"/exceptions/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(manager.post(&format!("/exceptions/{id}/approve"), &[]).await.status, StatusCode::SEE_OTHER);
    // More failed runs than the leaves of the last one alone prove.
    for day in 7..12 {
        world.fail(day).await;
    }
    world.clock.move_to(first() + TimeDelta::days(11) + TimeDelta::hours(2));
    let browser = world.browser("admin").await;
    browser.open("/clients/client-a").await.has("The last run failed").has("accepted");
    for (path, most) in [
        ("", 3),
        ("/controls", 3),
        ("/findings", 3),
        ("/explain/edr-online", 3),
        ("/explain/sat-coverage", 3),
        ("/training", 3),
        ("/what-if", 4),
        ("/over-time", 8),
        ("/over-time?days=365", 8),
        ("/window", 14),
    ] {
        let path = format!("/clients/client-a{path}");
        let (bytes, asked) = asked(&world, &browser, &path).await;
        println!("{path}: {bytes} bytes, {asked} reads");
        assert!(asked <= most, "{path}: {asked}");
    }
    for (path, most) in [("/", 6), ("/integrations", 1), ("/integrations/edr", 8), ("/exceptions", 8)] {
        let (bytes, asked) = asked(&world, &browser, path).await;
        println!("{path}: {bytes} bytes, {asked} reads");
        assert!(asked <= most, "{path}: {asked}");
    }
    for path in [&evidence(1), "/runs", "/packs", "/audit-log", "/settings"] {
        let (bytes, asked) = asked(&world, &browser, path).await;
        println!("{path}: {bytes} bytes, {asked} reads");
    }
}

async fn asked(world: &World, browser: &Browser, path: &str) -> (usize, u64) {
    drop(world.counted.take());
    let page = browser.open(path).await;
    (page.body.len(), reads(&world.counted.take()))
}
