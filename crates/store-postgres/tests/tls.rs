//! TLS with a real server, and a certificate authority of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;

use fourfold_store::Store;
use fourfold_store_postgres::{PostgresStore, testing};

/// Two authorities, and a server's certificate for `localhost` that the first one signed.
struct Certificates(PathBuf);

impl Certificates {
    /// None, and a line that says so, where `openssl` is not installed.
    fn new() -> Option<Certificates> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "openssl is not installed");
            println!("skipped: no `openssl` in PATH");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("fourfold-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Certificates(folder);
        let new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for name in ["ca", "other"] {
            made.openssl(&format!("{new} -x509 -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"));
        }
        std::fs::write(made.0.join("names"), "subjectAltName = DNS:localhost\n").unwrap();
        made.openssl(&format!("{new} -subj /CN=server -keyout server.key -out server.csr"));
        made.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem");
        Some(made)
    }

    fn openssl(&self, args: &str) {
        let output = Command::new("openssl").args(args.split(' ')).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the operator is told of a URL, or that it was opened.
async fn opened(url: &str) -> Result<(), String> {
    match PostgresStore::open_with(url, 1).await {
        Ok(store) => {
            store.head(None).await;
            store.close().await;
            Ok(())
        }
        Err(error) => Err(format!("{error}: {}", error.private.0.as_deref().unwrap_or_default())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_when_its_certificate_is_of_the_authority_and_for_its_name() {
    let (Some(server), Some(made)) = (testing::server(), Certificates::new()) else { return };
    let database = server.database().rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    let url = |host: &str, roots: &Path| {
        let (port, roots) = (server.port(), roots.display());
        format!("postgres://fourfold@{host}:{port}/{database}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={roots}")
    };
    let (right, wrong) = (made.file("ca.pem"), made.file("other.pem"));

    let plain = opened(&url("localhost", &right)).await.unwrap_err();
    assert!(plain.contains("server does not support TLS") && plain.contains("`sslmode=disable`"), "{plain}");

    server.encrypt(&made.file("server.pem"), &made.file("server.key"));
    assert_eq!(opened(&url("localhost", &right)).await, Ok(()));
    // Without the parameter it is the same, where the host is not this machine by its name.
    let implied = url("database.example", &right).replace("&sslmode=verify-full", "");
    assert!(opened(&implied).await.unwrap_err().contains("not valid for name"));

    for (host, roots, why) in [
        ("localhost", &wrong, "UnknownIssuer"),
        ("database.example", &right, "not valid for name \"database.example\""),
        ("127.0.0.1", &right, "not valid for name \"127.0.0.1\""),
    ] {
        let refused = opened(&url(host, roots)).await.unwrap_err();
        assert!(refused.contains(why) && refused.contains("`sslrootcert=FILE`"), "{host}: {refused}");
    }
    let missing = opened(&url("localhost", &made.file("none.pem"))).await.unwrap_err();
    assert!(missing.contains("the certificates of `sslrootcert` cannot be used"), "{missing}");
    let empty = opened(&url("localhost", &made.file("names"))).await.unwrap_err();
    assert!(empty.contains("has no certificate"), "{empty}");
}
