//! Keys of the configuration.

use std::path::{Path, PathBuf};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::algorithm;

/// Bytes of an HS256 secret: RFC 7518 §3.2 asks for as many as the hash has.
const SECRET_BYTES_MIN: usize = 32;

/// `[auth]` of the settings.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The `iss` that tokens must have.
    pub issuer: Option<String>,
    /// The `aud` that tokens must name.
    pub audience: Option<String>,
    /// A file with the HS256 secret.
    pub hs256_secret_file: Option<PathBuf>,
    /// A PEM file with the RS256 public key.
    pub public_key_file: Option<PathBuf>,
    /// The algorithms accepted; empty: the one that the key is for.
    pub algorithms: Vec<String>,
    /// Seconds by which clocks may differ.
    pub leeway_s: u64,
    /// Claims that a token must have, of `exp iss aud sub nbf`.
    pub required_claims: Vec<String>,
    /// Whether a request without a token is served.
    pub anonymous: bool,
}

/// A key that tokens may be signed with, and what they must claim.
pub struct TrustedKey {
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

impl TrustedKey {
    /// An HS256 secret of any length, whose tokens need to claim nothing: for a suite that brings tokens of its own. Settings ask for more.
    pub fn of_suite(secret: &[u8]) -> TrustedKey {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_required_spec_claims::<&str>(&[]);
        TrustedKey { decoding: DecodingKey::from_secret(secret), validation }
    }
}

/// Why `[auth]` does not make a key.
#[derive(Debug)]
pub struct KeyError(pub String);

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

impl AuthSettings {
    /// The key that is configured; `None` when none is.
    ///
    /// # Errors
    /// Two keys, a file that cannot be read, a weak secret, an algorithm that is not the key's, or an issuer or audience that is
    /// required and not named.
    pub fn trusted_key(&self) -> Result<Option<TrustedKey>, KeyError> {
        let (algorithm, decoding) = match (&self.hs256_secret_file, &self.public_key_file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(KeyError("`auth.hs256_secret_file` and `auth.public_key_file` cannot both be set".into())),
            (Some(file), None) => (Algorithm::HS256, secret(file)?),
            (None, Some(file)) => (Algorithm::RS256, public_key(file)?),
        };
        self.check_algorithms(algorithm)?;
        Ok(Some(TrustedKey { decoding, validation: self.validation(algorithm)? }))
    }

    fn check_algorithms(&self, of_key: Algorithm) -> Result<(), KeyError> {
        match self.algorithms.iter().find(|name| algorithm(name) != Some(of_key)) {
            Some(name) => Err(KeyError(format!("`auth.algorithms` names `{name}`, but the key that is set is for `{of_key:?}`"))),
            None => Ok(()),
        }
    }

    fn validation(&self, algorithm: Algorithm) -> Result<Validation, KeyError> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway_s;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&self.required_claims);
        for (claim, value) in [("iss", &self.issuer), ("aud", &self.audience)] {
            if value.is_none() && self.required_claims.iter().any(|required| required == claim) {
                let name = if claim == "iss" { "issuer" } else { "audience" };
                return Err(KeyError(format!("`auth.{name}` must be set, because `{claim}` is among `auth.required_claims`")));
            }
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
        }
        match &self.audience {
            Some(audience) => validation.set_audience(&[audience]),
            None => validation.validate_aud = false,
        }
        Ok(validation)
    }
}

fn secret(file: &Path) -> Result<DecodingKey, KeyError> {
    let text = std::fs::read(file).map_err(|error| unreadable(file, error))?;
    let secret = text.trim_ascii();
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError(format!(
            "the secret in `{}` has {} bytes; HS256 needs at least {SECRET_BYTES_MIN}",
            file.display(),
            secret.len()
        )));
    }
    Ok(DecodingKey::from_secret(secret))
}

fn public_key(file: &Path) -> Result<DecodingKey, KeyError> {
    let key = SubjectPublicKeyInfoDer::from_pem_file(file)
        .map_err(|error| KeyError(format!("`{}` is not a PEM file with a `PUBLIC KEY`: {error}", file.display())))?;
    Ok(DecodingKey::from_rsa_der(&key))
}

fn unreadable(file: &Path, error: std::io::Error) -> KeyError {
    KeyError(format!("cannot read `{}`: {error}", file.display()))
}
