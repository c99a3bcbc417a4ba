"""Recorded samples: a text, one series a line, values at equal steps, equal ones counted. Pure.

The first line is the time of the first step and the length of one, in seconds. A series is its labels and its values:
`3x4` is four times 3, `_` is no sample.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

ABSENT = "_"


@dataclass(frozen=True)
class Samples:
    """Series over the steps of one recording. `start` (Unix time) and `step` in seconds."""

    start: int
    step: int
    series: tuple[tuple[Mapping[str, str], tuple[float | None, ...]], ...]

    @property
    def end(self) -> int:
        """Time of the last step."""
        return self.start + self.step * (max((len(values) for _, values in self.series), default=1) - 1)


def text_of(samples: Samples) -> str:
    """As it is stored."""
    lines = [json.dumps({"start": samples.start, "step": samples.step})]
    lines += sorted(f"{json.dumps(labels, sort_keys=True)} {_counted(values)}" for labels, values in samples.series)
    return "\n".join(lines) + "\n"


def parse(text: str) -> Samples:
    """From what is stored. Raises ValueError for anything else."""
    first, *lines = text.splitlines()
    head = json.loads(first)
    series = []
    for line in lines:
        labels, end = json.JSONDecoder().raw_decode(line)
        series.append((labels, tuple(_values(line[end:].split()))))
    return Samples(head["start"], head["step"], tuple(series))


def _counted(values: Sequence[float | None]) -> str:
    groups = [(value, len(list(same))) for value, same in groupby(ABSENT if v is None else f"{v:.10g}" for v in values)]
    return " ".join(value if count == 1 else f"{value}x{count}" for value, count in groups)


def _values(words: Iterable[str]) -> Iterator[float | None]:
    for word in words:
        value, _, count = word.partition("x")
        for _ in range(int(count or 1)):
            yield None if value == ABSENT else float(value)


def openmetrics(samples: Samples) -> str:
    """For `promtool tsdb create-blocks-from openmetrics`. All are of type unknown: PromQL does not ask for types."""
    lines = []
    for labels, values in samples.series:
        shown = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items() if name != "__name__")
        name = f"{labels['__name__']}{{{shown}}}"
        known = [(place, value) for place, value in enumerate(values) if value is not None]
        lines += [f"{name} {value!r} {samples.start + samples.step * place}" for place, value in known]
    return "\n".join([*lines, "# EOF"]) + "\n"
