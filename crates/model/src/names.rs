//! Names: plurals, the cases of each contract, and the nearest name for "did you mean".

/// Types of the GraphQL contract that each entity brings, by what follows its name.
pub const GRAPHQL_SUFFIXES: [&str; 19] = [
    "Connection",
    "Edge",
    "Payload",
    "Change",
    "Where",
    "ListWhere",
    "OrderBy",
    "CreateInput",
    "UpdateInput",
    "UpsertInput",
    "Aggregate",
    "GroupKeys",
    "CountDistinct",
    "Sum",
    "Average",
    "Min",
    "Max",
    "GroupBy",
    "GroupField",
];
/// Fields of protobuf messages that stand beside a row, whose field is called as its entity in snake case.
pub const PROTOBUF_BESIDE_ROW: [&str; 13] = [
    "request_id",
    "read_mask",
    "update_mask",
    "allow_missing",
    "etag",
    "stream_id",
    "sequence",
    "upsert",
    "cursor",
    "change",
    "id",
    "revision",
    "at",
];
/// First parts of REST paths that are no plurals.
pub const RESERVED_PLURALS: [&str; 4] = ["batch", "actions", "channels", "tickets"];

/// Singular and plural of the words that the rules below get wrong.
const IRREGULAR: [(&str, &str); 40] = [
    ("person", "people"),
    ("man", "men"),
    ("woman", "women"),
    ("child", "children"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("goose", "geese"),
    ("mouse", "mice"),
    ("ox", "oxen"),
    ("quiz", "quizzes"),
    ("index", "indexes"),
    ("matrix", "matrices"),
    ("vertex", "vertices"),
    ("axis", "axes"),
    ("analysis", "analyses"),
    ("basis", "bases"),
    ("crisis", "crises"),
    ("diagnosis", "diagnoses"),
    ("hypothesis", "hypotheses"),
    ("synopsis", "synopses"),
    ("thesis", "theses"),
    ("criterion", "criteria"),
    ("phenomenon", "phenomena"),
    ("datum", "data"),
    ("curriculum", "curricula"),
    ("medium", "media"),
    ("stimulus", "stimuli"),
    ("life", "lives"),
    ("knife", "knives"),
    ("wife", "wives"),
    ("leaf", "leaves"),
    ("half", "halves"),
    ("shelf", "shelves"),
    ("wolf", "wolves"),
    ("calf", "calves"),
    ("loaf", "loaves"),
    ("hero", "heroes"),
    ("potato", "potatoes"),
    ("tomato", "tomatoes"),
    ("echo", "echoes"),
];

/// The plural of a snake-case name, by its last word: `invoice_line` is `invoice_lines`, `category` is `categories`.
///
/// ```
/// assert_eq!(fourfold_model::names::plural("sales_person"), "sales_people");
/// ```
pub fn plural(name: &str) -> String {
    let (head, word) = match name.rfind('_') {
        Some(at) => name.split_at(at + 1),
        None => ("", name),
    };
    if let Some((_, many)) = IRREGULAR.iter().find(|(one, _)| *one == word) {
        return format!("{head}{many}");
    }
    let vowel_before_y = word.len() >= 2 && matches!(word.as_bytes().get(word.len() - 2), Some(b'a' | b'e' | b'i' | b'o' | b'u'));
    match word.strip_suffix('y') {
        Some(stem) if !stem.is_empty() && !vowel_before_y => format!("{head}{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

/// `invoice_line` as GraphQL writes it: `invoiceLine`.
pub fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' {
            raise = !camel.is_empty();
        } else if std::mem::take(&mut raise) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

/// `invoice_line` as types and protobuf's methods write it: `InvoiceLine`.
pub fn pascal(name: &str) -> String {
    let camel = camel(name);
    let mut letters = camel.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `InvoiceLine` as members and tables write it: `invoice_line`. An acronym is one word: `HTTPServer` is `http_server`.
pub fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        if letter.is_uppercase() && starts_word(&letters, at) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn starts_word(letters: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| letters.get(before));
    let Some(before) = before else { return false };
    let next_is_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
    *before != '_' && (!before.is_uppercase() || next_is_lower)
}

/// `OrderState` as protobuf writes the prefix of its values: `ORDER_STATE`.
pub fn screaming_snake(name: &str) -> String {
    snake(name).to_uppercase()
}

/// The name among `among` that `name` is most likely a slip of; `None` when none is near.
///
/// ```
/// assert_eq!(fourfold_model::names::closest("totl", ["id", "total"].into_iter()), Some("total"));
/// ```
pub fn closest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names are at most 48 letters; anything much longer is no slip of one.
    if name.len() > 64 {
        return None;
    }
    let slips_max = (name.chars().count() / 3).max(1);
    let near = among.map(|other| (slips(name, other), other)).filter(|(count, _)| *count <= slips_max);
    near.min_by_key(|(count, _)| *count).map(|(_, other)| other)
}

/// The count of letters to insert, remove, replace or swap with a neighbour; case does not matter.
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let (mut before_last, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<usize>>());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_read_well() {
        for (one, many) in [
            ("order", "orders"),
            ("category", "categories"),
            ("day", "days"),
            ("box", "boxes"),
            ("match", "matches"),
            ("playlist_track", "playlist_tracks"),
            ("media_type", "media_types"),
            ("sales_person", "sales_people"),
            ("status", "statuses"),
            ("analysis", "analyses"),
            ("y", "ys"),
        ] {
            assert_eq!(plural(one), many);
        }
    }

    #[test]
    fn cases_go_each_way() {
        assert_eq!(snake("InvoiceLine"), "invoice_line");
        assert_eq!(snake("HTTPServer"), "http_server");
        assert_eq!(snake("Iso2Code"), "iso2_code");
        assert_eq!(camel("invoice_line_id"), "invoiceLineId");
        assert_eq!(camel("a_1"), "a1");
        assert_eq!(pascal("invoice_lines"), "InvoiceLines");
        assert_eq!(pascal("_a__b_"), "AB");
        assert_eq!(screaming_snake("OrderState"), "ORDER_STATE");
    }

    #[test]
    fn closest_knows_a_swap_and_refuses_a_stranger() {
        let names = ["state", "total", "buyer"];
        assert_eq!(closest("satte", names.into_iter()), Some("state"));
        assert_eq!(closest("Buyer", names.into_iter()), Some("buyer"));
        assert_eq!(closest("quantity", names.into_iter()), None);
    }
}
