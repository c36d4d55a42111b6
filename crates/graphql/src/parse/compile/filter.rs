//! Filters: `where` objects as typed expressions.

use fourfold_model::expr::{Collection, Compare, Function, Path, Quantifier, Scope};
use fourfold_model::{Base, EntityId, Expr, ExprKind, ExprType, Field, FieldId, Member, OwnedId, RelationId, RelationKind, SmolStr, Value};
use fourfold_op::Error;

use super::Compiler;
use crate::error::Fault;
use crate::parse::input::{Input, Leaf};

/// The row that a condition is about.
struct At {
    path: Path,
    of: Of,
    /// Quantifiers around it.
    depth: u8,
}

#[derive(Clone, Copy)]
enum Of {
    Entity(EntityId),
    Owned(OwnedId),
}

impl<'a> Compiler<'a> {
    /// What a `where` asks of an entity's row.
    pub(super) fn conditions(&mut self, entity: EntityId, input: &Input<'a>) -> Result<Vec<Expr>, Fault> {
        let path = Path { scope: Scope::Row, hops: Vec::new() };
        self.all_of(&At { path, of: Of::Entity(entity), depth: 0 }, input)
    }

    /// The argument `filter`: the model's own expression language.
    pub(super) fn text_filter(&mut self, entity: EntityId, text: &str) -> Result<Option<Expr>, Fault> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let model = self.reading.model;
        let expr = fourfold_model::filter(model, entity, text).map_err(|error| Fault::invalid(error.message))?;
        let shows = |of: EntityId| !model.entity(of).internal && model.entity(of).expose.graphql;
        fourfold_op::lift::check_visible(model, entity, &expr, &shows).map_err(Fault::invalid)?;
        let mut failed = None;
        let lifted = fourfold_op::lift::lift(expr, &mut |value| {
            self.constant(value).unwrap_or_else(|fault| {
                failed = Some(fault);
                fourfold_op::Operand(0)
            })
        });
        match failed {
            Some(fault) => Err(fault),
            None => Ok(Some(lifted)),
        }
    }

    fn all_of(&mut self, at: &At, input: &Input<'a>) -> Result<Vec<Expr>, Fault> {
        let mut parts = Vec::new();
        for (name, input) in self.inputs.members(input) {
            if input.is_null() {
                return Err(Fault::invalid(format!("`{name}` is null in a filter; leave it out, or ask `isNull`")));
            }
            match name {
                "and" => {
                    for item in self.inputs.items(&input) {
                        parts.extend(self.all_of(at, &item)?);
                    }
                }
                "or" => parts.push(self.any_of(at, &input)?),
                "not" => {
                    let inner = Expr::all(self.all_of(at, &input)?);
                    parts.push(Expr::boolean(ExprKind::Not(Box::new(inner))));
                }
                _ => self.member(at, name, &input, &mut parts)?,
            }
        }
        Ok(parts)
    }

    fn any_of(&mut self, at: &At, input: &Input<'a>) -> Result<Expr, Fault> {
        let mut parts = Vec::new();
        for item in self.inputs.items(input) {
            parts.push(Expr::all(self.all_of(at, &item)?));
        }
        Ok(match parts.len() {
            0 => Expr::boolean(ExprKind::Literal(Value::Boolean(false))),
            1 => parts.remove(0),
            _ => Expr::boolean(ExprKind::Or(parts)),
        })
    }

    fn member(&mut self, at: &At, name: &str, input: &Input<'a>, parts: &mut Vec<Expr>) -> Result<(), Fault> {
        let model = self.reading.model;
        let unknown = || Fault::invalid(format!("a filter has no member `{name}`"));
        match at.of {
            Of::Entity(entity) => match self.reading.catalog.member(entity, name).ok_or_else(unknown)? {
                Member::Field(field) => self.field(at, field, model.entity(entity).field(field), input, parts),
                Member::Relation(relation) => self.relation(at, entity, relation, input, parts),
            },
            Of::Owned(owned) => {
                let field = self.reading.catalog.owned_field(owned, name).ok_or_else(unknown)?;
                let definition = model.owned(owned).fields.get(usize::from(field.0)).ok_or_else(unknown)?;
                self.field(at, field, definition, input, parts)
            }
        }
    }

    fn relation(&mut self, at: &At, entity: EntityId, id: RelationId, input: &Input<'a>, parts: &mut Vec<Expr>) -> Result<(), Fault> {
        let relation = self.reading.model.entity(entity).relation(id);
        let of = Of::Entity(relation.target);
        match relation.kind {
            RelationKind::One { .. } => {
                let mut path = at.path.clone();
                path.hops.push(id);
                parts.extend(self.all_of(&At { path, of, depth: at.depth }, input)?);
                Ok(())
            }
            RelationKind::Many { .. } => self.quantified(at, &Collection::Relation(at.path.clone(), id), of, input, parts),
        }
    }

    /// `some`, `every`, `none` of a collection.
    fn quantified(&mut self, at: &At, over: &Collection, of: Of, input: &Input<'a>, parts: &mut Vec<Expr>) -> Result<(), Fault> {
        for (name, input) in self.inputs.members(input) {
            if input.is_null() {
                return Err(Fault::invalid(format!("`{name}` is null in a filter; leave it out")));
            }
            self.count()?;
            let depth = at.depth.checked_add(1).ok_or_else(|| Error::limit("expression_levels_max", 255, "levels"))?;
            let path = Path { scope: Scope::Variable(at.depth), hops: Vec::new() };
            let body = Box::new(Expr::all(self.all_of(&At { path, of, depth }, &input)?));
            let quantifier = if name == "every" { Quantifier::All } else { Quantifier::Exists };
            let quantified = Expr::boolean(ExprKind::Quantified(quantifier, over.clone(), body));
            parts.push(match name {
                "none" => Expr::boolean(ExprKind::Not(Box::new(quantified))),
                _ => quantified,
            });
        }
        Ok(())
    }

    /// Comparisons that a filter may have, as `filter_terms_max` says.
    fn count(&mut self) -> Result<(), Fault> {
        self.terms += 1;
        let limit = self.reading.limits.filter_terms_max;
        if self.terms > limit { Err(Error::limit("filter_terms_max", limit, "terms").into()) } else { Ok(()) }
    }

    fn field(&mut self, at: &At, id: FieldId, field: &Field, input: &Input<'a>, parts: &mut Vec<Expr>) -> Result<(), Fault> {
        if let Base::Owned(owned) = field.ty.base {
            return self.quantified(at, &Collection::Owned(at.path.clone(), id), Of::Owned(owned), input, parts);
        }
        let ty = ExprType { base: Some(field.ty.base), list: field.ty.list };
        for (operator, input) in self.inputs.members(input) {
            if input.is_null() {
                return Err(Fault::invalid(format!("`{operator}` is null in a filter; leave it out, or ask `isNull`")));
            }
            self.count()?;
            let column = Expr { kind: ExprKind::Field(at.path.clone(), id), ty };
            let comparison = Comparison { column, base: field.ty.base, pointer: &field.name };
            parts.push(self.comparison(comparison, operator, &input)?);
        }
        Ok(())
    }

    fn comparison(&mut self, of: Comparison<'_>, operator: &str, input: &Input<'a>) -> Result<Expr, Fault> {
        use Compare::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let compare = |by, column, value| Ok(Expr::boolean(ExprKind::Compare(by, Box::new(column), Box::new(value))));
        match operator {
            "eq" => compare(Equal, of.column.clone(), self.one(&of, input)?),
            "ne" => compare(NotEqual, of.column.clone(), self.one(&of, input)?),
            "gt" => compare(Greater, of.column.clone(), self.one(&of, input)?),
            "gte" => compare(GreaterOrEqual, of.column.clone(), self.one(&of, input)?),
            "lt" => compare(Less, of.column.clone(), self.one(&of, input)?),
            "lte" => compare(LessOrEqual, of.column.clone(), self.one(&of, input)?),
            "in" => self.within(&of, input),
            "notIn" => self.within(&of, input).map(negated),
            "isNull" => Ok(when(input, Expr::boolean(ExprKind::IsNull(Box::new(of.column))))),
            "has" => {
                let value = self.one(&of, input)?;
                Ok(Expr::boolean(ExprKind::In(Box::new(value), Box::new(of.column))))
            }
            "isEmpty" => {
                let size = Expr { kind: ExprKind::Call(Function::Size, vec![of.column]), ty: ExprType::one(Base::Int) };
                let zero = Expr { kind: ExprKind::Literal(Value::Int(0)), ty: ExprType::one(Base::Int) };
                Ok(when(input, Expr::boolean(ExprKind::Compare(Equal, Box::new(size), Box::new(zero)))))
            }
            _ => self.text_comparison(of, operator, input),
        }
    }

    fn text_comparison(&mut self, of: Comparison<'_>, operator: &str, input: &Input<'a>) -> Result<Expr, Fault> {
        let value = self.one(&of, input)?;
        let (function, arguments) = match operator {
            "contains" => (Function::Contains, vec![of.column, value]),
            "icontains" => (Function::Contains, vec![lowered(of.column), lowered(value)]),
            "startsWith" => (Function::StartsWith, vec![of.column, value]),
            "endsWith" => (Function::EndsWith, vec![of.column, value]),
            _ => return Err(Fault::invalid(format!("a filter has no operator `{operator}`"))),
        };
        Ok(Expr::boolean(ExprKind::Call(function, arguments)))
    }

    fn one(&mut self, of: &Comparison<'_>, input: &Input<'a>) -> Result<Expr, Fault> {
        let operand = self.operand(input, of.base, false, &format!("/{}", of.pointer))?;
        Ok(Expr::value(operand.0, ExprType::one(of.base)))
    }

    fn within(&mut self, of: &Comparison<'_>, input: &Input<'a>) -> Result<Expr, Fault> {
        let pointer = SmolStr::new(format!("/{}", of.pointer));
        let operand = self.slot(input, Leaf { base: of.base, list: true, pointer, within: true })?;
        let set = Expr::value(operand.0, ExprType::list(of.base));
        Ok(Expr::boolean(ExprKind::In(Box::new(of.column.clone()), Box::new(set))))
    }
}

/// The left side of a comparison.
struct Comparison<'m> {
    column: Expr,
    base: Base,
    pointer: &'m str,
}

fn negated(expr: Expr) -> Expr {
    Expr::boolean(ExprKind::Not(Box::new(expr)))
}

/// The expression where the input is true, its opposite where it is false.
fn when(input: &Input<'_>, expr: Expr) -> Expr {
    if input.as_bool() == Some(false) { negated(expr) } else { expr }
}

fn lowered(expr: Expr) -> Expr {
    Expr { kind: ExprKind::Call(Function::Lower, vec![expr]), ty: ExprType::one(Base::String) }
}
