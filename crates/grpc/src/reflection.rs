//! `grpc.reflection.v1` and `v1alpha`: the descriptors of what is served, for tools. Both versions have the same messages.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fourfold_model::{Model, SharedModel};
use fourfold_op::json;
use fourfold_op::wire::bytes::{Malformed, Reader, WireType, put_bytes, put_nested, put_number};
use futures_util::{StreamExt, future};
use prost::Message as _;

use crate::descriptor::descriptor;
use crate::error::Status;
use crate::schema::{self, File, Message, standard};
use crate::transport::{Format, Messages};

const NOT_FOUND: u64 = 5;
const INVALID_ARGUMENT: u64 = 3;
const UNIMPLEMENTED: u8 = 12;

/// What reflection tells: made when it is first asked, because most servers never are.
pub struct Reflection {
    model: SharedModel,
    services: Vec<String>,
    served: OnceLock<Arc<Served>>,
}

struct Served {
    services: Vec<String>,
    /// The serialised descriptor of each file.
    files: Vec<Described>,
    by_name: HashMap<String, usize>,
    /// Full names without the dot before them: services, methods, messages, fields, enums.
    by_symbol: HashMap<String, usize>,
}

struct Described {
    bytes: Vec<u8>,
    imports: Vec<&'static str>,
}

/// What is asked.
enum Question {
    FileByName(String),
    FileOfSymbol(String),
    Extension,
    ExtensionNumbers(String),
    Services,
    Nothing,
}

impl Reflection {
    /// About the model's file and the standard ones, for these services.
    pub fn new(model: &SharedModel, services: Vec<String>) -> Reflection {
        Reflection { model: Arc::clone(model), services, served: OnceLock::new() }
    }

    fn served(&self) -> &Arc<Served> {
        self.served.get_or_init(|| Arc::new(Served::of(&self.model, self.services.clone())))
    }

    /// Answers one question after another.
    pub fn answers(&self, format: Format, messages: Messages) -> Messages {
        if format == Format::Json {
            let refused = Status { code: UNIMPLEMENTED, message: "reflection is served in protobuf alone".into(), details: Vec::new() };
            return Box::pin(futures_util::stream::once(future::ready(Err(refused))));
        }
        let served = Arc::clone(self.served());
        Box::pin(messages.map(move |message| message.map(|message| Bytes::from(served.answer(&message)))))
    }
}

impl Served {
    fn of(model: &Model, services: Vec<String>) -> Served {
        let mut served = Served { services, files: Vec::new(), by_name: HashMap::new(), by_symbol: HashMap::new() };
        let versions = standard::REFLECTION_VERSIONS.map(standard::reflection);
        let own = std::iter::once(schema::file(model));
        for file in
            standard::well_known().into_iter().chain(standard::error_details()).chain([standard::health()]).chain(versions).chain(own)
        {
            served.add(&file);
        }
        served
    }

    fn add(&mut self, file: &File) {
        let index = self.files.len();
        self.files.push(Described { bytes: descriptor(file).encode_to_vec(), imports: file.imports.clone() });
        self.by_name.insert(file.name.clone(), index);
        for service in &file.services {
            let name = format!("{}.{}", file.package, service.name);
            let methods = service.methods.iter().map(|method| format!("{name}.{}", method.name));
            self.by_symbol.extend(methods.map(|method| (method, index)));
            self.by_symbol.insert(name, index);
        }
        file.messages.iter().for_each(|message| self.add_message(&file.package, message, index));
        self.by_symbol.extend(file.enums.iter().map(|of| (format!("{}.{}", file.package, of.name), index)));
    }

    fn add_message(&mut self, scope: &str, message: &Message, index: usize) {
        let name = format!("{scope}.{}", message.name);
        message.nested.iter().for_each(|nested| self.add_message(&name, nested, index));
        self.by_symbol.extend(message.fields.iter().map(|field| (format!("{name}.{}", field.name), index)));
        self.by_symbol.extend(message.enums.iter().map(|of| (format!("{name}.{}", of.name), index)));
        self.by_symbol.insert(name, index);
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let question = question(request);
        put_bytes(&mut out, 2, request);
        match question {
            Err(Malformed) => put_error(&mut out, INVALID_ARGUMENT, "the bytes are no ServerReflectionRequest"),
            Ok(Question::Nothing) => put_error(&mut out, INVALID_ARGUMENT, "nothing is asked"),
            Ok(Question::Extension) => put_error(&mut out, NOT_FOUND, "there are no extensions"),
            Ok(Question::FileByName(name)) => self.put_file(&mut out, self.by_name.get(&name), &name),
            Ok(Question::FileOfSymbol(name)) => self.put_file(&mut out, self.by_symbol.get(name.trim_start_matches('.')), &name),
            Ok(Question::ExtensionNumbers(name)) if self.by_symbol.contains_key(&name) => {
                put_nested(&mut out, 5, |out| put_bytes(out, 1, name.as_bytes()));
            }
            Ok(Question::ExtensionNumbers(name)) => put_error(&mut out, NOT_FOUND, &format!("nothing called {}", json::quoted(&name))),
            Ok(Question::Services) => put_nested(&mut out, 6, |out| {
                self.services.iter().for_each(|service| put_nested(out, 1, |out| put_bytes(out, 1, service.as_bytes())));
            }),
        }
        out
    }

    /// The file and all that it imports, so that one question is enough.
    fn put_file(&self, out: &mut Vec<u8>, file: Option<&usize>, name: &str) {
        let Some(file) = file.and_then(|index| self.files.get(*index)) else {
            return put_error(out, NOT_FOUND, &format!("nothing called {}", json::quoted(name)));
        };
        let imports = file.imports.iter().filter_map(|import| self.files.get(*self.by_name.get(*import)?));
        put_nested(out, 4, |out| {
            std::iter::once(file).chain(imports).for_each(|file| put_bytes(out, 1, &file.bytes));
        });
    }
}

fn put_error(out: &mut Vec<u8>, code: u64, message: &str) {
    put_nested(out, 7, |out| {
        put_number(out, 1, code);
        put_bytes(out, 2, message.as_bytes());
    });
}

fn question(request: &[u8]) -> Result<Question, Malformed> {
    let mut question = Question::Nothing;
    let mut reader = Reader::new(request);
    while let Some((number, wire_type)) = reader.tag()? {
        let text = |reader: &mut Reader<'_>| std::str::from_utf8(reader.bytes()?).map(str::to_owned).map_err(|_| Malformed);
        question = match (number, wire_type) {
            (3, WireType::Bytes) => Question::FileByName(text(&mut reader)?),
            (4, WireType::Bytes) => Question::FileOfSymbol(text(&mut reader)?),
            (5, WireType::Bytes) => reader.bytes().map(|_| Question::Extension)?,
            (6, WireType::Bytes) => Question::ExtensionNumbers(text(&mut reader)?),
            (7, WireType::Bytes) => reader.bytes().map(|_| Question::Services)?,
            _ => {
                reader.skip(number, wire_type)?;
                continue;
            }
        };
    }
    Ok(question)
}
