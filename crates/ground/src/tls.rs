//! Whose certificates are believed: those that the system knows, which are read when the first one has to be judged.
//!
//! It decides nothing itself: certificates are judged by the verifier that `reqwest` would take, signatures by the provider
//! of cryptography.

use std::sync::{Arc, Once, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// The one protocol that is spoken over TLS, as long as `reqwest` has no HTTP/2 here.
const HTTP: &[u8] = b"http/1.1";

/// Sees to it that there is a provider of cryptography.
pub(crate) fn provide() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Somebody else in this process may have chosen one: then that is used.
        let _ = crypto::ring::default_provider().install_default();
    });
}

/// TLS that believes whom the system believes. All clients have the same: roots are read once, and what one connection to a
/// server has found out shortens the next one's beginning.
pub(crate) fn system() -> ClientConfig {
    static SYSTEM: OnceLock<ClientConfig> = OnceLock::new();
    let made = SYSTEM.get_or_init(|| {
        provide();
        let builder = ClientConfig::builder();
        let verifier = Arc::new(System::new(builder.crypto_provider()));
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![HTTP.to_vec()];
        config
    });
    made.clone()
}

/// The system's verifier, made when it is needed: reading the system's roots takes longer than all else that a push has to
/// do where everything is there, and for plain http it would be in vain.
#[derive(Debug)]
struct System {
    provider: Arc<CryptoProvider>,
    /// A failure is kept as well: the system does not get other roots while we wait.
    inner: OnceLock<Result<Verifier, Error>>,
}

impl System {
    fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self { provider: provider.clone(), inner: OnceLock::new() }
    }
}

impl ServerCertVerifier for System {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let inner = self.inner.get_or_init(|| Verifier::new(self.provider.clone())).as_ref().map_err(Clone::clone)?;
        inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_not_read_before_a_certificate_is_judged() {
        let verifier = System::new(&Arc::new(crypto::ring::default_provider()));
        assert!(!verifier.supported_verify_schemes().is_empty());
        assert!(verifier.inner.get().is_none());
        let (server, no_certificate) = (ServerName::try_from("example.org").unwrap(), CertificateDer::from_slice(b"x"));
        verifier.verify_server_cert(&no_certificate, &[], &server, &[], UnixTime::now()).unwrap_err();
        assert!(verifier.inner.get().is_some());
    }
}
