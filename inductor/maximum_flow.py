"""The cheapest way to cut a graph in two: maximum flow by shortest augmenting paths in levels (E. Dinic, "Algorithm for solution of a
problem of maximum flow in networks with power estimation", 1970).
"""

from __future__ import annotations

import math
from collections import deque


class Network:
    """A directed network with capacities. Vertices are numbers from 0."""

    def __init__(self, vertices: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(vertices)]
        self.head: list[int] = []
        self.capacity: list[float] = []

    def connect(self, tail: int, head: int, capacity: float = math.inf) -> None:
        """An edge, and one back that holds nothing yet."""
        for start, end, size in ((tail, head, capacity), (head, tail, 0.0)):
            self.edges[start].append(len(self.head))
            self.head.append(end)
            self.capacity.append(size)

    def cut(self, source: int, sink: int) -> set[int]:
        """The vertices on the sink's side of the cheapest cut; of several, that which lies nearest to the sink.

        Raises ValueError where nothing finite separates the two.
        """
        while (level := self._levels(source, sink)) is not None:
            following = [0] * len(self.edges)
            while (pushed := self._push(source, sink, level, following)) > 0:
                if pushed == math.inf:
                    raise ValueError("the two sides cannot be cut")
        return self._reaching(sink)

    def _levels(self, source: int, sink: int) -> list[int] | None:
        level = [-1] * len(self.edges)
        level[source] = 0
        queue = deque([source])
        while queue:
            v = queue.popleft()
            for e in self.edges[v]:
                if self.capacity[e] > 0 and level[self.head[e]] < 0:
                    level[self.head[e]] = level[v] + 1
                    queue.append(self.head[e])
        return level if level[sink] >= 0 else None

    def _push(self, source: int, sink: int, level: list[int], following: list[int]) -> float:
        """Send flow along one path of growing level; how much. A search without recursion: paths are as long as programs."""
        path: list[int] = []
        v = source
        while v != sink:
            edges = self.edges[v]
            while following[v] < len(edges):
                e = edges[following[v]]
                if self.capacity[e] > 0 and level[self.head[e]] == level[v] + 1:
                    break
                following[v] += 1
            if following[v] < len(edges):
                path.append(edges[following[v]])
                v = self.head[path[-1]]
            elif not path:
                return 0.0
            else:
                v = self.head[path.pop() ^ 1]
                following[v] += 1
        least = min(self.capacity[e] for e in path)
        for e in path:
            self.capacity[e] -= least
            self.capacity[e ^ 1] += least
        return least

    def _reaching(self, sink: int) -> set[int]:
        found, queue = {sink}, deque([sink])
        while queue:
            v = queue.popleft()
            for e in self.edges[v]:
                tail = self.head[e]
                if self.capacity[e ^ 1] > 0 and tail not in found:
                    found.add(tail)
                    queue.append(tail)
        return found
