//! Rows to text: columns and the comments behind them stand in line over neighbouring rows.

/// What of a row is aligned with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing.
    Plain,
    /// The comment behind it: an attribute on a line of its own.
    Single,
    /// Its cells and the comment: a field or an enum's value.
    Columns,
}

/// A line of code.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) indent: usize,
    pub(super) shape: Shape,
    pub(super) cells: Vec<String>,
    pub(super) comment: Option<String>,
}

#[derive(Debug)]
pub(super) enum Line {
    Blank,
    Comment { indent: usize, text: String },
    Row(Row),
}

impl Row {
    pub(super) fn new(indent: usize, shape: Shape) -> Row {
        Row { indent, shape, cells: Vec::new(), comment: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Adds to the last cell; what separates is left out at the beginning of the row.
    pub(super) fn push(&mut self, separator: &str, text: &str) {
        match self.cells.last_mut() {
            Some(cell) => {
                cell.push_str(separator);
                cell.push_str(text);
            }
            None => self.cells.push(text.to_owned()),
        }
    }
}

impl Line {
    /// Whether this is the line of an opening brace.
    pub(super) fn opens(&self) -> bool {
        matches!(self, Line::Row(row) if row.cells.last().is_some_and(|cell| cell.ends_with('{')))
    }

    /// Whether this goes on with a block that `first` began. Comments between the rows do not part them, blank lines do.
    fn continues(&self, first: &Row) -> bool {
        match self {
            Line::Blank => false,
            Line::Comment { .. } => first.shape != Shape::Plain,
            Line::Row(row) => first.shape != Shape::Plain && (row.shape, row.indent) == (first.shape, first.indent),
        }
    }
}

/// The whole text.
pub(super) fn render(mut lines: &[Line]) -> String {
    let mut out = String::new();
    while let Some(first) = lines.first() {
        let length = match first {
            Line::Row(row) => lines.iter().skip(1).take_while(|line| line.continues(row)).count() + 1,
            Line::Blank | Line::Comment { .. } => 1,
        };
        let (block, rest) = lines.split_at(length);
        render_block(block, &mut out);
        lines = rest;
    }
    out
}

fn render_block(block: &[Line], out: &mut String) {
    let widths = widths(block);
    let texts: Vec<_> = block.iter().map(|line| render_line(line, &widths)).collect();
    for run in texts.chunk_by(|a, b| a.1.is_some() && b.1.is_some()) {
        let width = run.iter().map(|(text, _)| width(text)).max().unwrap_or(0);
        for (text, comment) in run {
            out.push_str(text);
            if let Some(comment) = comment {
                pad(out, width + 2 - self::width(text));
                out.push_str(comment);
            }
            out.push('\n');
        }
    }
}

/// The width of each column but the rows' last cells, which nothing follows.
fn widths(block: &[Line]) -> Vec<usize> {
    let mut widths: Vec<usize> = Vec::new();
    for line in block {
        let Line::Row(row) = line else { continue };
        widths.resize(widths.len().max(row.cells.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(&row.cells) {
            *widest = (*widest).max(width(cell));
        }
    }
    widths
}

/// A line and the comment behind it.
fn render_line<'a>(line: &'a Line, widths: &[usize]) -> (String, Option<&'a str>) {
    match line {
        Line::Blank => (String::new(), None),
        Line::Comment { indent, text } => (format!("{}{text}", "  ".repeat(*indent)), None),
        Line::Row(row) => {
            let mut text = "  ".repeat(row.indent);
            for (at, cell) in row.cells.iter().enumerate() {
                text.push_str(cell);
                if at + 1 < row.cells.len() {
                    pad(&mut text, widths.get(at).map_or(0, |column| column.saturating_sub(width(cell))) + 1);
                }
            }
            (text, row.comment.as_deref())
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
