//! What the suites of other people's clients find beside what the model declares: channels by the names of their own server.

use std::borrow::Cow;

/// How channels are found by other names, and what comes with a connection. The face of a model has none of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixture {
    /// The declared channel that a name without `:` is of: `news` is then `plain:news`.
    pub plain: Option<&'static str>,
    /// The declared channel of one caller: `#42` is then `personal:42`, and begins with each connection of the caller 42.
    pub personal: Option<&'static str>,
    /// Whether every subscriber is present where presence is declared, and told who comes and goes, without asking for it.
    pub everyone_present: bool,
    /// Whether the call `echo` answers with what it was given.
    pub echo: bool,
}

impl Fixture {
    /// A channel's name as the model declares it.
    pub(crate) fn declared<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match (name.strip_prefix('#'), self.personal, self.plain) {
            (Some(user), Some(personal), _) => format!("{personal}:{user}").into(),
            (None, _, Some(plain)) if !name.contains(':') => format!("{plain}:{name}").into(),
            _ => name.into(),
        }
    }

    /// The channel that a caller has by connecting.
    pub(crate) fn personal(&self, subject: &str) -> Option<String> {
        self.personal.filter(|_| !subject.is_empty()).map(|_| format!("#{subject}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_model_but_where_a_fixture_says_otherwise() {
        let suite = Fixture { plain: Some("plain"), personal: Some("personal"), ..Fixture::default() };
        for (name, with_suite) in [
            ("news", "plain:news"),
            ("news?a=b", "plain:news?a=b"),
            ("few:news", "few:news"),
            ("#42", "personal:42"),
            ("#a:b", "personal:a:b"),
            ("", "plain:"),
        ] {
            assert_eq!(suite.declared(name), with_suite);
            assert_eq!(Fixture::default().declared(name), name);
        }
        assert_eq!((suite.personal("42").as_deref(), suite.personal("")), (Some("#42"), None));
        assert_eq!(Fixture::default().personal("42"), None);
    }
}
