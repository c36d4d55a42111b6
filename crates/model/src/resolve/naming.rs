//! `@was`, `@column`, `@@was` and `@@name`: what numbering needs before anything else.

use smol_str::SmolStr;

use super::entity_attrs::blocks;
use super::{Resolver, args};
use crate::Lock;
use crate::ast::{Arg, Attr, Span};
use crate::diagnostics::Diagnostic;
use crate::lock::Wish;

impl Resolver<'_> {
    /// `@@was` and `@@name`, which numbering needs.
    pub(super) fn naming_blocks(&mut self) {
        for at in 0..self.entity_items.len() {
            let Some((_, item)) = self.entity_items.get(at).copied() else { continue };
            for attr in blocks(item) {
                match attr.name.text.as_str() {
                    "was" => self.former_name(&item.name.text, attr),
                    "name" => self.name_block(&item.name.text, attr),
                    _ => {}
                }
            }
        }
    }

    fn former_name(&mut self, entity: &SmolStr, attr: &Attr) {
        let Some((was, _)) = args::text(attr, "the former name, as in `@@was(\"Product\")`", &mut self.diagnostics) else { return };
        let was = SmolStr::new(was);
        let same = |((_, member), wish): &(&(SmolStr, SmolStr), &Wish)| member.is_empty() && wish.was.as_ref() == Some(&was);
        let other = self.wishes.iter().filter(same).map(|((name, _), _)| name.clone()).filter(|name| name != entity).min();
        if let Some(other) = other {
            self.error(&attr.span, format!("`{other}` and `{entity}` were both `{was}`"), "only one of them can go on with its rows");
        }
        self.wish(entity, "").was = Some(was);
    }

    fn name_block(&mut self, entity: &SmolStr, attr: &Attr) {
        let split = args::split(attr, &["plural", "table"], &mut self.diagnostics);
        if !split.positional.is_empty() || split.named.is_empty() {
            self.error(
                &attr.span,
                "`@@name` does not read like this",
                "expected `@@name(plural: \"people\", table: \"Person\")`, or one of them",
            );
        }
        if let Some(plural) = split
            .named("plural")
            .and_then(|arg| args::string(arg, attr, "a plural, as in `\"people\"`", &mut self.diagnostics).map(|text| (text, arg)))
        {
            let (text, arg) = plural;
            self.plural_wish(entity, text, arg);
        }
        let table = split
            .named("table")
            .and_then(|arg| args::string(arg, attr, "a table's name, as in `\"Person\"`", &mut self.diagnostics).map(|text| (text, arg)));
        if let Some((text, arg)) = table {
            self.stored_name("table", text, &arg.span);
            self.wish(entity, "").column = Some(SmolStr::new(text));
        }
    }

    /// Tells of a name that not every store takes.
    fn stored_name(&mut self, of: &str, name: &str, span: &Span) {
        if name.is_empty() || name.len() > 63 || name.contains(char::is_control) {
            self.error(span, format!("a {of}'s name is not like this"), "expected 1 to 63 bytes without control characters");
        }
    }

    fn plural_wish(&mut self, entity: &SmolStr, text: &str, arg: &Arg) {
        let word = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !word || !begins || text.contains("__") || text.ends_with('_') || text.len() > 64 {
            self.error(&arg.span, format!("`{text}` is no plural"), "expected snake case, as in `\"sales_people\"`");
            return;
        }
        self.wish(entity, "").plural = Some(SmolStr::new(text));
    }

    /// Takes `@was` and `@column` down; false when it is neither.
    pub(super) fn naming_attr(&mut self, owner: &SmolStr, member: &str, attr: &Attr) -> bool {
        match attr.name.text.as_str() {
            "was" => {
                if let Some((was, _)) = args::text(attr, "the former name, as in `@was(\"title\")`", &mut self.diagnostics) {
                    self.former_member(owner, member, SmolStr::new(was), attr);
                }
            }
            "column" => {
                if let Some((column, span)) = args::text(attr, "a column, as in `@column(\"TrackId\")`", &mut self.diagnostics) {
                    self.stored_name("column", column, &span);
                    let column = SmolStr::new(column);
                    self.wish(owner, member).column = Some(column);
                }
            }
            _ => return false,
        }
        true
    }

    /// `@was` of a name that is still there moves nothing, which would be seen too late: the new name begins empty.
    pub(super) fn idle_renames(&mut self, old: &Lock) {
        let mut found = Vec::new();
        for ((owner, member), wish) in &self.wishes {
            let (Some(was), Some(locked)) = (&wish.was, old.types.get(owner)) else { continue };
            let stays = self.spans.contains_key(&(owner.clone(), was.clone()));
            let new = locked.members.contains_key(was) && !locked.members.contains_key(member);
            if let (true, true, Some(span)) = (stays, new, self.spans.get(&(owner.clone(), member.clone()))) {
                found.push((span.clone(), format!("`{member}` takes nothing over: `{was}` is still a member of `{owner}`")));
            }
        }
        for (span, message) in found {
            let help = "rename first, and give the old name to something new in a later version";
            self.diagnostics.push(Diagnostic::warning(span, message, "it begins empty").help(help));
        }
    }

    fn former_member(&mut self, owner: &SmolStr, member: &str, was: SmolStr, attr: &Attr) {
        let same = |((of, name), wish): &(&(SmolStr, SmolStr), &Wish)| of == owner && name != member && wish.was.as_ref() == Some(&was);
        let other = self.wishes.iter().filter(same).map(|((_, name), _)| name.clone()).min();
        if let Some(other) = other {
            self.error(&attr.span, format!("`{other}` and `{member}` were both `{was}`"), "only one of them can go on with what it held");
        }
        self.wish(owner, member).was = Some(was);
    }
}
