//! `fourfold check`: everything that is wrong with a model, and how its rows can be watched.

use std::path::Path;

use fourfold_model::RuleClass;

use crate::failure::Failure;
use crate::load;

pub fn run(path: &Path, write: bool) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    eprint!("{}", loaded.warnings);
    for entity in &loaded.model.entities {
        say!("{}: {}", entity.name, class(entity.class));
    }
    if write {
        loaded.write_lock()?;
    } else if !loaded.in_step {
        return Err(Failure::Model(format!(
            "error: `{}` is out of step with the model; `fourfold check --write` brings it into step",
            loaded.files.lock.display()
        )));
    }
    say!("{} is good: {} entities", loaded.files.model.display(), loaded.model.entities.len());
    Ok(())
}

fn class(class: RuleClass) -> &'static str {
    match class {
        RuleClass::Local => "class L, watched by the row and its caller alone",
        RuleClass::Membership => "class M, watched by the caller's memberships",
        RuleClass::General => "class G, readable and not watchable",
    }
}
