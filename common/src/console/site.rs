//! Where the console is: the origins that a browser may name.

use std::net::SocketAddr;
use url::Url;

/// The origins of the console. A request that names another host is refused, so that no foreign name can be made to lead here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    origins: Vec<String>,
    cookie: String,
    public: bool,
}

/// A public address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no public address: write it as https://evidence.example.com, without a path")]
pub struct InvalidOrigin(pub String);

impl Site {
    /// One machine: the loopback address that it listens on under its usual names, and a public address where a proxy stands in front.
    ///
    /// # Errors
    /// [`InvalidOrigin`]
    pub fn of_machine(address: SocketAddr, public: Option<&str>) -> Result<Self, InvalidOrigin> {
        let port = address.port();
        let names =
            [address.to_string(), format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")];
        let public = public.map(origin).transpose()?;
        let local = names.into_iter().map(|name| format!("http://{name}"));
        // Cookies do not tell ports apart, and two consoles may run on one machine.
        let is_public = public.is_some();
        let origins = public.into_iter().chain(local).collect();
        Ok(Self { origins, cookie: format!("session-{port}"), public: is_public })
    }

    /// A public address alone, over TLS.
    ///
    /// # Errors
    /// [`InvalidOrigin`]
    pub fn public(address: &str) -> Result<Self, InvalidOrigin> {
        let origin = origin(address)?;
        if !origin.starts_with("https://") {
            return Err(InvalidOrigin(address.to_owned()));
        }
        Ok(Self { origins: vec![origin], cookie: "__Host-session".to_owned(), public: true })
    }

    /// The origin that links of ours begin with.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origins.first().map_or("", String::as_str)
    }

    /// Whether [`Site::origin`] is an address for others than this machine.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public
    }

    /// The name of the session's cookie.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whether it is reached over TLS alone.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.origins.iter().all(|origin| origin.starts_with("https://"))
    }

    /// Whether a host, with its port if it names one, is ours.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        let hosts = self.origins.iter().filter_map(|origin| origin.split_once("://"));
        hosts.into_iter().any(|(_, ours)| ours.eq_ignore_ascii_case(host))
    }

    /// Whether an origin is ours.
    #[must_use]
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|ours| ours.eq_ignore_ascii_case(origin))
    }
}

fn origin(address: &str) -> Result<String, InvalidOrigin> {
    let invalid = || InvalidOrigin(address.to_owned());
    let url = Url::parse(address.trim()).map_err(|_| invalid())?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "https" | "http") || !is_plain || url.password().is_some() {
        return Err(invalid());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_names_are_believed() {
        let site = Site::of_machine("127.0.0.1:8787".parse().unwrap(), None).unwrap();
        for host in ["127.0.0.1:8787", "localhost:8787", "LOCALHOST:8787", "[::1]:8787"] {
            assert!(site.has_host(host) && site.has_origin(&format!("http://{host}")), "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:8788", "evil.example", "localhost.evil.example:8787", ""] {
            assert!(!site.has_host(host) && !site.has_origin(&format!("http://{host}")), "{host}");
        }
        assert!(!site.has_origin("null") && !site.has_origin("https://localhost:8787") && !site.is_secure());
        assert_eq!((site.origin(), site.is_public()), ("http://127.0.0.1:8787", false));
    }

    #[test]
    fn a_public_address_is_an_origin_over_tls() {
        let site = Site::public("https://Evidence.example.com/").unwrap();
        assert!(site.has_host("evidence.example.com") && site.has_origin("https://evidence.example.com"));
        assert!(site.is_secure() && site.cookie() == "__Host-session");
        for bad in ["http://evidence.example.com", "https://a/b", "https://a@b", "a", "https://a?b", "ftp://a"] {
            assert!(Site::public(bad).is_err(), "{bad}");
        }
        let behind = Site::of_machine("127.0.0.1:1".parse().unwrap(), Some("https://e.example.com")).unwrap();
        assert!((behind.origin(), behind.is_public()) == ("https://e.example.com", true) && site.is_public());
        assert!(behind.has_host("e.example.com") && behind.has_host("localhost:1") && !behind.is_secure());
    }
}
