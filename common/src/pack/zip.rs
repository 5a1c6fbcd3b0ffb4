//! Zip files: written so that the same entries give the same bytes, and read as if somebody hostile had written them.
//!
//! A general library reads what it can; here an archive that two programs could read differently is refused. So the reader knows the two methods
//! that zip tools use by default, stored and deflated, and compares every local header with the directory at the end.

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};

const LOCAL: u32 = 0x0403_4b50;
const DIRECTORY: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LOCAL_BYTES: usize = 30;
const DIRECTORY_BYTES: usize = 46;
const END_BYTES: usize = 22;

/// Stored and deflated.
const METHODS: [u16; 2] = [0, 8];

/// 1980-01-01 00:00:00, the first instant that a zip file knows, in its form.
const TIME: (u16, u16) = (0, 0x21);

/// UTF-8 names.
const UTF8: u16 = 0x0800;

/// Sizes and checksum stand after the data.
const DESCRIPTOR: u16 = 0x0008;

/// Flags that change nothing about how an entry is read: how hard it was compressed, where its sizes stand, its name's encoding.
const HARMLESS: u16 = 0x0006 | DESCRIPTOR | UTF8;

/// Entries that the format without its 64-bit extension can count; more would be unreadable for many tools.
pub const MOST_ENTRIES: usize = 65_534;

/// What is wrong with a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// There is no directory at the end, or it does not describe the file.
    #[error("it is no zip file, or it was cut off: {0}")]
    Form(&'static str),
    /// An entry cannot be accepted.
    #[error("{name}: {problem}")]
    Entry {
        /// Its name, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        problem: EntryProblem,
    },
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// The name leads out of the pack, or is not plain.
    #[error("its name is absolute, has a backslash, `..`, an empty part or a control character")]
    Name,
    /// Two entries have this name.
    #[error("there are two entries of this name, or of two names that differ in letter case only")]
    Repeated,
    /// It is a link or a device.
    #[error("it is no plain file")]
    NoFile,
    /// It is encrypted or has another feature that this reader does not have.
    #[error("it is encrypted, or uses a feature of zip that no pack has")]
    Encrypted,
    /// It is compressed by another method.
    #[error("it is compressed by another method than deflate")]
    Method,
    /// The header before the data says something else than the directory.
    #[error("its two headers differ")]
    HeadersDiffer,
    /// It lies where another entry, or the directory, does.
    #[error("its bytes overlap those of another entry, or lie outside of the file")]
    Overlap,
    /// The data does not give what the headers say.
    #[error("its checksum is wrong")]
    Checksum,
    /// The data does not have the size that the headers say.
    #[error("its size is not what its header says")]
    Size,
    /// The compressed data is damaged.
    #[error("its compressed data is damaged")]
    Data,
    /// It is larger than allowed.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// Whether a path may be a file of a pack: plain, relative, with no step out.
#[must_use]
pub fn is_plain(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    !path.contains(|c: char| c.is_control() || c == '\\' || c == ':') && path.split('/').all(part)
}

/// Writes a zip file of these entries, in this order; every entry has the same time.
///
/// # Errors
/// Those of the output; and for entries that the format cannot hold.
pub fn write<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>, mut out: impl Write) -> io::Result<()> {
    let too_large = |_| io::Error::other("the pack is larger than a zip file can be: choose a shorter window");
    let (mut directory, mut offset, mut count) = (Vec::new(), 0_u32, 0_usize);
    for (name, bytes) in entries {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(bytes)?;
        let deflated = encoder.finish()?;
        // Stored where deflating gains nothing.
        let (method, data) = if deflated.len() < bytes.len() { (8, deflated.as_slice()) } else { (0, bytes) };
        let mut common = Vec::with_capacity(26);
        // The version needed to extract: 2.0.
        for field in [20_u16, UTF8, method, TIME.0, TIME.1] {
            common.extend(field.to_le_bytes());
        }
        common.extend(crc_of(bytes).to_le_bytes());
        for size in [data.len(), bytes.len()] {
            common.extend(u32::try_from(size).map_err(too_large)?.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).map_err(too_large)?.to_le_bytes());
        // No extra field.
        common.extend([0; 2]);
        directory.extend(DIRECTORY.to_le_bytes());
        // Made by Unix, version 2.0.
        directory.extend(0x0314_u16.to_le_bytes());
        directory.extend(&common);
        // No comment, on the first disk, no internal attributes; a plain file that all may read.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        out.write_all(&LOCAL.to_le_bytes())?;
        out.write_all(&common)?;
        out.write_all(name.as_bytes())?;
        out.write_all(data)?;
        let written = u32::try_from(LOCAL_BYTES + name.len() + data.len()).map_err(too_large)?;
        offset =
            offset.checked_add(written).ok_or(()).map_err(|()| io::Error::other("the pack is larger than 4 GB"))?;
        count += 1;
    }
    if count > MOST_ENTRIES {
        return Err(io::Error::other("the pack has more files than a zip file can hold: choose a shorter window"));
    }
    let count = u16::try_from(count).map_err(too_large)?;
    out.write_all(&directory)?;
    out.write_all(&END.to_le_bytes())?;
    out.write_all(&[0; 4])?;
    for field in [count, count] {
        out.write_all(&field.to_le_bytes())?;
    }
    out.write_all(&u32::try_from(directory.len()).map_err(too_large)?.to_le_bytes())?;
    out.write_all(&offset.to_le_bytes())?;
    out.write_all(&[0; 2])
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// An entry of an archive, whose place is checked and whose data is not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Bytes after decompressing, as the headers say.
    pub size: u64,
    method: u16,
    crc: u32,
    /// Where its compressed data is.
    data: std::ops::Range<usize>,
}

/// An archive whose headers agree with each other.
#[derive(Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32_at(bytes, at)?).ok()
}

/// The end of the directory: the last record whose comment reaches exactly to the end of the file.
fn end_record(bytes: &[u8]) -> Option<usize> {
    let first = bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let ends = |at: &usize| {
        let comment = u16_at(bytes, at + 20).map(usize::from);
        u32_at(bytes, *at) == Some(END) && comment.is_some_and(|comment| at + END_BYTES + comment == bytes.len())
    };
    (first..=bytes.len().checked_sub(END_BYTES)?).rev().find(ends)
}

impl<'a> Archive<'a> {
    /// Reads the directory and compares every local header with it. Entries that are directories are left out.
    ///
    /// # Errors
    /// [`ZipError`] naming the first entry that is wrong.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ZipError> {
        let form = ZipError::Form;
        let end = end_record(bytes).ok_or(form("no end of a directory"))?;
        let field = |at| u16_at(bytes, end + at).ok_or(form("the end of the directory is damaged"));
        let (count, size, start) = (field(10)?, size_at(bytes, end + 12), size_at(bytes, end + 16));
        if [field(4)?, field(6)?] != [0, 0] || field(8)? != count || usize::from(count) > MOST_ENTRIES {
            return Err(form("it is one part of several, or has more entries than a pack can have"));
        }
        let start = start.filter(|start| size.and_then(|size| start.checked_add(size)) == Some(end));
        let start = start.ok_or(form("the directory does not end where it says"))?;
        let (mut entries, mut names) = (Vec::with_capacity(usize::from(count)), BTreeSet::new());
        let mut taken = Vec::with_capacity(usize::from(count));
        let mut at = start;
        for _ in 0..count {
            let header = bytes.get(at..end).filter(|header| u32_at(header, 0) == Some(DIRECTORY));
            let header = header.ok_or(form("its directory has fewer entries than it says"))?;
            let length = |at| u16_at(header, at).map(usize::from);
            let lengths = (|| Some((length(28)?, length(30)?, length(32)?)))();
            let (name, extra, comment) = lengths.ok_or(form("an entry of the directory is cut off"))?;
            let raw = header.get(DIRECTORY_BYTES..DIRECTORY_BYTES + name).ok_or(form("a name is cut off"))?;
            let shown = String::from_utf8_lossy(raw).into_owned();
            let wrong = |problem| ZipError::Entry { name: clean(&shown), problem };
            let (entry, occupied) = read_entry(bytes, header, raw, start).map_err(wrong)?;
            taken.push((occupied, shown.clone()));
            if let Some(entry) = entry {
                if !names.insert(entry.name.to_lowercase()) {
                    return Err(wrong(EntryProblem::Repeated));
                }
                entries.push(entry);
            }
            at += DIRECTORY_BYTES + name + extra + comment;
        }
        if at != end {
            return Err(form("its directory has more than it says"));
        }
        taken.sort_unstable_by_key(|(range, _)| range.start);
        for pair in taken.windows(2) {
            if let [(before, _), (after, name)] = pair
                && before.end > after.start
            {
                return Err(ZipError::Entry { name: clean(name), problem: EntryProblem::Overlap });
            }
        }
        Ok(Self { bytes, entries })
    }

    /// Its files, in the order of the directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The data of an entry, if it has at most `most` bytes.
    ///
    /// # Errors
    /// [`EntryProblem`]; never more than `most` bytes are kept.
    pub fn read(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, EntryProblem> {
        if entry.size > most {
            return Err(EntryProblem::TooLarge(most));
        }
        let data = self.bytes.get(entry.data.clone()).ok_or(EntryProblem::Overlap)?;
        let mut read = Vec::new();
        if entry.method == 0 {
            read.extend_from_slice(data);
        } else {
            let mut decoder = DeflateDecoder::new(data);
            // One more byte than it should have shows that there are more.
            let limited = decoder.by_ref().take(entry.size + 1).read_to_end(&mut read);
            limited.map_err(|_| EntryProblem::Data)?;
            // Bytes after the compressed stream could hide something from other readers.
            if decoder.total_in() != data.len() as u64 && read.len() as u64 == entry.size {
                return Err(EntryProblem::Data);
            }
        }
        if read.len() as u64 != entry.size {
            return Err(EntryProblem::Size);
        }
        if crc_of(&read) != entry.crc { Err(EntryProblem::Checksum) } else { Ok(read) }
    }
}

/// A name without what could move a terminal.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}

/// Checks an entry of the directory against its local header: the entry, unless it is a directory, and which bytes of the file are its own.
fn read_entry(
    bytes: &[u8],
    header: &[u8],
    raw: &[u8],
    directory: usize,
) -> Result<(Option<Entry>, std::ops::Range<usize>), EntryProblem> {
    let two = |at| u16_at(header, at).ok_or(EntryProblem::HeadersDiffer);
    let four = |at| size_at(header, at).ok_or(EntryProblem::HeadersDiffer);
    let (made_by, flags, method) = (two(4)?, two(8)?, two(10)?);
    let (crc, compressed, size) = (u32_at(header, 16).ok_or(EntryProblem::HeadersDiffer)?, four(20)?, four(24)?);
    let (attributes, offset) = (u32_at(header, 38).ok_or(EntryProblem::HeadersDiffer)?, four(42)?);
    if flags & !HARMLESS != 0 {
        return Err(EntryProblem::Encrypted);
    }
    if !METHODS.contains(&method) {
        return Err(EntryProblem::Method);
    }
    let name = std::str::from_utf8(raw).map_err(|_| EntryProblem::Name)?;
    let plain = name.strip_suffix('/').unwrap_or(name);
    if !is_plain(plain) {
        return Err(EntryProblem::Name);
    }
    // Made on Unix: the upper half is the mode of the file, whose type is plain, a directory, or not given.
    let kind = attributes >> 28;
    let is_folder = name.ends_with('/');
    let expected = if is_folder { 0o4 } else { 0o10 };
    if made_by >> 8 == 3 && kind != 0 && kind != expected {
        return Err(EntryProblem::NoFile);
    }
    if method == 0 && compressed != size || is_folder && size != 0 {
        return Err(EntryProblem::Size);
    }
    let local = bytes.get(offset..directory).ok_or(EntryProblem::Overlap)?;
    if u32_at(local, 0) != Some(LOCAL) {
        return Err(EntryProblem::HeadersDiffer);
    }
    let (name_bytes, extra) = (u16_at(local, 26).map(usize::from), u16_at(local, 28).map(usize::from));
    let (Some(name_bytes), Some(extra)) = (name_bytes, extra) else { return Err(EntryProblem::HeadersDiffer) };
    let same_name = local.get(LOCAL_BYTES..LOCAL_BYTES + name_bytes) == Some(raw);
    let same = [(6, flags), (8, method)].into_iter().all(|(at, value)| u16_at(local, at) == Some(value));
    let numbers = [(14, Some(crc)), (18, u32::try_from(compressed).ok()), (22, u32::try_from(size).ok())];
    // With a descriptor after the data, the header before it has zeros or the same.
    let later = |value| flags & DESCRIPTOR != 0 && value == Some(0);
    let same_numbers = numbers.into_iter().all(|(at, value)| u32_at(local, at) == value || later(u32_at(local, at)));
    if !(same_name && same && same_numbers) {
        return Err(EntryProblem::HeadersDiffer);
    }
    let first = offset + LOCAL_BYTES + name_bytes + extra;
    let last = first.checked_add(compressed).filter(|last| *last <= directory).ok_or(EntryProblem::Overlap)?;
    let entry = Entry { name: name.to_owned(), size: size as u64, method, crc, data: first..last };
    Ok(((!is_folder).then_some(entry), offset..last))
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
