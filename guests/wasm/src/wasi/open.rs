//! Opening what a directory holds, without ever waiting for it.

use cap_fs_ext::{FileTypeExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt};
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use rustix::fs::{OFlags as HostFlags, fcntl_getfl, fcntl_setfl};
use wasmi_wasi::wasi_common::{
    Error, ErrorExt,
    file::{FdFlags, OFlags},
};

/// What was opened.
pub(super) enum Opened {
    /// A regular file or a block device, which does not wait for anybody.
    File(File),
    /// A terminal, a device or a socket; its description does not block.
    Stream(File),
    /// A directory.
    Directory(Dir),
}

/// How a program asked for it.
pub(super) struct Asked {
    pub(super) follow: bool,
    pub(super) oflags: OFlags,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) fdflags: FdFlags,
}

/// Opens `path` in `directory`, as wasi-common does, but first and then looks what it is: what was looked at before may
/// be another file when it is opened, and opening a named pipe waits for its other end, out of reach of any wake.
pub(super) fn open(directory: &Dir, path: &str, asked: &Asked) -> Result<Opened, Error> {
    let Asked { follow, oflags, read, write, fdflags } = asked;
    if fdflags.intersects(FdFlags::DSYNC | FdFlags::SYNC | FdFlags::RSYNC) {
        return Err(Error::not_supported());
    }
    if oflags.contains(OFlags::DIRECTORY)
        && oflags.intersects(OFlags::CREATE | OFlags::EXCLUSIVE | OFlags::TRUNCATE)
    {
        return Err(Error::invalid_argument());
    }
    let (create, exclusive) = (oflags.contains(OFlags::CREATE), oflags.contains(OFlags::EXCLUSIVE));
    let mut options = OpenOptions::new();
    options
        .maybe_dir(true)
        .create(create)
        .create_new(create && exclusive)
        .truncate(oflags.contains(OFlags::TRUNCATE))
        // Something has to be asked for; what the program may do with it is checked by its rights.
        .read(*read || !*write)
        .write(*write || create)
        .append(fdflags.contains(FdFlags::APPEND))
        .follow(if *follow { FollowSymlinks::Yes } else { FollowSymlinks::No })
        .custom_flags(HostFlags::NONBLOCK.bits() as i32);
    let file = directory.open_with(path, &options)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Ok(Opened::Directory(Dir::from_std_file(file.into_std())));
    }
    if oflags.contains(OFlags::DIRECTORY) {
        return Err(Error::not_dir());
    }
    if kind.is_fifo() {
        return Err(Error::not_supported());
    }
    if !kind.is_file() && !kind.is_block_device() {
        return Ok(Opened::Stream(file));
    }
    if !fdflags.contains(FdFlags::NONBLOCK) {
        let flags = fcntl_getfl(&file).map_err(std::io::Error::from)?;
        fcntl_setfl(&file, flags - HostFlags::NONBLOCK).map_err(std::io::Error::from)?;
    }
    Ok(Opened::File(file))
}
