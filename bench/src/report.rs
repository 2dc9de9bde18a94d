//! One line for each figure, and JSON.

use core::fmt::Write;

use crate::{
    Trouble,
    figure::{CITED, Figure, Peer, Verdict},
    measure::{Samples, median},
};

/// What became of one figure.
pub struct Row {
    figure: &'static Figure,
    samples: Samples,
    /// Why it could not be measured.
    trouble: Option<String>,
}

/// The columns of a line.
pub const COLUMNS: &str = "name\tours\tunit\tpeer\tpeer's median\tratio\tgoal\tverdict";

impl Row {
    /// The row of a figure that was measured, or could not be.
    pub fn new(figure: &'static Figure, measured: Result<Samples, Trouble>) -> Self {
        match measured {
            Ok(samples) => Row { figure, samples, trouble: None },
            Err(trouble) => {
                Row { figure, samples: Samples::default(), trouble: Some(format!("{trouble:?}")) }
            }
        }
    }

    /// Why it could not be measured.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn ours(&self) -> Option<f64> {
        median(&self.samples.ours)
    }

    fn peer(&self) -> Option<f64> {
        match self.figure.peer {
            Peer::Measured(_) => median(&self.samples.peer),
            Peer::Cited { median, .. } => Some(median),
            Peer::None => None,
        }
    }

    fn peer_name(&self) -> &'static str {
        match self.figure.peer {
            Peer::Measured(name) | Peer::Cited { name, .. } => name,
            Peer::None => "-",
        }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours()? / self.peer()?)
    }

    /// Whether the goal is met.
    pub fn verdict(&self) -> Verdict {
        match self.ours() {
            Some(ours) => self.figure.goal.judge(ours, self.peer()),
            None => Verdict::Failed,
        }
    }

    /// The row as one line, its fields separated by tabs.
    pub fn line(&self) -> String {
        let cited = if matches!(self.figure.peer, Peer::Cited { .. }) { " cited" } else { "" };
        let peer = self.peer().map_or_else(|| "-".into(), |peer| number(peer) + cited);
        [
            self.figure.name.into(),
            self.ours().map_or_else(|| "-".into(), number),
            self.figure.unit.into(),
            self.peer_name().into(),
            peer,
            self.ratio().map_or_else(|| "-".into(), number),
            self.figure.goal.to_string(),
            self.verdict().to_string(),
        ]
        .join("\t")
    }

    fn json(&self) -> String {
        let cited = matches!(self.figure.peer, Peer::Cited { .. });
        let optional = |value: Option<f64>| value.map_or_else(|| "null".into(), |value| value.to_string());
        let all = |values: &[f64]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let source = if cited { text(CITED) } else { "null".into() };
        let trouble = self.trouble.as_deref().map_or_else(|| "null".into(), text);
        let fields = [
            ("name", text(self.figure.name)),
            ("what", text(self.figure.what)),
            ("ours", optional(self.ours())),
            ("unit", text(self.figure.unit)),
            ("peer", text(self.peer_name())),
            ("peer_median", optional(self.peer())),
            ("cited_from", source),
            ("ratio", optional(self.ratio())),
            ("goal", text(&self.figure.goal.to_string())),
            ("verdict", text(&self.verdict().to_string())),
            ("trouble", trouble),
            ("samples", format!("[{}]", all(&self.samples.ours))),
            ("peer_samples", format!("[{}]", all(&self.samples.peer))),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{}: {value}", text(name))).collect();
        format!("{{{}}}", fields.join(", "))
    }
}

/// All rows as one JSON array.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| format!("  {}", row.json())).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

/// A number with three or four digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

/// A JSON string.
fn text(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Goal;

    static FIGURE: Figure = Figure {
        name: "name",
        what: "what it is",
        unit: "ns",
        goal: Goal::AtMost(30.0),
        peer: Peer::Cited { name: "peer", median: 40.0 },
        measure: |_| Ok(Samples::default()),
    };

    #[test]
    fn a_line_has_its_eight_fields() {
        let row = Row::new(&FIGURE, Ok(Samples { ours: vec![20.0], peer: vec![] }));
        assert_eq!(row.line(), "name\t20.00\tns\tpeer\t40.00 cited\t0.500\t<= 30\tmet");
        let row = Row::new(&FIGURE, Err("it \"broke\"".into()));
        assert_eq!(row.line(), "name\t-\tns\tpeer\t40.00 cited\t-\t<= 30\tfailed");
        assert!(row.json().contains(r#""trouble": "it \"broke\"""#));
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(text("a\tb\\"), r#""a\u0009b\\""#);
    }
}
