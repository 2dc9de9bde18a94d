//! `--trace` and `--timeline`: when threads waited for GILs and held them.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::PathBuf,
};

use archipelago::{InterpreterId, OnStd, Recorder, Runtime, recorder::Timeline};

use crate::{args::Options, failure::Failure, names::Names, plan::Plan};

/// So many events are kept of each thread.
const EVENTS: usize = 100_000;

/// What a file is to hold.
#[derive(Debug, Clone, Copy)]
enum Form {
    Chrome,
    Svg,
}

impl Form {
    fn what(self) -> &'static str {
        match self {
            Form::Chrome => "the trace",
            Form::Svg => "the timeline",
        }
    }
}

/// A file that is made before anything runs in vain.
pub struct Target {
    form: Form,
    path: PathBuf,
    file: File,
}

/// The files that were asked for.
///
/// # Errors
/// One cannot be written.
pub fn targets(options: &Options) -> Result<Vec<Target>, Failure> {
    let wanted = [(Form::Chrome, &options.trace), (Form::Svg, &options.timeline)];
    let wanted = wanted.into_iter().filter_map(|(form, path)| Some((form, path.clone()?)));
    let made = wanted.map(|(form, path)| match File::create(&path) {
        Ok(file) => Ok(Target { form, path, file }),
        Err(error) => Err(Failure::file(&path, form.what(), &error)),
    });
    made.collect()
}

/// A recording under way.
pub struct GilTrace {
    targets: Vec<Target>,
    recorder: Recorder,
}

impl GilTrace {
    /// Begins, if a file was asked for.
    pub fn start(targets: Vec<Target>, runtime: &Runtime<impl OnStd>) -> Option<Self> {
        (!targets.is_empty()).then(|| GilTrace { targets, recorder: Recorder::of(runtime, EVENTS) })
    }

    /// Writes the files: what kept each from being written.
    pub fn write(&self, plan: &Plan, names: &Names) -> Vec<Failure> {
        let timeline = self.recorder.timeline();
        let name = |id: InterpreterId| names.of(id, plan);
        let failed = self.targets.iter().filter_map(|target| {
            let error = write_one(target, &timeline, &name).err()?;
            Some(Failure::file(&target.path, target.form.what(), &error))
        });
        failed.collect()
    }
}

fn write_one(
    target: &Target,
    timeline: &Timeline,
    name: &dyn Fn(InterpreterId) -> String,
) -> std::io::Result<()> {
    let mut out = BufWriter::new(&target.file);
    match target.form {
        Form::Chrome => timeline.write_chrome(&mut out, name)?,
        Form::Svg => timeline.write_svg(&mut out, name)?,
    }
    out.flush()
}
