"""How long do the tables of the 32 point groups take, from nothing?

    python benchmarks/speed/groups.py [--rounds 5]

Operations, classes and multiplication tables, irreps, all couplings, invariants and all covariants; each row does what
stands in it and what it needs, in a process of its own, without the imports. Beside it spgrep's irreps of the groups.
"""

from collections.abc import Callable

from measure import costs, parser, print_versions, run, table


def groups(*parts: str) -> Callable[[], object]:
    from irrepnet.groups import POINT_GROUPS, PointGroup

    def make() -> object:
        made = []
        for group in map(PointGroup, POINT_GROUPS):
            made.append((group.classes, group.multiplication))
            labels = [irrep.label for irrep in group.irreps] if parts else []
            if "couplings" in parts:
                made.append([group.coupling(a, b, c) for a in labels for b in labels for c in labels])
            if "covariants" in parts:
                made.append([group.covariants(label) for label in labels])
        return made

    return make


def cubic() -> Callable[[], object]:
    from irrepnet.groups import PointGroup

    def make() -> object:
        group = PointGroup("m-3m")
        labels = [irrep.label for irrep in group.irreps]
        couplings = [group.coupling(a, b, c) for a in labels for b in labels for c in labels]
        return couplings, [group.covariants(label) for label in labels]

    return make


def spgrep() -> Callable[[], object]:
    import numpy as np
    from spgrep import get_crystallographic_pointgroup_irreps_from_symmetry

    from irrepnet.groups import POINT_GROUPS, PointGroup

    hexagonal = np.array([[1, -0.5, 0], [0, np.sqrt(0.75), 0], [0, 0, 1]])
    rotations = []
    for group in map(PointGroup, POINT_GROUPS):
        axes = hexagonal if group.system in ("trigonal", "hexagonal") else np.eye(3)
        rotations.append(np.rint(np.linalg.inv(axes) @ group.operations @ axes).astype(int))
    return lambda: [get_crystallographic_pointgroup_irreps_from_symmetry(own) for own in rotations]


JOBS = {
    "everything": lambda: groups("irreps", "couplings", "covariants"),
    "operations and classes": lambda: groups(),
    "irreps": lambda: groups("irreps"),
    "couplings": lambda: groups("couplings"),
    "covariants": lambda: groups("covariants"),
    "everything of m-3m alone": cubic,
    "irreps by spgrep": spgrep,
}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    print_versions("numpy", "spgrep")
    table(costs(__file__, JOBS, arguments.rounds), "everything")


if __name__ == "__main__":
    import sys

    run(JOBS) if sys.argv[1:2] == ["--job"] else main()
