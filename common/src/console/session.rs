//! Who is signed in: one-time links, and sessions of eight hours that carry exactly the rights of the token that opened them.

use crate::api::Caller;
use crate::clock::Clock;
use crate::domain::id::CompanyId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A session ends by itself after this.
pub const SESSION_LENGTH: TimeDelta = TimeDelta::hours(8);

/// Whether the token of a session is still good is asked so often, at most.
const TOKEN_ASKED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A login link works for this long, once.
pub const LINK_LENGTH: TimeDelta = TimeDelta::minutes(5);

/// Sessions that are kept at once. Beyond it the one that ends first is ended.
const MOST_SESSIONS: usize = 1_000;

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who it is, and what they may do.
    pub caller: Caller,
    /// The company whose pages are shown; one of the caller's.
    pub company: CompanyId,
    /// What every form of this session carries, so that no other site can send one.
    pub form_token: String,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
}

impl Session {
    /// A session of a caller, for the first of their companies; `None` for a caller without one.
    pub(super) fn of(caller: Caller, form_token: String, ends_at: DateTime<Utc>) -> Option<Self> {
        let company = caller.companies.first()?.clone();
        Some(Self { caller, company, form_token, ends_at })
    }

    /// Whether a form's token is that of this session, compared in constant time.
    #[must_use]
    pub fn owns_form(&self, token: &str) -> bool {
        // Hashes of random texts: what a comparison of them gives away is of no use.
        Sha256::digest(token) == Sha256::digest(&self.form_token)
    }
}

/// There are no random numbers on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers")]
pub struct NoRandom;

/// Why there is no login link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLink {
    /// People sign in over an issuer.
    #[error("people sign in over the issuer of the tokens here: open the console and sign in there")]
    Issuer,
    /// There are no random numbers on this machine.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

/// A secret is kept as its hash alone.
type Hash = [u8; 32];

#[derive(Default)]
struct Kept {
    sessions: HashMap<Hash, Session>,
    /// The tokens that opened sessions, and when each was last asked about.
    tokens: HashMap<Hash, (SecretString, DateTime<Utc>)>,
    links: HashMap<Hash, (Caller, DateTime<Utc>)>,
}

/// The sessions of one process, and the login links that have not been used. Both end with the process.
#[derive(Clone)]
pub struct Sessions {
    kept: Arc<Mutex<Kept>>,
    clock: Arc<dyn Clock>,
}

pub(super) fn random() -> Result<String, NoRandom> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here can be left half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The secret of a link that signs this caller in once.
    ///
    /// # Errors
    /// [`NoRandom`]
    pub fn link(&self, caller: Caller) -> Result<String, NoRandom> {
        let secret = random()?;
        let until = self.clock.now() + LINK_LENGTH;
        self.lock().links.insert(hash(&secret), (caller, until));
        Ok(secret)
    }

    /// Uses a link up; `None` for one that was used, is too old, or never was.
    #[must_use]
    pub fn use_link(&self, secret: &str) -> Option<Caller> {
        let now = self.clock.now();
        let mut kept = self.lock();
        kept.links.retain(|_, (_, until)| *until > now);
        kept.links.remove(&hash(secret)).map(|(caller, _)| caller)
    }

    /// Opens a session and gives the secret of its cookie. It ends with the token, if that is sooner. `None` for a caller without a company.
    ///
    /// # Errors
    /// [`NoRandom`]
    pub fn open(&self, caller: Caller, token_ends: Option<DateTime<Utc>>) -> Result<Option<String>, NoRandom> {
        let now = self.clock.now();
        let ends_at = token_ends.map_or(now + SESSION_LENGTH, |ends| ends.min(now + SESSION_LENGTH));
        let secret = random()?;
        let Some(session) = Session::of(caller, random()?, ends_at) else { return Ok(None) };
        let mut kept = self.lock();
        kept.sessions.retain(|_, session| session.ends_at > now);
        if kept.sessions.len() >= MOST_SESSIONS {
            let first = kept.sessions.iter().min_by_key(|(_, session)| session.ends_at).map(|(key, _)| *key);
            first.and_then(|key| kept.sessions.remove(&key));
        }
        kept.sessions.insert(hash(&secret), session);
        // What belongs to sessions that have ended goes with them.
        let Kept { sessions, tokens, .. } = &mut *kept;
        tokens.retain(|key, _| sessions.contains_key(key));
        Ok(Some(secret))
    }

    /// The session of a cookie, unless it has ended.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<Session> {
        let now = self.clock.now();
        self.lock().sessions.get(&hash(secret)).filter(|session| session.ends_at > now).cloned()
    }

    /// The session of a cookie ends when this token is good no more, e.g. since somebody revoked it.
    pub fn bind(&self, secret: &str, token: SecretString) {
        let now = self.clock.now();
        self.lock().tokens.insert(hash(secret), (token, now));
    }

    /// The token of a session, if it is time to ask whether it is still good; then not again for a minute.
    #[must_use]
    pub fn token_due(&self, secret: &str) -> Option<SecretString> {
        let now = self.clock.now();
        let mut kept = self.lock();
        let (token, asked_at) = kept.tokens.get_mut(&hash(secret))?;
        if now.signed_duration_since(*asked_at) < TOKEN_ASKED_EVERY {
            return None;
        }
        *asked_at = now;
        Some(token.clone())
    }

    /// Shows another of the caller's companies. Nothing happens for one that is not theirs.
    pub fn choose_company(&self, secret: &str, company: &CompanyId) {
        if let Some(session) = self.lock().sessions.get_mut(&hash(secret))
            && session.caller.companies.contains(company)
        {
            session.company = company.clone();
        }
    }

    /// Ends a session.
    pub fn end(&self, secret: &str) {
        let mut kept = self.lock();
        kept.sessions.remove(&hash(secret));
        kept.tokens.remove(&hash(secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Role;
    use crate::domain::time::parse;

    /// A clock that stands still until it is advanced.
    struct FixedClock(Mutex<DateTime<Utc>>);

    impl FixedClock {
        fn at(instant: DateTime<Utc>) -> Self {
            Self(Mutex::new(instant))
        }

        fn advance(&self, by: TimeDelta) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for FixedClock {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }

        fn sleep_until(&self, _: DateTime<Utc>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    fn sessions() -> (Sessions, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(parse("2026-03-22T12:00:00Z").unwrap()));
        (Sessions::new(clock.clone()), clock)
    }

    fn caller() -> Caller {
        Caller::with_role(CompanyId::parse("msp").unwrap(), "somebody", Role::Auditor)
    }

    #[test]
    fn a_link_works_once_and_for_five_minutes() {
        let (sessions, clock) = sessions();
        let (first, second) = (sessions.link(caller()).unwrap(), sessions.link(caller()).unwrap());
        assert_eq!(sessions.use_link("nothing"), None);
        assert_eq!(sessions.use_link(&first), Some(caller()));
        assert_eq!(sessions.use_link(&first), None);
        clock.advance(LINK_LENGTH);
        assert_eq!(sessions.use_link(&second), None);
    }

    #[test]
    fn a_session_ends_after_eight_hours_with_its_token_or_by_logout() {
        let (sessions, clock) = sessions();
        let long = sessions.open(caller(), None).unwrap().unwrap();
        let short = sessions.open(caller(), Some(clock.now() + TimeDelta::hours(1))).unwrap().unwrap();
        let ended = sessions.open(caller(), None).unwrap().unwrap();
        sessions.end(&ended);
        assert_eq!(sessions.find(&ended), None);
        assert_eq!(sessions.find(&long).unwrap().caller, caller());
        clock.advance(TimeDelta::hours(1));
        assert_eq!((sessions.find(&short), sessions.find(&long).is_some()), (None, true));
        clock.advance(TimeDelta::hours(7));
        assert_eq!(sessions.find(&long), None);
    }

    #[test]
    fn only_a_company_of_the_caller_can_be_chosen() {
        let (sessions, _) = sessions();
        let of = |id: &str| CompanyId::parse(id).unwrap();
        let many = Caller { companies: [of("a"), of("b")].into(), ..caller() };
        let secret = sessions.open(many, None).unwrap().unwrap();
        assert_eq!(sessions.find(&secret).unwrap().company, of("a"));
        sessions.choose_company(&secret, &of("b"));
        sessions.choose_company(&secret, &of("c"));
        assert_eq!(sessions.find(&secret).unwrap().company, of("b"));
    }

    #[test]
    fn a_thousand_sessions_are_kept_and_no_more() {
        let (sessions, clock) = sessions();
        let first = sessions.open(caller(), None).unwrap().unwrap();
        clock.advance(TimeDelta::seconds(1));
        let others: Vec<String> = (0..MOST_SESSIONS).map(|_| sessions.open(caller(), None).unwrap().unwrap()).collect();
        assert_eq!(sessions.find(&first), None);
        assert!(others.iter().all(|secret| sessions.find(secret).is_some()));
    }
}
