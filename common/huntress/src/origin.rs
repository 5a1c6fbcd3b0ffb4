//! The hosts that may be contacted.

use evidence_domain::product::Product;
use std::net::IpAddr;
use url::{Host, Url};

/// Scheme, host and port of a Huntress API, checked against the list of allowed hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

/// Why an origin is refused, before any request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is no URL, or has more than scheme, host and port.
    #[error("an origin is scheme, host and port only, as in https://{expected}")]
    NotAnOrigin {
        /// The host that is expected.
        expected: &'static str,
    },
    /// Plain http to a host that is not this machine.
    #[error("http is refused: use https://{expected}")]
    NotHttps {
        /// The host that is expected.
        expected: &'static str,
    },
    /// The host is not on the list.
    #[error("the host is not on the list of allowed hosts: use https://{expected}")]
    HostNotAllowed {
        /// The host that is expected.
        expected: &'static str,
    },
    /// This machine, without leave.
    #[error("a loopback address is accepted only with HUNTRESS_ALLOW_LOOPBACK=1")]
    LoopbackNotAllowed,
}

/// The one host of a product.
#[must_use]
pub fn host_of(product: Product) -> &'static str {
    match product {
        Product::Edr => "api.huntress.io",
        Product::Sat => "mycurricula.com",
    }
}

impl Origin {
    /// The vendor's own origin of a product.
    ///
    /// # Errors
    /// Never for the hosts of [`host_of`].
    pub fn vendor(product: Product) -> Result<Self, OriginError> {
        Self::parse(&format!("https://{}", host_of(product)), product, false)
    }

    /// Reads an origin and checks that it may be contacted: https to the product's host, or a loopback address where the operator allows it.
    ///
    /// # Errors
    /// [`OriginError`] says which rule it breaks.
    pub fn parse(text: &str, product: Product, allow_loopback: bool) -> Result<Self, OriginError> {
        let expected = host_of(product);
        let url = Url::parse(text.trim()).map_err(|_| OriginError::NotAnOrigin { expected })?;
        let host = url.host().ok_or(OriginError::NotAnOrigin { expected })?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !plain || url.path() != "/" || !matches!(url.scheme(), "http" | "https") {
            return Err(OriginError::NotAnOrigin { expected });
        }
        if is_loopback(&host) {
            return if allow_loopback { Ok(Self(url)) } else { Err(OriginError::LoopbackNotAllowed) };
        }
        if url.scheme() != "https" {
            return Err(OriginError::NotHttps { expected });
        }
        if host != Host::Domain(expected) || url.port().is_some() {
            return Err(OriginError::HostNotAllowed { expected });
        }
        Ok(Self(url))
    }

    /// Path and parameters of an address that is below this origin; `None` for any other address.
    #[must_use]
    pub fn below(&self, address: &str) -> Option<(String, Vec<(String, String)>)> {
        let url = Url::parse(address).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.origin() != self.0.origin() {
            return None;
        }
        let parameters = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Some((url.path().to_owned(), parameters))
    }

    /// The URL of an absolute path below this origin.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_below_an_origin_only_with_its_scheme_host_and_port() {
        let origin = Origin::parse("https://mycurricula.com", Product::Sat, false).unwrap();
        let (path, parameters) = origin.below("https://MyCurricula.com:443/c/a%20b?s=x%26y#z").unwrap();
        assert_eq!((path.as_str(), parameters), ("/c/a%20b", vec![("s".to_owned(), "x&y".to_owned())]));
        for foreign in [
            "http://mycurricula.com/c",
            "https://mycurricula.com.evil.example/c",
            "https://mycurricula.com:8443/c",
            "https://mycurricula.com@evil.example/c",
            "https://a:b@mycurricula.com/c",
            "/c",
        ] {
            assert_eq!(origin.below(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn only_the_vendor_over_https_and_loopback_with_leave() {
        let parse = |text, loopback| Origin::parse(text, Product::Edr, loopback).map(|_| ());
        let expected = "api.huntress.io";
        assert_eq!(parse("https://api.huntress.io", false), Ok(()));
        assert_eq!(parse("https://API.huntress.io/", false), Ok(()));
        assert_eq!(parse("https://api.huntress.io:443", false), Ok(()));
        assert_eq!(parse("http://api.huntress.io", true), Err(OriginError::NotHttps { expected }));
        assert_eq!(parse("http://10.0.0.1", true), Err(OriginError::NotHttps { expected }));
        for off_the_list in [
            "https://mycurricula.com",
            "https://api.huntress.io.evil.example",
            "https://api.huntress.io:8443",
            "https://1.2.3.4",
        ] {
            assert_eq!(parse(off_the_list, true), Err(OriginError::HostNotAllowed { expected }), "{off_the_list}");
        }
        for no_origin in [
            "",
            "api.huntress.io",
            "https://user@api.huntress.io",
            "https://api.huntress.io/v1",
            "ftp://api.huntress.io",
        ] {
            assert_eq!(parse(no_origin, true), Err(OriginError::NotAnOrigin { expected }), "{no_origin}");
        }
        for loopback in
            ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost:1", "https://127.0.0.1"]
        {
            assert_eq!(parse(loopback, true), Ok(()), "{loopback}");
            assert_eq!(parse(loopback, false), Err(OriginError::LoopbackNotAllowed), "{loopback}");
        }
        assert!(Origin::vendor(Product::Sat).is_ok() && Origin::vendor(Product::Edr).is_ok());
    }
}
