//! What every outgoing connection begins with, to Huntress and to AWS.

use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{Error, SignatureScheme};
use std::sync::Arc;
use webpki::ring as webpki_ring;

/// A builder of clients that follow no redirects and use no proxy of the environment: both could see credentials.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // There is one provider a process; a second installation changes nothing.
    drop(provider().install_default());
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy()
}

/// TLS 1.2 and 1.3 by rustls with ring, reduced to what servers of the public web speak: AES-GCM with forward secrecy, and certificates of RSA or the
/// curves P-256 and P-384. The rest of ring's own provider, private keys for client certificates among it, would be a fortieth of every bootstrap.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        signature_verification_algorithms: CERTIFICATES,
        secure_random: &SystemRandom,
        key_provider: &NoKeys,
    }
}

/// TLS 1.2 does not fix the curve by the scheme, so each hash goes with both.
const CERTIFICATES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        webpki_ring::ECDSA_P256_SHA256,
        webpki_ring::ECDSA_P256_SHA384,
        webpki_ring::ECDSA_P384_SHA256,
        webpki_ring::ECDSA_P384_SHA384,
        webpki_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        webpki_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        webpki_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        webpki_ring::RSA_PKCS1_2048_8192_SHA256,
        webpki_ring::RSA_PKCS1_2048_8192_SHA384,
        webpki_ring::RSA_PKCS1_2048_8192_SHA512,
    ],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[webpki_ring::ECDSA_P384_SHA384, webpki_ring::ECDSA_P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki_ring::ECDSA_P256_SHA256, webpki_ring::ECDSA_P384_SHA256]),
        (SignatureScheme::RSA_PSS_SHA512, &[webpki_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[webpki_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[webpki_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[webpki_ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[webpki_ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[webpki_ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// Random bytes of the operating system.
#[derive(Debug)]
struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes).map_err(|_| GetRandomFailed)
    }
}

/// No client certificate is ever shown.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("client certificates are not used".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, SupportedProtocolVersion, version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a client says of a server that has a certificate of this kind, for `name`.
    async fn asked(
        kind: &'static rcgen::SignatureAlgorithm,
        version: &'static SupportedProtocolVersion,
        name: &str,
        trusted: bool,
    ) -> Result<String, reqwest::Error> {
        let signing_key = KeyPair::generate_for(kind).unwrap();
        let cert = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&signing_key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
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
        let roots = trusted.then(|| reqwest::Certificate::from_der(cert.der()).unwrap());
        let client = client().tls_certs_only(roots).build().unwrap();
        let answer = async { client.get(format!("https://localhost:{port}/")).send().await?.text().await }.await;
        drop(client);
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn servers_of_the_public_web_are_understood_and_others_are_refused() {
        for version in [&version::TLS13, &version::TLS12] {
            for kind in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
                assert_eq!(asked(kind, version, "localhost", true).await.unwrap(), "ok", "{kind:?} {version:?}");
            }
            assert!(asked(&PKCS_ECDSA_P256_SHA256, version, "elsewhere", true).await.is_err());
            assert!(asked(&PKCS_ECDSA_P256_SHA256, version, "localhost", false).await.is_err());
            assert!(asked(&PKCS_ED25519, version, "localhost", true).await.is_err());
        }
    }
}
