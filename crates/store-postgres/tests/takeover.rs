//! Whoever numbers commits falls silent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fourfold_store::conformance::World;
use fourfold_store::conformance::world::admin;
use fourfold_store_postgres::limits::{FOLLOWER_WAIT, LEADER_SILENT_MAX, LEADER_WAIT};
use fourfold_store_postgres::testing::{self, Server};
use fourfold_store_postgres::testing::{LEADERS, name_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

mod cluster;

use cluster::{node, rest, retitle};

/// Waits for a session that numbers, and is none of the given one's; its process.
fn leader(server: &Server, name: &str, not: &str) -> String {
    loop {
        let pid = server.execute(name, LEADERS).trim().to_owned();
        if !pid.is_empty() && pid != not {
            return pid;
        }
    }
}

/// A network between a node and the database, which can fall silent: it then keeps what is sent through it, both ways, and ends nothing.
struct Network {
    silent: watch::Sender<bool>,
    /// Pieces that a node sent into the silence.
    kept: Arc<AtomicU64>,
    url: String,
}

impl Network {
    async fn to(url: &str) -> Network {
        let server: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Network {
            silent: watch::Sender::new(false),
            kept: Arc::default(),
            url: url.replace(&format!(":{server}/"), &format!(":{port}/")),
        };
        let (silent, kept) = (network.silent.subscribe(), network.kept.clone());
        tokio::spawn(async move {
            loop {
                let (node, _) = listener.accept().await.unwrap();
                let (from_node, to_node) = node.into_split();
                let (from_server, to_server) = TcpStream::connect(("127.0.0.1", server)).await.unwrap().into_split();
                tokio::spawn(pass(from_node, to_server, silent.clone(), kept.clone()));
                tokio::spawn(pass(from_server, to_node, silent.clone(), Arc::default()));
            }
        });
        network
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>, kept: Arc<AtomicU64>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if *silent.borrow() {
            kept.fetch_add(1, Ordering::Relaxed);
        }
        if silent.wait_for(|silent| !*silent).await.is_err() || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    // An end is not told before the silence is over, either.
    let _ = silent.wait_for(|silent| !*silent).await;
}

/// Commits at a node; how long until the log has it.
async fn numbered_after(world: &World, title: String, beyond: u64) -> Duration {
    world.one(&admin(), retitle(1, title)).await;
    let begun = Instant::now();
    world.store.head(Some(beyond)).await;
    begun.elapsed()
}

/// The node that numbers is cut off in the middle, with a statement on its way; neither it nor the server is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_falls_silent_is_followed_and_its_late_statement_is_refused() {
    let Some(server) = testing::server() else { return };
    let url = server.database();
    let name = name_of(&url);
    let network = Network::to(&url).await;
    let far = node(&network.url, None).await;
    far.item(1, "0", vec![]).await;
    let before = leader(server, &name, "");
    let near = node(&url, Some(&far)).await;
    let start = near.start().await;
    let head = near.store.head(None).await.position;
    network.silent.send_replace(true);
    let most = LEADER_SILENT_MAX + LEADER_WAIT + FOLLOWER_WAIT + Duration::from_secs(2);
    let took = tokio::time::timeout(most, numbered_after(&near, "1".into(), head)).await.expect("nobody followed the silent leader");
    let after = leader(server, &name, &before);
    assert!(took > LEADER_SILENT_MAX / 2, "the leader was given up after {took:?}");
    let late = network.kept.load(Ordering::Relaxed);
    assert!(late > 0, "the leader said nothing that could be refused");
    network.silent.send_replace(false);
    // The late statement arrives now; the session that it was for is no more, and the node comes back with another.
    for number in 2..20 {
        let world = if number % 2 == 0 { &far } else { &near };
        while world.try_one(&admin(), retitle(1, number.to_string())).await.is_err() {}
    }
    let events = rest(near.store.as_ref(), start.clone()).await;
    let told: Vec<_> = events.iter().map(|event| (event.position.0.get(), event.revision)).collect();
    assert_eq!(told, (1..=20).map(|number| (number, number)).collect::<Vec<_>>(), "each position once, each version once");
    far.store.head(Some(19)).await;
    assert_eq!(rest(far.store.as_ref(), start).await.len(), 20, "the node that was cut off goes on");
    let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({before}, {after})");
    assert_eq!(server.execute(&name, &there).trim(), "1", "of the two sessions, the one that followed is there");
    println!("followed after {took:?}; {late} late pieces refused");
}
