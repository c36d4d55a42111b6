//! Single writes that come together: one transaction, in which each is as it would be alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;

use fourfold_model::{KEY, Value};
use fourfold_op::{Context, Error, ErrorCode};
use fourfold_store::conformance::World;
use fourfold_store::conformance::fixture::{ENTRY, PERSON, item, person};
use fourfold_store::conformance::world::{Ask, admin, anonymous, caller, create, id, update};
use fourfold_store::{CommitError, SettledStep};
use futures_util::future::join_all;

mod cluster;

use cluster::{END_THE_FIRST_COMMIT, held, nodes, rest, retitle};

/// The text of an entry.
const TEXT: fourfold_model::FieldId = fourfold_model::FieldId(2);

fn named(number: u16, email: &str) -> Ask {
    create(PERSON, Some(id(number)), vec![(person::NAME, Value::text("x")), (person::EMAIL, Value::text(email))])
}

fn entry(text: &str) -> Ask {
    create(ENTRY, None, vec![(TEXT, Value::text(text))])
}

/// All at once, on one thread: whoever comes before the first group begins is of it.
async fn at_once(world: &World, asks: Vec<(Context, Ask)>) -> Vec<Result<SettledStep, Error>> {
    join_all(asks.into_iter().map(|(who, ask)| {
        let world = world.clone();
        async move { world.try_one(&who, ask).await }
    }))
    .await
}

fn number(step: &SettledStep) -> i64 {
    match step.key {
        Value::Int(number) => number,
        ref other => panic!("the key of an entry is {other:?}"),
    }
}

#[tokio::test]
async fn each_is_a_commit_of_its_own_in_one_transaction() {
    let Some((worlds, server, name)) = nodes(1).await else { return };
    let world = &worlds[0];
    for number in 1..=10 {
        world.item(number, "0", vec![]).await;
    }
    let start = world.store.head(None).await;
    let mut asks = Vec::new();
    for at in 1..=20_u16 {
        asks.push((caller(1, &[]), named(at, &format!("{at}@a"))));
        asks.push((admin(), entry("hello")));
        if at <= 10 {
            asks.push((admin(), retitle(at, "new".into())));
        }
    }
    let count = asks.len();
    let steps: Vec<SettledStep> = at_once(world, asks).await.into_iter().collect::<Result<_, _>>().unwrap();
    let after = fourfold_op::Cursor { epoch: start.epoch, after: start.position, skip: None };
    let events = rest(world.store.as_ref(), after).await;
    assert_eq!(events.len(), count);
    assert_eq!(events.iter().map(|event| event.position).collect::<HashSet<_>>().len(), count, "each has a position of its own");
    let answered: HashSet<_> = steps.iter().map(|step| (step.entity, step.key.clone(), step.revision)).collect();
    assert_eq!(events.iter().map(|event| (event.entity, event.key.clone(), event.revision)).collect::<HashSet<_>>(), answered);
    let entries: Vec<_> = events.iter().filter(|event| event.entity == ENTRY).map(|event| event.key.clone()).collect();
    assert_eq!(entries, (1..=20).map(Value::Int).collect::<Vec<_>>(), "numbers come in the order of commits");
    let transactions = format!("SELECT count(*), count(DISTINCT xid) FROM fourfold_log WHERE position > {}", start.position);
    let told = server.execute(&name, &transactions);
    let (commits, transactions) = told.trim().split_once('|').unwrap();
    assert_eq!(commits, count.to_string());
    assert!(transactions.parse::<usize>().unwrap() < count / 4, "{told}");
    let groups = rest(world.store.as_ref(), world.start().await).await;
    assert_eq!(groups.iter().filter(|event| event.by.as_ref() == "issuer#subject").count(), groups.len());
}

#[tokio::test]
async fn who_is_refused_takes_nobody_along_and_no_number() {
    let Some((worlds, ..)) = nodes(1).await else { return };
    let world = &worlds[0];
    world.item(1, "0", vec![]).await;
    world.one(&admin(), named(1, "taken@a")).await;
    let mut asks = Vec::new();
    let mut expected = Vec::new();
    for round in 0..10_u16 {
        let key = 100 + round * 10;
        for (who, ask, code) in [
            (admin(), entry("good"), None),
            (admin(), named(key, &format!("{key}@a")), None),
            (admin(), named(key, &format!("{key}@b")), Some(ErrorCode::AlreadyExists)),
            (admin(), named(key + 1, "taken@a"), Some(ErrorCode::AlreadyExists)),
            (admin(), named(key + 2, "of-one@a"), None),
            (admin(), entry("wrong!"), Some(ErrorCode::InvalidArgument)),
            (anonymous(), retitle(1, "mine".into()), Some(ErrorCode::NotFound)),
            (admin(), retitle(9, "of none".into()), Some(ErrorCode::NotFound)),
            (admin(), Ask { if_revision: Some(9), ..retitle(1, "late".into()) }, Some(ErrorCode::RevisionMismatch)),
            (admin(), update(PERSON, id(1), vec![(person::EMAIL, Value::text("taken@a"))]), None),
        ] {
            asks.push((who, ask));
            expected.push(code);
        }
    }
    let done = at_once(world, asks).await;
    let (mut numbers, mut of_one) = (Vec::new(), 0);
    for (at, (done, code)) in done.into_iter().zip(expected).enumerate() {
        let at = at % 10;
        match done {
            Ok(step) if step.entity == ENTRY => numbers.push(number(&step)),
            Ok(_) if at == 4 => of_one += 1,
            // Of two with the same key either may come first.
            Ok(_) => assert!(code.is_none() || at == 2, "{at}: done"),
            Err(error) if at == 1 || at == 4 => assert_eq!(error.code, ErrorCode::AlreadyExists, "{at}: {error}"),
            Err(error) => assert_eq!(Some(error.code), code, "{at}: {error}"),
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>(), "no number is lost");
    assert_eq!(of_one, 1, "of those who want one address, one has it");
    let people = world.page(&admin(), PERSON, fourfold_store::conformance::world::list(None), Vec::new(), &[]).await.0;
    assert_eq!(people.items.len(), 12);
    assert!(people.items.iter().all(|one| !one.row.value(KEY).is_null()));
}

/// What is refused when its number is there already: the next has it.
#[tokio::test]
async fn a_number_of_one_who_is_refused_late_is_not_lost() {
    let Some((mut worlds, ..)) = nodes(1).await else { return };
    let world = &mut worlds[0];
    world.limits.commit_bytes_max = 30;
    let texts = (0..20).map(|at| if at % 3 == 0 { "long".repeat(10) } else { "short".to_owned() });
    let done = at_once(world, texts.map(|text| (admin(), entry(&text))).collect()).await;
    let (mut numbers, mut refused) = (Vec::new(), 0);
    for done in done {
        match done {
            Ok(step) => numbers.push(number(&step)),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::LimitExceeded, "{error}");
                refused += 1;
            }
        }
    }
    numbers.sort_unstable();
    assert_eq!((numbers, refused), ((1..=13).collect(), 7));
}

/// Somebody beside the store keeps a row locked: only who wants that row waits.
#[tokio::test]
async fn a_row_that_another_holds_keeps_only_its_own_writer_waiting() {
    let Some((worlds, server, name)) = nodes(1).await else { return };
    let world = &worlds[0];
    for number in 1..=20 {
        world.item(number, "0", vec![]).await;
    }
    let lock = "SELECT FROM item WHERE id = '00000000-0000-0000-0000-000000000001' FOR UPDATE";
    let holder = held(server, &name, lock, 4);
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { world.one(&admin(), retitle(1, "held".into())).await })
    };
    for round in 0..3 {
        let asks = (2..=20).map(|number| (admin(), retitle(number, format!("{round}")))).collect();
        for done in at_once(world, asks).await {
            done.unwrap();
        }
    }
    assert!(!holder.is_finished(), "the others waited, too");
    assert!(!waiting.is_finished(), "the row was not locked");
    holder.await.unwrap();
    assert_eq!(waiting.await.unwrap().revision, 2);
}

/// The server ends a session within its first COMMIT: no member knows then, and none is told as failed.
#[tokio::test]
async fn a_connection_lost_at_the_commit_leaves_all_members_without_an_outcome() {
    let Some((worlds, server, name)) = nodes(1).await else { return };
    server.execute(&name, END_THE_FIRST_COMMIT);
    let commits = (1..=10).map(|number| {
        let world = worlds[0].clone();
        async move { world.commit_with(&admin(), vec![named(number, &format!("{number}@a"))], false, Vec::new()).await }
    });
    for lost in join_all(commits).await {
        assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
    }
    server.execute(&name, "DROP TRIGGER end_me ON fourfold_outbox");
    worlds[0].item(1, "x", vec![(item::COUNT, Value::Int(1))]).await;
    assert_eq!(rest(worlds[0].store.as_ref(), worlds[0].start().await).await.len(), 1);
}
