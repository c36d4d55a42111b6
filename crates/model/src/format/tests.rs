//! Whatever stands between the tokens of a file, formatting keeps its meaning and its comments, and has nothing to do twice.

use super::format;
use crate::lex::{Kind, lex};
use crate::parse::parse_file;

/// Each construct of the grammar.
const WHOLE: &str = r#"package shop.v1
enum State { cart placed, paid }
enum Kind { plain @was("old") , rare @column("r") @was("x"), odd }
caller { id Uuid @claim("sub") roles String[] @claim("roles") , }
entity Order {
  id Uuid @key @default(uuid7()) , buyer User? @default(caller.id)
  total Decimal(14,2)? @min(0) @match("^//[\"\\]\u00e9$") @computed(lines.map(l, l.quantity * -l.price).sum() - -1)
  rank Int @length(1..200) @min(..5) @max(low: 1.5..) @default(a ? !(b in [1, 2]) ? 1 : 2 : 3)
  @@index(title, price desc) , @@cache(public, max_age: 60s) @@readonly
  @@allow(create, update, a == "x" || b.c != null && d in [] && (in - where) * 2 >= 1, fields: [x, y])
}
owned Line {} entity Empty { , }
action checkout(order: Order, note: String?, all: Decimal(4,1)[],): Order? @allow(true) @handler("h") @timeout(10s)
action bare()
channel chat(room: Room) {
  @join(room.members.exists(m, m.user.id == caller.id)) , stream Message where -a < 1 && (b ? c : d)
  presence { device String away Boolean @default(false) , last Int? } signal typing, @history(100, 1h) presence { }
}
test "it \"holds\"" as { id: "a" roles: ["x", "y"], nested: { a: 1 - 2 b: x ? y : z, }, } {
  given Order { id: "o", total: 1.50 } , allow read Order "o"
  deny update Order "o" { state: "paid" } allow create Order {}
}
"#;

/// What may stand between two tokens, `#` being a number of its own.
const TRIVIA: [&str; 10] = [
    " ",
    "\n",
    "\r\n\r\n\t",
    " // c#\n",
    "\n// c#\n",
    "\n/// d#\n",
    " /// d#\n",
    "\n\n//# {\n\n\n///#\n//// e#\n",
    "\n///\n",
    " //\n\n // ,}\n",
];

/// The tree without places.
fn meaning(text: &str) -> String {
    let (file, _, diagnostics) = parse_file(text);
    assert_eq!(diagnostics, [], "{text}");
    let tree = format!("{file:?}");
    let mut parts = tree.split("span: ");
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |tree, part| tree + part.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.'))
}

/// The comments in their order. A `///` that documents nothing may become a `//`; `meaning` sees to those that do.
fn comments(text: &str) -> Vec<&str> {
    lex(text).comments.into_iter().map(|comment| text[comment.span].trim_start_matches('/')).collect()
}

/// The tokens but commas, which may come and go between members; those between arguments are in the tree.
fn tokens(text: &str) -> String {
    let all: Vec<_> = lex(text).tokens.into_iter().map(|token| &text[token.span]).filter(|text| *text != ",").collect();
    all.join(" ").replace("[ ]", "[]")
}

fn keeps(text: &str) {
    let once = format(text).unwrap_or_else(|diagnostics| panic!("{text}\n{diagnostics:#?}"));
    let told = || format!("from:\n{text}\nto:\n{once}");
    assert_eq!(meaning(&once), meaning(text), "{}", told());
    assert_eq!(comments(&once), comments(text), "{}", told());
    assert_eq!(tokens(&once), tokens(text), "{}", told());
    assert_eq!(format(&once).as_ref(), Ok(&once), "{}", told());
    let untidy = once.lines().find(|line| line.ends_with(char::is_whitespace));
    assert_eq!(untidy, None, "{}", told());
    assert!(once.ends_with('\n') && !once.contains("\n\n\n") && !once.ends_with("\n\n") && !once.starts_with('\n'), "{}", told());
}

/// `WHOLE` with other trivia between its tokens: `choose` gives it for each gap.
fn with_trivia(mut choose: impl FnMut(usize) -> String) -> String {
    let mut text = choose(0);
    for (at, token) in lex(WHOLE).tokens.into_iter().filter(|token| token.kind != Kind::End).enumerate() {
        text.push_str(&WHOLE[token.span]);
        text.push_str(&choose(at + 1));
    }
    text
}

#[test]
fn a_comment_or_line_break_at_any_place_is_kept() {
    keeps(WHOLE);
    let gaps = lex(WHOLE).tokens.len();
    for trivia in ["\n", " // c\n", "\n/// d\n"] {
        for place in 0..gaps {
            keeps(&with_trivia(|at| if at == place { trivia } else { " " }.to_owned()));
        }
    }
}

#[test]
fn comments_and_line_breaks_at_many_places_are_kept() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap() % below
    };
    for trivia in TRIVIA {
        keeps(&with_trivia(|at| trivia.replace('#', &at.to_string())));
    }
    for round in 0..100 {
        let sparse = 1 + round % 40;
        keeps(&with_trivia(|at| {
            let trivia = if draw(sparse) == 0 { TRIVIA[draw(TRIVIA.len())] } else { " " };
            trivia.replace('#', &at.to_string())
        }));
    }
}
