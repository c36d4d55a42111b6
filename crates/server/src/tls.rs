//! TLS, by rustls with aws-lc-rs, given to it explicitly: the process-wide default belongs to whoever embeds this.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// An acceptor for a certificate chain and its key, both PEM files; it offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// A file cannot be read or holds no certificate or key, or they do not belong together.
pub fn acceptor(cert_file: &Path, key_file: &Path) -> io::Result<TlsAcceptor> {
    let of = |file: &Path, error: rustls::pki_types::pem::Error| io::Error::other(format!("`{}`: {error}", file.display()));
    let chain = CertificateDer::pem_file_iter(cert_file).map_err(|error| of(cert_file, error))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| of(cert_file, error))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| of(key_file, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| io::Error::other(format!("`{}` and `{}`: {error}", cert_file.display(), key_file.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
