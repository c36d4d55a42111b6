#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn read_text(name: &str, text: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Texts, ConfigError> {
    let folder = std::env::temp_dir().join(format!("fourfold-config-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("fourfold.toml"), text).unwrap();
    let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    read(&folder, None, environment, flags).map(|read| read.texts)
}

fn errors(name: &str, text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    read_text(name, text, environment, Vec::new()).unwrap_err().0
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\norigins = [\"https://a\", \"https://b\"]\n[limits]\npage_size_max = 7";
    let environment = [("FOURFOLD_SERVER_LISTEN", "127.0.0.1:3"), ("FOURFOLD_LOG_FORMAT", "json"), ("PATH", "x")];
    let texts = read_text("order", text, &environment, vec![("server.listen", "--listen", "127.0.0.1:0".into())]).unwrap();
    assert_eq!(texts.text("server.listen"), ("127.0.0.1:0", Source::Flag("--listen")));
    assert_eq!(texts.text("server.admin_listen"), ("127.0.0.1:2", Source::File));
    assert_eq!(texts.text("log.format").1, Source::Environment("FOURFOLD_LOG_FORMAT".into()));
    let config = Config::new(&texts).unwrap();
    assert_eq!((config.limits.page_size_max, config.log, config.origins.len()), (7, LogFormat::Json, 2));
    assert_eq!(config.store, StoreUrl::Sqlite(texts.folder.join(".fourfold/data.db")));
}

#[test]
fn defaults_are_the_limits_of_the_code() {
    let config = Config::new(&read_text("defaults", "", &[], Vec::new()).unwrap()).unwrap();
    assert_eq!(format!("{:?}", config.limits), format!("{:?}", fourfold_op::Limits::default()));
    assert_eq!(format!("{:?}", config.edge), format!("{:?}", crate::listen::EdgeLimits::default()));
    assert_eq!(format!("{:?}", config.body), format!("{:?}", crate::body::BodyLimits::default()));
}

#[test]
fn each_limit_of_channels_is_a_setting() {
    let names = [
        "channels_max",
        "channel_subscribers_max",
        "channel_presence_max",
        "channel_presence_bytes_max",
        "channel_history_bytes_max",
        "channels_history_bytes_max",
        "channel_history_items_max",
        "channel_history_events_max",
        "channel_signals_per_second_max",
    ];
    let lines: Vec<String> = names.iter().zip(11..).map(|(name, value)| format!("{name} = {value}")).collect();
    let config = Config::new(&read_text("channels", &format!("[limits]\n{}", lines.join("\n")), &[], Vec::new()).unwrap()).unwrap();
    let expect = fourfold_op::Limits {
        channels_max: 11,
        channel_subscribers_max: 12,
        channel_presence_max: 13,
        channel_presence_bytes_max: 14,
        channel_history_bytes_max: 15,
        channels_history_bytes_max: 16,
        channel_history_items_max: 17,
        channel_history_events_max: 18,
        channel_signals_per_second_max: 19,
        ..fourfold_op::Limits::default()
    };
    assert_eq!(config.limits, expect);
}

#[test]
fn what_is_kept_of_the_log_has_its_units() {
    let events = |text: &str| {
        let texts = read_text("events", text, &[], Vec::new()).unwrap();
        Config::new(&texts).unwrap().events
    };
    let day = std::time::Duration::from_secs(86_400);
    let default = events("");
    assert_eq!((default.age, default.bytes, default.slice_events_max), (Some(7 * day), Some(10 << 30), 5_000));
    let set = events("[events]\nretention_age = \"36h\"\nretention_size = \"512MiB\"\nprune_slice_events_max = 0");
    assert_eq!((set.age, set.bytes, set.slice_events_max), (Some(day * 3 / 2), Some(512 << 20), 1));
    let all = events("[events]\nretention_age = \"0s\"\nretention_size = \"0B\"");
    assert_eq!((all.age, all.bytes), (None, None));
    for wrong in ["10", "10GB", "GiB", "-1B", "99999999999TiB"] {
        let errors = errors("sizes", &format!("[events]\nretention_size = \"{wrong}\""), &[]);
        assert_eq!(errors, [format!("`events.retention_size` must be a size such as `512MiB` or `10GiB`, not `{wrong}` (fourfold.toml)")]);
    }
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let text = "stray = 1\n[server]\nlissen = \"x\"\nbehind_proxy = \"yes\"\n[log]\nformat = \"xml\"\n[limits]\nhead_timeout = \"10\"";
    let errors = errors("wrong", text, &[("FOURFOLD_SERVER_ORIGIN", "x")]);
    let expect = [
        "`limits.head_timeout` must be a duration such as `10s`, `250ms` or `5m`, not `10` (fourfold.toml)",
        "`log.format` must be one of `text`, `json`, `off`, not `xml` (fourfold.toml)",
        "`server.behind_proxy` must be `true` or `false`, not `\"yes\"`",
        "unknown setting `server.lissen`; did you mean `server.listen`?",
        "`stray` stands outside any section; settings stand under `[server]`, `[store]` and so on",
        "the environment has `FOURFOLD_SERVER_ORIGIN`, which is no setting; did you mean `FOURFOLD_SERVER_ORIGINS`?",
    ];
    assert_eq!(errors, expect);
}

#[test]
fn an_unknown_section_is_an_error_though_it_is_empty() {
    let text = "[sinks]\n[[sources]]\n[sever]\nlisten = \"x\"\n[event]\n[qqqqqqqqq]";
    let mut errors = errors("sections", text, &[]);
    errors.sort();
    let expect = [
        "unknown section `[[sources]]`; did you mean `[[source]]`?",
        "unknown section `[event]`; did you mean `[events]`?",
        "unknown section `[qqqqqqqqq]`",
        "unknown section `[sever]`; did you mean `[server]`?",
        "unknown section `[sinks]`; did you mean `[[sink]]`?",
    ];
    assert_eq!(errors, expect);
}

#[test]
fn what_does_not_go_together_or_is_not_served_is_said() {
    let texts = read_text(
        "together",
        "[server]\ntls_cert_file = \"a\"\n[store]\nurl = \"mongodb://x\"\n[[handler]]\nname = \"k\"",
        &[],
        Vec::new(),
    )
    .unwrap();
    assert_eq!(texts.unserved, ["[handler]"]);
    let errors = Config::new(&texts).unwrap_err().0;
    assert_eq!(errors.len(), 2);
    assert!(errors[1].contains("does not serve yet"));
}

#[test]
fn a_database_is_named_by_its_url_and_its_password_is_not_shown() {
    let texts = read_text("database", "[store]\nurl = \"postgres://me:hunter2@host/shop\"", &[], Vec::new()).unwrap();
    let config = Config::new(&texts).unwrap();
    match &config.store {
        StoreUrl::Postgres(url) => assert_eq!(url.secret(), "postgres://me:hunter2@host/shop"),
        other => panic!("{other:?}"),
    }
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_pooler_has_the_url_of_its_server_beside_it() {
    let config = |store: &str| Config::new(&read_text("pooler", &format!("[store]\n{store}"), &[], Vec::new()).unwrap());
    let direct = "direct_url = \"postgres://me:hunter2@host/shop\"";
    match config(&format!("url = \"postgres://pooler/shop\"\n{direct}")).unwrap().store {
        StoreUrl::Postgres(url) => assert_eq!(url.direct_secret(), Some("postgres://me:hunter2@host/shop")),
        other => panic!("{other:?}"),
    }
    for (store, why) in [
        (direct.to_owned(), "it has none"),
        (format!("url = \"memory:\"\n{direct}"), "not for a `memory:` URL"),
        ("url = \"postgres://pooler/shop\"\ndirect_url = \"hunter2\"".to_owned(), "must be the `postgres://…`"),
    ] {
        let errors = format!("{:?}", config(&store).unwrap_err().0);
        assert!(errors.contains("`store.direct_url`") && errors.contains(why) && !errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn the_page_lists_every_setting() {
    let page = markdown();
    for setting in SETTINGS {
        let key = setting.name.split_once('.').unwrap().1;
        assert!(page.contains(&format!("| `{key}` |")), "{key}");
    }
    for setting in SINK_SETTINGS.iter().chain(SOURCE_SETTINGS) {
        assert!(page.contains(&format!("| `{}` |", setting.name)), "{}", setting.name);
    }
}

#[test]
fn a_sink_is_read_with_its_units_and_its_claims() {
    let text = "[[sink]]\nname = \"orders\"\nkind = \"kafka\"\nentities = [\"Order\", \"Item\"]\nclaims = { roles = [\"admin\"], level = 3 }\n\
                brokers = [\"127.0.0.1:1\"]\nsave_every = \"250ms\"\nbatch_bytes_max = \"64KiB\"\nbegin = \"now\"\nsasl_password_file = \"word\"";
    let texts = read_text("sink", text, &[], Vec::new()).unwrap();
    let sinks = Config::new(&texts).unwrap().sinks;
    let [sink] = sinks.as_slice() else { panic!("{sinks:?}") };
    assert_eq!(
        (sink.name.as_str(), sink.entities.len(), sink.filter.as_deref(), sink.begin),
        ("orders", 2, None, fourfold_connect::Begin::Now)
    );
    assert_eq!(serde_json::to_string(&sink.claims).unwrap(), r#"{"level":3,"roles":["admin"]}"#);
    assert_eq!((sink.pace.save_every.as_millis(), sink.pace.batch_bytes_max, sink.pace.batch_events_max), (250, 64 << 10, 1_000));
    let SinkTarget::Kafka(kafka) = &sink.target;
    assert_eq!(
        (kafka.compression.as_str(), kafka.cluster.sasl_password_file.as_deref()),
        ("lz4", Some(texts.folder.join("word").as_path()))
    );
}

#[test]
fn a_wrong_sink_is_told_with_what_would_be_right() {
    let of = |lines: &str| {
        let text = format!("[[sink]]\n{lines}");
        match read_text("wrong-sink", &text, &[], Vec::new()) {
            Ok(texts) => Config::new(&texts).map(|config| config.sinks.len()).unwrap_err().0,
            Err(errors) => errors.0,
        }
    };
    const GOOD: &str = "name = \"a\"\nkind = \"kafka\"\nbrokers = [\"x:1\"]\n";
    for (lines, error) in [
        ("nane = \"a\"", "unknown setting `nane` of a `[[sink]]`; did you mean `name`?"),
        ("brokers = 3", "`brokers` of a `[[sink]]` must be a list of texts, not `3`"),
        ("kind = \"kafak\"", "`kind` of a `[[sink]]` must be one of `kafka`, not `\"kafak\"`"),
        ("claims = 3", "`claims` of a `[[sink]]` must be a table such as `{ roles = [\"admin\"] }`, not `3`"),
        ("kind = \"kafka\"", "a `[[sink]]` needs a `name` of 1 to 48 lower-case letters, digits, `_` and `-`, not ``"),
        ("name = \"A\"", "a `[[sink]]` needs a `name` of 1 to 48 lower-case letters, digits, `_` and `-`, not `A`"),
        ("name = \"a\"", "the sink `a` needs a `kind`: `kafka`"),
        ("name = \"a\"\nkind = \"kafka\"", "the sink `a` needs `brokers`, such as `[\"127.0.0.1:9092\"]`"),
        (
            &format!("{GOOD}security_protocol = \"sasl_ssl\""),
            "the sink `a` speaks `sasl_ssl`, which needs `sasl_username` and `sasl_password_file`",
        ),
        (&format!("{GOOD}tls_key_file = \"k\""), "the sink `a`: `tls_cert_file` and `tls_key_file` are set together or not at all"),
        (&format!("{GOOD}[[sink]]\n{GOOD}"), "two sinks are called `a`; each has a name of its own"),
    ] {
        assert_eq!(of(lines), [error], "{lines}");
    }
}

#[test]
fn a_source_is_read_with_its_defaults_and_its_claims() {
    let text = "[[source]]\nname = \"in\"\nkind = \"kafka\"\nentity = \"Order\"\nmode = \"merge\"\nkey = \"message\"\nkey_prefix = \"Order/\"\n\
                claims = { roles = [\"feed\"] }\nbrokers = [\"127.0.0.1:1\"]\ntopic = \"orders\"\nbatch_rows_max = 7\ntls_ca_file = \"ca\"";
    let texts = read_text("source", text, &[], Vec::new()).unwrap();
    let sources = Config::new(&texts).unwrap().sources;
    let [source] = sources.as_slice() else { panic!("{sources:?}") };
    assert_eq!((source.name.as_str(), source.entity.as_str(), source.begin), ("in", "Order", fourfold_connect::Begin::First));
    assert_eq!((source.mode, source.key), (fourfold_connect::Mode::Merge, fourfold_connect::KeyFrom::Message));
    assert_eq!((source.key_prefix.as_str(), source.pace.batch_rows_max, source.pace.batch_bytes_max), ("Order/", 7, 1 << 20));
    let SourceOrigin::Kafka(kafka) = &source.origin;
    assert_eq!((kafka.topic.as_str(), kafka.group.as_str(), kafka.session_timeout.as_secs()), ("orders", "fourfold.in", 10));
    assert_eq!(kafka.cluster.tls_ca_file.as_deref(), Some(texts.folder.join("ca").as_path()));
}

#[test]
fn a_wrong_source_is_told_with_what_would_be_right() {
    let of = |lines: &str| {
        let text = format!("[[source]]\n{lines}");
        match read_text("wrong-source", &text, &[], Vec::new()) {
            Ok(texts) => Config::new(&texts).map(|config| config.sources.len()).unwrap_err().0,
            Err(errors) => errors.0,
        }
    };
    const GOOD: &str = "name = \"a\"\nkind = \"kafka\"\nentity = \"Order\"\nbrokers = [\"x:1\"]\ntopic = \"orders\"\n";
    for (lines, error) in [
        ("topc = \"a\"", "unknown setting `topc` of a `[[source]]`; did you mean `topic`?"),
        ("mode = \"insert\"", "`mode` of a `[[source]]` must be one of `create`, `update`, `upsert`, `merge`, `delete`, not `\"insert\"`"),
        ("name = \"A\"", "a `[[source]]` needs a `name` of 1 to 48 lower-case letters, digits, `_` and `-`, not `A`"),
        ("name = \"a\"", "the source `a` needs a `kind`: `kafka`"),
        ("name = \"a\"\nkind = \"kafka\"", "the source `a` needs `brokers`, such as `[\"127.0.0.1:9092\"]`"),
        ("name = \"a\"\nkind = \"kafka\"\nbrokers = [\"x:1\"]", "the source `a` needs a `topic`"),
        ("name = \"a\"\nkind = \"kafka\"\nbrokers = [\"x:1\"]\ntopic = \"t\"", "the source `a` needs an `entity` of the model"),
        (
            &format!("{GOOD}dead_letter_topic = \"orders\""),
            "the source `a`: its `dead_letter_topic` is the `topic` that it reads; name another",
        ),
        (&format!("{GOOD}[[source]]\n{GOOD}"), "two sources are called `a`; each has a name of its own"),
    ] {
        assert_eq!(of(lines), [error], "{lines}");
    }
}
