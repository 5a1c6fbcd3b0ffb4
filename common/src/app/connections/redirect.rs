//! Connecting by redirect: somebody is sent to Huntress with a secret in their address and one in their browser, agrees there, and comes back with a code,
//! which is exchanged once. What does not work is not saved.

use super::add::{Check, NewCredential};
use super::test::TEST_TIME;
use super::{ConnectionError, Connections};
use crate::aws::secrets::sealing::{CipherFailed, HashingKey, SealingKey, random_key};
use crate::aws::secrets::{Credential, SecretError};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::huntress::connection_test::TestedAccount;
use crate::huntress::retry::WaitPolicy;
use crate::huntress::sat::{Access, Agreed, AgreementRequest, OneToken, SatAgreement, SatCredential};
use crate::settings::PublicUrl;
use crate::store::{PendingRedirect, RedirectStep, StoreError};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use url::Url;

/// Whoever was sent to Huntress has to be back after so long.
pub const REDIRECT_TIME: TimeDelta = TimeDelta::minutes(10);

/// What somebody who connects by redirect wants of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectWish {
    /// Whose evidence a new connection gathers; the company's own client without. One that is there keeps its own.
    pub mapping: Option<Mapping>,
    /// The account that is to be measured, where several are seen.
    pub account_id: Option<SatId>,
}

/// Somebody can go to Huntress.
pub struct RedirectStarted {
    /// The address to open.
    pub address: Url,
    /// What their browser has to bring back.
    pub cookie: BrowserCookie,
    /// When they have to be back.
    pub until: DateTime<Utc>,
}

/// The cookie that binds a browser to where it was sent.
pub struct BrowserCookie {
    /// Its name: one for each who is on the way, so that two of them in one browser do not meet.
    pub name: String,
    /// Its value.
    pub value: SecretString,
}

/// How somebody came back.
pub enum Return {
    /// With a code.
    Agreed(SecretString),
    /// With the word that they did not agree.
    Denied,
    /// With another error.
    Failed,
}

/// What came of it.
pub enum Redirected {
    /// The connection is saved.
    Connected(Box<Connection>),
    /// One of several accounts has to be chosen.
    Choose(AccountChoice),
}

/// Several accounts, of which somebody has to choose one.
pub struct AccountChoice {
    /// The accounts.
    pub accounts: Vec<TestedAccount>,
    /// What the form brings back.
    pub state: SecretString,
    /// What the browser brings back.
    pub cookie: BrowserCookie,
}

/// Why somebody was not connected. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// This service is no client of Huntress, or does not know its own address.
    #[error("connecting by redirect is not set up here")]
    NotConfigured,
    /// It was used, has expired, or never was.
    #[error("the address was used already, has expired, or is none of ours")]
    Unknown,
    /// The browser is not the one that was sent.
    #[error("this browser is not the one that began")]
    OtherBrowser,
    /// They did not agree.
    #[error("the access was not agreed to at Huntress")]
    Denied,
    /// Huntress sent them back with an error.
    #[error("Huntress did not grant the access")]
    Refused,
    /// The code, or what it was exchanged for, is not good.
    #[error("{0}")]
    Failed(Failure),
    /// The account is none of those that were listed.
    #[error("the account is none of those that were listed")]
    NotListed,
    /// The connection.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl From<StoreError> for RedirectError {
    fn from(error: StoreError) -> Self {
        Self::Connection(error.into())
    }
}

impl From<CipherFailed> for RedirectError {
    fn from(error: CipherFailed) -> Self {
        Self::Connection(SecretError::Unavailable(error.into()).into())
    }
}

/// Two secrets: one in the address that somebody comes back to, one in a cookie of their browser.
struct Ticket {
    state: SecretString,
    browser: SecretString,
}

impl Ticket {
    fn new() -> Result<Self, CipherFailed> {
        let random = || random_key().map(|bytes| SecretString::from(URL_SAFE_NO_PAD.encode(bytes)));
        Ok(Self { state: random()?, browser: random()? })
    }

    fn cookie(&self) -> BrowserCookie {
        BrowserCookie { name: cookie_name(&self.state), value: self.browser.clone() }
    }

    /// What seals the rest: who has the table alone, the address alone or the browser alone opens nothing.
    fn key(&self) -> Result<SealingKey, CipherFailed> {
        HashingKey::new(self.browser.expose_secret().as_bytes()).derive(&["redirect", self.state.expose_secret()])
    }

    fn seal(&self, binding: &str, content: &Sealed) -> Result<String, CipherFailed> {
        let content = SecretString::from(serde_json::to_string(content).map_err(|_| CipherFailed)?);
        Ok(STANDARD.encode(self.key()?.seal(binding, content.expose_secret().as_bytes())?))
    }

    fn open(&self, binding: &str, sealed: &str) -> Option<Sealed> {
        let opened = self.key().ok()?.open(binding, &STANDARD.decode(sealed).ok()?).ok()?;
        serde_json::from_slice(&opened).ok()
    }
}

/// What is sealed until somebody is back, or has chosen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sealed {
    Verifier(String),
    Tokens { client_id: String, refresh_token: String, access_token: String },
}

fn hash(secret: &SecretString) -> String {
    Sha256::digest(secret.expose_secret()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the cookie that belongs to a secret of an address.
fn cookie_name(state: &SecretString) -> String {
    format!("huntress-oauth-{}", hash(state).get(..16).unwrap_or_default())
}

/// What the sealed part of a record is bound to.
fn binding(pending: &PendingRedirect) -> String {
    format!("redirect/{}/{}", pending.company, pending.connection)
}

impl Connections {
    /// Prepares that somebody agrees at Huntress to a connection of training, a new one or one that is there.
    ///
    /// # Errors
    /// [`RedirectError::NotConfigured`], and [`RedirectError::Connection`] for a connection of another product or for what a connection that is there
    /// does not take.
    pub async fn start_redirect(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        wish: RedirectWish,
        actor: &Actor,
    ) -> Result<RedirectStarted, RedirectError> {
        let (client, public) = self.oauth().await?;
        let there = self.store.connection(company, id).await?;
        if let Some(there) = &there {
            if there.product != Product::Sat {
                return Err(ConnectionError::OtherProduct(there.product).into());
            }
            if wish.mapping.is_some() {
                let why = "the connection is there and keeps its mapping; leave the mapping out, or choose another id";
                return Err(ConnectionError::Refused(why.to_owned()).into());
            }
        }
        let (ticket, until) = (Ticket::new()?, self.huntress.instant() + REDIRECT_TIME);
        let verifier = SecretString::from(URL_SAFE_NO_PAD.encode(random_key()?));
        let mut pending = PendingRedirect {
            company: company.clone(),
            connection: id.clone(),
            actor: actor.name.clone(),
            actor_kind: actor.kind,
            step: RedirectStep::Agree,
            browser: hash(&ticket.browser),
            sealed: String::new(),
            accounts: Vec::new(),
            replaces: there.is_some(),
            mapping: wish.mapping,
            account_id: wish.account_id.or(there.and_then(|there| there.account_id)),
            until,
            expires_at: until.timestamp(),
        };
        pending.sealed = ticket.seal(&binding(&pending), &Sealed::Verifier(verifier.expose_secret().to_owned()))?;
        self.store.keep_redirect(&hash(&ticket.state), &pending).await?;
        let redirect_uri = public.redirect_uri();
        let request = AgreementRequest {
            client: &client,
            redirect_uri: &redirect_uri,
            state: ticket.state.expose_secret(),
            verifier: &verifier,
        };
        Ok(RedirectStarted { address: request.address(&self.huntress.origins.sat), cookie: ticket.cookie(), until })
    }

    /// Goes on with somebody who is back from Huntress: the code is exchanged, the five scopes are compared, the accounts listed, and the connection saved.
    /// `cookie` finds a cookie of their browser by its name.
    ///
    /// # Errors
    /// [`RedirectError`]; nothing is changed then. Without the right cookie even the address stays good for who was sent.
    pub async fn finish_redirect(
        &self,
        state: SecretString,
        cookie: &(dyn Fn(&str) -> Option<SecretString> + Sync),
        returned: Return,
    ) -> Result<Redirected, RedirectError> {
        let (ticket, pending) = self.pending(state, cookie, RedirectStep::Agree).await?;
        let opened = ticket.open(&binding(&pending), &pending.sealed);
        self.use_up(&ticket, &pending).await?;
        let code = match returned {
            Return::Agreed(code) => code,
            Return::Denied => return Err(RedirectError::Denied),
            Return::Failed => return Err(RedirectError::Refused),
        };
        let Some(Sealed::Verifier(verifier)) = opened else { return Err(RedirectError::Unknown) };
        let (client, public) = self.oauth().await?;
        let (redirect_uri, verifier) = (public.redirect_uri(), SecretString::from(verifier));
        let request = AgreementRequest { client: &client, redirect_uri: &redirect_uri, state: "", verifier: &verifier };
        let draft = self.draft(&pending)?;
        let deadline = self.huntress.clock.now() + TEST_TIME;
        let transport = self.huntress.transport(
            &self.huntress.origins.sat,
            self.limiters.of(&draft),
            WaitPolicy::until(deadline),
            Arc::default(),
        );
        let agreed = request.exchange(&transport, &code).await.map_err(RedirectError::Failed)?;
        match self.tested(&draft, &agreed).await? {
            None => self.save_agreement(&pending, draft, agreed.agreement).await,
            Some(accounts) => self.offer(pending, accounts, agreed).await,
        }
    }

    /// Goes on with somebody who has chosen an account.
    ///
    /// # Errors
    /// [`RedirectError`]; nothing is changed then. An account that was not listed leaves the choice open.
    pub async fn choose_account(
        &self,
        state: SecretString,
        cookie: &(dyn Fn(&str) -> Option<SecretString> + Sync),
        account: &str,
    ) -> Result<Redirected, RedirectError> {
        let (ticket, mut pending) = self.pending(state, cookie, RedirectStep::Choose).await?;
        let listed = pending.accounts.iter().any(|listed| listed == account);
        let account = SatId::parse(account).ok().filter(|_| listed).ok_or(RedirectError::NotListed)?;
        let opened = ticket.open(&binding(&pending), &pending.sealed);
        self.use_up(&ticket, &pending).await?;
        let Some(Sealed::Tokens { client_id, refresh_token, access_token }) = opened else {
            return Err(RedirectError::Unknown);
        };
        pending.account_id = Some(account);
        let draft = self.draft(&pending)?;
        let agreement = SatAgreement { client_id: client_id.into(), refresh_token: refresh_token.into() };
        let agreed = Agreed { agreement, access_token: access_token.into() };
        match self.tested(&draft, &agreed).await? {
            None => self.save_agreement(&pending, draft, agreed.agreement).await,
            Some(_) => Err(RedirectError::NotListed),
        }
    }

    /// The client that this service is at Huntress, and its own address.
    async fn oauth(&self) -> Result<(Arc<SatCredential>, &PublicUrl), RedirectError> {
        let public = self.oauth.public_url.as_ref().ok_or(RedirectError::NotConfigured)?;
        let client = self.oauth.client.get().await.map_err(ConnectionError::from)?;
        Ok((client.ok_or(RedirectError::NotConfigured)?, public))
    }

    /// Who is on the way with these two secrets.
    async fn pending(
        &self,
        state: SecretString,
        cookie: &(dyn Fn(&str) -> Option<SecretString> + Sync),
        step: RedirectStep,
    ) -> Result<(Ticket, PendingRedirect), RedirectError> {
        let pending = self.store.redirect(&hash(&state)).await?;
        let now = self.huntress.clock.now();
        let pending = pending.filter(|pending| pending.step == step && pending.until > now);
        let pending = pending.ok_or(RedirectError::Unknown)?;
        let browser = cookie(&cookie_name(&state)).ok_or(RedirectError::OtherBrowser)?;
        // Hashes are compared: how long that takes tells nothing of the secret.
        if hash(&browser) != pending.browser {
            return Err(RedirectError::OtherBrowser);
        }
        Ok((Ticket { state, browser }, pending))
    }

    /// Of all who come with the same two secrets, one gets on.
    async fn use_up(&self, ticket: &Ticket, pending: &PendingRedirect) -> Result<(), RedirectError> {
        let first = self.store.take_redirect(&hash(&ticket.state), &pending.browser).await?;
        if first { Ok(()) } else { Err(RedirectError::Unknown) }
    }

    /// The connection as it would be saved.
    fn draft(&self, pending: &PendingRedirect) -> Result<Connection, RedirectError> {
        let mapping = match &pending.mapping {
            Some(mapping) => mapping.clone(),
            None => Mapping::OneClient {
                client: ClientId::parse(pending.company.as_str())
                    .map_err(|error| ConnectionError::Refused(error.to_string()))?,
            },
        };
        let (company, id) = (pending.company.clone(), pending.connection.clone());
        let connection = Connection::new(company, id, Product::Sat, mapping, self.huntress.instant());
        Ok(Connection { account_id: pending.account_id.clone(), ..connection })
    }

    /// Tests what was agreed to, scope by scope. The accounts, where one has to be chosen.
    async fn tested(&self, draft: &Connection, agreed: &Agreed) -> Result<Option<Vec<TestedAccount>>, RedirectError> {
        let token = OneToken::new(agreed.access_token.clone());
        let configured = draft.account_id.as_ref().map(SatId::as_str);
        let (budget, deadline) = (self.limiters.of(draft), self.huntress.clock.now() + TEST_TIME);
        let report = self.huntress.test_sat(Access::Agreement(&token), configured, budget, deadline).await;
        let failures: Vec<Failure> = report.permissions.into_iter().filter_map(|it| it.failure).collect();
        match failures.into_iter().next() {
            None => Ok(None),
            Some(failure) if failure.code == FailureCode::MultipleAccounts => Ok(Some(report.accounts)),
            Some(failure) => Err(RedirectError::Failed(failure)),
        }
    }

    /// Lets somebody choose one of several accounts, for as long as they had to come back.
    async fn offer(
        &self,
        pending: PendingRedirect,
        accounts: Vec<TestedAccount>,
        agreed: Agreed,
    ) -> Result<Redirected, RedirectError> {
        let ticket = Ticket::new()?;
        let Agreed { agreement, access_token } = agreed;
        let tokens = Sealed::Tokens {
            client_id: agreement.client_id.expose_secret().to_owned(),
            refresh_token: agreement.refresh_token.expose_secret().to_owned(),
            access_token: access_token.expose_secret().to_owned(),
        };
        let until = self.huntress.instant() + REDIRECT_TIME;
        let offered = PendingRedirect {
            step: RedirectStep::Choose,
            browser: hash(&ticket.browser),
            sealed: ticket.seal(&binding(&pending), &tokens)?,
            accounts: accounts.iter().map(|account| account.id.clone()).collect(),
            until,
            expires_at: until.timestamp(),
            ..pending
        };
        self.store.keep_redirect(&hash(&ticket.state), &offered).await?;
        let cookie = ticket.cookie();
        Ok(Redirected::Choose(AccountChoice { accounts, state: ticket.state, cookie }))
    }

    /// Saves what somebody agreed to; it was tested.
    async fn save_agreement(
        &self,
        pending: &PendingRedirect,
        draft: Connection,
        agreement: SatAgreement,
    ) -> Result<Redirected, RedirectError> {
        let actor = Actor { name: pending.actor.clone(), kind: pending.actor_kind };
        let credential = Credential::Agreement(agreement);
        let saved = if pending.replaces {
            let account_id = pending.account_id.clone();
            let new = NewCredential { credential: &credential, check: Check::Skip, expires_at: None, account_id };
            self.replace_credential(&pending.company, &pending.connection, new, None, &actor).await?
        } else {
            self.add(draft, &credential, Check::Skip, &actor).await?
        };
        tracing::info!(company = %saved.company, connection = %saved.id, subject = actor.name, "connected by redirect");
        Ok(Redirected::Connected(Box::new(saved)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_needs_both_secrets_and_its_connection() {
        let ticket = Ticket::new().unwrap();
        let sealed = ticket.seal("redirect/acme/sat", &Sealed::Verifier("marker-verifier".to_owned())).unwrap();
        assert!(!sealed.contains("marker"));
        let opens = |ticket: &Ticket, binding| ticket.open(binding, &sealed).is_some();
        assert!(opens(&ticket, "redirect/acme/sat"));
        assert!(!opens(&ticket, "redirect/acme/other"));
        let other = Ticket::new().unwrap();
        let (Ticket { state, browser }, Ticket { state: other_state, browser: other_browser }) = (ticket, other);
        assert!(!opens(&Ticket { state: state.clone(), browser: other_browser }, "redirect/acme/sat"));
        assert!(!opens(&Ticket { state: other_state, browser: browser.clone() }, "redirect/acme/sat"));
        assert!(opens(&Ticket { state, browser }, "redirect/acme/sat"));
    }

    #[test]
    fn secrets_have_256_bits_and_their_hashes_and_cookies_tell_them_apart() {
        let (one, two) = (Ticket::new().unwrap(), Ticket::new().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.decode(one.state.expose_secret()).unwrap().len(), 32);
        assert_eq!((hash(&one.state).len(), one.cookie().name.len()), (64, 31));
        assert_ne!(hash(&one.state), hash(&two.state));
        assert_ne!(one.cookie().name, two.cookie().name);
        assert_ne!(one.cookie().value.expose_secret(), one.state.expose_secret());
    }
}
