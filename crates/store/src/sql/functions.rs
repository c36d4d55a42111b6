//! What PostgreSQL lacks, as functions that the store creates in the database. Each means what `eval` means.
//!
//! Those in SQL are written so that PostgreSQL can put them into the statement that calls them: none is `STRICT`, which would forbid it.

/// Statements that create or replace them. Their number is to be raised with each change: [`POSTGRES_FUNCTIONS_VERSION`].
pub const POSTGRES_FUNCTIONS: &str = r#"
CREATE OR REPLACE FUNCTION ff_in(a anycompatible, one_of anycompatiblearray) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN a IS NOT NULL THEN coalesce(a = ANY (one_of), FALSE) END $$;
CREATE OR REPLACE FUNCTION ff_ends_with(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT right(a, length(b)) = b $$;

CREATE OR REPLACE FUNCTION ff_fits(a numeric) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT a BETWEEN -9223372036854775808 AND 9223372036854775807 $$;
CREATE OR REPLACE FUNCTION ff_add(a int8, b int8) RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN ff_fits(a::numeric + b::numeric) THEN a + b END $$;
CREATE OR REPLACE FUNCTION ff_subtract(a int8, b int8) RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN ff_fits(a::numeric - b::numeric) THEN a - b END $$;
CREATE OR REPLACE FUNCTION ff_multiply(a int8, b int8) RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN ff_fits(a::numeric * b::numeric) THEN a * b END $$;
CREATE OR REPLACE FUNCTION ff_divide(a int8, b int8) RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN b <> 0 AND NOT (b = -1 AND a = '-9223372036854775808'::int8) THEN a / b END $$;
CREATE OR REPLACE FUNCTION ff_remainder(a int8, b int8) RETURNS int8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN b <> 0 AND NOT (b = -1 AND a = '-9223372036854775808'::int8) THEN a % b END $$;

CREATE OR REPLACE FUNCTION ff_decimal(a numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN ff_fits(a * power(10::numeric, scale(a))) THEN a END $$;
CREATE OR REPLACE FUNCTION ff_decimal_add(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ff_decimal(a + b) $$;
CREATE OR REPLACE FUNCTION ff_decimal_subtract(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ff_decimal(a - b) $$;
CREATE OR REPLACE FUNCTION ff_decimal_multiply(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ff_decimal(a * b) $$;
CREATE OR REPLACE FUNCTION ff_round(a numeric, digits int4) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ff_decimal(round(a, digits)) $$;

CREATE OR REPLACE FUNCTION ff_moment_add(a timestamptz, b int8) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN extract(epoch FROM a) * 1000000 + b BETWEEN -62135596800000000 AND 253402300799999999
    THEN a + (b / 1000000) * interval '1 second' + (b % 1000000) * interval '1 microsecond' END $$;
CREATE OR REPLACE FUNCTION ff_moment_subtract(a timestamptz, b int8) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT ff_moment_add(a, ff_subtract(0, b)) $$;

CREATE OR REPLACE FUNCTION ff_float_add(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN abs(a) < 8e307 AND abs(b) < 8e307 OR abs(a) < 1 OR abs(b) < 1 THEN a + b
    WHEN abs(a / 2 + b / 2) < 2::float8 ^ 1023 THEN a + b END $$;
CREATE OR REPLACE FUNCTION ff_float_subtract(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN abs(a) < 8e307 AND abs(b) < 8e307 OR abs(a) < 1 OR abs(b) < 1 THEN a - b
    WHEN abs(a / 2 - b / 2) < 2::float8 ^ 1023 THEN a - b END $$;
CREATE OR REPLACE FUNCTION ff_float_multiply(a float8, b float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN RETURN a * b;
    EXCEPTION WHEN numeric_value_out_of_range THEN RETURN CASE WHEN abs(a) < 1 OR abs(b) < 1 THEN 0 END; END $$;
CREATE OR REPLACE FUNCTION ff_float_divide(a float8, b float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN RETURN a / b;
    EXCEPTION WHEN numeric_value_out_of_range THEN RETURN CASE WHEN abs(b) > 1 THEN 0 END;
      WHEN division_by_zero THEN RETURN NULL; END $$;
"#;

/// Which of these functions a database has.
pub const POSTGRES_FUNCTIONS_VERSION: i32 = 2;
