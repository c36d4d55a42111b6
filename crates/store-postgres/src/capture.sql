-- In plpgsql, whose expressions are planned once a session; a function in SQL that is not put into its caller is planned at each call.
CREATE OR REPLACE FUNCTION ff_wire_varint(n int8) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE done bytea := ''; rest int8 := n;
BEGIN
  IF n BETWEEN 0 AND 127 THEN
    RETURN set_byte('\x00'::bytea, 0, n::int4);
  END IF;
  -- The sign is a bit like the others: what is left after one shift is not negative.
  WHILE rest < 0 OR rest > 127 LOOP
    done := done || set_byte('\x00'::bytea, 0, (rest & 127)::int4 | 128);
    rest := (rest >> 7) & 144115188075855871;
  END LOOP;
  RETURN done || set_byte('\x00'::bytea, 0, rest::int4);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_bytes(b bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  IF length(b) <= 127 THEN
    RETURN set_byte('\x00'::bytea, 0, length(b)) || b;
  END IF;
  RETURN ff_wire_varint(length(b)) || b;
END $$;
CREATE OR REPLACE FUNCTION ff_wire_text(a text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
  AS $$ BEGIN RETURN ff_wire_bytes(convert_to(a, 'UTF8')); END $$;
CREATE OR REPLACE FUNCTION ff_wire_reversed(b bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  RETURN substr(b, 8, 1) || substr(b, 7, 1) || substr(b, 6, 1) || substr(b, 5, 1) || substr(b, 4, 1) || substr(b, 3, 1) || substr(b, 2, 1)
    || substr(b, 1, 1);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_refuse(what text, place text) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% holds %, which no event can say', place, what USING ERRCODE = 'data_exception'; END $$;
CREATE OR REPLACE FUNCTION ff_wire_float(a float8, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF a = 'NaN' OR a = 'Infinity' OR a = '-Infinity' THEN RETURN ff_wire_refuse(a::text, place); END IF;
  RETURN ff_wire_reversed(float8send(a));
END $$;
CREATE OR REPLACE FUNCTION ff_wire_decimal(a numeric, digits int4, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF a = 'NaN' OR abs(a) >= power(10::numeric, 18 - digits) THEN RETURN ff_wire_refuse(a::text, place); END IF;
  RETURN ff_wire_text(round(a, digits)::text);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_moment(us int8) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE rest int8 := ((us % 1000000) + 1000000) % 1000000; seconds int8 := (us - rest) / 1000000; done bytea := '';
BEGIN
  IF seconds <> 0 THEN done := '\x08'::bytea || ff_wire_varint(seconds); END IF;
  IF rest <> 0 THEN done := done || '\x10'::bytea || ff_wire_varint(rest * 1000); END IF;
  RETURN ff_wire_bytes(done);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_date_time(a timestamptz, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF a < '0001-01-01 00:00:00+00' OR a >= '10000-01-01 00:00:00+00' THEN RETURN ff_wire_refuse(a::text, place); END IF;
  RETURN ff_wire_moment((extract(epoch FROM a) * 1000000)::int8);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_date_time(a timestamp, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF a < '0001-01-01' OR a >= '10000-01-01' THEN RETURN ff_wire_refuse(a::text, place); END IF;
  RETURN ff_wire_moment((extract(epoch FROM a) * 1000000)::int8);
END $$;
CREATE OR REPLACE FUNCTION ff_wire_date(a date, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
  IF a < '0001-01-01' OR a > '9999-12-31' THEN RETURN ff_wire_refuse(a::text, place); END IF;
  RETURN ff_wire_text(to_char(a, 'YYYY-MM-DD'));
END $$;
CREATE OR REPLACE FUNCTION ff_wire_json(a json, place text) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
DECLARE done bytea := ''; member record;
BEGIN
  CASE json_typeof(a)
    WHEN 'null' THEN RETURN '\x0800';
    WHEN 'boolean' THEN RETURN CASE btrim(a::text) WHEN 'true' THEN '\x2001'::bytea ELSE '\x2000'::bytea END;
    WHEN 'number' THEN RETURN '\x11'::bytea || ff_wire_float((a #>> '{}')::float8, place);
    WHEN 'string' THEN RETURN '\x1a'::bytea || ff_wire_text(a #>> '{}');
    WHEN 'object' THEN
      FOR member IN SELECT e.key, e.value FROM json_each(a) AS e LOOP
        done := done || '\x0a'::bytea || ff_wire_bytes('\x0a'::bytea || ff_wire_text(member.key)
          || '\x12'::bytea || ff_wire_bytes(ff_wire_json(member.value, place)));
      END LOOP;
      RETURN '\x2a'::bytea || ff_wire_bytes(done);
    ELSE
      FOR member IN SELECT e.value FROM json_array_elements(a) AS e LOOP
        done := done || '\x0a'::bytea || ff_wire_bytes(ff_wire_json(member.value, place));
      END LOOP;
      RETURN '\x32'::bytea || ff_wire_bytes(done);
  END CASE;
END $$;

CREATE TABLE IF NOT EXISTS fourfold_captured (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), n bigint GENERATED ALWAYS AS IDENTITY, first boolean NOT NULL,
  event bytea NOT NULL, PRIMARY KEY (xid, n));

-- What one of others' transactions wrote is one commit, but where it is more than a commit may be: then it is several, in order.
CREATE OR REPLACE FUNCTION ff_capture_flush() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema@, pg_temp AS $$
DECLARE one record; events bytea[] := '{}'; bytes int8 := 0;
BEGIN
  PERFORM set_config('fourfold.capturing', '', true);
  FOR one IN SELECT event FROM fourfold_captured WHERE xid = pg_current_xact_id() ORDER BY n LOOP
    IF cardinality(events) >= 1000 OR cardinality(events) > 0 AND bytes + length(one.event) > 4194304 THEN
      PERFORM ff_capture_commit(events);
      events := '{}';
      bytes := 0;
    END IF;
    events := events || one.event;
    bytes := bytes + length(one.event);
  END LOOP;
  IF cardinality(events) > 0 THEN
    PERFORM ff_capture_commit(events);
  END IF;
  DELETE FROM fourfold_captured WHERE xid = pg_current_xact_id();
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ff_capture_flush() FROM PUBLIC;
CREATE OR REPLACE FUNCTION ff_capture_commit(all_of_it bytea[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO fourfold_outbox (count, generation, at, by, events) SELECT cardinality(all_of_it), s.generation,
    (extract(epoch FROM clock_timestamp()) * 1000000)::int8, 'postgres:' || session_user,
    (SELECT string_agg(e.event, '' ORDER BY e.at) FROM unnest(all_of_it) WITH ORDINALITY AS e(event, at)) FROM fourfold_state AS s $$;
CREATE OR REPLACE FUNCTION ff_capture_put(place text, event bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE first boolean := current_setting('fourfold.capturing', true) IS DISTINCT FROM pg_current_xact_id()::text;
BEGIN
  IF length(event) > 4194304 THEN
    RAISE EXCEPTION 'a row of % is larger than an event may be: 4194304 bytes', place USING ERRCODE = 'program_limit_exceeded';
  END IF;
  IF first THEN
    PERFORM set_config('fourfold.capturing', pg_current_xact_id()::text, true);
  END IF;
  INSERT INTO fourfold_captured (first, event) VALUES (first, event);
END $$;
CREATE OR REPLACE FUNCTION ff_capture_floor(int8, text) RETURNS int8 LANGUAGE plpgsql AS $$
BEGIN
  RETURN greatest(coalesce((SELECT revision FROM fourfold_tombstone WHERE entity = $1 AND key = $2), 0),
    coalesce((SELECT revision FROM fourfold_floor WHERE entity = $1), 0));
END $$;
CREATE OR REPLACE FUNCTION ff_capture_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE of % is refused: its rows would go without events; use DELETE', TG_TABLE_NAME USING ERRCODE = 'feature_not_supported';
END $$;
DROP TRIGGER IF EXISTS fourfold_flush ON fourfold_captured;
CREATE CONSTRAINT TRIGGER fourfold_flush AFTER INSERT ON fourfold_captured DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.first) EXECUTE FUNCTION ff_capture_flush();
