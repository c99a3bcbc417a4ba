from dataclasses import dataclass
@dataclass(frozen=True)
class Image:
    tag: str
    pinned: str
def load(*a, **k): ...
def testbox(): ...
