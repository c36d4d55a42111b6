//! A database of others, read as of one moment: for imports.

use fourfold_op::Error;
use futures_util::{TryStreamExt, pin_mut};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::connect::Target;
use crate::error::Fail;

/// What the comment of a `revision` says that this store keeps in a table of others.
pub const KEPT: &str = "kept by Fourfold";

/// How the reading begins: texts are to be the same whatever the database is set to.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; \
  SET LOCAL intervalstyle = 'iso_8601'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; \
  SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Reads one snapshot of a database.
pub struct Reader {
    client: Client,
    _driver: JoinHandle<()>,
}

impl Reader {
    /// Opens a database by its URL, as a store's is. Nothing of it is changed.
    ///
    /// # Errors
    /// `invalid_argument` for a URL that is none, `unavailable` for a database that cannot be reached.
    pub async fn open(url: &str) -> Result<Reader, Error> {
        let (client, connection) = Target::parse(url)?.connect().await.map_err(Fail::into_error)?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        client.batch_execute(BEGIN).await.map_err(|error| Fail::from(error).into_error())?;
        Ok(Reader { client, _driver: driver })
    }

    /// Hands on a query's rows one by one, every value as its text, until `take` says that it has enough.
    ///
    /// # Errors
    /// `unavailable` when the connection ends, `internal` with the server's words for a statement that it refuses.
    pub async fn each(&self, text: &str, mut take: impl FnMut(&[Option<&str>]) -> bool) -> Result<(), Error> {
        let asked = async {
            let rows = self.client.simple_query_raw(text).await?;
            pin_mut!(rows);
            while let Some(message) = rows.try_next().await? {
                let SimpleQueryMessage::Row(row) = message else { continue };
                let values = (0..row.len()).map(|index| row.try_get(index)).collect::<Result<Vec<_>, _>>()?;
                if !take(&values) {
                    break;
                }
            }
            Ok::<(), tokio_postgres::Error>(())
        };
        asked.await.map_err(|error| Fail::from(error).into_error())
    }
}

/// Whether two URLs name one database of one server.
pub fn is_same(one: &str, other: &str) -> bool {
    match (Target::parse(one), Target::parse(other)) {
        (Ok(one), Ok(other)) => one.place() == other.place(),
        _ => false,
    }
}
