//! Lists: their arguments, and selections of connections.

use apollo_compiler::Node;
use apollo_compiler::executable::{Field, SelectionSet};
use fourfold_model::{Base, EntityId, Expr, Member, RelationId, Value};
use fourfold_op::{Error, List, Operand, OrderBy};

use super::{Compiler, Group, Reads};
use crate::error::Fault;
use crate::parse::input::{Input, Slot};
use crate::shape::{EdgePart, Entry, InfoPart, PagePart, PageShape, Shape, text};

impl<'a> Compiler<'a> {
    /// A list and the selection of its connection.
    pub(super) fn list(&mut self, entity: EntityId, group: &Group<'a>) -> Result<(List, PageShape, Reads), Fault> {
        let field = group.field;
        let filter = self.filters(entity, field)?;
        let order = self.order(entity, field)?;
        let size = self.some_argument(field, "first").map(|first| self.operand(&first, Base::Int, false, "/first")).transpose()?;
        let after = self.some_argument(field, "after").map(|after| self.operand(&after, Base::String, false, "/after")).transpose()?;
        let mut list = List { filter, order, size, after, total: false, cursors: false };
        let mut reads = Reads::default();
        let mut rows = false;
        let mut members = Vec::new();
        for group in self.collect(&group.sets)? {
            let part = self.page_part(entity, &group, &mut list, &mut reads)?;
            rows |= matches!(part, PagePart::Edges(_) | PagePart::Nodes(_) | PagePart::PageInfo(_));
            members.push(Entry::new(group.key, part));
        }
        if !rows && list.size.is_none() {
            // Only counted: no row is shown, so one is enough.
            list.size = Some(self.constant(Value::Int(1))?);
        }
        let after = list.after.is_some();
        Ok((list, PageShape { members, after }, reads))
    }

    pub(super) fn constant(&mut self, value: Value) -> Result<Operand, Fault> {
        self.slots.push(Slot::Constant(value));
        u16::try_from(self.slots.len() - 1).map(Operand).map_err(|_| Error::limit("graphql_values_max", 4_096, "values").into())
    }

    fn page_part(&mut self, entity: EntityId, group: &Group<'a>, list: &mut List, reads: &mut Reads) -> Result<PagePart, Fault> {
        Ok(match group.field.name.as_str() {
            "edges" => PagePart::Edges(self.edges(entity, &group.sets, list, reads)?),
            "nodes" => PagePart::Nodes(self.row_into(entity, &group.sets, reads)?),
            "pageInfo" => PagePart::PageInfo(self.page_info(&group.sets, list)?),
            "totalCount" => {
                list.total = true;
                PagePart::TotalCount
            }
            "totalCapped" => {
                list.total = true;
                PagePart::TotalCapped
            }
            "cursor" => PagePart::Cursor,
            _ => PagePart::Text(text(&format!("{}Connection", self.reading.model.entity(entity).name))),
        })
    }

    fn edges(&mut self, entity: EntityId, sets: &[&'a SelectionSet], list: &mut List, reads: &mut Reads) -> Result<Shape<EdgePart>, Fault> {
        let mut shape = Vec::new();
        for group in self.collect(sets)? {
            let part = match group.field.name.as_str() {
                "node" => EdgePart::Node(self.row_into(entity, &group.sets, reads)?),
                "cursor" => {
                    list.cursors = true;
                    EdgePart::Cursor
                }
                _ => EdgePart::Text(text(&format!("{}Edge", self.reading.model.entity(entity).name))),
            };
            shape.push(Entry::new(group.key, part));
        }
        Ok(shape)
    }

    fn page_info(&mut self, sets: &[&'a SelectionSet], list: &mut List) -> Result<Shape<InfoPart>, Fault> {
        let mut shape = Vec::new();
        for group in self.collect(sets)? {
            let part = match group.field.name.as_str() {
                "hasNextPage" => InfoPart::HasNextPage,
                "hasPreviousPage" => InfoPart::HasPreviousPage,
                "startCursor" => InfoPart::StartCursor,
                "endCursor" => InfoPart::EndCursor,
                _ => InfoPart::Text(text("PageInfo")),
            };
            list.cursors |= matches!(part, InfoPart::StartCursor | InfoPart::EndCursor);
            shape.push(Entry::new(group.key, part));
        }
        Ok(shape)
    }

    /// The arguments `where` and `filter`, both of which must hold.
    pub(super) fn filters(&mut self, entity: EntityId, field: &'a Node<Field>) -> Result<Option<Expr>, Fault> {
        let mut parts = Vec::new();
        if let Some(given) = self.some_argument(field, "where") {
            parts.extend(self.conditions(entity, &given)?);
        }
        if let Some(given) = self.some_argument(field, "filter") {
            self.reusable &= matches!(given, Input::Literal(_));
            parts.extend(self.text_filter(entity, given.as_text().unwrap_or_default())?);
        }
        Ok((!parts.is_empty()).then(|| Expr::all(parts)))
    }

    fn order(&mut self, entity: EntityId, field: &'a Node<Field>) -> Result<Vec<OrderBy>, Fault> {
        let Some(given) = self.some_argument(field, "orderBy") else { return Ok(Vec::new()) };
        let items = self.inputs.items(&given);
        items.iter().map(|item| self.order_by(entity, item, Vec::new())).collect()
    }

    fn order_by(&mut self, entity: EntityId, input: &Input<'a>, mut hops: Vec<RelationId>) -> Result<OrderBy, Fault> {
        let name = &self.reading.model.entity(entity).name;
        let members = self.inputs.members(input);
        let [(member, direction)] = members.as_slice() else {
            return Err(Fault::invalid(format!("a `{name}OrderBy` must have exactly one member; it has {}", members.len())));
        };
        if direction.is_null() {
            return Err(Fault::invalid(format!("`{member}` of a `{name}OrderBy` is null; give `ASC` or `DESC`")));
        }
        match self.reading.catalog.member(entity, member) {
            Some(Member::Field(field)) => Ok(OrderBy { hops, field, descending: direction.as_name() == Some("DESC") }),
            Some(Member::Relation(relation)) => {
                hops.push(relation);
                self.order_by(self.reading.model.entity(entity).relation(relation).target, direction, hops)
            }
            None => Err(Fault::invalid(format!("a `{name}OrderBy` has no member `{member}`"))),
        }
    }
}
