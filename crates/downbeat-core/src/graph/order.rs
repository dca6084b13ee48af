//! The order of provisioning, and the cycles that make one impossible.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Builder, Error, NodeIndex, Why, cluster_key, namespace_key};
use crate::{Code, definition::Reference};

/// A resource that refers to itself is the shortest cycle; it deserves its own words.
pub(super) fn check_self_references(builder: &Builder<'_>) -> Result<(), Box<Error>> {
    for (index, draft) in builder.drafts.iter().enumerate() {
        for (to, why) in &draft.edges {
            if *to as usize == index {
                return Err(Box::new(error(builder, &[(*to, *why)])));
            }
        }
    }
    Ok(())
}

/// A topological order. Among nodes that are ready, those that the cluster and the namespace need
/// come first, then by type, class and id.
pub(super) fn order(builder: &Builder<'_>) -> Result<Vec<NodeIndex>, Box<Error>> {
    let count = builder.drafts.len();
    let early = needed_by_the_cluster(builder);
    let mut sorted: Vec<NodeIndex> = (0..count).filter_map(|at| u32::try_from(at).ok()).collect();
    sorted.sort_unstable_by_key(|&at| {
        let late = !early.get(at as usize).copied().unwrap_or(false);
        (late, builder.key(at))
    });
    let mut rank = vec![0u32; count];
    for (position, &index) in sorted.iter().enumerate() {
        if let Some(rank) = rank.get_mut(index as usize) {
            *rank = u32::try_from(position).unwrap_or(u32::MAX);
        }
    }
    let mut waiting: Vec<usize> = builder.drafts.iter().map(|draft| draft.edges.len()).collect();
    // Who waits for a node, as one flat list with offsets: no allocation for each node.
    let mut offsets = vec![0usize; count + 1];
    for (to, _) in builder.drafts.iter().flat_map(|draft| &draft.edges) {
        if let Some(offset) = offsets.get_mut(*to as usize + 1) {
            *offset += 1;
        }
    }
    let mut total = 0;
    for offset in &mut offsets {
        total += *offset;
        *offset = total;
    }
    let mut dependents = vec![0u32; total];
    let mut next = offsets.clone();
    for (from, draft) in builder.drafts.iter().enumerate() {
        for (to, _) in &draft.edges {
            if let Some(slot) = next.get_mut(*to as usize) {
                if let Some(dependent) = dependents.get_mut(*slot) {
                    *dependent = u32::try_from(from).unwrap_or(u32::MAX);
                }
                *slot += 1;
            }
        }
    }
    let rank_of = |index: NodeIndex| rank.get(index as usize).copied().unwrap_or(u32::MAX);
    let mut ready: BinaryHeap<Reverse<(u32, NodeIndex)>> = sorted
        .iter()
        .filter(|&&at| waiting.get(at as usize) == Some(&0))
        .map(|&at| Reverse((rank_of(at), at)))
        .collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse((_, index))) = ready.pop() {
        order.push(index);
        let range = offsets.get(index as usize..index as usize + 2);
        let range = range.and_then(|pair| match pair {
            [from, to] => dependents.get(*from..*to),
            _ => None,
        });
        for &dependent in range.unwrap_or_default() {
            if let Some(waiting) = waiting.get_mut(dependent as usize) {
                *waiting -= 1;
                if *waiting == 0 {
                    ready.push(Reverse((rank_of(dependent), dependent)));
                }
            }
        }
    }
    if order.len() == count {
        return Ok(order);
    }
    Err(Box::new(error(builder, &cycle(builder, &waiting, &sorted))))
}

fn needed_by_the_cluster(builder: &Builder<'_>) -> Vec<bool> {
    let mut needed = vec![false; builder.drafts.len()];
    let roots = [cluster_key(), namespace_key()];
    let mut stack: Vec<NodeIndex> =
        roots.iter().filter_map(|key| builder.by_key.get(key).copied()).collect();
    while let Some(index) = stack.pop() {
        let Some(seen) = needed.get_mut(index as usize) else { continue };
        if !std::mem::replace(seen, true) {
            let draft = builder.drafts.get(index as usize);
            stack.extend(draft.into_iter().flat_map(|draft| &draft.edges).map(|(to, _)| *to));
        }
    }
    needed
}

/// Walks from the first node that is still waiting along waiting nodes until one repeats.
fn cycle(builder: &Builder<'_>, waiting: &[usize], sorted: &[NodeIndex]) -> Vec<(NodeIndex, Why)> {
    let is_waiting = |at: NodeIndex| waiting.get(at as usize).is_some_and(|count| *count > 0);
    let Some(start) = sorted.iter().copied().find(|&at| is_waiting(at)) else { return Vec::new() };
    let mut walk: Vec<(NodeIndex, Why)> = vec![(start, Why::Set)];
    let mut seen = vec![usize::MAX; builder.drafts.len()];
    let mut current = start;
    loop {
        if let Some(first) = seen.get_mut(current as usize) {
            if *first != usize::MAX {
                return walk.split_off(*first + 1);
            }
            *first = walk.len() - 1;
        }
        let edges = builder.drafts.get(current as usize).map_or(&[][..], |draft| &draft.edges);
        let next = edges.iter().filter(|(to, _)| is_waiting(*to));
        let Some(&(to, why)) = next.min_by_key(|(to, _)| builder.key(*to)) else {
            return walk;
        };
        walk.push((to, why));
        current = to;
    }
}

/// The error for a cycle, given as the nodes that its edges lead to.
fn error(builder: &Builder<'_>, cycle: &[(NodeIndex, Why)]) -> Error {
    let name = |at: NodeIndex| builder.key(at).map(ToString::to_string).unwrap_or_default();
    let last = cycle.last().map(|(at, _)| *at);
    let mut from = last;
    let mut path = last.map(name).unwrap_or_default();
    let mut reasons = Vec::new();
    for &(to, why) in cycle {
        path.push_str(" -> ");
        path.push_str(&name(to));
        if let Some(from) = from {
            reasons.push(format!(
                "{} needs {} {}",
                name(from),
                name(to),
                words(builder, from, why)
            ));
        }
        from = Some(to);
    }
    Error {
        code: Code::Cycle,
        resource: last.and_then(|at| builder.key(at).cloned()),
        module: None,
        at: String::new(),
        message: format!("resources depend on each other in a circle: {path} ({})", reasons.join("; ")),
        hint: Some(
            "Break the circle with a third resource that both depend on, for example of type config"
                .to_owned(),
        ),
    }
}

fn words(builder: &Builder<'_>, from: NodeIndex, why: Why) -> String {
    let draft = builder.drafts.get(from as usize);
    let definition = draft.and_then(|draft| draft.entry.as_ref()).map(|(definition, _)| definition);
    match (why, definition) {
        (Why::Reference(number), Some(definition)) => {
            let at = definition.references().get(usize::from(number));
            let at = at.map(|Reference { at, .. }| at.as_str()).unwrap_or_default();
            format!("by definition {:?} at {at}", definition.id)
        }
        (Why::Dependent, _) => "because that one co-provisions it with is_dependent".to_owned(),
        (Why::MatchDependents, _) => "through a co-provision rule with match_dependents".to_owned(),
        (Why::Implicit, _) => "as every workload does".to_owned(),
        (Why::Set | Why::Reference(_), _) => "by the deployment set".to_owned(),
    }
}
