//! The stack: what a host has, composed into use cases. Lambda functions, one machine and tests compose them here and nowhere else.
//!
//! A use case takes only the parts that it uses, so a function that has one of them needs the settings, the permissions and the code of no other.

use super::collection::collect::{Huntress, RateLimiters};
use super::collection::worker::Worker;
use super::connections::{Connections, OauthSettings};
use super::decisions::Decisions;
use super::evidence::EvidenceReader;
#[cfg(feature = "pack")]
use super::log::{EvidenceLog, LogSigner};
#[cfg(feature = "pack")]
use super::packs::signing::Signing;
#[cfg(feature = "pack")]
use super::packs::{PackDispatch, PackMaker, PackService, Shelf};
use super::people::{PeopleKeyring, PeopleService};
use super::runs::plan::{COOL_DOWN, Planner};
use super::tokens::Tokens;
use crate::aws::documents::Documents;
use crate::aws::lambda::Aws;
use crate::aws::queue::Queue;
use crate::aws::secrets::Credentials;
use crate::clock::Clock;
#[cfg(feature = "pack")]
use crate::domain::note::VerifierKey;
use crate::domain::schedule::Schedule;
use crate::huntress::request::{Timeouts, http_client};
use crate::settings::{PublicUrl, jitter, schedule};
use crate::store::Store;
use chrono::TimeDelta;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

/// The parts that a host has. Each may fail where a host reads its settings when it is asked for one.
pub trait Stack {
    /// Why a part is missing.
    type Error;

    /// The table.
    ///
    /// # Errors
    /// A setting that is missing or wrong; for each of the parts.
    fn store(&self) -> Result<Store, Self::Error>;
    /// Where credentials are.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn credentials(&self) -> Result<Arc<Credentials>, Self::Error>;
    /// The vendor.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn huntress(&self) -> Result<Huntress, Self::Error>;
    /// Keys and certificates of people.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn keyring(&self) -> Result<Arc<PeopleKeyring>, Self::Error>;
    /// Where the workers listen.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn queue(&self) -> Result<Arc<Queue>, Self::Error>;
    /// The window that the runs of a tick are spread over.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn jitter(&self) -> Result<TimeDelta, Self::Error>;
    /// When connections are due.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn schedule(&self) -> Result<Schedule, Self::Error>;
    /// What it takes to connect by redirect.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn oauth(&self) -> Result<Arc<OauthSettings>, Self::Error>;
    /// The request limits of the accounts, as this process knows them.
    fn limiters(&self) -> Arc<RateLimiters>;
    /// Time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Connections, and the assignments that count: what `connection-test` serves.
    ///
    /// # Errors
    /// As for [`Stack::store`]; so for the other use cases.
    fn connections(&self) -> Result<Connections, Self::Error> {
        Ok(Connections {
            store: self.store()?,
            credentials: self.credentials()?,
            huntress: self.huntress()?,
            limiters: self.limiters(),
            schedule: self.schedule()?,
            oauth: self.oauth()?,
        })
    }

    /// Runs: planned at a tick, asked for, listed, predicted. What `scheduled-sync` and `on-demand-sync` serve.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn planner(&self) -> Result<Planner, Self::Error> {
        let (jitter, schedule) = (self.jitter()?, self.schedule()?);
        let (store, queue, clock) = (self.store()?, self.queue()?, self.clock());
        Ok(Planner { store, queue, clock, jitter, schedule, cool_down: COOL_DOWN })
    }

    /// Evidence as it is read.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn evidence(&self) -> Result<EvidenceReader, Self::Error> {
        Ok(EvidenceReader { store: self.store()?, clock: self.clock() })
    }

    /// What packs and exports are made of.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    #[cfg(feature = "pack")]
    fn pack_reader(&self) -> Result<super::packs::PackReader, Self::Error> {
        Ok(super::packs::PackReader { store: self.store()?, clock: self.clock() })
    }

    /// Access tokens, which one machine alone has.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn tokens(&self) -> Result<Tokens, Self::Error> {
        Ok(Tokens { store: self.store()?, clock: self.clock() })
    }

    /// Policies, exceptions and attestations.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn decisions(&self) -> Result<Decisions, Self::Error> {
        Ok(Decisions { store: self.store()?, clock: self.clock() })
    }

    /// People and a client's provider of training: what `people-api` serves.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn people(&self) -> Result<PeopleService, Self::Error> {
        let oauth = self.oauth()?;
        let pages = oauth.public_url.clone().filter(|_| oauth.has_pages);
        Ok(PeopleService { store: self.store()?, keyring: self.keyring()?, clock: self.clock(), pages })
    }

    /// The worker: what `sync-worker` does.
    ///
    /// # Errors
    /// As for [`Stack::store`].
    fn worker(&self) -> Result<Worker, Self::Error> {
        Ok(Worker {
            store: self.store()?,
            credentials: self.credentials()?,
            huntress: self.huntress()?,
            limiters: self.limiters(),
            queue: self.queue()?,
            keyring: self.keyring()?,
            schedule: self.schedule()?,
            oauth: self.oauth()?,
        })
    }
}

/// All parts at hand: one machine, or a test. Time is the vendor's.
#[derive(Clone)]
pub struct Parts {
    /// The table.
    pub store: Store,
    /// Where credentials are.
    pub credentials: Arc<Credentials>,
    /// The vendor, and time.
    pub huntress: Huntress,
    /// Keys and certificates of people.
    pub keyring: Arc<PeopleKeyring>,
    /// Where the workers listen.
    pub queue: Arc<Queue>,
    /// The request limits of the accounts.
    pub limiters: Arc<RateLimiters>,
    /// The window that the runs of a tick are spread over.
    pub jitter: TimeDelta,
    /// When connections are due.
    pub schedule: Schedule,
    /// What it takes to connect by redirect.
    pub oauth: Arc<OauthSettings>,
}

impl Stack for Parts {
    type Error = Infallible;

    fn store(&self) -> Result<Store, Infallible> {
        Ok(self.store.clone())
    }

    fn credentials(&self) -> Result<Arc<Credentials>, Infallible> {
        Ok(Arc::clone(&self.credentials))
    }

    fn huntress(&self) -> Result<Huntress, Infallible> {
        Ok(self.huntress.clone())
    }

    fn keyring(&self) -> Result<Arc<PeopleKeyring>, Infallible> {
        Ok(Arc::clone(&self.keyring))
    }

    fn queue(&self) -> Result<Arc<Queue>, Infallible> {
        Ok(Arc::clone(&self.queue))
    }

    fn jitter(&self) -> Result<TimeDelta, Infallible> {
        Ok(self.jitter)
    }

    fn schedule(&self) -> Result<Schedule, Infallible> {
        Ok(self.schedule.clone())
    }

    fn oauth(&self) -> Result<Arc<OauthSettings>, Infallible> {
        Ok(Arc::clone(&self.oauth))
    }

    fn limiters(&self) -> Arc<RateLimiters> {
        Arc::clone(&self.limiters)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.huntress.clock)
    }
}

#[cfg(feature = "pack")]
impl Aws<'_> {
    /// Packs that are asked for and fetched: what `packs-api` serves. The signing function makes them.
    ///
    /// # Errors
    /// A setting that is missing or wrong.
    pub fn packs(&self) -> Result<PackService, Box<dyn Error + Send + Sync>> {
        let (service, function) = self.log_signing()?;
        let dispatch = PackDispatch::Function { service: Box::new(service), function };
        Ok(PackService { reader: self.pack_reader()?, dispatch, shelf: Arc::new(self.shelf()?) })
    }

    /// What `log-signing` does.
    ///
    /// # Errors
    /// A setting that is missing or wrong, or a key that cannot be used.
    pub async fn signing(&self) -> Result<Signing, Box<dyn Error + Send + Sync>> {
        let store = self.store()?;
        // The log keeps its name when its key is replaced.
        let kept = store.log_key().await?.and_then(|kept| VerifierKey::parse(&kept.key).ok());
        let signer = match self.log_keys(kept.as_ref().map(VerifierKey::name)).await? {
            (key, None) => LogSigner::Kms(Box::new(key)),
            (key, Some(before)) => LogSigner::Replacing { key: Box::new(key), before: Box::new(before) },
        };
        let signer = Arc::new(signer);
        let archive = self.bucket("CHECKPOINT_BUCKET_URL")?.map(|bucket| Arc::new(Documents::Bucket(bucket)));
        let log = EvidenceLog { store, signer: Arc::clone(&signer), archive, clock: self.clock() };
        Ok(Signing { log, maker: PackMaker { reader: self.pack_reader()?, signer }, shelf: self.shelf()? })
    }

    /// Packs lie in the bucket of certificates, under a name that no company has.
    fn shelf(&self) -> Result<Shelf, Box<dyn Error + Send + Sync>> {
        Ok(Shelf { documents: Documents::Bucket(self.certificates()?), prefix: "~packs/" })
    }
}

/// A Lambda function: each part from the variables that name it.
impl Stack for Aws<'_> {
    type Error = Box<dyn Error + Send + Sync>;

    fn store(&self) -> Result<Store, Self::Error> {
        Ok(self.table()?)
    }

    fn credentials(&self) -> Result<Arc<Credentials>, Self::Error> {
        Ok(self.secrets()?)
    }

    fn huntress(&self) -> Result<Huntress, Self::Error> {
        Ok(Huntress { http: http_client(Timeouts::default())?, clock: self.system_clock(), origins: self.origins()? })
    }

    fn keyring(&self) -> Result<Arc<PeopleKeyring>, Self::Error> {
        let (wrapping, documents) = (self.people_wrapping()?, Documents::Bucket(self.certificates()?));
        Ok(Arc::new(PeopleKeyring { wrapping, documents }))
    }

    fn queue(&self) -> Result<Arc<Queue>, Self::Error> {
        Ok(Arc::new(self.run_queue()?))
    }

    fn jitter(&self) -> Result<TimeDelta, Self::Error> {
        Ok(jitter(self.lookup())?)
    }

    fn schedule(&self) -> Result<Schedule, Self::Error> {
        Ok(schedule(self.lookup())?)
    }

    fn oauth(&self) -> Result<Arc<OauthSettings>, Self::Error> {
        let public_url = PublicUrl::read(self.lookup())?;
        let has_pages = self.lookup()("HAS_CONSOLE").is_some();
        Ok(Arc::new(OauthSettings { client: self.oauth_client(), public_url, has_pages }))
    }

    fn limiters(&self) -> Arc<RateLimiters> {
        Arc::default()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.system_clock()
    }
}
