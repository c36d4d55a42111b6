//! A client's filter expression, made ready for an operation: what it may not see is refused, and its literals become values of
//! the request, so that equal filters with other values share one prepared plan.

use fourfold_model::expr::{Collection, Path, Scope};
use fourfold_model::{Base, EntityId, Expr, ExprKind, ExprType, Field, FieldId, Model, OwnedId, Relation, RelationId, Value};

use crate::Operand;

/// Replaces the literals of a filter by values of the request. Nulls and Booleans stay: they are part of the shape.
pub fn lift(expr: Expr, values: &mut dyn FnMut(Value) -> Operand) -> Expr {
    let ty = expr.ty;
    let mut below = |part: Expr| lift(part, values);
    let mut boxed = |part: Box<Expr>| Box::new(below(*part));
    let kind = match expr.kind {
        ExprKind::Literal(value) if !matches!(value, Value::Null | Value::Boolean(_)) => return lifted(value, ty, values),
        ExprKind::List(parts) => return list(parts, ty, values),
        ExprKind::Not(a) => ExprKind::Not(boxed(a)),
        ExprKind::Negate(a) => ExprKind::Negate(boxed(a)),
        ExprKind::IsNull(a) => ExprKind::IsNull(boxed(a)),
        ExprKind::Rescale(a) => ExprKind::Rescale(boxed(a)),
        ExprKind::Quantified(by, over, a) => ExprKind::Quantified(by, over, boxed(a)),
        ExprKind::Compare(by, a, b) => ExprKind::Compare(by, boxed(a), boxed(b)),
        ExprKind::Arithmetic(by, a, b) => ExprKind::Arithmetic(by, boxed(a), boxed(b)),
        ExprKind::In(a, b) => ExprKind::In(boxed(a), boxed(b)),
        ExprKind::Conditional(a, b, c) => ExprKind::Conditional(boxed(a), boxed(b), boxed(c)),
        ExprKind::And(parts) => ExprKind::And(parts.into_iter().map(below).collect()),
        ExprKind::Or(parts) => ExprKind::Or(parts.into_iter().map(below).collect()),
        ExprKind::Call(function, parts) => ExprKind::Call(function, parts.into_iter().map(below).collect()),
        other => other,
    };
    Expr { kind, ty }
}

fn lifted(value: Value, ty: ExprType, values: &mut dyn FnMut(Value) -> Operand) -> Expr {
    Expr::value(values(value).0, ty)
}

/// A list of literals is one value, whatever its length.
fn list(parts: Vec<Expr>, ty: ExprType, values: &mut dyn FnMut(Value) -> Operand) -> Expr {
    let literals: Option<Vec<Value>> = parts
        .iter()
        .map(|part| match &part.kind {
            // Of the list's own type: numbers of another one are widened by the plan, each by itself.
            ExprKind::Literal(value) if !value.is_null() && part.ty.base == ty.base => Some(value.clone()),
            _ => None,
        })
        .collect();
    match literals {
        Some(literals) => lifted(Value::List(literals.into()), ty, values),
        None => Expr { kind: ExprKind::List(parts.into_iter().map(|part| lift(part, values)).collect()), ty },
    }
}

/// What a variable of `exists` or `all`, or the row itself, is.
#[derive(Clone, Copy)]
enum Kind {
    Entity(EntityId),
    Owned(OwnedId),
}

/// Refuses a filter that reads a secret field, or a row of an entity that the face does not show.
///
/// # Errors
/// What may not be asked.
pub fn check_visible(model: &Model, entity: EntityId, expr: &Expr, shows: &dyn Fn(EntityId) -> bool) -> Result<(), String> {
    Walk { model, shows, row: Kind::Entity(entity), variables: Vec::new() }.check(expr)
}

struct Walk<'a> {
    model: &'a Model,
    shows: &'a dyn Fn(EntityId) -> bool,
    row: Kind,
    variables: Vec<Kind>,
}

impl Walk<'_> {
    fn check(&mut self, expr: &Expr) -> Result<(), String> {
        match &expr.kind {
            ExprKind::Field(path, field) => {
                let at = self.follow(path)?;
                self.check_field(at, *field)
            }
            ExprKind::Quantified(_, over, body) => {
                let element = self.element(over)?;
                self.variables.push(element);
                let result = self.check(body);
                self.variables.pop();
                result
            }
            _ => expr.parts().into_iter().try_for_each(|part| self.check(part)),
        }
    }

    fn element(&self, over: &Collection) -> Result<Kind, String> {
        match over {
            Collection::Relation(path, relation) => {
                let at = self.follow(path)?;
                self.step(at, *relation)
            }
            Collection::Owned(path, field) => {
                let at = self.follow(path)?;
                self.check_field(at, *field)?;
                match self.fields(at).get(usize::from(field.0)).map(|field| field.ty.base) {
                    Some(Base::Owned(owned)) => Ok(Kind::Owned(owned)),
                    _ => Err("this collection is not an owned list".to_owned()),
                }
            }
        }
    }

    fn follow(&self, path: &Path) -> Result<Kind, String> {
        let start = match path.scope {
            Scope::Row => Some(self.row),
            Scope::Variable(index) => self.variables.get(usize::from(index)).copied(),
            _ => None,
        };
        let start = start.ok_or_else(|| "a filter knows only the row and its own variables".to_owned())?;
        path.hops.iter().try_fold(start, |at, hop| self.step(at, *hop))
    }

    fn step(&self, at: Kind, relation: RelationId) -> Result<Kind, String> {
        let found = self.relations(at).get(usize::from(relation.0)).ok_or_else(|| "unknown relation".to_owned())?;
        if (self.shows)(found.target) { Ok(Kind::Entity(found.target)) } else { Err(format!("unknown name `{}`", found.name)) }
    }

    fn check_field(&self, at: Kind, field: FieldId) -> Result<(), String> {
        match self.fields(at).get(usize::from(field.0)) {
            Some(field) if field.secret => Err(format!("`{}` is secret: it is never read back", field.name)),
            Some(_) => Ok(()),
            None => Err("unknown field".to_owned()),
        }
    }

    fn fields(&self, at: Kind) -> &[Field] {
        match at {
            Kind::Entity(id) => &self.model.entity(id).fields,
            Kind::Owned(id) => &self.model.owned(id).fields,
        }
    }

    fn relations(&self, at: Kind) -> &[Relation] {
        match at {
            Kind::Entity(id) => &self.model.entity(id).relations,
            Kind::Owned(id) => &self.model.owned(id).relations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourfold_model::expr::Compare;

    fn literal(value: Value) -> Expr {
        Expr { kind: ExprKind::Literal(value), ty: ExprType::one(Base::Int) }
    }

    fn filter(first: i64, list: &[i64]) -> Expr {
        let field = || Expr::field(FieldId(2), ExprType::one(Base::Int));
        let list = list.iter().map(|number| literal(Value::Int(*number))).collect();
        let list = Expr { kind: ExprKind::List(list), ty: ExprType::list(Base::Int) };
        let compare = Expr::boolean(ExprKind::Compare(Compare::Less, Box::new(field()), Box::new(literal(Value::Int(first)))));
        let within = Expr::boolean(ExprKind::In(Box::new(field()), Box::new(list)));
        Expr::all(vec![compare, within, Expr::truth(), Expr::boolean(ExprKind::IsNull(Box::new(field())))])
    }

    fn lift_all(expr: Expr) -> (Expr, Vec<Value>) {
        let mut values = Vec::new();
        let lifted = lift(expr, &mut |value| {
            values.push(value);
            Operand(values.len() as u16 - 1)
        });
        (lifted, values)
    }

    #[test]
    fn equal_filters_with_other_values_have_one_shape() {
        let (first, values) = lift_all(filter(1, &[2, 3]));
        let (second, others) = lift_all(filter(7, &[]));
        assert_eq!(first, second);
        assert_eq!(values, [Value::Int(1), Value::List([Value::Int(2), Value::Int(3)].into())]);
        assert_eq!(others, [Value::Int(7), Value::List([].into())]);
    }
}
