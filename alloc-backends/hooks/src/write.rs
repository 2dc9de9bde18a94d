//! Traces as text.

use core::fmt::{Result, Write};

use crate::{Row, misuse::name};

/// Writes a line for each row that has bytes: `interpreter;domain;frame;frame bytes`, as tools for flame graphs read it.
///
/// # Errors
/// Those of `out`.
pub fn write_folded(rows: impl IntoIterator<Item = Row>, out: &mut impl Write) -> Result {
    for row in rows.into_iter().filter(|row| row.counts.bytes > 0) {
        match row.asker {
            Some(asker) => {
                write!(out, "interpreter {};{}", asker.interpreter.number(), name(asker.domain))?;
            }
            None => out.write_str("raw")?,
        }
        out.write_char(';')?;
        match row.site.0 {
            Some(_) => row.site.write_path(out, ";")?,
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
