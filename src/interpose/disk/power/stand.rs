//! A state of its past on the disk itself, for as long as somebody is to be seen on it.

use std::{mem, sync::MutexGuard};

use rustix::io::Errno;

use super::{CACHE, Disk, Image, Powered, State};

impl Powered {
    /// Puts a state in its place, for as long as what it had is not given back.
    pub(in super::super) fn stand(&self, image: Image) {
        let mut state = self.state();
        let before = mem::replace(&mut state.disk, Disk::new(image, CACHE));
        state.had.get_or_insert(before);
    }

    /// It has power, and no state stands in its place: that has another sequence, which ends with it.
    pub(super) fn its_own(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.on()?;
        if state.had.is_some() { Err(Errno::BUSY) } else { Ok(state) }
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
    use std::time::Duration;

    use super::*;
    use crate::block::Profile;

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
            assert!(disk.mark().is_err() && !disk.record(1 << 20, None));
            assert!(!disk.prime((Profile::Drop, 7), Duration::ZERO));
        }
        assert!(disk.unstand() && !disk.unstand());
        assert_eq!((first(&disk), moments()), (1, Some(1)));
        assert!(disk.mark().is_ok());
    }
}
