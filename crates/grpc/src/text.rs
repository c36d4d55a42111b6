//! A file of the schema as `.proto` text.

use std::fmt::Write as _;

use crate::schema::{Enum, Field, File, Label, Message, Method, Service, Ty};

/// The text of a file.
pub fn text(file: &File) -> String {
    let mut printer = Printer { out: String::new(), package: &file.package, within: None };
    printer.head(file);
    file.services.iter().for_each(|service| printer.service(service));
    file.messages.iter().for_each(|message| printer.top_message(message));
    file.enums.iter().for_each(|of| printer.top_enum(of));
    printer.out
}

/// `buyer_id` as protobuf's default JSON name: `buyerId`.
pub fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' => raise = true,
            _ if raise => {
                camel.push(letter.to_ascii_uppercase());
                raise = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}

struct Printer<'f> {
    out: String,
    package: &'f str,
    /// The message of the file that is being printed.
    within: Option<&'f Message>,
}

impl<'f> Printer<'f> {
    fn head(&mut self, file: &File) {
        self.doc(0, file.doc.as_deref());
        self.line(0, "syntax = \"proto3\";");
        self.out.push('\n');
        self.line(0, &format!("package {};", file.package));
        if !file.imports.is_empty() {
            self.out.push('\n');
        }
        for import in &file.imports {
            self.line(0, &format!("import \"{import}\";"));
        }
    }

    fn service(&mut self, service: &Service) {
        self.out.push('\n');
        self.doc(0, service.doc.as_deref());
        self.line(0, &format!("service {} {{", service.name));
        service.methods.iter().for_each(|method| self.method(method));
        self.line(0, "}");
    }

    fn method(&mut self, method: &Method) {
        self.doc(1, method.doc.as_deref());
        let stream = |streams: bool| if streams { "stream " } else { "" };
        let input = format!("{}{}", stream(method.streaming.0), self.name(&method.input));
        let output = format!("{}{}", stream(method.streaming.1), self.name(&method.output));
        let head = format!("rpc {}({input}) returns ({output})", method.name);
        if !method.reads {
            return self.line(1, &format!("{head};"));
        }
        self.line(1, &format!("{head} {{"));
        self.line(2, "option idempotency_level = NO_SIDE_EFFECTS;");
        self.line(1, "}");
    }

    fn top_message(&mut self, message: &'f Message) {
        self.out.push('\n');
        self.within = Some(message);
        self.message(0, message);
        self.within = None;
    }

    fn message(&mut self, depth: usize, message: &Message) {
        self.doc(depth, message.doc.as_deref());
        if message.fields.is_empty() && message.nested.is_empty() && message.enums.is_empty() && message.reserved.is_empty() {
            return self.line(depth, &format!("message {} {{}}", message.name));
        }
        self.line(depth, &format!("message {} {{", message.name));
        message.enums.iter().for_each(|of| self.enumeration(depth + 1, of));
        message.nested.iter().for_each(|nested| self.message(depth + 1, nested));
        self.reserved(depth + 1, &message.reserved);
        message.fields.iter().filter(|field| field.label != Label::Oneof).for_each(|field| self.field(depth + 1, field));
        if let Some(oneof) = message.oneof {
            self.oneof(depth + 1, oneof, message);
        }
        self.line(depth, "}");
    }

    fn oneof(&mut self, depth: usize, name: &str, message: &Message) {
        if message.fields.iter().all(|field| field.label != Label::Oneof) {
            return;
        }
        self.line(depth, &format!("oneof {name} {{"));
        message.fields.iter().filter(|field| field.label == Label::Oneof).for_each(|field| self.field(depth + 1, field));
        self.line(depth, "}");
    }

    fn reserved(&mut self, depth: usize, numbers: &[u32]) {
        if !numbers.is_empty() {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            self.line(depth, &format!("reserved {};", numbers.join(", ")));
        }
    }

    fn field(&mut self, depth: usize, field: &Field) {
        self.doc(depth, field.doc.as_deref());
        let label = match field.label {
            Label::Optional => "optional ",
            Label::Repeated => "repeated ",
            Label::Oneof | Label::Plain => "",
        };
        let mut options = Vec::new();
        if field.deprecated {
            options.push("deprecated = true".to_owned());
        }
        if camel(&field.name) != field.name {
            options.push(format!("json_name = \"{}\"", field.name));
        }
        let options = if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) };
        let ty = self.ty(&field.ty);
        self.line(depth, &format!("{label}{ty} {} = {}{options};", field.name, field.number));
    }

    fn ty(&self, ty: &Ty) -> String {
        match ty {
            Ty::String => "string".to_owned(),
            Ty::Bytes => "bytes".to_owned(),
            Ty::Bool => "bool".to_owned(),
            Ty::Int32 => "int32".to_owned(),
            Ty::Int64 => "int64".to_owned(),
            Ty::Double => "double".to_owned(),
            Ty::Enum(name) | Ty::Message(name) => self.name(name),
            Ty::Texts => "map<string, string>".to_owned(),
            Ty::Map(name) => format!("map<string, {}>", self.name(name)),
        }
    }

    /// A full name as short as it means the same: protobuf looks from the innermost message outwards.
    fn name(&self, full: &str) -> String {
        let Some(short) = full.strip_prefix(&format!(".{}.", self.package)) else {
            return full.trim_start_matches('.').to_owned();
        };
        let first = short.split('.').next().unwrap_or(short);
        let hides =
            |message: &Message| message.nested.iter().any(|nested| nested.name == first) || message.enums.iter().any(|of| of.name == first);
        let hidden = self.within.is_some_and(hides);
        if hidden { full.to_owned() } else { short.to_owned() }
    }

    fn top_enum(&mut self, of: &Enum) {
        self.out.push('\n');
        self.enumeration(0, of);
    }

    fn enumeration(&mut self, depth: usize, of: &Enum) {
        self.doc(depth, of.doc.as_deref());
        self.line(depth, &format!("enum {} {{", of.name));
        for (name, number, doc) in &of.values {
            self.doc(depth + 1, doc.as_deref());
            self.line(depth + 1, &format!("{name} = {number};"));
        }
        self.line(depth, "}");
    }

    fn doc(&mut self, depth: usize, doc: Option<&str>) {
        for line in doc.into_iter().flat_map(str::lines) {
            self.line(depth, format!("// {line}").trim_end());
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{:width$}{text}", "", width = depth * 2);
    }
}
