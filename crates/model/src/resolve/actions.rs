//! Actions: their parameters, who may call them, and who carries them out.

use smol_str::SmolStr;

use super::{Declared, Resolver, args};
use crate::ast::{ActionItem, Attr, Item, ItemKind, Mark, Node, ParamItem, TypeRef};
use crate::expr::Expr;
use crate::model::*;
use crate::typing::Place;

const KNOWN: [&str; 4] = ["allow", "handler", "timeout", "idempotent"];
/// Parameters of one action; an expression knows them by a small number.
const PARAMS_MAX: usize = 32;
/// The longest that a handler may take: an hour, in microseconds.
const TIMEOUT_MAX_US: u64 = 3_600_000_000;

impl Resolver<'_> {
    pub(super) fn actions(&mut self) {
        for item in self.items() {
            let ItemKind::Action(of) = &item.kind else { continue };
            self.check_name(&of.name, "an action's name");
            if self.model.actions.iter().any(|other| other.name == of.name.text) {
                self.error(&of.name.span, format!("a second action `{}`", of.name.text), "expected another name");
                continue;
            }
            let action = self.action(item, of);
            self.model.actions.push(action);
        }
    }

    fn action(&mut self, item: &Item, of: &ActionItem) -> Action {
        let params = self.params(of);
        let result = of.result.as_ref().and_then(|ty| self.param_type(ty));
        let (name, doc) = (of.name.text.clone(), item.doc.clone());
        let mut action = Action { name, doc, params, result, allow: None, handler: None, timeout_ms: None, idempotent: false };
        let mut seen: Vec<&str> = Vec::new();
        for attr in &of.attrs {
            if seen.contains(&attr.name.text.as_str()) {
                self.error(&attr.span, format!("`@{}` is given twice", attr.name.text), "expected it once");
                continue;
            }
            seen.push(&attr.name.text);
            self.action_attr(&mut action, attr);
        }
        if !seen.contains(&"handler") {
            let help = "write `@handler(\"name\")`; its address is configuration";
            self.error_with_help(&of.name.span, format!("action `{}` has no handler", of.name.text), "nobody carries it out", help);
        }
        action
    }

    fn params(&mut self, of: &ActionItem) -> Vec<Param> {
        let mut params: Vec<Param> = Vec::new();
        for item in &of.params {
            if params.iter().any(|other| other.name == item.name.text) {
                self.error(&item.name.span, format!("a second parameter `{}`", item.name.text), "expected another name");
            } else if params.len() == PARAMS_MAX {
                self.error(&item.name.span, format!("an action has at most {PARAMS_MAX} parameters"), "this is one more");
                break;
            } else {
                params.extend(self.param(item));
            }
        }
        params
    }

    /// A parameter of an action or a channel.
    pub(super) fn param(&mut self, item: &ParamItem) -> Option<Param> {
        self.check_member_name(&item.name);
        let name = item.name.text.clone();
        match self.param_type(&item.ty) {
            Some(ty) => Some(Param { name, ty }),
            None => {
                self.broken.push((SmolStr::new_static("parameter"), name));
                None
            }
        }
    }

    fn param_type(&mut self, ty: &TypeRef) -> Option<ParamType> {
        let (nullable, list) = (ty.mark == Mark::Nullable, ty.mark == Mark::List);
        match self.declared(ty)? {
            Declared::Entity(entity) => Some(ParamType::Entity { entity, nullable, list }),
            Declared::Scalar(base) => Some(ParamType::Value(Type { base, nullable, list })),
        }
    }

    fn action_attr(&mut self, action: &mut Action, attr: &Attr) {
        match attr.name.text.as_str() {
            "allow" => {
                let Some(node) = args::expression(attr, "a condition, as in `@allow(order.buyer.id == caller.id)`", &mut self.diagnostics)
                else {
                    return;
                };
                action.allow = self.action_rule(node, &action.params);
            }
            "handler" => {
                let text = args::text(attr, "a handler's name, as in `@handler(\"payments\")`", &mut self.diagnostics);
                action.handler = text.map(|(text, _)| SmolStr::new(text));
            }
            "timeout" => action.timeout_ms = self.timeout(attr),
            "idempotent" => action.idempotent = args::nothing(attr, &mut self.diagnostics).is_some(),
            _ => self.unknown_attr(attr, "an action", &KNOWN),
        }
    }

    fn action_rule(&mut self, node: &Node, params: &[Param]) -> Option<Expr> {
        let mut found = Vec::new();
        let bare = Place::bare(&self.model, "an action's rule");
        let place = Place { caller: true, now: true, hops: true, quantifiers: true, params, broken: &self.broken, ..bare };
        let expr = place.condition(node, &mut found);
        self.told(expr, found, node)
    }

    fn timeout(&mut self, attr: &Attr) -> Option<u64> {
        let [arg] = attr.args.as_slice() else {
            self.error(&attr.span, "`@timeout` does not read like this", "expected a duration, as in `@timeout(10s)`");
            return None;
        };
        let micros = args::duration(arg, attr, &mut self.diagnostics)?;
        if !(1000..=TIMEOUT_MAX_US).contains(&micros) {
            self.error(&arg.span, "a time limit out of range", "expected 1ms to 1h");
        }
        Some(micros / 1000)
    }
}
