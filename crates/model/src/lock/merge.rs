//! Gives the model its numbers, plurals, tables and columns: the lock's where it has them, new ones where it has not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smol_str::SmolStr;

use super::{Lock, LockedEnum, LockedMember, LockedType, numbers};
use crate::model::{Entity, EnumType, Field, KEY, Member, Model, OwnedType, REVISION, Relation};
use crate::names;

/// What the model's text asks for a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// `@was`: the name it had.
    pub(crate) was: Option<SmolStr>,
    /// `@column`, or `table:` of `@@name`.
    pub(crate) column: Option<SmolStr>,
    /// `plural:` of `@@name`.
    pub(crate) plural: Option<SmolStr>,
}

/// Wishes by (type, member); the member is empty for the type itself.
pub(crate) type Wishes = HashMap<(SmolStr, SmolStr), Wish>;

/// Fills the model in, and gives the lock that belongs to it.
pub(crate) fn merge(old: &Lock, wishes: &Wishes, model: &mut Model) -> Lock {
    let new = Lock { reserved: old.reserved.clone(), ..Lock::default() };
    let mut merger = Merger { old, wishes, new, taken: BTreeSet::new(), inherited: BTreeSet::new() };
    merger.taken.extend(old.reserved.keys().copied().chain(old.types.values().map(|of| of.number)));
    let present: BTreeSet<SmolStr> =
        model.entities.iter().map(|of| of.name.clone()).chain(model.owned.iter().map(|of| of.name.clone())).collect();
    for entity in &mut model.entities {
        merger.entity(entity, &present);
    }
    for owned in &mut model.owned {
        merger.owned(owned, &present);
    }
    for one in &mut model.enums {
        merger.enumeration(one);
    }
    merger.reserve_types()
}

struct Merger<'a> {
    old: &'a Lock,
    wishes: &'a Wishes,
    new: Lock,
    /// Numbers of types that are given, now or once.
    taken: BTreeSet<u32>,
    /// Former names whose number has gone to another name.
    inherited: BTreeSet<SmolStr>,
}

impl Merger<'_> {
    fn wish(&self, owner: &str, member: &str) -> Wish {
        self.wishes.get(&(SmolStr::new(owner), SmolStr::new(member))).cloned().unwrap_or_default()
    }

    /// The type's line in the old lock, by its name or by the name it had.
    fn find(&mut self, name: &SmolStr, owned: bool, present: &BTreeSet<SmolStr>) -> Option<(LockedType, bool)> {
        if let Some(of) = self.old.types.get(name).filter(|of| of.owned == owned) {
            return Some((of.clone(), false));
        }
        let was = self.wish(name, "").was.filter(|was| !present.contains(was))?;
        let of = self.old.types.get(&was).filter(|of| of.owned == owned)?.clone();
        self.inherited.insert(was).then_some((of, true))
    }

    fn next_type_number(&mut self) -> u32 {
        let number = numbers::after(self.taken.last().copied().unwrap_or(0), &self.taken);
        self.taken.insert(number);
        number
    }

    fn entity(&mut self, entity: &mut Entity, present: &BTreeSet<SmolStr>) {
        let wish = self.wish(&entity.name, "");
        let found = self.find(&entity.name, false, present);
        let locked_plural = found.as_ref().filter(|(_, renamed)| !renamed).map(|(of, _)| of.plural.clone()).filter(|text| !text.is_empty());
        entity.plural = wish.plural.or(locked_plural).unwrap_or_else(|| SmolStr::new(names::plural(&entity.snake)));
        let old = found.map(|(of, _)| of);
        entity.number = old.as_ref().map_or_else(|| self.next_type_number(), |of| of.number);
        let locked_table = old.as_ref().map(|of| of.table.clone()).filter(|table| !table.is_empty());
        entity.table = wish.column.or(locked_table).unwrap_or_else(|| entity.plural.clone());

        let mut members = Members::of(old.as_ref(), self.wishes, &entity.name, 3);
        members.name_all(&entity.fields, &entity.relations);
        for (id, number) in [(KEY, 1), (REVISION, 2)] {
            if let Some(field) = entity.fields.get_mut(usize::from(id.0)) {
                members.fixed(field, number);
            }
        }
        let order = entity.members.clone();
        for member in order {
            match member {
                Member::Field(KEY | REVISION) => {}
                Member::Field(id) => entity.fields.get_mut(usize::from(id.0)).into_iter().for_each(|field| members.field(field)),
                Member::Relation(id) => entity.relations.get_mut(usize::from(id.0)).into_iter().for_each(|one| members.relation(one)),
            }
        }
        let (members, reserved) = members.finish();
        entity.reserved = reserved.keys().copied().collect();
        let (plural, table) = (entity.plural.clone(), entity.table.clone());
        let locked = LockedType { owned: false, number: entity.number, plural, table, members, reserved };
        self.new.types.insert(entity.name.clone(), locked);
    }

    fn owned(&mut self, owned: &mut OwnedType, present: &BTreeSet<SmolStr>) {
        let old = self.find(&owned.name, true, present).map(|(of, _)| of);
        owned.number = old.as_ref().map_or_else(|| self.next_type_number(), |of| of.number);
        let locked_table = old.as_ref().map(|of| of.table.clone()).filter(|table| !table.is_empty());
        owned.table = locked_table.unwrap_or_else(|| SmolStr::new(names::plural(&names::snake(&owned.name))));
        let mut members = Members::of(old.as_ref(), self.wishes, &owned.name, 1);
        members.name_all(&owned.fields, &owned.relations);
        for field in &mut owned.fields {
            members.field(field);
            let relation = field.relation.and_then(|id| owned.relations.get_mut(usize::from(id.0)));
            relation.into_iter().for_each(|one| members.relation(one));
        }
        let (members, reserved) = members.finish();
        let table = owned.table.clone();
        let locked = LockedType { owned: true, number: owned.number, plural: SmolStr::default(), table, members, reserved };
        self.new.types.insert(owned.name.clone(), locked);
    }

    fn enumeration(&mut self, one: &mut EnumType) {
        let was = self.wish(&one.name, "").was;
        let old = self.old.enums.get(&one.name).or_else(|| self.old.enums.get(&was?));
        let as_type = old.map(|of| LockedType { members: of.values.clone(), reserved: of.reserved.clone(), ..LockedType::default() });
        let mut members = Members::of(as_type.as_ref(), self.wishes, &one.name, 1);
        members.present.extend(one.values.iter().map(|value| value.name.clone()));
        for value in &mut one.values {
            let (number, column) = members.place(&value.name, true);
            value.number = i32::try_from(number).unwrap_or(i32::MAX);
            value.column = column;
        }
        let (values, reserved) = members.finish();
        self.new.enums.insert(one.name.clone(), LockedEnum { values, reserved });
    }

    /// What the old lock has and the new has not is reserved. A removed enum keeps its lines: a later one of its name goes on.
    fn reserve_types(mut self) -> Lock {
        let numbers: BTreeSet<u32> = self.new.types.values().map(|of| of.number).collect();
        for (name, of) in self.old.types.iter().filter(|(_, of)| !numbers.contains(&of.number)) {
            self.new.reserved.insert(of.number, name.clone());
        }
        let renamed: BTreeSet<SmolStr> = self.new.enums.keys().filter_map(|name| self.wish(name, "").was).collect();
        for (name, of) in &self.old.enums {
            if !self.new.enums.contains_key(name) && !renamed.contains(name) && !self.new.types.contains_key(name) {
                self.new.enums.insert(name.clone(), of.clone());
            }
        }
        self.new
    }
}

/// Numbers the members of one type.
struct Members<'a> {
    old: BTreeMap<SmolStr, LockedMember>,
    wishes: &'a Wishes,
    owner: SmolStr,
    /// Names that the type has now.
    present: BTreeSet<SmolStr>,
    /// Former names whose number has gone to another name.
    inherited: BTreeSet<SmolStr>,
    /// The highest number that was ever given.
    last: u32,
    new: BTreeMap<SmolStr, LockedMember>,
    reserved: BTreeMap<u32, SmolStr>,
}

impl<'a> Members<'a> {
    fn of(old: Option<&LockedType>, wishes: &'a Wishes, owner: &SmolStr, first: u32) -> Members<'a> {
        let reserved = old.map(|of| of.reserved.clone()).unwrap_or_default();
        let old = old.map(|of| of.members.clone()).unwrap_or_default();
        let given = old.values().map(|member| member.number).chain(reserved.keys().copied()).max();
        let last = given.unwrap_or(0).max(first - 1);
        let (present, inherited, new) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Members { old, wishes, owner: owner.clone(), present, inherited, last, new, reserved }
    }

    fn name_all(&mut self, fields: &[Field], relations: &[Relation]) {
        self.present.extend(fields.iter().map(|field| field.name.clone()));
        self.present.extend(relations.iter().map(|relation| relation.name.clone()));
    }

    fn field(&mut self, field: &mut Field) {
        (field.number, field.column) = self.place(&field.name, true);
    }

    fn relation(&mut self, relation: &mut Relation) {
        (relation.number, _) = self.place(&relation.name, false);
    }

    fn fixed(&mut self, field: &mut Field, number: u32) {
        field.number = number;
        let locked = self.old.get(&field.name).and_then(|member| member.column.clone());
        let wish = self.wishes.get(&(self.owner.clone(), field.name.clone())).and_then(|wish| wish.column.clone());
        field.column = wish.or(locked).unwrap_or_else(|| field.name.clone());
        self.new.insert(field.name.clone(), LockedMember { number, column: Some(field.column.clone()) });
    }

    /// A member's number and column: the lock's by name, or by the name it had, else the next.
    fn place(&mut self, name: &SmolStr, column: bool) -> (u32, SmolStr) {
        let wish = self.wishes.get(&(self.owner.clone(), name.clone())).cloned().unwrap_or_default();
        let old = self.old.get(name).cloned().or_else(|| self.inherit(wish.was?));
        let number = old.as_ref().map_or_else(|| self.next(), |member| member.number);
        let text = wish.column.or(old.and_then(|member| member.column)).unwrap_or_else(|| name.clone());
        self.new.insert(name.clone(), LockedMember { number, column: column.then(|| text.clone()) });
        (number, text)
    }

    /// What a name that is gone had; only one name has it after it.
    fn inherit(&mut self, was: SmolStr) -> Option<LockedMember> {
        let old = self.old.get(&was).filter(|_| !self.present.contains(&was))?.clone();
        self.inherited.insert(was).then_some(old)
    }

    fn next(&mut self) -> u32 {
        let used = self.old.values().chain(self.new.values()).map(|member| member.number);
        self.last = numbers::after(self.last, &used.chain(self.reserved.keys().copied()).collect());
        self.last
    }

    fn finish(mut self) -> (BTreeMap<SmolStr, LockedMember>, BTreeMap<u32, SmolStr>) {
        let numbers: BTreeSet<u32> = self.new.values().map(|member| member.number).collect();
        for (name, member) in self.old.into_iter().filter(|(_, member)| !numbers.contains(&member.number)) {
            self.reserved.insert(member.number, name);
        }
        (self.new, self.reserved)
    }
}
