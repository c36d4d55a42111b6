//! `fourfold fmt`: one layout for model files.
//!
//! The tree says where a member begins and ends; what is written are the file's own tokens and comments, in their order. So nothing
//! can be lost or change its meaning but the commas between members, which mean nothing. `pen` writes tokens and comments to rows,
//! `spacing` says what stands between two tokens, and `layout` aligns the rows.

mod layout;
mod pen;
mod spacing;
#[cfg(test)]
mod tests;

use crate::ast::*;
use crate::diagnostics::{Diagnostic, settle};
use crate::parse::parse_file;
use layout::Shape;
use pen::{Pen, Style};

/// The model file in Fourfold's layout: a member a line, indented by two spaces, the names, types and attributes of neighbouring
/// lines in columns.
///
/// Every comment is kept, and so are a blank line between members and a line break before an attribute or between brackets. What the
/// file means does not change, and a formatted file is left as it is.
///
/// # Errors
/// All that keeps the text from being parsed.
pub fn format(source: &str) -> Result<String, Vec<Diagnostic>> {
    let (file, lexed, diagnostics) = parse_file(source);
    if !diagnostics.is_empty() {
        return Err(settle(source, diagnostics));
    }
    let mut pen = Pen::new(source, &lexed);
    write_file(&mut pen, &file);
    Ok(layout::render(&pen.finish()))
}

fn write_file(pen: &mut Pen<'_>, file: &File) {
    pen.gap(0);
    pen.start(0, Shape::Plain);
    pen.to(file.package_span.end, Style::Joined);
    let mut apart = true;
    for item in &file.items {
        let before = pen.gap(0);
        let start = pen.line_count();
        write_item(pen, item);
        // Items of one line may stand together, as small enums do; all others stand apart.
        let long = pen.line_count() > start;
        if long || apart {
            pen.ensure_blank(before);
        }
        apart = long;
    }
    pen.gap(0);
}

fn write_item(pen: &mut Pen<'_>, item: &Item) {
    pen.start(0, Shape::Plain);
    match &item.kind {
        ItemKind::Enum(item) => write_enum(pen, item),
        ItemKind::Caller(members) => {
            pen.token();
            write_body(pen, 0, members, write_member);
        }
        ItemKind::Entity(item) | ItemKind::Owned(item) => {
            pen.to(item.name.span.end, Style::Joined);
            write_body(pen, 0, &item.members, write_member);
        }
        ItemKind::Action(item) => write_action(pen, item),
        ItemKind::Channel(item) => write_channel(pen, item),
        ItemKind::Test(item) => write_test(pen, item),
    }
}

/// From `{` to `}`, a member a line.
fn write_body<T>(pen: &mut Pen<'_>, indent: usize, members: &[T], write: fn(&mut Pen<'_>, usize, &T)) {
    pen.token();
    if pen.at_bare_close() {
        pen.token();
        return;
    }
    for member in members {
        pen.gap(indent + 1);
        write(pen, indent + 1, member);
    }
    pen.gap(indent + 1);
    pen.close(indent);
}

fn write_enum(pen: &mut Pen<'_>, item: &EnumItem) {
    pen.to(item.name.span.end, Style::Joined);
    let bare = item.values.iter().all(|value| value.attrs.is_empty());
    if !bare || !item.values.last().is_some_and(|last| pen.on_one_line(last.span.end)) {
        return write_body(pen, 0, &item.values, write_value);
    }
    pen.token();
    for value in &item.values {
        pen.drop_commas();
        pen.to(value.span.end, Style::Joined);
    }
    pen.drop_commas();
    pen.token();
}

fn write_value(pen: &mut Pen<'_>, indent: usize, value: &EnumValueItem) {
    pen.start(indent, Shape::Columns);
    pen.to(value.name.span.end, Style::Joined);
    pen.next_cell();
    pen.to(value.span.end, Style::Kept);
}

fn write_member(pen: &mut Pen<'_>, indent: usize, member: &MemberItem) {
    match member {
        MemberItem::Field(field) => {
            pen.start(indent, Shape::Columns);
            write_field(pen, field);
        }
        MemberItem::Block(attr) => write_attr(pen, indent, attr),
    }
}

fn write_field(pen: &mut Pen<'_>, field: &FieldItem) {
    pen.to(field.name.span.end, Style::Joined);
    pen.next_cell();
    pen.type_to(field.ty.span.end);
    pen.next_cell();
    pen.to(field.span.end, Style::Kept);
}

fn write_attr(pen: &mut Pen<'_>, indent: usize, attr: &Attr) {
    pen.start(indent, Shape::Single);
    pen.to(attr.span.end, Style::Kept);
}

fn write_action(pen: &mut Pen<'_>, item: &ActionItem) {
    pen.to(item.name.span.end, Style::Joined);
    pen.token();
    for param in &item.params {
        write_param(pen, param);
    }
    pen.drop_commas();
    pen.token();
    if let Some(result) = &item.result {
        pen.to(result.span.start, Style::Joined);
        pen.type_to(result.span.end);
    }
    for attr in &item.attrs {
        pen.gap(1);
        write_attr(pen, 1, attr);
    }
}

fn write_param(pen: &mut Pen<'_>, param: &ParamItem) {
    pen.to(param.ty.span.start, Style::Joined);
    pen.type_to(param.ty.span.end);
}

fn write_channel(pen: &mut Pen<'_>, item: &ChannelItem) {
    write_param(pen, &item.param);
    pen.token();
    write_body(pen, 0, &item.parts, write_part);
}

fn write_part(pen: &mut Pen<'_>, indent: usize, part: &ChannelPart) {
    match &part.kind {
        ChannelPartKind::Attr(attr) => return write_attr(pen, indent, attr),
        _ => pen.start(indent, Shape::Plain),
    }
    match &part.kind {
        ChannelPartKind::Stream(_, condition) => {
            pen.to(condition.span.start, Style::Joined);
            pen.begin_expression();
            pen.to(condition.span.end, Style::Kept);
        }
        ChannelPartKind::Presence(fields) => write_presence(pen, indent, fields),
        ChannelPartKind::Attr(_) | ChannelPartKind::Signal(_) => pen.to(part.span.end, Style::Joined),
    }
}

fn write_presence(pen: &mut Pen<'_>, indent: usize, fields: &[MemberItem]) {
    pen.token();
    if !fields.last().is_some_and(|last| pen.on_one_line(last.span().end)) {
        return write_body(pen, indent, fields, write_member);
    }
    pen.token();
    for (at, field) in fields.iter().enumerate() {
        pen.drop_commas();
        if at > 0 {
            pen.widen();
        }
        if let MemberItem::Field(field) = field {
            write_field(pen, field);
        }
    }
    pen.drop_commas();
    pen.token();
}

fn write_test(pen: &mut Pen<'_>, item: &TestItem) {
    pen.to(item.caller.span.start, Style::Joined);
    write_object(pen, &item.caller);
    write_body(pen, 0, &item.steps, write_step);
}

fn write_step(pen: &mut Pen<'_>, indent: usize, step: &TestStep) {
    pen.start(indent, Shape::Plain);
    if let Some(object) = &step.object {
        pen.to(object.span.start, Style::Joined);
        write_object(pen, object);
    }
    pen.to(step.span.end, Style::Joined);
}

/// `{ name: value, … }`, with the commas that the grammar lets one leave out.
fn write_object(pen: &mut Pen<'_>, object: &Object) {
    pen.token();
    for (at, (name, value)) in object.members.iter().enumerate() {
        if at > 0 {
            pen.comma();
        }
        pen.to(name.span.end, Style::Joined);
        match value {
            ObjectValue::Expr(node) => pen.to(node.span.end, Style::Joined),
            ObjectValue::Object(inner) => {
                pen.to(inner.span.start, Style::Joined);
                write_object(pen, inner);
            }
        }
    }
    pen.drop_commas();
    pen.token();
}
