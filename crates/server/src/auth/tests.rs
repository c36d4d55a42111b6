#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use fourfold_model::{Base, Claim, Type, Value};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn claim(name: &str, base: Base, nullable: bool, list: bool, path: &str) -> Claim {
    Claim { name: name.into(), ty: Type { base, nullable, list }, path: path.into(), doc: None }
}

fn model() -> Arc<Model> {
    let claims = vec![
        claim("id", Base::Int, false, false, "sub"),
        claim("roles", Base::String, false, true, "realm.roles"),
        claim("team", Base::String, true, false, "team"),
    ];
    Arc::new(Model { claims, ..Model::default() })
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("fourfold-auth-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn settings(name: &str) -> AuthSettings {
    let file = folder(name).join("secret");
    std::fs::write(&file, SECRET).unwrap();
    AuthSettings {
        issuer: Some("https://id.example".into()),
        audience: Some("shop".into()),
        hs256_secret_file: Some(file),
        leeway_s: 30,
        required_claims: ["exp", "iss", "aud"].map(String::from).to_vec(),
        anonymous: true,
        ..AuthSettings::default()
    }
}

fn auth(name: &str) -> Auth {
    Auth::new(model(), settings(name).trusted_key().unwrap(), None, true)
}

fn sign(secret: &str, header: &Header, change: serde_json::Value) -> String {
    let mut payload =
        json!({"iss": "https://id.example", "aud": "shop", "sub": "7", "exp": now_s() + 600, "realm": {"roles": ["admin", "é"]}});
    for (name, value) in change.as_object().unwrap() {
        match value {
            serde_json::Value::Null => payload.as_object_mut().unwrap().remove(name),
            value => payload.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    jsonwebtoken::encode(header, &payload, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn refusal(auth: &Auth, token: &str) -> String {
    auth.authenticate(Some(token)).unwrap_err().to_string()
}

#[test]
fn claims_are_typed_by_the_model_and_remembered() {
    let auth = auth("typed");
    let token = sign(SECRET, &Header::new(Algorithm::HS256), json!({}));
    for _ in 0..2 {
        let who = auth.authenticate(Some(&token)).unwrap();
        assert_eq!((&*who.principal.issuer, &*who.principal.subject), ("https://id.example", "7"));
        let roles = Value::List(vec![Value::text("admin"), Value::text("é")].into());
        assert_eq!(who.principal.claims.0, vec![Value::Int(7), roles, Value::Null].into_boxed_slice());
    }
}

#[test]
fn a_token_for_one_channel_names_it() {
    let (auth, header) = (auth("channel"), Header::new(Algorithm::HS256));
    for (claims, expected) in [
        (json!({"channel": "board:a"}), "ok"),
        (json!({"channel": "board:b"}), "unauthenticated: its `channel` does not name this channel"),
        (json!({"channel": ["board:a"]}), "unauthenticated: its `channel` does not name this channel"),
        (json!({}), "unauthenticated: its `channel` does not name this channel"),
        (json!({"channel": "board:a", "exp": now_s() - 31}), "token_expired: the token has expired"),
    ] {
        let shown = auth.authenticate_for(&sign(SECRET, &header, claims.clone()), "board:a");
        assert_eq!(shown.map_or_else(|error| error.to_string(), |_| "ok".to_owned()), expected, "{claims}");
    }
    let forged = sign("ffffffffffffffffffffffffffffffff", &header, json!({"channel": "board:a"}));
    assert_eq!(auth.authenticate_for(&forged, "board:a").unwrap_err().code, ErrorCode::Unauthenticated);
}

#[test]
fn the_key_of_a_suite_may_be_short_and_its_tokens_claim_little() {
    let auth = Auth::new(model(), Some(TrustedKey::of_suite(b"secret")), None, true);
    let little = json!({"exp": null, "iss": null, "aud": null});
    let token = sign("secret", &Header::new(Algorithm::HS256), little.clone());
    assert_eq!((auth.authenticate(Some(&token)).unwrap().expires_at, token.split('.').count()), (None, 3));
    assert!(auth.authenticate(Some(&sign("other", &Header::new(Algorithm::HS256), little))).is_err());
    assert!(auth.authenticate(Some(&sign("secret", &Header::new(Algorithm::HS256), json!({"exp": now_s() - 5})))).is_err());
}

#[test]
fn tokens_that_are_not_good_say_why() {
    let auth = auth("refused");
    let header = Header::new(Algorithm::HS256);
    let check = |change: serde_json::Value, expect: &str| assert_eq!(refusal(&auth, &sign(SECRET, &header, change)), expect);
    check(json!({"exp": now_s() - 31}), "token_expired: the token has expired");
    check(json!({"exp": null}), "unauthenticated: the token has no `exp`");
    check(json!({"exp": "tomorrow"}), "unauthenticated: the token has no `exp`");
    check(json!({"nbf": now_s() + 100}), "unauthenticated: the token is not valid yet (`nbf`)");
    check(json!({"nbf": "soon"}), "unauthenticated: the token's `nbf` is not a time in seconds");
    check(json!({"iss": "other"}), "unauthenticated: the token's `iss` is not the one that is trusted");
    check(json!({"aud": ["other"]}), "unauthenticated: the token's `aud` does not name this server");
    check(json!({"sub": null}), "unauthenticated: the token has no `sub`");
    check(json!({"sub": "seven"}), "unauthenticated: the token's claim `sub` is not a Int");
    check(json!({"realm": {"roles": "admin"}}), "unauthenticated: the token's claim `realm.roles` is not a list of String");
    assert_eq!(refusal(&auth, "x.y.z"), "unauthenticated: the token is not a JWT");
    assert_eq!(refusal(&auth, &"x".repeat(8193)), "unauthenticated: the token is longer than 8192 bytes");
}

#[test]
fn the_algorithm_and_the_key_are_the_configured_ones() {
    let auth = auth("algorithm");
    let other = "ffffffffffffffffffffffffffffffff";
    assert_eq!(
        refusal(&auth, &sign(other, &Header::new(Algorithm::HS256), json!({}))),
        "unauthenticated: the token's signature is not valid"
    );
    let longer = sign(SECRET, &Header::new(Algorithm::HS384), json!({}));
    assert_eq!(refusal(&auth, &longer), "unauthenticated: the token's algorithm is not the configured one");
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiI3In0.";
    assert_eq!(refusal(&auth, none), "unauthenticated: the token is not a JWT");
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["b64".into()]);
    assert_eq!(
        refusal(&auth, &sign(SECRET, &critical, json!({}))),
        "unauthenticated: the token has a `crit` header, which is not understood"
    );
}

#[test]
fn dev_tokens_are_for_dev_alone() {
    let key = DevKey::open(&folder("dev")).unwrap();
    let again = DevKey::open(&folder("dev")).unwrap();
    assert_eq!(key.bytes(), again.bytes());
    let token = key.token(json!({"sub": "3", "realm": {"roles": ["support"]}}).as_object().unwrap()).unwrap();
    let dev = Auth::new(model(), None, Some(&again), true);
    assert_eq!(dev.authenticate(Some(&token)).unwrap().principal.claims.0[0], Value::Int(3));
    assert!(refusal(&auth("dev-serve"), &token).contains("accepted by `fourfold dev` alone"));
}

#[test]
fn without_a_token_a_caller_is_nobody_or_refused() {
    let open = Auth::new(model(), None, None, true);
    let nobody = open.authenticate(None).unwrap().principal;
    assert!(nobody.is_anonymous());
    assert_eq!(nobody.claims.0, vec![Value::Null, Value::List(Arc::new([])), Value::Null].into_boxed_slice());
    let closed = Auth::new(model(), None, None, false);
    assert_eq!(closed.authenticate(None).unwrap_err().code, ErrorCode::Unauthenticated);
}

#[test]
fn settings_that_make_no_key_are_refused() {
    let fails = |settings: AuthSettings| settings.trusted_key().err().unwrap().0;
    let short = folder("short").join("secret");
    std::fs::write(&short, "secret").unwrap();
    assert!(fails(AuthSettings { hs256_secret_file: Some(short), ..settings("short2") }).contains("HS256 needs at least 32"));
    assert!(fails(AuthSettings { audience: None, ..settings("aud") }).contains("`auth.audience` must be set"));
    assert!(fails(AuthSettings { algorithms: vec!["RS256".into()], ..settings("alg") }).contains("names `RS256`"));
    assert!(fails(AuthSettings { public_key_file: Some("x".into()), ..settings("two") }).contains("cannot both be set"));
}

#[test]
fn a_public_key_file_verifies_rs256() {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let file = folder("rsa").join("key.pem");
    std::fs::write(&file, format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))).unwrap();
    let settings = AuthSettings { hs256_secret_file: None, public_key_file: Some(file), ..settings("rsa2") };
    let auth = Auth::new(model(), settings.trusted_key().unwrap(), None, true);
    let payload = json!({"iss": "https://id.example", "aud": "shop", "sub": "7", "exp": now_s() + 600});
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(payload.to_string()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
    assert_eq!(&*auth.authenticate(Some(&token)).unwrap().principal.subject, "7");
    // An HMAC made with the public key is not taken for a signature.
    let confused = sign(&String::from_utf8_lossy(der.as_ref()), &Header::new(Algorithm::HS256), json!({}));
    assert_eq!(refusal(&auth, &confused), "unauthenticated: the token's algorithm is not the configured one");
}

/// `fourfold token dev` may run while `fourfold dev` starts.
#[test]
fn all_who_open_an_empty_folder_at_once_have_one_key() {
    let folder = std::env::temp_dir().join(format!("fourfold-dev-key-{}", std::process::id()));
    for _ in 0..20 {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| DevKey::open(&folder).unwrap().bytes().to_vec())).collect();
            opening.into_iter().map(|opened| opened.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "only the key is left");
    }
    let _ = std::fs::remove_dir_all(&folder);
}
