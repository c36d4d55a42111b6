//! The same rows in a store that asks by SQL and in memory, and what each says of a condition.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fourfold_model::{EntityId, Expr, KEY, SharedModel, Value, filter};
use fourfold_op::{Answered, Deadline, Limits, List, Operand, Operation, Page, Select, SelectKind};
use fourfold_plan::{Plan, ReadPlan, Truth, eval, prepare};
use fourfold_store::Maintain;
use fourfold_store::memory::MemoryStore;
use fourfold_store_postgres::PostgresStore;
use fourfold_store_postgres::testing::{self, Server};
use fourfold_store_sqlite::{Files, SqliteStore};
use tokio::runtime::Runtime;

use crate::rows::Rows;
use crate::world::{PART, THING};

/// Whose SQL it is.
#[derive(Clone, Copy)]
pub enum Sql {
    Sqlite,
    Postgres(&'static Server),
}

impl Sql {
    /// All that are here.
    pub fn all() -> impl Iterator<Item = Sql> {
        [Some(Sql::Sqlite), Sql::postgres()].into_iter().flatten()
    }

    /// PostgreSQL, where it is installed.
    pub fn postgres() -> Option<Sql> {
        testing::server().map(Sql::Postgres)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Sql::Sqlite => "SQLite",
            Sql::Postgres(_) => "PostgreSQL",
        }
    }

    /// A store without rows; `folder` is its own.
    fn store(self, folder: &Path, runtime: &Runtime) -> Arc<dyn Maintain> {
        let _inside = runtime.enter();
        match self {
            Sql::Sqlite => SqliteStore::open(Files::in_folder(folder)).unwrap(),
            Sql::Postgres(server) => runtime.block_on(PostgresStore::open_with(&server.database(), 2)).unwrap(),
        }
    }
}

/// Both stores, on a runtime of their own.
pub struct Stores {
    model: SharedModel,
    runtime: Runtime,
    sql: Arc<dyn Maintain>,
    memory: Arc<dyn Maintain>,
    folder: PathBuf,
}

/// Why a condition has no answer.
#[derive(Debug)]
pub enum Refused {
    /// It is over the limits on depth and nodes.
    TooLong,
    /// Anything else: conditions are made well typed.
    Other(String),
}

/// What each says of every thing.
pub struct Asked {
    pub eval: Vec<Truth>,
    /// By `c` and `!(c)`; `None` where both hold.
    sql: Vec<Option<Truth>>,
    memory: Vec<bool>,
}

impl Asked {
    /// The first row of which not all say the same.
    pub fn difference(&self) -> Option<usize> {
        (0..self.eval.len()).find(|row| self.sql[*row] != Some(self.eval[*row]) || self.memory[*row] != (self.eval[*row] == Truth::True))
    }

    /// What was said of a row.
    pub fn said(&self, row: usize) -> String {
        let sql = self.sql[row].map_or("True, and so of its negation".to_owned(), |truth| format!("{truth:?}"));
        format!("SQL says {sql}, eval {:?}, the store in memory {}", self.eval[row], self.memory[row])
    }
}

impl Stores {
    /// Stores with these rows, read back and compared.
    pub fn with(sql: Sql, model: &SharedModel, rows: &Rows) -> Stores {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("fourfold-agreement-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sql = sql.store(&folder, &runtime);
        let memory: Arc<dyn Maintain> = Arc::new(MemoryStore::new());
        let stores = Stores { model: model.clone(), runtime, sql, memory, folder };
        for store in [&stores.sql, &stores.memory] {
            stores.fill(store.as_ref(), rows);
        }
        stores
    }

    fn fill(&self, store: &dyn Maintain, rows: &Rows) {
        let migration = self.runtime.block_on(store.migration(&self.model)).unwrap();
        self.runtime.block_on(store.migrate(&self.model, migration)).unwrap();
        rows.write_to(store, &self.model, &self.runtime);
        for entity in [THING, PART] {
            let plan = self.plan(entity, vec![None]).unwrap();
            let page = self.pages(store, &plan).unwrap().remove(0);
            for record in page.items {
                let made = rows.of(entity).iter().find(|row| row.value(KEY) == record.row.value(KEY)).unwrap();
                for (id, field) in self.model.entity(entity).field_ids().filter(|(_, field)| field.read_rule.is_none()) {
                    assert_eq!(record.row.value(id), made.value(id), "`{}` as it was written and as it was read", field.name);
                }
            }
        }
    }

    /// What everything says of a condition on every thing. The store in memory is asked where `memory` says so: it asks `eval` in turn.
    pub fn truths(&self, text: &str, rows: &Rows, memory: bool) -> Result<Asked, Refused> {
        let read = |text: &str| filter(&self.model, THING, text).map_err(|error| refused(error.message));
        let (holds, fails) = (read(text)?, read(&format!("!({text})"))?);
        let plans = self.plan(THING, vec![Some(holds), Some(fails)])?;
        let keys = |page: &Page| page.items.iter().map(|record| record.row.value(KEY).clone()).collect::<HashSet<Value>>();
        let sql = self.pages(self.sql.as_ref(), &plans)?;
        let held = if memory { Some(keys(&self.pages(self.memory.as_ref(), &plans[..1])?[0])) } else { None };
        let (holds, fails) = (keys(&sql[0]), keys(&sql[1]));
        let things = rows.of(THING);
        let eval: Vec<Truth> = things.iter().map(|row| self.eval(&plans[0], row, rows)).collect();
        let memory = things.iter().zip(&eval).map(|(row, truth)| match &held {
            Some(held) => held.contains(row.value(KEY)),
            None => *truth == Truth::True,
        });
        Ok(Asked {
            memory: memory.collect(),
            sql: things.iter().map(|row| truth(holds.contains(row.value(KEY)), fails.contains(row.value(KEY)))).collect(),
            eval,
        })
    }

    fn eval(&self, plan: &ReadPlan, row: &fourfold_model::Row, rows: &Rows) -> Truth {
        match &plan.fetch().filter {
            Some(node) => Truth::of(&eval(&self.model, node, row, plan.params(), rows)),
            None => Truth::True,
        }
    }

    fn plan(&self, entity: EntityId, filters: Vec<Option<Expr>>) -> Result<Vec<ReadPlan>, Refused> {
        let selects = filters.into_iter().map(|filter| {
            let whole = filter.is_none();
            let fields = self.model.entity(entity).field_ids().map(|(id, _)| id).filter(|id| whole || *id == KEY).collect();
            let list = List { filter, size: Some(Operand(0)), ..List::default() };
            Select { entity, kind: SelectKind::List(list), fields, nested: Vec::new() }
        });
        let operation = Operation::Read(selects.collect());
        let prepared = prepare(&self.model, 1, &operation, &Limits::default()).map_err(|error| refused(format!("{error:?}")))?;
        match prepared.bind(&crate::caller(Value::Null), &[Value::Int(1_000)]) {
            Ok(Plan::Read(plans)) => Ok(plans),
            other => Err(Refused::Other(format!("{other:?}"))),
        }
    }

    fn pages(&self, store: &dyn Maintain, plans: &[ReadPlan]) -> Result<Vec<Page>, Refused> {
        let read = self.runtime.block_on(store.read(plans, &Deadline(None)));
        let snapshot = read.map_err(|error| Refused::Other(format!("{error:?}")))?;
        let pages = snapshot.answers.into_iter().map(|answer| match answer {
            Answered::Page(page) => page,
            other => panic!("a list answered {other:?}"),
        });
        Ok(pages.collect())
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        self.runtime.block_on(self.sql.close());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn truth(holds: bool, fails: bool) -> Option<Truth> {
    match (holds, fails) {
        (true, true) => None,
        (true, false) => Some(Truth::True),
        (false, true) => Some(Truth::False),
        (false, false) => Some(Truth::Unknown),
    }
}

fn refused(message: String) -> Refused {
    let limits = ["nests deeper than", "more than 100 nodes", "expression_nodes_max"];
    if limits.iter().any(|limit| message.contains(limit)) { Refused::TooLong } else { Refused::Other(message) }
}
