//! A model as a few lines of text, to compare.

use std::fmt::Write as _;

use fourfold_model::expr::{Arithmetic, Collection, Compare, Function, Path, Quantifier, Scope};
use fourfold_model::*;

/// Every name, number, table, column, type, attribute and rule.
pub fn print(model: &Model) -> String {
    let mut out =
        format!("package {} base={} version={}{}\n", model.package.name, model.package.base, model.package.version, doc(&model.doc));
    for claim in &model.claims {
        let _ = writeln!(out, "claim {} {} path={}{}", claim.name, ty(model, claim.ty), claim.path, doc(&claim.doc));
    }
    for one in &model.enums {
        let _ = writeln!(out, "enum {}{}", one.name, doc(&one.doc));
        for value in &one.values {
            let _ = writeln!(out, "  {} {} column={}{}", value.number, value.name, value.column, doc(&value.doc));
        }
    }
    for of in &model.owned {
        let _ = writeln!(out, "owned {} {} table={}{}", of.number, of.name, of.table, doc(&of.doc));
        let printer = Printer { model, fields: &of.fields, relations: &of.relations };
        printer.fields(&mut out);
    }
    model.entities.iter().for_each(|entity| print_entity(model, entity, &mut out));
    model.actions.iter().for_each(|action| print_action(model, action, &mut out));
    model.channels.iter().for_each(|channel| print_channel(model, channel, &mut out));
    for test in &model.tests {
        let _ = writeln!(out, "test {:?} line={}", test.title, test.line);
    }
    out
}

fn doc(doc: &Option<String>) -> String {
    doc.as_ref().map(|doc| format!(" /// {doc:?}")).unwrap_or_default()
}

fn ty(model: &Model, ty: Type) -> String {
    let base = match ty.base {
        Base::Decimal { precision, scale } => format!("Decimal({precision},{scale})"),
        Base::Enum(id) => model.enumeration(id).name.to_string(),
        Base::Owned(id) => model.owned(id).name.to_string(),
        other => format!("{other:?}"),
    };
    format!("{base}{}{}", if ty.nullable { "?" } else { "" }, if ty.list { "[]" } else { "" })
}

fn print_entity(model: &Model, entity: &Entity, out: &mut String) {
    let names = format!("{} plural={} table={} class={:?}", entity.snake, entity.plural, entity.table, entity.class);
    let _ = writeln!(out, "entity {} {} {names}{}", entity.number, entity.name, doc(&entity.doc));
    let printer = Printer { model, fields: &entity.fields, relations: &entity.relations };
    printer.fields(out);
    for index in &entity.indexes {
        let fields: Vec<String> =
            index.fields.iter().map(|(id, down)| format!("{}{}", entity.field(*id).name, if *down { " desc" } else { "" })).collect();
        let _ = writeln!(out, "  index {}", fields.join(", "));
    }
    for unique in &entity.uniques {
        let _ = writeln!(out, "  unique {}", names_of(entity, unique));
    }
    for rule in &entity.rules {
        let fields = rule.fields.as_ref().map(|fields| format!(" fields=[{}]", names_of(entity, fields))).unwrap_or_default();
        let _ = writeln!(out, "  allow {:?} line={} `{}` is {}{fields}", rule.verbs, rule.line, rule.text, printer.expr(&rule.expr));
    }
    print_blocks(entity, out);
}

fn print_blocks(entity: &Entity, out: &mut String) {
    let flags = [
        ("internal", entity.internal),
        ("readonly", entity.readonly),
        ("require_revision", entity.require_revision),
        ("unwatched", !entity.watch),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
    let Expose { rest, graphql, grpc, websocket } = entity.expose;
    if !flags.is_empty() {
        let _ = writeln!(out, "  {}", flags.join(" "));
    }
    if !(rest && graphql && grpc && websocket) {
        let _ = writeln!(out, "  expose rest={rest} graphql={graphql} grpc={grpc} websocket={websocket}");
    }
    if let Some(Cache { public, max_age, stale }) = entity.cache {
        let _ = writeln!(out, "  cache public={public} max_age={max_age} stale={stale:?}");
    }
    if let Some((seconds, by)) = entity.retain {
        let _ = writeln!(out, "  retain {seconds}s by {}", entity.field(by).name);
    }
    for (verbs, handler) in &entity.before {
        let _ = writeln!(out, "  before {verbs:?} {handler}");
    }
    if !entity.reserved.is_empty() {
        let _ = writeln!(out, "  reserved {:?}", entity.reserved);
    }
}

fn names_of(entity: &Entity, fields: &[FieldId]) -> String {
    fields.iter().map(|id| entity.field(*id).name.as_str()).collect::<Vec<_>>().join(", ")
}

fn print_action(model: &Model, action: &Action, out: &mut String) {
    let printer = Printer { model, fields: &[], relations: &[] };
    let params: Vec<String> = action.params.iter().map(|param| format!("{}: {}", param.name, param_type(model, param.ty))).collect();
    let result = action.result.map(|result| param_type(model, result));
    let _ = writeln!(out, "action {}({}) {result:?}{}", action.name, params.join(", "), doc(&action.doc));
    let allow = action.allow.as_ref().map(|allow| printer.expr(allow));
    let _ =
        writeln!(out, "  allow {allow:?} handler={:?} timeout={:?} idempotent={}", action.handler, action.timeout_ms, action.idempotent);
}

fn print_channel(model: &Model, channel: &Channel, out: &mut String) {
    let printer = Printer { model, fields: &[], relations: &[] };
    let _ = writeln!(out, "channel {}({}: {}){}", channel.name, channel.param.name, param_type(model, channel.param.ty), doc(&channel.doc));
    for (name, expr) in [("join", &channel.join), ("publish", &channel.publish)] {
        if let Some(expr) = expr {
            let _ = writeln!(out, "  {name} {}", printer.expr(expr));
        }
    }
    if let Some((entity, expr)) = &channel.stream {
        let of = model.entity(*entity);
        let printer = Printer { model, fields: &of.fields, relations: &of.relations };
        let _ = writeln!(out, "  stream {} where {}", of.name, printer.expr(expr));
    }
    let presence: Vec<String> = channel.presence.iter().map(|field| format!("{} {}", field.name, ty(model, field.ty))).collect();
    let _ = writeln!(out, "  history={:?} presence={presence:?} signals={:?}", channel.history, channel.signals);
}

fn param_type(model: &Model, param: ParamType) -> String {
    match param {
        ParamType::Value(value) => ty(model, value),
        ParamType::Entity { entity, nullable, list } => {
            format!("{}{}{}", model.entity(entity).name, if nullable { "?" } else { "" }, if list { "[]" } else { "" })
        }
    }
}

/// Prints what is said of rows with these fields.
struct Printer<'m> {
    model: &'m Model,
    fields: &'m [Field],
    relations: &'m [Relation],
}

impl Printer<'_> {
    fn fields(&self, out: &mut String) {
        for field in self.fields {
            let _ = writeln!(
                out,
                "  {} {} {} column={}{}{}",
                field.number,
                field.name,
                ty(self.model, field.ty),
                field.column,
                self.attrs(field),
                doc(&field.doc)
            );
        }
        for relation in self.relations {
            let target = self.model.entity(relation.target);
            let kind = match relation.kind {
                RelationKind::One { field, on_delete } => format!("one by {} {on_delete:?}", self.fields[usize::from(field.0)].name),
                RelationKind::Many { field, .. } => format!("many by {}", target.field(field).name),
            };
            let _ = writeln!(out, "  {} {} {} {kind}{}", relation.number, relation.name, target.name, doc(&relation.doc));
        }
    }

    fn attrs(&self, field: &Field) -> String {
        let mut out = String::new();
        let flags = [
            ("unique", field.unique),
            ("search", field.search),
            ("fold", field.fold),
            ("readonly", field.readonly),
            ("once", field.once),
            ("secret", field.secret),
        ];
        flags.into_iter().filter(|(_, on)| *on).for_each(|(name, _)| out.extend([" @", name]));
        let texts = [
            ("default", field.default.as_ref().map(|default| format!("{default:?}"))),
            ("min", field.min.as_ref().map(|value| format!("{value:?}"))),
            ("max", field.max.as_ref().map(|value| format!("{value:?}"))),
            ("length", Some(field.length).filter(|length| *length != (None, None)).map(|length| format!("{length:?}"))),
            ("match", field.pattern.as_ref().map(ToString::to_string)),
            ("deprecated", field.deprecated.as_ref().map(ToString::to_string)),
            ("computed", field.computed.as_ref().map(|expr| self.expr(expr))),
            ("set", field.set.as_ref().map(|expr| self.expr(expr))),
            ("read", field.read_rule.as_ref().map(|expr| self.expr(expr))),
            ("write", field.write_rule.as_ref().map(|expr| self.expr(expr))),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                let _ = write!(out, " @{name}({text})");
            }
        }
        out
    }

    /// Fields by their slots: `row.2`, `row>0.1` after relation 0. So the text needs no types of its own.
    fn expr(&self, expr: &Expr) -> String {
        let one = |part: &Expr| self.expr(part);
        let join = |parts: &[Expr], by: &str| format!("({})", parts.iter().map(one).collect::<Vec<_>>().join(by));
        match &expr.kind {
            ExprKind::Literal(value) => format!("{value:?}"),
            ExprKind::Value(index) => format!("value{index}"),
            ExprKind::Field(path, field) => self.path(path, *field),
            ExprKind::Claim(id) => format!("caller.{}", self.model.claims[usize::from(id.0)].name),
            ExprKind::Argument(index) => format!("argument{index}"),
            ExprKind::Now => "now".to_owned(),
            ExprKind::List(parts) => format!("[{}]", parts.iter().map(one).collect::<Vec<_>>().join(", ")),
            ExprKind::Not(part) => format!("!{}", one(part)),
            ExprKind::Negate(part) => format!("-{}", one(part)),
            ExprKind::And(parts) => join(parts, " && "),
            ExprKind::Or(parts) => join(parts, " || "),
            ExprKind::Compare(by, a, b) => format!("({} {} {})", one(a), compare(*by), one(b)),
            ExprKind::IsNull(part) => format!("isnull({})", one(part)),
            ExprKind::In(a, b) => format!("({} in {})", one(a), one(b)),
            ExprKind::Arithmetic(by, a, b) => format!("({} {} {})", one(a), arithmetic(*by), one(b)),
            ExprKind::Conditional(a, b, c) => format!("({} ? {} : {})", one(a), one(b), one(c)),
            ExprKind::Rescale(part) => format!("rescale({}, {:?})", one(part), expr.ty.base),
            ExprKind::Call(function, parts) => format!("{}{}", call(*function), join(parts, ", ")),
            ExprKind::Quantified(by, collection, body) => {
                let by = if *by == Quantifier::Exists { "exists" } else { "all" };
                format!("{by}({}, {})", self.collection(collection), one(body))
            }
            ExprKind::Fold(fold) => {
                let filters: Vec<String> = fold.filters.iter().map(one).collect();
                format!(
                    "{:?}({} filters={filters:?} map={:?})",
                    fold.by,
                    self.fields[usize::from(fold.list.0)].name,
                    fold.map.as_deref().map(one)
                )
            }
        }
    }

    fn collection(&self, collection: &Collection) -> String {
        match collection {
            Collection::Owned(path, list) => self.path(path, *list),
            Collection::Relation(path, relation) => match self.relations.get(usize::from(relation.0)).filter(|_| own(path)) {
                Some(relation) => relation.name.to_string(),
                None => format!("{}~{}", root(path), relation.0),
            },
        }
    }

    fn path(&self, path: &Path, field: FieldId) -> String {
        match self.fields.get(usize::from(field.0)).filter(|_| own(path)) {
            Some(field) => format!("{}.{}", root(path), field.name),
            None => format!("{}.{}", root(path), field.0),
        }
    }
}

fn own(path: &Path) -> bool {
    path.hops.is_empty() && matches!(path.scope, Scope::Row | Scope::Old | Scope::New)
}

fn root(path: &Path) -> String {
    let hops: Vec<String> = path.hops.iter().map(|hop| format!(">{}", hop.0)).collect();
    format!("{}{}", format!("{:?}", path.scope).to_lowercase(), hops.concat())
}

fn compare(by: Compare) -> &'static str {
    match by {
        Compare::Equal => "==",
        Compare::NotEqual => "!=",
        Compare::Less => "<",
        Compare::LessOrEqual => "<=",
        Compare::Greater => ">",
        Compare::GreaterOrEqual => ">=",
    }
}

fn arithmetic(by: Arithmetic) -> &'static str {
    match by {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Remainder => "%",
    }
}

fn call(function: Function) -> String {
    format!("{function:?}").to_lowercase()
}
