//! Asks every selected phase about every one of its targets.

use std::collections::BTreeMap;
use std::future::Future;

use futures::future::join_all;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt};

use super::selection::Selection;
use crate::phases::{AnyPhase, Context, Scope};
use crate::plan::Target;

/// A phase with its place in the running order.
pub(super) type Placed<'a> = (usize, &'a dyn AnyPhase);

/// The targets of a phase, in inventory order.
pub(crate) fn targets(ctx: &Context, phase: &dyn AnyPhase) -> Vec<Target> {
    match phase.scope() {
        Scope::Cluster => vec![Target::Cluster],
        Scope::EachHost => ctx.hosts.keys().cloned().map(Target::Host).collect(),
    }
}

/// The selected phases. None without a connected host: Kafka is reached through the hosts, too, and why there is none is
/// said already.
pub(super) fn selected<'a>(
    ctx: &Context,
    phases: &'a [Box<dyn AnyPhase>],
    selection: &Selection,
) -> Vec<Placed<'a>> {
    let has_way = !ctx.hosts.is_empty();
    let phases = phases.iter().map(AsRef::as_ref).enumerate();
    phases.filter(|(_, phase)| has_way && selection.has_phase(phase.id())).collect()
}

/// Calls `ask` for each phase and target. Everything of one target is asked side by side, so that a host can be looked
/// at in one go; at most `parallel` hosts are worked on at once. Answers come as they are ready, those of a host
/// together.
pub(super) fn sweep<'a, T, F>(
    ctx: &'a Context,
    phases: &[Placed<'a>],
    parallel: usize,
    ask: impl Fn(Placed<'a>, Target) -> F + 'a,
) -> impl Stream<Item = T> + 'a
where
    T: 'a,
    F: Future<Output = T> + 'a,
{
    let cluster = FuturesUnordered::new();
    let mut by_host: BTreeMap<Target, Vec<F>> = BTreeMap::new();
    for phase in phases {
        for target in targets(ctx, phase.1) {
            let answer = ask(*phase, target.clone());
            match target {
                Target::Cluster => cluster.push(answer),
                host => by_host.entry(host).or_default().push(answer),
            }
        }
    }
    let hosts = stream::iter(by_host.into_values().map(join_all)).buffer_unordered(parallel.max(1));
    stream::select(hosts.flat_map(stream::iter), cluster)
}
