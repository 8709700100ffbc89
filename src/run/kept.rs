//! What the helper keeps of a wrong state, brought to the reports before the helper is gone.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::time::{Instant, timeout_at};

use super::files::state_file;
use crate::{
    helper::HelperLink,
    protocol::{Artifact, ExploreReport, FETCHING, KeptFile, LoadCall, LoadReply},
};

/// Which state of which case.
pub(super) struct Kept<'a> {
    /// The run's directory; none where there are no reports.
    pub(super) directory: Option<PathBuf>,
    /// The case, and which attempt at it.
    pub(super) case: (&'a str, u32),
    /// The workload, and which of the states that were found with it, from 1.
    pub(super) state: (&'a str, usize),
}

impl Kept<'_> {
    /// Brings the files of a load within [`FETCHING`], and says in the report where they are.
    pub(super) async fn bring(
        &self,
        helper: &dyn HelperLink,
        load: &str,
        report: &mut ExploreReport,
    ) {
        let files =
            [(Artifact::State, &mut report.state), (Artifact::LogWrites, &mut report.log_writes)];
        let until = Instant::now() + FETCHING;
        for (artifact, file) in files {
            let Some(KeptFile::Held { bytes }) = *file else { continue };
            let brought = timeout_at(until, self.one(helper, (load, artifact), bytes)).await;
            let late =
                |_| Err(format!("the helper had not sent it within {} s", FETCHING.as_secs()));
            let brought = brought.unwrap_or_else(late);
            *file = Some(match brought {
                Ok(path) => KeptFile::Written { path },
                Err(why) => KeptFile::Missing { why },
            });
        }
    }

    async fn one(
        &self,
        helper: &dyn HelperLink,
        of: (&str, Artifact),
        bytes: u64,
    ) -> Result<String, String> {
        let directory = self.directory.as_ref().ok_or("there are no reports to keep it in")?;
        let content = fetched(helper, of, bytes).await?;
        let path = directory.join(state_file(self.case, self.state, of.1.extension()));
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| fs::write(&path, content));
        written.map_err(|error| format!("`{}`: {error}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// A whole file, piece by piece.
pub(super) async fn fetched(
    helper: &dyn HelperLink,
    (load, artifact): (&str, Artifact),
    bytes: u64,
) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    while (content.len() as u64) < bytes {
        let from = content.len() as u64;
        let call = LoadCall::Piece { name: load.to_owned(), artifact, from };
        let piece = match helper.load(call).await.map_err(|error| error.to_string())? {
            LoadReply::Piece(text) => STANDARD.decode(text).map_err(|error| error.to_string())?,
            other => return Err(format!("the helper answered {other:?}")),
        };
        if piece.is_empty() {
            return Err(format!("the helper has {from} bytes of {bytes}"));
        }
        content.extend(piece);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::Fake;

    fn report(bytes: u64) -> ExploreReport {
        let state = Some(KeptFile::Held { bytes });
        ExploreReport { state, ..ExploreReport::default() }
    }

    #[tokio::test]
    async fn what_is_kept_comes_piece_by_piece_and_whole_or_not_at_all() {
        let (fake, dir) = (Fake::default(), tempfile::tempdir().unwrap());
        let whole: Vec<u8> = (0..100).collect();
        fake.world().keeper.kept = whole.clone();
        let directory = Some(dir.path().to_owned());
        let kept = Kept { directory, case: ("a", 1), state: ("records", 1) };
        let mut found = report(100);
        kept.bring(&fake, "0-records", &mut found).await;
        let path = dir.path().join("crash-states/a/records-1.crash");
        assert_eq!(found.state, Some(KeptFile::Written { path: path.display().to_string() }));
        assert_eq!((fs::read(&path).unwrap(), found.log_writes), (whole, None));
        fs::remove_file(&path).unwrap();
        let mut short = report(101);
        kept.bring(&fake, "0-records", &mut short).await;
        let Some(KeptFile::Missing { why }) = short.state else { panic!("{short:?}") };
        assert!(why.contains("100 bytes of 101") && !path.exists(), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_does_not_send_it_holds_nothing_up() {
        let (fake, dir) = (Fake::default(), tempfile::tempdir().unwrap());
        fake.world().keeper.silent_loads = true;
        let directory = Some(dir.path().to_owned());
        let kept = Kept { directory, case: ("a", 1), state: ("records", 1) };
        let mut found =
            ExploreReport { log_writes: Some(KeptFile::Held { bytes: 1 }), ..report(1) };
        let begun = Instant::now();
        kept.bring(&fake, "0-records", &mut found).await;
        assert_eq!(begun.elapsed().as_secs(), FETCHING.as_secs(), "for both");
        for file in [found.state, found.log_writes] {
            let Some(KeptFile::Missing { why }) = file else { panic!("{file:?}") };
            assert_eq!(why, "the helper had not sent it within 30 s");
        }
    }

    #[tokio::test]
    async fn without_reports_nothing_is_kept_and_that_is_said() {
        let kept = Kept { directory: None, case: ("a", 1), state: ("records", 1) };
        let mut found = report(1);
        kept.bring(&Fake::default(), "0-records", &mut found).await;
        assert!(matches!(found.state, Some(KeptFile::Missing { .. })), "{found:?}");
    }
}
