//! A channel that the model declares, as its name and its data tell: `chat:018f…`.

use std::sync::Arc;

use fourfold_engine::EncodingKey;
use fourfold_engine::channel::Publishing;
use fourfold_model::{Base, ChannelId, EntityId, FieldId, Model, Type, Value};
use fourfold_op::params::{Asking, Face, Pairs, Shape};
use fourfold_op::{Error, Limits, Operation, Select, SelectKind, json};

use crate::channel::check_length;
use crate::rpc::{text, text_of};
use crate::subscribe::Form;

/// A declared channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) channel: ChannelId,
    pub(crate) parameter: Value,
}

/// What a publish command asks for.
pub(crate) enum Publish {
    Signal(String),
    Row(Publishing),
}

impl Named {
    /// Reads a channel's name; `None` where it names rows, or nothing.
    ///
    /// # Errors
    /// `invalid_argument` for a parameter of another type; `limit_exceeded`.
    pub(crate) fn parse(name: &str, model: &Model) -> Result<Option<Named>, Error> {
        check_length(name)?;
        let Some((declared, parameter)) = name.split_once(':') else { return Ok(None) };
        let shown =
            |id: &ChannelId| model.channel(*id).stream.as_ref().is_none_or(|(entity, _)| Face::WebSocket.shows(model.entity(*entity)));
        let Some(channel) = model.channel_by_name(declared).filter(shown) else { return Ok(None) };
        let definition = model.channel(channel);
        let parameter = json::parse_text(model, definition.param_base(model), parameter);
        let parameter = parameter.map_err(|detail| Error::invalid_at("/channel", format!("`{}`: {detail}", definition.param.name)))?;
        Ok(Some(Named { channel, parameter }))
    }

    /// What a subscriber tells of itself: `{"presence": {…}}`.
    pub(crate) fn presence(&self, data: &[u8], model: &Model, limits: &Limits) -> Result<Option<Vec<(FieldId, Value)>>, Error> {
        let mut presence = None;
        for (name, value) in json::members(text(data, limits)?).map_err(|detail| Error::invalid_at("/data", detail))?.0 {
            if name != "presence" {
                let detail = format!("unknown member {}; a declared channel has `presence`", json::quoted(&name));
                return Err(Error::invalid_at(format!("/data/{}", json::escape_pointer(&name)), detail));
            }
            presence = Some(self.present(value.get(), model, limits)?);
        }
        Ok(presence)
    }

    fn present(&self, text: &str, model: &Model, limits: &Limits) -> Result<Vec<(FieldId, Value)>, Error> {
        let fields = &model.channel(self.channel).presence;
        let mut reader = json::Reader::new(model, limits, json::Dialect::Plain);
        let mut given = Vec::new();
        for (name, value) in json::members(text).map_err(|detail| Error::invalid_at("/data/presence", detail))?.0 {
            let at = format!("/data/presence/{}", json::escape_pointer(&name));
            match fields.iter().position(|field| field.name == *name) {
                Some(place) => {
                    let ty: Type = fields.get(place).map_or(Type { base: Base::Json, nullable: true, list: false }, |field| field.ty);
                    given.extend(reader.value(ty, value.get(), &at).map(|value| (FieldId(place as u16), value)));
                }
                None => {
                    let near = json::did_you_mean(&name, fields.iter().map(|field| field.name.as_str()));
                    reader.wrong(at, format!("unknown member {}{near}", json::quoted(&name)));
                }
            }
        }
        reader.finish()?;
        Ok(given)
    }

    /// What is published: a signal, a row of the stream, or any JSON.
    pub(crate) fn publish(&self, data: &[u8], model: &Model, limits: &Limits) -> Result<Publish, Error> {
        let definition = model.channel(self.channel);
        let any = std::str::from_utf8(data).map_err(|_| Error::invalid_at("/data", "not UTF-8; expected JSON"))?;
        if !definition.signals.is_empty()
            && let Some(signal) = signal(any)
        {
            return Ok(Publish::Signal(signal));
        }
        Ok(Publish::Row(match &definition.stream {
            Some((entity, _)) => Publishing::Row(json::read_entity(model, *entity, data, limits)?),
            None => {
                json::read_scalar(model, Base::Json, any).map_err(|detail| Error::invalid_at("/data", detail))?;
                Publishing::Free(any.into())
            }
        }))
    }

    /// How the rows of its stream are shown.
    pub(crate) fn form(&self, model: &Model, limits: &Limits) -> Result<Option<Form>, Error> {
        let stream = model.channel(self.channel).stream.as_ref();
        stream.map(|(entity, _)| form(*entity, model, limits)).transpose()
    }

    /// `{"device":"phone","away":false}`: what somebody tells of itself.
    pub(crate) fn write_presence(&self, model: &Model, info: &fourfold_model::Row) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (place, field) in model.channel(self.channel).presence.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            json::write_string(&mut out, &field.name);
            out.push(b':');
            json::write_value(&mut out, model, field.ty.base, info.value(FieldId(place as u16)), json::Dialect::Plain);
        }
        out.push(b'}');
        out
    }
}

/// `{"signal": "typing"}`, and nothing else.
fn signal(data: &str) -> Option<String> {
    match json::members(data).ok()?.0.as_slice() {
        [(name, value)] if name == "signal" && value.get().starts_with('"') => text_of(value).ok().map(std::borrow::Cow::into_owned),
        _ => None,
    }
}

/// Every field that the face shows, as in a list.
fn form(entity: EntityId, model: &Model, limits: &Limits) -> Result<Form, Error> {
    let asked = Asking::new(model, limits, Face::WebSocket).list(entity, &Pairs::new())?;
    match (asked.operation, asked.shape) {
        (Operation::Read(selects), Shape::Rows(shape)) => match selects.into_iter().next() {
            Some(Select { kind: SelectKind::List(_), fields, .. }) => {
                Ok(Form { entity, shape: Arc::clone(&shape), encoding: EncodingKey::of("websocket", &fields) })
            }
            _ => Err(Error::internal("a list became another select")),
        },
        _ => Err(Error::internal("a list became another operation")),
    }
}
