//! From an op to the primitive that performs it: dispatch only.
//!
//! Blocking; runs on threads that may block. What makes an act wrong (identity, blast radius) is
//! checked in the files it dispatches to, before anything is changed.

use super::{
    super::HelperError,
    context::{Context, Done},
    cut, detach, disk, fill, freeze, hold, image, inner_engine, insertion, interpose, link, memory,
    metadata, mount, page_cache, process, quota, snapshot, sole, stream, throttle, time, tmpfs,
};
use crate::{
    interpose::control::Ask,
    protocol::{Op, Outcome},
};

/// Performs one op.
pub(super) fn act(op: &Op, cx: &Context) -> Done {
    match op {
        Op::StackClone { place, set, clear } => mount::stack_clone(place, set, clear),
        Op::Unstack { place, init, keep } => mount::unstack(place, *init, *keep),
        Op::StackTmpfs { place, mark, size, inodes, mode, uid, gid } => {
            let spec = tmpfs::spec(mark, *size, *inodes, (*mode, *uid, *gid))?;
            tmpfs::stack(place, &spec)
        }
        Op::UnstackMarked { place, init, mark } => tmpfs::unstack(place, *init, mark),
        Op::DetachMount { place, mount, root } => detach::detach(place, *mount, *root, &cx.kept),
        Op::AttachMount { place, init, root, flags } => {
            detach::attach(place, *init, *root, flags, &cx.kept)
        }
        Op::SetTmpfsLimits { place, dev, size, inodes } => {
            tmpfs::set_limits(place, *dev, *size, *inodes)
        }
        Op::ExhaustTmpfs { place, dev, leave_bytes, leave_inodes } => {
            tmpfs::exhaust(place, *dev, *leave_bytes, *leave_inodes)
        }
        Op::FillInodes { place, dev, marker, leave } => {
            fill::inodes(place, *dev, marker, *leave, cx)
        }
        Op::FillBytes { place, dev, marker, leave } => fill::bytes(place, *dev, marker, *leave, cx),
        Op::RemoveFiller { place, dev, marker } => fill::remove(place, *dev, marker, cx),
        Op::BreakFilesystem { place, dev } => mount::break_filesystem(place, *dev, cx),
        Op::ReplaceByCopy { place } => link::replace_by_copy(place),
        Op::CopyUp { place } => link::copy_up(place),
        Op::Relink { place, of, ours } => link::relink(place, of, *ours),
        Op::SetOwner { .. }
        | Op::SetMode { .. }
        | Op::SetLabel { .. }
        | Op::SetAside { .. }
        | Op::PutBack { .. } => metadata::act(op, cx),
        Op::Time(op) => time::act(op, cx),
        other => act_on_device(other, cx),
    }
}

/// Performs an op on what lies beneath a filesystem: its device, its quota, its cache.
fn act_on_device(op: &Op, cx: &Context) -> Done {
    match op {
        Op::Freeze { place, dev, image } => freeze::stall(place, *dev, image, cx),
        Op::Thaw { place, dev, image, fs_type } => freeze::resume(place, *dev, image, fs_type, cx),
        Op::Sole(op) => sole::act(op, cx),
        Op::LimitIo { init, dev, from, to, .. } => throttle::limit(*init, *dev, *from, *to),
        Op::SetQuota { place, dev, group, used } => quota::set(place, *dev, *group, *used, cx),
        Op::RestoreQuota { place, dev, to } => quota::restore(place, *dev, *to, cx),
        Op::TakeSnapshot { place, dev, name } => snapshot::take(place, *dev, name, cx),
        Op::DiscardSnapshot { place, dev, name } => snapshot::discard(place, *dev, name, cx),
        Op::DropCache { place } => page_cache::drop_clean(place),
        other => act_on_processes(other, cx),
    }
}

/// Performs an op on processes, and on what the kernel counts for them.
fn act_on_processes(op: &Op, cx: &Context) -> Done {
    match op {
        Op::EndEngine { place, process, how } => inner_engine::end(place, *process, *how),
        Op::KillInit { place, init } => process::kill_init(place, *init),
        Op::HoldInotify { mark, uid, gid, stock } => hold::inotify(mark, (*uid, *gid), *stock, cx),
        Op::StreamFile { place, mark, rate } => stream::start(place, mark, *rate, cx),
        Op::EndHolder { mark } => hold::end(mark),
        Op::GrowTmpfs { .. } | Op::ExhaustMemory { .. } | Op::SetOomScore { .. } => {
            memory::act(op, cx)
        }
        other => act_on_own(other, cx),
    }
}

/// Performs an op on the run's own directory.
fn act_on_own(op: &Op, cx: &Context) -> Done {
    match op {
        Op::CreateBind { name, mode, uid, gid, label } => {
            image::create_bind(cx, name, *mode, (*uid, *gid), label.as_deref())
        }
        Op::SeedBind { name, items, size } => image::seed_bind(cx, name, *items, *size),
        Op::RemoveBind { name } => image::remove_bind(cx, name),
        Op::CreateImage { name, size, mounted } => image::create(cx, name, *size, mounted.as_ref()),
        Op::WriteImage { name, extents } => image::write(cx, name, extents),
        Op::AttachLoop { name } => image::attach(cx, name),
        Op::DetachLoop { name } => image::detach(cx, name),
        Op::RemoveImage { name } => image::remove(cx, name),
        Op::Nothing => Ok(Outcome::Done),
        other => act_on_interposer(other, cx),
    }
}

/// Performs an op on an interposer; what is none of the worker's is refused.
fn act_on_interposer(op: &Op, cx: &Context) -> Done {
    match op {
        Op::Insertion(op) => insertion::act(op, cx),
        Op::Interpose { interposer } => interpose::make(interposer, cx),
        Op::EndInterposer { name } => interpose::end(name, cx),
        Op::ArmRules { interposer, set, seed, rules, again } => {
            let (set, seed, again) = (set.clone(), *seed, again.clone());
            let arm = Ask::Arm { set, seed, rules: rules.clone(), again };
            interpose::arm(interposer, &arm, cx)
        }
        Op::CutFiles(op) => cut::act(op, cx),
        Op::DisarmRules { interposer, set } => interpose::disarm(interposer, set, cx),
        Op::Power(op) => disk::power(op, cx),
        other => {
            let refused = format!("this op is none of the worker's: {other:?}");
            Err(HelperError::Refused(refused))
        }
    }
}
