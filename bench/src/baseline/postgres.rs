//! hyper + tokio-postgres: statements written by hand, prepared once on each of some connections that requests take in turn, over the tables that
//! Fourfold made. A request's statements that do not wait for each other are sent together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{try_join, try_join_all};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::answer::{self, Answer};
use super::json;
use crate::Failure;

/// As many as Fourfold keeps.
const CONNECTIONS: usize = 16;
const GET: &str = r#"SELECT "TrackId", revision, "Name", "AlbumId", "MediaTypeId", "GenreId", "Composer", "Milliseconds", "Bytes", "UnitPrice"::text
    FROM "Track" WHERE "TrackId" = $1"#;
const INVOICES: &str = r#"SELECT "InvoiceId", (extract(epoch FROM "InvoiceDate") * 1000000)::int8, "Total"::text, "CustomerId"
    FROM "Invoice" ORDER BY "InvoiceId" LIMIT 20"#;
const CUSTOMERS: &str = r#"SELECT "CustomerId", "FirstName", "LastName" FROM "Customer" WHERE "CustomerId" = ANY($1)"#;
const LINES: &str = r#"SELECT "InvoiceId", "Quantity", "UnitPrice"::text, "TrackId" FROM "InvoiceLine"
    WHERE "InvoiceId" = ANY($1) ORDER BY "InvoiceId", "InvoiceLineId""#;
const TRACKS: &str = r#"SELECT "TrackId", "Name", "AlbumId" FROM "Track" WHERE "TrackId" = ANY($1)"#;
const ALBUMS: &str = r#"SELECT "AlbumId", "Title" FROM "Album" WHERE "AlbumId" = ANY($1)"#;

/// A connection with its statements.
struct Database {
    client: Client,
    get: Statement,
    invoices: Statement,
    customers: Statement,
    lines: Statement,
    tracks: Statement,
    albums: Statement,
}

impl Database {
    async fn connect(url: &str) -> Result<Database, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Database {
            get: client.prepare(GET).await?,
            invoices: client.prepare(INVOICES).await?,
            customers: client.prepare(CUSTOMERS).await?,
            lines: client.prepare(LINES).await?,
            tracks: client.prepare(TRACKS).await?,
            albums: client.prepare(ALBUMS).await?,
            client,
        })
    }
}

/// Serves until killed.
pub async fn serve(listener: TcpListener, url: &str) -> Result<(), Failure> {
    let databases: Arc<Vec<Database>> = Arc::new(try_join_all((0..CONNECTIONS).map(|_| Database::connect(url))).await?);
    let next = Arc::new(AtomicUsize::new(0));
    answer::serve(listener, move |request| {
        let (databases, at) = (databases.clone(), next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS);
        async move {
            match databases.get(at) {
                Some(database) => handle(database, request).await,
                None => answer::status(StatusCode::INTERNAL_SERVER_ERROR, "{}"),
            }
        }
    })
    .await
}

async fn handle(database: &Database, request: Request<Incoming>) -> Answer {
    let result = match (request.method(), request.uri().path()) {
        (&Method::GET, path) => get(database, path).await,
        _ => nested(database).await,
    };
    match result {
        Ok(body) if body.is_empty() => answer::status(StatusCode::NOT_FOUND, "{}"),
        Ok(body) => answer::json(body),
        Err(failure) => answer::status(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()),
    }
}

async fn get(database: &Database, path: &str) -> Result<Vec<u8>, tokio_postgres::Error> {
    let id: i32 = path.rsplit('/').next().and_then(|key| key.parse().ok()).unwrap_or_default();
    let mut out = Vec::with_capacity(256);
    let Some(row) = database.client.query_opt(&database.get, &[&id]).await? else { return Ok(out) };
    put_int(&mut out, "{\"id\":", Some(row.try_get::<_, i32>(0)?.into()));
    put_int(&mut out, ",\"revision\":", Some(row.try_get(1)?));
    put_text(&mut out, ",\"name\":", row.try_get(2)?);
    for (at, name) in [(3, ",\"album_id\":"), (4, ",\"media_type_id\":"), (5, ",\"genre_id\":")] {
        put_int(&mut out, name, row.try_get::<_, Option<i32>>(at)?.map(i64::from));
    }
    put_text(&mut out, ",\"composer\":", row.try_get(6)?);
    for (at, name) in [(7, ",\"milliseconds\":"), (8, ",\"bytes\":")] {
        put_int(&mut out, name, row.try_get::<_, Option<i32>>(at)?.map(i64::from));
    }
    put_text(&mut out, ",\"unit_price\":", row.try_get(9)?);
    out.push(b'}');
    Ok(out)
}

fn put_int(out: &mut Vec<u8>, before: &str, number: Option<i64>) {
    out.extend_from_slice(before.as_bytes());
    match number {
        Some(number) => json::int(out, number),
        None => out.extend_from_slice(b"null"),
    }
}

fn put_text(out: &mut Vec<u8>, before: &str, text: Option<&str>) {
    out.extend_from_slice(before.as_bytes());
    match text {
        Some(text) => json::string(out, text.as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

/// The different numbers of a column.
fn keys(rows: &[Row], at: usize) -> Result<Vec<i32>, tokio_postgres::Error> {
    let mut keys: Vec<i32> =
        rows.iter().map(|row| row.try_get::<_, Option<i32>>(at)).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

fn by_key(rows: &[Row]) -> Result<HashMap<i32, &Row>, tokio_postgres::Error> {
    rows.iter().map(|row| Ok((row.try_get(0)?, row))).collect()
}

/// The answer to the nested document, after four rounds of statements.
async fn nested(database: &Database) -> Result<Vec<u8>, tokio_postgres::Error> {
    let client = &database.client;
    let invoices = client.query(&database.invoices, &[]).await?;
    let (ids, buyers) = (keys(&invoices, 0)?, keys(&invoices, 3)?);
    let (of_buyers, of_invoices): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 1]) = ([&buyers], [&ids]);
    let customers = client.query(&database.customers, &of_buyers);
    let (customers, lines) = try_join(customers, client.query(&database.lines, &of_invoices)).await?;
    let tracks = client.query(&database.tracks, &[&keys(&lines, 3)?]).await?;
    let albums = client.query(&database.albums, &[&keys(&tracks, 2)?]).await?;
    let (customers, tracks, albums) = (by_key(&customers)?, by_key(&tracks)?, by_key(&albums)?);
    let mut out = Vec::with_capacity(16 << 10);
    out.extend_from_slice(b"{\"data\":{\"invoices\":{\"nodes\":[");
    let mut left = lines.iter().peekable();
    for (at, invoice) in invoices.iter().enumerate() {
        let id: i32 = invoice.try_get(0)?;
        put_int(&mut out, if at == 0 { "{\"id\":" } else { ",{\"id\":" }, Some(id.into()));
        out.extend_from_slice(b",\"invoiceDate\":");
        json::micros(&mut out, invoice.try_get(1)?);
        put_text(&mut out, ",\"total\":", invoice.try_get(2)?);
        if let Some(customer) = customers.get(&invoice.try_get(3)?) {
            put_text(&mut out, ",\"customer\":{\"firstName\":", customer.try_get(1)?);
            put_text(&mut out, ",\"lastName\":", customer.try_get(2)?);
        }
        out.extend_from_slice(b"},\"invoiceLines\":{\"nodes\":[");
        let mut first = true;
        while let Some(line) = left.next_if(|line| line.try_get(0).is_ok_and(|of: i32| of == id)) {
            out.extend_from_slice(if first { b"{" } else { b",{" });
            first = false;
            put_line(&mut out, line, &tracks, &albums)?;
        }
        out.extend_from_slice(b"]}}");
    }
    out.extend_from_slice(b"]}}}");
    Ok(out)
}

fn put_line(out: &mut Vec<u8>, line: &Row, tracks: &HashMap<i32, &Row>, albums: &HashMap<i32, &Row>) -> Result<(), tokio_postgres::Error> {
    put_int(out, "\"quantity\":", Some(line.try_get::<_, i32>(1)?.into()));
    put_text(out, ",\"unitPrice\":", line.try_get(2)?);
    if let Some(track) = tracks.get(&line.try_get(3)?) {
        put_text(out, ",\"track\":{\"name\":", track.try_get(1)?);
        match track.try_get::<_, Option<i32>>(2)?.and_then(|album| albums.get(&album)) {
            Some(album) => {
                put_text(out, ",\"album\":{\"title\":", album.try_get(1)?);
                out.push(b'}');
            }
            None => out.extend_from_slice(b",\"album\":null"),
        }
        out.push(b'}');
    }
    out.push(b'}');
    Ok(())
}
