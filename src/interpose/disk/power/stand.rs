//! A state of its past on the disk itself, for as long as somebody is to be seen on it.

use std::mem;

use super::{CACHE, Disk, Image, Powered};

impl Powered {
    /// Puts a state in its place, for as long as what it had is not given back.
    pub(in super::super) fn stand(&self, image: Image) {
        let mut state = self.state();
        let before = mem::replace(&mut state.disk, Disk::new(image, CACHE));
        state.had.get_or_insert(before);
    }

    /// Gives back what it had. False where it has it.
    pub(in super::super) fn unstand(&self) -> bool {
        let mut state = self.state();
        let had = state.had.take();
        let stood = had.is_some();
        had.into_iter().for_each(|had| state.disk = had);
        stood
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(disk: &Powered) -> u8 {
        let mut byte = [0];
        disk.read(0, &mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn what_it_had_comes_back_with_all_that_is_remembered_of_it() {
        let disk = Powered::new(Image::new(1 << 20));
        assert!(disk.record(1 << 20, None));
        disk.write(0, &[1; 4096]).unwrap();
        let moments = || disk.past().map(|past| past.points().len());
        for byte in [7, 8] {
            let mut image = Image::new(1 << 20);
            image.write(0, &[byte; 4096]);
            disk.stand(image);
            assert_eq!((first(&disk), moments()), (byte, None));
            disk.write(0, &[9; 4096]).unwrap();
            disk.flush().unwrap();
        }
        assert!(disk.unstand() && !disk.unstand());
        assert_eq!((first(&disk), moments()), (1, Some(1)));
    }
}
