//! A store with the fixture's model, and the ways to ask it things.

use std::sync::Arc;

use fourfold_model::{EntityId, Expr, FieldId, Row, SharedModel, Value};
use fourfold_op::{
    Aggregate, Answer, Answered, Claims, Context, Cursor, Deadline, Error, ErrorCode, Event, GroupBy, Limits, List, Measure, Nested,
    Operand, Operation, Page, Principal, Record, RequestId, Select, SelectKind, Write, WriteKind,
};
use fourfold_plan::{Plan, prepare};

use super::fixture::{self, ITEM, item};
use crate::store::{Budget, CommitError, Committed, Entities, Maintain, SettledStep, Side, Snapshot, StoreError};

/// A store that was migrated to the fixture's model.
#[derive(Clone)]
pub struct World {
    /// The store.
    pub store: Arc<dyn Maintain>,
    /// The model.
    pub model: SharedModel,
    /// The limits.
    pub limits: Limits,
}

/// One write and its values, to be numbered with others.
pub struct Ask {
    /// Of which entity.
    pub entity: EntityId,
    /// What.
    pub kind: WriteKind,
    /// The key.
    pub key: Option<Value>,
    /// What is set.
    pub set: Vec<(FieldId, Value)>,
    /// The revision it is based on.
    pub if_revision: Option<i64>,
}

/// A caller with an id and roles.
pub fn caller(id: u8, roles: &[&str]) -> Context {
    let id = Value::Uuid([id; 16]);
    of_claims("issuer", "subject", vec![id, fixture::texts(roles)])
}

/// A caller who may do everything.
pub fn admin() -> Context {
    caller(0xad, &["admin"])
}

/// A caller who showed no token.
pub fn anonymous() -> Context {
    of_claims("", "", vec![Value::Null, fixture::texts(&[])])
}

fn of_claims(issuer: &str, subject: &str, claims: Vec<Value>) -> Context {
    let principal = Principal { issuer: issuer.into(), subject: subject.into(), claims: Claims(claims.into()) };
    Context { principal: Arc::new(principal), deadline: Deadline(None), idempotency: None, request: RequestId("case".into()) }
}

/// A key that stands for a small number.
pub fn id(number: u16) -> Value {
    let mut bytes = [0; 16];
    bytes[14..].copy_from_slice(&number.to_be_bytes());
    Value::Uuid(bytes)
}

/// A create.
pub fn create(entity: EntityId, key: Option<Value>, set: Vec<(FieldId, Value)>) -> Ask {
    Ask { entity, kind: WriteKind::Create, key, set, if_revision: None }
}

/// An update.
pub fn update(entity: EntityId, key: Value, set: Vec<(FieldId, Value)>) -> Ask {
    Ask { entity, kind: WriteKind::Update, key: Some(key), set, if_revision: None }
}

/// A delete.
pub fn delete(entity: EntityId, key: Value) -> Ask {
    Ask { entity, kind: WriteKind::Delete, key: Some(key), set: Vec::new(), if_revision: None }
}

/// A list of an entity: all fields, a thousand rows.
pub fn list(filter: Option<Expr>) -> List {
    List { filter, size: None, ..List::default() }
}

impl World {
    /// Migrates an empty store to the fixture's model.
    pub async fn new(store: Arc<dyn Maintain>) -> World {
        let model = fixture::model();
        let migration = store.migration(&model).await.expect("a migration");
        assert!(!migration.steps.is_empty(), "an empty store needs a migration");
        assert!(migration.steps.iter().all(|step| !step.destructive), "nothing is lost by a first migration");
        store.migrate(&model, migration).await.expect("migrated");
        let again = store.migration(&model).await.expect("a migration");
        assert_eq!(again.steps, Vec::new(), "a migrated store needs none");
        World { store, model, limits: Limits::default() }
    }

    /// Commits some writes as one.
    pub async fn commit_with(&self, who: &Context, asks: Vec<Ask>, each: bool, side: Vec<Side>) -> Result<Committed, CommitError> {
        let mut plans = Vec::new();
        let (mut writes, mut values) = (Vec::new(), Vec::new());
        for ask in asks {
            writes.push(self.write(ask, &mut values));
            if each {
                plans.push(self.bind_writes(who, &writes, &values).map_err(CommitError::Refused)?);
                (writes, values) = (Vec::new(), Vec::new());
            }
        }
        let plan = match each {
            true => fourfold_plan::WritePlan::join(plans, true).expect("some writes"),
            false => self.bind_writes(who, &writes, &values).map_err(CommitError::Refused)?,
        };
        self.store.commit(plan, side).await
    }

    fn write(&self, ask: Ask, values: &mut Vec<Value>) -> Write {
        let mut operand = |value: Value| {
            values.push(value);
            Operand(values.len() as u16 - 1)
        };
        let key = ask.key.map(&mut operand);
        let mut set: Vec<(FieldId, Operand)> = ask.set.into_iter().map(|(field, value)| (field, operand(value))).collect();
        set.sort_by_key(|(field, _)| *field);
        let if_revision = ask.if_revision.map(|revision| operand(Value::Int(revision)));
        let fields = self.model.entity(ask.entity).field_ids().map(|(id, _)| id).collect();
        let answer = Answer::Row { fields, nested: Vec::new() };
        Write { entity: ask.entity, kind: ask.kind, key, set, if_revision, answer }
    }

    fn bind_writes(&self, who: &Context, writes: &[Write], values: &[Value]) -> Result<fourfold_plan::WritePlan, Error> {
        let operation = Operation::Write(writes.to_vec());
        match prepare(&self.model, 1, &operation, &self.limits)?.bind(who, values)? {
            Plan::Write(plan) => Ok(plan),
            Plan::Read(_) => panic!("a write became a read"),
        }
    }

    /// One write, alone.
    pub async fn try_one(&self, who: &Context, ask: Ask) -> Result<SettledStep, Error> {
        match self.commit_with(who, vec![ask], false, Vec::new()).await {
            Ok(committed) => committed.steps.into_iter().next().expect("a step"),
            Err(CommitError::Refused(error)) => Err(error),
            Err(other) => panic!("the store answered {other:?}"),
        }
    }

    /// One write that must come about.
    pub async fn one(&self, who: &Context, ask: Ask) -> SettledStep {
        self.try_one(who, ask).await.expect("the write comes about")
    }

    /// One write that must be refused, with this code.
    pub async fn refused(&self, who: &Context, ask: Ask, code: ErrorCode) -> Error {
        match self.try_one(who, ask).await {
            Ok(step) => panic!("not refused: {step:?}"),
            Err(error) => {
                assert_eq!(error.code, code, "{error}");
                error
            }
        }
    }

    /// An item with a title and other fields, by an admin.
    pub async fn item(&self, number: u16, title: &str, mut set: Vec<(FieldId, Value)>) -> SettledStep {
        set.push((item::TITLE, Value::text(title)));
        self.one(&admin(), create(ITEM, Some(id(number)), set)).await
    }

    /// Reads some selects of one snapshot.
    pub async fn read(&self, who: &Context, selects: Vec<Select>, values: &[Value]) -> Result<Snapshot, Error> {
        let operation = Operation::Read(selects);
        let Plan::Read(plans) = prepare(&self.model, 1, &operation, &self.limits)?.bind(who, values)? else {
            panic!("a read became a write");
        };
        self.store.read(&plans, &Deadline(None)).await.map_err(|StoreError::Refused(error)| error)
    }

    /// A select of all fields.
    pub fn select(&self, entity: EntityId, kind: SelectKind, nested: Vec<Nested>) -> Select {
        Select { entity, kind, fields: self.model.entity(entity).field_ids().map(|(id, _)| id).collect(), nested }
    }

    /// The row with a key.
    pub async fn get(&self, who: &Context, entity: EntityId, key: Value) -> Option<Row> {
        let select = self.select(entity, SelectKind::Get { key: Operand(0), cursor: false }, Vec::new());
        let snapshot = self.read(who, vec![select], &[key]).await.expect("a read");
        match snapshot.answers.into_iter().next() {
            Some(Answered::Row(record)) => record.map(|record| record.row),
            other => panic!("a get answered {other:?}"),
        }
    }

    /// A page.
    pub async fn page(&self, who: &Context, entity: EntityId, list: List, nested: Vec<Nested>, values: &[Value]) -> (Page, Snapshot) {
        let select = self.select(entity, SelectKind::List(list), nested);
        let snapshot = self.read(who, vec![select], values).await.expect("a read");
        match snapshot.answers.first() {
            Some(Answered::Page(page)) => (page.clone(), snapshot.clone()),
            other => panic!("a list answered {other:?}"),
        }
    }

    /// The titles of the items that a filter holds for, in the order of keys.
    pub async fn titles(&self, who: &Context, filter: Expr) -> Vec<String> {
        let (page, _) = self.page(who, ITEM, list(Some(filter)), Vec::new(), &[]).await;
        titles(&page)
    }

    /// Groups of the items.
    pub async fn groups(&self, who: &Context, group_by: Vec<GroupBy>, measures: Vec<Measure>) -> Result<Vec<Vec<Value>>, Error> {
        let kind = SelectKind::Aggregate(Aggregate { filter: None, group_by, measures });
        let select = Select { entity: ITEM, kind, fields: Vec::new(), nested: Vec::new() };
        let snapshot = self.read(who, vec![select], &[]).await?;
        match snapshot.answers.into_iter().next() {
            Some(Answered::Groups(groups)) => Ok(groups),
            other => panic!("an aggregate answered {other:?}"),
        }
    }

    /// The log's beginning.
    pub async fn start(&self) -> Cursor {
        Cursor { epoch: self.store.head(None).await.epoch, after: 0, skip: None }
    }

    /// Every event, read by whole commits in small bites.
    pub async fn events(&self, of: &Entities) -> Vec<Event> {
        let mut after = self.start().await;
        let head = self.store.head(None).await.position;
        let mut events = Vec::new();
        while after.after < head {
            let budget = Budget { events_max: 1, bytes_max: 1 };
            let tail = self.store.events(&after, of, budget).await.expect("a tail");
            assert!(tail.through.after > after.after, "a tail goes on");
            events.extend(tail.events);
            after = tail.through;
        }
        events
    }
}

/// The titles of a page of items.
pub fn titles(page: &Page) -> Vec<String> {
    page.items.iter().map(title).collect()
}

/// The title of an item.
pub fn title(record: &Record) -> String {
    match record.row.value(item::TITLE) {
        Value::Text(text) => text.to_string(),
        other => panic!("a title is {other:?}"),
    }
}
