//! The text of an imported model.

use std::fmt::Write as _;

use super::map::{Entity, Mapped};

const RULE: &str = "@@allow(read, create, update, delete, \"admin\" in caller.roles)";

/// A model file with everything that was mapped; `fmt` lays it out.
pub fn text(name: &str, mapped: &Mapped) -> String {
    let mut text = format!(
        "// Imported by fourfold. Each entity is for admins alone: widen its rule where others may come in,\n\
         // such as `@@allow(read, true)` for rows that anyone may read.\n\
         package {name}.v1\n\n\
         caller {{\n  id    String?  @claim(\"sub\")\n  roles String[] @claim(\"roles\")\n}}\n"
    );
    for entity in &mapped.entities {
        text.push('\n');
        write_entity(&mut text, entity, mapped.captured);
    }
    text
}

fn write_entity(text: &mut String, entity: &Entity, captured: bool) {
    let _ = writeln!(text, "entity {} {{", entity.name);
    for member in &entity.members {
        let line = format!("  {} {} {}", member.name, member.ty, member.attributes.join(" "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for fields in &entity.uniques {
        let _ = writeln!(text, "  @@unique({})", fields.join(", "));
    }
    for fields in &entity.indexes {
        let fields: Vec<String> = fields.iter().map(|(name, descends)| format!("{name}{}", if *descends { " desc" } else { "" })).collect();
        let _ = writeln!(text, "  @@index({})", fields.join(", "));
    }
    let plural = entity.plural.as_ref().map_or_else(String::new, |plural| format!("plural: \"{plural}\", "));
    let _ = writeln!(text, "  @@name({plural}table: {})", serde_json::Value::from(entity.table.as_str()));
    if captured {
        text.push_str("  @@capture\n");
    }
    let _ = writeln!(text, "  // to open it to readers: @@allow(read, true)");
    let _ = writeln!(text, "  {RULE}\n}}");
}
