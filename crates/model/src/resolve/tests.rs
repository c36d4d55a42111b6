//! `test` blocks: every name and value in them is checked against the model.

use smol_str::SmolStr;

use super::{Declared, Resolver};
use crate::ast::{Item, ItemKind, Node, NodeKind, Object, ObjectValue, TestItem, TestStep, Word};
use crate::diagnostics::{Diagnostic, place};
use crate::model::*;
use crate::names;
use crate::typing::is_broken;

impl Resolver<'_> {
    pub(super) fn tests(&mut self, text: &str) {
        for item in self.items() {
            let ItemKind::Test(of) = &item.kind else { continue };
            if self.model.tests.iter().any(|other| other.title == of.title) {
                self.error(&of.title_span, "a second test of this title", "expected another title");
            }
            self.test_caller(&of.caller);
            for step in &of.steps {
                self.test_step(step);
            }
            self.model.tests.push(test_block(item, of, text));
        }
    }

    /// `as { … }`: claims of the `caller` block.
    fn test_caller(&mut self, caller: &Object) {
        let claims: Vec<(SmolStr, Type)> = self.model.claims.iter().map(|claim| (claim.name.clone(), claim.ty)).collect();
        self.test_members(caller, &claims, "claim", "the `caller` block");
    }

    fn test_step(&mut self, step: &TestStep) {
        if let Some(verb) = &step.verb {
            self.test_verb(verb);
        }
        let entity = match self.types.get(&step.entity.text) {
            Some(Declared::Entity(entity)) => *entity,
            _ => return self.no_entity(&step.entity, "expected one of the model's entities"),
        };
        self.test_key(step, entity);
        let Some(object) = &step.object else { return };
        let of = self.model.entity(entity);
        let (name, fields) = (of.name.clone(), of.fields.iter().map(|field| (field.name.clone(), field.ty)).collect::<Vec<_>>());
        self.test_members(object, &fields, "field", &format!("`{name}`"));
    }

    pub(super) fn no_entity(&mut self, word: &Word, expected: &str) {
        if is_broken(&self.broken, &word.text, "") {
            return;
        }
        let near = names::closest(&word.text, self.model.entities.iter().map(|entity| entity.name.as_str()));
        let diagnostic = Diagnostic::error(word.span.clone(), format!("`{}` is no entity", word.text), expected);
        self.diagnostics.push(diagnostic.suggest(near));
    }

    fn test_verb(&mut self, verb: &Word) {
        let verbs = ["read", "create", "update", "delete"];
        if !verbs.contains(&verb.text.as_str()) {
            let label = "expected `read`, `create`, `update` or `delete`";
            let diagnostic = Diagnostic::error(verb.span.clone(), format!("unknown verb `{}`", verb.text), label);
            self.diagnostics.push(diagnostic.suggest(names::closest(&verb.text, verbs.into_iter())));
        }
    }

    /// A key is written as text, whatever its type.
    fn test_key(&mut self, step: &TestStep, entity: EntityId) {
        let Some(key) = &step.key else { return };
        let base = self.model.entity(entity).key_type();
        let text = serde_json::from_str::<String>(&key.text).unwrap_or_default();
        let kind = match base {
            Base::Int | Base::BigInt => NodeKind::Number(SmolStr::new(&text)),
            _ => NodeKind::Text(text.clone()),
        };
        if matches!(base, Base::Int | Base::BigInt) && text.parse::<i64>().is_err() {
            self.error(&key.span, format!("`{text}` is no key of this entity"), "expected a whole number as text");
            return;
        }
        let node = Node { kind, span: key.span.clone() };
        self.literal(&node, Type { base, nullable: false, list: false }, "a key");
    }

    fn test_members(&mut self, object: &Object, known: &[(SmolStr, Type)], kind: &str, of: &str) {
        for (word, value) in &object.members {
            let Some((_, ty)) = known.iter().find(|(name, _)| *name == word.text) else {
                let near = names::closest(&word.text, known.iter().map(|(name, _)| name.as_str()));
                let diagnostic =
                    Diagnostic::error(word.span.clone(), format!("unknown {kind} `{}`", word.text), format!("expected a {kind} of {of}"));
                self.diagnostics.push(diagnostic.suggest(near));
                continue;
            };
            match value {
                ObjectValue::Expr(node) => self.test_value(node, *ty),
                ObjectValue::Object(object) if ty.base != Base::Json => {
                    self.error(&object.span, format!("`{}` is no object", word.text), "expected a value");
                }
                ObjectValue::Object(_) => {}
            }
        }
    }

    fn test_value(&mut self, node: &Node, ty: Type) {
        // Owned elements are objects, which lists of expressions do not hold: such a list stays empty here.
        if matches!(ty.base, Base::Owned(_) | Base::Json) {
            return;
        }
        self.literal(node, ty, "a test's value");
    }
}

fn test_block(item: &Item, of: &TestItem, text: &str) -> TestBlock {
    TestBlock { title: of.title.clone(), line: place(text, item.span.start).0 }
}
