//! `fourfold events tail`: events as they stand in the log, for people or as NDJSON.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use fourfold_model::Model;
use fourfold_op::{Cursor, ErrorCode, Event};
use fourfold_store::{Budget, Entities};

use super::entity_of;
use super::log::Log;
use crate::failure::Failure;
use crate::load;
use crate::settings::SettingFlags;

mod render;

use render::{Form, render};

/// How many positions back it begins where nobody says where.
const LAST: u64 = 20;
/// How much of the log is read at once.
const READ: Budget = Budget { events_max: 1_000, bytes_max: 4 << 20 };
/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What is asked of the log.
pub struct Asked<'a> {
    pub after: Option<&'a str>,
    pub entity: Option<&'a str>,
    pub follow: bool,
    pub json: bool,
}

pub fn run(path: &Path, settings: &SettingFlags, asked: Asked<'_>) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let of = match asked.entity {
        Some(name) => Entities::Some(vec![entity_of(&loaded.model, name)?]),
        None => Entities::All,
    };
    let log = Log::open(&settings.config(loaded.files.folder())?, &loaded.model)?;
    let after = start(&log, asked.after)?;
    let form = match asked.json {
        true => Form::Json,
        false => Form::Text { colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) },
    };
    print(&log, &loaded.model, after, &of, form, asked.follow)
}

fn start(log: &Log, after: Option<&str>) -> Result<Cursor, Failure> {
    let head = log.head().map_err(load::refused)?;
    let at = |position| Cursor { epoch: head.epoch.clone(), after: position, skip: None };
    match after {
        None => Ok(at(head.position.saturating_sub(LAST).max(log.begins_after().map_err(load::refused)?))),
        Some(text) => match (text.parse::<u64>(), text.parse::<Cursor>()) {
            (Ok(position), _) => Ok(at(position)),
            (_, Ok(cursor)) => Ok(cursor),
            _ => Err(Failure::Use(format!("`{text}` is no cursor such as `{}`, and no position", at(head.position)))),
        },
    }
}

fn print(log: &Log, model: &Model, mut after: Cursor, of: &Entities, form: Form, follow: bool) -> Result<(), Failure> {
    loop {
        let tail = log.events(&after, of, READ).map_err(|error| match error.code {
            ErrorCode::CursorExpired => expired(log, &after),
            _ => load::refused(error),
        })?;
        let lines: Vec<u8> = tail.events.iter().flat_map(|event| line(model, &after, event, form)).collect();
        // A reader that has gone has seen what it wanted.
        if io::stdout().write_all(&lines).and_then(|()| io::stdout().flush()).is_err() {
            return Ok(());
        }
        let moved = tail.through.after > after.after;
        after = tail.through;
        match (moved, follow) {
            (true, _) => {}
            (false, true) => std::thread::sleep(LOOK),
            (false, false) => return Ok(()),
        }
    }
}

fn expired(log: &Log, after: &Cursor) -> Failure {
    match (log.head(), log.begins_after()) {
        (Ok(head), Ok(first)) => {
            let epoch = &head.epoch.0;
            Failure::Failed(format!("`{after}` is not in the log, which goes from `{epoch}.{first}` to `{epoch}.{}`", head.position))
        }
        (Err(error), _) | (_, Err(error)) => load::refused(error),
    }
}

fn line(model: &Model, log: &Cursor, event: &Event, form: Form) -> Vec<u8> {
    let mut line = Vec::new();
    render(&mut line, model, &log.epoch, event, form);
    line.push(b'\n');
    line
}
