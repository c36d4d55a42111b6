//! From a typed expression to a [`Node`]: paths become look-ups, and what a client asked gets rules and masks at each step.

use fourfold_model::expr::{Collection, Expr, ExprKind, ExprType, Path, Quantifier, Scope};
use fourfold_model::{Base, ClaimId, EntityId, FieldId, KEY, Model, OwnedId, RelationId, RelationKind, Value, Verb};
use fourfold_op::Error;

use crate::node::{Level, Node, Set};

/// With whose rights an expression looks at rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// A rule's: sees everything, so that rules never recurse.
    Author,
    /// A client's: each hop passes the target's read rule, each field its mask.
    Client,
}

/// What a level's row is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Entity(EntityId),
    Owned(OwnedId),
}

/// Where a parameter's value comes from at `bind`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A claim of the caller.
    Claim(ClaimId),
    /// A value of the request, coerced to this type.
    Request { index: u16, base: Base, list: bool },
    /// The n-th order key of a page token: of the fetch with this number.
    PageKey { page: u16, key: u16, base: Base },
    /// The size of a page: the operand, and what it is when absent.
    PageSize { operand: Option<u16>, default: u32 },
    /// The moment of the commit.
    Now,
}

/// The parameters of one plan, collected while it is compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binds {
    pub sources: Vec<Source>,
}

impl Binds {
    /// The parameter with this source; an equal one is shared.
    pub fn bind(&mut self, source: Source) -> u16 {
        if let Some(found) = self.sources.iter().position(|known| *known == source) {
            return found as u16;
        }
        self.sources.push(source);
        (self.sources.len() - 1) as u16
    }
}

/// Compiles expressions of one statement.
pub(crate) struct Compiler<'a> {
    pub model: &'a Model,
    pub binds: &'a mut Binds,
    /// The next free level.
    pub next: Level,
}

/// What the roots of an expression mean while it is compiled.
#[derive(Clone)]
pub(crate) struct Frame {
    pub rights: Rights,
    /// The level and the kind of `Scope::Row`.
    pub row: (Level, Kind),
    /// The level of `old`; a level without a row gives nulls.
    pub old: Level,
    /// The level of `new`.
    pub new: Level,
    /// The variables of enclosing quantifiers, outermost first.
    pub variables: Vec<(Level, Kind)>,
    /// The row of a channel's parameter, where it is at hand; elsewhere the parameter is its key alone, the request's first value.
    pub channel: Option<(Level, Kind)>,
}

impl Frame {
    /// A frame in which every root is the row of `entity` at `level`.
    pub fn of(entity: EntityId, level: Level, rights: Rights) -> Frame {
        Frame { rights, row: (level, Kind::Entity(entity)), old: level, new: level, variables: Vec::new(), channel: None }
    }

    /// A frame for a rule of a channel whose parameter is the row of `entity` at level 0.
    pub fn of_channel(entity: EntityId) -> Frame {
        Frame { channel: Some((0, Kind::Entity(entity))), ..Frame::of(entity, 0, Rights::Author) }
    }
}

impl Compiler<'_> {
    /// A level that nothing else in the statement has.
    pub fn level(&mut self) -> Result<Level, Error> {
        let level = self.next;
        self.next = self.next.checked_add(1).ok_or_else(|| Error::limit("expression_levels_max", 255, "levels"))?;
        Ok(level)
    }

    /// The rule under which a caller sees a row of `entity` at `level`.
    pub fn read_rule(&mut self, entity: EntityId, level: Level) -> Result<Node, Error> {
        let (model, frame) = (self.model, Frame::of(entity, level, Rights::Author));
        let nodes = model.entity(entity).rules_for(Verb::Read).map(|rule| self.node(&rule.expr, &frame)).collect::<Result<Vec<_>, _>>()?;
        Ok(Node::any(nodes))
    }

    /// A column as its reader may see it.
    pub fn column(&mut self, rights: Rights, kind: Kind, level: Level, field: FieldId) -> Result<Node, Error> {
        let base = match kind {
            Kind::Entity(entity) => self.model.entity(entity).field(field).ty.base,
            Kind::Owned(_) => return Ok(Node::Column(level, field)),
        };
        self.masked(rights, kind, (level, field), Node::Column(level, field), base)
    }

    /// What is taken from a field: null where its reader may not see the field.
    fn masked(&mut self, rights: Rights, kind: Kind, (level, field): (Level, FieldId), taken: Node, base: Base) -> Result<Node, Error> {
        let Kind::Entity(entity) = kind else { return Ok(taken) };
        if rights == Rights::Author {
            return Ok(taken);
        }
        Ok(match self.mask(entity, level, field)? {
            None => taken,
            Some(mask) if mask.is_true() => taken,
            Some(mask) if mask.is_false() => Node::Constant(Value::Null, base),
            Some(mask) => Node::Conditional(Box::new(mask), Box::new(taken), Box::new(Node::Constant(Value::Null, base))),
        })
    }

    /// When the field may be read; `None`: always.
    pub fn mask(&mut self, entity: EntityId, level: Level, field: FieldId) -> Result<Option<Node>, Error> {
        let definition = self.model.entity(entity).field(field);
        if definition.secret {
            return Ok(Some(Node::falsity()));
        }
        match definition.read_rule.clone() {
            None => Ok(None),
            Some(rule) => self.node(&rule, &Frame::of(entity, level, Rights::Author)).map(Some),
        }
    }

    /// Compiles an expression.
    pub fn node(&mut self, expr: &Expr, frame: &Frame) -> Result<Node, Error> {
        match &expr.kind {
            ExprKind::Literal(value) => Ok(Node::Constant(value.clone(), base_of(expr))),
            ExprKind::Value(index) => Ok(self.request(*index, expr.ty)),
            ExprKind::Claim(claim) => Ok(Node::Bind(self.binds.bind(Source::Claim(*claim)), base_of(expr))),
            ExprKind::Now => Ok(Node::Bind(self.binds.bind(Source::Now), Base::DateTime)),
            ExprKind::Field(path, KEY) if path.scope == Scope::Channel && path.hops.is_empty() && frame.channel.is_none() => {
                Ok(self.request(0, expr.ty))
            }
            ExprKind::Field(path, field) => self.field(path, *field, frame),
            ExprKind::Argument(index) => Ok(self.request(u16::from(*index), expr.ty)),
            ExprKind::Not(a) => Ok(self.node(a, frame)?.negated()),
            ExprKind::Negate(a) => self.negate(a, frame),
            ExprKind::And(parts) => Ok(Node::all(self.nodes(parts, frame)?)),
            ExprKind::Or(parts) => Ok(Node::any(self.nodes(parts, frame)?)),
            ExprKind::IsNull(a) => Ok(Node::IsNull(Box::new(self.node(a, frame)?))),
            ExprKind::Compare(by, a, b) => {
                let (a, b) = self.pair(a, b, frame)?;
                Ok(Node::Compare(*by, Box::new(a), Box::new(b)))
            }
            ExprKind::In(a, set) => self.within(a, set, frame),
            ExprKind::Arithmetic(by, a, b) => self.arithmetic(*by, a, b, frame),
            ExprKind::Conditional(a, b, c) => {
                let condition = self.node(a, frame)?;
                let (then, otherwise) = self.pair(b, c, frame)?;
                Ok(Node::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise)))
            }
            ExprKind::Rescale(a) => {
                let to = scale_of(expr.ty);
                let of = self.node(a, frame)?;
                Ok(rescaled(of, scale_of(a.ty), to))
            }
            ExprKind::Call(function, arguments) => Ok(Node::Call(*function, self.nodes(arguments, frame)?)),
            ExprKind::Quantified(quantifier, over, body) => self.quantified(*quantifier, over, body, frame),
            ExprKind::List(_) => Err(Error::invalid("a list with fields in it stands only on the right side of `in`")),
            ExprKind::Fold(_) => Err(Error::internal("an expression that has no place in a statement")),
        }
    }

    fn nodes(&mut self, parts: &[Expr], frame: &Frame) -> Result<Vec<Node>, Error> {
        parts.iter().map(|part| self.node(part, frame)).collect()
    }

    fn request(&mut self, index: u16, ty: ExprType) -> Node {
        let base = ty.base.unwrap_or(Base::Boolean);
        Node::Bind(self.binds.bind(Source::Request { index, base, list: ty.list }), base)
    }

    fn negate(&mut self, a: &Expr, frame: &Frame) -> Result<Node, Error> {
        let base = base_of(a);
        let zero = match base {
            Base::Float => Value::Float(0.0),
            Base::Decimal { scale, .. } => Value::Decimal(fourfold_model::Decimal { unscaled: 0, scale }),
            _ => Value::Int(0),
        };
        let of = self.node(a, frame)?;
        Ok(Node::Arithmetic(fourfold_model::expr::Arithmetic::Subtract, Box::new(Node::Constant(zero, base)), Box::new(of)))
    }

    /// Two sides of one type: where one has more digits after the point, the other gets them.
    fn pair(&mut self, a: &Expr, b: &Expr, frame: &Frame) -> Result<(Node, Node), Error> {
        let scale = scale_of(a.ty).max(scale_of(b.ty));
        let (left, right) = (self.node(a, frame)?, self.node(b, frame)?);
        Ok((rescaled(left, scale_of(a.ty), scale), rescaled(right, scale_of(b.ty), scale)))
    }

    fn arithmetic(&mut self, by: fourfold_model::expr::Arithmetic, a: &Expr, b: &Expr, frame: &Frame) -> Result<Node, Error> {
        use fourfold_model::expr::Arithmetic::{Add, Subtract};
        let (a, b) = match by {
            Add | Subtract => self.pair(a, b, frame)?,
            _ => (self.node(a, frame)?, self.node(b, frame)?),
        };
        Ok(Node::Arithmetic(by, Box::new(a), Box::new(b)))
    }

    fn within(&mut self, a: &Expr, set: &Expr, frame: &Frame) -> Result<Node, Error> {
        let base = base_of(set);
        let scale = scale_of(a.ty).max(scale_of(ExprType::one(base)));
        let left = self.node(a, frame)?;
        let set = match &set.kind {
            ExprKind::List(parts) => {
                let mut nodes = Vec::with_capacity(parts.len());
                for part in parts {
                    nodes.push(rescaled(self.node(part, frame)?, scale_of(part.ty), scale));
                }
                Set::Nodes(nodes)
            }
            ExprKind::Literal(Value::List(values)) => Set::Nodes(values.iter().map(|value| Node::Constant(value.clone(), base)).collect()),
            ExprKind::Value(index) => Set::Bind(self.binds.bind(Source::Request { index: *index, base, list: true }), base),
            ExprKind::Claim(claim) => Set::Bind(self.binds.bind(Source::Claim(*claim)), base),
            ExprKind::Field(path, field) if path.hops.is_empty() => self.list_column(path, *field, frame)?,
            _ => return Err(Error::invalid("the right side of `in` must be a list literal, a claim or a list of the row itself")),
        };
        Ok(Node::In(Box::new(rescaled(left, scale_of(a.ty), scale)), set))
    }

    /// A scalar list of a row; a masked one is empty.
    fn list_column(&mut self, path: &Path, field: FieldId, frame: &Frame) -> Result<Set, Error> {
        let (level, kind) = self.root(path.scope, frame)?;
        match self.column(frame.rights, kind, level, field)? {
            Node::Column(level, field) => Ok(Set::Column(level, field)),
            _ => Err(Error::invalid("a list behind a read rule cannot be searched")),
        }
    }

    fn root(&self, scope: Scope, frame: &Frame) -> Result<(Level, Kind), Error> {
        match scope {
            Scope::Row => Ok(frame.row),
            Scope::Old => Ok((frame.old, frame.row.1)),
            Scope::New => Ok((frame.new, frame.row.1)),
            Scope::Variable(n) => {
                frame.variables.get(usize::from(n)).copied().ok_or_else(|| Error::internal("a variable without a quantifier"))
            }
            Scope::Channel => frame.channel.ok_or_else(|| Error::internal("a channel's parameter where its row is not at hand")),
            Scope::Parameter(_) => Err(Error::internal("a parameter in a statement")),
        }
    }

    fn field(&mut self, path: &Path, field: FieldId, frame: &Frame) -> Result<Node, Error> {
        let (level, kind) = self.root(path.scope, frame)?;
        self.reach(level, kind, &path.hops, frame.rights, &mut |compiler, level, kind| compiler.column(frame.rights, kind, level, field))
    }

    /// Follows to-one relations from a row, then makes `last` of the row reached.
    fn reach(
        &mut self,
        level: Level,
        kind: Kind,
        hops: &[RelationId],
        rights: Rights,
        last: &mut dyn FnMut(&mut Self, Level, Kind) -> Result<Node, Error>,
    ) -> Result<Node, Error> {
        let Some((hop, rest)) = hops.split_first() else { return last(self, level, kind) };
        let (target, column) = self.one(kind, *hop)?;
        let key = self.column(rights, kind, level, column)?;
        let inner = self.level()?;
        let guard = self.guard(rights, target, inner)?;
        let value = self.reach(inner, Kind::Entity(target), rest, rights, last)?;
        Ok(Node::One { entity: target, level: inner, key: Box::new(key), guard: guard.map(Box::new), value: Box::new(value) })
    }

    fn guard(&mut self, rights: Rights, entity: EntityId, level: Level) -> Result<Option<Node>, Error> {
        if rights == Rights::Author {
            return Ok(None);
        }
        let rule = self.read_rule(entity, level)?;
        Ok((!rule.is_true()).then_some(rule))
    }

    fn one(&self, kind: Kind, relation: RelationId) -> Result<(EntityId, FieldId), Error> {
        let relations = match kind {
            Kind::Entity(entity) => &self.model.entity(entity).relations,
            Kind::Owned(owned) => &self.model.owned(owned).relations,
        };
        match relations.get(usize::from(relation.0)) {
            Some(found) => match found.kind {
                RelationKind::One { field, .. } => Ok((found.target, field)),
                RelationKind::Many { .. } => Err(Error::internal("a path over a to-many relation")),
            },
            None => Err(Error::internal("a relation that is not there")),
        }
    }

    fn quantified(&mut self, quantifier: Quantifier, over: &Collection, body: &Expr, frame: &Frame) -> Result<Node, Error> {
        match over {
            Collection::Relation(path, relation) => {
                let (level, kind) = self.root(path.scope, frame)?;
                let (relation, body) = (*relation, body.clone());
                let frame = frame.clone();
                self.reach(level, kind, &path.hops, frame.rights, &mut |compiler, level, kind| {
                    compiler.related(quantifier, level, kind, relation, &body, &frame)
                })
            }
            Collection::Owned(path, list) => {
                let (level, kind) = self.root(path.scope, frame)?;
                self.reach(level, kind, &path.hops, frame.rights, &mut |compiler, level, kind| {
                    let found = compiler.over_owned(quantifier, level, kind, *list, body, frame)?;
                    compiler.masked(frame.rights, kind, (level, *list), found, Base::Boolean)
                })
            }
        }
    }

    fn related(
        &mut self,
        quantifier: Quantifier,
        parent: Level,
        kind: Kind,
        relation: RelationId,
        body: &Expr,
        frame: &Frame,
    ) -> Result<Node, Error> {
        let Kind::Entity(entity) = kind else { return Err(Error::internal("a to-many relation of an owned type")) };
        let definition = self.model.entity(entity).relation(relation);
        let RelationKind::Many { field, .. } = definition.kind else { return Err(Error::internal("a quantifier over a to-one relation")) };
        let target = definition.target;
        let level = self.level()?;
        let link_column = self.column(frame.rights, Kind::Entity(target), level, field)?;
        let mut parts = vec![Node::equal(link_column, Node::Column(parent, KEY))];
        parts.extend(self.guard(frame.rights, target, level)?);
        let inner = frame.with_variable(level, Kind::Entity(target));
        parts.push(quantifier.body(self.node(body, &inner)?));
        Ok(quantifier.close(Node::Exists { entity: target, level, body: Box::new(Node::all(parts)) }))
    }

    fn over_owned(
        &mut self,
        quantifier: Quantifier,
        parent: Level,
        kind: Kind,
        list: FieldId,
        body: &Expr,
        frame: &Frame,
    ) -> Result<Node, Error> {
        let fields = match kind {
            Kind::Entity(entity) => &self.model.entity(entity).fields,
            Kind::Owned(owned) => &self.model.owned(owned).fields,
        };
        let Some(Base::Owned(owned)) = fields.get(usize::from(list.0)).map(|field| field.ty.base) else {
            return Err(Error::internal("a quantifier over what is not an owned list"));
        };
        let level = self.level()?;
        let inner = frame.with_variable(level, Kind::Owned(owned));
        let body = quantifier.body(self.node(body, &inner)?);
        Ok(quantifier.close(Node::ExistsOwned { owned, parent, list, level, body: Box::new(body) }))
    }
}

impl Frame {
    pub(crate) fn with_variable(&self, level: Level, kind: Kind) -> Frame {
        let mut frame = self.clone();
        frame.variables.push((level, kind));
        frame
    }
}

/// `all(p)` is `!exists(!(p is true))`.
trait Close {
    fn body(self, body: Node) -> Node;
    fn close(self, exists: Node) -> Node;
}

impl Close for Quantifier {
    fn body(self, body: Node) -> Node {
        match self {
            Quantifier::Exists => body,
            Quantifier::All => Node::Truth(Box::new(body)).negated(),
        }
    }
    fn close(self, exists: Node) -> Node {
        match self {
            Quantifier::Exists => exists,
            Quantifier::All => exists.negated(),
        }
    }
}

fn base_of(expr: &Expr) -> Base {
    expr.ty.base.unwrap_or(Base::Boolean)
}

/// Digits after the point of a type: 0 for all but Decimal.
pub(crate) fn scale_of(ty: ExprType) -> u8 {
    match ty.base {
        Some(Base::Decimal { scale, .. }) => scale,
        _ => 0,
    }
}

fn rescaled(node: Node, from: u8, to: u8) -> Node {
    if from == to {
        return node;
    }
    match node {
        Node::Constant(Value::Null, base) => Node::Constant(Value::Null, base),
        Node::Constant(Value::Int(n), _) => constant_decimal(fourfold_model::Decimal { unscaled: n, scale: 0 }, to),
        Node::Constant(Value::Decimal(d), _) => constant_decimal(d, to),
        node => Node::Rescale { of: Box::new(node), from, to },
    }
}

fn constant_decimal(decimal: fourfold_model::Decimal, to: u8) -> Node {
    let value = decimal.rescale(to).map_or(Value::Null, Value::Decimal);
    Node::Constant(value, Base::Decimal { precision: 18, scale: to })
}
