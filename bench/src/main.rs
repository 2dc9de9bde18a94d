//! The scoreboard.

use std::{env, fs, process::ExitCode, time::Instant};

use archipelago_bench::{
    Trouble,
    figure::Verdict,
    figures,
    measure::Effort,
    report::{COLUMNS, Row, json},
};

const USAGE: &str = "usage: archipelago-bench [--quick] [--strict] [--list] [--json FILE] [FILTER]

Measures the figures whose name contains FILTER and prints a line for each.
  --quick      short turns: all figures in less than five minutes
  --strict     exit status 1 if a goal is missed or a figure could not be measured
  --list       say what the figures are, and measure nothing
  --json FILE  write the same, with every sample, to FILE
";

struct Options {
    effort: Effort,
    strict: bool,
    list: bool,
    json: Option<String>,
    filter: String,
}

fn options() -> Result<Options, Trouble> {
    let mut options =
        Options { effort: Effort::Full, strict: false, list: false, json: None, filter: String::new() };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--quick" => options.effort = Effort::Quick,
            "--strict" => options.strict = true,
            "--list" => options.list = true,
            "--json" => options.json = Some(arguments.next().ok_or("--json needs a file")?),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}").into()),
            _ if options.filter.is_empty() => options.filter = argument,
            _ => return Err("one filter is enough".into()),
        }
    }
    Ok(options)
}

fn main() -> Result<ExitCode, Trouble> {
    if env::args().nth(1).as_deref() == Some(figures::WORKER) {
        figures::work(&env::args().skip(2).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = match options() {
        Ok(options) => options,
        Err(trouble) => {
            eprint!("{trouble:?}\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let chosen: Vec<_> = figures::all().filter(|figure| figure.name.contains(&options.filter)).collect();
    if options.list {
        for figure in chosen {
            println!("{}\t{}", figure.name, figure.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let start = Instant::now();
    eprintln!("{COLUMNS}");
    let mut rows = Vec::new();
    for figure in chosen {
        let row = Row::new(figure, (figure.measure)(options.effort));
        println!("{}", row.line());
        if let Some(trouble) = row.trouble() {
            eprintln!("{}: {trouble}", figure.name);
        }
        rows.push(row);
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict() == verdict).count();
    let (met, missed, failed) = (count(Verdict::Met), count(Verdict::Missed), count(Verdict::Failed));
    let seconds = start.elapsed().as_secs();
    eprintln!("{met} met, {missed} missed, {failed} not measured, {seconds} s");
    if let Some(file) = options.json {
        fs::write(file, json(&rows))?;
    }
    let fine = missed + failed == 0;
    Ok(if fine || !options.strict { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
