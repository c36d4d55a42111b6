//! `fourfold fmt`: a model in its one form.

use std::fs;
use std::path::Path;

use fourfold_server::open::ModelFiles;

use crate::failure::Failure;

pub fn run(path: &Path, check: bool) -> Result<(), Failure> {
    let files = ModelFiles::find(path).map_err(Failure::usage)?;
    let text = fs::read_to_string(&files.model).map_err(Failure::usage)?;
    let name = files.model.display().to_string();
    let render = |list: Vec<fourfold_model::Diagnostic>| {
        Failure::Model(fourfold_model::render_diagnostics(fourfold_model::Source { name: &name, text: &text }, &list, false))
    };
    let formatted = fourfold_model::format(&text).map_err(render)?;
    if formatted == text {
        return Ok(());
    }
    if check {
        return Err(Failure::Failed(format!("`{name}` is not in its one form; `fourfold fmt` writes it")));
    }
    fs::write(&files.model, formatted).map_err(|error| Failure::Failed(format!("cannot write `{name}`: {error}")))?;
    say!("wrote {name}");
    Ok(())
}
