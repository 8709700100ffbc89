//! What a fault on I/O did to operations, one by one: asked for once it is over.

use super::{event::Event, injection::Injection, replayable, strikes, world::World};
use crate::protocol::{AllStruck, Op, Read, Reading, RuleFacts};

/// Of a fault that did.
const TOO_MANY: &str = "met more names than can be counted each for itself: what came last was \
    counted together, so that `nth`, `every` and `after` were about all of that";

/// Of a fault of which nobody can say what it struck.
const NOBODY_SAYS: &str = "its interposer is gone, or it is in force still";

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
                told(world, injection, facts, armed).await;
            }
            _ => strikes::judge(world, &injection.id, Err(NOBODY_SAYS)),
        }
    }
}

async fn told(world: &World, injection: &Injection, facts: RuleFacts, armed: Armed) {
    let RuleFacts { hit, overflowed, struck, .. } = facts;
    let fault = injection.id.clone();
    // a list of all of them says more, to who may strike the same again
    let is_more = hit > struck.len() as u64 && replayable::can_come_again(&injection.fault);
    let more = if is_more { all_struck(world, armed).await.map(Some) } else { Ok(None) };
    match &more {
        Ok(Some(all)) => strikes::judge(world, &fault, Ok((&struck, all))),
        Ok(None) => strikes::judge(world, &fault, Ok((&struck, &AllStruck::of(&struck)))),
        Err(why) => strikes::judge(world, &fault, Err(why)),
    }
    if overflowed {
        world.note(format!("`{fault}` {TOO_MANY}"));
    }
    match &more {
        Ok(Some(AllStruck { left_out: many @ 1.., .. })) => world.note(format!(
            "`{fault}` struck {many} operations more than can be known each: `--replay` cannot strike \
             the same again"
        )),
        Err(why) => world.note(format!(
            "`{fault}` struck {hit} operations, and which they are is known of the first {} only: \
             `--replay` cannot strike the same again: {why}",
            struck.len()
        )),
        Ok(_) => {}
    }
    let (case, all) = (world.id(), more.unwrap_or_default());
    world.emit(Event::Struck { case, fault, hit, overflowed, struck, all });
}

/// All of them, by their numbers, or why nobody can say.
async fn all_struck(world: &World, Armed { interposer, set }: Armed) -> Result<AllStruck, String> {
    match world.helper.read(Read::Struck { interposer, set }).await {
        Ok(Reading::Struck(Some(all))) => Ok(all),
        Ok(Reading::Struck(None)) => Err("its interposer has not kept that".to_owned()),
        Ok(other) => Err(format!("the helper answered out of turn: {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}
