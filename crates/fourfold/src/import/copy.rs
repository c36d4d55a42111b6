//! Copies rows by the model's own columns, and compares counts and checksums with the source.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_engine::{Engine, IngestRow};
use fourfold_model::{Base, Entity, EntityId, Expr, ExprKind, ExprType, Field, FieldId, KEY, Model, Rule, SharedModel, Value, Verb};
use fourfold_op::{
    Answered, Claims, Context, Deadline, Error, Limits, List, Operand, Operation, Outcome, Page, Principal, RequestId, Select, SelectKind,
    WriteKind,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::convert::convert;
use super::introspect::{Asked, Cell, Column, Source, Table};
use super::map::ReadFrom;
use crate::failure::Failure;
use crate::load::Opened;

/// Rows of one call of the engine.
const ROWS_AT_ONCE: usize = 1_000;
/// Refused rows that are named.
const NAMED_MAX: usize = 20;

/// What a copy came to.
pub struct Copied {
    pub tables: Vec<CopiedTable>,
    /// What was refused, the first of them.
    pub refused: Vec<String>,
    pub refused_rows: usize,
    pub took: Duration,
}

/// What a table came to.
pub struct CopiedTable {
    pub table: String,
    pub entity: String,
    pub source_rows: u64,
    pub rows: u64,
    /// Of the source's rows and of those that were read back: the same sum, whatever their order.
    pub source_checksum: u64,
    pub checksum: u64,
}

impl CopiedTable {
    pub fn is_equal(&self) -> bool {
        (self.source_rows, self.source_checksum) == (self.rows, self.checksum)
    }
}

impl Copied {
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    pub fn refuse_differences(&self) -> Result<(), Failure> {
        let different: Vec<&str> = self.tables.iter().filter(|table| !table.is_equal()).map(|table| table.table.as_str()).collect();
        if different.is_empty() && self.refused_rows == 0 {
            return Ok(());
        }
        let more = self.refused_rows.saturating_sub(self.refused.len());
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        Err(Failure::Failed(format!(
            "{} rows were refused; tables that differ: {}\n  {}{more}",
            self.refused_rows,
            different.join(", "),
            self.refused.join("\n  ")
        )))
    }
}

/// A table's rows, waiting to be written.
struct Load<'a> {
    id: EntityId,
    entity: &'a Entity,
    table: &'a Table,
    fields: Vec<FieldId>,
    waiting: Vec<IngestRow>,
    checksum: u64,
    why: Vec<String>,
}

/// What was read of a source.
pub struct Reading<'a> {
    loads: Vec<Load<'a>>,
    refused: Vec<String>,
    rows: u64,
}

/// Reads every table that an entity of the model has.
pub fn read<'a>(model: &'a SharedModel, source: &'a Source, read_from: &ReadFrom) -> Asked<Reading<'a>> {
    let mut reading = Reading { loads: Vec::new(), refused: Vec::new(), rows: source.tables.iter().map(|table| table.rows).sum() };
    for (id, entity) in model.entity_ids() {
        if let Some(table) = source.tables.iter().find(|table| entity.table.eq_ignore_ascii_case(&table.name)) {
            reading.loads.push(read_table(model, (source, read_from), id, entity, table, &mut reading.refused)?);
        }
    }
    Ok(reading)
}

/// Writes what was read, reads everything back, and compares it.
pub async fn copy(opened: &Opened, model: &SharedModel, reading: Reading<'_>) -> Result<Copied, Failure> {
    let begun = Instant::now();
    let opened_model: SharedModel = Arc::new(open_to_all(model));
    let engine = Engine::new(opened.for_engine(), opened_model, opened.generation(), Limits::default());
    let bar = progress(reading.rows);
    let Reading { mut loads, mut refused, .. } = reading;
    let unread = refused.len();
    write_all(&engine, &mut loads, &bar).await?;
    let unwritten: usize = loads.iter().map(|load| load.waiting.len()).sum();
    refused.extend(loads.iter().flat_map(|load| load.why.iter().cloned()));
    refused.truncate(NAMED_MAX);
    let mut tables = Vec::new();
    for load in &loads {
        tables.push(compare(&engine, load).await?);
    }
    bar.finish_and_clear();
    Ok(Copied { tables, refused, refused_rows: unread + unwritten, took: begun.elapsed() })
}

fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:32} {pos}/{len} rows  {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The same model with every door open: whoever loads rows is not a caller.
fn open_to_all(model: &Model) -> Model {
    let mut open = model.clone();
    let always = Expr { kind: ExprKind::Literal(Value::Boolean(true)), ty: ExprType::one(Base::Boolean) };
    for entity in &mut open.entities {
        let verbs = vec![Verb::Read, Verb::Create, Verb::Update, Verb::Delete];
        entity.rules = vec![Rule { verbs, expr: always.clone(), fields: None, text: "true".into(), line: 0 }];
        entity.readonly = false;
        for field in &mut entity.fields {
            (field.read_rule, field.write_rule) = (None, None);
            (field.readonly, field.secret) = (false, false);
        }
    }
    open
}

/// Reads a table by the columns that the model's fields have.
fn read_table<'a>(
    model: &Model,
    (source, read_from): (&Source, &ReadFrom),
    id: EntityId,
    entity: &'a Entity,
    table: &'a Table,
    refused: &mut Vec<String>,
) -> Asked<Load<'a>> {
    let (fields, columns) = columns(entity, table, read_from);
    let mut load = Load { id, entity, table, fields: fields.clone(), waiting: Vec::new(), checksum: 0, why: Vec::new() };
    let mut line = 0;
    source.rows.each(table, &columns, &mut |cells| {
        line += 1;
        let set = converted(model, (entity, table), &fields, cells, line, refused);
        if set.len() == fields.len() {
            load.checksum = load.checksum.wrapping_add(checksum(set.iter().map(|(_, value)| value)));
            load.waiting.push(keyed(entity, set));
        }
        true
    })?;
    Ok(load)
}

/// The values of a row that their fields take; the others are refused by name.
fn converted(
    model: &Model,
    (entity, table): (&Entity, &Table),
    fields: &[FieldId],
    cells: &[Cell<'_>],
    line: usize,
    refused: &mut Vec<String>,
) -> Vec<(FieldId, Value)> {
    let mut set = Vec::with_capacity(fields.len());
    for (field, cell) in fields.iter().zip(cells) {
        match convert(model, entity.field(*field).ty, *cell) {
            Ok(value) => set.push((*field, value)),
            Err(why) => refused.push(format!("{}.{} row {line}: {why}", table.name, entity.field(*field).column)),
        }
    }
    set
}

/// The fields that have a column in the source, and those columns.
fn columns<'t>(entity: &Entity, table: &'t Table, read_from: &ReadFrom) -> (Vec<FieldId>, Vec<&'t Column>) {
    let find = |column: &str| table.columns.iter().find(|known| known.name.eq_ignore_ascii_case(column));
    let column = |field: &Field| match read_from.get(&(table.name.clone(), field.name.to_string())) {
        Some(other) => find(other.as_deref()?),
        None => find(&field.column),
    };
    let fields = entity.field_ids().filter(|(_, field)| field.name != "revision" && field.computed.is_none());
    fields.filter_map(|(id, field)| Some((id, column(field)?))).unzip()
}

fn keyed(entity: &Entity, mut set: Vec<(FieldId, Value)>) -> IngestRow {
    let key = set.first().filter(|(field, _)| *field == KEY).map(|(_, value)| value.clone());
    if key.is_some() {
        set.remove(0);
    }
    // What is not said is null, but where a default would be put.
    set.retain(|(field, value)| !value.is_null() || entity.field(*field).default.is_some());
    IngestRow { key, set }
}

fn checksum<'a>(values: impl Iterator<Item = &'a Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.for_each(|value| value.hash(&mut hasher));
    hasher.finish()
}

/// Writes until nothing more can be: a row whose target is not there yet waits for the next round.
async fn write_all(engine: &Engine, loads: &mut [Load<'_>], bar: &ProgressBar) -> Result<(), Failure> {
    loop {
        let before: usize = loads.iter().map(|load| load.waiting.len()).sum();
        for load in loads.iter_mut() {
            bar.set_message(load.table.name.clone());
            write_round(engine, load, bar).await?;
        }
        let after: usize = loads.iter().map(|load| load.waiting.len()).sum();
        if after == 0 || after == before {
            return Ok(());
        }
    }
}

async fn write_round(engine: &Engine, load: &mut Load<'_>, bar: &ProgressBar) -> Result<(), Failure> {
    load.why.clear();
    let waiting = std::mem::take(&mut load.waiting);
    for chunk in waiting.chunks(ROWS_AT_ONCE) {
        let answers =
            engine.ingest(&nobody(), load.id, WriteKind::Create, chunk.to_vec()).await.map_err(|error| failed(&load.table.name, &error))?;
        for (row, answer) in chunk.iter().zip(answers) {
            match answer {
                Ok(_) => bar.inc(1),
                Err(error) => {
                    if load.why.len() < NAMED_MAX {
                        load.why.push(format!(
                            "{} key {}: {error}",
                            load.table.name,
                            row.key.as_ref().map_or_else(|| "–".to_owned(), |key| format!("{key:?}"))
                        ));
                    }
                    load.waiting.push(row.clone());
                }
            }
        }
    }
    Ok(())
}

/// Reads all rows back and compares them with the source's.
async fn compare(engine: &Engine, load: &Load<'_>) -> Result<CopiedTable, Failure> {
    let (mut rows, mut sum, mut after) = (0, 0u64, None);
    loop {
        let page = page(engine, load, after.take()).await.map_err(|error| failed(&load.table.name, &error))?;
        rows += page.items.len() as u64;
        for record in &page.items {
            sum = sum.wrapping_add(checksum(load.fields.iter().map(|field| record.row.value(*field))));
        }
        match page.next {
            Some(token) => after = Some(Value::Text(token)),
            None => break,
        }
    }
    Ok(CopiedTable {
        table: load.table.name.clone(),
        entity: load.entity.name.to_string(),
        source_rows: load.table.rows,
        rows,
        source_checksum: load.checksum,
        checksum: sum,
    })
}

async fn page(engine: &Engine, load: &Load<'_>, after: Option<Value>) -> Result<Page, Error> {
    let list = List { size: Some(Operand(0)), after: after.as_ref().map(|_| Operand(1)), ..List::default() };
    let select = Select { entity: load.id, kind: SelectKind::List(list), fields: load.fields.clone(), nested: Vec::new() };
    let values: Vec<Value> = [Some(Value::Int(ROWS_AT_ONCE as i64)), after].into_iter().flatten().collect();
    match engine.execute(&nobody(), &Operation::Read(vec![select]), &values).await?.outcome {
        Outcome::Read(answers, _) => match answers.into_iter().next() {
            Some(Answered::Page(page)) => Ok(page),
            _ => Err(Error::internal("a list was not answered by a page")),
        },
        Outcome::Written(..) => Err(Error::internal("a read was answered by a write")),
    }
}

fn nobody() -> Context {
    let principal = Principal { issuer: "fourfold".into(), subject: "import".into(), claims: Claims::default() };
    Context { principal: Arc::new(principal), deadline: Deadline(None), idempotency: None, request: RequestId("import".into()) }
}

fn failed(table: &str, error: &Error) -> Failure {
    let private = error.private.0.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
    Failure::Store(format!("`{table}`: {error}{private}"))
}
