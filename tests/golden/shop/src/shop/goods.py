"""What can be bought."""
from __future__ import annotations
import enum
from dataclasses import dataclass, field
from typing import Iterator, Optional

class Kind(enum.Enum):
    "Kinds of goods."
    PAPER = 1
    FOOD = 2

class Unpriced(ValueError):
    "A good without a price."

@dataclass
class Good:
    "One good with its price in cents."
    name: str
    price: Optional[int] = None
    tags: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        "The name, as it is printed."
        return self.name.title()

    def cost(self, count: int = 1) -> int:
        if self.price is None: raise Unpriced(self.name)
        return self.price*count

    def __lt__(self, other: Good) -> bool: return self.cost() < other.cost()

class Book(Good):
    "A good that can be read."
    def cost(self, count=1):
        base = super().cost(count)
        return round(base*.93)

def cheapest(goods: list[Good]) -> Good:
    "The good that costs least."
    return min(goods, key=lambda g: g.cost())

def labels(goods: list[Good]) -> Iterator[str]:
    for g in goods: yield g.label
