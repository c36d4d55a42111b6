//! A filter has one meaning: random conditions in the language of `filter=`, over random rows, mean the same to SQLite's SQL and PostgreSQL's, to
//! [`eval`](fourfold_plan::eval()) and, on the part that they share ([`oracle`]), to CEL.
//!
//! A pair is a condition and a row. SQL is asked twice, for the rows of `c` and those of `!(c)`: what is in neither is unknown.
//! `FOURFOLD_AGREEMENT_PAIRS` asks for more pairs than the 100,000 of a usual run, `FOURFOLD_SEED` for those of an earlier run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixed;
mod generate;
mod literals;
mod oracle;
mod random;
mod rows;
mod scope;
mod stores;
mod term;
mod values;
mod world;

use std::sync::Arc;
use std::time::Instant;

use fourfold_model::{Row, SharedModel, Value};
use fourfold_op::{Claims, Context, Deadline, Principal, RequestId};
use fourfold_plan::Truth;

use generate::{Generator, Use};
use oracle::{Oracle, Verdict};
use random::Random;
use rows::Rows;
use stores::{Sql, Stores};
use term::Term;
use world::THING;

/// Pairs of a usual run over each store.
const PAIRS: usize = 100_000;
/// Things of one round.
const THINGS: usize = 100;
/// Conditions of one round, after which rows are made anew.
const CONDITIONS: usize = 500;
/// Differences after which no more are looked for.
const DIFFERENCES: usize = 8;

#[test]
fn a_filter_means_the_same_to_sqlite_to_eval_and_to_cel() {
    agree(Sql::Sqlite);
}

#[test]
fn a_filter_means_the_same_to_postgres_to_eval_and_to_cel() {
    if let Some(postgres) = Sql::postgres() {
        agree(postgres);
    }
}

fn agree(sql: Sql) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let pairs = number("FOURFOLD_AGREEMENT_PAIRS").map_or(PAIRS, |pairs| pairs as usize);
    let seed = number("FOURFOLD_SEED").unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("{}: FOURFOLD_SEED={seed}", sql.name());
    let begun = Instant::now();
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.wants(pairs) {
        Round::begin(sql, &mut random).run(&mut random, &mut tally, pairs);
    }
    println!("{}: {tally:?} in {:.1} s", sql.name(), begun.elapsed().as_secs_f64());
    tally.check();
}

/// A caller: with null as the claim of being trusted, an anonymous one.
pub fn caller(trusted: Value) -> Context {
    let principal = Principal { issuer: "".into(), subject: "".into(), claims: Claims([trusted].into()) };
    Context { principal: Arc::new(principal), deadline: Deadline(None), idempotency: None, request: RequestId("agreement".into()) }
}

/// What was seen.
#[derive(Debug, Default)]
struct Tally {
    conditions: usize,
    too_long: usize,
    truths: [usize; 3],
    cel: [usize; 3],
    cel_conditions: usize,
    cel_unread: usize,
    differences: Vec<String>,
}

impl Tally {
    fn pairs(&self) -> usize {
        self.truths.iter().sum()
    }

    /// Whether to go on. A few differences say enough, and each takes a while to be made small.
    fn wants(&self, pairs: usize) -> bool {
        self.pairs() < pairs && self.differences.len() < DIFFERENCES
    }

    /// No differences, and nothing that says the same of nearly every row.
    fn check(&self) {
        assert!(self.differences.is_empty(), "{} differences:\n\n{}", self.differences.len(), self.differences.join("\n\n"));
        let [yes, no, _] = self.truths.map(|count| count * 100 / self.pairs());
        assert!(yes >= 15 && no >= 15, "{yes} % are true and {no} % false: at least 15 % of each say something");
        let [yes, no, unknown] = self.cel;
        let share = |count: usize| count * 100 / (yes + no + unknown).max(1);
        assert!(share(yes) >= 15 && share(no) >= 15, "CEL found {yes} true and {no} false: at least 15 % of each say something");
        assert!(yes + no >= self.pairs() / 20, "CEL judged {} of {} pairs: at least one in twenty", yes + no, self.pairs());
    }
}

/// Some rows, and all that can be asked about them.
struct Round {
    model: SharedModel,
    rows: Rows,
    stores: Stores,
    oracle: Oracle,
}

impl Round {
    fn begin(sql: Sql, random: &mut Random) -> Round {
        let model = world::model();
        let rows = Rows::random(&model, THINGS, random);
        let stores = Stores::with(sql, &model, &rows);
        let oracle = Oracle::new(&model, &rows);
        Round { model, rows, stores, oracle }
    }

    fn run(&self, random: &mut Random, tally: &mut Tally, pairs: usize) {
        for _ in 0..CONDITIONS {
            if tally.wants(pairs) {
                self.one(random, tally);
            }
        }
    }

    fn one(&self, random: &mut Random, tally: &mut Tally) {
        let shared = random.chance(35);
        let mut generator = Generator::new(&self.model, shared, random);
        let depth = 1 + generator.random.below(4);
        let term = generator.condition(depth);
        let (tolerant, uses) = (generator.tolerant, std::mem::take(&mut generator.uses));
        match self.stores.truths(&term.text(), &self.rows, tally.conditions.is_multiple_of(8)) {
            Err(stores::Refused::TooLong) => tally.too_long += 1,
            Err(stores::Refused::Other(message)) => tally.differences.push(self.refusal(term, message)),
            Ok(asked) => {
                tally.conditions += 1;
                for truth in &asked.eval {
                    tally.truths[place(*truth)] += 1;
                }
                match asked.difference() {
                    Some(row) => tally.differences.push(self.difference(term, row)),
                    None if shared => self.second_opinion(&term, &asked.eval, (&uses, tolerant), tally),
                    None => {}
                }
            }
        }
    }

    /// What CEL says of it.
    fn second_opinion(&self, term: &Term, truths: &[Truth], (uses, tolerant): (&[Use], bool), tally: &mut Tally) {
        let Some(verdicts) = self.oracle.verdicts(&term.text(), uses, tolerant) else { return tally.cel_unread += 1 };
        tally.cel_conditions += 1;
        for (row, (verdict, truth)) in verdicts.iter().zip(truths).enumerate() {
            match verdict {
                Verdict::Is(true) => tally.cel[0] += 1,
                Verdict::Is(false) => tally.cel[1] += 1,
                Verdict::Unknown => tally.cel[2] += 1,
                Verdict::Nothing => {}
            }
            if !verdict.agrees(*truth) {
                let told = format!("CEL says {verdict:?}, SQL and eval {truth:?}\n  {}", self.shown(row));
                return tally.differences.push(format!("{}\n  {told}", term.text()));
            }
        }
    }

    fn refusal(&self, term: Term, message: String) -> String {
        let small = term.shrunk(
            &mut |one| matches!(self.stores.truths(&one.text(), &self.rows, true), Err(stores::Refused::Other(other)) if other == message),
        );
        format!("{}\n  is refused: {message}", small.text())
    }

    fn difference(&self, term: Term, row: usize) -> String {
        let small =
            term.shrunk(&mut |one| self.stores.truths(&one.text(), &self.rows, true).is_ok_and(|asked| asked.difference().is_some()));
        let asked = self.stores.truths(&small.text(), &self.rows, true);
        let row = asked.as_ref().ok().and_then(|asked| asked.difference()).unwrap_or(row);
        let said = asked.map_or(String::new(), |asked| asked.said(row));
        format!("{}\n  {said}\n  {}", small.text(), self.shown(row))
    }

    fn shown(&self, row: usize) -> String {
        let row: &Row = &self.rows.of(THING)[row];
        let fields = &self.model.entity(THING).fields;
        let shown = fields.iter().zip(&row.0).filter(|(_, value)| !matches!(value, Value::Null));
        shown.map(|(field, value)| format!("{}: {value:?}", field.name)).collect::<Vec<_>>().join(", ")
    }
}

fn place(truth: Truth) -> usize {
    match truth {
        Truth::True => 0,
        Truth::False => 1,
        Truth::Unknown => 2,
    }
}
