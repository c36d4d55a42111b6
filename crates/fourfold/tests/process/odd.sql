CREATE TABLE author (
  id INTEGER PRIMARY KEY,
  name VARCHAR(20) NOT NULL,
  mentor_id INTEGER REFERENCES author(id) ON DELETE SET NULL
);
-- A row before the one it leads to, and one that leads to itself.
INSERT INTO author VALUES (1, 'Ada', 3), (2, 'Bo, whose name is longer than was declared', NULL), (3, 'Cy', 3);

CREATE TABLE book (
  code TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  price DECIMAL(8,2) NOT NULL DEFAULT 0,
  weight NUMERIC,
  born DATE,
  seen DATETIME DEFAULT CURRENT_TIMESTAMP,
  rating TINYINT DEFAULT 5,
  sold BOOLEAN NOT NULL DEFAULT 0,
  note TEXT DEFAULT 'it''s new',
  cover BLOB,
  extra JSON,
  shape GEOMETRY,
  untyped,
  writer_id INTEGER NOT NULL REFERENCES author(id) ON DELETE CASCADE,
  editor_id INTEGER REFERENCES author(id),
  writer TEXT,
  price_net DECIMAL(8,2) GENERATED ALWAYS AS (price / 1.19),
  CHECK (price >= 0)
);
CREATE INDEX book_title ON book (title, born DESC);
CREATE INDEX book_title_again ON book (title, born DESC);
CREATE UNIQUE INDEX book_unique ON book (writer_id, title);
CREATE INDEX book_extra ON book (extra);
CREATE INDEX book_part ON book (title) WHERE sold;
CREATE INDEX book_expression ON book (lower(title));
INSERT INTO book (code, title, price, weight, born, seen, rating, sold, note, cover, extra, shape, untyped, writer_id, editor_id, writer) VALUES
  ('A-1', 'One', 12.5, 1.5, '2020-02-29', '2020-01-01 12:00:00', 5, 1, NULL, x'00ff', '{"a": [1, 2]}', 'POINT(1 2)', 3, 1, 2, 'x'),
  ('A-2', 'Größer', 7, NULL, NULL, NULL, NULL, 0, '', NULL, NULL, NULL, 'three', 2, NULL, NULL);

CREATE TABLE book_author (
  book TEXT NOT NULL REFERENCES book(code),
  author INTEGER NOT NULL REFERENCES author(id),
  share REAL,
  PRIMARY KEY (book, author)
) WITHOUT ROWID;
INSERT INTO book_author VALUES ('A-1', 1, 0.5), ('A-1', 2, 0.5), ('A-2', 1, NULL);

CREATE TABLE "order" (
  id INTEGER PRIMARY KEY,
  class TEXT, "from" TEXT, "in" TEXT, "old" TEXT, "null" TEXT, "select" TEXT, "message" TEXT, node_id TEXT, cursor TEXT,
  revision INTEGER NOT NULL,
  "first name" TEXT, first_name TEXT, FirstName TEXT,
  "Größe in cm" INTEGER,
  "2nd" TEXT,
  "say ""hi""" TEXT
);
INSERT INTO "order" VALUES (1, 'c', 'f', 'i', 'o', 'n', 's', 'm', 'd', 'k', 77, 'a', 'b', 'c', 180, '2', 'hi');

CREATE TABLE order_change (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES "order", at TEXT);
INSERT INTO order_change VALUES (1, 1, 'now');

-- No key, and a column that is called like one.
CREATE TABLE "Überblick 2024" (id TEXT, line TEXT, line_no INTEGER);
INSERT INTO "Überblick 2024" VALUES ('same', 'a', 1), ('same', 'a', 1), (NULL, 'b', 3000000000);

-- Rows that are not what their columns were declared.
CREATE TABLE loose (id INTEGER PRIMARY KEY, day DATE, count INTEGER, price DECIMAL(5,2), flag BOOLEAN, gone INTEGER REFERENCES author(id));
INSERT INTO loose VALUES (1, 'last week', 1.5, 0.125, 2, 99), (2, '2020-01-01', 2, 1, 1, 1);

-- A key that may be null, one that is a relation too, foreign keys that lead elsewhere than to a key, and one of two columns.
CREATE TABLE tag (name TEXT PRIMARY KEY, code TEXT UNIQUE COLLATE NOCASE);
INSERT INTO tag VALUES ('a', 'A'), (NULL, 'N'), (NULL, 'M');
CREATE TABLE profile (author_id INTEGER PRIMARY KEY REFERENCES author(id), text TEXT);
INSERT INTO profile VALUES (2, 'who');
CREATE TABLE tagging (id INTEGER PRIMARY KEY, tag TEXT REFERENCES tag(code), book TEXT, author INTEGER, gone TEXT REFERENCES nowhere(id),
  FOREIGN KEY (book, author) REFERENCES book_author(book, author));
INSERT INTO tagging VALUES (1, 'A', 'A-1', 1, 'x');

-- Words whose plurals are odd, or taken.
CREATE TABLE person (id INTEGER PRIMARY KEY);
CREATE TABLE people (id INTEGER PRIMARY KEY);
CREATE TABLE news (id INTEGER PRIMARY KEY);
CREATE TABLE series (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES person);
CREATE TABLE "action" (id INTEGER PRIMARY KEY);
CREATE TABLE ticket (id INTEGER PRIMARY KEY);
CREATE TABLE "date" (id INTEGER PRIMARY KEY);
CREATE TABLE node (id INTEGER PRIMARY KEY);
INSERT INTO person VALUES (1); INSERT INTO people VALUES (1); INSERT INTO news VALUES (1); INSERT INTO series VALUES (1, 1);
INSERT INTO "action" VALUES (1); INSERT INTO ticket VALUES (1); INSERT INTO "date" VALUES (1); INSERT INTO node VALUES (1);

CREATE TABLE strictly (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO strictly VALUES (1, 'a'), (2, NULL);
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE strictly (id INTEGER PRIMARY KEY, name TEXT NOT NULL)' WHERE name = 'strictly';
PRAGMA writable_schema = RESET;

CREATE VIEW cheap AS SELECT * FROM book WHERE price < 10;
CREATE TRIGGER watchful AFTER INSERT ON person BEGIN SELECT 1; END;
CREATE VIRTUAL TABLE places USING rtree(id, x0, x1);
CREATE TABLE fourfold_log (position INTEGER PRIMARY KEY);
