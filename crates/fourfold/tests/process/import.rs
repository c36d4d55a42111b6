//! Importing Chinook: everything arrives, and a second run changes nothing.

use std::path::Path;

use crate::binary::{Folder, Server, run};

fn chinook() -> String {
    format!("sqlite:{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/chinook/chinook.sqlite").display())
}

#[test]
fn chinook_arrives_whole_and_a_second_run_changes_nothing() {
    let folder = Folder::new();
    let first = run(&folder, &["import", &chinook(), "--out", "music"]).ended(0).says("11 tables, 15607 rows");
    assert_eq!(first.out.lines().filter(|line| line.trim_end().ends_with(" equal")).count(), 11, "{}", first.out);
    println!("{}", first.out.lines().find(|line| line.contains("15607 rows in")).unwrap());
    run(&folder, &["check", "music"]).ended(0);
    run(&folder, &["fmt", "--check", "music"]).ended(0);

    let before = folder.contents();
    let second = run(&folder, &["import", &chinook(), "--out", "music"]).ended(0);
    second.says("`music/chinook.fourfold` exists; nothing was changed").says("its rows are in `music/.fourfold`");
    assert!(folder.contents() == before, "a byte has changed");

    let server = Server::start(&folder, &["serve", "music"]);
    assert_eq!(server.get("/v1/tracks/1").status, 404, "rows are for admins until someone widens the rule");
}

#[test]
fn a_database_that_cannot_be_read_leaves_nothing_behind() {
    let folder = Folder::with(&[("text.db", "this is no database, and it is long enough to be one: ")]);
    run(&folder, &["import", "sqlite:text.db", "--out", "new"]).ended(2).says("`text.db`");
    assert_eq!(folder.contents().len(), 1);
}
