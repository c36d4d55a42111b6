//! The model file as it is written: nothing is resolved, every part knows its place in the text.

use std::ops::Range;

use smol_str::SmolStr;

pub(crate) type Span = Range<usize>;

/// A name as written, with its place.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: SmolStr,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) doc: Option<String>,
    pub(crate) package: Vec<Word>,
    pub(crate) package_span: Span,
    pub(crate) items: Vec<Item>,
    /// (type, member) that could not be understood and were told; without a member, the whole type or any member of it.
    pub(crate) broken: Vec<(SmolStr, SmolStr)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) doc: Option<String>,
    /// From its keyword to its closing brace or last attribute.
    pub(crate) span: Span,
    pub(crate) kind: ItemKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ItemKind {
    Enum(EnumItem),
    Caller(Vec<MemberItem>),
    Entity(TypeItem),
    Owned(TypeItem),
    Action(ActionItem),
    Channel(ChannelItem),
    Test(TestItem),
}

#[derive(Clone, Debug)]
pub(crate) struct EnumItem {
    pub(crate) name: Word,
    pub(crate) values: Vec<EnumValueItem>,
}

#[derive(Clone, Debug)]
pub(crate) struct EnumValueItem {
    pub(crate) doc: Option<String>,
    pub(crate) name: Word,
    pub(crate) attrs: Vec<Attr>,
    pub(crate) span: Span,
}

/// An entity or an owned type.
#[derive(Clone, Debug)]
pub(crate) struct TypeItem {
    pub(crate) name: Word,
    pub(crate) members: Vec<MemberItem>,
}

#[derive(Clone, Debug)]
pub(crate) enum MemberItem {
    Field(FieldItem),
    Block(Attr),
}

impl MemberItem {
    pub(crate) fn span(&self) -> Span {
        match self {
            MemberItem::Field(field) => field.span.clone(),
            MemberItem::Block(attr) => attr.span.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FieldItem {
    pub(crate) doc: Option<String>,
    pub(crate) name: Word,
    pub(crate) ty: TypeRef,
    pub(crate) attrs: Vec<Attr>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct TypeRef {
    pub(crate) name: Word,
    /// `12` and `2` of `Decimal(12,2)`.
    pub(crate) args: Vec<Word>,
    pub(crate) mark: Mark,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    One,
    Nullable,
    List,
}

#[derive(Clone, Debug)]
pub(crate) struct Attr {
    pub(crate) name: Word,
    pub(crate) args: Vec<Arg>,
    pub(crate) parens: bool,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<Word>,
    pub(crate) value: ArgValue,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ArgValue {
    Expr(Node),
    Range(Option<Word>, Option<Word>),
    /// `price desc`; true for `desc`.
    Sorted(Node, bool),
}

#[derive(Clone, Debug)]
pub(crate) struct ActionItem {
    pub(crate) name: Word,
    pub(crate) params: Vec<ParamItem>,
    pub(crate) result: Option<TypeRef>,
    pub(crate) attrs: Vec<Attr>,
}

#[derive(Clone, Debug)]
pub(crate) struct ParamItem {
    pub(crate) name: Word,
    pub(crate) ty: TypeRef,
}

#[derive(Clone, Debug)]
pub(crate) struct ChannelItem {
    pub(crate) name: Word,
    pub(crate) param: ParamItem,
    pub(crate) parts: Vec<ChannelPart>,
}

#[derive(Clone, Debug)]
pub(crate) struct ChannelPart {
    pub(crate) span: Span,
    pub(crate) kind: ChannelPartKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ChannelPartKind {
    Attr(Attr),
    Stream(Word, Node),
    Presence(Vec<MemberItem>),
    Signal(Word),
}

#[derive(Clone, Debug)]
pub(crate) struct TestItem {
    pub(crate) title: String,
    pub(crate) title_span: Span,
    pub(crate) caller: Object,
    pub(crate) steps: Vec<TestStep>,
}

#[derive(Clone, Debug)]
pub(crate) struct TestStep {
    pub(crate) span: Span,
    /// `given`, `allow` or `deny`.
    #[expect(dead_code, reason = "a model's tests are checked, not yet run")]
    pub(crate) kind: Word,
    /// The verb of `allow` and `deny`.
    pub(crate) verb: Option<Word>,
    pub(crate) entity: Word,
    /// A key, as a string with its quotes.
    pub(crate) key: Option<Word>,
    pub(crate) object: Option<Object>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) span: Span,
    pub(crate) members: Vec<(Word, ObjectValue)>,
}

#[derive(Clone, Debug)]
pub(crate) enum ObjectValue {
    Expr(Node),
    Object(Object),
}

/// An expression as written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// `12` or `1.50`, as written.
    Number(SmolStr),
    /// The text that a string means.
    Text(String),
    /// Microseconds; `None` when it does not fit.
    Duration(Option<i64>),
    Boolean(bool),
    Null,
    Name(SmolStr),
    Member(Box<Node>, Word),
    Call(Option<Box<Node>>, Word, Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    List(Vec<Node>),
    Paren(Box<Node>),
}

impl Node {
    /// The expression inside any parentheses.
    pub(crate) fn bare(&self) -> &Node {
        let mut node = self;
        while let NodeKind::Paren(inner) = &node.kind {
            node = inner;
        }
        node
    }

    /// The name, when this is a name alone.
    pub(crate) fn name(&self) -> Option<&SmolStr> {
        match &self.kind {
            NodeKind::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The binary operators but `&&` and `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}
