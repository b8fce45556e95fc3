//! Firmware images out of `lwm2m.firmware_dir`.
use bytes::Bytes;
use lwm2m::server::Images;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

/// Largest image that is taken, bytes: what Block1 and Block2 can number in blocks of 16 bytes.
const IMAGE_BYTES_MAX: u64 = 16 << 20;

/// The files of one folder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(folder: PathBuf) -> Folder {
        Folder(folder)
    }
}

impl Images for Folder {
    fn open(&self, name: &str) -> Result<Bytes, String> {
        // The command was checked for a plain name; a link in the folder is the operator's own.
        let told = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{name} is not in lwm2m.firmware_dir"),
            _ => format!("{name} cannot be read"), // details are for the log of the machine, not for MQTT
        };
        let file = fs::File::open(self.0.join(name)).map_err(told)?;
        if !file.metadata().map_err(told)?.is_file() {
            return Err(format!("{name} is no file"));
        }
        let mut image = Vec::new();
        file.take(IMAGE_BYTES_MAX + 1).read_to_end(&mut image).map_err(told)?;
        if image.len() as u64 > IMAGE_BYTES_MAX {
            return Err(format!("{name} is larger than {IMAGE_BYTES_MAX} bytes"));
        }
        Ok(image.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_images() {
        let folder = std::env::temp_dir().join(format!("turnstone-images-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).expect("a folder");
        fs::write(folder.join("a.bin"), b"image").expect("a file");
        let images = Folder::new(folder.clone());
        assert_eq!(images.open("a.bin"), Ok(Bytes::from_static(b"image")));
        assert_eq!(images.open("b.bin"), Err("b.bin is not in lwm2m.firmware_dir".to_owned()));
        assert_eq!(images.open("sub"), Err("sub is no file".to_owned()));
        fs::remove_dir_all(folder).expect("the temporary folder goes");
    }
}
