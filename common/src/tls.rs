//! What every outgoing connection begins with, to Huntress and to AWS.

/// A builder of clients that follow no redirects and use no proxy of the environment: both could see credentials.
///
/// TLS is rustls with ring, which is a tenth of a bootstrap smaller than the default provider.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // There is one provider a process; a second installation changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy()
}
