//! `fourfold config`: every setting, its value, where that comes from and what it means.

use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use fourfold_server::config::{SETTINGS, SINK_SETTINGS, SOURCE_SETTINGS, Source, markdown};
use fourfold_server::open::ModelFiles;

use crate::failure::Failure;
use crate::settings::SettingFlags;

pub fn run(path: &Path, as_markdown: bool, settings: &SettingFlags) -> Result<(), Failure> {
    if as_markdown {
        say!("{}", markdown().trim_end());
        return Ok(());
    }
    // Settings can be looked at before there is a model.
    let folder = ModelFiles::find(path).map_or_else(|_| path.to_path_buf(), |files| files.folder().to_path_buf());
    let texts = settings.texts(&folder)?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["setting", "value", "source", "unit", "meaning"]);
    for setting in SETTINGS {
        let (value, source) = texts.text(setting.name);
        let value = if value.is_empty() { "–".to_owned() } else { without_password(value) };
        table.add_row([setting.name, &value, &source.to_string(), setting.unit, setting.meaning]);
    }
    let sinks = texts.sinks.iter().map(|sink| ("sink", SINK_SETTINGS, sink));
    for (section, settings, texts) in sinks.chain(texts.sources.iter().map(|source| ("source", SOURCE_SETTINGS, source))) {
        for setting in settings {
            let (value, given) = texts.text(setting.name);
            let value = if value.is_empty() { "–" } else { value };
            let source = if given { Source::File } else { Source::Default };
            let name = format!("{section}.{}.{}", texts.text("name").0, setting.name);
            table.add_row([&name, value, &source.to_string(), setting.unit, setting.meaning]);
        }
    }
    say!("{table}");
    for name in &texts.unserved {
        say!("`{name}` is configured, and not served by this version yet");
    }
    Ok(())
}

/// `postgres://me:…@host/db`: a password in a URL stays where it is.
fn without_password(value: &str) -> String {
    let hidden = || {
        let (scheme, rest) = value.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:…@{host}"))
    };
    hidden().unwrap_or_else(|| value.to_owned())
}
