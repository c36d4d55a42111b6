//! The attributes of stored fields.

use smol_str::SmolStr;

use super::{Resolver, args};
use crate::ast::{Arg, ArgValue, Attr};
use crate::diagnostics::Diagnostic;
use crate::model::*;
use crate::typing::RowKind;

const KNOWN: [&str; 19] = [
    "key",
    "default",
    "unique",
    "min",
    "max",
    "length",
    "match",
    "search",
    "fold",
    "computed",
    "set",
    "readonly",
    "once",
    "secret",
    "was",
    "column",
    "relation",
    "allow",
    "deprecated",
];

impl Resolver<'_> {
    /// One attribute of a stored field.
    pub(super) fn field_attr(&mut self, row: RowKind, id: FieldId, attr: &Attr) {
        let Some(ty) = self.field_at(row, id).map(|field| field.ty) else { return };
        match attr.name.text.as_str() {
            // The first pass took them down.
            "was" | "column" => {}
            "key" => self.key_attr(row, id, attr),
            "default" => self.default_attr(row, id, ty, attr),
            "unique" => self.unique_attr(row, id, ty, attr),
            "min" | "max" => self.bound_attr(row, id, ty, attr),
            "length" => self.length_attr(row, id, ty, attr),
            "match" => self.match_attr(row, id, ty, attr),
            "computed" | "set" => self.served_attr(row, id, ty, attr),
            "search" | "fold" if ty.base != Base::String || ty.list => {
                self.error(&attr.span, format!("`@{}` on what is no String", attr.name.text), "expected it on a String");
            }
            "search" | "fold" | "readonly" | "once" | "secret" => self.flag_attr(row, id, attr),
            "deprecated" => {
                let text = args::text(attr, "what to use instead, as in `@deprecated(\"use x\")`", &mut self.diagnostics);
                let text = text.map(|(text, _)| SmolStr::new(text));
                self.change(row, id, |field| field.deprecated = text);
            }
            "allow" => self.allow_attr(row, id, attr),
            "relation" => self.error(&attr.span, "`@relation` on what is no relation", "expected it on a member whose type is an entity"),
            _ => self.unknown_attr(attr, "a field", &KNOWN),
        }
    }

    fn field_at(&self, row: RowKind, id: FieldId) -> Option<&Field> {
        row.fields(&self.model).get(usize::from(id.0))
    }

    fn change(&mut self, row: RowKind, id: FieldId, change: impl FnOnce(&mut Field)) {
        let fields = match row {
            RowKind::Entity(of) => self.model.entities.get_mut(usize::from(of.0)).map(|of| &mut of.fields),
            RowKind::Owned(of) => self.model.owned.get_mut(usize::from(of.0)).map(|of| &mut of.fields),
        };
        if let Some(field) = fields.and_then(|fields| fields.get_mut(usize::from(id.0))) {
            change(field);
        }
    }

    fn key_attr(&mut self, row: RowKind, id: FieldId, attr: &Attr) {
        let _ = args::nothing(attr, &mut self.diagnostics);
        if !matches!(row, RowKind::Entity(_)) || id != KEY {
            self.error(
                &attr.span,
                "`@key` on another field than `id`",
                "an entity's key is called `id`; `@column` says what its column is called",
            );
        }
    }

    fn default_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        let form = "a literal, `uuid7()`, `next()`, `now()` or `caller.x`";
        let Some(node) = args::expression(attr, form, &mut self.diagnostics) else { return };
        let default = self.default(node, ty);
        if matches!(default, Some(Default::Next)) && matches!(row, RowKind::Owned(_)) {
            self.error(&attr.span, "an owned type has no counter", "`next()` is for entities");
            return;
        }
        self.change(row, id, |field| field.default = default);
    }

    fn unique_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        let _ = args::nothing(attr, &mut self.diagnostics);
        let RowKind::Entity(entity) = row else {
            self.error(&attr.span, "an owned list has no unique fields", "`@unique` is for entities");
            return;
        };
        if ty.list || matches!(ty.base, Base::Json | Base::Owned(_)) {
            self.error(&attr.span, "`@unique` on a list or on Json", "expected it on a single scalar");
            return;
        }
        self.change(row, id, |field| field.unique = true);
        if let Some(entity) = self.model.entities.get_mut(usize::from(entity.0)) {
            entity.uniques.push(vec![id]);
        }
    }

    fn bound_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        let ordered = matches!(ty.base, Base::Int | Base::BigInt | Base::Float | Base::Decimal { .. } | Base::Date | Base::DateTime);
        if !ordered || ty.list {
            self.error(
                &attr.span,
                format!("`@{}` on what is no number and no moment", attr.name.text),
                "expected it on a number, a Date or a DateTime",
            );
            return;
        }
        let Some(node) = args::expression(attr, "a literal of the field's type", &mut self.diagnostics) else { return };
        let bound = self.literal(node, Type { nullable: false, ..ty }, "a bound");
        let least = attr.name.text == "min";
        self.change(row, id, |field| if least { field.min = bound } else { field.max = bound });
        let crossed = self.field_at(row, id).is_some_and(|field| match (&field.min, &field.max) {
            (Some(min), Some(max)) => min.compare(max) == Some(std::cmp::Ordering::Greater),
            _ => false,
        });
        if crossed {
            self.error(&attr.span, "`@min` is above `@max`", "no value fits both");
        }
    }

    fn length_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        if !ty.list && !matches!(ty.base, Base::String | Base::Bytes) {
            self.error(&attr.span, "`@length` on what has no length", "expected it on a String, Bytes or a list");
            return;
        }
        if let Some(range) = args::range(attr, &mut self.diagnostics) {
            self.change(row, id, |field| field.length = range);
        }
    }

    fn match_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        if ty.base != Base::String || ty.list {
            self.error(&attr.span, "`@match` on what is no String", "expected it on a String");
            return;
        }
        let Some((pattern, span)) = args::text(attr, "a regular expression, as in `\"^[A-Z]{3}$\"`", &mut self.diagnostics) else { return };
        // Alone first: `a)|(b` would be whole only within brackets of ours.
        let whole = regex::Regex::new(pattern).and_then(|_| regex::Regex::new(&format!("^(?:{pattern})$")));
        if let Err(error) = whole {
            let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            self.error(&span, format!("this is no regular expression: {last}"), "expected one without look-around or back-references");
            return;
        }
        let pattern = SmolStr::new(pattern);
        self.change(row, id, |field| field.pattern = Some(pattern));
    }

    fn served_attr(&mut self, row: RowKind, id: FieldId, ty: Type, attr: &Attr) {
        let computed = attr.name.text == "computed";
        let Some(node) = args::expression(attr, "an expression of the field's type", &mut self.diagnostics) else { return };
        let what = if computed { "a computed field" } else { "`@set`" };
        let expr = self.served(node, what, row, ty, computed);
        self.change(row, id, |field| if computed { field.computed = expr } else { field.set = expr });
    }

    fn flag_attr(&mut self, row: RowKind, id: FieldId, attr: &Attr) {
        let _ = args::nothing(attr, &mut self.diagnostics);
        let name = attr.name.text.clone();
        self.change(row, id, |field| match name.as_str() {
            "search" => field.search = true,
            "fold" => field.fold = true,
            "readonly" => field.readonly = true,
            "once" => field.once = true,
            _ => field.secret = true,
        });
    }

    /// `@allow(read, expr)` and `@allow(write, expr)`.
    fn allow_attr(&mut self, row: RowKind, id: FieldId, attr: &Attr) {
        let form = "`read` or `write` and a condition, as in `@allow(read, id == caller.id)`";
        let [verb @ Arg { name: None, .. }, Arg { name: None, value: ArgValue::Expr(node), .. }] = attr.args.as_slice() else {
            self.error(&attr.span, "`@allow` does not read like this", format!("expected {form}"));
            return;
        };
        let Some(verb) = args::word(verb, attr, form, &mut self.diagnostics) else { return };
        if matches!(row, RowKind::Owned(_)) {
            self.error(&attr.span, "an owned type has no rules of its own", "put the rule on the list in its entity");
            return;
        }
        match verb {
            "read" => {
                let rule = self.condition(node, "a read rule", row, |place| place.now = false);
                self.change(row, id, |field| field.read_rule = rule);
            }
            "write" => {
                let rule = self.condition(node, "a write rule", row, |place| (place.old, place.new) = (true, true));
                self.change(row, id, |field| field.write_rule = rule);
            }
            other => {
                let near = crate::names::closest(other, ["read", "write"].into_iter());
                let diagnostic =
                    Diagnostic::error(attr.span.clone(), format!("unknown verb `{other}` of a field"), "expected `read` or `write`");
                self.diagnostics.push(diagnostic.suggest(near));
            }
        }
    }
}
