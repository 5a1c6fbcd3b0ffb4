use super::*;

const ENTRIES: [(&str, &[u8]); 3] = [("a.txt", b"first first first first first"), ("b/c.json", b"{}"), ("d", b"")];

fn written() -> Vec<u8> {
    let mut bytes = Vec::new();
    write(ENTRIES, &mut bytes).unwrap();
    bytes
}

/// The data of all entries.
fn read_all(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let archive = Archive::open(bytes)?;
    let read = |entry: &Entry| {
        let data = archive.read(entry, 1_000_000);
        let data = data.map_err(|problem| ZipError::Entry { name: entry.name.clone(), problem })?;
        Ok((entry.name.clone(), data))
    };
    archive.entries().iter().map(read).collect()
}

fn expected() -> Vec<(String, Vec<u8>)> {
    ENTRIES.iter().map(|(name, data)| ((*name).to_owned(), data.to_vec())).collect()
}

#[test]
fn what_is_written_is_read_and_the_same_entries_are_the_same_file() {
    assert_eq!(read_all(&written()), Ok(expected()));
    assert_eq!(written(), written());
    let mut empty = Vec::new();
    write([], &mut empty).unwrap();
    assert_eq!(read_all(&empty), Ok(vec![]));
}

/// No byte of the file can be changed so that another content is read; what can be changed without a failure are times and the like.
#[test]
fn a_changed_byte_changes_no_content() {
    let good = written();
    let mut unnoticed = 0;
    for place in 0..good.len() {
        for change in [1, 0x10, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[place] ^= change;
            match read_all(&changed) {
                Err(_) => {}
                Ok(read) => {
                    assert_eq!(read, expected(), "byte {place} ^ {change}");
                    unnoticed += 1;
                }
            }
        }
    }
    assert!(unnoticed < good.len());
    for end in 0..good.len() {
        assert!(read_all(&good[..end]).is_err(), "cut at {end}");
    }
}

/// A zip file with one entry, whose headers are changed: of the local header the byte at the first number, of the directory the second.
fn changed(local: &[(usize, u8)], directory: &[(usize, u8)]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let mut bytes = Vec::new();
    write([("abc", b"data".as_slice())], &mut bytes).unwrap();
    let start = 30 + 3 + 4;
    for (at, value) in local {
        bytes[*at] = *value;
    }
    for (at, value) in directory {
        bytes[start + at] = *value;
    }
    read_all(&bytes)
}

#[test]
fn entries_that_could_be_read_in_two_ways_are_refused() {
    let problem = |result: Result<_, ZipError>| match result {
        Err(ZipError::Entry { problem, .. }) => Some(problem),
        _ => None,
    };
    // Name in one header only, method, size, checksum.
    assert_eq!(problem(changed(&[(30, b'x')], &[])), Some(EntryProblem::HeadersDiffer));
    assert_eq!(problem(changed(&[(8, 8)], &[])), Some(EntryProblem::HeadersDiffer));
    assert_eq!(problem(changed(&[(22, 3)], &[])), Some(EntryProblem::HeadersDiffer));
    assert_eq!(problem(changed(&[(14, 0)], &[])), Some(EntryProblem::HeadersDiffer));
    assert_eq!(problem(changed(&[(14, 0)], &[(16, 0)])), Some(EntryProblem::Checksum));
    assert_eq!(problem(changed(&[(6, 1)], &[(8, 1)])), Some(EntryProblem::Encrypted));
    assert_eq!(problem(changed(&[(8, 12)], &[(10, 12)])), Some(EntryProblem::Method));
    // A symbolic link, and a directory with the name of a file.
    assert_eq!(problem(changed(&[], &[(41, 0xa1)])), Some(EntryProblem::NoFile));
    assert_eq!(problem(changed(&[], &[(41, 0x41)])), Some(EntryProblem::NoFile));
    // The offset points into the directory.
    assert_eq!(problem(changed(&[], &[(42, 200)])), Some(EntryProblem::Overlap));
    assert!(changed(&[], &[]).is_ok());
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../a", "/a", "a/../b", "a//b", "a\\b", "C:a", "a\nb", "", "./a", "a/.", ".."] {
        let mut bytes = Vec::new();
        write([(name, b"x".as_slice())], &mut bytes).unwrap();
        let refused = read_all(&bytes);
        assert!(matches!(refused, Err(ZipError::Entry { problem: EntryProblem::Name, .. })), "{name:?}: {refused:?}");
    }
    for names in [["a", "a"], ["a", "A"]] {
        let mut bytes = Vec::new();
        write(names.map(|name| (name, b"x".as_slice())), &mut bytes).unwrap();
        assert!(matches!(read_all(&bytes), Err(ZipError::Entry { problem: EntryProblem::Repeated, .. })));
    }
}

#[test]
fn two_entries_over_the_same_bytes_are_refused() {
    // The directory names the first entry's bytes twice, under two names: a bomb that grows with its directory.
    let mut bytes = Vec::new();
    write([("aa", b"xx".as_slice()), ("aa", b"xx".as_slice())], &mut bytes).unwrap();
    let second = bytes.len() - 22 - 48;
    bytes[second + 42..second + 46].fill(0);
    assert!(matches!(read_all(&bytes), Err(ZipError::Entry { problem: EntryProblem::Repeated, .. })));
    // With two names the local header can be only one of them.
    bytes[second + 46] = b'b';
    assert!(matches!(read_all(&bytes), Err(ZipError::Entry { problem: EntryProblem::HeadersDiffer, .. })));
    // Or the second lies within the data of the first, which does not get smaller by compression.
    let noise: Vec<u8> = (0..64_u8).flat_map(|number| crate::domain::log::Hash::of(&[number]).0).collect();
    let mut inner = Vec::new();
    write([("b", noise.as_slice())], &mut inner).unwrap();
    inner.truncate(31 + noise.len());
    let mut outer = Vec::new();
    write([("a", inner.as_slice()), ("b", noise.as_slice())], &mut outer).unwrap();
    let directory_of_b = outer.len() - 22 - 47;
    outer[directory_of_b + 42..directory_of_b + 46].copy_from_slice(&31_u32.to_le_bytes());
    assert!(matches!(read_all(&outer), Err(ZipError::Entry { problem: EntryProblem::Overlap, .. })));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let mut bytes = Vec::new();
    write([("zeros", vec![0; 5_000_000].as_slice())], &mut bytes).unwrap();
    assert!(bytes.len() < 10_000);
    let archive = Archive::open(&bytes).unwrap();
    let entry = &archive.entries()[0];
    assert_eq!(archive.read(entry, 4_999_999), Err(EntryProblem::TooLarge(4_999_999)));
    assert_eq!(archive.read(entry, 5_000_000).map(|data| data.len()), Ok(5_000_000));
    // One that says that it is small gives no more than it says.
    let start = bytes.len() - 22 - 51;
    for at in [22, start + 24] {
        bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    }
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.read(&archive.entries()[0], 10), Err(EntryProblem::Size));
}

#[test]
fn archives_of_other_programs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    for (name, data) in ENTRIES {
        std::fs::write(folder.path().join(name), data).unwrap();
    }
    let run = |program: &str, arguments: &[&str]| {
        let ended = std::process::Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    };
    let python = "import zipfile, io, sys\n\
         z = zipfile.ZipFile(open('p.zip', 'wb'), 'w', zipfile.ZIP_DEFLATED)\n\
         [z.write(n) for n in ['a.txt', 'b', 'b/c.json', 'd']]\n\
         z.comment = b'made anew'\n\
         z.close()";
    run("python3", &["-c", python]);
    run("zip", &["-q", "-9", "-r", "i.zip", "a.txt", "b", "d"]);
    run("sh", &["-c", "cat a.txt | zip -q - a.txt b b/c.json d > s.zip"]);
    for file in ["p.zip", "i.zip", "s.zip"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        let mut read = read_all(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        read.sort();
        assert_eq!(read, expected(), "{file}");
    }
    // And ours by them.
    std::fs::write(folder.path().join("ours.zip"), written()).unwrap();
    run("unzip", &["-tq", "ours.zip"]);
    run("python3", &["-c", "import zipfile; assert zipfile.ZipFile('ours.zip').testzip() is None"]);
}
