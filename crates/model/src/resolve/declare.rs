//! First pass: the package, and which types there are.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::{Declared, Resolver};
use crate::ast::{Attr, EnumItem, Item, ItemKind, MemberItem, Word};
use crate::diagnostics::Diagnostic;
use crate::model::*;
use crate::names;

const SCALARS: [(&str, Base); 10] = [
    ("String", Base::String),
    ("Boolean", Base::Boolean),
    ("Int", Base::Int),
    ("BigInt", Base::BigInt),
    ("Float", Base::Float),
    ("DateTime", Base::DateTime),
    ("Date", Base::Date),
    ("Uuid", Base::Uuid),
    ("Bytes", Base::Bytes),
    ("Json", Base::Json),
];
/// Words that expressions use themselves.
const RESERVED_FIELDS: [&str; 7] = ["old", "new", "caller", "channel", "in", "true", "false"];
/// Types that the contracts define themselves.
const RESERVED_TYPES: [&str; 5] = ["Query", "Mutation", "Subscription", "Node", "PageInfo"];
/// Letters of a name.
const NAME_MAX: usize = 48;
/// Types of one model; ids have 16 bits, and tables of contracts stay readable.
const TYPES_MAX: usize = 1000;

impl<'a> Resolver<'a> {
    pub(super) fn package(&mut self) {
        let parts = &self.file.package;
        let Some((last, head)) = parts.split_last() else { return };
        let versioned =
            last.text.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        if !versioned || head.is_empty() {
            let name = if versioned { "shop" } else { &last.text };
            let help = format!("write `package {name}.v1`");
            self.error_with_help(
                &last.span,
                format!("package ends in `{}`", last.text),
                "expected a name and a version, as in `shop.v1`",
                help,
            );
        }
        let join = |words: &[Word]| SmolStr::new(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("."));
        self.model.package = Package { name: join(parts), base: join(head), version: last.text.clone() };
        for part in parts {
            self.check_name(part, "a package's part");
        }
    }

    pub(super) fn declare(&mut self) {
        for (name, base) in SCALARS {
            self.types.insert(SmolStr::new(name), Declared::Scalar(base));
        }
        let mut caller = false;
        for item in self.items() {
            match &item.kind {
                ItemKind::Enum(one) => self.declare_enum(item, one),
                ItemKind::Entity(of) => {
                    let id = EntityId(u16::try_from(self.model.entities.len()).unwrap_or(u16::MAX));
                    if self.declare_type(&of.name, Declared::Entity(id)) {
                        self.model.entities.push(empty_entity(item, &of.name));
                        self.entity_items.push((item, of));
                    }
                }
                ItemKind::Owned(of) => {
                    let id = OwnedId(u16::try_from(self.model.owned.len()).unwrap_or(u16::MAX));
                    if self.declare_type(&of.name, Declared::Scalar(Base::Owned(id))) {
                        self.model.owned.push(empty_owned(item, &of.name));
                        self.owned_items.push((item, of));
                    }
                }
                ItemKind::Caller(_) if std::mem::replace(&mut caller, true) => {
                    self.error(&(item.span.start..item.span.start + 6), "a second `caller` block", "expected one in the file");
                }
                _ => {}
            }
        }
    }

    /// False when the name cannot be used; it has been told.
    fn declare_type(&mut self, name: &Word, declared: Declared) -> bool {
        if self.types.len() >= TYPES_MAX {
            self.error(&name.span, format!("a model has at most {TYPES_MAX} types"), "this is one more");
            return false;
        }
        if name.text.contains('_') || name.text.len() > NAME_MAX {
            let message = format!("`{}` cannot name a type", name.text);
            self.error(&name.span, message, "expected at most 48 letters and digits, as in `InvoiceLine`");
        }
        // `Decimal` has digits and is no plain scalar.
        let scalar = name.text == "Decimal" || matches!(self.types.get(&name.text), Some(Declared::Scalar(base)) if is_plain(*base));
        if scalar || RESERVED_TYPES.contains(&name.text.as_str()) {
            self.error(
                &name.span,
                format!("type name `{}` is reserved", name.text),
                "the language or the contracts have a type of this name; expected another",
            );
            return false;
        }
        if self.types.contains_key(&name.text) {
            self.error(&name.span, format!("a second type `{}`", name.text), "expected another name");
            return false;
        }
        self.types.insert(name.text.clone(), declared);
        self.spans.insert((name.text.clone(), SmolStr::default()), name.span.clone());
        true
    }

    fn declare_enum(&mut self, item: &Item, one: &EnumItem) {
        let id = EnumId(u16::try_from(self.model.enums.len()).unwrap_or(u16::MAX));
        if !self.declare_type(&one.name, Declared::Scalar(Base::Enum(id))) {
            return;
        }
        let mut values: Vec<EnumValue> = Vec::new();
        for value in &one.values {
            self.check_name(&value.name, "a value's name");
            let name = &value.name.text;
            if ["unspecified", "true", "false", "null"].contains(&name.as_str()) {
                self.error(
                    &value.name.span,
                    format!("value `{name}` is reserved"),
                    "the language or the contracts have a value of this name; expected another",
                );
                self.broken.push((one.name.text.clone(), name.clone()));
                continue;
            }
            if values.iter().any(|other| other.name == *name) {
                self.error(&value.name.span, format!("a second value `{name}` in `{}`", one.name.text), "expected another name");
                continue;
            }
            self.enum_value_attrs(&one.name.text, name, &value.attrs);
            let spot = (one.name.text.clone(), name.clone());
            self.spans.insert(spot, value.name.span.clone());
            values.push(EnumValue { name: name.clone(), number: 0, column: name.clone(), doc: value.doc.clone() });
        }
        if values.is_empty() {
            self.error(&one.name.span, format!("enum `{}` has no values", one.name.text), "expected at least one");
        }
        self.model.enums.push(EnumType { name: one.name.text.clone(), doc: item.doc.clone(), values });
    }

    fn enum_value_attrs(&mut self, owner: &SmolStr, name: &SmolStr, attrs: &[Attr]) {
        for attr in attrs {
            if !self.naming_attr(owner, name, attr) {
                let near = names::closest(&attr.name.text, ["was", "column"].into_iter());
                let message = format!("unknown attribute `@{}` of an enum's value", attr.name.text);
                self.diagnostics.push(Diagnostic::error(attr.span.clone(), message, "expected `@was` or `@column`").suggest(near));
            }
        }
    }

    /// Tells when a name is not as the grammar has it.
    pub(super) fn check_name(&mut self, word: &Word, what: &str) {
        let text = word.text.as_str();
        let snake = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !snake {
            let help = format!("did you mean `{}`?", names::snake(text));
            self.error_with_help(&word.span, format!("`{text}` is not in snake case"), format!("expected {what} in lower case"), help);
        } else if text.contains("__") || text.ends_with('_') {
            self.error(
                &word.span,
                format!("`{text}` has a loose `_`"),
                "expected single `_` between words; `__` separates operators in REST",
            );
        } else if text.len() > NAME_MAX {
            self.error(&word.span, format!("`{text}` has {} letters", text.len()), format!("expected at most {NAME_MAX}"));
        }
    }

    /// Tells when a member cannot have this name.
    pub(super) fn check_member_name(&mut self, word: &Word) {
        self.check_name(word, "a field's name");
        if RESERVED_FIELDS.contains(&word.text.as_str()) || word.text == "null" {
            self.error(&word.span, format!("nothing can be called `{}`", word.text), "expressions use this word; expected another");
        }
        if matches!(word.text.as_str(), "revision" | "cursor") {
            let label = "the engine keeps it by itself; expected another name";
            self.error(&word.span, format!("the name `{}` is reserved", word.text), label);
        }
    }

    /// The claims of the `caller` block, with their types.
    pub(super) fn claims(&mut self) {
        let Some(Item { kind: ItemKind::Caller(members), .. }) = self.caller_item() else { return };
        for member in members {
            let MemberItem::Field(field) = member else { continue };
            self.check_name(&field.name, "a claim's name");
            if self.model.claims.iter().any(|claim| claim.name == field.name.text) {
                self.error(&field.name.span, format!("a second claim `{}`", field.name.text), "expected another name");
                continue;
            }
            let Some(ty) = self.value_type(&field.ty, "a claim") else {
                self.broken.push((SmolStr::new("caller"), field.name.text.clone()));
                continue;
            };
            let (name, path) = (field.name.text.clone(), field.name.text.clone());
            self.model.claims.push(Claim { name, ty, path, doc: field.doc.clone() });
        }
    }
}

fn is_plain(base: Base) -> bool {
    !matches!(base, Base::Enum(_) | Base::Owned(_))
}

fn empty_entity(item: &Item, name: &Word) -> Entity {
    Entity {
        name: name.text.clone(),
        snake: SmolStr::new(names::snake(&name.text)),
        plural: SmolStr::default(),
        table: SmolStr::default(),
        number: 0,
        doc: item.doc.clone(),
        fields: Vec::new(),
        relations: Vec::new(),
        members: Vec::new(),
        rules: Vec::new(),
        indexes: Vec::new(),
        uniques: Vec::new(),
        cache: None,
        require_revision: false,
        internal: false,
        readonly: false,
        captured: false,
        retain: None,
        watch: true,
        expose: Expose { rest: true, graphql: true, grpc: true, websocket: true },
        before: Vec::new(),
        class: RuleClass::Local,
        reserved: Vec::new(),
        field_names: HashMap::new(),
        relation_names: HashMap::new(),
    }
}

fn empty_owned(item: &Item, name: &Word) -> OwnedType {
    let (name, doc) = (name.text.clone(), item.doc.clone());
    OwnedType { name, doc, number: 0, table: SmolStr::default(), fields: Vec::new(), relations: Vec::new() }
}
