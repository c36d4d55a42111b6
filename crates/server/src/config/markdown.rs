//! The page of the documentation that lists all settings.

use super::setting::{Kind, Setting, quoted};
use super::sink::SINK_SETTINGS;
use super::source::SOURCE_SETTINGS;
use super::table::SETTINGS;

/// The page, as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(PAGE);
    let mut section = "";
    for setting in SETTINGS {
        let (of, key) = setting.name.split_once('.').unwrap_or(("", setting.name));
        if of != section {
            section = of;
            page.push_str(&format!("\n## `[{of}]`\n{HEAD}"));
        }
        line(&mut page, key, setting);
    }
    page.push_str(&format!("\n## `[[sink]]`\n{SINKS}{HEAD}"));
    for setting in SINK_SETTINGS {
        line(&mut page, setting.name, setting);
    }
    page.push_str(&format!("\n## `[[source]]`\n{SOURCES}{HEAD}"));
    for setting in SOURCE_SETTINGS {
        line(&mut page, setting.name, setting);
    }
    page
}

fn line(page: &mut String, key: &str, setting: &Setting) {
    let default = if setting.default.is_empty() { "–".to_owned() } else { format!("`{}`", setting.default) };
    let meaning = match setting.kind {
        Kind::OneOf(choices) => format!("{}: {}", setting.meaning, quoted(choices)),
        _ => setting.meaning.to_owned(),
    };
    page.push_str(&format!("| `{key}` | {default} | {} | {meaning} |\n", setting.unit));
}

const HEAD: &str = "\n| key | default | unit | meaning |\n|---|---|---|---|\n";
const SINKS: &str = "
One for each sink: see [connectors](connectors.md). Neither the environment nor a flag overrides these.
";
const SOURCES: &str = "
One for each source: see [connectors](connectors.md#sources). Neither the environment nor a flag overrides these.
";

const PAGE: &str = "# Settings

`fourfold.toml` lies beside the model. The environment overrides it (`FOURFOLD_SERVER_LISTEN` for `server.listen`), and flags override
both. A relative path in the file or the environment starts from the file's folder, one in a flag from where the command runs. An unknown
key is an error. Secrets are never written here: a setting whose name ends in `_file` names the file that holds one.

`fourfold config` prints every setting with its value and where that comes from. This page is made by `fourfold config --markdown`.
";
