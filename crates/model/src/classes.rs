//! Classes of read rules: how a watch can judge them.
//!
//! **L**: from the row, its own columns and the caller. **M**: besides that, by one `exists` that pins the caller, so that the
//! caller's set of keys can be loaded once and kept. **G**: anything else; readable, not watchable.

use crate::expr::{Collection, Compare, Expr, ExprKind, Path, Quantifier, Scope};
use crate::model::{Channel, Entity, RuleClass, Verb};

/// The class of an entity's read rules and of the masks of its fields.
pub(crate) fn class(entity: &Entity) -> RuleClass {
    let rules = entity.rules_for(Verb::Read).map(|rule| &rule.expr);
    let mut memberships = 0;
    for expr in rules {
        match beyond(expr) {
            Beyond::Nothing => {}
            Beyond::Memberships(count) => memberships += count,
            Beyond::More => return RuleClass::General,
        }
    }
    // A mask hides a value and not the row; one that looks beyond the row cannot be judged while watching.
    let mut masks = entity.fields.iter().filter_map(|field| field.read_rule.as_ref());
    if masks.any(|expr| !matches!(beyond(expr), Beyond::Nothing)) {
        return RuleClass::General;
    }
    match memberships {
        0 => RuleClass::Local,
        1 => RuleClass::Membership,
        _ => RuleClass::General,
    }
}

/// The class of one rule about one row, by whatever root it names that row.
pub(crate) fn class_of(rule: &Expr) -> RuleClass {
    match beyond(rule) {
        Beyond::Nothing => RuleClass::Local,
        Beyond::Memberships(1) => RuleClass::Membership,
        Beyond::Memberships(_) | Beyond::More => RuleClass::General,
    }
}

impl Channel {
    /// The class of its join rule; without one it asks for nothing.
    pub fn join_class(&self) -> RuleClass {
        self.join.as_ref().map_or(RuleClass::Local, crate::classes::class_of)
    }
}

/// What an expression looks at beyond the row and the caller.
enum Beyond {
    Nothing,
    /// So many `exists` that pin the caller.
    Memberships(usize),
    More,
}

fn beyond(expr: &Expr) -> Beyond {
    match &expr.kind {
        ExprKind::Now => Beyond::More,
        ExprKind::Field(path, _) if leaves_row(path) => Beyond::More,
        ExprKind::Quantified(_, Collection::Owned(path, _), body) => match leaves_row(path) {
            true => Beyond::More,
            false => within(body),
        },
        // One relation further is still told by a column of the row, as `room.members` by `room_id`.
        ExprKind::Quantified(Quantifier::Exists, Collection::Relation(path, _), body) if path.hops.len() <= 1 && pins_caller(body) => {
            Beyond::Memberships(1)
        }
        ExprKind::Quantified(..) => Beyond::More,
        _ => expr.parts().into_iter().map(beyond).fold(Beyond::Nothing, join),
    }
}

/// The elements of an owned list are in the row; what their conditions reach may not be.
fn within(body: &Expr) -> Beyond {
    if body.any(&|part| {
        matches!(&part.kind, ExprKind::Field(path, _) if !path.hops.is_empty()) || matches!(part.kind, ExprKind::Quantified(..))
    }) {
        return Beyond::More;
    }
    Beyond::Nothing
}

fn join(a: Beyond, b: Beyond) -> Beyond {
    match (a, b) {
        (Beyond::Nothing, other) | (other, Beyond::Nothing) => other,
        (Beyond::Memberships(a), Beyond::Memberships(b)) => Beyond::Memberships(a + b),
        _ => Beyond::More,
    }
}

fn leaves_row(path: &Path) -> bool {
    !path.hops.is_empty()
}

/// Whether every way for `body` to hold compares a column of the element with a claim, and nothing in it goes further: the set of keys
/// is the caller's, so it depends neither on the row nor on the moment.
fn pins_caller(body: &Expr) -> bool {
    let further = body.any(&|part| match &part.kind {
        ExprKind::Quantified(..) | ExprKind::Now => true,
        ExprKind::Field(path, _) => leaves_row(path) || !matches!(path.scope, Scope::Variable(_)),
        _ => false,
    });
    !further && conjuncts(body).iter().any(|part| is_pin(part))
}

fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().flat_map(conjuncts).collect(),
        _ => vec![expr],
    }
}

fn is_pin(expr: &Expr) -> bool {
    let ExprKind::Compare(Compare::Equal, left, right) = &expr.kind else { return false };
    let of_element = |expr: &Expr| matches!(&expr.kind, ExprKind::Field(path, _) if matches!(path.scope, Scope::Variable(_)));
    let of_caller = |expr: &Expr| matches!(expr.kind, ExprKind::Claim(_));
    (of_element(left) && of_caller(right)) || (of_caller(left) && of_element(right))
}
