//! The trace event format of Chrome, as JSON: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.

use core::{fmt, time::Duration};
use std::io::{self, Write};

use archipelago_kernel::{InterpreterId, thread::Current};

use super::{Activity, Timeline};

pub(super) fn write(
    timeline: &Timeline,
    out: &mut dyn Write,
    name: &dyn Fn(InterpreterId) -> String,
) -> io::Result<()> {
    write!(
        out,
        "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"lost\":{}}},\"traceEvents\":[",
        timeline.lost()
    )?;
    write!(out, "\n{{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{{\"name\":\"GILs\"}}}}")?;
    for (thread, label) in timeline.threads().iter().enumerate() {
        let label = Text(label);
        write!(out, ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{},\"name\":\"thread_name\",", thread + 1)?;
        write!(out, "\"args\":{{\"name\":{label}}}}}")?;
    }
    for span in timeline.spans() {
        let called = name(span.of.interpreter);
        let (what, category) = match span.activity {
            Activity::Waits => (format!("waits: {called}"), "wait"),
            Activity::Holds => (called, "hold"),
        };
        let (what, tid) = (Text(&what), span.thread + 1);
        write!(out, ",\n{{\"ph\":\"B\",\"pid\":1,\"tid\":{tid},\"ts\":{},", Micros(span.from))?;
        write!(out, "\"cat\":\"{category}\",\"name\":{what},\"args\":{}}}", Args(span.of, span.gil))?;
        write!(out, ",\n{{\"ph\":\"E\",\"pid\":1,\"tid\":{tid},\"ts\":{}}}", Micros(span.to))?;
    }
    for switch in timeline.switches() {
        let (tid, at) = (switch.thread + 1, Micros(switch.at));
        write!(out, ",\n{{\"ph\":\"i\",\"pid\":1,\"tid\":{tid},\"ts\":{at},\"s\":\"t\",")?;
        write!(out, "\"cat\":\"switch\",\"name\":\"switch\",\"args\":{}}}", Args(switch.of, switch.gil))?;
    }
    writeln!(out, "\n]}}")
}

/// Time in the format's unit.
struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        write!(f, "{}.{:03}", ns / 1000, ns % 1000)
    }
}

/// What is said beside each event.
struct Args(Current, usize);

impl fmt::Display for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Args(of, gil) = self;
        let interpreter = of.interpreter.number();
        write!(f, "{{\"interpreter\":{interpreter},\"thread state\":{},\"gil\":{gil}}}", of.thread)
    }
}

/// A string as JSON has it.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
