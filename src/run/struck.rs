//! What a fault on I/O did to operations, one by one: asked for once it is over.

use std::borrow::Cow;

use super::{event::Event, injection::Injection, strikes, world::World};
use crate::protocol::{AllStruck, Op, Read, Reading, RuleFacts};

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
    for armed in injection.armed.clone() {
        let Armed { interposer, set } = armed.clone();
        match world.helper.read(Read::Rules { interposer, set }).await {
            Ok(Reading::Rules(Some(facts))) if !facts.armed => {
                told(world, &injection.id, facts, armed).await;
            }
            _ => strikes::judge(world, &injection.id, None),
        }
    }
}

async fn told(world: &World, fault: &str, facts: RuleFacts, armed: Armed) {
    let RuleFacts { hit, overflowed, struck, .. } = facts;
    // a list of all of them says more
    let more = if hit > struck.len() as u64 { all_struck(world, armed).await } else { None };
    let all = more.as_ref().map_or_else(|| Cow::Owned(AllStruck::of(&struck)), Cow::Borrowed);
    strikes::judge(world, fault, Some((&struck, &all)));
    if overflowed {
        world.note(format!("`{fault}` {TOO_MANY}"));
    }
    if all.left_out > 0 {
        let left_out = all.left_out;
        world.note(format!(
            "`{fault}` struck {left_out} operations more than can be known each: `--replay` cannot strike \
             the same again"
        ));
    }
    let (case, fault) = (world.id(), fault.to_owned());
    drop(all);
    world.emit(Event::Struck { case, fault, hit, overflowed, struck, all: more });
}

/// All of them, by their numbers; none where nobody can say.
async fn all_struck(world: &World, Armed { interposer, set }: Armed) -> Option<AllStruck> {
    match world.helper.read(Read::Struck { interposer, set }).await {
        Ok(Reading::Struck(all)) => all,
        _ => None,
    }
}
