//! Settings of a process, read once at start-up. An error names the variable.

use crate::domain::product::Product;
use crate::domain::schedule::{DEFAULT_EXPRESSION, DEFAULT_ZONE, Schedule, ScheduleError};
use crate::huntress::origin::Origin;
use chrono::TimeDelta;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::{Host, Url};

/// A variable that is missing or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Exactly one of two is to be set, and both are, or none is.
    #[error("one of the environment variables {0} and {1} has to be set, and not the other")]
    OneOf(&'static str, &'static str),
    /// It is set to something that is no text.
    #[error("the environment variable {0} cannot be read: it is not UTF-8")]
    Unreadable(String),
    /// It is set to something that cannot be used.
    #[error("the environment variable {name} cannot be used: {why}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// Why, without its value.
        why: String,
    },
}

/// A look-up of variables; [`environment`] is the real one.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. A variable that is set to nothing counts as not set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What begins so is a variable that this program or the AWS SDK reads.
const OUR_PREFIXES: [&str; 2] = ["HUNTRESS_", "AWS_"];

/// The variables of a deployed stack that this program reads.
const OUR_NAMES: [&str; 15] = [
    "PUBLIC_URL",
    "SAT_OAUTH_SECRET",
    "TABLE_NAME",
    "SECRET_PREFIX",
    "CREDENTIAL_KEY_ID",
    "PEOPLE_KEY_ID",
    "CERTIFICATE_BUCKET_URL",
    "QUEUE_URL",
    "DEAD_LETTERS_URL",
    "JITTER_MINUTES",
    "SERVICE_NAME",
    "SECRET_KEY_ID",
    "SECRET_TAGS",
    "EVIDENCE_RETENTION_DAYS",
    "SCHEDULE_EXPRESSION",
];

/// Refuses a variable of ours that is set and cannot be read. It must not count as not set: a default would take its place, and send a credential elsewhere.
///
/// # Errors
/// [`SettingsError::Unreadable`]
pub fn readable_environment() -> Result<(), SettingsError> {
    let ours = |name: &str| OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || OUR_NAMES.contains(&name);
    readable(std::env::vars_os(), ours)
}

/// The same for a function, all of whose variables are its stack's or Lambda's.
///
/// # Errors
/// [`SettingsError::Unreadable`]
pub fn readable_deployment() -> Result<(), SettingsError> {
    readable(std::env::vars_os(), |_| true)
}

fn readable(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    ours: impl Fn(&str) -> bool,
) -> Result<(), SettingsError> {
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if ours(&name) && value.to_str().is_none() {
            return Err(SettingsError::Unreadable(name.into_owned()));
        }
    }
    Ok(())
}

/// A variable that must be there.
///
/// # Errors
/// [`SettingsError::Missing`].
pub fn required(lookup: Lookup<'_>, name: &'static str) -> Result<String, SettingsError> {
    lookup(name).ok_or(SettingsError::Missing(name))
}

/// The longest window that the runs of a tick are spread over: the rest of the day is left to do them.
pub const LONGEST_JITTER: TimeDelta = TimeDelta::hours(12);

/// The schedule of `SCHEDULE_EXPRESSION` in `SCHEDULE_TIMEZONE`, by default every day at 07:00 in New York.
///
/// # Errors
/// [`SettingsError::Invalid`] for an expression or a zone that is none.
pub fn schedule(lookup: Lookup<'_>) -> Result<Schedule, SettingsError> {
    let expression = lookup("SCHEDULE_EXPRESSION").unwrap_or_else(|| DEFAULT_EXPRESSION.to_owned());
    let zone = lookup("SCHEDULE_TIMEZONE").unwrap_or_else(|| DEFAULT_ZONE.to_owned());
    Schedule::parse(&expression, &zone).map_err(|error| {
        let name = if matches!(error, ScheduleError::Zone(_)) { "SCHEDULE_TIMEZONE" } else { "SCHEDULE_EXPRESSION" };
        SettingsError::Invalid { name, why: error.to_string() }
    })
}

/// The window that the runs of a tick are spread over: `JITTER_MINUTES`, by default none.
///
/// # Errors
/// [`SettingsError::Invalid`] for what is no number of minutes up to [`LONGEST_JITTER`].
pub fn jitter(lookup: Lookup<'_>) -> Result<TimeDelta, SettingsError> {
    let name = "JITTER_MINUTES";
    let Some(text) = lookup(name) else { return Ok(TimeDelta::zero()) };
    let minutes = text.parse::<u16>().ok().map(|minutes| TimeDelta::minutes(minutes.into()));
    let why = || format!("it is no number from 0 to {}", LONGEST_JITTER.num_minutes());
    minutes.filter(|minutes| *minutes <= LONGEST_JITTER).ok_or_else(|| SettingsError::Invalid { name, why: why() })
}

/// How long evidence is kept: `EVIDENCE_RETENTION_DAYS`, by default for ever.
///
/// # Errors
/// [`SettingsError::Invalid`] for what is no number of days up to a century.
pub fn retention(lookup: Lookup<'_>) -> Result<Option<TimeDelta>, SettingsError> {
    let name = "EVIDENCE_RETENTION_DAYS";
    let Some(text) = lookup(name) else { return Ok(None) };
    let days = text.parse::<u16>().ok().filter(|days| *days <= 36_500);
    let days =
        days.ok_or_else(|| SettingsError::Invalid { name, why: "it is no number from 0 to 36500".to_owned() })?;
    Ok((days > 0).then(|| TimeDelta::days(days.into())))
}

/// Where browsers come back to from Huntress, below our own address.
pub const REDIRECT_PATH: &str = "/oauth/huntress/callback";

/// Where browsers reach this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Reads an address: https, or http on this machine alone, with a host and perhaps a port, and nothing more.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "it is no URL")?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("it has no host"),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return Err("it must begin with https://; http:// is for an address of this machine alone");
        }
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !bare || url.fragment().is_some() || url.path() != "/" {
            return Err("it must be a scheme, a host and perhaps a port, without a path");
        }
        Ok(Self(url))
    }

    /// The address of `PUBLIC_URL`, if it is set.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`]
    pub fn read(lookup: Lookup<'_>) -> Result<Option<Self>, SettingsError> {
        let name = "PUBLIC_URL";
        let parsed = lookup(name).map(|text| Self::parse(text.trim())).transpose();
        parsed.map_err(|why| SettingsError::Invalid { name, why: why.to_owned() })
    }

    /// Where browsers come back to: what the API client has at Huntress as its redirect address.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        let mut url = self.0.clone();
        url.set_path(REDIRECT_PATH);
        url.into()
    }

    /// The root of the console.
    #[must_use]
    pub fn start(&self) -> String {
        self.0.to_string()
    }

    /// The address of this machine that it names, if it names one.
    #[must_use]
    pub fn loopback(&self) -> Option<SocketAddr> {
        let port = self.0.port_or_known_default()?;
        let address = match self.0.host()? {
            Host::Domain(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        (self.0.scheme() == "http").then_some(SocketAddr::new(address, port))
    }
}

/// Where each product is reached.
#[derive(Debug, Clone)]
pub struct Origins {
    /// The endpoint API: `HUNTRESS_EDR_URL`, by default the vendor's.
    pub edr: Origin,
    /// The training API: `HUNTRESS_SAT_URL`, by default the vendor's.
    pub sat: Origin,
}

impl Origins {
    /// Reads the origins. A loopback address is accepted only with `HUNTRESS_ALLOW_LOOPBACK=1`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable that is not allowed.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, SettingsError> {
        let allow_loopback = lookup("HUNTRESS_ALLOW_LOOPBACK").as_deref() == Some("1");
        let origin = |name: &'static str, product| {
            let origin = match lookup(name) {
                Some(text) => Origin::parse(&text, product, allow_loopback),
                None => Origin::vendor(product),
            };
            origin.map_err(|error| SettingsError::Invalid { name, why: error.to_string() })
        };
        Ok(Self { edr: origin("HUNTRESS_EDR_URL", Product::Edr)?, sat: origin("HUNTRESS_SAT_URL", Product::Sat)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_minutes_up_to_half_a_day() {
        let of = |text: &'static str| jitter(&move |name| (name == "JITTER_MINUTES").then(|| text.to_owned()));
        assert_eq!((of("0"), of("15")), (Ok(TimeDelta::zero()), Ok(TimeDelta::minutes(15))));
        assert_eq!(of("720"), Ok(LONGEST_JITTER));
        for wrong in ["721", "-1", "soon", "1.5"] {
            let error = of(wrong).unwrap_err().to_string();
            assert_eq!(error, "the environment variable JITTER_MINUTES cannot be used: it is no number from 0 to 720");
        }
        assert_eq!(jitter(&|_| None), Ok(TimeDelta::zero()));
    }

    #[test]
    fn a_variable_of_ours_that_is_no_text_is_refused_by_its_name() {
        use std::os::unix::ffi::OsStringExt;
        let unreadable = || OsString::from_vec(vec![b'x', 0xff]);
        let set = |name: &str| [(OsString::from("PATH"), OsString::from("/bin")), (name.into(), unreadable())];
        let refused = readable(set("TABLE_NAME"), |name| name == "TABLE_NAME").unwrap_err();
        assert_eq!(refused, SettingsError::Unreadable("TABLE_NAME".to_owned()));
        assert_eq!(readable(set("SOMEBODYS"), |name| name == "TABLE_NAME"), Ok(()));
        assert!(readable(set("SOMEBODYS"), |_| true).is_err());
    }

    #[test]
    fn evidence_ends_after_days_or_never() {
        let of =
            |text: &'static str| retention(&move |name| (name == "EVIDENCE_RETENTION_DAYS").then(|| text.to_owned()));
        assert_eq!((of("0"), of("400")), (Ok(None), Ok(Some(TimeDelta::days(400)))));
        assert!(["36501", "-1", "a year"].into_iter().all(|wrong| of(wrong).is_err()));
        assert_eq!(retention(&|_| None), Ok(None));
    }

    #[test]
    fn a_public_address_is_https_or_of_this_machine() {
        let of = |text| PublicUrl::parse(text).map(|url| url.redirect_uri());
        assert_eq!(of("https://evidence.example.com").unwrap(), "https://evidence.example.com/oauth/huntress/callback");
        assert_eq!(of("http://127.0.0.1:8787/").unwrap(), "http://127.0.0.1:8787/oauth/huntress/callback");
        assert!(of("http://localhost:1").is_ok() && of("http://[::1]:1").is_ok());
        for wrong in [
            "",
            "evidence.example.com",
            "http://evidence.example.com",
            "https://evidence.example.com/below",
            "https://evidence.example.com/?a=b",
            "https://evidence.example.com/#a",
            "https://user@evidence.example.com",
            "http://127.0.0.1.example.com",
            "javascript:alert(1)",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let read = |text: &'static str| PublicUrl::read(&move |name| (name == "PUBLIC_URL").then(|| text.to_owned()));
        assert!(read("ftp://a").unwrap_err().to_string().contains("PUBLIC_URL"));
        assert_eq!(PublicUrl::read(&|_| None), Ok(None));
        assert_eq!(read("http://127.0.0.1:8787").unwrap().unwrap().loopback().unwrap().port(), 8787);
        assert_eq!(read("https://a.example").unwrap().unwrap().loopback(), None);
    }

    #[test]
    fn an_origin_that_is_not_allowed_names_its_variable() {
        let vars = |name: &str| (name == "HUNTRESS_SAT_URL").then(|| "http://127.0.0.1:1".to_owned());
        let error = Origins::read(&vars).unwrap_err();
        assert!(error.to_string().starts_with("the environment variable HUNTRESS_SAT_URL cannot be used"), "{error}");
        let allowed = |name: &str| vars(name).or_else(|| (name == "HUNTRESS_ALLOW_LOOPBACK").then(|| "1".to_owned()));
        assert!(Origins::read(&allowed).is_ok());
        assert!(Origins::read(&|_| None).is_ok());
    }
}
