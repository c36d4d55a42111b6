//! Second pass: fields and relations with their types, before any attribute but those that name.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::{Declared, Resolver};
use crate::ast::{FieldItem, Mark, MemberItem, TypeItem, TypeRef, Word};
use crate::diagnostics::Diagnostic;
use crate::model::*;
use crate::names;
use crate::typing::is_broken;

/// What a member of an entity or owned type became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    Field(FieldId),
    /// A to-one relation and its column.
    One(FieldId, RelationId),
    Many(RelationId),
    /// A block attribute, or a member whose error has been told.
    Nothing,
}

/// Fields and relations of one type: slots of a row have 16 bits, and rows stay readable.
const MEMBERS_MAX: usize = 500;

/// One type's shape as it grows.
#[derive(Default)]
struct Shape {
    fields: Vec<Field>,
    relations: Vec<Relation>,
    members: Vec<Member>,
    placed: Vec<Placed>,
    names: HashMap<SmolStr, ()>,
}

impl Resolver<'_> {
    pub(super) fn shapes(&mut self) {
        let keys: Vec<Base> = self.entity_items.iter().map(|(_, item)| self.key_of(item)).collect();
        for at in 0..self.entity_items.len() {
            let Some((_, item)) = self.entity_items.get(at).copied() else { continue };
            let shape = self.entity_shape(item, &keys);
            let Some(entity) = self.model.entities.get_mut(at) else { continue };
            let fields = shape.fields.iter().enumerate();
            entity.field_names = fields.map(|(at, field)| (field.name.clone(), FieldId(at as u16))).collect();
            let relations = shape.relations.iter().enumerate();
            entity.relation_names = relations.map(|(at, one)| (one.name.clone(), RelationId(at as u16))).collect();
            (entity.fields, entity.relations, entity.members) = (shape.fields, shape.relations, shape.members);
            self.entity_placed.push(shape.placed);
        }
        for at in 0..self.owned_items.len() {
            let Some((_, item)) = self.owned_items.get(at).copied() else { continue };
            let mut shape = Shape::default();
            self.fill(item, &keys, true, &mut shape);
            if shape.fields.is_empty() {
                self.error(&item.name.span, format!("owned type `{}` has no fields", item.name.text), "expected at least one");
            }
            let Some(owned) = self.model.owned.get_mut(at) else { continue };
            (owned.fields, owned.relations) = (shape.fields, shape.relations);
            self.owned_placed.push(shape.placed);
        }
    }

    /// The type of an entity's key, for the columns that refer to it; an absent or wrong key is told elsewhere.
    fn key_of(&self, item: &TypeItem) -> Base {
        let mut fields = item.members.iter().filter_map(|member| match member {
            MemberItem::Field(field) => Some(field),
            MemberItem::Block(_) => None,
        });
        let key = fields.find(|field| field.name.text == "id");
        match key.and_then(|field| self.types.get(&field.ty.name.text)) {
            Some(Declared::Scalar(base @ (Base::Uuid | Base::String | Base::Int | Base::BigInt))) => *base,
            _ => Base::Uuid,
        }
    }

    /// Slots 0 and 1 are the key and the revision, wherever the key stands in the file.
    fn entity_shape(&mut self, item: &TypeItem, keys: &[Base]) -> Shape {
        // A client may give a key, and nobody changes it.
        let id = Field { ty: single(self.key_of(item)), once: true, ..new_field("id") };
        let revision = Field { ty: single(Base::BigInt), readonly: true, ..new_field("revision") };
        let members = vec![Member::Field(KEY), Member::Field(REVISION)];
        let mut shape = Shape { fields: vec![id, revision], members, ..Shape::default() };
        shape.names.insert(SmolStr::new("id"), ());
        shape.names.insert(SmolStr::new("revision"), ());
        self.fill(item, keys, false, &mut shape);
        shape
    }

    fn fill(&mut self, item: &TypeItem, keys: &[Base], owned: bool, shape: &mut Shape) {
        let mut key_seen = false;
        for member in &item.members {
            let MemberItem::Field(field) = member else {
                shape.placed.push(Placed::Nothing);
                continue;
            };
            if shape.fields.len() + shape.relations.len() > MEMBERS_MAX {
                self.error(&field.name.span, format!("`{}` has more than {MEMBERS_MAX} members", item.name.text), "this is one more");
                return;
            }
            self.check_member_name(&field.name);
            let is_key = !owned && field.name.text == "id" && !std::mem::replace(&mut key_seen, true);
            let placed = if is_key {
                Some(self.place_key(&item.name.text, field, shape))
            } else {
                self.place_field(item, field, keys, owned, shape)
            };
            if placed.is_none() {
                self.broken.push((item.name.text.clone(), field.name.text.clone()));
            }
            shape.placed.push(placed.unwrap_or(Placed::Nothing));
        }
        if !owned && !key_seen && !is_broken(&self.broken, &item.name.text, "id") {
            let help = "add `id Uuid @key @default(uuid7())`";
            self.error_with_help(
                &item.name.span,
                format!("entity `{}` has no key", item.name.text),
                "expected a field `id` with `@key`",
                help,
            );
        }
    }

    fn place_key(&mut self, owner: &SmolStr, field: &FieldItem, shape: &mut Shape) -> Placed {
        let fits = match self.types.get(&field.ty.name.text) {
            Some(Declared::Scalar(Base::Uuid | Base::String | Base::Int | Base::BigInt)) => {
                field.ty.mark == Mark::One && field.ty.args.is_empty()
            }
            _ => false,
        };
        if !fits {
            self.error(&field.ty.span, "a key is not of this type", "expected `Uuid`, `String`, `Int` or `BigInt`");
        }
        self.spans.insert((owner.clone(), field.name.text.clone()), field.name.span.clone());
        self.naming_attrs(owner, "id", field, None);
        if let Some(key) = shape.fields.first_mut() {
            key.doc = field.doc.clone();
        }
        Placed::Field(KEY)
    }

    fn place_field(&mut self, item: &TypeItem, field: &FieldItem, keys: &[Base], owned: bool, shape: &mut Shape) -> Option<Placed> {
        let owner = &item.name.text;
        match self.declared(&field.ty)? {
            Declared::Scalar(_) => {
                let ty = self.field_type(&field.ty, owned)?;
                self.claim_name(owner, &field.name, field.name.text.clone(), shape)?;
                self.naming_attrs(owner, &field.name.text, field, None);
                let id = FieldId(u16::try_from(shape.fields.len()).ok()?);
                shape.fields.push(Field { ty, doc: field.doc.clone(), ..new_field(&field.name.text) });
                shape.members.push(Member::Field(id));
                Some(Placed::Field(id))
            }
            Declared::Entity(target) if field.ty.mark == Mark::List => {
                if owned {
                    self.error(&field.ty.span, "an owned type has no relation to many rows", "expected a field or a relation to one");
                    return None;
                }
                self.claim_name(owner, &field.name, field.name.text.clone(), shape)?;
                self.naming_attrs(owner, &field.name.text, field, None);
                // `inverses` fills the kind in.
                let kind = RelationKind::Many { inverse: RelationId(0), field: FieldId(0) };
                Some(Placed::Many(push_relation(field, target, kind, shape)?))
            }
            Declared::Entity(target) => {
                let column = SmolStr::new(format!("{}_id", field.name.text));
                self.claim_name(owner, &field.name, field.name.text.clone(), shape)?;
                self.claim_name(owner, &field.name, column.clone(), shape)?;
                self.naming_attrs(owner, &field.name.text, field, Some(&column));
                let base = keys.get(usize::from(target.0)).copied().unwrap_or(Base::Uuid);
                let (id, relation) =
                    (FieldId(u16::try_from(shape.fields.len()).ok()?), RelationId(u16::try_from(shape.relations.len()).ok()?));
                let ty = Type { base, nullable: field.ty.mark == Mark::Nullable, list: false };
                shape.fields.push(Field { ty, doc: field.doc.clone(), relation: Some(relation), ..new_field(&column) });
                shape.members.push(Member::Field(id));
                let kind = RelationKind::One { field: id, on_delete: OnDelete::Restrict };
                push_relation(field, target, kind, shape)?;
                Some(Placed::One(id, relation))
            }
        }
    }

    /// Takes a member's name; `None` when another has it.
    fn claim_name(&mut self, owner: &SmolStr, word: &Word, name: SmolStr, shape: &mut Shape) -> Option<()> {
        // Told with the names that are reserved.
        if name == "revision" {
            return None;
        }
        self.spans.insert((owner.clone(), name.clone()), word.span.clone());
        if shape.names.insert(name.clone(), ()).is_none() {
            return Some(());
        }
        let message = if name == word.text {
            format!("a second member `{name}` of `{owner}`")
        } else {
            format!("the column `{name}` of relation `{}` meets another member of `{owner}`", word.text)
        };
        self.error(&word.span, message, "expected another name");
        None
    }

    /// `@was` and `@column`, which numbering needs; those of a relation apply to its column.
    fn naming_attrs(&mut self, owner: &SmolStr, name: &str, field: &FieldItem, column: Option<&SmolStr>) {
        for attr in field.attrs.iter().filter(|attr| matches!(attr.name.text.as_str(), "was" | "column")) {
            self.naming_attr(owner, name, attr);
        }
        let Some(column) = column else { return };
        let Some(wish) = self.wishes.get_mut(&(owner.clone(), SmolStr::new(name))) else { return };
        let (was, stored) = (wish.was.as_ref().map(|was| SmolStr::new(format!("{was}_id"))), wish.column.take());
        let of_column = self.wish(owner, column);
        (of_column.was, of_column.column) = (was, stored);
    }

    /// What a type's name means; an unknown one is told.
    pub(super) fn declared(&mut self, ty: &TypeRef) -> Option<Declared> {
        if ty.name.text == "Decimal" {
            return self.decimal(ty).map(Declared::Scalar);
        }
        if !ty.args.is_empty() {
            self.error(&ty.span, format!("`{}` takes no digits", ty.name.text), "expected `Decimal(p,s)`, or the type alone");
            return None;
        }
        if let Some(declared) = self.types.get(&ty.name.text) {
            return Some(*declared);
        }
        if is_broken(&self.broken, &ty.name.text, "") {
            return None;
        }
        let near = names::closest(&ty.name.text, self.types.keys().map(SmolStr::as_str).chain(["Decimal"]));
        let near = foreign(&ty.name.text).or(near);
        let message = format!("unknown type `{}`", ty.name.text);
        self.diagnostics
            .push(Diagnostic::error(ty.name.span.clone(), message, "expected a scalar, an enum, an entity or an owned type").suggest(near));
        None
    }

    fn decimal(&mut self, ty: &TypeRef) -> Option<Base> {
        let digits: Vec<u8> = ty.args.iter().filter_map(|word| word.text.parse().ok()).collect();
        match digits.as_slice() {
            [precision @ 1..=18, scale] if scale <= precision => Some(Base::Decimal { precision: *precision, scale: *scale }),
            _ => {
                let label = "expected `Decimal(p,s)`: 1 to 18 digits in all, and how many of them after the point";
                self.error(&ty.span, "a Decimal is not like this", label);
                None
            }
        }
    }

    fn field_type(&mut self, ty: &TypeRef, owned: bool) -> Option<Type> {
        let Declared::Scalar(base) = self.declared(ty)? else { return None };
        match base {
            Base::Owned(_) if owned => {
                self.refuse(ty, "an owned type holds no other owned type", "expected a scalar, an enum or a relation")
            }
            Base::Owned(_) if ty.mark != Mark::List => {
                let help = format!("write `{}[]`", ty.name.text);
                self.error_with_help(&ty.span, "an owned type is held as a list", format!("expected `{}[]`", ty.name.text), help);
                None
            }
            Base::Json if ty.mark == Mark::List => self.refuse(ty, "a list of Json", "expected `Json`, which may hold an array"),
            _ => Some(type_of(base, ty.mark)),
        }
    }

    fn refuse<T>(&mut self, ty: &TypeRef, message: &str, label: &str) -> Option<T> {
        self.error(&ty.span, message, label);
        None
    }

    /// The type of what is a value and not a relation: a claim, a presence field.
    pub(super) fn value_type(&mut self, ty: &TypeRef, what: &str) -> Option<Type> {
        match self.declared(ty)? {
            Declared::Scalar(Base::Owned(_)) | Declared::Entity(_) => {
                self.refuse(ty, &format!("{what} of this type"), "expected a scalar or an enum")
            }
            Declared::Scalar(base) => Some(type_of(base, ty.mark)),
        }
    }
}

fn push_relation(field: &FieldItem, target: EntityId, kind: RelationKind, shape: &mut Shape) -> Option<RelationId> {
    let id = RelationId(u16::try_from(shape.relations.len()).ok()?);
    shape.relations.push(Relation { name: field.name.text.clone(), number: 0, doc: field.doc.clone(), target, kind });
    shape.members.push(Member::Relation(id));
    Some(id)
}

fn single(base: Base) -> Type {
    Type { base, nullable: false, list: false }
}

fn type_of(base: Base, mark: Mark) -> Type {
    Type { base, nullable: mark == Mark::Nullable, list: mark == Mark::List }
}

/// The names that other languages have for our scalars.
fn foreign(name: &str) -> Option<&'static str> {
    Some(match name {
        "Bool" => "Boolean",
        "Text" | "Varchar" | "Char" => "String",
        "Integer" => "Int",
        "Long" | "Bigint" | "Int64" => "BigInt",
        "Double" | "Real" => "Float",
        "Timestamp" | "Datetime" | "Time" => "DateTime",
        "UUID" | "Guid" => "Uuid",
        "JSON" | "Object" | "Map" => "Json",
        "Blob" | "Binary" => "Bytes",
        "Numeric" | "Money" => "Decimal",
        _ => return None,
    })
}

/// A field with nothing but a name.
pub(super) fn new_field(name: &str) -> Field {
    Field {
        name: SmolStr::new(name),
        number: 0,
        column: SmolStr::new(name),
        ty: single(Base::String),
        doc: None,
        default: None,
        unique: false,
        min: None,
        max: None,
        length: (None, None),
        pattern: None,
        search: false,
        fold: false,
        computed: None,
        set: None,
        readonly: false,
        once: false,
        secret: false,
        relation: None,
        read_rule: None,
        write_rule: None,
        deprecated: None,
    }
}
