//! Outcomes to JSON, by shapes.
//!
//! A null where the schema promises a value takes the nearest member that may be null with it (GraphQL, "Handling field errors").

use fourfold_model::{Base, Decimal, Model, Row, Value};
use fourfold_op::json::{Dialect, write_string, write_value};
use fourfold_op::{Context, Error, Joined, Page, Record, SmolStr, WatchChange};

use crate::error::{Fault, Segment, write_errors};
use crate::shape::{ChangePart, EdgePart, Entry, GroupPart, InfoPart, PagePart, PageShape, PayloadPart, RowPart, Shape};

/// Writes answers.
pub(crate) struct Writer<'a> {
    pub out: Vec<u8>,
    pub faults: Vec<Fault>,
    model: &'a Model,
    /// The cursor of the snapshot or the commit.
    pub cursor: Option<String>,
    path: Vec<Segment>,
}

/// Nothing can be shown here: the member around it is null.
pub(crate) struct Gone;

type Shown = Result<(), Gone>;

impl<'a> Writer<'a> {
    pub fn new(model: &'a Model) -> Writer<'a> {
        Writer { out: Vec::with_capacity(1_024), faults: Vec::new(), model, cursor: None, path: Vec::new() }
    }

    /// The member `name` of the answer, whose value `write` writes; null when it cannot be shown and may be null.
    pub fn root<P>(&mut self, entry: &Entry<P>, nullable: bool, write: impl FnOnce(&mut Self, &P) -> Shown) -> Shown {
        self.out.extend_from_slice(&entry.key);
        self.within(Segment::Key(entry.name.clone()), |writer| writer.or_null(nullable, |writer| write(writer, &entry.part)))
    }

    /// The answer, whose `data` was begun and is whole, or gone; then what was wrong.
    pub fn finish(self, shown: Shown, context: &Context) -> Vec<u8> {
        let Writer { mut out, faults, .. } = self;
        match shown {
            Ok(()) => out.push(b'}'),
            Err(Gone) => out = b"{\"data\":null".to_vec(),
        }
        if !faults.is_empty() {
            out.push(b',');
            write_errors(&mut out, &faults, context);
        }
        out.push(b'}');
        out
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A row, or null.
    pub fn row_or_null(&mut self, shape: &Shape<RowPart>, record: Option<&Record>) -> Shown {
        match record {
            Some(record) => self.record(shape, record),
            None => self.put(b"null"),
        }
    }

    fn within(&mut self, segment: Segment, write: impl FnOnce(&mut Self) -> Shown) -> Shown {
        self.path.push(segment);
        let shown = write(self);
        self.path.pop();
        shown
    }

    fn or_null(&mut self, nullable: bool, write: impl FnOnce(&mut Self) -> Shown) -> Shown {
        let start = self.out.len();
        match write(self) {
            Err(Gone) if nullable => {
                self.out.truncate(start);
                self.put(b"null")
            }
            shown => shown,
        }
    }

    fn object<P>(&mut self, shape: &Shape<P>, mut write: impl FnMut(&mut Self, &Entry<P>) -> Shown) -> Shown {
        self.out.push(b'{');
        for (index, entry) in shape.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&entry.key);
            write(self, entry)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, usize, &T) -> Shown) -> Shown {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.within(Segment::Index(index), |writer| write(writer, index, item))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn missing(&mut self, name: &SmolStr) -> Shown {
        let mut fault = Fault::from(Error::internal(format!("`{name}` is null in the store and not in the model")));
        fault.path = self.path.clone();
        fault.path.push(Segment::Key(name.clone()));
        self.faults.push(fault);
        Err(Gone)
    }

    fn value(&mut self, base: Base, value: &Value) -> Shown {
        let value = match (base, value) {
            (Base::Decimal { .. }, Value::Int(number)) => &Value::Decimal(Decimal { unscaled: *number, scale: 0 }),
            (_, value) => value,
        };
        write_value(&mut self.out, self.model, base, value, Dialect::Plain);
        Ok(())
    }

    fn record(&mut self, shape: &Shape<RowPart>, record: &Record) -> Shown {
        self.members(shape, &record.row, &record.nested)
    }

    fn members(&mut self, shape: &Shape<RowPart>, row: &Row, nested: &[Joined]) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            RowPart::Text(text) => writer.put(text),
            RowPart::Value { slot, base, nullable } => match row.value(*slot) {
                Value::Null if !nullable => writer.missing(&entry.name),
                value => writer.value(*base, value),
            },
            RowPart::Owned { slot, shape, list, nullable } => writer.owned(&entry.name, shape, row.value(*slot), *list, *nullable),
            RowPart::One { place, shape, nullable } => match nested.get(*place) {
                Some(Joined::One(Some(record))) => {
                    let step = Segment::Key(entry.name.clone());
                    writer.within(step, |writer| writer.or_null(*nullable, |writer| writer.record(shape, record)))
                }
                _ if *nullable => writer.put(b"null"),
                _ => writer.missing(&entry.name),
            },
            RowPart::Many { place, shape } => match nested.get(*place) {
                Some(Joined::Many(page)) => writer.within(Segment::Key(entry.name.clone()), |writer| writer.page(shape, page)),
                _ => writer.missing(&entry.name),
            },
        })
    }

    fn owned(&mut self, name: &SmolStr, shape: &Shape<RowPart>, value: &Value, list: bool, nullable: bool) -> Shown {
        let step = Segment::Key(name.clone());
        match value {
            Value::Owned(rows) if list => self.within(step, |writer| {
                writer.or_null(nullable, |writer| writer.list(rows, |writer, _, row| writer.members(shape, row, &[])))
            }),
            Value::Owned(rows) if !rows.is_empty() => self.within(step, |writer| {
                writer.or_null(nullable, |writer| rows.first().map_or(Err(Gone), |row| writer.members(shape, row, &[])))
            }),
            _ if nullable => self.put(b"null"),
            _ if list => self.put(b"[]"),
            _ => self.missing(name),
        }
    }

    /// A connection.
    pub fn page(&mut self, shape: &PageShape, page: &Page) -> Shown {
        self.object(&shape.members, |writer, entry| match &entry.part {
            PagePart::Text(text) => writer.put(text),
            PagePart::TotalCount => writer.number(page.total.unwrap_or(0)),
            PagePart::TotalCapped => writer.boolean(page.total_capped),
            PagePart::Cursor => writer.own_cursor(),
            PagePart::PageInfo(info) => writer.page_info(info, shape.after, page),
            PagePart::Nodes(shape) => writer.within(Segment::Key(entry.name.clone()), |writer| {
                writer.list(&page.items, |writer, _, record| writer.record(shape, record))
            }),
            PagePart::Edges(shape) => writer.within(Segment::Key(entry.name.clone()), |writer| {
                writer.list(&page.items, |writer, index, record| writer.edge(shape, page.cursors.get(index), record))
            }),
        })
    }

    fn edge(&mut self, shape: &Shape<EdgePart>, cursor: Option<&SmolStr>, record: &Record) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            EdgePart::Text(text) => writer.put(text),
            EdgePart::Cursor => writer.string(cursor.map_or("", SmolStr::as_str)),
            EdgePart::Node(shape) => writer.within(Segment::Key(entry.name.clone()), |writer| writer.record(shape, record)),
        })
    }

    fn page_info(&mut self, shape: &Shape<InfoPart>, after: bool, page: &Page) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            InfoPart::Text(text) => writer.put(text),
            InfoPart::HasNextPage => writer.boolean(page.more),
            InfoPart::HasPreviousPage => writer.boolean(after),
            InfoPart::StartCursor => writer.string_or_null(page.cursors.first()),
            InfoPart::EndCursor => writer.string_or_null(page.cursors.last()),
        })
    }

    /// Groups.
    pub fn groups(&mut self, shape: &Shape<GroupPart>, groups: &[Vec<Value>]) -> Shown {
        self.list(groups, |writer, _, group| writer.group(shape, group))
    }

    fn group(&mut self, shape: &Shape<GroupPart>, group: &[Value]) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            GroupPart::Text(text) => writer.put(text),
            GroupPart::Object(shape) => writer.group(shape, group),
            GroupPart::Value { place, base } => {
                let value = place.and_then(|place| group.get(place)).unwrap_or(&Value::Null);
                writer.value(*base, value)
            }
        })
    }

    /// A payload.
    pub fn payload(&mut self, shape: &Shape<PayloadPart>, record: Option<&Record>) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            PayloadPart::Text(text) => writer.put(text),
            PayloadPart::Cursor => writer.own_cursor(),
            PayloadPart::Row(shape) => {
                writer.within(Segment::Key(entry.name.clone()), |writer| writer.or_null(true, |writer| writer.row_or_null(shape, record)))
            }
        })
    }

    fn own_cursor(&mut self) -> Shown {
        match &self.cursor {
            Some(cursor) => write_string(&mut self.out, cursor),
            None => self.raw(b"null"),
        }
        Ok(())
    }

    fn string_or_null(&mut self, text: Option<&SmolStr>) -> Shown {
        match text {
            Some(text) => self.string(text),
            None => self.put(b"null"),
        }
    }

    fn string(&mut self, text: &str) -> Shown {
        write_string(&mut self.out, text);
        Ok(())
    }

    fn boolean(&mut self, value: bool) -> Shown {
        self.put(if value { b"true" } else { b"false" })
    }

    fn number(&mut self, number: u64) -> Shown {
        self.put(number.to_string().as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Shown {
        self.raw(bytes);
        Ok(())
    }
}

/// A change as it is shown.
pub(crate) struct Told<'a> {
    pub cursor: Option<String>,
    pub change: WatchChange,
    pub key: &'a Value,
    pub revision: Option<u64>,
    pub at: Option<i64>,
    pub record: Option<Record>,
}

impl Writer<'_> {
    /// A change.
    pub fn change(&mut self, shape: &Shape<ChangePart>, told: &Told<'_>) -> Shown {
        self.object(shape, |writer, entry| match &entry.part {
            ChangePart::Text(text) => writer.put(text),
            ChangePart::Cursor => match &told.cursor {
                Some(cursor) => writer.string(cursor),
                None => writer.put(b"null"),
            },
            ChangePart::Change => writer.string(&told.change.name().to_uppercase()),
            ChangePart::Key(base) => writer.value(*base, told.key),
            ChangePart::Revision => match told.revision {
                Some(revision) => writer.number(revision),
                None => writer.put(b"null"),
            },
            ChangePart::At => writer.value(Base::DateTime, &told.at.map_or(Value::Null, Value::DateTime)),
            ChangePart::Item(shape) => writer.within(Segment::Key(entry.name.clone()), |writer| {
                writer.or_null(true, |writer| writer.row_or_null(shape, told.record.as_ref()))
            }),
        })
    }
}
