//! The log of the configured store, beside the servers that write it.

use fourfold_model::SharedModel;
use fourfold_op::{Cursor, Error};
use fourfold_server::config::{Config, StoreUrl};
use fourfold_store::{Budget, Entities, Head, Tail};
use fourfold_store_sqlite::LogBeside;

use crate::failure::Failure;
use crate::load;

/// A log that is read, whoever has the store.
pub enum Log {
    File(LogBeside),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Log),
}

impl Log {
    /// Of the configured store.
    pub fn open(config: &Config, model: &SharedModel) -> Result<Log, Failure> {
        match &config.store {
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(url) => Ok(Log::Postgres(postgres::Log::open(url, model)?)),
            #[cfg(not(feature = "postgres"))]
            StoreUrl::Postgres(_) => Err(load::without_postgres()),
            _ => Ok(Log::File(LogBeside::open(&load::files(config)?.database, model.clone()).map_err(load::refused)?)),
        }
    }

    /// Its ends.
    pub fn head(&self) -> Result<Head, Error> {
        match self {
            Log::File(log) => log.head(),
            #[cfg(feature = "postgres")]
            Log::Postgres(log) => Ok(log.head()),
        }
    }

    /// The position before the first commit that can be read.
    pub fn begins_after(&self) -> Result<u64, Error> {
        match self {
            Log::File(log) => log.begins_after(),
            #[cfg(feature = "postgres")]
            Log::Postgres(log) => Ok(log.head().floor),
        }
    }

    /// Whole commits after a cursor.
    pub fn events(&self, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, Error> {
        match self {
            Log::File(log) => log.events(after, of, budget),
            #[cfg(feature = "postgres")]
            Log::Postgres(log) => log.events(after, of, budget),
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;

    use fourfold_model::SharedModel;
    use fourfold_op::{Cursor, Error, ErrorCode};
    use fourfold_server::config::DatabaseUrl;
    use fourfold_store::{Budget, Entities, Head, Store as _, StoreError, Tail};
    use fourfold_store_postgres::PostgresStore;
    use tokio::runtime::Runtime;

    use crate::command::serve::runtime;
    use crate::failure::Failure;
    use crate::load;

    /// A node that writes nothing.
    pub struct Log {
        store: Arc<PostgresStore>,
        model: SharedModel,
        runtime: Runtime,
    }

    impl Log {
        pub fn open(url: &DatabaseUrl, model: &SharedModel) -> Result<Log, Failure> {
            let runtime = runtime(1)?;
            let store = runtime.block_on(load::open_database(url, 1))?;
            store.tell_as(model);
            Ok(Log { store, model: model.clone(), runtime })
        }

        pub fn head(&self) -> Head {
            self.runtime.block_on(self.store.head(None))
        }

        pub fn events(&self, after: &Cursor, of: &Entities, budget: Budget) -> Result<Tail, Error> {
            let read = self.runtime.block_on(self.store.events(after, of, budget));
            let tail = read.map_err(|StoreError::Refused(error)| error)?;
            match tail.model == self.model.fingerprint {
                true => Ok(tail),
                false => {
                    Err(Error::new(ErrorCode::Unavailable, "the store is of another model; `fourfold migrate plan` shows what differs"))
                }
            }
        }
    }
}
