//! Which account is measured.

use super::id::SatId;
use crate::failure::{Failure, FailureCode};
use crate::quality::normalized;
use crate::text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the source says of one account.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountFacts<'a> {
    /// Its id as the source writes it; a record without one is dropped.
    pub id: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its kind: `paid`, `sandbox`, `demo` and others.
    pub kind: Option<&'a str>,
    /// The organization of the endpoint product that it belongs to (`ioOrgId`).
    pub io_org_id: Option<&'a str>,
}

/// The account that is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredAccount {
    /// Its id, safe in a path.
    pub id: SatId,
    /// Its name, if the source gives one.
    pub name: Option<String>,
    /// The organization of the endpoint product that it belongs to, if the source gives one.
    #[serde(default)]
    pub io_org_id: Option<String>,
}

impl MeasuredAccount {
    fn of(id: SatId, account: &AccountFacts<'_>) -> Self {
        let io_org_id = account.io_org_id.and_then(text::name);
        Self { id, name: account.name.and_then(text::name), io_org_id }
    }
}

/// An account as it is listed to a person who has to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRef {
    /// Its id.
    pub id: String,
    /// Its name, if the source gives one.
    pub name: Option<String>,
}

/// Why no account can be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The credential sees none.
    #[error("the API client sees no account")]
    NoAccounts,
    /// The credential sees several and none is configured.
    #[error("the API client sees {} accounts: {}", .0.len(), listed(.0))]
    MultipleAccounts(Vec<AccountRef>),
    /// The configured one is not among those that it sees.
    #[error("the configured account {configured} is not among the accounts that the API client sees")]
    AccountNotVisible {
        /// The configured id.
        configured: SatId,
    },
    /// The configured id cannot be an id.
    #[error("the configured account id is none: it must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
    ConfiguredIdInvalid,
    /// The account that would be measured has an id that must not be put into a path.
    #[error("the account's id has characters that do not belong in a path")]
    UnusableId,
    /// No record of the list has an id.
    #[error("none of the {records} accounts of the list has an id")]
    NoIds {
        /// How many there are.
        records: usize,
    },
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let code = match &error {
            AccountError::NoAccounts => FailureCode::NoAccounts,
            AccountError::MultipleAccounts(_) => FailureCode::MultipleAccounts,
            AccountError::AccountNotVisible { .. } | AccountError::ConfiguredIdInvalid => {
                FailureCode::AccountNotVisible
            }
            AccountError::UnusableId => FailureCode::Malformed,
            AccountError::NoIds { .. } => FailureCode::Inconsistent,
        };
        Failure::new(code, error.to_string())
    }
}

/// Accounts named in one error at most: a stored failure has a size limit.
const LISTED: usize = 500;

/// Characters of an account's name or id that are shown.
const SHOWN: usize = 80;

fn listed(accounts: &[AccountRef]) -> String {
    let shown = accounts.iter().take(LISTED).map(|account| match &account.name {
        Some(name) => format!("{} ({})", shown(&account.id), shown(name)),
        None => shown(&account.id),
    });
    let mut lines: Vec<String> = shown.collect();
    if accounts.len() > LISTED {
        lines.push(format!("and {} more", accounts.len() - LISTED));
    }
    lines.join(", ")
}

/// A text from outside in one line of bounded length.
fn shown(text: &str) -> String {
    text::name(text).unwrap_or_default().chars().take(SHOWN).collect()
}

/// The account to measure, of those that the credential sees.
///
/// A configured id wins if it is visible, whatever its kind; a blank one is none. Otherwise sandbox and demo accounts do not count
/// while another exists, and of what is left there must be exactly one. Accounts are counted once by id.
///
/// ```
/// use evidence_domain::sat::account::*;
/// let accounts = [
///     AccountFacts { id: Some("pXk93Lq"), name: Some("Acme Inc."), kind: Some("paid"), io_org_id: Some("30417") },
///     AccountFacts { id: Some("s1"), kind: Some("Sandbox"), ..Default::default() },
/// ];
/// assert_eq!(choose(&accounts, None).unwrap().id.as_str(), "pXk93Lq");
/// assert_eq!(choose(&accounts, None).unwrap().io_org_id.as_deref(), Some("30417"));
/// assert_eq!(choose(&accounts, Some("s1")).unwrap().id.as_str(), "s1");
/// assert!(matches!(choose(&accounts, Some("zz")), Err(AccountError::AccountNotVisible { .. })));
/// assert_eq!(choose(&[], None), Err(AccountError::NoAccounts));
/// ```
///
/// # Errors
/// [`AccountError`], whose text names every account where there are several.
pub fn choose(accounts: &[AccountFacts<'_>], configured: Option<&str>) -> Result<MeasuredAccount, AccountError> {
    let mut visible: BTreeMap<&str, AccountFacts<'_>> = BTreeMap::new();
    for account in accounts {
        if let Some(id) = account.id.map(str::trim).filter(|id| !id.is_empty()) {
            visible.entry(id).or_insert(*account);
        }
    }
    if visible.is_empty() && !accounts.is_empty() {
        return Err(AccountError::NoIds { records: accounts.len() });
    }
    if let Some(configured) = configured.map(str::trim).filter(|id| !id.is_empty()) {
        let id = SatId::parse(configured).map_err(|_| AccountError::ConfiguredIdInvalid)?;
        return match visible.get(configured) {
            Some(account) => Ok(MeasuredAccount::of(id, account)),
            None => Err(AccountError::AccountNotVisible { configured: id }),
        };
    }
    if visible.values().any(|account| !is_trial(account)) {
        visible.retain(|_, account| !is_trial(account));
    }
    let mut found = visible.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(AccountError::NoAccounts),
        (Some((id, account)), None) => {
            let id = SatId::parse(id).map_err(|_| AccountError::UnusableId)?;
            Ok(MeasuredAccount::of(id, &account))
        }
        (Some(first), Some(second)) => {
            let several = [first, second].into_iter().chain(found);
            Err(AccountError::MultipleAccounts(
                several
                    .map(|(id, account)| AccountRef { id: id.to_owned(), name: account.name.and_then(text::name) })
                    .collect(),
            ))
        }
    }
}

fn is_trial(account: &AccountFacts<'_>) -> bool {
    account.kind.is_some_and(|kind| matches!(normalized(kind).as_ref(), "sandbox" | "demo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account<'a>(id: &'a str, name: &'a str, kind: &'a str) -> AccountFacts<'a> {
        AccountFacts { id: Some(id), name: Some(name), kind: Some(kind), io_org_id: None }
    }

    #[test]
    fn several_accounts_are_listed_by_id_and_name() {
        let accounts =
            [account("b2", "Beta\nLtd", "paid"), account("a1", "Alpha", "paid"), account("s", "Try", "demo")];
        let error = choose(&accounts, None).unwrap_err();
        assert_eq!(error.to_string(), "the API client sees 2 accounts: a1 (Alpha), b2 (Beta Ltd)");
        let failure = Failure::from(error);
        assert_eq!(failure.code, FailureCode::MultipleAccounts);
        assert!(!failure.code.is_auth());
    }

    #[test]
    fn trial_accounts_count_while_there_is_no_other() {
        let only = [account("s", "Try", "SANDBOX")];
        assert_eq!(choose(&only, None).unwrap().id.as_str(), "s");
        let two = [account("s", "Try", "sandbox"), account("d", "Show", "demo")];
        assert!(matches!(choose(&two, None), Err(AccountError::MultipleAccounts(list)) if list.len() == 2));
        let unknown_kind = [account("p", "New", "trial"), account("s", "Try", "sandbox")];
        assert_eq!(choose(&unknown_kind, None).unwrap().id.as_str(), "p");
    }

    #[test]
    fn an_account_counts_once_and_a_blank_setting_is_none() {
        let twice = [account("a1", "Alpha", "paid"), account("a1", "Other", "paid")];
        assert_eq!(choose(&twice, Some(" ")).unwrap().name.as_deref(), Some("Alpha"));
    }

    #[test]
    fn ids_are_checked_before_use() {
        assert_eq!(choose(&[account("a/b", "x", "paid")], None), Err(AccountError::UnusableId));
        let configured = choose(&[account("a1", "x", "paid")], Some("../users"));
        assert_eq!(configured, Err(AccountError::ConfiguredIdInvalid));
        assert_eq!(choose(&[AccountFacts::default()], None), Err(AccountError::NoIds { records: 1 }));
    }

    #[test]
    fn a_long_list_of_accounts_stays_one_line() {
        let ids: Vec<String> = (0..505).map(|n| format!("acc{n:03}")).collect();
        let accounts: Vec<_> = ids.iter().map(|id| account(id, "N", "paid")).collect();
        let text = choose(&accounts, None).unwrap_err().to_string();
        assert!(text.ends_with("acc499 (N), and 5 more"), "{text}");
    }
}
