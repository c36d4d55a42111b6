//! Conditions that once were answered wrongly, or that chance would not find.

use fourfold_model::{FieldId, Value};
use fourfold_plan::Truth;

use crate::Round;
use crate::random::Random;
use crate::stores::{Refused, Sql};
use crate::world::THING;

/// The same rows over each SQL.
fn rounds() -> impl Iterator<Item = Round> {
    Sql::all().map(|sql| Round::begin(sql, &mut Random::new(1)))
}

#[test]
fn a_masked_owned_list_is_unknown_to_a_filter() {
    for round in rounds() {
        for condition in ["retreats.exists(x, true)", "retreats.all(x, true)", "!retreats.exists(x, x.zip == 1)"] {
            let asked = round.stores.truths(condition, &round.rows, true).unwrap();
            assert_eq!(asked.difference(), None, "{condition}");
            let masked = round.rows.of(THING).iter().zip(&asked.eval).filter(|(row, _)| row.value(FieldId(4)) == &Value::Boolean(false));
            assert!(masked.into_iter().all(|(_, truth)| *truth == Truth::Unknown), "{condition} tells of what is masked");
        }
    }
}

#[test]
fn fixed_conditions_mean_the_same_everywhere() {
    for round in rounds() {
        for condition in [
            "until + 7d > at || until - 1ms < at",
            "until - 100000000d < at || until + 100000000d > at",
            "(at - 1000000d) + 1000000d == at || until + 3000000d > at",
            "discount == (flag ? small : whole) - big || vast - (flag ? owner.revision : whole) != fine",
            "owner.labels.size() == 1 || parent.tags.size() == 0",
            "owner.addresses.exists(x, x.zip == 1) || lines.exists(x, x.person.addresses.all(el, el.zip != 1))",
            "(maybe ? [] : tags).size() == 0 || (maybe ? null : tags).size() > 0",
            "score in [9007199254740992.0, 0.000001, 1] || score in []",
            "(note in [text, note]) == (count in [small, 1]) || !(mood in [state, \"live\"]) || !(ratio in [score, 0.1])",
            "!(vast in []) || !(maybe in [true, false])",
        ] {
            let asked = round.stores.truths(condition, &round.rows, true).unwrap();
            assert_eq!(asked.difference(), None, "{condition}");
        }
    }
}

/// What unknown is inside `all` is settled before SQL and `eval` part, and CEL has no word for it: so it is said here.
#[test]
fn an_element_of_which_a_condition_is_unknown_breaks_all() {
    for round in rounds() {
        let lines = round.model.entity(THING).field_by_name("lines").unwrap();
        let asked = round.stores.truths("lines.all(x, x.weight == x.weight)", &round.rows, true).unwrap();
        assert_eq!(asked.difference(), None);
        for (row, truth) in round.rows.of(THING).iter().zip(&asked.eval) {
            // `weight` is field 3 of a line.
            let known = matches!(row.value(lines), Value::Owned(lines) if lines.iter().all(|line| !line.value(FieldId(3)).is_null()));
            assert_eq!(*truth, if known { Truth::True } else { Truth::False });
        }
    }
}

#[test]
fn an_in_inside_an_in_is_not_written_twice() {
    for round in rounds() {
        let deep = |member: &str| (0..12).fold("maybe".to_owned(), |inner, _| format!("({inner}) in [maybe, {member}]"));
        for condition in
            [deep("flag"), deep("text.startsWith(note)"), deep("true"), (0..12).fold("maybe".to_owned(), |a, _| format!("({a}) in []"))]
        {
            let asked = round.stores.truths(&condition, &round.rows, true).unwrap();
            assert_eq!(asked.difference(), None, "{condition}");
        }
    }
}

#[test]
fn lists_out_of_place_are_refused_and_are_no_internal_error() {
    for round in rounds() {
        for (condition, expect) in [
            ("size([text, note]) == 2", "InvalidArgument"),
            ("(flag ? [text] : tags).size() == 1", "InvalidArgument"),
            ("(flag ? [] : small) == 5", "a list cannot be compared"),
        ] {
            match round.stores.truths(condition, &round.rows, false) {
                Err(Refused::Other(message)) => assert!(message.contains(expect), "{condition}: {message}"),
                other => panic!("{condition}: {:?}", other.map(|asked| asked.eval)),
            }
        }
    }
}
