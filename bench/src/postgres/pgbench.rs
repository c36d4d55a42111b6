//! `pgbench`, which inserts the rows that Fourfold creates into a table of the same form.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::Failure;

const TABLE: &str = r#"DROP TABLE IF EXISTS by_hand; DROP SEQUENCE IF EXISTS by_hand_key;
    CREATE TABLE by_hand (LIKE "Artist" INCLUDING ALL); CREATE SEQUENCE by_hand_key;"#;
const INSERT: &str = r#"INSERT INTO by_hand ("ArtistId", revision, "Name") VALUES (nextval('by_hand_key'), 1, 'A new artist');"#;

/// Inserts that can be run.
pub struct Inserts {
    program: String,
    script: PathBuf,
    url: String,
}

impl Inserts {
    /// Makes the table.
    pub async fn prepare(program: &str, url: &str, out: &Path) -> Result<Inserts, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLE).await?;
        let script = out.join("insert.sql");
        std::fs::write(&script, INSERT)?;
        Ok(Inserts { program: program.to_owned(), script, url: url.to_owned() })
    }

    /// Inserts a second, by so many at once.
    pub fn run(&self, callers: usize, time: Duration) -> Result<f64, Failure> {
        let mut pgbench = Command::new(&self.program);
        pgbench.args(["-n", "-M", "prepared", "-j", "1", "-c", &callers.to_string(), "-T", &time.as_secs().to_string(), "-f"]);
        let output = pgbench.arg(&self.script).arg(&self.url).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.ok_or_else(|| format!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
