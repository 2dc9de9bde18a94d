//! Traces as text.

use core::fmt::{Result, Write};

use crate::{Row, misuse::name};

/// Writes a name as these tools can read it. A semicolon would end the frame, a line break the line, and a number behind
/// a space is taken for a count.
fn write_name(out: &mut impl Write, name: &str) -> Result {
    name.chars().try_for_each(|c| {
        let ends_something = c == ';' || c.is_whitespace() || c.is_control();
        out.write_char(if ends_something { '_' } else { c })
    })
}

/// Writes a line for each row that has bytes: `interpreter;domain;frame;frame bytes`, as tools for flame graphs read it.
/// What such a tool would take for the end of a frame or line is `_` in a name.
///
/// # Errors
/// Those of `out`.
pub fn write_folded(rows: impl IntoIterator<Item = Row>, out: &mut impl Write) -> Result {
    for row in rows.into_iter().filter(|row| row.counts.bytes > 0) {
        match row.asker {
            Some(asker) => {
                write!(out, "interpreter-{};{}", asker.interpreter.number(), name(asker.domain))?;
            }
            None => out.write_str("raw")?,
        }
        out.write_char(';')?;
        match row.site.0 {
            Some(_) => row.site.write_path_with(out, ";", write_name)?,
            None => out.write_str("unknown")?,
        }
        writeln!(out, " {}", row.counts.bytes)?;
    }
    Ok(())
}

/// Writes a table, a line for each row in the order they come.
///
/// # Errors
/// Those of `out`.
pub fn write_table(rows: impl IntoIterator<Item = Row>, out: &mut impl Write) -> Result {
    writeln!(
        out,
        "{:>12} {:>8} {:>12} {:>8} {:>10}  {:>11}  {:<6}  site",
        "bytes", "blocks", "peak bytes", "peak", "taken", "interpreter", "domain"
    )?;
    for Row { site, asker, counts } in rows {
        write!(
            out,
            "{:>12} {:>8} {:>12} {:>8} {:>10}  ",
            counts.bytes, counts.blocks, counts.peak_bytes, counts.peak_blocks, counts.taken
        )?;
        match asker {
            Some(asker) => {
                write!(out, "{:>11}  {:<6}", asker.interpreter.number(), name(asker.domain))?;
            }
            None => write!(out, "{:>11}  {:<6}", "-", "raw")?,
        }
        writeln!(out, "  {site}")?;
    }
    Ok(())
}
