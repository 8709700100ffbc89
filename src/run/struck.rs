//! What a fault on I/O did to operations, one by one: asked for once it is over.

use super::{event::Event, injection::Injection, strikes, world::World};
use crate::protocol::{Op, Read, Reading, RuleFacts};

/// Of a fault that did.
const TOO_MANY: &str = "met more names than can be counted each for itself: what came last was \
    counted together, so that `nth`, `every` and `after` were about all of that";

/// A set of rules, and the interposer that it was armed in.
#[derive(Debug, Clone)]
pub(super) struct Armed {
    interposer: String,
    set: String,
}

/// The sets that ops put in force.
pub(super) fn armed_by(ops: &[Op]) -> Vec<Armed> {
    let armed = |op: &Op| match op {
        Op::ArmRules { interposer, set, .. } => {
            Some(Armed { interposer: interposer.clone(), set: set.clone() })
        }
        _ => None,
    };
    ops.iter().filter_map(armed).collect()
}

/// Names of these sets.
pub(super) fn sets(armed: &[Armed]) -> impl Iterator<Item = &str> {
    armed.iter().map(|armed| armed.set.as_str())
}

/// Records what the rules of a fault did, be it nothing. Whether it reached anybody is judged elsewhere:
/// an interposer that cannot say, or in which they are still in force, leaves no trace.
pub(super) async fn tell(world: &World, injection: &Injection) {
    for Armed { interposer, set } in injection.armed.clone() {
        match world.helper.read(Read::Rules { interposer, set }).await {
            Ok(Reading::Rules(Some(facts))) if !facts.armed => {
                strikes::judge(world, &injection.id, Some(&facts.struck));
                let (case, fault) = (world.id(), injection.id.clone());
                if facts.overflowed {
                    world.note(format!("`{fault}` {TOO_MANY}"));
                }
                let RuleFacts { hit, overflowed, struck, .. } = facts;
                world.emit(Event::Struck { case, fault, hit, overflowed, struck });
            }
            _ => strikes::judge(world, &injection.id, None),
        }
    }
}
