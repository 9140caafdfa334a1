"""A claim on two forecasters: the difference of one score with its interval and p value, and the sentence that states it.

Extrapolation is no honest anchor by itself: extrapolation as a probability needs no training either and is the stronger
baseline. So a forecaster is said to be better than `extrapolation` in a score only if it is better than
`extrapolation_probability` too; where that is not among the forecasters, the sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from framecast.errors import counted
from framecast.scores.metric import Better

FEWEST = 5
LEVEL = 0.05
ANCHOR, HONEST_ANCHOR = "extrapolation", "extrapolation_probability"


@dataclass(frozen=True)
class Claim:
    """The difference of two forecasters in one score. `lead` is the index of the lead time, None for all lead times."""

    score: str
    one: str
    other: str
    lead: int | None
    values: tuple[float, float]
    interval: tuple[float, float]
    """95 % interval of the difference, first minus second."""
    p: float
    """Corrected for the number of claims in its table; NaN with too few blocks, or if a value is not finite."""
    blocks: int
    cases: int
    better: Better
    fallbacks: tuple[tuple[str, int], ...] = ()
    """Forecasters of the pair that used a simpler method in some cases, with the number of these cases."""
    withheld: bool = False
    """Whether a forecaster is better than extrapolation, but not than extrapolation as a probability."""
    caveat: str = ""
    """What the sentence adds."""

    @property
    def difference(self) -> float:
        """First value minus second value."""
        return self.values[0] - self.values[1]

    @property
    def too_few(self) -> bool:
        """Whether there are too few blocks for any claim."""
        return self.blocks < FEWEST

    @property
    def significant(self) -> bool:
        """Whether a difference can be claimed."""
        return self.p < LEVEL and not self.withheld

    @property
    def winner(self) -> str | None:
        """The forecaster that can be claimed to be better, if there is one."""
        if not self.significant:
            return None
        return self.one if (self.difference < 0) == (self.better == "lower") else self.other

    @property
    def verdict(self) -> str:
        """The claim as a sentence, with the cases in which a forecaster fell back to a simpler method."""
        notes = [f"; {name} fell back to extrapolation in {n} of {self.cases} cases" for name, n in self.fallbacks]
        return f"{self._sentence}{self.caveat}{''.join(notes)}"

    @property
    def _sentence(self) -> str:
        values = f"{self.values[0]:.4g} against {self.values[1]:.4g}"
        if np.isinf(self.values).any():
            return f"{self.score}: {self.one} and {self.other}, {values}; what is infinite cannot be compared"
        if np.isnan(self.difference):
            return f"{self.score} is undefined for {self.one} or {self.other}"
        if self.too_few:
            few = f"{describe_blocks(self.blocks)} {'is' if self.blocks == 1 else 'are'} too few to tell"
            return f"{self.score}: {self.one} and {self.other}, {values}; {few}"
        if self.withheld:
            return f"{self.score}: {self.one} and {self.other}, {values}; no claim"
        significant = f"p = {self.p:.2g}, {describe_blocks(self.blocks)}"
        if not self.significant:
            return f"{self.score}: no evidence of a difference between {self.one} and {self.other} ({values}; {significant})"
        relation = "better" if self.winner == self.one else "worse"
        return f"{self.score}: {self.one} is {relation} than {self.other} ({values}; {significant})"


def describe_blocks(blocks: int) -> str:
    """The number of independent blocks as text."""
    return counted(blocks, "independent block")


def anchored(claims: Sequence[Claim]) -> list[Claim]:
    """The claims, without those that a forecaster is better than extrapolation where it is not better than extrapolation as a
    probability in the same score, at the same lead time; where that is not known, the claim says so."""
    honest = {_place(claim, HONEST_ANCHOR): claim for claim in claims if HONEST_ANCHOR in (claim.one, claim.other)}
    return [_anchored(claim, honest) for claim in claims]


def _anchored(claim: Claim, honest: dict[tuple[str, int | None, str], Claim]) -> Claim:
    winner = claim.winner
    if winner in (None, ANCHOR, HONEST_ANCHOR) or ANCHOR not in (claim.one, claim.other):
        return claim
    other = honest.get(_place(claim, ANCHOR))
    if other is None:
        return replace(claim, caveat=f"; not compared with {HONEST_ANCHOR}, the stronger baseline")
    if other.winner == winner:
        return claim
    value = other.values[0 if other.one == HONEST_ANCHOR else 1]
    return replace(claim, withheld=True, caveat=f", since {HONEST_ANCHOR} ({value:.4g}) is not beaten")


def _place(claim: Claim, anchor: str) -> tuple[str, int | None, str]:
    """The score, the lead time, and the forecaster that is compared with an anchor."""
    return claim.score, claim.lead, claim.other if claim.one == anchor else claim.one
