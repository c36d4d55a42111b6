//! The engine over the reference store: answers, retries, faults, deadlines, ingest.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fourfold_engine::ingest::INGEST_ROWS_MAX;
use fourfold_engine::{Engine, Executed, IngestRow};
use fourfold_model::{FieldId, Value};
use fourfold_op::{
    Answer, Context, Deadline, Error, ErrorCode, IdempotencyKey, Joined, List, Nested, Operand, Operation, Outcome, Select, SelectKind,
    Write, WriteKind, Written,
};
use fourfold_store::conformance::fixture::{ITEM, PERSON, item, model, person};
use fourfold_store::conformance::world::{admin, anonymous, caller, id};
use fourfold_store::fault::{Fault, FaultyStore};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Store};
use tokio::sync::Notify;

struct Served {
    engine: Arc<Engine>,
    store: Arc<FaultyStore>,
}

async fn served() -> Served {
    let memory = MemoryStore::new();
    let model = model();
    let migration = memory.migration(&model).await.unwrap();
    memory.migrate(&model, migration).await.unwrap();
    let store = FaultyStore::new(Arc::new(memory));
    let engine = Engine::new(store.clone(), model, 1, fourfold_op::Limits::default());
    Served { engine, store }
}

fn with_key(context: Context, key: &str) -> Context {
    Context { idempotency: Some(IdempotencyKey(key.into())), ..context }
}

/// A write of an item's title, answered with all that `answer` asks.
fn write(kind: WriteKind, with_key: bool, answer: Answer) -> Operation {
    let key = with_key.then_some(Operand(1));
    let set = if kind == WriteKind::Delete { Vec::new() } else { vec![(item::TITLE, Operand(0))] };
    Operation::Write(vec![Write { entity: ITEM, kind, key, set, if_revision: None, answer }])
}

fn row() -> Answer {
    Answer::Row { fields: vec![FieldId(0), FieldId(1), item::TITLE], nested: Vec::new() }
}

fn values(title: &str, number: u16) -> [Value; 2] {
    [Value::text(title), id(number)]
}

fn written(executed: Executed) -> Written {
    match executed.outcome {
        Outcome::Written(mut written, _) => written.remove(0),
        other => panic!("not written: {other:?}"),
    }
}

fn code(result: Result<Executed, Error>) -> ErrorCode {
    result.map(|executed| executed.outcome).expect_err("refused").code
}

async fn count(served: &Served) -> usize {
    let select = Select { entity: ITEM, kind: SelectKind::List(List::default()), fields: Vec::new(), nested: Vec::new() };
    match served.engine.execute(&admin(), &Operation::Read(vec![select]), &[]).await.unwrap().outcome {
        Outcome::Read(answers, _) => match &answers[0] {
            fourfold_op::Answered::Page(page) => page.items.len(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn equal_shapes_share_one_prepared_operation() {
    let served = served().await;
    let operation = write(WriteKind::Create, true, row());
    let first = served.engine.prepare(&operation).unwrap();
    assert!(Arc::ptr_eq(&first, &served.engine.prepare(&operation.clone()).unwrap()));
}

#[tokio::test]
async fn a_write_answers_with_its_row_and_its_relations() {
    let served = served().await;
    let set = vec![(person::NAME, Operand(0))];
    let create = Write { entity: PERSON, kind: WriteKind::Create, key: Some(Operand(1)), set, if_revision: None, answer: Answer::Key };
    served.engine.execute(&admin(), &Operation::Write(vec![create]), &values("Ann", 50)).await.unwrap();
    let owner = Nested { relation: item::TO_OWNER, fields: vec![person::NAME], nested: Vec::new(), list: List::default() };
    let answer = Answer::Row { fields: vec![item::TITLE], nested: vec![owner] };
    let set = vec![(item::TITLE, Operand(0)), (item::OWNER, Operand(2))];
    let create = Write { entity: ITEM, kind: WriteKind::Create, key: Some(Operand(1)), set, if_revision: None, answer: answer.clone() };
    let values = [Value::text("a"), id(1), id(50)];
    let made = written(served.engine.execute(&admin(), &Operation::Write(vec![create]), &values).await.unwrap());
    assert!(made.created && made.revision == 1);
    let Joined::One(Some(owner)) = &made.record.unwrap().nested[0] else { panic!("no owner") };
    assert_eq!(owner.row.value(person::NAME), &Value::text("Ann"));
    let delete = Write { entity: ITEM, kind: WriteKind::Delete, key: Some(Operand(0)), set: Vec::new(), if_revision: None, answer };
    let gone = written(served.engine.execute(&admin(), &Operation::Write(vec![delete]), &[id(1)]).await.unwrap());
    assert!(gone.deleted);
    assert!(matches!(gone.record.unwrap().nested[0], Joined::One(Some(_))), "a deleted row is answered as it was");
}

#[tokio::test]
async fn a_request_sent_twice_is_done_once_and_answered_alike() {
    let served = served().await;
    let who = with_key(admin(), "k");
    let create = write(WriteKind::Create, false, row());
    let first = written(served.engine.execute(&who, &create, &values("a", 0)).await.unwrap());
    // Another face: other operands, another answer.
    let other = Operation::Write(vec![Write {
        entity: ITEM,
        kind: WriteKind::Create,
        key: None,
        set: vec![(item::TITLE, Operand(1))],
        if_revision: None,
        answer: Answer::Key,
    }]);
    let again = written(served.engine.execute(&who, &other, &[Value::Null, Value::text("a")]).await.unwrap());
    assert_eq!((first.key, first.revision, first.created), (again.key, again.revision, again.created));
    assert_eq!(count(&served).await, 1);
    let replayed = written(served.engine.execute(&who, &create, &values("a", 0)).await.unwrap());
    assert_eq!(replayed.record.unwrap().row.value(item::TITLE), &Value::text("a"));
}

#[tokio::test]
async fn a_replay_meets_its_record_and_not_its_row() {
    let served = served().await;
    let who = with_key(admin(), "k");
    let create = write(WriteKind::Create, true, row());
    let delete = write(WriteKind::Delete, true, Answer::Key);
    served.engine.execute(&who, &create, &values("a", 1)).await.unwrap();
    assert!(written(served.engine.execute(&who, &create, &values("a", 1)).await.unwrap()).created, "not `already_exists`");
    served.engine.execute(&admin(), &delete, &values("", 1)).await.unwrap();
    let late = written(served.engine.execute(&who, &create, &values("a", 1)).await.unwrap());
    assert!(late.created && late.record.is_none(), "the row is gone, the answer is not");
}

#[tokio::test]
async fn a_replay_is_under_the_rules_of_the_day() {
    let served = served().await;
    let create = write(WriteKind::Create, true, row());
    served.engine.execute(&with_key(admin(), "k"), &create, &values("draft of nobody", 1)).await.unwrap();
    // The same subject without its role: it may not see the row any more.
    let again = written(served.engine.execute(&with_key(caller(0xad, &[]), "k"), &create, &values("draft of nobody", 1)).await.unwrap());
    assert!(again.record.is_none());
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_caller() {
    let served = served().await;
    let create = write(WriteKind::Create, false, row());
    let who = with_key(admin(), "k");
    served.engine.execute(&who, &create, &values("a", 0)).await.unwrap();
    assert_eq!(code(served.engine.execute(&who, &create, &values("b", 0)).await), ErrorCode::IdempotencyMismatch);
    let nobody = with_key(anonymous(), "k");
    assert_eq!(code(served.engine.execute(&nobody, &create, &values("a", 0)).await), ErrorCode::Unauthenticated);
    for (key, expect) in
        [("", ErrorCode::InvalidArgument), ("a b", ErrorCode::InvalidArgument), (&"x".repeat(256), ErrorCode::LimitExceeded)]
    {
        assert_eq!(code(served.engine.execute(&with_key(admin(), key), &create, &values("a", 0)).await), expect, "`{key}`");
    }
    assert_eq!(count(&served).await, 1);
}

#[tokio::test]
async fn a_refused_write_leaves_its_key_free() {
    let served = served().await;
    let update = write(WriteKind::Update, true, row());
    let who = with_key(admin(), "k");
    assert_eq!(code(served.engine.execute(&who, &update, &values("a", 1)).await), ErrorCode::NotFound);
    served.engine.execute(&admin(), &write(WriteKind::Create, true, row()), &values("a", 1)).await.unwrap();
    served.engine.execute(&who, &update, &values("a2", 1)).await.unwrap();
}

#[tokio::test]
async fn a_key_in_flight_is_in_progress_until_its_commit_ends() {
    let served = served().await;
    let hold = Arc::new(Notify::new());
    served.store.plant(Fault::Hold(hold.clone()));
    let who = with_key(admin(), "k");
    let create = write(WriteKind::Create, false, row());
    let first = {
        let (engine, who, create) = (served.engine.clone(), who.clone(), create.clone());
        tokio::spawn(async move { engine.execute(&who, &create, &values("a", 0)).await.map(written) })
    };
    tokio::task::yield_now().await;
    assert_eq!(code(served.engine.execute(&who, &create, &values("a", 0)).await), ErrorCode::IdempotencyInProgress);
    hold.notify_one();
    let first = first.await.unwrap().unwrap();
    assert_eq!(written(served.engine.execute(&who, &create, &values("a", 0)).await.unwrap()).key, first.key);
}

#[tokio::test]
async fn a_commit_outlives_its_caller() {
    let served = served().await;
    let hold = Arc::new(Notify::new());
    served.store.plant(Fault::Hold(hold.clone()));
    let late = Context { deadline: Deadline(Some(Instant::now() + Duration::from_millis(20))), ..admin() };
    let create = write(WriteKind::Create, false, row());
    assert_eq!(code(served.engine.execute(&late, &create, &values("a", 0)).await), ErrorCode::UnknownOutcome);
    hold.notify_one();
    let beyond = fourfold_op::Position(std::num::NonZeroU64::MIN);
    let head = tokio::time::timeout(Duration::from_secs(10), async {
        while served.store.head(None).await.position < beyond.0.get() {
            tokio::task::yield_now().await;
        }
    });
    head.await.expect("the commit came about");
    assert_eq!(count(&served).await, 1);
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_its_key() {
    let served = served().await;
    let who = with_key(admin(), "k");
    let create = write(WriteKind::Create, false, row());
    for (fault, rows) in [(Fault::LoseBefore, 0), (Fault::LoseAfter, 1)] {
        served.store.plant(fault);
        assert_eq!(code(served.engine.execute(&who, &create, &values("a", 0)).await), ErrorCode::UnknownOutcome);
        assert_eq!(count(&served).await, rows);
    }
    served.engine.execute(&who, &create, &values("a", 0)).await.unwrap();
    assert_eq!(count(&served).await, 1, "sent three times, done once");
}

#[tokio::test]
async fn faults_of_a_store_are_answered_as_they_are() {
    let served = served().await;
    served.store.plant(Fault::Refuse(Error::new(ErrorCode::StorageFull, "full")));
    let create = write(WriteKind::Create, false, row());
    assert_eq!(code(served.engine.execute(&admin(), &create, &values("a", 0)).await), ErrorCode::StorageFull);
    served.store.plant(Fault::Read(Error::new(ErrorCode::Overloaded, "busy")));
    let select = Select { entity: ITEM, kind: SelectKind::List(List::default()), fields: Vec::new(), nested: Vec::new() };
    assert_eq!(code(served.engine.execute(&admin(), &Operation::Read(vec![select]), &[]).await), ErrorCode::Overloaded);
    let past = Context { deadline: Deadline(Some(Instant::now())), ..admin() };
    assert_eq!(code(served.engine.execute(&past, &create, &values("a", 0)).await), ErrorCode::DeadlineExceeded);
    assert_eq!(count(&served).await, 0);
}

#[tokio::test]
async fn ingested_rows_stand_alone() {
    let served = served().await;
    let title = |text: &str| vec![(item::TITLE, Value::text(text))];
    let rows = vec![
        IngestRow { key: None, set: title("a") },
        IngestRow { key: Some(id(1)), set: title("b") },
        IngestRow { key: Some(id(1)), set: title("again") },
        IngestRow { key: None, set: vec![(item::TITLE, Value::Int(1))] },
        IngestRow { key: None, set: Vec::new() },
        IngestRow { key: None, set: title("c") },
    ];
    let answers = served.engine.ingest(&admin(), ITEM, WriteKind::Create, rows).await.unwrap();
    let codes: Vec<Option<ErrorCode>> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.code)).collect();
    let invalid = Some(ErrorCode::InvalidArgument);
    assert_eq!(codes, [None, None, Some(ErrorCode::AlreadyExists), invalid, invalid, None]);
    assert_eq!(count(&served).await, 3);
    let many = vec![IngestRow::default(); INGEST_ROWS_MAX + 1];
    let error = served.engine.ingest(&admin(), ITEM, WriteKind::Create, many).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}

#[tokio::test]
async fn large_ingests_are_several_commits() {
    let served = served().await;
    let large = || IngestRow { key: None, set: vec![(item::TITLE, Value::text("t")), (item::NOTE, Value::text("x".repeat(60_000)))] };
    let answers = served.engine.ingest(&admin(), ITEM, WriteKind::Create, (0..100).map(|_| large()).collect()).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "6 MB go in, though one commit holds 4 MiB");
    let small = (0..INGEST_ROWS_MAX).map(|_| IngestRow { key: None, set: vec![(item::TITLE, Value::text("t"))] });
    let answers = served.engine.ingest(&admin(), ITEM, WriteKind::Create, small.collect()).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "4,000 rows go in, though one commit holds 1,000");
}
