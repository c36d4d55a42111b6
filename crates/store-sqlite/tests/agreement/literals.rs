//! Texts of literals for each type, edge values among them, and the values that they stand for. Rows take their values from
//! here too, so that comparisons meet equals.

use fourfold_model::{Base, Decimal, Model, Value, literal};

use crate::random::Random;

/// Pieces of Strings: case folding that changes lengths, combining marks, letters beyond 16 bits, quotes, what LIKE would take for a pattern.
const PIECES: [&str; 34] = [
    "",
    "",
    "a",
    "A",
    "b",
    "ab",
    "Ab",
    "straße",
    "STRASSE",
    "ß",
    "ẞ",
    "İ",
    "i̇",
    "ı",
    "Σ",
    "ΟΔΟΣ",
    "οδος",
    "é",
    "e\u{301}",
    "É",
    "𝒳",
    "𐐀",
    "🦀",
    "👩\u{200d}👧",
    "\u{e000}",
    "\u{10ffff}",
    "'",
    "\"",
    "\\",
    "\n",
    "%",
    "_",
    " ",
    "ﬀ",
];
const INTS: &[&str] = &["0", "1", "-1", "2", "3", "5", "7", "10", "100", "2147483647", "-2147483648"];
const BIG_INTS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "100",
    "3000000000",
    "9007199254740993",
    "1000000000000000000",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
];
const FLOATS: &[&str] =
    &["0.0", "-0.0", "1.0", "-1.5", "0.1", "0.2", "0.3", "2.5", "100.0", "-0.000001", "123456789.125", "9007199254740992.0"];
const MONEYS: &[&str] = &["0.00", "0.01", "-0.01", "1.50", "1.5", "2", "-7", "10.00", "100", "9999999999.99", "-9999999999.99"];
const FINES: &[&str] =
    &["0.000000", "0.000001", "-0.000001", "1.5", "2", "123456.789", "999999999999.999999", "-999999999999.999999", "100.00"];
const WHOLES: &[&str] = &["0", "1", "-1", "2", "10", "100", "999999999999999999", "-999999999999999999"];
const DATE_TIMES: &[&str] = &[
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "2026-11-22T10:00:00+05:30",
    "2026-11-22T04:30:00Z",
    "2026-11-22t04:30:00.000001z",
    "1900-02-28T12:00:00.5-11:00",
];
const DATES: &[&str] = &["1970-01-01", "1969-12-31", "0001-01-01", "9999-12-31", "2024-02-29", "2026-11-22"];
const UUIDS: &[&str] = &[
    "00000000-0000-0000-0000-000000000000",
    "018f2e8a-0000-7000-8000-000000000001",
    "018F2E8A-0000-7000-8000-000000000001",
    "7fffffff-ffff-ffff-ffff-ffffffffffff",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
];
const STATES: &[&str] = &["draft", "live", "archived"];

/// What is written for a value of this type, without quotes.
pub fn text_of(base: Base, random: &mut Random) -> String {
    let among = match base {
        Base::String => return (0..1 + random.below(3)).map(|_| *random.pick(&PIECES)).collect(),
        Base::Boolean => &["true", "false"],
        Base::Int => INTS,
        Base::BigInt => BIG_INTS,
        Base::Float => FLOATS,
        Base::Decimal { scale: 2, .. } => MONEYS,
        Base::Decimal { scale: 6, .. } => FINES,
        Base::Decimal { .. } => WHOLES,
        Base::DateTime => DATE_TIMES,
        Base::Date => DATES,
        Base::Uuid => UUIDS,
        Base::Enum(_) => STATES,
        Base::Bytes | Base::Json | Base::Owned(_) => panic!("no literals of {base:?}"),
    };
    (*random.pick(among)).to_owned()
}

/// Whether literals of this type stand in quotes.
pub fn quoted(base: Base) -> bool {
    matches!(base, Base::String | Base::DateTime | Base::Date | Base::Uuid | Base::Enum(_))
}

/// The value that a text stands for.
pub fn value_of(model: &Model, base: Base, text: &str) -> Value {
    match base {
        Base::String => Value::text(text),
        Base::Boolean => Value::Boolean(text == "true"),
        Base::Int | Base::BigInt => Value::Int(text.parse().expect("a number")),
        Base::Float => Value::Float(text.parse().expect("a number")),
        Base::Decimal { scale, .. } => Value::Decimal(Decimal::parse(text).and_then(|one| one.rescale(scale)).expect("a decimal")),
        Base::DateTime => Value::DateTime(literal::date_time(text).expect("a moment")),
        Base::Date => Value::Date(literal::date(text).expect("a day")),
        Base::Uuid => Value::Uuid(literal::uuid(text).expect("a uuid")),
        Base::Enum(id) => Value::Enum(model.enumeration(id).by_name(text).expect("a value of the enum").number),
        Base::Bytes | Base::Json | Base::Owned(_) => panic!("no literals of {base:?}"),
    }
}

/// A text in quotes: most letters as they are, some as `\u` escapes. Escapes of letters beyond 16 bits come in pairs, which only JSON
/// reads so; `pairs` allows them.
pub fn quote(text: &str, pairs: bool, random: &mut Random) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            _ if random.chance(90) || (letter.len_utf16() > 1 && !pairs) => out.push(letter),
            _ => out.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}
