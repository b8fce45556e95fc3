//! Firmware images out of `lwm2m.firmware_dir`.
use bytes::Bytes;
use lwm2m::server::{ImageFault, Images};
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
    fn open(&self, name: &str) -> Result<Bytes, ImageFault> {
        // The command was checked for a plain name; a link in the folder is the operator's own.
        let told = |error: std::io::Error| {
            ImageFault::Missing(match error.kind() {
                std::io::ErrorKind::NotFound => format!("{name} is not in lwm2m.firmware_dir"),
                _ => format!("{name} cannot be read"), // details are for the log of the machine, not for MQTT
            })
        };
        let file = fs::File::open(self.0.join(name)).map_err(told)?;
        if !file.metadata().map_err(told)?.is_file() {
            return Err(ImageFault::Missing(format!("{name} is no file")));
        }
        let mut image = Vec::new();
        file.take(IMAGE_BYTES_MAX + 1).read_to_end(&mut image).map_err(told)?;
        if image.len() as u64 > IMAGE_BYTES_MAX {
            let text = format!("{name} is larger than {} MiB, the largest image", IMAGE_BYTES_MAX >> 20);
            return Err(ImageFault::TooLarge(text));
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
        let missing = |text: &str| Err(ImageFault::Missing(text.to_owned()));
        assert_eq!(images.open("b.bin"), missing("b.bin is not in lwm2m.firmware_dir"));
        assert_eq!(images.open("sub"), missing("sub is no file"));
        let large = fs::File::create(folder.join("large.bin")).expect("a file");
        large.set_len(IMAGE_BYTES_MAX + 1).expect("a sparse file");
        let text = "large.bin is larger than 16 MiB, the largest image".to_owned();
        assert_eq!(images.open("large.bin"), Err(ImageFault::TooLarge(text)));
        fs::remove_dir_all(folder).expect("the temporary folder goes");
    }
}
