//! Triggers by which what others write into a table becomes events too, byte for byte as this store's own writes do.
//!
//! A row's event is made as it is written and waits in `fourfold_captured`; the last thing that the transaction does is to put all of them
//! into the outbox as one commit. Sessions of this store say that they are (`fourfold.own`) and are passed over, but for what the database
//! itself writes on their account: rows that a foreign key takes along.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fourfold_model::{Base, Entity, Field, FieldId, KEY, Model, REVISION};
use fourfold_op::wire::bytes::{WireType, put_tag, put_varint};
use fourfold_store::sql::{Change, quoted};
use tokio_postgres::Client;

use crate::error::Fail;

/// The functions that triggers call, and the table where events wait; `@schema@` is the schema that they are in.
pub const CAPTURE: &str = include_str!("capture.sql");
/// The last by name, so that it sees what other triggers have made of a row.
const BEFORE: &str = "zzz_fourfold_revision";
const AFTER: &str = "zzz_fourfold_event";
const TRUNCATE: &str = "zzz_fourfold_truncate";
/// What is of a session of this store, and not of a trigger within it.
const NOT_OWN: &str = "WHEN (current_setting('fourfold.own', true) IS DISTINCT FROM 'on' OR pg_trigger_depth() > 0)";
/// The tables that have triggers, and the hash of what they do.
const KNOWN: &str = "SELECT c.relname::text, coalesce(obj_description(t.oid, 'pg_trigger'), '') FROM pg_trigger AS t \
    JOIN pg_class AS c ON c.oid = t.tgrelid WHERE t.tgname = 'zzz_fourfold_event' AND t.tgparentid = 0 \
    AND c.relnamespace = current_schema()::regnamespace";

/// The tables of others' writes that are captured now.
pub async fn captured(client: &Client) -> Result<BTreeMap<String, String>, Fail> {
    let rows = client.query(KNOWN, &[]).await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, tokio_postgres::Error>>()?)
}

/// The steps to what a model captures. `gone` are tables that are dropped before.
pub async fn changes(client: &Client, model: &Model) -> Result<Vec<Change>, Fail> {
    let known = captured(client).await?;
    let schema: String = client.query_one("SELECT current_schema()::text", &[]).await?.try_get(0)?;
    let mut changes = Vec::new();
    for entity in model.entities.iter().filter(|entity| entity.captured) {
        let text = statements(model, entity, &schema);
        let hash = format!("{:016x}", fnv(&text));
        let title = match known.get(entity.table.as_str()) {
            Some(known) if *known == hash => continue,
            Some(_) => format!("capture what others write into `{}` by the new model", entity.table),
            None => format!("capture what others write into `{}`", entity.table),
        };
        let statement = format!("{text}COMMENT ON TRIGGER {AFTER} ON {} IS '{hash}'", quoted(&entity.table));
        // What others wrote before has no events.
        changes.push(Change { rewrites: !known.contains_key(entity.table.as_str()), ..change(title, statement) });
    }
    for table in known.keys().filter(|table| !model.entities.iter().any(|entity| entity.captured && entity.table == table.as_str())) {
        let name = quoted(table);
        let drop = [BEFORE, AFTER, TRUNCATE].map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger} ON {name}"));
        // A table that an earlier step drops or renames takes its triggers along.
        let text = format!("DO $do$ BEGIN IF to_regclass({}) IS NOT NULL THEN {}; END IF; END $do$", literal(&name), drop.join("; "));
        changes.push(change(format!("capture no more what others write into `{table}`"), text));
    }
    Ok(changes)
}

fn change(title: String, statement: String) -> Change {
    Change { title, statement, destructive: false, needs_no_rows: None, needs_no_nulls: None, rewrites: false }
}

/// A hash that is the same in every build.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The triggers of an entity's table and the functions that they run.
fn statements(model: &Model, entity: &Entity, schema: &str) -> String {
    let capturing = Capturing { model, entity };
    let (number, table) = (entity.number, quoted(&entity.table));
    let settings = format!("LANGUAGE plpgsql SECURITY DEFINER SET search_path = {}, pg_temp", quoted(schema));
    let mut text = format!(
        "CREATE OR REPLACE FUNCTION ff_capture_revision_{number}() RETURNS trigger {settings} AS $capture$\nBEGIN\n{}END $capture$;\n\
         CREATE OR REPLACE FUNCTION ff_capture_event_{number}() RETURNS trigger {settings} AS $capture$\n{}END $capture$;\n",
        capturing.before(),
        capturing.after()
    );
    // Else anyone could put them on a table of their own, and make events.
    for function in ["revision", "event"] {
        let _ = writeln!(text, "REVOKE ALL ON FUNCTION ff_capture_{function}_{number}() FROM PUBLIC;");
    }
    let triggers = [
        (BEFORE, "BEFORE INSERT OR UPDATE", "ROW", format!("ff_capture_revision_{number}()")),
        (AFTER, "AFTER INSERT OR UPDATE OR DELETE", "ROW", format!("ff_capture_event_{number}()")),
        (TRUNCATE, "BEFORE TRUNCATE", "STATEMENT", "ff_capture_truncate()".to_owned()),
    ];
    for (name, when, each, function) in triggers {
        let condition = if each == "ROW" { NOT_OWN } else { "" };
        let _ =
            writeln!(text, "CREATE OR REPLACE TRIGGER {name} {when} ON {table} FOR EACH {each} {condition} EXECUTE FUNCTION {function};");
    }
    text
}

/// Writes what an entity's triggers do.
struct Capturing<'a> {
    model: &'a Model,
    entity: &'a Entity,
}

impl Capturing<'_> {
    fn key(&self) -> String {
        quoted(&self.entity.field(KEY).column)
    }

    /// The fields that are neither key nor revision.
    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.entity.field_ids().filter(|(id, _)| ![KEY, REVISION].contains(id)).map(|(_, field)| field)
    }

    /// Gives a row its revision.
    fn before(&self) -> String {
        let (key, number) = (self.key(), self.entity.number);
        let mut text = String::new();
        for field in self.fields().filter(|field| !field.ty.nullable && !field.ty.list) {
            let column = quoted(&field.column);
            let place = literal(&format!("`{}.{}`", self.entity.table, field.column));
            let _ = writeln!(
                text,
                "  IF NEW.{column} IS NULL THEN RAISE EXCEPTION '% may not be null', {place} USING ERRCODE = 'not_null_violation'; END IF;"
            );
        }
        let _ = writeln!(
            text,
            "  IF TG_OP = 'INSERT' OR OLD.{key} <> NEW.{key} THEN\n    NEW.revision := ff_capture_floor({number}, NEW.{key}::text) + 1;\n  \
             ELSE\n    NEW.revision := OLD.revision + ({})::int4;\n  END IF;\n  RETURN NEW;",
            self.differs()
        );
        text
    }

    /// Whether a member of the model differs.
    fn differs(&self) -> String {
        let parts: Vec<String> = self.fields().map(|field| self.differs_in(field)).collect();
        if parts.is_empty() { "false".into() } else { parts.join(" OR ") }
    }

    fn differs_in(&self, field: &Field) -> String {
        let of = |row: &str| {
            let column = format!("{row}.{}", quoted(&field.column));
            match field.ty.base {
                _ if field.ty.list => format!("coalesce({column}::text, '{{}}')"),
                // A `json` has no equality, and a text is the same only if its bytes are.
                Base::Json => format!("{column}::text"),
                Base::String | Base::Enum(_) => format!("{column} COLLATE \"C\""),
                _ => column,
            }
        };
        format!("{} IS DISTINCT FROM {}", of("OLD"), of("NEW"))
    }

    /// Makes a row's event.
    fn after(&self) -> String {
        let (key, number, place) = (self.key(), self.entity.number, literal(&format!("`{}`", self.entity.table)));
        let all = self.changed_numbers(self.entity.field_ids());
        format!(
            "DECLARE numbers bytea := ''; olds bytea := '';\nBEGIN\n  \
             IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.{key} <> NEW.{key} THEN\n    \
             INSERT INTO fourfold_tombstone (entity, key, revision) VALUES ({number}, OLD.{key}::text, OLD.revision + 1)\n      \
             ON CONFLICT (entity, key) DO UPDATE SET revision = excluded.revision;\n    \
             olds := {old_row};\n    \
             PERFORM ff_capture_put({place}, {deleted} || ff_wire_varint(OLD.revision + 1)\n      \
             || ff_wire_bytes('\\x0a'::bytea || ff_wire_bytes({all}) || '\\x12'::bytea || ff_wire_bytes(olds)));\n  END IF;\n  \
             IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND OLD.{key} <> NEW.{key} THEN\n    \
             IF ff_capture_floor({number}, NEW.{key}::text) >= NEW.revision THEN\n      \
             RAISE EXCEPTION 'a row of % with this key was deleted meanwhile; try again', {place} USING ERRCODE = 'serialization_failure';\n    \
             END IF;\n    \
             PERFORM ff_capture_put({place}, {created} || ff_wire_varint(NEW.revision) || ff_wire_bytes({new_row}));\n  \
             ELSIF TG_OP = 'UPDATE' AND OLD.revision <> NEW.revision THEN\n{changes}    \
             PERFORM ff_capture_put({place}, {updated} || ff_wire_varint(NEW.revision)\n      \
             || ff_wire_bytes('\\x0a'::bytea || ff_wire_bytes(numbers) || '\\x12'::bytea || ff_wire_bytes(olds)) || ff_wire_bytes({new_row}));\n  \
             END IF;\n  RETURN NULL;\n",
            old_row = self.row("OLD"),
            new_row = self.row("NEW"),
            deleted = self.head(1, "OLD"),
            created = self.head(2, "NEW"),
            updated = self.head(3, "NEW"),
            changes = self.changes(),
        )
    }

    /// The changed fields' numbers and old values.
    fn changes(&self) -> String {
        let mut text = String::new();
        for (id, field) in self.entity.field_ids().filter(|(id, _)| ![KEY, REVISION].contains(id)) {
            let (differs, old) = (self.differs_in(field), self.value(field, "OLD"));
            let number = self.changed_numbers(std::iter::once((id, field)));
            let _ = writeln!(text, "    IF {differs} THEN numbers := numbers || {number}; olds := olds || {old}; END IF;");
        }
        text
    }

    fn changed_numbers<'f>(&self, fields: impl Iterator<Item = (FieldId, &'f Field)>) -> String {
        let mut bytes = Vec::new();
        fields.for_each(|(_, field)| put_varint(&mut bytes, u64::from(field.number)));
        bytea(&bytes)
    }

    /// What an event begins with: which parts it has, the entity, the key.
    fn head(&self, parts: u8, row: &str) -> String {
        let mut bytes = vec![parts];
        put_varint(&mut bytes, u64::from(self.entity.number));
        let key = format!("{row}.{}", self.key());
        let (kind, value) = match self.entity.key_type() {
            Base::Uuid => (1, format!("uuid_send({key})")),
            Base::String => (3, format!("ff_wire_text({key})")),
            _ => (2, format!("ff_wire_reversed(int8send({key}))")),
        };
        bytes.push(kind);
        format!("{} || {value}", bytea(&bytes))
    }

    /// The row as its entity's message.
    fn row(&self, row: &str) -> String {
        let fields: Vec<String> = self.entity.fields.iter().map(|field| self.value(field, row)).collect();
        fields.join("\n      || ")
    }

    /// One field: nothing for null.
    fn value(&self, field: &Field, row: &str) -> String {
        let column = format!("{row}.{}", quoted(&field.column));
        let place = literal(&format!("`{}.{}`", self.entity.table, field.column));
        if !field.ty.list {
            let value = self.one(field.ty.base, &column, &place);
            return format!("coalesce({} || {value}, '')", tag(field.number, wire_type(field.ty.base)));
        }
        let element = self.one(field.ty.base, "e.v", &place);
        let (elements, packed) = match wire_type(field.ty.base) {
            WireType::Bytes => (format!("{} || {element}", tag(field.number, WireType::Bytes)), false),
            _ => (element, true),
        };
        let refused = format!(
            "CASE WHEN EXISTS (SELECT FROM unnest({column}) AS e(v) WHERE e.v IS NULL) THEN ff_wire_refuse('a null', {place}) ELSE '' END"
        );
        let all = format!("(SELECT string_agg({elements}, '' ORDER BY e.at) FROM unnest({column}) WITH ORDINALITY AS e(v, at))");
        let all = if packed { format!("{} || ff_wire_bytes({all})", tag(field.number, WireType::Bytes)) } else { all };
        format!("coalesce({refused} || {all}, '')")
    }

    /// The bytes behind the tag; null for null.
    fn one(&self, base: Base, column: &str, place: &str) -> String {
        match base {
            Base::Boolean => format!("CASE {column} WHEN TRUE THEN '\\x01'::bytea WHEN FALSE THEN '\\x00'::bytea END"),
            Base::Int | Base::BigInt => format!("ff_wire_varint({column})"),
            Base::Float => format!("ff_wire_float({column}, {place})"),
            Base::Decimal { scale, .. } => format!("ff_wire_decimal({column}, {scale}, {place})"),
            Base::String => format!("ff_wire_text({column})"),
            Base::DateTime => format!("ff_wire_date_time({column}, {place})"),
            Base::Date => format!("ff_wire_date({column}, {place})"),
            Base::Uuid => format!("ff_wire_text({column}::text)"),
            Base::Bytes => format!("ff_wire_bytes({column})"),
            Base::Json | Base::Owned(_) => format!("ff_wire_bytes(ff_wire_json({column}::json, {place}))"),
            Base::Enum(id) => {
                let mut text = format!("CASE WHEN {column} IS NULL THEN NULL");
                for value in &self.model.enumeration(id).values {
                    let mut bytes = Vec::new();
                    put_varint(&mut bytes, i64::from(value.number).cast_unsigned());
                    let _ = write!(text, " WHEN {column} = {} COLLATE \"C\" THEN {}", literal(&value.column), bytea(&bytes));
                }
                format!("{text} ELSE ff_wire_refuse({column}::text, {place}) END")
            }
        }
    }
}

fn wire_type(base: Base) -> WireType {
    match base {
        Base::Boolean | Base::Int | Base::BigInt | Base::Enum(_) => WireType::Varint,
        Base::Float => WireType::Fixed64,
        _ => WireType::Bytes,
    }
}

fn tag(number: u32, wire_type: WireType) -> String {
    let mut bytes = Vec::new();
    put_tag(&mut bytes, number, wire_type);
    bytea(&bytes)
}

fn bytea(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
