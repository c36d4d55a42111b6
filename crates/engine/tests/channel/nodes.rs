//! Several nodes over one store: what is said beside the log reaches all of them, and one that is gone takes its own with it.

use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::channel::PresenceStats;
use fourfold_engine::channel::nodes::{ALIVE_EVERY, NODE_LEASE};
use fourfold_engine::{ChannelEnd, Closing, End};
use fourfold_model::Value;
use fourfold_op::{Error, ErrorCode};
use fourfold_store::conformance::world::id;
use fourfold_store::{Bus, MemoryBus};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::world::*;

/// A node's way to the bus, which does what a test says.
struct Way {
    bus: Arc<MemoryBus>,
    does: Mutex<Does>,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Carry,
    /// What is sent is lost, in silence.
    Lose,
    /// It comes twice.
    Double,
    /// There is no room.
    Refuse,
}

impl Way {
    fn to(bus: &Arc<MemoryBus>) -> Arc<Way> {
        Arc::new(Way { bus: bus.clone(), does: Mutex::new(Does::Carry) })
    }

    fn does(&self, does: Does) {
        *self.does.lock() = does;
    }
}

impl Bus for Way {
    fn send(&self, text: String) -> Result<(), Error> {
        let does = *self.does.lock();
        match does {
            Does::Carry => self.bus.send(text),
            Does::Lose => Ok(()),
            Does::Double => self.bus.send(text.clone()).and_then(|()| self.bus.send(text)),
            Does::Refuse => Err(Error::new(ErrorCode::Overloaded, "no room")),
        }
    }

    fn hear(&self) -> mpsc::Receiver<Arc<str>> {
        self.bus.hear()
    }
}

/// Two nodes over one store, each with its way to the bus.
async fn two() -> [(World, Arc<Way>); 2] {
    let (world, bus) = (World::with_rooms().await, MemoryBus::new());
    [(), ()].map(|()| {
        let way = Way::to(&bus);
        (world.node(way.clone()), way)
    })
}

async fn names(world: &World) -> Vec<String> {
    let present = world.channel(&user(1), "chat", id(1)).presence().await.unwrap();
    present.iter().map(|present| named(present)).collect()
}

async fn until_present(world: &World, expected: &[&str]) {
    let begun = Instant::now();
    while names(world).await != expected {
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", names(world).await);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn presence_signals_and_publications_cross_nodes_and_each_is_told_once() {
    let [(one, _), (two, _)] = two().await;
    let mut hers = one.chat(&user(1), &present("a", "phone")).await;
    assert_eq!(told(&one, &mut hers, 1).await, ["joined a phone"]);
    let mut his = two.chat(&user(2), &present("b", "desk")).await;
    assert_eq!(told(&one, &mut hers, 1).await, ["joined b desk"]);
    two.channel(&user(2), "chat", id(1)).signal("b", "typing").unwrap();
    assert_eq!(told(&one, &mut hers, 1).await, ["typing of b"]);
    until_present(&one, &["a phone", "b desk"]).await;
    until_present(&two, &["a phone", "b desk"]).await;
    let stats = two.channel(&user(1), "chat", id(1)).presence_stats().await.unwrap();
    assert_eq!(stats, PresenceStats { clients: 2, users: 2 });
    let mut boards = [one.board(&user(1), &join("c")).await, two.board(&user(2), &join("d")).await];
    one.write_on("b", "{ \"a\": 1 }").await.unwrap();
    two.write_on("b", "2").await.unwrap();
    for board in &mut boards {
        let mut all = told(&one, board, 2).await;
        all.sort_unstable();
        assert_eq!(all.iter().map(|told| told.split_once(' ').unwrap().1).collect::<Vec<_>>().len(), 2);
        assert!(all.iter().any(|told| told.ends_with("{ \"a\": 1 }")) && all.iter().any(|told| told.ends_with(" 2")), "{all:?}");
        assert!(is_quiet(board).await);
    }
    drop(his.next().await);
    drop(his);
    assert_eq!(told(&one, &mut hers, 1).await, ["left b"]);
    until_present(&two, &["a phone"]).await;
    assert!(is_quiet(&mut hers).await);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_begins_later_learns_who_is_present() {
    let (world, bus) = (World::with_rooms().await, MemoryBus::new());
    let one = world.node(bus.clone());
    let _hers = one.chat(&user(1), &present("a", "phone")).await;
    sleep(Duration::from_secs(30)).await;
    let two = world.node(bus.clone());
    let begun = Instant::now();
    until_present(&two, &["a phone"]).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_was_present_by_a_node_that_died_is_gone_when_its_lease_ends() {
    let [(one, _), (two, way)] = two().await;
    let mut hers = one.chat(&user(1), &present("a", "phone")).await;
    let mut his = two.chat(&user(2), &present("b", "desk")).await;
    assert_eq!(told(&one, &mut hers, 2).await, ["joined a phone", "joined b desk"]);
    sleep(2 * NODE_LEASE).await;
    // Somebody drives it, as a connection does: presence is said again.
    while tokio::time::timeout(Duration::from_millis(1), his.next()).await.is_ok() {}
    assert_eq!(names(&one).await, ["a phone", "b desk"], "it lives");
    way.does(Does::Lose);
    let begun = Instant::now();
    assert_eq!(told(&one, &mut hers, 1).await, ["left b"]);
    let took = begun.elapsed();
    assert!(NODE_LEASE - ALIVE_EVERY <= took && took <= NODE_LEASE + Duration::from_secs(1), "{took:?}");
    assert_eq!(names(&one).await, ["a phone"]);
    // It was only cut off, and comes back: so do those of it.
    way.does(Does::Carry);
    assert_eq!(told(&one, &mut hers, 1).await, ["joined b desk"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_in_order_takes_leave_at_once() {
    let [(one, _), (two, _)] = two().await;
    let mut hers = one.chat(&user(1), &present("a", "phone")).await;
    let his = two.chat(&user(2), &present("b", "desk")).await;
    assert_eq!(told(&one, &mut hers, 2).await, ["joined a phone", "joined b desk"]);
    let begun = Instant::now();
    two.engine.close_watches(Closing::Drain);
    assert_eq!(told(&one, &mut hers, 1).await, ["left b"]);
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(his);
    assert!(is_quiet(&mut hers).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_not_missed_in_silence() {
    let [(one, _), (two, way)] = two().await;
    let mut board = one.board(&user(1), &join("c")).await;
    let mut chat = one.chat(&user(1), &present("a", "phone")).await;
    two.write_on("b", "1").await.unwrap();
    assert_eq!(told(&one, &mut board, 1).await, ["#1 1"]);
    way.does(Does::Lose);
    two.write_on("b", "2").await.unwrap();
    let _his = two.chat(&user(2), &present("b", "desk")).await;
    way.does(Does::Carry);
    let before = board.cursor().clone();
    let ChannelEnd::Ended(End::Reset(_)) = end(&mut board).await else { panic!("it begins anew") };
    let mut again = one.board(&user(1), &join_after("c", &before)).await;
    assert_eq!(again.recovered(), Some(false));
    two.write_on("b", "3").await.unwrap();
    assert_eq!(told(&one, &mut again, 1).await, ["#1 3"]);
    // What streams goes on, and who came meanwhile is asked for.
    assert_eq!(told(&one, &mut chat, 2).await, ["joined a phone", "joined b desk"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_twice_is_told_once() {
    let [(one, _), (two, way)] = two().await;
    way.does(Does::Double);
    let mut board = one.board(&user(1), &join("c")).await;
    let mut chat = one.chat(&user(1), &present("a", "phone")).await;
    two.write_on("b", "1").await.unwrap();
    two.write_on("b", "2").await.unwrap();
    drop(two.chat(&user(2), &present("b", "desk")).await);
    assert_eq!(told(&one, &mut board, 2).await, ["#1 1", "#2 2"]);
    assert_eq!(told(&one, &mut chat, 3).await, ["joined a phone", "joined b desk", "left b"]);
    assert!(is_quiet(&mut board).await && is_quiet(&mut chat).await);
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_cannot_be_sent_is_refused_and_heard_nowhere() {
    let [(one, _), (two, way)] = two().await;
    let mut boards = [one.board(&user(1), &join("c")).await, two.board(&user(2), &join("d")).await];
    way.does(Does::Refuse);
    assert_eq!(two.write_on("b", "1").await.unwrap_err().code, ErrorCode::Overloaded);
    // Presence is said again later.
    let _his = two.chat(&user(2), &present("b", "desk")).await;
    assert_eq!(names(&two).await, ["b desk"]);
    way.does(Does::Carry);
    two.write_on("b", "2").await.unwrap();
    for board in &mut boards {
        assert_eq!(told(&one, board, 1).await, ["#1 2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn history_of_what_other_nodes_published_is_kept() {
    let [(one, _), (two, _)] = two().await;
    two.write_on("b", "1").await.unwrap();
    let page = fourfold_engine::channel::HistoryPage { limit: 10, reverse: false, since: None };
    let begun = Instant::now();
    while one.past("board", Value::text("b"), &page).await != ["#1 1"] {
        assert!(begun.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(10)).await;
    }
}
