//! Filters: `field=`, `field__op=`, `relation__field__op=` and `filter=`.

use fourfold_model::expr::{Compare, ExprKind, ExprType, Function, Path, Scope};
use fourfold_model::{Base, EntityId, Expr, FieldId, RelationId, RelationKind, Value};

use super::{Asking, Wrong, is_key, names};
use crate::json::{did_you_mean, parse_text, quoted};

/// The operators, by their names after `__`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Compare(Compare),
    In,
    NotIn,
    Contains,
    IContains,
    StartsWith,
    IsNull,
    Has,
}

const OPS: [(&str, Op); 12] = [
    ("eq", Op::Compare(Compare::Equal)),
    ("ne", Op::Compare(Compare::NotEqual)),
    ("gt", Op::Compare(Compare::Greater)),
    ("gte", Op::Compare(Compare::GreaterOrEqual)),
    ("lt", Op::Compare(Compare::Less)),
    ("lte", Op::Compare(Compare::LessOrEqual)),
    ("in", Op::In),
    ("not_in", Op::NotIn),
    ("contains", Op::Contains),
    ("icontains", Op::IContains),
    ("startswith", Op::StartsWith),
    ("isnull", Op::IsNull),
];

/// The one operator of scalar lists.
const HAS: (&str, Op) = ("has", Op::Has);

/// A field that a path leads to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) hops: Vec<RelationId>,
    pub(super) entity: EntityId,
    pub(super) field: FieldId,
}

impl Asking<'_> {
    /// One filter parameter, given once or repeatedly; `None` when it is wrong (and noted).
    pub(super) fn term(&mut self, entity: EntityId, name: &str, texts: &[&str]) -> Option<Expr> {
        let made = self.split(entity, name).and_then(|(target, op)| Ok(self.make(&target, op, name, texts)?));
        made.map_err(|wrong| self.refused(name, wrong)).ok()
    }

    /// `buyer__name__contains` as a path and an operator.
    fn split(&self, entity: EntityId, name: &str) -> Result<(Target, Op), Wrong> {
        let mut segments = name.split("__").collect::<Vec<&str>>();
        let op = self.split_op(entity, &mut segments)?;
        let target = self.walk(entity, &segments, name)?;
        Ok((target, op))
    }

    /// Takes the operator off the end. A field of an operator's name is a field where it stands alone: `lt=5`, `buyer__lt__gte=5`.
    fn split_op(&self, entity: EntityId, segments: &mut Vec<&str>) -> Result<Op, Wrong> {
        let Some(last) = segments.last().copied().filter(|_| segments.len() > 1) else { return Ok(Op::Compare(Compare::Equal)) };
        let named = OPS.iter().chain([&HAS]).find(|(name, _)| *name == last).map(|(_, op)| *op);
        let whole_is_a_path = self.walk(entity, segments, "").is_ok();
        match named {
            Some(op) if !whole_is_a_path => {
                segments.pop();
                Ok(op)
            }
            _ if whole_is_a_path => Ok(Op::Compare(Compare::Equal)),
            _ if self.walk(entity, &segments[..segments.len() - 1], "").is_ok() => Err(unknown_op(last).into()),
            _ => Ok(Op::Compare(Compare::Equal)),
        }
    }

    /// Follows to-one relations to a field. A path that ends in the related key is the column that holds it.
    pub(super) fn walk(&self, entity: EntityId, segments: &[&str], parameter: &str) -> Result<Target, Wrong> {
        let Some((last, before)) = segments.split_last() else { return Err(Wrong::Detail("a name is missing".to_owned())) };
        if before.len() > self.limits.expand_depth_max {
            return Err(Wrong::TooFar);
        }
        let (mut at, mut parent, mut hops) = (entity, entity, Vec::new());
        for name in before {
            parent = at;
            let relation = self.to_one(at, name, parameter)?;
            hops.push(relation);
            at = self.entity(at).relation(relation).target;
        }
        let field = self.last_field(at, last, before.is_empty())?;
        match (is_key(field), hops.last().map(|hop| self.entity(parent).relation(*hop).kind)) {
            (true, Some(RelationKind::One { field: column, .. })) => {
                hops.pop();
                Ok(Target { hops, entity: parent, field: column })
            }
            _ => Ok(Target { hops, entity: at, field }),
        }
    }

    fn to_one(&self, entity: EntityId, name: &str, parameter: &str) -> Result<RelationId, String> {
        let of = self.entity(entity);
        let found = of.relation_by_name(name).filter(|id| self.face.shows(self.entity(of.relation(*id).target)));
        match found.map(|id| (id, of.relation(id).kind)) {
            Some((id, RelationKind::One { .. })) => Ok(id),
            Some((_, RelationKind::Many { .. })) => {
                Err(format!("`{name}` is a to-many relation; ask `filter={name}.exists(x, …)` instead of {}", quoted(parameter)))
            }
            None if of.field_by_name(name).is_some() => {
                Err(format!("`{name}` of `{}` is not a relation: nothing can be asked below it", of.name))
            }
            None => Err(self.unknown(entity, name)),
        }
    }

    fn last_field(&self, entity: EntityId, name: &str, is_first: bool) -> Result<FieldId, String> {
        let of = self.entity(entity);
        if let Some(field) = self.readable(of, name)? {
            return Ok(field);
        }
        match of.relation_by_name(name).map(|id| of.relation(id).kind) {
            Some(RelationKind::One { .. }) => Err(format!("`{name}` is a relation; its key is `{name}_id`")),
            Some(RelationKind::Many { .. }) if is_first => Err(format!("`{name}` is a to-many relation; ask `filter={name}.exists(x, …)`")),
            _ => Err(self.unknown(entity, name)),
        }
    }

    fn unknown(&self, entity: EntityId, name: &str) -> String {
        let of = self.entity(entity);
        let known = names(self.model, self.face, of);
        let reserved = super::RESERVED.iter().copied();
        let near = did_you_mean(name, known.iter().map(String::as_str).chain(reserved));
        format!("unknown parameter {}: `{}` has no such field{near}", quoted(name), of.name)
    }

    fn make(&mut self, target: &Target, op: Op, name: &str, texts: &[&str]) -> Result<Expr, String> {
        let ty = self.entity(target.entity).field(target.field).ty;
        allowed(op, ty.base, ty.list, name)?;
        let path = Path { scope: Scope::Row, hops: target.hops.clone() };
        let field = Expr { kind: ExprKind::Field(path, target.field), ty: ExprType { base: Some(ty.base), list: ty.list } };
        if matches!(op, Op::In | Op::NotIn) {
            return self.make_in(field, op, ty.base, name, texts);
        }
        let [text] = texts else {
            return Err(format!("{} is given {} times; for any of several values use `__in`", quoted(name), texts.len()));
        };
        if op == Op::IsNull {
            return is_null(field, text);
        }
        let value = parse_text(self.model, ty.base, text)?;
        let value = Expr::value(self.lift(value).0, ExprType::one(ty.base));
        Ok(Expr::boolean(operation(op, field, value)))
    }

    fn make_in(&mut self, field: Expr, op: Op, base: Base, name: &str, texts: &[&str]) -> Result<Expr, String> {
        // A repeated key is never split, so that a value with a comma can be asked for.
        let mut texts: Vec<&str> = match texts {
            [""] => Vec::new(),
            [one] => one.split(',').collect(),
            several => several.to_vec(),
        };
        let values_max = self.limits.in_values_max;
        if texts.len() > values_max {
            self.exceeded(name, "in_values_max", values_max, "values");
            texts.clear();
        }
        let values: Vec<Value> = texts.iter().map(|text| parse_text(self.model, base, text)).collect::<Result<_, _>>()?;
        let values = Expr::value(self.lift(Value::List(values.into())).0, ExprType::list(base));
        let found = Expr::boolean(ExprKind::In(Box::new(field), Box::new(values)));
        Ok(if op == Op::NotIn { Expr::boolean(ExprKind::Not(Box::new(found))) } else { found })
    }

    /// The expression of `filter=`, with its literals among the request's values.
    pub(super) fn expression(&mut self, entity: EntityId, text: &str) -> Option<Expr> {
        let bytes_max = self.limits.filter_bytes_max;
        if text.len() > bytes_max {
            self.exceeded("filter", "filter_bytes_max", bytes_max, "bytes");
            return None;
        }
        let parsed = self.parse_expression(entity, text);
        parsed.map_err(|detail| self.wrong("filter", detail)).ok()
    }

    fn parse_expression(&mut self, entity: EntityId, text: &str) -> Result<Expr, String> {
        let expr = fourfold_model::filter(self.model, entity, text).map_err(|error| error.message)?;
        let model = self.model;
        crate::lift::check_visible(model, entity, &expr, &|of| !model.entity(of).internal)?;
        Ok(crate::lift::lift(expr, &mut |value| self.lift(value)))
    }
}

fn operation(op: Op, field: Expr, value: Expr) -> ExprKind {
    let text = ExprType::one(Base::String);
    let lower = |of: Expr| Expr { kind: ExprKind::Call(Function::Lower, vec![of]), ty: text };
    match op {
        Op::Compare(compare) => ExprKind::Compare(compare, Box::new(field), Box::new(value)),
        Op::Contains => ExprKind::Call(Function::Contains, vec![field, value]),
        Op::IContains => ExprKind::Call(Function::Contains, vec![lower(field), lower(value)]),
        Op::StartsWith => ExprKind::Call(Function::StartsWith, vec![field, value]),
        Op::Has | Op::In | Op::NotIn | Op::IsNull => ExprKind::In(Box::new(value), Box::new(field)),
    }
}

fn is_null(field: Expr, text: &str) -> Result<Expr, String> {
    let null = Expr::boolean(ExprKind::IsNull(Box::new(field)));
    match text {
        "true" => Ok(null),
        "false" => Ok(Expr::boolean(ExprKind::Not(Box::new(null)))),
        _ => Err(format!("{} is not a Boolean; expected true or false", quoted(text))),
    }
}

/// Whether an operator means something for a type.
fn allowed(op: Op, base: Base, list: bool, name: &str) -> Result<(), String> {
    let ordered = !matches!(base, Base::Boolean | Base::Enum(_) | Base::Bytes);
    let comparable = !matches!(base, Base::Json | Base::Owned(_));
    let fits = match op {
        _ if list => op == Op::Has && comparable,
        Op::Compare(Compare::Equal | Compare::NotEqual) | Op::In | Op::NotIn => comparable,
        Op::Compare(_) => comparable && ordered,
        Op::Contains | Op::IContains | Op::StartsWith => base == Base::String,
        Op::IsNull => !matches!(base, Base::Owned(_)),
        Op::Has => false,
    };
    if fits {
        return Ok(());
    }
    let right = match base {
        Base::Owned(_) => "an owned list is asked by `filter=` and `exists`",
        _ if list => "a list is asked by `__has`",
        Base::Json => "a Json field is asked only by `__isnull`",
        Base::String => "for a String there are eq ne gt gte lt lte in not_in contains icontains startswith isnull",
        _ if ordered => "for this type there are eq ne gt gte lt lte in not_in isnull",
        _ => "for this type there are eq ne in not_in isnull",
    };
    Err(format!("{} cannot be asked; {right}", quoted(name)))
}

fn unknown_op(name: &str) -> String {
    let all = OPS.iter().chain([&HAS]).map(|(known, _)| *known);
    let near = did_you_mean(name, all.clone());
    let hint = if near.is_empty() { format!("; expected one of {}", all.collect::<Vec<_>>().join(" ")) } else { near };
    format!("unknown operator {}{hint}", quoted(name))
}
