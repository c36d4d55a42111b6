//! The parameters of requests: their numbers never change, and both the contract and the readers are made from these tables.

/// A parameter of a request.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its number in the request's message: 1 to 9.
    pub number: u32,
    /// Its name; empty for the row, which is called as its entity.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Documentation.
    pub doc: &'static str,
}

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The entity's key.
    Key,
    /// Several keys.
    Keys,
    /// The entity's message.
    Row,
    /// A `google.protobuf.FieldMask`.
    Mask,
    /// A string.
    Text,
    /// Several strings.
    Texts,
    /// An int32.
    Int32,
    /// An int64.
    Int64,
    /// A bool.
    Flag,
}

const fn parameter(number: u32, name: &'static str, kind: Kind, doc: &'static str) -> Parameter {
    Parameter { number, name, kind, doc }
}

const READ_MASK: &str = "Which fields come back: `title`, `buyer.name`, `albums.title`; empty: all fields of the row itself.";
const ETAG: &str = "The revision that the row must have, as text; when it has another the answer is ABORTED.";
const REQUEST_ID: &str = "A key of the caller's own: the same request sent again under it is done once.";
const FILTER: &str = "Which rows, in the model's expression language: `price > 5 && artist.name == \"AC/DC\"`.";
const OWN_FILTER: &str = "Which rows, in the model's expression language, by the row's own fields alone: `price > 5`.";
const SEARCH: &str = "Words to search for.";

/// `GetProductRequest`.
pub const GET: &[Parameter] = &[parameter(1, "id", Kind::Key, "The row's key."), parameter(2, "read_mask", Kind::Mask, READ_MASK)];

/// `ListProductsRequest`.
pub const LIST: &[Parameter] = &[
    parameter(1, "page_size", Kind::Int32, "How many rows at most; 0: as many as the server thinks fit."),
    parameter(2, "page_token", Kind::Text, "The `next_page_token` of the page before; everything else must be as it was there."),
    parameter(3, "filter", Kind::Text, FILTER),
    parameter(4, "search", Kind::Text, SEARCH),
    parameter(5, "order_by", Kind::Text, "The order: `price desc, title`, at most three fields."),
    parameter(6, "read_mask", Kind::Mask, READ_MASK),
    parameter(7, "with_total", Kind::Flag, "Whether to count all that match."),
];

/// `AggregateProductsRequest`.
pub const AGGREGATE: &[Parameter] = &[
    parameter(1, "filter", Kind::Text, FILTER),
    parameter(2, "search", Kind::Text, SEARCH),
    parameter(3, "group_by", Kind::Texts, "The fields to group by; a date or time can be cut: `at:day` (hour, day, week, month, year)."),
    parameter(4, "count", Kind::Texts, "`*` counts rows, a field the rows that have it."),
    parameter(5, "sum", Kind::Texts, "Fields to sum."),
    parameter(6, "avg", Kind::Texts, "Fields to average."),
    parameter(7, "min", Kind::Texts, "Fields whose least value is wanted."),
    parameter(8, "max", Kind::Texts, "Fields whose greatest value is wanted."),
    parameter(9, "count_distinct", Kind::Texts, "Fields whose different values are counted."),
];

/// `CreateProductRequest`.
pub const CREATE: &[Parameter] = &[
    parameter(1, "", Kind::Row, "The new row; its key may be left to the server where the model makes one."),
    parameter(2, "request_id", Kind::Text, REQUEST_ID),
    parameter(3, "read_mask", Kind::Mask, READ_MASK),
];

/// `UpdateProductRequest`.
pub const UPDATE: &[Parameter] = &[
    parameter(1, "", Kind::Row, "The row's key, and what it is to have."),
    parameter(
        2,
        "update_mask",
        Kind::Mask,
        "Which fields change: one that is named here and not set is cleared. Empty: those that are set. `*`: all.",
    ),
    parameter(3, "allow_missing", Kind::Flag, "Create the row, with everything that is set, where there is none."),
    parameter(4, "etag", Kind::Text, ETAG),
    parameter(5, "request_id", Kind::Text, REQUEST_ID),
    parameter(6, "read_mask", Kind::Mask, READ_MASK),
];

/// `UpsertProductRequest`.
pub const UPSERT: &[Parameter] = &[
    parameter(1, "", Kind::Row, "The whole row: what is not set gets its default or is cleared. It is created where there is none."),
    parameter(2, "etag", Kind::Text, ETAG),
    parameter(3, "request_id", Kind::Text, REQUEST_ID),
    parameter(4, "read_mask", Kind::Mask, READ_MASK),
];

/// `DeleteProductRequest`.
pub const DELETE: &[Parameter] = &[
    parameter(1, "id", Kind::Key, "The row's key."),
    parameter(2, "etag", Kind::Text, ETAG),
    parameter(3, "allow_missing", Kind::Flag, "Whether it is fine when there is no such row."),
    parameter(4, "request_id", Kind::Text, REQUEST_ID),
];

/// `BatchGetProductsRequest`.
pub const BATCH_GET: &[Parameter] = &[
    parameter(1, "ids", Kind::Keys, "The rows' keys; one that is not there fails the request."),
    parameter(2, "read_mask", Kind::Mask, READ_MASK),
];

/// `WatchProductsRequest`.
pub const WATCH: &[Parameter] = &[
    parameter(1, "filter", Kind::Text, OWN_FILTER),
    parameter(
        2,
        "read_mask",
        Kind::Mask,
        "Which fields the rows show: `id`, `title`; empty: all fields of the row itself, and never a relation.",
    ),
    parameter(3, "after", Kind::Text, "From where to go on: the `cursor` of a response, a list or a batch. Left out: from now on."),
    parameter(4, "initial", Kind::Flag, "Whether to begin with the rows as they are; not together with `after`."),
];

/// `IngestProductsRequest`.
pub const INGEST: &[Parameter] = &[
    parameter(1, "stream_id", Kind::Text, "In the first request: the name under which the stream can be resumed."),
    parameter(2, "sequence", Kind::Int64, "The row's number in the stream, greater than the one before; left out: one more than it."),
    parameter(3, "", Kind::Row, "A row."),
    parameter(4, "upsert", Kind::Flag, "In the first request: replace the rows that exist, rather than report them."),
];
