"""Strongly connected parts of a graph {node: {next: kinds}}, and a telling cycle in each: the fewest rw edges first."""

from collections import deque

# What a cycle is made of says how bad it is; it is looked for in this order.
LAYERS = (("ww",), ("ww", "wr"), ("ww", "wr", "rt"), ("ww", "wr", "rw"), ("ww", "wr", "rw", "rt"))


def components(edges):
    """Tarjan's, without recursion; only parts with more than one node."""
    index, low, on, stack, counter = {}, {}, set(), [], 0
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = counter
        counter += 1
        stack.append(root)
        on.add(root)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = counter
                    counter += 1
                    stack.append(other)
                    on.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while True:
                        part.append(stack.pop())
                        on.discard(part[-1])
                        if part[-1] == node:
                            break
                    if len(part) > 1:
                        yield set(part)


def way(start, target, allowed, edges, part):
    """The shortest way, as [(node, kind of the edge to it)], over edges of the allowed kinds inside `part`."""
    before, waiting = {start: None}, deque([start])
    while waiting:
        node = waiting.popleft()
        for other, kinds in edges[node].items():
            fitting = [kind for kind in allowed if kind in kinds]
            if other not in part or not fitting:
                continue
            if other == target:
                steps = [(other, fitting[0])]
                while before[node] is not None:
                    steps.append((node, before[node][1]))
                    node = before[node][0]
                return steps[::-1]
            if other not in before:
                before[other] = (node, fitting[0])
                waiting.append(other)
    return None


def cycle_in(part, edges):
    """(nodes, kinds of the edges between them): ww alone, then with wr, then with one rw, then whatever there is."""
    for allowed in LAYERS:
        calm = [kind for kind in allowed if kind != "rw"]
        for node in sorted(part):
            for other, kinds in edges[node].items():
                if other not in part:
                    continue
                first = [kind for kind in allowed if kind in kinds]
                # One rw here and none elsewhere; other cycles are found from another of their edges.
                if first and (back := way(other, node, calm, edges, part)):
                    chosen = next((kind for kind in calm if kind in kinds), first[0])
                    return [node, other, *(n for n, _ in back[:-1])], [chosen, *(kind for _, kind in back)]
    start = min(part)
    back = way(start, start, LAYERS[-1], edges, part)
    return [start, *(n for n, _ in back[:-1])], [kind for _, kind in back]
