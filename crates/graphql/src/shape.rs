//! Shapes: what of an outcome an answer shows, in which order and under which names.

use std::fmt;

use fourfold_model::{Base, FieldId};
use fourfold_op::SmolStr;
use fourfold_op::json::write_string;

/// An object of the answer: its members in the order of the document.
pub(crate) type Shape<P> = Vec<Entry<P>>;

/// A member of an object.
pub(crate) struct Entry<P> {
    /// `"name":`, ready to be written.
    pub key: Box<[u8]>,
    /// Its name, for paths.
    pub name: SmolStr,
    pub part: P,
}

impl<P> Entry<P> {
    pub fn new(name: &str, part: P) -> Entry<P> {
        let mut key = Vec::with_capacity(name.len() + 3);
        write_string(&mut key, name);
        key.push(b':');
        Entry { key: key.into_boxed_slice(), name: SmolStr::new(name), part }
    }
}

impl<P: fmt::Debug> fmt::Debug for Entry<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.name, self.part)
    }
}

/// A text that is the same in every answer, as JSON.
pub(crate) fn text(text: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out.into_boxed_slice()
}

/// A member of a row's object.
#[derive(Debug)]
pub(crate) enum RowPart {
    Text(Box<[u8]>),
    Value {
        slot: FieldId,
        base: Base,
        nullable: bool,
    },
    Owned {
        slot: FieldId,
        shape: Shape<RowPart>,
        list: bool,
        nullable: bool,
    },
    /// The to-one relation at this place of `Record::nested`.
    One {
        place: usize,
        shape: Shape<RowPart>,
        nullable: bool,
    },
    /// The to-many relation at this place.
    Many {
        place: usize,
        shape: PageShape,
    },
}

/// A connection.
#[derive(Debug)]
pub(crate) struct PageShape {
    pub members: Shape<PagePart>,
    /// Whether `after` was given.
    pub after: bool,
}

/// A member of a connection.
#[derive(Debug)]
pub(crate) enum PagePart {
    Text(Box<[u8]>),
    Edges(Shape<EdgePart>),
    Nodes(Shape<RowPart>),
    PageInfo(Shape<InfoPart>),
    TotalCount,
    TotalCapped,
    Cursor,
}

/// A member of an edge.
#[derive(Debug)]
pub(crate) enum EdgePart {
    Text(Box<[u8]>),
    Cursor,
    Node(Shape<RowPart>),
}

/// A member of `pageInfo`.
#[derive(Debug)]
pub(crate) enum InfoPart {
    Text(Box<[u8]>),
    HasNextPage,
    HasPreviousPage,
    StartCursor,
    EndCursor,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) enum GroupPart {
    Text(Box<[u8]>),
    /// The value at this place of the group; none: null.
    Value {
        place: Option<usize>,
        base: Base,
    },
    Object(Shape<GroupPart>),
}

/// A member of a payload.
#[derive(Debug)]
pub(crate) enum PayloadPart {
    Text(Box<[u8]>),
    Row(Shape<RowPart>),
    Cursor,
}

/// A member of a change.
#[derive(Debug)]
pub(crate) enum ChangePart {
    Text(Box<[u8]>),
    Cursor,
    Change,
    Key(Base),
    Revision,
    At,
    Item(Shape<RowPart>),
}
