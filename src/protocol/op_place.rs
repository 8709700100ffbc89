//! Which container an op enters.

use super::{Op, Place};

impl Op {
    /// The container whose namespace this op enters, where it enters one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::StackClone { place, .. }
            | Self::Unstack { place, .. }
            | Self::StackTmpfs { place, .. }
            | Self::UnstackMarked { place, .. }
            | Self::DetachMount { place, .. }
            | Self::AttachMount { place, .. }
            | Self::SetTmpfsLimits { place, .. }
            | Self::ExhaustTmpfs { place, .. }
            | Self::FillInodes { place, .. }
            | Self::FillBytes { place, .. }
            | Self::RemoveFiller { place, .. }
            | Self::Freeze { place, .. }
            | Self::Thaw { place, .. }
            | Self::LimitIo { place, .. }
            | Self::SetQuota { place, .. }
            | Self::RestoreQuota { place, .. }
            | Self::TakeSnapshot { place, .. }
            | Self::DiscardSnapshot { place, .. }
            | Self::BreakFilesystem { place, .. }
            | Self::ReplaceByCopy { place }
            | Self::CopyUp { place }
            | Self::DropCache { place }
            | Self::Relink { place, .. }
            | Self::KillInit { place, .. }
            | Self::EndEngine { place, .. }
            | Self::SetOwner { place, .. }
            | Self::SetMode { place, .. }
            | Self::SetLabel { place, .. }
            | Self::SetAside { place, .. }
            | Self::PutBack { place, .. }
            | Self::StreamFile { place, .. }
            | Self::GrowTmpfs { place, .. }
            | Self::ExhaustMemory { place, .. }
            | Self::SetOomScore { place, .. } => Some(place),
            Self::Insertion(op) => Some(op.place()),
            Self::Sole(op) => Some(op.place()),
            Self::Time(op) => Some(op.place()),
            Self::CutFiles(op) => op.place(),
            Self::Power(op) => op.place(),
            Self::CreateBind { .. }
            | Self::SeedBind { .. }
            | Self::RemoveBind { .. }
            | Self::CreateImage { .. }
            | Self::WriteImage { .. }
            | Self::AttachLoop { .. }
            | Self::DetachLoop { .. }
            | Self::RemoveImage { .. }
            | Self::HoldInotify { .. }
            | Self::EndHolder { .. }
            | Self::Interpose { .. }
            | Self::EndInterposer { .. }
            | Self::ArmRules { .. }
            | Self::DisarmRules { .. }
            | Self::Engine(_)
            | Self::Nothing => None,
        }
    }
}
