//! The baselines' own database: the rows of Chinook in typed columns (hundredths, microseconds), as one would lay them out by hand.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::Failure;

const SCHEMA: &str = "
CREATE TABLE artist (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, name TEXT);
CREATE TABLE album (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, title TEXT NOT NULL, artist_id INTEGER NOT NULL);
CREATE TABLE track (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, name TEXT NOT NULL, album_id INTEGER, media_type_id INTEGER NOT NULL,
  genre_id INTEGER, composer TEXT, milliseconds INTEGER NOT NULL, bytes INTEGER, unit_price INTEGER NOT NULL);
CREATE TABLE customer (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, customer_id INTEGER NOT NULL, invoice_date INTEGER NOT NULL, total INTEGER NOT NULL);
CREATE TABLE invoice_line (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, invoice_id INTEGER NOT NULL, track_id INTEGER NOT NULL,
  unit_price INTEGER NOT NULL, quantity INTEGER NOT NULL);
CREATE INDEX invoice_line_invoice ON invoice_line (invoice_id);
";

const COPY: &str = "
INSERT INTO artist SELECT ArtistId, 1, Name FROM source.Artist;
INSERT INTO album SELECT AlbumId, 1, Title, ArtistId FROM source.Album;
INSERT INTO track SELECT TrackId, 1, Name, AlbumId, MediaTypeId, GenreId, Composer, Milliseconds, Bytes, CAST(round(UnitPrice * 100) AS INTEGER) FROM source.Track;
INSERT INTO customer SELECT CustomerId, 1, FirstName, LastName, Email FROM source.Customer;
INSERT INTO invoice SELECT InvoiceId, 1, CustomerId, CAST(strftime('%s', InvoiceDate) AS INTEGER) * 1000000, CAST(round(Total * 100) AS INTEGER) FROM source.Invoice;
INSERT INTO invoice_line SELECT InvoiceLineId, 1, InvoiceId, TrackId, CAST(round(UnitPrice * 100) AS INTEGER), Quantity FROM source.InvoiceLine;
";

/// Makes the database anew in `data`.
pub fn create(source: &Path, data: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(data)?;
    let path = data.join("baseline.db");
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    let connection = open(&path)?;
    connection.execute("ATTACH ?1 AS source", [source.display().to_string()])?;
    connection.execute_batch(&format!("{SCHEMA} BEGIN; {COPY} COMMIT; DETACH source;"))?;
    Ok(path)
}

/// A connection with the settings of Fourfold's own store.
pub fn open(path: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    rusqlite::vtab::array::load_module(&connection)?;
    Ok(connection)
}

/// Runs a read on this thread's own connection, opened at the first use.
pub fn read<T>(path: &Path, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
    thread_local! {
        static CONNECTION: std::cell::OnceCell<Connection> = const { std::cell::OnceCell::new() };
    }
    CONNECTION.with(|cell| {
        if cell.get().is_none() {
            let _ = cell.set(open(path)?);
        }
        let connection = cell.get().ok_or("no connection")?;
        Ok(run(connection)?)
    })
}
