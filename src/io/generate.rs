//! A reproducible data set: the same seed gives the same names and the same bytes, on any machine.
//!
//! Each file's bytes are a BLAKE3 output stream keyed by (seed, kind, number), so a file does not
//! depend on how many others there are. Invariant: nothing that lies there already is changed; the
//! same bytes under the same name are left alone, other bytes are an error.
//!
//! ```text
//! small/000/000000.txt   1 to 10 KiB of words and lines, 100 files a folder
//! large/0000.bin         5 to 10 MiB
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use blake3::OutputReader;

/// Sizes of small files, bytes.
const SMALL_BYTES: (u64, u64) = (1024, 10 * 1024);
/// Sizes of large files, bytes.
const LARGE_BYTES: (u64, u64) = (5 << 20, 10 << 20);
/// Small files in one folder.
const SMALL_PER_FOLDER: u32 = 100;
/// Written at once, bytes.
const STEP: usize = 256 * 1024;
/// Separates these streams from any other use of BLAKE3.
const CONTEXT: &str = "parvi 2026-11 data set of parvi generate";

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSet {
    /// Text files.
    pub small: u32,
    /// Binary files.
    pub large: u32,
    /// What the bytes follow from.
    pub seed: u64,
}

/// What was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Files, those that were there already included.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Why a data set could not be written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Something else has the name.
    #[error("{0} exists already with other bytes; nothing was changed there")]
    Exists(PathBuf),
    /// The disk failed or is full.
    #[error("cannot write {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Small,
    Large,
}

/// Writes `set` below `dir`.
///
/// # Errors
/// A full disk, a folder that cannot be written, a file with other bytes in the way.
pub fn generate(dir: &Path, set: DataSet) -> Result<Written, GenerateError> {
    let mut written = Written::default();
    let small = (0..set.small).map(|n| (Kind::Small, n));
    for (kind, number) in small.chain((0..set.large).map(|n| (Kind::Large, n))) {
        let path = dir.join(file_name(kind, number));
        written.files += 1;
        written.bytes += write(&path, Content::of(set.seed, kind, number))?;
    }
    Ok(written)
}

/// Writes one binary file of `size` bytes, for demonstrations and measurements.
///
/// # Errors
/// As `generate`.
pub fn generate_file(path: &Path, size: u64, seed: u64) -> Result<(), GenerateError> {
    let content = Content { left: size, ..Content::of(seed, Kind::Large, 0) };
    write(path, content).map(|_| ())
}

/// A seed that follows from words.
pub fn seed_of(words: &str) -> u64 {
    let mut seed = [0; 8];
    blake3::Hasher::new_derive_key(CONTEXT).update(words.as_bytes()).finalize_xof().fill(&mut seed);
    u64::from_le_bytes(seed)
}

fn file_name(kind: Kind, number: u32) -> String {
    match kind {
        Kind::Small => format!("small/{:03}/{number:06}.txt", number / SMALL_PER_FOLDER),
        Kind::Large => format!("large/{number:04}.bin"),
    }
}

/// The bytes of one file, in order.
struct Content {
    stream: OutputReader,
    left: u64,
    text: bool,
}

impl Content {
    fn of(seed: u64, kind: Kind, number: u32) -> Content {
        let (tag, (min, max), text) = match kind {
            Kind::Small => (0, SMALL_BYTES, true),
            Kind::Large => (1, LARGE_BYTES, false),
        };
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&seed.to_le_bytes()).update(&[tag]).update(&number.to_le_bytes());
        let mut stream = hasher.finalize_xof();
        let mut size = [0; 8];
        stream.fill(&mut size);
        Content { stream, left: min + u64::from_le_bytes(size) % (max - min + 1), text }
    }
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.stream.fill(&mut buf[..n]);
        if self.text {
            buf[..n].iter_mut().for_each(|b| *b = letter(*b));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Six letters a word, ten words a line, on average.
fn letter(byte: u8) -> u8 {
    match byte {
        0..4 => b'\n',
        4..40 => b' ',
        _ => b'a' + byte % 26,
    }
}

fn write(path: &Path, content: Content) -> Result<u64, GenerateError> {
    let size = content.left;
    let failed = |source| GenerateError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match File::create_new(path) {
        Ok(file) => copy(content, file).map_err(failed)?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            if !same(content, path).map_err(failed)? {
                return Err(GenerateError::Exists(path.to_owned()));
            }
        }
        Err(e) => return Err(failed(e)),
    }
    Ok(size)
}

fn copy(mut content: Content, mut file: File) -> io::Result<()> {
    // No larger than the file: a data set may have very many small ones.
    let mut buf = vec![0; STEP.min(usize::try_from(content.left).unwrap_or(STEP))];
    loop {
        match content.read(&mut buf)? {
            0 => return Ok(()),
            n => file.write_all(&buf[..n])?,
        }
    }
}

fn same(mut content: Content, path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let (mut wanted, mut there) = (vec![0; STEP], vec![0; STEP]);
    if file.metadata()?.len() != content.left {
        return Ok(false);
    }
    loop {
        let n = content.read(&mut wanted)?;
        if n == 0 {
            return Ok(true);
        }
        file.read_exact(&mut there[..n])?;
        if wanted[..n] != there[..n] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: DataSet = DataSet { small: 101, large: 1, seed: 7 };

    /// One hash over names and bytes, in the order of their making.
    fn fingerprint(dir: &Path, set: DataSet) -> String {
        let mut hasher = blake3::Hasher::new();
        let small = (0..set.small).map(|n| file_name(Kind::Small, n));
        for name in small.chain((0..set.large).map(|n| file_name(Kind::Large, n))) {
            hasher.update(name.as_bytes());
            hasher.update(&std::fs::read(dir.join(name)).unwrap());
        }
        hasher.finalize().to_string()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let written = generate(dir.path(), SET).unwrap();
        assert_eq!((written.files, written.bytes), (102, 7_140_005));
        let golden = "df0b4ba4f2d4d8b12da6b7e8531c61ff98a7cb2cabc2364985f92ac444314d36";
        assert_eq!(fingerprint(dir.path(), SET), golden);
        assert!(dir.path().join("small/001/000100.txt").exists(), "100 files a folder");
        assert_eq!(generate(dir.path(), SET).unwrap(), written, "a second run changes nothing");
    }

    #[test]
    fn small_files_are_text_and_sizes_keep_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        generate(dir.path(), SET).unwrap();
        for n in 0..SET.small {
            let text = std::fs::read_to_string(dir.path().join(file_name(Kind::Small, n))).unwrap();
            assert!((1024..=10 * 1024).contains(&text.len()), "{n}: {} bytes", text.len());
            assert!(text.chars().all(|c| c.is_ascii_lowercase() || c == ' ' || c == '\n'));
        }
        let large = std::fs::metadata(dir.path().join("large/0000.bin")).unwrap().len();
        assert!((5 << 20..=10 << 20).contains(&large));
    }

    #[test]
    fn what_lies_there_with_other_bytes_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        generate(dir.path(), SET).unwrap();
        let path = dir.path().join("small/000/000003.txt");
        std::fs::write(&path, "mine").unwrap();
        let refused = generate(dir.path(), SET).unwrap_err();
        assert!(matches!(refused, GenerateError::Exists(p) if p == path));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
