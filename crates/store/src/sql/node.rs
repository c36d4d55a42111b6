//! From a [`Node`] to an expression in SQL, with the same meaning that `eval` gives it.
//!
//! Kleene's logic is SQL's own. What PostgreSQL's types ask for beyond that is in `typed`. Where only truth counts (a condition of WHERE, of EXISTS, of CASE), unknown may come out as false,
//! which lets an index answer an `IN`; under a NOT it may not.

use std::fmt::Write as _;

use fourfold_model::expr::{Arithmetic, Compare, Function};
use fourfold_model::{Base, EntityId, FieldId, KEY, Model, OwnedId, Value};
use fourfold_plan::{Level, Node, Set};

use super::dialect::parameter_type;
use super::{Dialect, owner_number, put_name};

mod typed;

/// What a level's row is a row of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// An entity's table.
    Entity(EntityId),
    /// The table of an owned type.
    Owned(OwnedId),
}

/// Where the value of a statement's parameter comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A parameter of the plan.
    Param {
        /// Its index.
        index: u16,
        /// Its type.
        base: Base,
        /// Whether it is a list, bound as an array.
        list: bool,
    },
    /// The keys of all parents, bound as an array.
    Keys,
    /// The key of the only parent.
    Key,
    /// As many rows as the pages of all parents could have, each with the row beyond its end.
    Most,
    /// A constant that was taken out of the text, so that equal shapes have equal text.
    Value(Value, Base),
    /// A list of constants, likewise.
    Values(Vec<Value>, Base),
}

/// SQL text and where its parameters' values come from: `?1` or `$1` is the first source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// The text.
    pub text: String,
    /// The sources.
    pub sources: Vec<Source>,
}

/// Writes nodes into one statement.
pub struct NodeWriter<'m> {
    dialect: Dialect,
    model: &'m Model,
    /// The statement so far.
    pub statement: Statement,
    levels: Vec<Option<Table>>,
    lift: bool,
}

impl<'m> NodeWriter<'m> {
    /// A statement whose level 0 is a row of `entity`.
    pub fn new(dialect: Dialect, model: &'m Model, entity: EntityId) -> NodeWriter<'m> {
        NodeWriter { dialect, model, statement: Statement::default(), levels: vec![Some(Table::Entity(entity))], lift: false }
    }

    /// The same, with every constant bound as a parameter: for nodes that were closed over values (probes).
    pub fn lifting(dialect: Dialect, model: &'m Model, entity: EntityId) -> NodeWriter<'m> {
        NodeWriter { lift: true, ..NodeWriter::new(dialect, model, entity) }
    }

    /// Adds text.
    pub fn put(&mut self, text: &str) {
        self.statement.text.push_str(text);
    }

    /// Adds an identifier.
    pub fn put_name(&mut self, name: &str) {
        put_name(&mut self.statement.text, name);
    }

    /// Adds a number.
    pub fn put_number(&mut self, number: i64) {
        // Writing into a String cannot fail.
        let _ = write!(self.statement.text, "{number}");
    }

    /// Adds a parameter with this source: PostgreSQL is told its type.
    pub fn put_source(&mut self, source: Source, base: Base) {
        let (list, text) = (source.is_list(), matches!(base, Base::String | Base::Enum(_)));
        if self.dialect == Dialect::Sqlite {
            return self.put_marker(source);
        }
        // Else a comparison of two that are no columns would be in the database's own order.
        self.put(if text && !list { "(" } else { "" });
        self.put_marker(source);
        self.put("::");
        self.put(parameter_type(base));
        self.put(if list { "[]" } else { "" });
        self.put(if text && !list { " COLLATE \"C\")" } else { "" });
    }

    fn put_marker(&mut self, source: Source) {
        let number = match self.statement.sources.iter().position(|known| *known == source) {
            Some(index) => index + 1,
            None => {
                self.statement.sources.push(source);
                self.statement.sources.len()
            }
        };
        self.dialect.put_marker(&mut self.statement.text, number);
    }

    /// Adds a parameter of the plan.
    pub fn put_param(&mut self, index: u16, base: Base, list: bool) {
        self.put_source(Source::Param { index, base, list }, base);
    }

    /// Adds `tN."column"`.
    pub fn put_column(&mut self, level: Level, field: FieldId) {
        let Some(column) = self.column_name(level, field) else { return self.put("NULL") };
        let _ = write!(self.statement.text, "t{level}.");
        put_name(&mut self.statement.text, &column);
    }

    /// Makes a table's row the row of a level.
    fn enter(&mut self, level: Level, table: Table) {
        let at = usize::from(level);
        if self.levels.len() <= at {
            self.levels.resize(at + 1, None);
        }
        if let Some(slot) = self.levels.get_mut(at) {
            *slot = Some(table);
        }
    }

    /// Adds `"table" AS tN`, and makes it the row of the level.
    pub fn put_table(&mut self, level: Level, table: Table) {
        self.enter(level, table);
        let name = match table {
            Table::Entity(id) => &self.model.entity(id).table,
            Table::Owned(id) => &self.model.owned(id).table,
        };
        put_name(&mut self.statement.text, name);
        let _ = write!(self.statement.text, " AS t{level}");
    }

    /// Adds a condition of which only the truth counts.
    pub fn put_condition(&mut self, node: &Node) {
        self.node(node, true);
    }

    /// Adds a value.
    pub fn put_value(&mut self, node: &Node) {
        self.node(node, false);
    }

    fn column_name(&self, level: Level, field: FieldId) -> Option<fourfold_model::SmolStr> {
        let fields = match self.table(level)? {
            Table::Entity(id) => &self.model.entity(id).fields,
            Table::Owned(id) => &self.model.owned(id).fields,
        };
        fields.get(usize::from(field.0)).map(|field| field.column.clone())
    }

    fn table(&self, level: Level) -> Option<Table> {
        self.levels.get(usize::from(level)).copied().flatten()
    }

    /// `loose`: unknown may come out as false.
    fn node(&mut self, node: &Node, loose: bool) {
        match node {
            Node::Constant(value, base) => self.constant(value, *base),
            Node::Bind(index, base) => self.put_param(*index, *base, false),
            Node::Column(level, field) => self.put_column(*level, *field),
            Node::One { entity, level, key, guard, value } => self.one(*entity, *level, key, guard.as_deref(), value),
            Node::Exists { entity, level, body } => self.exists(*entity, *level, body),
            Node::ExistsOwned { owned, parent, list, level, body } => self.exists_owned(*owned, (*parent, *list), *level, body),
            Node::Not(a) => self.wrapped("(NOT ", a, ")"),
            Node::And(parts) => self.connected(parts, " AND ", true, loose),
            Node::Or(parts) => self.connected(parts, " OR ", false, loose),
            Node::Truth(a) if loose => self.node(a, true),
            Node::Truth(a) => self.wrapped("(", a, " IS TRUE)"),
            Node::Compare(by, a, b) => self.paired(a, comparison(*by), b),
            Node::Same(a, b) => self.paired(a, if self.is_postgres() { " IS NOT DISTINCT FROM " } else { " IS " }, b),
            Node::IsNull(a) => self.is_null(a),
            Node::In(a, set) => self.within(a, set, loose),
            Node::Arithmetic(by, a, b) if self.is_postgres() || self.base_of(a) == Some(Base::DateTime) => self.arithmetic(*by, a, b),
            Node::Arithmetic(by, a, b) => self.function(arithmetic(*by), &[a, b]),
            Node::Conditional(a, b, c) => self.conditional(a, b, c),
            Node::Rescale { of, to, .. } if self.is_postgres() => self.round(of, *to),
            Node::Rescale { of, from, to } => self.rescale(of, to.saturating_sub(*from)),
            Node::Call(function, parts) => self.call(*function, parts),
        }
    }

    fn wrapped(&mut self, before: &str, node: &Node, after: &str) {
        self.put(before);
        self.node(node, false);
        self.put(after);
    }

    fn paired(&mut self, a: &Node, between: &str, b: &Node) {
        self.put("(");
        self.node(a, false);
        self.put(between);
        self.node(b, false);
        self.put(")");
    }

    fn connected(&mut self, parts: &[Node], between: &str, of_nothing: bool, loose: bool) {
        if parts.is_empty() {
            return self.truth(of_nothing);
        }
        self.put("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.put(between);
            }
            self.node(part, loose);
        }
        self.put(")");
    }

    fn function(&mut self, name: &str, arguments: &[&Node]) {
        self.put(name);
        self.put("(");
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.put(", ");
            }
            self.node(argument, false);
        }
        self.put(")");
    }

    fn conditional(&mut self, condition: &Node, then: &Node, otherwise: &Node) {
        self.put("CASE WHEN ");
        self.node(condition, true);
        self.put(" THEN ");
        self.node(then, false);
        self.put(" ELSE ");
        self.node(otherwise, false);
        self.put(" END");
    }

    fn is_null(&mut self, node: &Node) {
        match self.owned_list(node) {
            Some(_) => self.truth(false),
            None => self.wrapped("(", node, " IS NULL)"),
        }
    }

    fn rescale(&mut self, of: &Node, digits: u8) {
        match fourfold_model::value::power_of_ten(digits) {
            Some(1) => self.node(of, false),
            Some(factor) => {
                self.put("ff_multiply(");
                self.node(of, false);
                self.put(", ");
                self.put_number(factor);
                self.put(")");
            }
            None => self.put("NULL"),
        }
    }

    fn one(&mut self, entity: EntityId, level: Level, key: &Node, guard: Option<&Node>, value: &Node) {
        self.enter(level, Table::Entity(entity));
        self.put("(SELECT ");
        self.node(value, false);
        self.put(" FROM ");
        self.put_table(level, Table::Entity(entity));
        self.put(" WHERE ");
        self.put_column(level, KEY);
        self.put(" = ");
        self.node(key, false);
        self.and_condition(guard);
        self.put(")");
    }

    /// Adds ` AND condition` where there is one.
    pub fn and_condition(&mut self, condition: Option<&Node>) {
        if let Some(condition) = condition.filter(|condition| !condition.is_true()) {
            self.put(" AND ");
            self.node(condition, true);
        }
    }

    fn exists(&mut self, entity: EntityId, level: Level, body: &Node) {
        self.put("EXISTS (SELECT 1 FROM ");
        self.put_table(level, Table::Entity(entity));
        self.put(" WHERE ");
        self.node(body, true);
        self.put(")");
    }

    fn exists_owned(&mut self, owned: OwnedId, list: (Level, FieldId), level: Level, body: &Node) {
        self.put("EXISTS (SELECT 1 FROM ");
        self.put_table(level, Table::Owned(owned));
        self.put(" WHERE ");
        self.owned_link(level, list);
        self.and_condition(Some(body));
        self.put(")");
    }

    /// `tN._owner = … AND tN._parent = tP.id`.
    fn owned_link(&mut self, level: Level, (parent, list): (Level, FieldId)) {
        let _ = write!(self.statement.text, "t{level}._owner = ");
        self.put_number(self.owner(parent, list));
        let _ = write!(self.statement.text, " AND t{level}._parent = ");
        self.put_column(parent, KEY);
        if let Some(Table::Entity(id)) = self.table(parent) {
            self.dialect.put_parent(&mut self.statement.text, "", self.model.entity(id).key_type());
        }
    }

    fn owner(&self, parent: Level, list: FieldId) -> i64 {
        match self.table(parent) {
            Some(Table::Entity(id)) => {
                let entity = self.model.entity(id);
                owner_number(entity.number, entity.field(list).number)
            }
            _ => 0,
        }
    }

    fn within(&mut self, a: &Node, set: &Set, loose: bool) {
        match set {
            Set::Column(level, list) if self.is_postgres() => {
                self.any_of(a, loose, |writer| writer.put_column(*level, *list));
            }
            Set::Column(level, list) => {
                self.put("ff_has(");
                self.put_column(*level, *list);
                self.put(", ");
                self.node(a, false);
                self.put(")");
            }
            Set::Bind(index, base) => self.within_array(a, Source::Param { index: *index, base: *base, list: true }, loose),
            Set::Nodes(parts) => match self.constants(parts) {
                Some((values, base)) => self.within_array(a, Source::Values(values, base), loose),
                None => self.within_nodes(a, parts, loose),
            },
        }
    }

    /// The values of parts that are all constants, where they are to be taken out of the text.
    fn constants(&self, parts: &[Node]) -> Option<(Vec<Value>, Base)> {
        let Some(Node::Constant(_, base)) = parts.first() else { return None };
        let values = parts.iter().map(|part| match part {
            Node::Constant(value, _) => Some(value.clone()),
            _ => None,
        });
        self.lift.then_some((values.collect::<Option<Vec<_>>>()?, *base))
    }

    fn within_array(&mut self, a: &Node, source: Source, loose: bool) {
        if self.is_postgres() {
            let base = source.base().unwrap_or(Base::BigInt);
            return self.any_of(a, loose, |writer| writer.put_source(source, base));
        }
        self.null_when_null(a, loose, |writer| {
            writer.put("(");
            writer.node(a, false);
            writer.put(" IN rarray(");
            writer.put_marker(source);
            writer.put("))");
        });
    }

    /// Each part is written once, however deep an `in` stands in another: a copy would double the text at each level.
    fn within_nodes(&mut self, a: &Node, parts: &[Node], loose: bool) {
        if parts.is_empty() {
            return self.null_when_null(a, loose, |writer| writer.truth(false));
        }
        if loose || parts.iter().all(|part| matches!(part, Node::Constant(value, _) if !value.is_null())) {
            self.put("(");
            return self.in_list(a, parts, |writer, part| writer.node(part, false));
        }
        if self.is_postgres() {
            return self.any_of(a, loose, |writer| writer.array(parts));
        }
        // A null among the members is no match, and does not make the rest unknown: it stands as infinity, which no value is. The plus
        // takes the column's affinity away, which would make a text of that.
        self.put("(+");
        self.in_list(a, parts, |writer, part| writer.wrapped("ifnull(", part, ", 9e999)"));
    }

    fn in_list(&mut self, a: &Node, parts: &[Node], member: impl Fn(&mut Self, &Node)) {
        self.node(a, false);
        self.put(" IN (");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.put(", ");
            }
            member(self, part);
        }
        self.put("))");
    }

    /// What `then` writes, or null where `a` is null; where only truth counts, just what `then` writes.
    fn null_when_null(&mut self, a: &Node, loose: bool, then: impl FnOnce(&mut Self)) {
        if loose {
            return then(self);
        }
        self.wrapped("CASE WHEN ", a, " IS NULL THEN NULL ELSE ");
        then(self);
        self.put(" END");
    }

    fn call(&mut self, function: Function, parts: &[Node]) {
        match (function, parts) {
            (Function::Size, [of]) => self.size(of),
            (Function::Lower, [of]) => self.lower(of),
            (Function::Contains, [text, part]) => {
                self.put("(");
                self.function(if self.is_postgres() { "strpos" } else { "instr" }, &[text, part]);
                self.put(" > 0)");
            }
            (Function::StartsWith, [text, part]) if self.is_postgres() => self.function("starts_with", &[text, part]),
            (Function::StartsWith, [text, part]) => self.function("ff_starts_with", &[text, part]),
            (Function::EndsWith, [text, part]) => self.function("ff_ends_with", &[text, part]),
            _ => self.put("NULL"),
        }
    }

    /// By the root's rules, which are `eval`'s.
    fn lower(&mut self, of: &Node) {
        match self.dialect {
            Dialect::Sqlite => self.function("ff_lower", &[of]),
            Dialect::Postgres => self.wrapped("(lower(", of, " COLLATE \"und-x-icu\") COLLATE \"C\")"),
        }
    }

    fn size(&mut self, of: &Node) {
        match of {
            Node::Conditional(condition, then, otherwise) => {
                self.put("CASE WHEN ");
                self.node(condition, true);
                self.put(" THEN ");
                self.size(then);
                self.put(" ELSE ");
                self.size(otherwise);
                self.put(" END");
            }
            // What a look-up gives is known to be a list only inside it.
            Node::One { entity, level, key, guard, value } => {
                let size = Node::Call(Function::Size, vec![value.as_ref().clone()]);
                self.one(*entity, *level, key, guard.as_deref(), &size);
            }
            Node::Constant(Value::Owned(rows), _) => self.whole(rows.len() as i64),
            Node::Constant(Value::List(values), _) => self.whole(values.len() as i64),
            _ => match self.owned_list(of) {
                Some((owned, list)) => self.owned_size(owned, list),
                None if self.is_list(of) && self.is_postgres() => self.function("cardinality", &[of]),
                None if self.is_list(of) => self.function("json_array_length", &[of]),
                None => self.function("length", &[of]),
            },
        }
    }

    fn owned_size(&mut self, owned: OwnedId, list: (Level, FieldId)) {
        // No node inside has a level, so any unused alias will do: the highest there is.
        self.put("(SELECT count(*) FROM ");
        self.put_table(Level::MAX, Table::Owned(owned));
        self.put(" WHERE ");
        self.owned_link(Level::MAX, list);
        self.put(")");
    }

    /// The owned list that a node is, where it is one.
    fn owned_list(&self, node: &Node) -> Option<(OwnedId, (Level, FieldId))> {
        let Node::Column(level, field) = node else { return None };
        match self.field_type(*level, *field)?.base {
            Base::Owned(id) => Some((id, (*level, *field))),
            _ => None,
        }
    }

    fn is_list(&self, node: &Node) -> bool {
        match node {
            Node::Column(level, field) => self.field_type(*level, *field).is_some_and(|ty| ty.list),
            _ => false,
        }
    }

    fn field_type(&self, level: Level, field: FieldId) -> Option<fourfold_model::Type> {
        let fields = match self.table(level)? {
            Table::Entity(id) => &self.model.entity(id).fields,
            Table::Owned(id) => &self.model.owned(id).fields,
        };
        fields.get(usize::from(field.0)).map(|field| field.ty)
    }

    fn constant(&mut self, value: &Value, base: Base) {
        match value {
            Value::Null if self.is_postgres() => self.typed_null(base),
            Value::Null => self.put("NULL"),
            Value::Boolean(value) => self.truth(*value),
            _ if self.lift => self.put_source(Source::Value(value.clone(), base), of_constant(value, base)),
            Value::Int(number) => self.whole(*number),
            Value::DateTime(number) if !self.is_postgres() => self.put_number(*number),
            Value::Date(days) if !self.is_postgres() => self.put_number(i64::from(*days)),
            Value::Text(text) => self.text(text),
            Value::Enum(number) => match base {
                Base::Enum(id) => match self.model.enumeration(id).by_number(*number) {
                    Some(value) => self.text(&value.column),
                    None => self.typed_null(base),
                },
                _ => self.put("NULL"),
            },
            // Exact forms of the rest are the store's affair, which binds them.
            _ => self.put_source(Source::Value(value.clone(), base), of_constant(value, base)),
        }
    }

    fn truth(&mut self, truth: bool) {
        self.put(match (self.dialect, truth) {
            (Dialect::Sqlite, true) => "1",
            (Dialect::Sqlite, false) => "0",
            (Dialect::Postgres, true) => "TRUE",
            (Dialect::Postgres, false) => "FALSE",
        });
    }

    fn is_postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }
}

impl Source {
    fn is_list(&self) -> bool {
        matches!(self, Source::Param { list: true, .. } | Source::Keys | Source::Values(..))
    }

    fn base(&self) -> Option<Base> {
        match self {
            Source::Param { base, .. } | Source::Value(_, base) | Source::Values(_, base) => Some(*base),
            Source::Most => Some(Base::BigInt),
            Source::Keys | Source::Key => None,
        }
    }
}

/// A constant's own type: one that was compiled into another's stands as it is.
fn of_constant(value: &Value, base: Base) -> Base {
    match value {
        Value::Decimal(decimal) => Base::Decimal { precision: 18, scale: decimal.scale },
        Value::Int(_) if !matches!(base, Base::Decimal { .. }) => Base::BigInt,
        _ => base,
    }
}

fn comparison(by: Compare) -> &'static str {
    match by {
        Compare::Equal => " = ",
        Compare::NotEqual => " <> ",
        Compare::Less => " < ",
        Compare::LessOrEqual => " <= ",
        Compare::Greater => " > ",
        Compare::GreaterOrEqual => " >= ",
    }
}

fn arithmetic(by: Arithmetic) -> &'static str {
    match by {
        Arithmetic::Add => "ff_add",
        Arithmetic::Subtract => "ff_subtract",
        Arithmetic::Multiply => "ff_multiply",
        Arithmetic::Divide => "ff_divide",
        Arithmetic::Remainder => "ff_remainder",
    }
}
