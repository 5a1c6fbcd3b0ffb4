//! How a connection is set up, and what to do when something is not as expected: the one source of these texts for the command line, the API and
//! the docs.

use super::evidence::Reason;
use super::failure::FailureCode;
use super::product::Product;
use serde::Serialize;
use std::fmt::Write;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What, in a few words.
    pub title: &'static str,
    /// How.
    pub text: &'static str,
}

/// What people meet, with the failure or reason that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The credential is not accepted.
    AuthFailed,
    /// The API client lacks a scope.
    MissingScopes,
    /// No account is visible.
    NoAccounts,
    /// Several accounts are visible.
    MultipleAccounts,
    /// The chosen account is not visible.
    AccountNotVisible,
    /// The request limit is used up.
    RateLimited,
    /// The coverage is lower than expected.
    CoverageLowerThanExpected,
    /// Learners who left lift the rate.
    InflatedByDepartedLearners,
    /// There is no workforce to measure.
    NoWorkforce,
    /// No campaign ended within the window.
    NoRecentCampaigns,
    /// A list was cut at its cap.
    Truncated,
    /// What could not be read decides the status.
    UnknownValues,
}

/// What a topic is about, why it happens, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The topic.
    pub topic: Topic,
    /// What people see.
    pub symptom: &'static str,
    /// Why.
    pub cause: &'static str,
    /// What to do.
    pub action: &'static str,
}

/// What to do when few requests are left in the vendor's window.
pub const SHARED_LIMIT_ADVICE: &str = "another integration may share this API client or account; give this connector an API client of its own, or let the other one ask less often";

const EDR_STEPS: &[Step] = &[
    Step {
        title: "Open API Credentials",
        text: "Sign in to Huntress as an administrator, open the menu in the upper right corner, and choose API Credentials.",
    },
    Step {
        title: "Create an API key",
        text: "Under User API Credentials choose Add, and a user who may read organizations, agents and incident reports; the key has that user's permissions. Reading is enough.",
    },
    Step { title: "Copy key and secret", text: "The secret is shown only once. Where it is lost, create a new key." },
    Step {
        title: "Save the connection",
        text: "Set HUNTRESS_API_KEY and HUNTRESS_API_SECRET and run `huntress-evidence connect edr`, or paste both where it asks.",
    },
];

const SAT_STEPS: &[Step] = &[
    Step {
        title: "Have API access enabled",
        text: "Write to support@huntress.com, or to your account manager, and ask for API access for Managed Security Awareness Training. It takes about one business day.",
    },
    Step {
        title: "Create an API client",
        text: "Sign in to Huntress SAT as a user of the account that is to be measured, open Settings, API Clients, choose Create Client, and as client type Client Credentials.",
    },
    Step {
        title: "Give it five scopes",
        text: "Exactly these: `account:read`, `assignments:read`, `assignments:learner-activity`, `learners:read`, `phishing-campaigns:read`. All of them only read. With one missing, Huntress issues no token at all.",
    },
    Step {
        title: "Save the connection",
        text: "Set HUNTRESS_SAT_CLIENT_ID and HUNTRESS_SAT_CLIENT_SECRET and run `huntress-evidence connect sat`, or paste both where it asks.",
    },
    Step {
        title: "Leave the account id empty",
        text: "huntress-evidence finds the account. Only a client that sees several accounts needs HUNTRESS_SAT_ACCOUNT_ID; the failure then lists them.",
    },
    Step {
        title: "Or connect by OAuth",
        text: "For accounts that you do not manage, create an API client of the type Authorization Code in an account of your own, with the same five scopes and the redirect address `http://127.0.0.1:8787/oauth/huntress/callback`, or the same path below PUBLIC_URL. Set HUNTRESS_SAT_OAUTH_CLIENT_ID and HUNTRESS_SAT_OAUTH_CLIENT_SECRET, and PUBLIC_URL where browsers reach this service elsewhere. The person who manages the account then approves access in a browser, with `huntress-evidence connect sat --oauth` or the route oauth/start, and pastes no secret.",
    },
];

const EDR_TROUBLES: &[Trouble] = &[
    Trouble {
        topic: Topic::AuthFailed,
        symptom: "The connection shows auth_failed although key and secret look right.",
        cause: "The key was replaced or deleted, its secret was cut when it was pasted, or its user lost a permission.",
        action: "Create a new key under API Credentials, save it on the connection, and sync now. Scheduled runs otherwise wait 24 hours after a refusal.",
    },
    Trouble {
        topic: Topic::RateLimited,
        symptom: "A run ends as rate_limited.",
        cause: "Huntress answers 60 requests a minute for the whole account, and other tools use the same ones.",
        action: "Let the other tool ask less often, or sync at another time. The last good evidence is kept.",
    },
];

const SAT_TROUBLES: &[Trouble] = &[
    Trouble {
        topic: Topic::MissingScopes,
        symptom: "A run ends as missing_scopes, or the connection test shows a scope as missing.",
        cause: "The API client was created without one of the five scopes; Huntress then refuses every token.",
        action: "Edit the API client under Settings, API Clients, and add the scopes that are named, or create a new client with all five and save it on the connection. Then sync now.",
    },
    Trouble {
        topic: Topic::NoAccounts,
        symptom: "A run ends as no_accounts.",
        cause: "A token sees what the user sees who created the API client, and that user belongs to no account.",
        action: "Create the API client as a user of the account that is to be measured, and save its id and secret on the connection.",
    },
    Trouble {
        topic: Topic::MultipleAccounts,
        symptom: "A run ends as multiple_accounts, with a list of ids and names.",
        cause: "The API client was created by a user of several accounts, as partners have. Sandbox and demo accounts do not count while there is another.",
        action: "Save the connection again with the id of the account that is to be measured, one connection for each account.",
    },
    Trouble {
        topic: Topic::AccountNotVisible,
        symptom: "A run ends as account_not_visible.",
        cause: "The account id has a typing error, or the user who created the API client no longer belongs to that account.",
        action: "Correct the id, or leave it empty when the client sees only one account; otherwise create the API client as a user of that account.",
    },
    Trouble {
        topic: Topic::AuthFailed,
        symptom: "The connection shows auth_failed although client id and secret look right.",
        cause: "The secret was rotated or the API client was deleted, the secret was cut when it was pasted, or API access was switched off for the account.",
        action: "Create a new secret or client under Settings, API Clients, save it on the connection, and sync now. Scheduled runs otherwise wait 24 hours after a refusal.",
    },
    Trouble {
        topic: Topic::RateLimited,
        symptom: "A run waits for a long time, ends as rate_limited, or its evidence carries a warning about the request limit.",
        cause: "Huntress SAT answers 200 requests a minute and 1,500 an hour for the whole organization, whatever the token.",
        action: "Let other integrations ask less often. A long collection goes on by itself where it stopped; the last good evidence is kept.",
    },
    Trouble {
        topic: Topic::CoverageLowerThanExpected,
        symptom: "The coverage is lower than the reports in Huntress SAT show.",
        cause: "It counts people, not assignments. A learner with several completions in the last 365 days counts once, of all active learners. Assignments that were started but not completed do not count, nor completions older than that, nor those in drafts and canceled assignments; learners who were never assigned anything, service mailboxes and leavers who are still active count in the denominator.",
        action: "Deactivate learners who left or are not people, assign training to those who have none, and look at metadata.data_quality and active_learners of the evidence.",
    },
    Trouble {
        topic: Topic::InflatedByDepartedLearners,
        symptom: "The coverage passes by its number, but its status is worse, with reason inflated_by_departed_learners.",
        cause: "Completions of learners who left within the year still count in the number, while they are no longer active. Without them the rate falls into a worse band, and that is the status.",
        action: "Nothing is wrong with the connection: train the active learners who are missing.",
    },
    Trouble {
        topic: Topic::NoWorkforce,
        symptom: "The coverage is a warning with reason no_workforce and has no rate.",
        cause: "The account has no active learners.",
        action: "Import or activate the learners in Huntress SAT, or check that the right account is measured.",
    },
    Trouble {
        topic: Topic::NoRecentCampaigns,
        symptom: "The phishing signal is a warning with reason no_recent_campaigns and has no rates.",
        cause: "No phishing campaign that sent anything ended as completed within the last 90 days. Running, scheduled and canceled ones do not count, nor do parents beside their children.",
        action: "Run a campaign at least once a quarter. One that still runs counts from its end on.",
    },
    Trouble {
        topic: Topic::Truncated,
        symptom: "metadata.truncated is true; a signal may be inconclusive with reason truncated.",
        cause: "A list is longer than its cap: 5,000 assignments, 1,000 activity records in one assignment, 5,000 campaigns. What lies beyond was not read; metadata.truncated_lists says where.",
        action: "Raise that cap in the settings of the connection, and sync now. More requests are then needed, so the run may take longer.",
    },
    Trouble {
        topic: Topic::UnknownValues,
        symptom: "A signal is inconclusive with reason unknown_values.",
        cause: "A time, count or status word of Huntress SAT could not be read, and the status depends on what it would have been.",
        action: "Look at metadata.data_quality for what and how often. A new status word is worth a report to this project.",
    },
];

/// The steps of setting up a connection, in order.
#[must_use]
pub fn setup(product: Product) -> &'static [Step] {
    match product {
        Product::Edr => EDR_STEPS,
        Product::Sat => SAT_STEPS,
    }
}

/// Everything that people of this product meet.
#[must_use]
pub fn troubles(product: Product) -> &'static [Trouble] {
    match product {
        Product::Edr => EDR_TROUBLES,
        Product::Sat => SAT_TROUBLES,
    }
}

/// The text about a topic; `None` where the product does not know it.
#[must_use]
pub fn about(product: Product, topic: Topic) -> Option<&'static Trouble> {
    troubles(product).iter().find(|trouble| trouble.topic == topic)
}

/// The text about a failure, where there is more to say than one sentence.
#[must_use]
pub fn about_failure(product: Product, code: FailureCode) -> Option<&'static Trouble> {
    let topic = match code {
        FailureCode::AuthFailed => Topic::AuthFailed,
        FailureCode::MissingScopes => Topic::MissingScopes,
        FailureCode::NoAccounts => Topic::NoAccounts,
        FailureCode::MultipleAccounts => Topic::MultipleAccounts,
        FailureCode::AccountNotVisible => Topic::AccountNotVisible,
        FailureCode::RateLimited => Topic::RateLimited,
        _ => return None,
    };
    about(product, topic)
}

/// The text about the reason of a signal.
#[must_use]
pub fn about_reason(reason: Reason) -> Option<&'static Trouble> {
    let topic = match reason {
        Reason::NoWorkforce => Topic::NoWorkforce,
        Reason::InflatedByDepartedLearners => Topic::InflatedByDepartedLearners,
        Reason::NoRecentCampaigns => Topic::NoRecentCampaigns,
        Reason::Truncated => Topic::Truncated,
        Reason::UnknownValues => Topic::UnknownValues,
        Reason::NotProvidedBySource
        | Reason::NothingToMeasure
        | Reason::PartlyProvided
        | Reason::NeedsNotMet
        | Reason::AccountOfAnotherClient => return None,
    };
    about(Product::Sat, topic)
}

/// The page `docs/setup.md`.
#[must_use]
pub fn setup_page() -> String {
    let mut page = String::from(
        "# Setting up a connection\n\n\
         This page is made of the texts that the command line and the API show; `cargo run -p huntress-evidence-domain \
         --example setup-page > docs/setup.md` writes it.\n",
    );
    for (product, name) in
        [(Product::Edr, "Huntress Managed EDR"), (Product::Sat, "Huntress Managed Security Awareness Training")]
    {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "\n## {name}\n");
        for (number, step) in (1..).zip(setup(product)) {
            let _ = writeln!(page, "{number}. **{}.** {}", step.title, step.text);
        }
        let _ = writeln!(page, "\n### When something is not as expected\n");
        let lines = troubles(product)
            .iter()
            .map(|trouble| format!("**{}** {} *What to do:* {}", trouble.symptom, trouble.cause, trouble.action));
        let _ = writeln!(page, "{}", lines.collect::<Vec<_>>().join("\n\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sat::{Caps, SCOPES};
    use std::collections::BTreeSet;

    #[test]
    fn the_committed_page_is_made_of_these_texts() {
        let committed = include_str!("../../../docs/setup.md");
        assert!(committed == setup_page(), "docs/setup.md is out of date: run the command that it names");
    }

    #[test]
    fn setting_up_training_names_each_scope_and_no_other() {
        let scopes = SAT_STEPS.iter().find(|step| step.title.contains("scopes")).unwrap().text;
        let named: Vec<&str> = scopes.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, SCOPES);
    }

    #[test]
    fn texts_name_the_caps_that_hold() {
        let text = about(Product::Sat, Topic::Truncated).unwrap().cause;
        let caps = Caps::default();
        assert_eq!((caps.assignments, caps.activity_per_assignment, caps.campaigns), (5_000, 1_000, 5_000));
        for shown in ["5,000 assignments", "1,000 activity", "5,000 campaigns"] {
            assert!(text.contains(shown));
        }
    }

    #[test]
    fn each_failure_and_reason_that_people_can_act_on_has_its_text() {
        for code in [
            FailureCode::AuthFailed,
            FailureCode::MissingScopes,
            FailureCode::NoAccounts,
            FailureCode::MultipleAccounts,
            FailureCode::AccountNotVisible,
            FailureCode::RateLimited,
        ] {
            assert!(about_failure(Product::Sat, code).is_some(), "{code}");
        }
        for reason in [
            Reason::NoWorkforce,
            Reason::InflatedByDepartedLearners,
            Reason::NoRecentCampaigns,
            Reason::Truncated,
            Reason::UnknownValues,
        ] {
            assert!(about_reason(reason).is_some(), "{reason}");
        }
        for product in [Product::Edr, Product::Sat] {
            let topics: Vec<Topic> = troubles(product).iter().map(|trouble| trouble.topic).collect();
            assert_eq!(topics.iter().collect::<BTreeSet<_>>().len(), topics.len());
        }
    }
}
