//! Making a pack: files, their manifest, its signature, the zip file.

use super::contents::{Contents, PackError};
use super::manifest::{FORMAT, FileEntry, Manifest, RENDERER};
use super::render::{Derived, render};
use super::{layout, zip};
use crate::domain::log::Hash;
use crate::domain::note::Note;
use std::collections::BTreeMap;

/// A pack whose manifest waits for its signature.
#[derive(Debug)]
pub struct Unsigned {
    files: BTreeMap<String, Vec<u8>>,
    manifest: Vec<u8>,
}

/// All files of a pack and their manifest.
///
/// # Errors
/// [`PackError`].
pub fn prepare(contents: &Contents) -> Result<Unsigned, PackError> {
    let mut files = contents.recorded()?;
    let mut from = BTreeMap::new();
    for (path, Derived { bytes, from: sources }) in render(contents)? {
        from.insert(path.clone(), sources);
        files.insert(path, bytes);
    }
    let unlogged: Vec<String> =
        contents.bundles.iter().filter(|bundle| bundle.proof.is_none()).map(|bundle| bundle.path()).collect();
    let entry = |(path, bytes): (&String, &Vec<u8>)| FileEntry {
        path: path.clone(),
        sha256: Hash::of(bytes).hex(),
        bytes: bytes.len() as u64,
        media_type: layout::media_type(path).to_owned(),
        derived_from: from.get(path).cloned().unwrap_or_default(),
        unlogged: unlogged.contains(path),
    };
    let scope = &contents.scope;
    let manifest = Manifest {
        format: FORMAT,
        renderer: RENDERER,
        product_version: scope.product_version.clone(),
        company: scope.company.clone(),
        client: scope.client.clone(),
        from: scope.from,
        to: scope.to,
        zone: scope.zone.clone(),
        at: scope.at,
        log: scope.log.clone(),
        key: scope.key.clone(),
        files: files.iter().map(entry).collect(),
    };
    Ok(Unsigned { manifest: manifest.to_bytes()?, files })
}

impl Unsigned {
    /// The text that has to be signed.
    #[must_use]
    pub fn text(&self) -> String {
        Manifest::signed_text(&self.manifest)
    }

    /// The zip file, with this note over [`Unsigned::text`].
    ///
    /// # Errors
    /// [`PackError::Zip`] where it would be larger than the format allows.
    pub fn finish(mut self, note: &Note) -> Result<Vec<u8>, PackError> {
        self.files.insert(layout::MANIFEST.to_owned(), self.manifest);
        self.files.insert(layout::MANIFEST_NOTE.to_owned(), note.to_string().into_bytes());
        let mut out = Vec::new();
        zip::write(self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())), &mut out)?;
        Ok(out)
    }
}
