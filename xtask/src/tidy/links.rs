//! Links of the Markdown documents to files and headings of the repository.

use std::path::{Path, PathBuf};

use super::Fault;
use crate::workspace::Workspace;

/// Every relative link must name a file that is there, and a heading of it.
pub fn check(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for file in workspace.files()?.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let text = read(&workspace.root.join(file))?;
        for (line, link) in links(&text) {
            if let Err(why) = resolve(&workspace.root, file, &link) {
                faults.push(format!("{}:{line}: `{link}`: {why}", file.display()));
            }
        }
    }
    Ok(faults)
}

fn resolve(root: &Path, from: &Path, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
    let folder = from.parent().unwrap_or(Path::new(""));
    let target: PathBuf = if path.is_empty() { root.join(from) } else { root.join(folder).join(path) };
    if !target.exists() {
        return Err("no such file".to_owned());
    }
    match heading {
        Some(heading) if !headings(&read(&target)?).iter().any(|there| there == heading) => Err(format!("no heading `{heading}`")),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The text outside of fenced code, with line numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

/// `](target)` and `src="target"`, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        let line = without_code(line);
        for (open, close) in [("](", ')'), ("src=\"", '"')] {
            let targets = line.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(target, _)| target);
            found.extend(targets.map(|target| (at, target.split(' ').next().unwrap_or_default().to_owned())));
        }
    }
    found
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Headings as anchors: lower case, spaces to hyphens, punctuation dropped.
fn headings(text: &str) -> Vec<String> {
    let titles = prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| line.trim_start_matches('#').trim());
    titles.map(anchor).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_outside_of_code_are_found_and_headings_become_anchors() {
        let text = "# One: `model`, four APIs\n[a](b.md#c) `[x](y)` <img src=\"p.svg\">\n```\n[no](no)\n```\n";
        assert_eq!(links(text), [(2, "b.md#c".to_owned()), (2, "p.svg".to_owned())]);
        assert_eq!(headings(text), ["one-model-four-apis"]);
    }
}
