//! Items, members and attributes, and how parsing goes on after an error among them.

use smol_str::SmolStr;

use super::{Parsed, Parser};
use crate::ast::*;
use crate::lex::Kind;

const ITEMS: [&str; 7] = ["entity", "enum", "owned", "caller", "action", "channel", "test"];

impl Parser<'_> {
    pub(super) fn file(&mut self) -> File {
        let mut file = File { doc: self.doc(), ..File::default() };
        if self.package(&mut file).is_err() {
            self.next_item();
        }
        while self.kind() != Kind::End {
            let begun = self.begun();
            match self.item() {
                Ok(item) => file.items.push(item),
                Err(_) => {
                    self.broken.extend(begun.map(|name| (name, SmolStr::default())));
                    self.next_item();
                }
            }
        }
        file.broken = std::mem::take(&mut self.broken);
        file
    }

    fn package(&mut self, file: &mut File) -> Parsed<()> {
        let start = self.span().start;
        self.expect("package")?;
        loop {
            file.package.push(self.word("a name, as in `package shop.v1`")?);
            if !self.take(".") {
                break;
            }
        }
        file.package_span = start..self.end();
        Ok(())
    }

    /// Moves to the next word at the head of a line that begins an item.
    fn next_item(&mut self) {
        self.advance_past_failure();
        let mut open = 0usize;
        while self.kind() != Kind::End && !self.begins_item() && !(open == 0 && self.resembles_item()) {
            match self.text_at(self.at) {
                "{" => open += 1,
                "}" => open = open.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
    }

    /// An item with a slip at its head, outside of braces.
    fn resembles_item(&self) -> bool {
        let named = self.kind_at(self.at + 1) == Kind::TypeName && self.text_at(self.at + 2) == "{";
        let keyword = self.kind() == Kind::Word && ITEMS.contains(&self.text_at(self.at));
        self.first_on_line() && (keyword || named)
    }

    /// A failure on an item's first word must not be met again.
    fn advance_past_failure(&mut self) {
        if !self.begins_item() {
            self.advance();
        }
    }

    /// The name that the item here declares: a type's, or `caller`.
    fn begun(&self) -> Option<SmolStr> {
        match self.text_at(self.at) {
            "caller" => Some(SmolStr::new_static("caller")),
            _ if self.kind_at(self.at + 1) == Kind::TypeName => Some(SmolStr::new(self.text_at(self.at + 1))),
            _ => None,
        }
    }

    fn begins_item(&self) -> bool {
        let keyword = self.first_on_line() && self.kind() == Kind::Word && ITEMS.contains(&self.text_at(self.at));
        let next = self.at + 1;
        keyword
            && match self.text_at(self.at) {
                "caller" => self.text_at(next) == "{",
                "action" | "channel" => self.kind_at(next) == Kind::Word && self.text_at(next + 1) == "(",
                "test" => self.kind_at(next) == Kind::Text,
                _ => self.kind_at(next) == Kind::TypeName && self.text_at(next + 1) == "{",
            }
    }

    fn item(&mut self) -> Parsed<Item> {
        let doc = self.doc();
        let start = self.span().start;
        let known = self.kind() == Kind::Word && ITEMS.contains(&self.text_at(self.at));
        if !known {
            return Err(self.unknown("unexpected", "expected `entity`, `enum`, `owned`, `caller`, `action`, `channel` or `test`", &ITEMS));
        }
        let keyword = self.take_word();
        let kind = match keyword.text.as_str() {
            "enum" => ItemKind::Enum(self.enumeration()?),
            "caller" => ItemKind::Caller(self.members("caller", false)?),
            "entity" => ItemKind::Entity(self.type_item("a type name, as in `entity Order {`")?),
            "owned" => ItemKind::Owned(self.type_item("a type name, as in `owned OrderLine {`")?),
            "action" => ItemKind::Action(self.action()?),
            "channel" => ItemKind::Channel(self.channel()?),
            _ => ItemKind::Test(self.test()?),
        };
        Ok(Item { doc, span: start..self.end(), kind })
    }

    fn enumeration(&mut self) -> Parsed<EnumItem> {
        let name = self.type_name("a type name, as in `enum OrderState {`")?;
        self.expect("{")?;
        let mut values = Vec::new();
        while !self.take("}") {
            if self.take(",") {
                continue;
            }
            let doc = self.doc();
            if self.kind() != Kind::Word {
                return Err(self.unexpected_here("a value's name in lower case, or `}`"));
            }
            let name = self.take_word();
            let start = name.span.start;
            let attrs = self.attributes()?;
            values.push(EnumValueItem { doc, name, attrs, span: start..self.end() });
        }
        Ok(EnumItem { name, values })
    }

    fn type_item(&mut self, expected: &str) -> Parsed<TypeItem> {
        let name = self.type_name(expected)?;
        Ok(TypeItem { members: self.members(&name.text, true)?, name })
    }

    /// `{ fields and blocks }`. A member that cannot be understood is told and left out, and its name is kept as broken.
    fn members(&mut self, owner: &str, blocks: bool) -> Parsed<Vec<MemberItem>> {
        self.expect("{")?;
        let mut members = Vec::new();
        loop {
            while self.take(",") {}
            let doc = self.doc();
            if self.take("}") {
                return Ok(members);
            }
            if self.kind() == Kind::End || self.begins_item() {
                // What was read so far stands, so that the rest of the file still finds this type.
                self.unexpected("`}`");
                return Ok(members);
            }
            let before = self.at;
            match self.member(doc, blocks) {
                Ok(member) => members.push(member),
                Err(_) => {
                    self.broken_member(owner, before);
                    self.next_member(before);
                }
            }
        }
    }

    /// Nobody tells again that a name is unknown which could not be read. Without a name it may be any.
    fn broken_member(&mut self, owner: &str, at: usize) {
        let named = self.kind_at(at) == Kind::Word;
        let name = if named { SmolStr::new(self.text_at(at)) } else { SmolStr::default() };
        if self.kind_at(at) != Kind::AtAt {
            self.broken.push((SmolStr::new(owner), name));
        }
    }

    /// Goes on behind `before`, so that each turn takes at least one token.
    fn next_member(&mut self, before: usize) {
        if self.at == before {
            self.advance();
        }
        let mut open = 0usize;
        while self.kind() != Kind::End && !self.begins_member() {
            match self.text_at(self.at) {
                "{" => open += 1,
                "}" if open == 0 => return,
                "}" => open -= 1,
                _ => {}
            }
            self.advance();
        }
    }

    fn begins_member(&self) -> bool {
        let next = self.kind_at(self.at + 1);
        self.first_on_line()
            && match self.kind() {
                Kind::AtAt => true,
                Kind::Word => next == Kind::TypeName || self.begins_item() || (next == Kind::Word && self.text_at(self.at + 1) != "in"),
                _ => self.is("}"),
            }
    }

    fn member(&mut self, doc: Option<String>, blocks: bool) -> Parsed<MemberItem> {
        if self.kind() == Kind::AtAt && blocks {
            return Ok(MemberItem::Block(self.attribute()?));
        }
        if self.kind() != Kind::Word {
            return Err(self.unexpected_here("a field's name in lower case, as in `title String`"));
        }
        let name = self.take_word();
        let ty = self.type_ref()?;
        let attrs = self.attributes()?;
        let span = name.span.start..self.end();
        Ok(MemberItem::Field(FieldItem { doc, name, ty, attrs, span }))
    }

    fn type_ref(&mut self) -> Parsed<TypeRef> {
        let name = self.type_name("a type, as in `String`, `Order` or `Int?`")?;
        let start = name.span.start;
        let mut args = Vec::new();
        if self.take("(") {
            args.push(self.named(Kind::Int, "a number of digits")?);
            if self.take(",") {
                args.push(self.named(Kind::Int, "a number of digits after the point")?);
            }
            self.expect(")")?;
        }
        let mark = match () {
            () if self.take("?") => Mark::Nullable,
            () if self.take("[]") => Mark::List,
            () => Mark::One,
        };
        Ok(TypeRef { name, args, mark, span: start..self.end() })
    }

    fn attributes(&mut self) -> Parsed<Vec<Attr>> {
        let mut attrs = Vec::new();
        while self.kind() == Kind::At {
            attrs.push(self.attribute()?);
        }
        Ok(attrs)
    }

    /// `@name(args)` or `@@name(args)`.
    fn attribute(&mut self) -> Parsed<Attr> {
        let start = self.span().start;
        self.advance();
        let name = self.word("an attribute's name")?;
        let parens = self.take("(");
        let args = if parens { self.attribute_args()? } else { Vec::new() };
        Ok(Attr { name, args, parens, span: start..self.end() })
    }

    fn attribute_args(&mut self) -> Parsed<Vec<Arg>> {
        let mut args = Vec::new();
        if self.take(")") {
            return Ok(args);
        }
        loop {
            args.push(self.arg()?);
            if self.take(")") {
                return Ok(args);
            }
            if !self.take(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    fn arg(&mut self) -> Parsed<Arg> {
        let start = self.span().start;
        let named = self.kind() == Kind::Word && self.text_at(self.at + 1) == ":";
        let name = named.then(|| self.take_word());
        if named {
            self.advance();
        }
        let value = self.arg_value()?;
        Ok(Arg { name, value, span: start..self.end() })
    }

    fn arg_value(&mut self) -> Parsed<ArgValue> {
        let number = matches!(self.kind(), Kind::Int | Kind::Decimal);
        if self.is("..") || (number && self.text_at(self.at + 1) == "..") {
            let low = number.then(|| self.take_word());
            self.expect("..")?;
            let high = matches!(self.kind(), Kind::Int | Kind::Decimal).then(|| self.take_word());
            return Ok(ArgValue::Range(low, high));
        }
        let node = self.expr()?;
        if self.is("asc") || self.is("desc") {
            let descends = self.is("desc");
            self.advance();
            return Ok(ArgValue::Sorted(node, descends));
        }
        Ok(ArgValue::Expr(node))
    }

    fn action(&mut self) -> Parsed<ActionItem> {
        let name = self.word("an action's name in lower case")?;
        self.expect("(")?;
        let mut params = Vec::new();
        while !self.take(")") {
            params.push(self.param()?);
            if !self.take(",") && !self.is(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        let result = if self.take(":") { Some(self.type_ref()?) } else { None };
        let attrs = self.attributes()?;
        Ok(ActionItem { name, params, result, attrs })
    }

    fn param(&mut self) -> Parsed<ParamItem> {
        let name = self.word("a parameter, as in `order: Order`")?;
        self.expect(":")?;
        Ok(ParamItem { name, ty: self.type_ref()? })
    }

    fn channel(&mut self) -> Parsed<ChannelItem> {
        let name = self.word("a channel's name in lower case")?;
        self.expect("(")?;
        let param = self.param()?;
        self.expect(")")?;
        self.expect("{")?;
        let mut parts = Vec::new();
        while !self.take("}") {
            if !self.take(",") {
                parts.push(self.channel_part()?);
            }
        }
        Ok(ChannelItem { name, param, parts })
    }

    fn channel_part(&mut self) -> Parsed<ChannelPart> {
        let start = self.span().start;
        let kind = if self.kind() == Kind::At {
            ChannelPartKind::Attr(self.attribute()?)
        } else if self.take("stream") {
            let entity = self.type_name("an entity, as in `stream Message where …`")?;
            self.expect("where")?;
            ChannelPartKind::Stream(entity, self.expr()?)
        } else if self.take("presence") {
            ChannelPartKind::Presence(self.members("presence", false)?)
        } else if self.take("signal") {
            ChannelPartKind::Signal(self.word("a signal's name in lower case")?)
        } else {
            let expected = "expected `@join`, `stream`, `presence`, `signal` or `}`";
            return Err(self.unknown("unexpected", expected, &["stream", "presence", "signal"]));
        };
        Ok(ChannelPart { span: start..self.end(), kind })
    }

    fn test(&mut self) -> Parsed<TestItem> {
        let (title, title_span) = self.string("the test's title")?;
        self.expect("as")?;
        let caller = self.object()?;
        self.expect("{")?;
        let mut steps = Vec::new();
        while !self.take("}") {
            if !self.take(",") {
                steps.push(self.test_step()?);
            }
        }
        Ok(TestItem { title, title_span, caller, steps })
    }

    fn test_step(&mut self) -> Parsed<TestStep> {
        let start = self.span().start;
        if !["given", "allow", "deny"].iter().any(|word| self.is(word)) {
            return Err(self.unknown("unexpected", "expected `given`, `allow`, `deny` or `}`", &["given", "allow", "deny"]));
        }
        let kind = self.take_word();
        let verb = if kind.text == "given" { None } else { Some(self.word("`read`, `create`, `update` or `delete`")?) };
        let entity = self.type_name("an entity")?;
        let key = (verb.is_some() && self.kind() == Kind::Text).then(|| self.take_word());
        let object = if self.is("{") || verb.is_none() { Some(self.object()?) } else { None };
        Ok(TestStep { span: start..self.end(), kind, verb, entity, key, object })
    }

    /// `{ name: value, … }`. Nesting is bounded like an expression's.
    fn object(&mut self) -> Parsed<Object> {
        self.object_within(0)
    }

    fn object_within(&mut self, depth: usize) -> Parsed<Object> {
        let start = self.span().start;
        if depth > 16 {
            return Err(self.fail(self.span(), "object nests deeper than 16 levels", "too deep here"));
        }
        self.expect("{")?;
        let mut members = Vec::new();
        while !self.take("}") {
            let name = self.word("a member, as in `id: \"…\"`")?;
            self.expect(":")?;
            let value = if self.is("{") { ObjectValue::Object(self.object_within(depth + 1)?) } else { ObjectValue::Expr(self.expr()?) };
            members.push((name, value));
            self.take(",");
        }
        Ok(Object { span: start..self.end(), members })
    }
}
