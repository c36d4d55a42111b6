//! Reading: every fetch looks at every row, and keeps those that its filter is true of.

use std::cmp::Ordering;
use std::sync::Arc;

use fourfold_model::{EntityId, FieldId, KEY, Row, Value};
use fourfold_op::{Answered, Deadline, Error, Joined, Page, Record};
use fourfold_plan::{Child, Fetch, FetchKind, Link, Node, OrderKey, PageFetch, ReadPlan, eval};

use super::groups;
use super::order;
use super::reading::{Reading, in_time};
use super::state::{Rows, State, key_of};
use crate::size::record_bytes;
use crate::store::StoreError;

/// The answers to some plans, and how many statements a store of statements would take.
pub(super) fn read(state: &State, plans: &[ReadPlan], deadline: &Deadline) -> Result<(Vec<Answered>, u32), StoreError> {
    let mut statements = 0;
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        state.serves(plan.model()).map_err(StoreError::Refused)?;
        let rows = Rows { state, model: plan.model() };
        let mut reading = Reading { plan, model: plan.model(), rows, deadline, statements: 0 };
        answers.push(reading.answer().map_err(StoreError::Refused)?);
        statements += reading.statements;
    }
    Ok((answers, statements))
}

impl Reading<'_> {
    fn answer(&mut self) -> Result<Answered, Error> {
        let fetch = self.plan.fetch();
        match &fetch.kind {
            FetchKind::Key { param, .. } => Ok(Answered::Row(self.one(fetch, *param)?)),
            FetchKind::Page(page) => Ok(Answered::Page(self.root_page(fetch, page)?)),
            FetchKind::Groups(groups) => {
                let rows = self.matching(fetch)?;
                groups::groups(self, groups, &rows).map(Answered::Groups)
            }
            FetchKind::Keys => Err(Error::internal("a fetch by the parents' keys without parents")),
        }
    }

    fn one(&mut self, fetch: &Fetch, param: u16) -> Result<Option<Record>, Error> {
        self.statement(fetch)?;
        let key = self.param(param);
        let Some(row) = self.rows.state.row(self.model, fetch.entity, &key).cloned() else { return Ok(None) };
        if !self.passes(fetch.filter.as_ref(), &row) {
            return Ok(None);
        }
        Ok(self.records(fetch, &[row])?.pop())
    }

    fn root_page(&mut self, fetch: &Fetch, page: &PageFetch) -> Result<Page, Error> {
        let rows = self.matching(fetch)?;
        let (rows, mut answer) = self.page_rows(page, rows);
        answer.items = self.records(fetch, &rows)?;
        self.end_early(&mut answer);
        self.tokens(page, &rows, &mut answer, true);
        Ok(answer)
    }

    /// Every row that the filter is true of, in the order of keys.
    fn matching(&mut self, fetch: &Fetch) -> Result<Vec<Row>, Error> {
        self.statement(fetch)?;
        let table = self.rows.state.table(self.model, fetch.entity);
        let mut rows = Vec::new();
        for row in table.into_iter().flat_map(|table| table.rows.values()) {
            if self.passes(fetch.filter.as_ref(), row) {
                rows.push(row.clone());
            }
            in_time(self.deadline)?;
        }
        Ok(rows)
    }

    /// The rows of a page out of all that match, and what the page says of the others.
    fn page_rows(&mut self, page: &PageFetch, mut rows: Vec<Row>) -> (Vec<Row>, Page) {
        let mut answer = Page::default();
        if let Some(most) = page.total {
            self.statements += 1;
            let all = rows.len() as u64;
            answer.total = Some(all.min(most));
            answer.total_capped = all > most;
        }
        rows.retain(|row| self.passes(page.start.as_ref(), row));
        let mut keyed: Vec<(Vec<Value>, Row)> = rows.into_iter().map(|row| (self.order_keys(&page.order, &row), row)).collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(&page.order, a, b));
        let limit = match self.param(page.limit) {
            Value::Int(limit) => usize::try_from(limit).unwrap_or(0),
            _ => 0,
        };
        answer.more = keyed.len() > limit;
        keyed.truncate(limit);
        (keyed.into_iter().map(|(_, row)| row).collect(), answer)
    }

    /// Ends a page where its bytes do; one item always stays.
    fn end_early(&self, page: &mut Page) {
        let mut bytes = 0;
        let kept = page.items.iter().take_while(|record| {
            let before = bytes;
            bytes += record_bytes(record);
            before == 0 || bytes <= self.plan.page_bytes_max()
        });
        let kept = kept.count();
        if kept < page.items.len() {
            page.items.truncate(kept);
            page.more = true;
        }
    }

    /// The tokens of a page whose items are known.
    fn tokens(&self, page: &PageFetch, rows: &[Row], answer: &mut Page, root: bool) {
        let token = |row: &Row| self.plan.token(&self.order_keys(&page.order, row));
        let rows = rows.get(..answer.items.len()).unwrap_or_default();
        if page.cursors {
            answer.cursors = rows.iter().map(token).collect();
        }
        if answer.more && (root || page.cursors) {
            answer.next = rows.last().map(token);
        }
    }

    /// Rows as the caller sees them, with the rows of their relations.
    fn records(&mut self, fetch: &Fetch, rows: &[Row]) -> Result<Vec<Record>, Error> {
        let shown: Vec<Row> = rows.iter().map(|row| self.shown(fetch, row)).collect();
        let mut records: Vec<Record> = shown.into_iter().map(|row| Record { row, nested: Vec::new() }).collect();
        if records.is_empty() {
            return Ok(records);
        }
        for child in &fetch.children {
            let joined = match child.link {
                Link::One(field) => self.one_each(child, field, &records)?,
                Link::Many(field) => self.many_each(child, field, rows)?,
            };
            for (record, joined) in records.iter_mut().zip(joined) {
                record.nested.push(joined);
            }
        }
        Ok(records)
    }

    /// The slots that were asked for, less those that are masked.
    fn shown(&self, fetch: &Fetch, row: &Row) -> Row {
        let mut shown = Row::nulls(fetch.width());
        for field in fetch.columns.iter().chain(&fetch.owned) {
            shown.set(*field, row.value(*field).clone());
        }
        for (field, node) in &fetch.masks {
            if !self.passes(Some(node), row) {
                shown.set(*field, Value::Null);
            }
        }
        shown
    }

    /// For each parent the row that its slot names.
    fn one_each(&mut self, child: &Child, field: FieldId, parents: &[Record]) -> Result<Vec<Joined>, Error> {
        let mut rows = self.matching(&child.fetch)?;
        rows.retain(|row| parents.iter().any(|parent| parent.row.value(field) == key_of(row)));
        let keys: Vec<Value> = rows.iter().map(|row| key_of(row).clone()).collect();
        let records = self.records(&child.fetch, &rows)?;
        let joined = |parent: &Record| {
            let found = keys.iter().position(|key| key == parent.row.value(field));
            Joined::One(found.and_then(|index| records.get(index)).cloned().map(Arc::new))
        };
        Ok(parents.iter().map(joined).collect())
    }

    /// For each parent a page of the rows whose column names it.
    fn many_each(&mut self, child: &Child, field: FieldId, parents: &[Row]) -> Result<Vec<Joined>, Error> {
        let FetchKind::Page(page) = &child.fetch.kind else { return Err(Error::internal("a to-many child without a page")) };
        let rows = self.matching(&child.fetch)?;
        let before = self.statements;
        let mut pages = Vec::with_capacity(parents.len());
        let mut all = Vec::new();
        for parent in parents {
            let own: Vec<Row> = rows.iter().filter(|row| row.value(field) == parent.value(KEY)).cloned().collect();
            let (own, answer) = self.page_rows(page, own);
            pages.push((own.len(), answer));
            all.extend(own);
        }
        // One statement counts for all parents.
        self.statements = before + u32::from(page.total.is_some());
        let mut records = self.records(&child.fetch, &all)?.into_iter();
        let mut own = all.as_slice();
        let mut joined = Vec::with_capacity(parents.len());
        for (count, mut answer) in pages {
            answer.items = records.by_ref().take(count).collect();
            let (these, rest) = own.split_at_checked(count).unwrap_or((own, &[]));
            self.tokens(page, these, &mut answer, false);
            own = rest;
            joined.push(Joined::Many(answer));
        }
        Ok(joined)
    }

    fn order_keys(&self, order: &[OrderKey], row: &Row) -> Vec<Value> {
        order.iter().map(|key| self.value(&key.node, row)).collect()
    }

    fn compare(&self, order: &[OrderKey], a: &[Value], b: &[Value]) -> Ordering {
        for ((key, a), b) in order.iter().zip(a).zip(b) {
            let ascending = order::compare(self.model, key.base, a, b);
            let compared = if key.descending { ascending.reverse() } else { ascending };
            if compared != Ordering::Equal {
                return compared;
            }
        }
        Ordering::Equal
    }
}

/// Whether a row of an entity is true of a node that holds no `Bind`.
pub(super) fn holds(rows: &Rows<'_>, node: &Node, row: &Row) -> bool {
    eval(rows.model, node, row, &[], rows) == Value::Boolean(true)
}

/// Every row of an entity.
pub(super) fn all<'a>(rows: &Rows<'a>, entity: EntityId) -> impl Iterator<Item = &'a Row> {
    rows.state.table(rows.model, entity).into_iter().flat_map(|table| table.rows.values())
}
