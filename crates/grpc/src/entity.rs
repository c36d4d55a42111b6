//! The reads of an entity's service: one row, a page, the rows of several keys.

use std::collections::HashMap;

use fourfold_model::expr::{Expr, ExprKind, ExprType};
use fourfold_model::{EntityId, Value};
use fourfold_op::{Answered, Context, Error, List, Operation, Outcome, Page, Record, Select, SelectKind};

use crate::face::{Face, Shape};
use crate::message::{Arguments, Reading};
use crate::selection::{Selection, Values, selection};
use crate::transport::Format;
use crate::{error, filter, order, render};

/// A request to an entity's service.
pub struct Request<'a> {
    pub face: &'a Face,
    pub id: EntityId,
    pub reading: Reading<'a>,
    pub arguments: Arguments<'a>,
    pub format: Format,
}

impl Request<'_> {
    fn selection(&self, mask: u32, values: &mut Values) -> Result<Selection, Error> {
        selection(self.reading.model, self.id, self.arguments.texts(mask), self.reading.limits, values)
    }

    /// One row.
    pub async fn get(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let key = self.arguments.key(1).ok_or_else(|| Error::invalid_at("/id", "`id` is required: the row's key"))?;
        if let (Some(Shape { get: Some(prepared), selection, .. }), []) = (self.face.shape(self.id), self.arguments.texts(2)) {
            let executed = self.face.engine.execute_prepared(context, prepared, &[key]).await?;
            return self.one(executed.outcome, selection);
        }
        let mut values = Values::default();
        let kind = SelectKind::Get { key: values.push(key)?, cursor: false };
        let selection = self.selection(2, &mut values)?;
        let outcome = self.read(context, vec![kind], &selection, values).await?;
        self.one(outcome, &selection)
    }

    fn one(&self, outcome: Outcome, selection: &Selection) -> Result<Vec<u8>, Error> {
        match first(outcome) {
            Some(Answered::Row(Some(record))) => Ok(self.message(selection, &record)),
            _ => Err(Error::not_found(&self.reading.entity.name)),
        }
    }

    async fn read(&self, context: &Context, kinds: Vec<SelectKind>, selection: &Selection, values: Values) -> Result<Outcome, Error> {
        let select = |kind| Select { entity: self.id, kind, fields: selection.fields.clone(), nested: selection.nested.clone() };
        let operation = Operation::Read(kinds.into_iter().map(select).collect());
        Ok(self.face.engine.execute(context, &operation, &values.0).await?.outcome)
    }

    /// A page of rows.
    pub async fn list(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let size = self.page_size()?;
        let arguments = &self.arguments;
        let plain =
            [2, 3, 4, 5].iter().all(|number| arguments.text(*number).is_empty()) && arguments.texts(6).is_empty() && !arguments.flag(7);
        if let (Some(Shape { list: Some(prepared), selection, .. }), true) = (self.face.shape(self.id), plain) {
            let executed = self.face.engine.execute_prepared(context, prepared, &[size]).await?;
            return self.page(executed.outcome, selection);
        }
        if !arguments.text(4).is_empty() {
            return Err(error::unimplemented("`search`"));
        }
        let Reading { model, limits, .. } = self.reading;
        let mut values = Values::default();
        let size = Some(values.push(size)?);
        let after = match arguments.text(2) {
            "" => None,
            token => Some(values.push(Value::text(token))?),
        };
        let filter = filter::filter(model, self.id, arguments.text(3), limits, &mut values)?;
        let order = order::order(model, self.id, arguments.text(5), limits)?;
        let selection = self.selection(6, &mut values)?;
        let list = List { filter, order, size, after, total: arguments.flag(7), cursors: false };
        let outcome = self.read(context, vec![SelectKind::List(list)], &selection, values).await?;
        self.page(outcome, &selection)
    }

    fn page_size(&self) -> Result<Value, Error> {
        match self.arguments.number(1).unwrap_or(0) {
            size if size < 0 => Err(Error::invalid_at("/page_size", format!("`{size}` is no page size; expected 0 or more rows"))),
            0 => Ok(Value::Int(i64::from(self.reading.limits.page_size_default))),
            size => Ok(Value::Int(size)),
        }
    }

    fn page(&self, outcome: Outcome, selection: &Selection) -> Result<Vec<u8>, Error> {
        let Outcome::Read(mut answers, Some(cursor)) = outcome else { return Err(Error::internal("a list was answered without a cursor")) };
        let Some(Answered::Page(page)) = answers.pop() else { return Err(Error::internal("a list was answered without a page")) };
        let end = PageEnd { next: page.next.as_deref(), total: page.total, capped: page.total_capped, cursor: cursor.to_string() };
        Ok(match self.format {
            Format::Proto => self.proto_page(&page, selection, &end),
            Format::Json => self.json_page(&page, selection, &end),
        })
    }

    fn proto_page(&self, page: &Page, selection: &Selection, end: &PageEnd<'_>) -> Vec<u8> {
        use fourfold_op::wire::bytes::{put_bytes, put_number};
        let Reading { model, entity, .. } = self.reading;
        let mut out = Vec::with_capacity(64 + page.items.len() * 128);
        for item in &page.items {
            render::put_record(&mut out, 1, model, entity, selection.shown(), item);
        }
        if let Some(next) = end.next {
            put_bytes(&mut out, 2, next.as_bytes());
        }
        if let Some(total) = end.total {
            put_number(&mut out, 3, total);
            put_number(&mut out, 5, u64::from(end.capped));
        }
        put_bytes(&mut out, 4, end.cursor.as_bytes());
        out
    }

    fn json_page(&self, page: &Page, selection: &Selection, end: &PageEnd<'_>) -> Vec<u8> {
        let Reading { model, entity, .. } = self.reading;
        let mut out = Vec::with_capacity(64 + page.items.len() * 256);
        let mut object = render::Object::new(&mut out);
        let rows = object.member(&entity.plural);
        render::json_list(rows, page.items.iter(), |out, item| render::record(out, model, entity, selection.shown(), item, Format::Json));
        if let Some(next) = end.next {
            object.text("next_page_token", next);
        }
        if let Some(total) = end.total {
            object.number("total_size", i64::try_from(total).unwrap_or(i64::MAX));
            object.value("total_capped", model, fourfold_model::Base::Boolean, &Value::Boolean(end.capped));
        }
        object.text("cursor", &end.cursor);
        object.end();
        out
    }

    pub fn message(&self, selection: &Selection, record: &Record) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        render::record(&mut out, self.reading.model, self.reading.entity, selection.shown(), record, self.format);
        out
    }

    /// The rows of several keys, in their order.
    pub async fn batch_get(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let keys = self.arguments.keys(1);
        let Reading { model, entity, limits } = self.reading;
        if keys.is_empty() {
            return Err(Error::invalid_at("/ids", "`ids` is required: at least one key"));
        }
        if keys.len() > limits.page_size_max as usize {
            return Err(Error::limit("page_size_max", limits.page_size_max as usize, "keys in `ids`"));
        }
        let mut values = Values::default();
        let list = self.keyed(keys, &mut values)?;
        let selection = self.selection(2, &mut values)?;
        let outcome = self.read(context, vec![SelectKind::List(list)], &selection, values).await?;
        let found = match first(outcome) {
            Some(Answered::Page(page)) if page.more => {
                return Err(Error::limit("page_bytes_max", limits.page_bytes_max, "bytes in one answer; ask for fewer keys"));
            }
            Some(Answered::Page(page)) => page.items,
            _ => return Err(Error::internal("a list was answered without a page")),
        };
        let found: HashMap<&Value, &Record> = found.iter().map(|record| (record.row.value(fourfold_model::KEY), record)).collect();
        let records: Vec<&Record> =
            keys.iter().map(|key| found.get(key).copied().ok_or_else(|| Error::not_found(&entity.name))).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        match self.format {
            Format::Proto => {
                records.iter().copied().for_each(|record| render::put_record(&mut out, 1, model, entity, selection.shown(), record))
            }
            Format::Json => {
                let mut object = render::Object::new(&mut out);
                let rows = object.member(&entity.plural);
                render::json_list(rows, records.iter().copied(), |out, one| {
                    render::record(out, model, entity, selection.shown(), one, Format::Json)
                });
                object.end();
            }
        }
        Ok(out)
    }

    /// The rows with these keys as one list, so that however many they are it is one statement and one shape.
    fn keyed(&self, keys: &[Value], values: &mut Values) -> Result<List, Error> {
        let base = self.reading.entity.key_type();
        let size = values.push(Value::Int(i64::from(self.reading.limits.page_size_max)))?;
        let all = values.push(Value::List(keys.into()))?;
        let key = Expr::field(fourfold_model::KEY, ExprType::one(base));
        let within = Expr::boolean(ExprKind::In(Box::new(key), Box::new(Expr::value(all.0, ExprType::list(base)))));
        Ok(List { filter: Some(within), size: Some(size), ..List::default() })
    }
}

struct PageEnd<'a> {
    next: Option<&'a str>,
    total: Option<u64>,
    capped: bool,
    cursor: String,
}

fn first(outcome: Outcome) -> Option<Answered> {
    match outcome {
        Outcome::Read(answers, _) => answers.into_iter().next(),
        Outcome::Written(..) => None,
    }
}
