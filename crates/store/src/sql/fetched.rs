//! Rows as statements bring them, on their way to records and pages: what every store of statements does alike, without any I/O.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use fourfold_model::{Base, FieldId, KEY, Row, Value};
use fourfold_op::{Joined, Page, Record};
use fourfold_plan::{Fetch, PageFetch, ReadPlan};

use super::FetchSql;
use crate::size::record_bytes;

/// Rows of one statement.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The rows.
    pub records: Vec<Record>,
    /// The parent's number of each, from 1; empty without parents.
    pub parents: Vec<usize>,
    /// The order keys of each that are no slot; empty where all are.
    pub keys: Vec<Vec<Value>>,
    /// Owned lists that may not be seen: (row, place in the fetch's owned lists).
    pub hidden: Vec<(usize, usize)>,
}

impl Fetched {
    /// Drops the row beyond each parent's page; how many each keeps.
    pub fn cut(&mut self, limit: usize, pages: &mut [Page]) -> Vec<usize> {
        let mut counts = vec![0usize; pages.len()];
        let alone = self.parents.is_empty();
        let mut keep = Vec::with_capacity(self.records.len());
        for index in 0..self.records.len() {
            let parent = if alone { 0 } else { self.parents.get(index).map_or(0, |number| number.saturating_sub(1)) };
            let Some(count) = counts.get_mut(parent) else { continue };
            let fits = *count < limit;
            keep.push(fits);
            if fits {
                *count += 1;
            } else if let Some(page) = pages.get_mut(parent) {
                page.more = true;
            }
        }
        retain(&mut self.records, &keep);
        retain(&mut self.keys, &keep);
        let mut moved = Vec::new();
        for (row, place) in &self.hidden {
            if keep.get(*row) == Some(&true) {
                moved.push((keep.iter().take(*row).filter(|kept| **kept).count(), *place));
            }
        }
        self.hidden = moved;
        counts
    }

    /// Puts rows into the order of their parents' numbers, then of their keys, where they did not come in it.
    pub fn order_by_key(&mut self, descending: bool) {
        let order = |one: usize, other: usize| {
            let key = |index: usize| self.records.get(index).map(|record| record.row.value(KEY));
            let by_key = key(one).zip(key(other)).and_then(|(one, other)| one.compare(other)).unwrap_or(Ordering::Equal);
            self.parents.get(one).cmp(&self.parents.get(other)).then(if descending { by_key.reverse() } else { by_key })
        };
        if (1..self.records.len()).all(|index| order(index - 1, index).is_lt()) {
            return;
        }
        let mut places: Vec<usize> = (0..self.records.len()).collect();
        places.sort_by(|one, other| order(*one, *other));
        let mut moved = vec![0; places.len()];
        for (to, from) in places.iter().enumerate() {
            if let Some(place) = moved.get_mut(*from) {
                *place = to;
            }
        }
        let mut hidden = std::mem::take(&mut self.hidden);
        hidden.iter_mut().for_each(|(row, _)| *row = moved.get(*row).copied().unwrap_or(*row));
        hidden.sort_unstable();
        self.hidden = hidden;
        self.parents = in_places(std::mem::take(&mut self.parents), &moved);
        self.keys = in_places(std::mem::take(&mut self.keys), &moved);
        self.records = in_places(std::mem::take(&mut self.records), &moved);
    }

    /// Clears the owned lists that may not be seen, of those at a place of the fetch.
    pub fn hide(&mut self, place: usize, field: FieldId) {
        for (row, _) in self.hidden.iter().filter(|(_, hidden)| *hidden == place) {
            if let Some(record) = self.records.get_mut(*row) {
                record.row.set(field, Value::Null);
            }
        }
    }

    /// Puts the rows into their parents' pages: so many into each.
    pub fn into_pages(self, plan: &ReadPlan, sql: &FetchSql, page: &PageFetch, counts: Vec<usize>, pages: &mut [Page]) {
        let mut records = self.records.into_iter().enumerate();
        for (page_of, count) in pages.iter_mut().zip(counts) {
            page_of.items.reserve_exact(count);
            for (index, record) in records.by_ref().take(count) {
                if page.cursors {
                    page_of.cursors.push(plan.token(&order_keys(sql, page, &record, self.keys.get(index))));
                }
                page_of.items.push(record);
            }
            if page_of.more && page.cursors {
                page_of.next = page_of.cursors.last().cloned();
            }
        }
    }

    /// The page of these rows, which were read for no parent, as far as its bytes allow.
    pub fn into_page(mut self, plan: &ReadPlan, sql: &FetchSql, page: &PageFetch, mut answer: Page) -> Page {
        end_early(&mut self.records, &mut answer, plan.page_bytes_max());
        let token = |index: usize, record: &Record| plan.token(&order_keys(sql, page, record, self.keys.get(index)));
        if page.cursors {
            answer.cursors = self.records.iter().enumerate().map(|(index, record)| token(index, record)).collect();
        }
        if answer.more {
            answer.next = self.records.last().map(|record| token(self.records.len() - 1, record));
        }
        answer.items = self.records;
        answer
    }
}

/// Ends a page where its bytes do; one item always stays.
fn end_early(records: &mut Vec<Record>, page: &mut Page, most: usize) {
    let mut bytes = 0;
    let over = records.iter().position(|record| {
        let first = bytes == 0;
        bytes += record_bytes(record);
        !first && bytes > most
    });
    if let Some(at) = over {
        records.truncate(at);
        page.more = true;
    }
}

fn in_places<T>(items: Vec<T>, places: &[usize]) -> Vec<T> {
    let mut placed: Vec<_> = places.iter().zip(items).collect();
    placed.sort_unstable_by_key(|(place, _)| **place);
    placed.into_iter().map(|(_, item)| item).collect()
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        keep.get(index - 1).copied().unwrap_or(false)
    });
}

/// An item's order keys: of its row, or read beside it.
fn order_keys(sql: &FetchSql, page: &PageFetch, record: &Record, extra: Option<&Vec<Value>>) -> Vec<Value> {
    let beside = |place: usize| {
        let index = sql.order_keys.iter().position(|(known, _)| *known == place)?;
        extra?.get(index).cloned()
    };
    let keys = page.order.iter().enumerate();
    keys.map(|(place, key)| match key.slot {
        Some(slot) => record.row.value(slot).clone(),
        None => beside(place).unwrap_or_default(),
    })
    .collect()
}

/// A page's size.
pub fn limit(plan: &ReadPlan, page: &PageFetch) -> usize {
    match plan.params().get(usize::from(page.limit)) {
        Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(0),
        _ => 0,
    }
}

/// The rows that parents lead to, each to one: every key once, however many lead to it.
#[derive(Debug)]
pub struct Wanted {
    /// The keys to ask for.
    pub keys: Vec<Value>,
    places: Vec<Option<usize>>,
}

impl Wanted {
    /// What a slot of the parents asks for.
    pub fn of(parents: &[Record], slot: FieldId) -> Wanted {
        let (mut keys, mut wanted) = (Vec::with_capacity(parents.len()), Vec::with_capacity(parents.len()));
        let mut places: HashMap<&Value, usize, foldhash::fast::RandomState> = HashMap::default();
        for parent in parents {
            let key = parent.row.value(slot);
            wanted.push((!key.is_null()).then(|| {
                *places.entry(key).or_insert_with(|| {
                    keys.push(key.clone());
                    keys.len() - 1
                })
            }));
        }
        Wanted { keys, places: wanted }
    }

    /// Hangs the rows that were found on their parents.
    pub fn join(self, fetched: Fetched, parents: &mut [Record]) {
        let mut found: Vec<Option<Arc<Record>>> = vec![None; self.keys.len()];
        for (number, record) in fetched.parents.iter().zip(fetched.records) {
            if let Some(place) = number.checked_sub(1).and_then(|index| found.get_mut(index)) {
                *place = Some(Arc::new(record));
            }
        }
        for (parent, place) in parents.iter_mut().zip(self.places) {
            parent.nested.push(Joined::One(place.and_then(|place| found.get(place).cloned().flatten())));
        }
    }
}

/// Hangs the elements of an owned list on their rows: of each the row's number (from 1) and the ordinal.
pub fn join_owned(elements: Vec<(i64, i64, Row)>, field: FieldId, records: &mut [Record]) {
    let mut lists: Vec<Vec<(i64, Row)>> = records.iter().map(|_| Vec::new()).collect();
    for (number, ordinal, element) in elements {
        if let Some(list) = usize::try_from(number - 1).ok().and_then(|index| lists.get_mut(index)) {
            list.push((ordinal, element));
        }
    }
    for (record, mut list) in records.iter_mut().zip(lists) {
        // In order already, as the table lies; nothing in SQL promises it.
        list.sort_by_key(|(ordinal, _)| *ordinal);
        record.row.set(field, Value::Owned(list.into_iter().map(|(_, row)| row).collect()));
    }
}

/// An average out of a sum and how many values it is of; null of none.
pub fn average(base: Base, sum: &Value, count: i64) -> Value {
    if count == 0 {
        return Value::Null;
    }
    let sum = match (base, sum) {
        (_, Value::Float(sum)) => *sum,
        (Base::Decimal { scale, .. }, Value::Int(sum)) => *sum as f64 / 10f64.powi(i32::from(scale)),
        (_, Value::Int(sum)) => *sum as f64,
        _ => return Value::Null,
    };
    Value::Float(sum / count as f64)
}

/// Whether the children of a fetch and the owned lists in it must be read after its rows.
pub fn has_more(fetch: &Fetch) -> bool {
    !fetch.children.is_empty() || !fetch.owned.is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn rows_are_put_in_the_order_of_their_keys_with_all_that_is_known_of_them() {
        let record = |key: i64| Record { row: Row([Value::Int(key)].into()), nested: Vec::new() };
        let came = || Fetched {
            records: [5, 9, 7, 1].map(record).into(),
            parents: vec![2, 1, 1, 2],
            keys: Vec::new(),
            hidden: vec![(0, 0), (2, 1)],
        };
        for (descending, keys, hidden) in [(false, [7, 9, 1, 5], [(0, 1), (3, 0)]), (true, [9, 7, 5, 1], [(1, 1), (2, 0)])] {
            let mut fetched = came();
            fetched.order_by_key(descending);
            assert_eq!(fetched.records.iter().map(|record| record.row.value(KEY).clone()).collect::<Vec<_>>(), keys.map(Value::Int));
            assert_eq!((fetched.parents, fetched.hidden), (vec![1, 1, 2, 2], hidden.to_vec()));
        }
    }
}
