//! Names that the contracts and the store make out of the model's: two that meet are told, with both their owners.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::Resolver;
use crate::ast::Span;
use crate::model::*;
use crate::names::{GRAPHQL_SUFFIXES, PROTOBUF_BESIDE_ROW, RESERVED_PLURALS, camel, pascal, screaming_snake, snake};

/// Scalars of the GraphQL contract; each has filters of its own.
const GRAPHQL_SCALARS: [&str; 13] =
    ["String", "Boolean", "Int", "BigInt", "Float", "Decimal", "DateTime", "Date", "UUID", "Bytes", "JSON", "ID", "Revision"];
/// Methods of an entity's gRPC service that speak of one row, and of many.
const GRPC_ONE: [&str; 5] = ["Get", "Create", "Update", "Upsert", "Delete"];
const GRPC_MANY: [&str; 5] = ["List", "Aggregate", "BatchGet", "Watch", "Ingest"];

/// One space of names: within it each may stand once.
#[derive(Default)]
struct Space {
    owners: HashMap<String, String>,
}

impl Resolver<'_> {
    pub(super) fn generated_names(&mut self) {
        self.plurals();
        self.graphql_types();
        self.graphql_members();
        self.graphql_roots();
        self.protobuf_names();
        self.stored_names();
    }

    /// Takes `name` for `owner`, and tells when it is taken.
    fn take(&mut self, space: &mut Space, name: String, owner: String, contract: &str, span: &Span) {
        if let Some(other) = space.owners.get(&name) {
            // Two that meet once meet in many places: the first is told.
            if self.met.insert(span.start) {
                let message = format!("{owner} and {other} are both `{name}` in {contract}");
                self.error(span, message, "expected another name for one of them");
            }
            return;
        }
        space.owners.insert(name, owner);
    }

    fn span_of(&self, owner: &SmolStr, member: &str) -> Span {
        let spot = (owner.clone(), SmolStr::new(member));
        self.spans.get(&spot).or_else(|| self.spans.get(&(owner.clone(), SmolStr::default()))).cloned().unwrap_or_default()
    }

    /// Every declared type's name with its place.
    fn entity_names(&self) -> Vec<(SmolStr, SmolStr, Span)> {
        let of = |entity: &Entity| (entity.name.clone(), entity.plural.clone(), self.span_of(&entity.name, ""));
        self.model.entities.iter().map(of).collect()
    }

    fn plurals(&mut self) {
        let mut space = Space::default();
        for (name, plural, span) in self.entity_names() {
            if RESERVED_PLURALS.contains(&plural.as_str()) {
                let help = format!("write `@@name(plural: \"{}_rows\")`", snake(&name));
                self.error_with_help(
                    &span,
                    format!("the plural `{plural}` of `{name}` is reserved"),
                    "this path has another meaning",
                    help,
                );
            }
            let one = snake(&name);
            if one == plural {
                let help = format!("write `@@name(plural: \"{one}_rows\")`");
                self.error_with_help(&span, format!("`{name}` and its plural are both `{one}`"), "GraphQL has a field for each", help);
            }
            self.take(&mut space, plural.to_string(), format!("the plural of `{name}`"), "REST's paths", &span);
        }
    }

    fn graphql_types(&mut self) {
        let mut space = Space::default();
        for scalar in GRAPHQL_SCALARS {
            for suffix in ["", "Filter", "ListFilter"] {
                space.owners.insert(format!("{scalar}{suffix}"), format!("the scalar `{scalar}`"));
            }
        }
        space.owners.insert("OrderDirection".to_owned(), "the direction of an order".to_owned());
        space.owners.insert("ChangeKind".to_owned(), "the kind of a change".to_owned());
        for (name, suffixes) in self.declared_types() {
            let span = self.span_of(&name, "");
            for suffix in [""].iter().chain(suffixes) {
                let owner = if suffix.is_empty() { format!("`{name}`") } else { format!("`{name}`'s `{suffix}`") };
                self.take(&mut space, format!("{name}{suffix}"), owner, "GraphQL", &span);
            }
        }
    }

    /// Each declared type, and what follows its name in the types that it brings along.
    fn declared_types(&self) -> Vec<(SmolStr, &'static [&'static str])> {
        let entities = self.model.entities.iter().map(|of| (of.name.clone(), GRAPHQL_SUFFIXES.as_slice()));
        let owned = self.model.owned.iter().map(|of| (of.name.clone(), ["Input", "Where", "ListWhere"].as_slice()));
        let enums = self.model.enums.iter().map(|of| (of.name.clone(), ["Filter", "ListFilter"].as_slice()));
        enums.chain(owned).chain(entities).collect()
    }

    /// GraphQL writes members in camel case: `a_1` and `a1` meet.
    fn graphql_members(&mut self) {
        let members = |fields: &[Field], relations: &[Relation]| -> Vec<SmolStr> {
            fields.iter().map(|field| field.name.clone()).chain(relations.iter().map(|one| one.name.clone())).collect()
        };
        let entities = self.model.entities.iter().map(|of| (of.name.clone(), members(&of.fields, &of.relations), true));
        let owned = self.model.owned.iter().map(|of| (of.name.clone(), members(&of.fields, &of.relations), false));
        for (owner, names, entity) in entities.chain(owned).collect::<Vec<_>>() {
            let mut space = Space::default();
            if entity {
                space.owners.insert("nodeId".to_owned(), "the global id".to_owned());
            }
            for name in names {
                let span = self.span_of(&owner, &name);
                self.take(&mut space, camel(&name), format!("`{owner}.{name}`"), "GraphQL", &span);
            }
        }
    }

    fn graphql_roots(&mut self) {
        let (mut queries, mut mutations, mut calls) = (Space::default(), Space::default(), Space::default());
        queries.owners.insert("node".to_owned(), "the field of global ids".to_owned());
        for (name, plural, span) in self.entity_names() {
            let (one, many) = (camel(&snake(&name)), camel(&plural));
            if one != many {
                self.take(&mut queries, one, format!("`{name}`"), "GraphQL's queries", &span);
            }
            self.take(&mut queries, many.clone(), format!("the list of `{name}`"), "GraphQL's queries", &span);
            self.take(&mut queries, format!("{many}Aggregate"), format!("the aggregate of `{name}`"), "GraphQL's queries", &span);
            for verb in ["create", "update", "upsert", "delete"] {
                self.take(&mut mutations, format!("{verb}{name}"), format!("`{verb}` of `{name}`"), "GraphQL's mutations", &span);
            }
            calls.owners.insert(plural.to_string(), format!("the plural of `{name}`"));
        }
        calls.owners.insert("batch".to_owned(), "the batch of writes".to_owned());
        for (name, span) in self.action_names() {
            self.take(&mut mutations, camel(&name), format!("action `{name}`"), "GraphQL's mutations", &span);
            self.take(&mut calls, name.to_string(), format!("action `{name}`"), "WebSocket's calls", &span);
        }
        for (name, span) in self.channel_names() {
            if let Some(other) = calls.owners.get(name.as_str()).filter(|other| !other.starts_with("action")).cloned() {
                self.error(
                    &span,
                    format!("channel `{name}` and {other} are both `{name}` in WebSocket"),
                    "expected another name for one of them",
                );
            }
        }
    }

    /// Of two actions of one name the first counts; the second has been told.
    fn action_names(&self) -> Vec<(SmolStr, Span)> {
        let mut seen = HashSet::new();
        self.file
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                crate::ast::ItemKind::Action(of) => Some((of.name.text.clone(), of.name.span.clone())),
                _ => None,
            })
            .filter(|(name, _)| seen.insert(name.clone()))
            .collect()
    }

    fn channel_names(&self) -> Vec<(SmolStr, Span)> {
        self.file
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                crate::ast::ItemKind::Channel(of) => Some((of.name.text.clone(), of.name.span.clone())),
                _ => None,
            })
            .collect()
    }

    /// Messages, services and the values of enums share the package's one space.
    fn protobuf_names(&mut self) {
        let mut space = Space::default();
        for service in ["BatchService", "ActionService", "ChannelService", "BatchRequest", "BatchResponse"] {
            space.owners.insert(service.to_owned(), "a service of the package".to_owned());
        }
        let plain: Vec<SmolStr> = self.declared_types().into_iter().map(|(name, _)| name).collect();
        for name in plain {
            let span = self.span_of(&name, "");
            self.take(&mut space, name.to_string(), format!("`{name}`"), "protobuf", &span);
        }
        for (name, plural, span) in self.entity_names() {
            let row = snake(&name);
            if PROTOBUF_BESIDE_ROW.contains(&row.as_str()) && self.met.insert(span.start) {
                self.error(
                    &span,
                    format!("the row of `{name}` and a field beside it are both `{row}` in protobuf"),
                    "expected another name",
                );
            }
            let many = pascal(&plural);
            let one = GRPC_ONE.iter().map(|verb| format!("{verb}{name}"));
            let methods: Vec<String> = one.chain(GRPC_MANY.iter().map(|verb| format!("{verb}{many}"))).collect();
            let messages = methods.iter().flat_map(|method| [format!("{method}Request"), format!("{method}Response")]);
            for message in messages.chain([format!("{name}Service"), format!("{name}List")]) {
                let owner = format!("`{name}`'s `{message}`");
                self.take(&mut space, message, owner, "protobuf", &span);
            }
        }
        self.protobuf_values(&mut space);
    }

    fn protobuf_values(&mut self, space: &mut Space) {
        let enums: Vec<(SmolStr, Vec<SmolStr>)> =
            self.model.enums.iter().map(|of| (of.name.clone(), of.values.iter().map(|value| value.name.clone()).collect())).collect();
        for (name, values) in enums {
            let prefix = screaming_snake(&name);
            for value in values.iter().map(SmolStr::as_str).chain(["unspecified"]) {
                let span = self.span_of(&name, value);
                self.take(space, format!("{prefix}_{}", value.to_uppercase()), format!("`{name}.{value}`"), "protobuf", &span);
            }
        }
    }

    /// Tables of the store, and columns of each; SQL does not tell letters' cases apart.
    fn stored_names(&mut self) {
        let mut tables = Space::default();
        let entities = self.model.entities.iter().map(|of| (of.name.clone(), of.table.clone()));
        let owned = self.model.owned.iter().map(|of| (of.name.clone(), of.table.clone()));
        for (name, table) in entities.chain(owned).collect::<Vec<_>>() {
            let span = self.span_of(&name, "");
            if table.to_lowercase().starts_with("fourfold_") || table.to_lowercase().starts_with("sqlite_") {
                self.error(
                    &span,
                    format!("the table `{table}` of `{name}` is reserved"),
                    "expected another name, by `@@name(table: \"…\")`",
                );
            }
            self.take(&mut tables, table.to_lowercase(), format!("the table of `{name}`"), "the store", &span);
        }
        let columns = |fields: &[Field]| fields.iter().map(|field| (field.name.clone(), field.column.clone())).collect::<Vec<_>>();
        let entities = self.model.entities.iter().map(|of| (of.name.clone(), columns(&of.fields)));
        let owned = self.model.owned.iter().map(|of| (of.name.clone(), columns(&of.fields)));
        for (owner, columns) in entities.chain(owned).collect::<Vec<_>>() {
            let mut space = Space::default();
            for (name, column) in columns {
                let span = self.span_of(&owner, &name);
                self.take(&mut space, column.to_lowercase(), format!("the column of `{owner}.{name}`"), "the store", &span);
            }
        }
        self.stored_values();
    }

    fn stored_values(&mut self) {
        let enums: Vec<(SmolStr, Vec<(SmolStr, SmolStr)>)> = self
            .model
            .enums
            .iter()
            .map(|of| (of.name.clone(), of.values.iter().map(|value| (value.name.clone(), value.column.clone())).collect()))
            .collect();
        for (owner, values) in enums {
            let mut space = Space::default();
            for (name, column) in values {
                let span = self.span_of(&owner, &name);
                self.take(&mut space, column.to_string(), format!("`{owner}.{name}`"), "the store", &span);
            }
        }
    }
}
