//! A timeline as a picture.

use core::{fmt, time::Duration};
use std::io::{self, Write};

use archipelago_kernel::InterpreterId;

use super::{Activity, Span, Timeline};

const LEFT: f64 = 150.0;
const WIDTH: f64 = 1000.0;
const TOP: f64 = 30.0;
const ROW: f64 = 22.0;
const BAR: f64 = 16.0;
/// What is shorter is not drawn by itself.
const SHORTEST: f64 = 0.1;
const TICKS: u32 = 10;
/// So many interpreters are named.
const MOST_NAMES: usize = 20;

/// Told apart by everybody who sees colours differently too (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const WAITS: &str = "#bbbbbb";

pub(super) fn write(
    timeline: &Timeline,
    out: &mut dyn Write,
    name: &dyn Fn(InterpreterId) -> String,
) -> io::Result<()> {
    let interpreters = interpreters(timeline);
    let named = interpreters.len().min(MOST_NAMES);
    let bottom = TOP + ROW * timeline.threads().len() as f64;
    let height = bottom + 40.0 + 18.0 * (named + 2) as f64;
    let width = LEFT + WIDTH + 20.0;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")?;
    for tick in 0..=TICKS {
        let x = LEFT + WIDTH * f64::from(tick) / f64::from(TICKS);
        let ms = timeline.length().as_secs_f64() * 1e3 * f64::from(tick) / f64::from(TICKS);
        writeln!(out, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#dddddd\"/>")?;
        writeln!(out, "<text x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\">{ms:.2} ms</text>")?;
    }
    for (row, label) in timeline.threads().iter().enumerate() {
        let y = TOP + ROW * row as f64 + BAR;
        writeln!(out, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>", LEFT - 8.0, Text(label))?;
    }
    let colour = |span: &Span| match span.activity {
        Activity::Waits => WAITS,
        Activity::Holds => {
            let number = span.of.interpreter.number();
            let place = interpreters.binary_search_by_key(&number, |id| id.number());
            COLOURS[place.unwrap_or_default() % COLOURS.len()]
        }
    };
    let mut drawn = vec![LEFT; timeline.threads().len()];
    for span in timeline.spans() {
        let [from, to] = [span.from, span.to].map(|at| place(at, timeline.length()));
        let from = from.max(drawn[span.thread]);
        if to - from < SHORTEST {
            continue;
        }
        drawn[span.thread] = to;
        let (y, width) = (TOP + ROW * span.thread as f64 + 3.0, to - from);
        let verb = match span.activity {
            Activity::Waits => "waits for",
            Activity::Holds => "holds",
        };
        write!(
            out,
            "<rect x=\"{from:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{BAR}\" fill=\"{}\">",
            colour(span)
        )?;
        let (called, took) = (name(span.of.interpreter), span.to - span.from);
        writeln!(out, "<title>{verb} the GIL of {}, {took:?}</title></rect>", Text(&called))?;
    }
    legend(timeline, &interpreters, out, name, bottom + 30.0)?;
    writeln!(out, "</svg>")
}

/// What the colours mean.
fn legend(
    timeline: &Timeline,
    known: &[InterpreterId],
    out: &mut dyn Write,
    name: &dyn Fn(InterpreterId) -> String,
    top: f64,
) -> io::Result<()> {
    let more = known.len().saturating_sub(MOST_NAMES);
    let names = known.iter().take(MOST_NAMES).enumerate();
    let mut lines: Vec<_> = names.map(|(at, id)| (COLOURS[at % COLOURS.len()], name(*id))).collect();
    lines.insert(0, (WAITS, "waits for a GIL".to_owned()));
    for (line, (colour, text)) in lines.iter().enumerate() {
        let y = top + 18.0 * line as f64;
        writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
            y - 10.0
        )?;
        writeln!(out, "<text x=\"{}\" y=\"{y}\">{}</text>", LEFT + 18.0, Text(text))?;
    }
    let (lost, switches) = (timeline.lost(), timeline.switches().len());
    let y = top + 18.0 * lines.len() as f64;
    let more = if more == 0 { String::new() } else { format!("{more} more interpreters; ") };
    writeln!(out, "<text x=\"{LEFT}\" y=\"{y}\">{more}{switches} switches; {lost} events lost</text>")
}

/// Those that were seen, each once, in the order of their numbers.
fn interpreters(timeline: &Timeline) -> Vec<InterpreterId> {
    let mut known: Vec<_> = timeline.spans().iter().map(|span| span.of.interpreter).collect();
    known.sort_unstable_by_key(|id| id.number());
    known.dedup();
    known
}

fn place(at: Duration, length: Duration) -> f64 {
    LEFT + WIDTH * at.as_secs_f64() / length.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Text as XML has it.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            c if c.is_control() => f.write_str("?"),
            c => write!(f, "{c}"),
        })
    }
}
