//! What nodes say to each other, as text: parts, each with its length before it.
//!
//! Channels and fields stand by name and values as JSON, so that nodes whose models differ for a while understand what they share.

use std::sync::Arc;

use fourfold_model::{FieldId, Model, Row, SmolStr, Value};
use fourfold_op::Limits;
use fourfold_op::json::{Dialect, Reader, parse_text, write_value, write_value_text};

use super::Topic;
use super::said::{Client, Present, Said, Signal};

/// The first part of all that nodes of this version say.
const VERSION: &str = "fourfold1";

/// A text of a node.
#[derive(Debug)]
pub(super) struct Words<'t> {
    /// Which node.
    pub node: &'t str,
    /// The number of this text among the node's own: from 1, without a gap.
    pub number: u64,
    kind: &'t str,
    rest: Parts<'t>,
}

/// What it says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something in a channel.
    Said(Topic, Said),
    /// It wants to be told who is present.
    Hello,
    /// It is there.
    Alive,
    /// It ends.
    Bye,
}

/// What is to be said.
pub(super) enum Say<'a> {
    In(&'a Topic, &'a Said),
    Hello,
    Alive,
    Bye,
}

impl Say<'_> {
    pub fn write(&self, model: &Model, node: &str, number: u64) -> String {
        let mut out = String::with_capacity(256);
        put(&mut out, VERSION);
        put(&mut out, node);
        put(&mut out, &number.to_string());
        match self {
            Say::Hello => put(&mut out, "hello"),
            Say::Alive => put(&mut out, "alive"),
            Say::Bye => put(&mut out, "bye"),
            Say::In(topic, said) => write_said(&mut out, model, topic, said),
        }
        out
    }
}

impl<'t> Words<'t> {
    /// The words of a text; `None` where it is none of ours.
    pub fn read(text: &'t str) -> Option<Words<'t>> {
        let mut rest = Parts(text);
        if rest.next()? != VERSION {
            return None;
        }
        let (node, number) = (rest.next()?, rest.next()?.parse().ok()?);
        Some(Words { node, number, kind: rest.next()?, rest })
    }

    /// What they say; `None` of a channel, a field or a kind that this model or version does not know.
    pub fn heard(mut self, model: &Model, limits: &Limits) -> Option<Heard> {
        match self.kind {
            "hello" => Some(Heard::Hello),
            "alive" => Some(Heard::Alive),
            "bye" => Some(Heard::Bye),
            kind => read_said(kind, &mut self.rest, model, limits),
        }
    }
}

fn write_said(out: &mut String, model: &Model, topic: &Topic, said: &Said) {
    let channel = model.channel(topic.channel);
    let (kind, by) = match said {
        Said::Publication { by, .. } => ("publication", by),
        Said::Signal(signal) => ("signal", &signal.by),
        Said::Present(present) => ("present", &present.client),
        Said::Absent(present) => ("absent", &present.client),
    };
    let mut parameter = String::new();
    write_value_text(&mut parameter, model, channel.param_base(model), &topic.parameter);
    for part in [kind, &channel.name, &parameter, &by.id, &by.issuer, &by.user] {
        put(out, part);
    }
    match said {
        Said::Publication { data, .. } => put(out, data),
        Said::Signal(signal) => put(out, &signal.name),
        Said::Absent(present) => put(out, &present.subscription.to_string()),
        Said::Present(present) => {
            put(out, &present.subscription.to_string());
            for (field, value) in channel.presence.iter().zip(&present.info.0) {
                let mut json = Vec::new();
                match value {
                    Value::Null => json.extend_from_slice(b"null"),
                    value if field.ty.list => write_list(&mut json, model, field.ty.base, value),
                    value => write_value(&mut json, model, field.ty.base, value, Dialect::Plain),
                }
                put(out, &field.name);
                put(out, &String::from_utf8_lossy(&json));
            }
        }
    }
}

fn write_list(out: &mut Vec<u8>, model: &Model, base: fourfold_model::Base, value: &Value) {
    let Value::List(items) = value else { return write_value(out, model, base, value, Dialect::Plain) };
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, model, base, item, Dialect::Plain);
    }
    out.push(b']');
}

fn read_said(kind: &str, rest: &mut Parts<'_>, model: &Model, limits: &Limits) -> Option<Heard> {
    let (name, parameter) = (rest.next()?, rest.next()?);
    let index = model.channels.iter().position(|channel| channel.name == name)?;
    let channel = fourfold_model::ChannelId(u16::try_from(index).ok()?);
    let parameter = parse_text(model, model.channel(channel).param_base(model), parameter).ok()?;
    let topic = Topic { channel, parameter };
    let by = Client { id: rest.next()?.into(), issuer: rest.next()?.into(), user: rest.next()?.into() };
    let said = match kind {
        "publication" => Said::Publication { data: rest.next()?.into(), by },
        "signal" => Said::Signal(Arc::new(Signal { name: SmolStr::new(rest.next()?), by })),
        "absent" => Said::Absent(present(by, rest.next()?, Row::nulls(0))?),
        "present" => {
            let subscription = rest.next()?;
            let info = info(rest, &topic, model, limits)?;
            Said::Present(present(by, subscription, info)?)
        }
        _ => return None,
    };
    Some(Heard::Said(topic, said))
}

fn present(client: Client, subscription: &str, info: Row) -> Option<Arc<Present>> {
    Some(Arc::new(Present { client, info, subscription: subscription.parse().ok()? }))
}

fn info(rest: &mut Parts<'_>, topic: &Topic, model: &Model, limits: &Limits) -> Option<Row> {
    let fields = &model.channel(topic.channel).presence;
    let mut info = Row::nulls(fields.len());
    while let Some(name) = rest.next() {
        let json = rest.next()?;
        if let Some(index) = fields.iter().position(|field| field.name == name) {
            let value = Reader::new(model, limits, Dialect::Plain).value(fields.get(index)?.ty, json, "")?;
            info.set(FieldId(u16::try_from(index).ok()?), value);
        }
    }
    // Whoever may be told of it counts on what is never null.
    let whole = fields.iter().zip(&info.0).all(|(field, value)| field.ty.nullable || !value.is_null());
    whole.then_some(info)
}

fn put(out: &mut String, part: &str) {
    out.push_str(&part.len().to_string());
    out.push(':');
    out.push_str(part);
}

/// Parts, one after the other; none more where a length is not what it says.
#[derive(Debug)]
struct Parts<'t>(&'t str);

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let (length, rest) = self.0.split_once(':')?;
        let (part, rest) = rest.split_at_checked(length.parse().ok()?)?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use fourfold_model::{ChannelId, Lock};

    const MODEL: &str = "package chat.v1\n\nentity Room {\n  id Int @key\n  @@allow(read, create, true)\n}\n\n\
        channel chat(room: Room) {\n  @join(room.id > 0)\n  presence { device String tags String[] seen DateTime? away Boolean? }\n  signal typing\n}\n";

    fn model() -> Model {
        fourfold_model::load(MODEL, &Lock::default()).map_err(|errors| format!("{errors:?}")).unwrap().model
    }

    fn client() -> Client {
        Client { id: "c:1".into(), issuer: "".into(), user: "ünï".into() }
    }

    #[test]
    fn what_is_said_is_heard_as_it_was() {
        let (model, limits) = (model(), Limits::default());
        let topic = Topic { channel: ChannelId(0), parameter: Value::Int(-7) };
        let tags = Value::List(["a,b", "\"]"].map(Value::text).into());
        let info = Row(vec![Value::text("a \"phone\"\n"), tags, Value::DateTime(1_700_000_000_000_001), Value::Null].into());
        let present = Arc::new(Present { client: client(), info, subscription: u128::MAX });
        for said in [
            Said::Publication { data: "{ \"a\" : [1, 2.50] }".into(), by: client() },
            Said::Signal(Arc::new(Signal { name: "typing".into(), by: client() })),
            Said::Present(present.clone()),
        ] {
            let text = Say::In(&topic, &said).write(&model, "n1", 12);
            let words = Words::read(&text).unwrap();
            assert_eq!((words.node, words.number), ("n1", 12));
            let Some(Heard::Said(heard_topic, heard)) = words.heard(&model, &limits) else { panic!("{text}") };
            assert_eq!((heard_topic, format!("{heard:?}")), (topic.clone(), format!("{said:?}")));
        }
        let text = Say::In(&topic, &Said::Absent(present)).write(&model, "n1", 13);
        let Some(Heard::Said(_, Said::Absent(heard))) = Words::read(&text).unwrap().heard(&model, &limits) else { panic!("{text}") };
        assert_eq!((heard.client.clone(), heard.subscription), (client(), u128::MAX));
    }

    #[test]
    fn a_text_that_is_cut_or_of_others_is_not_heard() {
        let (model, limits) = (model(), Limits::default());
        let topic = Topic { channel: ChannelId(0), parameter: Value::Int(7) };
        let info = Row(vec![Value::text("ä"), Value::List(Vec::new().into()), Value::Null, Value::Boolean(true)].into());
        let said = Said::Present(Arc::new(Present { client: client(), info, subscription: 1 }));
        let text = Say::In(&topic, &said).write(&model, "n1", 1);
        let last = text.rfind("4:away").unwrap();
        for end in (0..last).filter(|end| text.is_char_boundary(*end)) {
            let heard = Words::read(&text[..end]).and_then(|words| words.heard(&model, &limits));
            // Fields that it does not name are null where they may be: a node of another model may not have them.
            assert!(heard.is_none() || text[..end].contains("4:tags"), "cut at {end}: {heard:?}");
        }
        for other in
            ["", "1:x", "9:fourfold2", "9:fourfold1", "9:fourfold12:n11:x5:hello", "99999999999999999999:x", "9:fourfold12:n11:17:unknown"]
        {
            assert!(Words::read(other).and_then(|words| words.heard(&model, &limits)).is_none(), "{other}");
        }
    }
}
