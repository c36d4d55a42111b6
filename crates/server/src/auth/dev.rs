//! Dev tokens: HS256 with a key in the data folder, accepted by `fourfold dev` alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use super::{TrustedKey, now_s};

/// `iss` of dev tokens.
pub const DEV_ISSUER: &str = "fourfold-dev";
/// `aud` of dev tokens.
pub const DEV_AUDIENCE: &str = "fourfold-dev";
/// `kid` of dev tokens.
pub(super) const KEY_ID: &str = "fourfold-dev";
/// Dev tokens are good for 30 days.
const LIFETIME_S: i64 = 30 * 86_400;

/// The key in the data folder's `dev.key`.
pub struct DevKey(Vec<u8>);

impl DevKey {
    /// Reads the key, or makes one that only its owner can read.
    ///
    /// # Errors
    /// The folder cannot be written, or no randomness is to be had.
    pub fn open(folder: &Path) -> io::Result<DevKey> {
        let path = folder.join("dev.key");
        match DevKey::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => DevKey::make(&path),
            read => read,
        }
    }

    fn read(path: &Path) -> io::Result<DevKey> {
        let text = fs::read_to_string(path)?;
        if text.trim().len() < 32 {
            return Err(io::Error::other(format!("`{}` is no key; remove it and a new one is made", path.display())));
        }
        Ok(DevKey(text.trim().as_bytes().to_vec()))
    }

    /// `dev` and `token dev` may both find no key. So it is written whole under a name of its own and then linked: of two who do
    /// this one wins, and nobody reads half a key.
    fn make(path: &Path) -> io::Result<DevKey> {
        let mut bytes = [0; 40];
        SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
        let (key, name) = bytes.split_at(32);
        let draft = path.with_extension(format!("key.{}", hex(name)));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let linked = writeln!(file, "{}", hex(key)).and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => DevKey::read(path),
        }
    }

    /// A token with these claims; `sub` is `dev` and `exp` in 30 days unless they say otherwise.
    ///
    /// # Errors
    /// The claims cannot be signed.
    pub fn token(&self, claims: &Map<String, Value>) -> io::Result<String> {
        let now = now_s();
        let mut payload = claims.clone();
        payload.entry("sub").or_insert_with(|| json!("dev"));
        payload.entry("iat").or_insert_with(|| json!(now));
        payload.entry("exp").or_insert_with(|| json!(now + LIFETIME_S));
        payload.insert("iss".into(), json!(DEV_ISSUER));
        payload.insert("aud".into(), json!(DEV_AUDIENCE));
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(KEY_ID.to_owned());
        jsonwebtoken::encode(&header, &payload, &EncodingKey::from_secret(&self.0)).map_err(io::Error::other)
    }

    pub(super) fn trusted(&self) -> TrustedKey {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 30;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[DEV_ISSUER]);
        validation.set_audience(&[DEV_AUDIENCE]);
        TrustedKey { decoding: DecodingKey::from_secret(&self.0), validation }
    }

    /// The bytes, to key hashes in the log with.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
