//! What every outgoing connection begins with, to Huntress and to AWS: TLS by rustls with ring's own default provider, and the machine's own roots.

use evidence_domain::text;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::sync::Arc;

/// A builder of clients that follow no redirects and use no proxy of the environment: both could see credentials.
pub fn client() -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match rustls_platform_verifier::Verifier::new(Arc::clone(&provider)) {
        Ok(verifier) => trusting(provider, Arc::new(verifier)),
        // Without roots there is no client; building this one fails for the same reason.
        Err(_) => plain(),
    }
}

/// The same for an endpoint on this machine, which needs no certificates.
pub fn loopback_client() -> reqwest::ClientBuilder {
    plain().tls_certs_only([])
}

fn plain() -> reqwest::ClientBuilder {
    // There is one default a process; a second installation changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy()
}

/// A builder of clients that trust whom `verifier` trusts.
fn trusting(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> reqwest::ClientBuilder {
    let verifier = Arc::new(IssuerNaming(verifier));
    match ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(config) => plain().tls_backend_preconfigured(
            config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(),
        ),
        Err(_) => plain(),
    }
}

/// A verifier that adds the issuer's name to what another verifier says of a certificate that nobody here vouches for: on a network that inspects TLS the
/// name tells who does.
#[derive(Debug)]
struct IssuerNaming(Arc<dyn ServerCertVerifier>);

/// The issuer of a certificate is not among those that this machine trusts.
#[derive(Debug, thiserror::Error)]
#[error("the certificate was issued by {issuer}, which this machine does not trust")]
struct UntrustedIssuer {
    issuer: String,
}

impl ServerCertVerifier for IssuerNaming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match (&error, issuer_of(end_entity)) {
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), Some(issuer)) => {
                let named = OtherError(Arc::new(UntrustedIssuer { issuer }));
                Error::InvalidCertificate(CertificateError::Other(named))
            }
            _ => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The issuer's organization and common name, for people.
fn issuer_of(certificate: &CertificateDer<'_>) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let (mut names, mut organizations) = (Vec::new(), Vec::new());
    // Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value string }, of which the sequence's own head is not in `issuer`.
    for set in elements(certificate.issuer()) {
        for attribute in elements(set) {
            let mut fields = elements(attribute);
            match (fields.next(), fields.next()) {
                (Some(COMMON_NAME), Some(value)) => names.push(value),
                (Some(ORGANIZATION), Some(value)) => organizations.push(value),
                _ => {}
            }
        }
    }
    let said = organizations.into_iter().chain(names).map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ");
    text::name(&said)
}

/// The contents of the DER elements that follow one another; it ends where they cannot be read.
fn elements(mut der: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_tag, rest) = der.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            _ => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(4))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        der = rest;
        Some(content)
    })
}

/// What is wrong with the server's certificate, if that is why a request failed.
pub fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(Error::InvalidCertificate(problem)) = error.downcast_ref() {
            return Some(match problem {
                CertificateError::Other(other) => other.to_string(),
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "its certificate is for another host".to_owned()
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "its certificate has expired, by the clock of this machine".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "its certificate is not valid yet, by the clock of this machine".to_owned()
                }
                _ => "its certificate cannot be verified".to_owned(),
            });
        }
        // An I/O error's source is its content's source, so the content itself would be passed over.
        let content = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match content {
            Some(content) => Some(content),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
    use rustls::client::WebPkiServerVerifier;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a client says of a server that has a certificate of this kind, for `name`.
    async fn asked(
        kind: &'static rcgen::SignatureAlgorithm,
        version: &'static SupportedProtocolVersion,
        name: &str,
        trusted: bool,
    ) -> Result<String, reqwest::Error> {
        let signing_key = KeyPair::generate_for(kind).unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Inspection CA\u{1b}[2J 1");
        params.distinguished_name.push(DnType::OrganizationName, "Acme Network");
        let cert = params.self_signed(&signing_key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_protocol_versions(&[version]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            drop(stream.shutdown().await);
        });
        let client = if trusted {
            let mut roots = RootCertStore::empty();
            roots.add(cert.der().clone()).unwrap();
            let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
            trusting(provider, verifier.build().unwrap())
        } else {
            client()
        };
        let client = client.build().unwrap();
        let answer = async { client.get(format!("https://localhost:{port}/")).send().await?.text().await }.await;
        drop(client);
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn servers_of_the_public_web_are_understood() {
        for version in [&version::TLS13, &version::TLS12] {
            for kind in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
                assert_eq!(asked(kind, version, "localhost", true).await.unwrap(), "ok", "{kind:?} {version:?}");
            }
        }
    }

    #[tokio::test]
    async fn others_are_refused_and_it_is_said_why() {
        for version in [&version::TLS13, &version::TLS12] {
            let refused = |name, trusted| asked(&PKCS_ECDSA_P256_SHA256, version, name, trusted);
            let problem = |error: reqwest::Error| certificate_problem(&error).unwrap();
            let other_name = problem(refused("elsewhere", true).await.unwrap_err());
            assert_eq!(other_name, "its certificate is for another host");
            let issuer = problem(refused("localhost", false).await.unwrap_err());
            let expected =
                "the certificate was issued by Acme Network, Inspection CA[2J 1, which this machine does not trust";
            assert_eq!(issuer, expected);
        }
    }
}
