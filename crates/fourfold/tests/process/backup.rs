//! `backup` and `restore`: a whole copy of one moment under a write load, and back under a new name of the log.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::binary::{Folder, Server, http, run};
use crate::commands::SHOP;

fn locked() -> Folder {
    let folder = Folder::with(&[("shop.fourfold", &SHOP.replace("\"admin\" in caller.roles", "true"))]);
    run(&folder, &["check", "--write"]).ended(0);
    folder
}

fn add(server: &Server, id: &str) {
    let product = format!(r#"{{"id": "{id}", "title": "a product"}}"#);
    assert_eq!(server.post("/v1/products", &[], &product).status, 201);
}

/// Rows, and the cursor of their list.
fn state(server: &Server) -> (u64, String) {
    let list = server.get("/v1/products?page_size=1&with_total=true").json();
    (list["total"].as_u64().unwrap(), list["cursor"].as_str().unwrap().to_owned())
}

fn ended(mut server: Server) {
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_backup_under_a_write_load_is_of_one_moment() {
    let folder = locked();
    let server = Server::start(&folder, &["serve"]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || {
                (0..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|n: u32| add(server, &format!("{writer}-{n}")))
            });
        }
        server.until_true("some rows", |server| state(server).0 > 20);
        for copy in ["one.db", "two.db", "three.db"] {
            run(&folder, &["backup", copy]).ended(0).says(&format!("wrote `{copy}`"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(folder.0.join("one.db")).unwrap());
    assert_eq!(mode & 0o077, 0, "a copy is for its owner alone");
    run(&folder, &["backup", "one.db"]).ended(1).says("`one.db` exists already; it is left as it is");
    ended(server);
    let other = locked();
    let mut before = 20;
    for copy in ["one.db", "two.db", "three.db"] {
        run(&other, &["restore", folder.0.join(copy).to_str().unwrap()]).ended(0);
        let restored = Server::start(&other, &["serve"]);
        let (rows, cursor) = state(&restored);
        let position: u64 = cursor.split_once('.').unwrap().1.parse().unwrap();
        assert_eq!(rows, position, "each row is there with its event");
        assert!(rows > before, "{rows} rows after {before}");
        before = rows;
        ended(restored);
    }
}

#[test]
fn a_restored_store_is_that_of_the_backup_and_old_cursors_have_expired() {
    let folder = locked();
    let server = Server::start(&folder, &["serve"]);
    add(&server, "1");
    run(&folder, &["backup", "copy.db"]).ended(0);
    add(&server, "2");
    let (_, later) = state(&server);
    run(&folder, &["restore", "copy.db"]).ended(4).says("another process has the data");
    assert_eq!(state(&server), (2, later.clone()), "it serves on");
    // Not even a clean end: what the write-ahead log has must be kept aside too.
    server.kill();
    run(&folder, &["restore", "copy.db"])
        .ended(0)
        .says("kept as `./.fourfold/data.db.before-restore-1`")
        .says("cursors of before have expired");
    let server = Server::start(&folder, &["serve"]);
    let (rows, cursor) = state(&server);
    assert_eq!(rows, 1);
    let (old, new) = (later.split_once('.').unwrap(), cursor.split_once('.').unwrap());
    assert_ne!(old.0, new.0);
    let resume = |cursor: &str| {
        let headers = [("accept", "text/event-stream"), ("last-event-id", cursor)];
        http(server.address, "HEAD", "/v1/products", &headers, b"").unwrap().status
    };
    assert_eq!((resume(&cursor), resume(&later), resume(&format!("{}.1", old.0))), (200, 410, 410));
    // The same copy again, so another log again; and what was aside can come back.
    ended(server);
    run(&folder, &["restore", ".fourfold/data.db.before-restore-1"]).ended(0).says("data.db.before-restore-2");
    let server = Server::start(&folder, &["serve"]);
    let (rows, again) = state(&server);
    assert_eq!(rows, 2);
    assert!(!again.starts_with(new.0) && !again.starts_with(old.0), "{again}");
}

#[test]
fn what_is_no_good_copy_leaves_everything_as_it_was() {
    let folder = locked();
    let server = Server::start(&folder, &["serve"]);
    (0..300).for_each(|n| add(&server, &n.to_string()));
    run(&folder, &["backup", "copy.db"]).ended(0);
    run(&folder, &["backup", "nowhere/copy.db"]).ended(4).says("`nowhere/copy.db.part` cannot be written");
    ended(server);
    let mut bytes = std::fs::read(folder.0.join("copy.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xa5);
    std::fs::write(folder.0.join("damaged.db"), &bytes).unwrap();
    folder.write("text.db", &"no database ".repeat(1_000));
    let before = folder.contents();
    for (copy, why) in [("damaged.db", "is damaged"), ("text.db", "is no database of Fourfold"), ("none.db", "is no database of Fourfold")]
    {
        run(&folder, &["restore", copy]).ended(4).says(&format!("`{copy}` {why}"));
        assert!(folder.contents() == before, "{copy}");
    }
    assert_eq!(state(&Server::start(&folder, &["serve"])).0, 300);
}
