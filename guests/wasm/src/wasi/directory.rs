//! A directory of a program, which keeps files that wait out of the engine.

use super::{
    exchange::SharedExchange,
    open::{Asked, Opened, open},
    stream::{End, Stream},
};
use crate::descriptor::Descriptor;
use async_trait::async_trait;
use core::any::Any;
use std::{io, path::PathBuf, sync::Arc};
use wasmi_wasi::sync::{dir, file};
use wasmi_wasi::wasi_common::{
    Error, ErrorExt, SystemTimeSpec, WasiDir,
    dir::{OpenResult, ReaddirCursor, ReaddirEntity},
    file::{FdFlags, FileType, Filestat, OFlags},
};

/// A directory of wasi-common; only opening differs.
pub(crate) struct Directory {
    inner: dir::Dir,
    /// The same directory once more: wasi-common does not hand out its own.
    opens: cap_std::fs::Dir,
    exchange: SharedExchange,
}

impl Directory {
    pub(crate) fn new(opens: cap_std::fs::Dir, exchange: &SharedExchange) -> io::Result<Self> {
        let inner = dir::Dir::from_cap_std(opens.try_clone()?);
        Ok(Self { inner, opens, exchange: Arc::clone(exchange) })
    }
}

/// The directory of wasi-common inside `directory`, which is what its own functions expect.
fn inner(directory: &dyn WasiDir) -> Result<&dyn WasiDir, Error> {
    directory
        .as_any()
        .downcast_ref::<Directory>()
        .map(|directory| &directory.inner as _)
        .ok_or_else(Error::badf)
}

#[async_trait]
impl WasiDir for Directory {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn open_file(
        &self,
        follow: bool,
        path: &str,
        oflags: OFlags,
        read: bool,
        write: bool,
        fdflags: FdFlags,
    ) -> Result<OpenResult, Error> {
        // A pipe is refused before it is opened where that can be seen: being opened is felt at its other end.
        if let Ok(stat) = self.inner.get_path_filestat(path, follow).await
            && stat.filetype == FileType::Unknown
        {
            return Err(Error::not_supported());
        }
        Ok(match open(&self.opens, path, &Asked { follow, oflags, read, write, fdflags })? {
            Opened::File(file) => OpenResult::File(Box::new(file::File::from_cap_std(file))),
            Opened::Stream(file) => {
                let end = End::Descriptor(Arc::new(Descriptor::new(file.into_std().into())?));
                OpenResult::File(Box::new(Stream::new(end, &self.exchange)))
            }
            Opened::Directory(directory) => OpenResult::Dir(Box::new(Self::new(directory, &self.exchange)?)),
        })
    }

    async fn create_dir(&self, path: &str) -> Result<(), Error> {
        self.inner.create_dir(path).await
    }

    async fn readdir(
        &self,
        cursor: ReaddirCursor,
    ) -> Result<Box<dyn Iterator<Item = Result<ReaddirEntity, Error>> + Send>, Error> {
        self.inner.readdir(cursor).await
    }

    async fn symlink(&self, old: &str, new: &str) -> Result<(), Error> {
        self.inner.symlink(old, new).await
    }

    async fn remove_dir(&self, path: &str) -> Result<(), Error> {
        self.inner.remove_dir(path).await
    }

    async fn unlink_file(&self, path: &str) -> Result<(), Error> {
        self.inner.unlink_file(path).await
    }

    async fn read_link(&self, path: &str) -> Result<PathBuf, Error> {
        self.inner.read_link(path).await
    }

    async fn get_filestat(&self) -> Result<Filestat, Error> {
        self.inner.get_filestat().await
    }

    async fn get_path_filestat(&self, path: &str, follow: bool) -> Result<Filestat, Error> {
        self.inner.get_path_filestat(path, follow).await
    }

    async fn rename(&self, path: &str, to: &dyn WasiDir, new: &str) -> Result<(), Error> {
        self.inner.rename(path, inner(to)?, new).await
    }

    async fn hard_link(&self, path: &str, to: &dyn WasiDir, new: &str) -> Result<(), Error> {
        self.inner.hard_link(path, inner(to)?, new).await
    }

    async fn set_times(
        &self,
        path: &str,
        accessed: Option<SystemTimeSpec>,
        modified: Option<SystemTimeSpec>,
        follow: bool,
    ) -> Result<(), Error> {
        self.inner.set_times(path, accessed, modified, follow).await
    }
}
