//! Twenty invoices with their customer, lines, tracks and albums: five statements, and the answer put together by hand.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::json;

const INVOICES: &str = "SELECT id, invoice_date, total, customer_id FROM invoice ORDER BY id LIMIT 20";
const CUSTOMERS: &str = "SELECT id, first_name, last_name FROM customer WHERE id IN rarray(?1)";
const LINES: &str =
    "SELECT id, invoice_id, quantity, unit_price, track_id FROM invoice_line WHERE invoice_id IN rarray(?1) ORDER BY invoice_id, id";
const TRACKS: &str = "SELECT id, name, album_id FROM track WHERE id IN rarray(?1)";
const ALBUMS: &str = "SELECT id, title FROM album WHERE id IN rarray(?1)";

struct Invoice {
    id: i64,
    date: i64,
    total: i64,
    customer: i64,
}

struct Line {
    invoice: i64,
    quantity: i64,
    price: i64,
    track: i64,
}

/// The answer's JSON, in the shape that the GraphQL document asks for.
pub fn read(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    let invoices = rows(connection, INVOICES, None, |row| {
        Ok(Invoice { id: row.get(0)?, date: row.get(1)?, total: row.get(2)?, customer: row.get(3)? })
    })?;
    let customers = by_id(connection, CUSTOMERS, invoices.iter().map(|invoice| invoice.customer), |row| {
        Ok((row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let lines = rows(connection, LINES, Some(array(invoices.iter().map(|invoice| invoice.id))), |row| {
        Ok(Line { invoice: row.get(1)?, quantity: row.get(2)?, price: row.get(3)?, track: row.get(4)? })
    })?;
    let tracks = by_id(connection, TRACKS, lines.iter().map(|line| line.track), |row| {
        Ok((row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let albums = by_id(connection, ALBUMS, tracks.values().filter_map(|track| track.1), |row| row.get::<_, String>(1))?;
    Ok(write(&invoices, &customers, &lines, &tracks, &albums))
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    keys: Option<Rc<Vec<Value>>>,
    read: impl Fn(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = match keys {
        Some(keys) => statement.query([keys])?,
        None => statement.query([])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn by_id<T>(
    connection: &Connection,
    sql: &str,
    keys: impl Iterator<Item = i64>,
    read: impl Fn(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<HashMap<i64, T>> {
    Ok(rows(connection, sql, Some(array(keys)), |row| Ok((row.get::<_, i64>(0)?, read(row)?)))?.into_iter().collect())
}

fn array(keys: impl Iterator<Item = i64>) -> Rc<Vec<Value>> {
    let mut keys: Vec<i64> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    Rc::new(keys.into_iter().map(Value::Integer).collect())
}

type Tracks = HashMap<i64, (String, Option<i64>)>;

fn write(
    invoices: &[Invoice],
    customers: &HashMap<i64, (String, String)>,
    lines: &[Line],
    tracks: &Tracks,
    albums: &HashMap<i64, String>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 << 10);
    out.extend_from_slice(b"{\"data\":{\"invoices\":{\"nodes\":[");
    for (at, invoice) in invoices.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"id\":" } else { b",{\"id\":" });
        json::int(&mut out, invoice.id);
        out.extend_from_slice(b",\"invoiceDate\":");
        json::micros(&mut out, invoice.date);
        out.extend_from_slice(b",\"total\":");
        json::cents(&mut out, invoice.total);
        if let Some((first, last)) = customers.get(&invoice.customer) {
            text(&mut out, ",\"customer\":{\"firstName\":", first);
            text(&mut out, ",\"lastName\":", last);
        }
        out.extend_from_slice(b"},\"invoiceLines\":{\"nodes\":[");
        let start = lines.partition_point(|line| line.invoice < invoice.id);
        for (at, line) in lines[start..].iter().take_while(|line| line.invoice == invoice.id).enumerate() {
            out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
            write_line(&mut out, line, tracks, albums);
        }
        out.extend_from_slice(b"]}}");
    }
    out.extend_from_slice(b"]}}}");
    out
}

fn write_line(out: &mut Vec<u8>, line: &Line, tracks: &Tracks, albums: &HashMap<i64, String>) {
    out.extend_from_slice(b"\"quantity\":");
    json::int(out, line.quantity);
    out.extend_from_slice(b",\"unitPrice\":");
    json::cents(out, line.price);
    if let Some((name, album)) = tracks.get(&line.track) {
        text(out, ",\"track\":{\"name\":", name);
        match album.and_then(|album| albums.get(&album)) {
            Some(title) => {
                text(out, ",\"album\":{\"title\":", title);
                out.push(b'}');
            }
            None => out.extend_from_slice(b",\"album\":null"),
        }
        out.push(b'}');
    }
    out.push(b'}');
}

fn text(out: &mut Vec<u8>, before: &str, value: &str) {
    out.extend_from_slice(before.as_bytes());
    json::string(out, value.as_bytes());
}
