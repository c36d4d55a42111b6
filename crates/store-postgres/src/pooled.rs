//! A connection of the pool, and how statements go over it.
//!
//! A session of the server's keeps prepared statements, each named at its first use. Through a pooler a connection is a session only from
//! BEGIN to COMMIT, and nothing may be left on it: statements have no names and are sent with their parameters' types, limits on time are set
//! for the transaction, and a statement outside of one is put into one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, ObjectId};
use fourfold_op::Error;
use futures_util::TryStreamExt;
use futures_util::future::{join, join3};
use parking_lot::Mutex;
use postgres_types::{ToSql, Type};
use tokio_postgres::{Row, RowStream};

use crate::error::Fail;
use crate::limits::{LOCK_WAIT_MAX, STATEMENT_MAX, STILL_MAX};
use crate::value::Bound;

/// Prepared statements of one connection; beyond, all are let go of.
const STATEMENTS_MAX: usize = 512;

/// How long the server lets a statement take on each session, in milliseconds, where that was set.
pub type Limits = Arc<Mutex<HashMap<ObjectId, u128>>>;
/// Sessions that are remembered; beyond, all are set anew.
const LIMITS_MAX: usize = 1_024;

/// A connection of the pool.
pub struct Pooled {
    client: Object,
    limits: Limits,
    through_pooler: bool,
}

/// A statement that can be sent over one connection.
pub enum Prepared {
    /// The server knows it by name.
    Named(tokio_postgres::Statement),
    /// Its text goes with it.
    Unnamed(String),
}

/// A parameter that knows its type.
pub trait Parameter: ToSql + Sync {
    /// Its type, where the statement does not say.
    fn ty(&self) -> Type;
}

impl Pooled {
    /// One of a pool's, which leads to the server or to a pooler.
    pub fn new(client: Object, limits: Limits, through_pooler: bool) -> Pooled {
        Pooled { client, limits, through_pooler }
    }

    /// The pool's own handle.
    pub fn into_inner(self) -> Object {
        self.client
    }

    /// The session behind it, for what a pooler does not carry.
    ///
    /// # Errors
    /// `internal`, through a pooler.
    pub fn session(&self) -> Result<&tokio_postgres::Client, Fail> {
        if self.through_pooler { Err(Error::internal("a session was asked of a pooler").into()) } else { Ok(&self.client) }
    }

    /// Whether it is a session of the server's.
    pub fn is_session(&self) -> bool {
        !self.through_pooler
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// What stops the connection.
    pub fn cancel_token(&self) -> tokio_postgres::CancelToken {
        self.client.cancel_token()
    }

    /// How a transaction begins: its mode, and how long each of its statements may take. It is to be sent at once.
    pub fn begin(&self, mode: &str, statement_max: Option<Duration>) -> String {
        if self.through_pooler {
            let (most, still, lock) = (stepped(statement_max), STILL_MAX.as_millis(), LOCK_WAIT_MAX.as_millis());
            return format!(
                "BEGIN{mode}; SET LOCAL statement_timeout = {most}; SET LOCAL idle_in_transaction_session_timeout = {still}; \
                 SET LOCAL lock_timeout = {lock}; SET LOCAL timezone = 'UTC'; SET LOCAL fourfold.own = 'on'"
            );
        }
        match self.limit(statement_max) {
            Some(limit) => format!("{limit}; BEGIN{mode}"),
            None => format!("BEGIN{mode}"),
        }
    }

    /// The statement that limits how long later ones of a session may take; `None` where that is so already. It is to be sent at once.
    pub fn limit(&self, statement_max: Option<Duration>) -> Option<String> {
        let most = stepped(statement_max);
        let mut limits = self.limits.lock();
        if limits.len() >= LIMITS_MAX {
            // Most are of sessions that ended.
            limits.clear();
        }
        (limits.insert(Object::id(&self.client), most) != Some(most)).then(|| format!("SET statement_timeout = {most}"))
    }

    /// A statement, prepared at its first use on a session.
    pub async fn prepared(&self, text: &str) -> Result<Prepared, Fail> {
        if self.through_pooler {
            return Ok(Prepared::Unnamed(text.to_owned()));
        }
        if self.client.statement_cache.size() >= STATEMENTS_MAX {
            self.client.statement_cache.clear();
        }
        Ok(Prepared::Named(self.client.prepare_cached(text).await?))
    }

    /// Lets go of all prepared statements.
    pub fn forget_statements(&self) {
        self.client.statement_cache.clear();
    }

    /// Sends statements without parameters or answers.
    pub async fn batch_execute(&self, texts: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(texts).await
    }

    /// Sends a statement; its rows come as they are read.
    pub async fn query_raw(&self, statement: &Prepared, parameters: Vec<Bound>) -> Result<RowStream, tokio_postgres::Error> {
        match statement {
            Prepared::Named(statement) => self.client.query_raw(statement, parameters).await,
            Prepared::Unnamed(text) => {
                let typed = parameters.into_iter().map(|parameter| {
                    let ty = parameter.ty();
                    (parameter, ty)
                });
                self.client.query_typed_raw(text, typed).await
            }
        }
    }

    /// The rows of a statement.
    pub async fn query(&self, statement: &Prepared, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, tokio_postgres::Error> {
        match statement {
            Prepared::Named(statement) => {
                let parameters = parameters.iter().map(|parameter| *parameter as &(dyn ToSql + Sync));
                self.client.query_raw(statement, parameters).await?.try_collect().await
            }
            Prepared::Unnamed(text) => self.client.query_typed(text, &typed(parameters)).await,
        }
    }

    /// The first row of a statement, if any.
    pub async fn query_opt(&self, statement: &Prepared, parameters: &[&dyn Parameter]) -> Result<Option<Row>, tokio_postgres::Error> {
        Ok(self.query(statement, parameters).await?.into_iter().next())
    }

    /// The row of a statement that has one.
    pub async fn query_one(&self, statement: &Prepared, parameters: &[&dyn Parameter]) -> Result<Row, Fail> {
        self.query_opt(statement, parameters).await?.ok_or_else(|| Error::internal("a statement of one row had none").into())
    }

    /// The number of rows that a statement wrote.
    pub async fn execute(&self, statement: &Prepared, parameters: &[&dyn Parameter]) -> Result<u64, tokio_postgres::Error> {
        match statement {
            Prepared::Named(statement) => {
                self.client.execute_raw(statement, parameters.iter().map(|parameter| *parameter as &(dyn ToSql + Sync))).await
            }
            Prepared::Unnamed(text) => self.client.execute_typed(text, &typed(parameters)).await,
        }
    }

    /// The same, of values.
    pub async fn execute_raw(&self, statement: &Prepared, parameters: Vec<Bound>) -> Result<u64, tokio_postgres::Error> {
        let parameters: Vec<&dyn Parameter> = parameters.iter().map(|parameter| parameter as &dyn Parameter).collect();
        self.execute(statement, &parameters).await
    }

    /// The rows of a statement that is a transaction of its own.
    pub async fn alone(&self, text: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, Fail> {
        let statement = self.prepared(text).await?;
        if !self.through_pooler {
            let rows = self.query(&statement, parameters);
            return match self.limit(None) {
                None => Ok(rows.await?),
                Some(limit) => {
                    let (limited, rows) = join(self.batch_execute(&limit), rows).await;
                    limited?;
                    Ok(rows?)
                }
            };
        }
        let begin = self.begin("", None);
        let sent = join3(self.batch_execute(&begin), self.query(&statement, parameters), self.batch_execute("COMMIT"));
        let (begun, rows, committed) = sent.await;
        begun?;
        let rows = rows?;
        committed?;
        Ok(rows)
    }
}

/// Milliseconds, up to the next second where it is more than one: requests with the same time to live ask for the same.
fn stepped(statement_max: Option<Duration>) -> u128 {
    let most = statement_max.unwrap_or(STATEMENT_MAX).as_millis().max(1);
    if most > 1_000 { most.div_ceil(1_000) * 1_000 } else { most }
}

fn typed<'p>(parameters: &[&'p dyn Parameter]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    parameters.iter().map(|parameter| (*parameter as &(dyn ToSql + Sync), parameter.ty())).collect()
}

macro_rules! parameters {
    ($($form:ty => $ty:ident),* $(,)?) => { $(impl Parameter for $form {
        fn ty(&self) -> Type {
            Type::$ty
        }
    })* };
}

parameters! {
    i16 => INT2, i32 => INT4, i64 => INT8, Option<i64> => INT8, &str => TEXT, String => TEXT, &[u8] => BYTEA, Vec<u8> => BYTEA,
    Vec<String> => TEXT_ARRAY, &[String] => TEXT_ARRAY, Vec<&str> => TEXT_ARRAY, Vec<i64> => INT8_ARRAY, Vec<&[u8]> => BYTEA_ARRAY,
}

impl Parameter for Bound {
    fn ty(&self) -> Type {
        Bound::ty(self)
    }
}
