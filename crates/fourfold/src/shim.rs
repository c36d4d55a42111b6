//! Stands where the model crate's reader will: this build cannot read models yet, and says so.
#![allow(dead_code, missing_docs)]
use fourfold_model::Model;
#[derive(Default)]
pub struct Lock;
impl Lock {
    pub fn parse(_t: &str) -> Result<Lock, String> {
        Ok(Lock)
    }
    pub fn to_text(&self) -> String {
        String::new()
    }
}
pub struct Diagnostic;
pub struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}
pub fn render_diagnostics(_s: Source<'_>, _l: &[Diagnostic], _c: bool) -> String {
    "error: this build cannot read models yet".to_owned()
}
pub struct L {
    pub model: Model,
    pub lock: Lock,
    pub warnings: Vec<Diagnostic>,
}
pub fn load(_s: &str, _l: &Lock) -> Result<L, Vec<Diagnostic>> {
    Err(vec![])
}
pub fn format(_s: &str) -> Result<String, Vec<Diagnostic>> {
    Err(vec![])
}
