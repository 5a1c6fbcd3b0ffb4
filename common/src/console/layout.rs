//! What stands around every page, and the small things that stand in all of them: states, instants, ages.

use super::{Session, assets, words};
use crate::api::Scope;
use crate::domain::calendar::Calendar;
use crate::domain::control_status::{ControlStatus, EvidenceAge, age_of};
use crate::domain::id::ClientId;
use crate::domain::policy::Outcome;
use crate::domain::text;
use askama::filters::HtmlSafe;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

/// What stands around a page.
pub struct Frame {
    /// The page's name.
    pub title: String,
    /// Who is signed in, if anybody is.
    pub who: Option<Who>,
    /// The pages that they may open.
    pub nav: Vec<NavItem>,
    /// The client that the page is about, and its pages.
    pub client: Option<ClientNav>,
    /// The stylesheet.
    pub style: &'static str,
    /// The script.
    pub script: &'static str,
    /// The icon.
    pub icon: &'static str,
    /// What just happened, if something did.
    pub notice: Option<Notice>,
}

/// Who is signed in.
pub struct Who {
    /// The subject.
    pub name: String,
    /// The company whose pages are shown.
    pub company: String,
    /// The others that they may choose.
    pub companies: Vec<String>,
    /// What their forms carry.
    pub form_token: String,
    /// When their session ends.
    pub until: At,
    /// The window that they are bound to, in words.
    pub window: Option<String>,
}

/// A link of a menu.
pub struct NavItem {
    /// Where to.
    pub path: String,
    /// What is there.
    pub label: &'static str,
    /// Whether it is this page.
    pub here: bool,
}

/// The pages of a client.
pub struct ClientNav {
    /// Its id.
    pub client: String,
    /// Its pages.
    pub pages: Vec<NavItem>,
}

/// What just happened.
pub struct Notice {
    /// Whether it went well.
    pub good: bool,
    /// In words.
    pub text: String,
}

const NAV: &[(&str, &str, Option<Scope>)] = &[
    ("/", "Clients", Some(Scope::EvidenceRead)),
    ("/integrations", "Integrations", Some(Scope::ConnectionsRead)),
    ("/runs", "Runs", Some(Scope::ConnectionsRead)),
    ("/exceptions", "Exceptions", Some(Scope::EvidenceRead)),
    ("/packs", "Packs", Some(Scope::PacksMake)),
    ("/audit-log", "Audit log", Some(Scope::AuditLogRead)),
    ("/settings", "Settings", None),
];

/// The pages of a client: below its path, what they are called, and what they take.
const CLIENT_NAV: &[(&str, &str, Scope)] = &[
    ("", "Overview", Scope::EvidenceRead),
    ("/over-time", "Over time", Scope::EvidenceRead),
    ("/controls", "Controls", Scope::EvidenceRead),
    ("/window", "Window", Scope::EvidenceRead),
    ("/findings", "Findings", Scope::EvidenceRead),
    ("/what-if", "What if", Scope::EvidenceRead),
    ("/training", "Training", Scope::EvidenceRead),
];

impl Frame {
    /// A page of somebody who is signed in, or of nobody.
    pub fn new(title: impl Into<String>, session: Option<&Session>, path: &str) -> Self {
        let nav = session.map(|session| {
            let items = NAV.iter().filter(|(path, ..)| allows(path, session));
            items.map(|(to, label, _)| NavItem { path: (*to).to_owned(), label, here: *to == path }).collect()
        });
        Self {
            title: title.into(),
            who: session.map(Who::from),
            nav: nav.unwrap_or_default(),
            client: None,
            style: &assets::STYLE_PATH,
            script: &assets::SCRIPT_PATH,
            icon: &assets::ICON_PATH,
            notice: None,
        }
    }

    /// A page of a client; `page` is its place below the client's.
    pub fn of_client(title: &str, session: &Session, client: &ClientId, page: &str) -> Self {
        let under = format!("/clients/{client}");
        let items = CLIENT_NAV.iter().filter(|(_, _, scope)| session.caller.scopes.contains(*scope));
        let pages =
            items.map(|(below, label, _)| NavItem { path: format!("{under}{below}"), label, here: *below == page });
        let client_nav = ClientNav { client: client.to_string(), pages: pages.collect() };
        Self { client: Some(client_nav), ..Self::new(format!("{title} · {client}"), Some(session), "/clients") }
    }

    /// With what just happened.
    pub fn with_notice(self, good: bool, text: impl Into<String>) -> Self {
        Self { notice: Some(Notice { good, text: text.into() }), ..self }
    }
}

/// Whether somebody may open a page of the menu. Who is bound to clients has no use for what is the company's own.
fn allows(path: &str, session: &Session) -> bool {
    let scope = NAV.iter().find(|(to, ..)| *to == path).and_then(|(_, _, scope)| *scope);
    let company_wide = matches!(path, "/runs" | "/integrations");
    scope.is_none_or(|scope| session.caller.scopes.contains(scope))
        && !(company_wide && session.caller.clients.is_some())
}

impl From<&Session> for Who {
    fn from(session: &Session) -> Self {
        let caller = &session.caller;
        let others = caller.companies.iter().filter(|company| **company != session.company);
        Self {
            name: name(&caller.subject),
            company: session.company.to_string(),
            companies: others.map(ToString::to_string).collect(),
            form_token: session.form_token.clone(),
            until: At(session.ends_at),
            window: caller.window.map(|window| format!("{} to {}", minute(window.start), minute(window.end))),
        }
    }
}

/// A name from outside as it is shown: one line, cut, nothing hidden in it.
pub fn name(given: &str) -> String {
    cut(&text::name(given).unwrap_or_else(|| "(no name)".to_owned()), 80)
}

/// A text of at most so many characters; what is left out is said by an ellipsis.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

tokio::task_local! {
    /// The calendar of the stack whose page is being made. Templates know instants alone.
    static CALENDAR: Calendar;
}

/// Makes a page whose instants are shown in a calendar.
pub async fn shown_in<T>(calendar: Calendar, page: impl Future<Output = T>) -> T {
    CALENDAR.scope(calendar, page).await
}

/// An instant: in UTC, and in the zone of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub DateTime<Utc>);

impl HtmlSafe for At {}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at) = self;
        let calendar = CALENDAR.try_with(Calendar::clone).unwrap_or_default();
        let (there, zone) = (calendar.local(*at), calendar.zone());
        let iso = at.format("%Y-%m-%dT%H:%M:%SZ");
        let utc = at.format("%Y-%m-%d %H:%M");
        // The day stands there only where it is another one.
        let day = if there.date() == at.date_naive() { "" } else { "%m-%d " };
        let local = there.format(&format!("{day}%H:%M")).to_string();
        write!(f, r#"<time datetime="{iso}">{utc} UTC <span class="zone">({local} {zone})</span></time>"#)
    }
}

/// How long ago something was.
pub fn age(of: TimeDelta) -> String {
    let (minutes, hours, days) = (of.num_minutes(), of.num_hours(), of.num_days());
    match (minutes, hours, days) {
        (..=0, ..) => "just now".to_owned(),
        (..=119, ..) => format!("{minutes} min old"),
        (_, ..=71, _) => format!("{hours} h old"),
        _ => format!("{days} days old"),
    }
}

/// How old something of an instant is now.
pub fn age_at(as_of: DateTime<Utc>, now: DateTime<Utc>) -> String {
    age_of(as_of, now).map_or_else(|| "dated ahead of now".to_owned(), age)
}

/// A state: a word, an icon, and a texture by its class. Never colour alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    kind: &'static str,
    words: String,
}

impl HtmlSafe for State {}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, words } = self;
        write!(
            f,
            r##"<span class="state {kind}"><svg class="icon" aria-hidden="true"><use href="#i-{kind}"/></svg>"##
        )?;
        write!(f, "{}</span>", escaped(words))
    }
}

impl State {
    /// A state of our own list of kinds: `pass`, `warning`, `fail`, `inconclusive`, `none`, `stale`, `accepted`, `working`.
    pub fn new(kind: &'static str, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// Its words.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The same in few bytes, for pages with hundreds of rows: its icon is the stylesheet's.
    pub fn in_short(&self) -> String {
        format!(r#"<b class="state {} g">{}</b>"#, self.kind, escaped(&self.words))
    }

    /// What a rule said.
    pub fn of_outcome(outcome: Outcome) -> Self {
        Self::new(kind_of(outcome), outcome.to_string())
    }

    /// What a reader has to know of a control or a rule. What is not fresh never looks like a pass.
    pub fn of_status(status: &ControlStatus) -> Self {
        let kind = match (status.freshness, &status.exception) {
            (EvidenceAge::None, _) => "none",
            (_, Some(_)) => "accepted",
            (EvidenceAge::Stale | EvidenceAge::Expired, _) if kind_of(status.outcome) == "pass" => "stale",
            _ => kind_of(status.outcome),
        };
        Self::new(kind, status.text.clone())
    }
}

/// The kind of an outcome, as classes and icons are named.
pub fn kind_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Warning => "warning",
        Outcome::Fail => "fail",
        Outcome::Inconclusive => "inconclusive",
        Outcome::NotApplicable | Outcome::NotEvaluated => "none",
    }
}

/// Text for HTML, in elements and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The label of a product.
pub fn product(product: crate::domain::product::Product) -> &'static str {
    words::product(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;

    #[test]
    fn names_are_one_line_cut_and_without_what_is_hidden() {
        assert_eq!(name("Acme\u{202e}\n<b>"), "Acme <b>");
        assert_eq!(name(&"x".repeat(10_000)).chars().count(), 81);
        assert_eq!(name("\u{200f}"), "(no name)");
        assert_eq!(cut("héllo", 2), "hé…");
    }

    #[test]
    fn an_instant_stands_in_both_zones() {
        let at = |text| At(parse(text).unwrap()).to_string();
        assert_eq!(
            at("2026-03-22T12:00:05Z"),
            r#"<time datetime="2026-03-22T12:00:05Z">2026-03-22 12:00 UTC <span class="zone">(08:00 America/New_York)</span></time>"#
        );
        assert!(at("2026-03-22T02:00:00Z").contains("(03-21 22:00 America"));
    }

    #[test]
    fn a_state_is_escaped_and_stale_is_never_a_pass() {
        assert!(State::new("fail", "<b>").to_string().contains("&lt;b&gt;"));
        let status = |freshness| ControlStatus {
            outcome: Outcome::Pass,
            freshness,
            age_hours: Some(31),
            exception: None,
            text: "x".to_owned(),
        };
        assert_eq!(State::of_status(&status(EvidenceAge::Fresh)).kind, "pass");
        assert_eq!(State::of_status(&status(EvidenceAge::Stale)).kind, "stale");
        assert_eq!(State::of_status(&status(EvidenceAge::None)).kind, "none");
    }
}
