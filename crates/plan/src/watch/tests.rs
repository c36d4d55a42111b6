//! Where watches stand in an index, and which are alike.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fourfold_model::{EntityId, Lock, SharedModel, Value, filter};
use fourfold_op::{Claims, Context, Deadline, Limits, Principal, RequestId};

use super::{PreparedWatch, WatchPlan, watch};

const MODEL: &str = r#"package watched.v1
caller { id Uuid? @claim("id") roles String[] @claim("roles") }
enum Mood { calm loud }
entity Note {
  id    Uuid          @key @default(uuid7())
  code  String        @unique
  mood  Mood
  owner Uuid?
  size  Int?
  price Decimal(12,2)?
  ratio Float?
  tags  String[]
  book  Book?
  phone String?       @allow(read, "admin" in caller.roles)
  @@allow(read, "admin" in caller.roles || owner == caller.id)
}
entity Book {
  id      Uuid     @key @default(uuid7())
  readers Reader[]
  @@allow(read, readers.exists(r, r.user == caller.id))
}
entity Reader {
  id   Uuid @key @default(uuid7())
  book Book
  user Uuid
  @@allow(read, true)
}
"#;
const NOTE: EntityId = EntityId(0);
const BOOK: EntityId = EntityId(1);

fn model() -> SharedModel {
    Arc::new(fourfold_model::load(MODEL, &Lock::default()).unwrap().model)
}

fn context(id: u8, roles: &[&str]) -> Context {
    let roles = Value::List(roles.iter().map(Value::text).collect());
    let claims = Claims(vec![Value::Uuid([id; 16]), roles].into());
    let principal = Arc::new(Principal { issuer: "i".into(), subject: "s".into(), claims });
    Context { principal, deadline: Deadline(None), idempotency: None, request: RequestId("r".into()) }
}

fn prepared(model: &SharedModel, entity: EntityId, text: &str) -> Arc<PreparedWatch> {
    let expr = (!text.is_empty()).then(|| filter(model, entity, text).unwrap());
    Arc::new(watch(model, entity, expr.as_ref(), &Limits::default()).unwrap())
}

/// The field and the count of values by which a plan is found.
fn found_by(plan: &WatchPlan) -> Vec<String> {
    let by = |place: super::Place| {
        let entity = plan.model().entity(place.entity);
        match place.equal {
            Some((field, values)) => format!("{}.{}*{}", entity.name, entity.field(field).name, values.len()),
            None => format!("{}.*", entity.name),
        }
    };
    plan.places().into_iter().map(by).collect()
}

#[test]
fn the_condition_that_lets_the_fewest_through_is_taken() {
    let model = model();
    let admin = context(1, &["admin"]);
    for (text, expect) in [
        ("", "Note.*"),
        ("size == 1", "Note.size*1"),
        ("1 == size", "Note.size*1"),
        ("mood == \"loud\"", "Note.mood*1"),
        ("mood == \"loud\" && size == 1", "Note.size*1"),
        ("size == 1 && book.id == \"01010101-0101-0101-0101-010101010101\"", "Note.book_id*1"),
        ("size == 1 && (code == \"a\" && ratio > 1.0)", "Note.code*1"),
        ("size in [1, 2, 3]", "Note.size*3"),
        ("price == 1.5", "Note.price*1"),
        ("ratio == 1.5", "Note.*"),
        ("size > 1", "Note.*"),
        ("size == 1 || size == 2", "Note.*"),
        ("!(size == 1)", "Note.*"),
        ("\"x\" in tags", "Note.*"),
        ("phone == \"1\"", "Note.phone*1"),
    ] {
        let plan = prepared(&model, NOTE, text).bind(&admin, &[]).unwrap();
        assert_eq!(found_by(&plan), [expect], "`{text}`");
    }
}

#[test]
fn what_depends_on_the_caller_alone_is_decided() {
    let model = model();
    let nobody = prepared(&model, NOTE, "size > 1").bind(&context(1, &["guest"]), &[]).unwrap();
    assert_eq!(found_by(&nobody), ["Note.owner*1"], "its rule is left with one condition");
    let masked = prepared(&model, NOTE, "phone == \"1\"").bind(&context(1, &[]), &[]).unwrap();
    assert_eq!(found_by(&masked), ["Note.owner*1"], "what is masked pins nothing");
}

#[test]
fn plans_that_judge_alike_are_equal() {
    let model = model();
    let prepared = prepared(&model, NOTE, "");
    let bind = |id, roles: &[&str]| prepared.bind(&context(id, roles), &[]).unwrap();
    assert_eq!(bind(1, &["admin"]), bind(2, &["admin", "other"]), "admins are admins");
    assert_eq!(bind(1, &["a"]), bind(1, &["b"]));
    assert_ne!(bind(1, &[]), bind(2, &[]), "each sees its own");
    assert_ne!(bind(1, &["admin"]), bind(1, &[]));
}

#[test]
fn a_membership_is_found_by_its_pin() {
    let model = model();
    let plan = prepared(&model, BOOK, "").bind(&context(1, &[]), &[]).unwrap();
    assert_eq!(found_by(&plan), ["Book.*", "Reader.user*1"]);
    assert!(plan.membership().is_some());
    let read = fourfold_op::Answered::Page(fourfold_op::Page::default());
    assert_eq!(
        found_by(&plan.clone().with_members(&read).unwrap()),
        ["Book.id*0", "Reader.user*1"],
        "a member of nothing is shown nothing"
    );
    assert_ne!(plan.clone().with_members(&read).unwrap(), plan);
}
