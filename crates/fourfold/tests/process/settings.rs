//! Settings: where they come from, what `config` shows, and what is refused.

use crate::binary::{Folder, command, ended, run};
use crate::commands::SHOP;

#[test]
fn every_setting_is_printed_with_its_value_source_unit_and_meaning() {
    let folder = Folder::with(&[("shop.fourfold", SHOP), ("fourfold.toml", "[limits]\npage_size_max = 500\n")]);
    let mut config = command(&folder.0, &["config", "--listen", "127.0.0.1:1234"]);
    let ran = ended(config.env("FOURFOLD_LOG_FORMAT", "json")).ended(0);
    let line = |name: &str| {
        let found = ran.out.lines().find(|line| line.split_whitespace().next() == Some(name));
        found.unwrap_or_else(|| panic!("no {name}: {}", ran.out)).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("setting").ends_with("value source unit meaning"));
    assert!(line("server.listen").starts_with("server.listen 127.0.0.1:1234 --listen"));
    assert!(line("log.format").starts_with("log.format json FOURFOLD_LOG_FORMAT"));
    assert_eq!(line("limits.page_size_max"), "limits.page_size_max 500 fourfold.toml rows the largest page; more is taken as this");
    assert!(line("limits.filter_terms_max").starts_with("limits.filter_terms_max 20 default terms"));
    let page = run(&folder, &["config", "--markdown"]).ended(0).out;
    let page = page.split("## `[[sink]]`").next().unwrap();
    let settings = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(ran.out.lines().count(), settings + 1, "each setting of the page has a line");
}

#[test]
fn a_secret_is_never_printed() {
    let folder = Folder::with(&[("shop.fourfold", SHOP), ("secret", "a secret of more than 32 bytes, for HS256")]);
    folder.write("fourfold.toml", "[auth]\nhs256_secret_file = \"secret\"\nissuer = \"me\"\naudience = \"you\"\n");
    let ran = run(&folder, &["config"]).ended(0).says("hs256_secret_file");
    assert!(!ran.out.contains("a secret of"), "{}", ran.out);
    for url in ["postgres://someone:hunter2@db.example/shop", "mysql://someone:hunter2@db.example/shop"] {
        for args in [["config"], ["serve"]] {
            let mut asked = command(&folder.0, &args);
            let ran = ended(asked.env("FOURFOLD_STORE_URL", url));
            assert!(!format!("{ran:?}").contains("hunter2"), "{args:?} {ran:?}");
        }
    }
}

#[test]
fn an_unknown_setting_is_an_error_with_a_suggestion() {
    let folder = Folder::with(&[
        ("shop.fourfold", SHOP),
        ("fourfold.toml", "[server]\nlissten = \"127.0.0.1:1\"\n[limits]\npage_size_max = \"many\"\n"),
    ]);
    for command in ["serve", "dev", "config"] {
        // A lock that is in step, so that the settings are what is wrong.
        run(&folder, &["check", "--write"]).ended(0);
        let ran = run(&folder, &[command]).ended(2);
        ran.says("unknown setting `server.lissten`; did you mean `server.listen`?").says("`limits.page_size_max` must be a whole number");
    }
    folder.write("fourfold.toml", "");
    let mut serve = command(&folder.0, &["serve"]);
    let ran = ended(serve.env("FOURFOLD_SERVER_LISTE", "127.0.0.1:1")).ended(2);
    ran.says("`FOURFOLD_SERVER_LISTE`, which is no setting; did you mean `FOURFOLD_SERVER_LISTEN`?");
}

#[test]
fn a_sink_is_printed_and_what_is_wrong_with_it_is_said() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check", "--write"]).ended(0);
    let sink = |more: &str| {
        folder.write("fourfold.toml", &format!("[[sink]]\nname = \"events\"\nkind = \"kafka\"\nbrokers = [\"127.0.0.1:1\"]\n{more}"));
    };
    sink("entities = [\"Product\"]\n");
    let ran = run(&folder, &["config"]).ended(0);
    let line = |name: &str| {
        ran.out.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name}: {}", ran.out)).to_owned()
    };
    assert!(line("sink.events.entities ").contains("Product"));
    assert!(line("sink.events.entities ").contains("fourfold.toml"));
    assert!(line("sink.events.save_every ").contains("default"));
    for command in ["serve", "dev"] {
        sink("entities = [\"Produkt\"]\n");
        run(&folder, &[command]).ended(2).says("the sink `events`: the model has no entity `Produkt`; did you mean `Product`?");
        sink("filter = \"nothing == 1\"\nentities = [\"Product\"]\n");
        run(&folder, &[command]).ended(2).says("its filter does not fit `Product`");
        sink("brokrs = [\"x\"]\n");
        run(&folder, &[command]).ended(2).says("unknown setting `brokrs` of a `[[sink]]`; did you mean `brokers`?");
        if cfg!(not(feature = "kafka")) {
            sink("");
            run(&folder, &[command]).ended(2).says("this build of Fourfold has no Kafka; build it with `--features kafka`");
        }
    }
}

#[test]
fn a_source_is_printed_and_what_is_wrong_with_it_is_said() {
    let folder = Folder::with(&[("shop.fourfold", SHOP)]);
    run(&folder, &["check", "--write"]).ended(0);
    let source = |entity: &str, more: &str| {
        let text = format!(
            "[[source]]\nname = \"in\"\nkind = \"kafka\"\ntopic = \"in\"\nbrokers = [\"127.0.0.1:1\"]\nentity = \"{entity}\"\n{more}"
        );
        folder.write("fourfold.toml", &text);
    };
    source("Product", "mode = \"merge\"\n");
    let ran = run(&folder, &["config"]).ended(0);
    let line = |name: &str| {
        ran.out.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name}: {}", ran.out)).to_owned()
    };
    assert!(line("source.in.mode ").contains("merge") && line("source.in.mode ").contains("fourfold.toml"));
    assert!(line("source.in.batch_rows_max ").contains("500") && line("source.in.batch_rows_max ").contains("default"));
    for command in ["serve", "dev"] {
        source("Produkt", "");
        run(&folder, &[command]).ended(2).says("the source `in`: the model has no entity `Produkt`; did you mean `Product`?");
        source("Product", "mod = \"merge\"\n");
        run(&folder, &[command]).ended(2).says("unknown setting `mod` of a `[[source]]`; did you mean `mode`?");
        if cfg!(not(feature = "kafka")) {
            source("Product", "");
            run(&folder, &[command]).ended(2).says("this build of Fourfold has no Kafka; build it with `--features kafka`");
        }
    }
}
