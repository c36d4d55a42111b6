//! Fields whose attributes contradict each other, and fields that the server fills: in which order, and what they disclose.

use smol_str::SmolStr;

use super::Resolver;
use super::reads::reads;
use crate::diagnostics::Diagnostic;
use crate::model::*;
use crate::typing::RowKind;

/// A field's name, what is wrong with it, and what would be right.
type Found = (SmolStr, String, &'static str);

impl Resolver<'_> {
    /// Attributes of one field that cannot hold together.
    pub(super) fn contradictions(&mut self, row: RowKind) {
        let mut found: Vec<Found> = Vec::new();
        for (at, field) in row.fields(&self.model).iter().enumerate() {
            let at = FieldId(at as u16);
            let wrong = match row {
                RowKind::Entity(id) if at == KEY => key_fault(field).or_else(|| entity_fault(self.model.entity(id), field)),
                RowKind::Entity(_) if at == REVISION => None,
                RowKind::Entity(id) => served_fault(field).or_else(|| entity_fault(self.model.entity(id), field)),
                RowKind::Owned(_) => served_fault(field).or_else(|| owned_fault(field)),
            };
            found.extend(wrong.map(|(message, label)| (field.name.clone(), message.to_owned(), label)));
            found.extend(self.out_of_order(row, at, field));
        }
        let name = row.name(&self.model).clone();
        for (member, message, label) in found {
            let span = self.member_span(&name, &member);
            self.error(&span, message, label);
        }
    }

    /// A row's `@set` fields are filled in the file's order, and after them its computed ones: none reads what is filled later.
    fn out_of_order(&self, row: RowKind, at: FieldId, field: &Field) -> Option<Found> {
        let expr = field.computed.as_ref().or(field.set.as_ref())?;
        let fields = row.fields(&self.model);
        let computed = field.computed.is_some();
        let later = reads(&self.model, row, expr).into_iter().filter(|read| read.own).find_map(|read| {
            let source = fields.get(usize::from(read.field.0))?;
            let later = match (computed, source.computed.is_some()) {
                (true, true) => read.field.0 >= at.0,
                (false, true) => true,
                (false, false) => source.set.is_some() && read.field.0 > at.0,
                (true, false) => false,
            };
            later.then_some(source)
        })?;
        let name = field.name.clone();
        if later.name == name {
            return Some((name, format!("`{}` is computed from itself", later.name), "expected an expression of other fields"));
        }
        let message = format!("`{name}` reads `{}`, which is filled after it", later.name);
        Some((name, message, "`@set` fields are filled first, then computed ones, each in the file's order"))
    }

    /// The server fills `@computed` and `@set` fields with its own rights: what they repeat of a masked field is seen.
    pub(super) fn disclosures(&mut self, row: RowKind) {
        let mut found: Vec<(SmolStr, String)> = Vec::new();
        for field in row.fields(&self.model) {
            let sources = self.hidden_sources(row, field);
            if !sources.is_empty() {
                found.push((field.name.clone(), sources.join(", ")));
            }
        }
        let owner = row.name(&self.model).clone();
        for (member, sources) in found {
            let span = self.member_span(&owner, &member);
            let message = format!("`{member}` discloses what a rule hides: {sources}");
            let note = Diagnostic::note(span, message, "it is filled with the author's rights, and whoever may read the row reads it");
            self.diagnostics.push(match row {
                RowKind::Entity(_) => note.help("write `@allow(read, …)` on it too if that is not meant"),
                RowKind::Owned(_) => note.help("write `@allow(read, …)` on the list too if that is not meant"),
            });
        }
    }

    /// What a field that the server fills reads of fields and rows that not everybody may read.
    fn hidden_sources(&self, row: RowKind, field: &Field) -> Vec<String> {
        let mut sources = Vec::new();
        let expr = field.computed.as_ref().or(field.set.as_ref());
        let Some(expr) = expr.filter(|_| field.read_rule.is_none() && !field.secret) else { return sources };
        for read in reads(&self.model, row, expr) {
            let Some(source) = read.of.fields(&self.model).get(usize::from(read.field.0)) else { continue };
            let name = format!("`{}.{}`", read.of.name(&self.model), source.name);
            if (read.closed || source.read_rule.is_some() || source.secret) && !sources.contains(&name) {
                sources.push(name);
            }
        }
        sources
    }
}

type Fault = Option<(&'static str, &'static str)>;

fn key_fault(field: &Field) -> Fault {
    let hidden = field.readonly || field.secret || field.read_rule.is_some() || field.computed.is_some() || field.set.is_some();
    hidden.then_some(("a key that is hidden or set by the server", "a key is read by all and may be given at create"))
}

fn served_fault(field: &Field) -> Fault {
    let served = field.computed.is_some() || field.set.is_some();
    match field {
        Field { computed: Some(_), set: Some(_), .. } => {
            Some(("`@computed` and `@set` on one field", "the server takes its value from one of them"))
        }
        Field { default: Some(_), .. } if served => Some(("a default of a field that the server sets", "take `@default` away")),
        _ if served && (field.readonly || field.once || field.write_rule.is_some()) => {
            Some(("a write attribute of a field that the server sets", "no caller sets it anyway; take the attribute away"))
        }
        _ => None,
    }
}

fn entity_fault(entity: &Entity, field: &Field) -> Fault {
    let creatable = !entity.readonly && entity.rules_for(Verb::Create).next().is_some();
    let empty = field.default.is_none() && !field.ty.nullable && !field.ty.list;
    (field.readonly && empty && creatable).then_some((
        "`@readonly` on a field without a default that is never null",
        "no caller could create a row; give it a `@default`, or `?`",
    ))
}

/// Elements are replaced whole: there is no write of one field, and nothing that stays.
fn owned_fault(field: &Field) -> Fault {
    (field.readonly || field.once || field.secret)
        .then_some(("an owned list is read and written whole", "put `@readonly`, `@once` or `@secret` on the list in its entity"))
}
