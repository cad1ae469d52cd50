"""The settings of the learner, and the learner that comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from replay.engine.rows import InputError

if TYPE_CHECKING:
    from online_gmm import OnlineGMM, OnlineHMM
    from online_gmm.em.mixture import CovarianceType
    from online_gmm.em.step_size import StepSize
    from online_gmm.segmentation.found import FoundRegimes
    from replay.engine.protocols import Source

    Model = OnlineGMM | OnlineHMM | FoundRegimes

EXPONENT = 0.7
"""Of the learners' own steps."""
LearnerName = Literal["segmenter", "mixture", "hmm"]


@dataclass(frozen=True)
class Settings:
    """Settings of the learner; the parameters are those of `OnlineGMM` and `OnlineHMM`.

    The defaults are those of the options too. What learns is imported when a learner is made, so
    that help texts come at once.

    With ``finds`` it is the learner of `Segmenter()`, whose other settings are ``lag`` and
    ``window``: a number of rows, or a time such as "30s", which needs a source with times. With a
    half-life, in points, the learner follows the stream, and the exponent is not used. Without an
    exponent the steps are the learner's own: those of EXPONENT, and smaller where regimes last
    long. ``persist`` makes it an `OnlineHMM`; stickiness, lag and ``irregular`` (regimes last for
    times rather than rows) are for that one. With ``shared_model`` all keys have the same mixture,
    and with ``persist`` as well the same transitions.
    """

    regimes: int | Literal["auto"] = 3
    warm_up: int = 200
    seed: int = 1
    covariance_type: CovarianceType = "full"
    prior_strength: float = 1e-3
    exponent: float | None = None
    half_life: float | None = None
    recycle: bool = False
    persist: bool = False
    stickiness: float = 10.0
    lag: int = 0
    irregular: bool = False
    finds: bool = False
    shared_model: bool = False
    window: int | str | None = None

    @property
    def name(self) -> LearnerName:
        """The learner, as ``--learner`` calls it."""
        return "segmenter" if self.finds else "hmm" if self.persist else "mixture"

    def model(self, source: Source) -> Model:
        """Return a new learner for the rows of a source."""
        from online_gmm.segmentation.found import FoundRegimes

        if self.finds:
            time = source.time if isinstance(self.window, str) else None
            return FoundRegimes(
                self.window, features=source.values, time=time, late="learn", lag=self.lag
            )
        if self.shared_model:
            return self.learner(source.values)
        return self._persistent(source) if self.persist else self.learner(source.values)

    def learner(self, features: tuple[str, ...]) -> OnlineGMM:
        """Return a new learner of these features."""
        from online_gmm import OnlineGMM

        try:
            return OnlineGMM(
                self.regimes,
                recycle=self.recycle,
                features=features,
                **self._shared,
            )
        except ValueError as error:
            raise InputError(str(error)) from None

    def _persistent(self, source: Source) -> OnlineHMM:
        from online_gmm import OnlineHMM
        from online_gmm.learners.hmm import MOST

        if self.regimes != "auto" and self.regimes > MOST:
            raise InputError(
                f"--regimes is {self.regimes}; with --persist there are at most {MOST}"
            )
        try:
            return OnlineHMM(
                self.regimes,
                stickiness=self.stickiness,
                lag=self.lag,
                features=source.values,
                time=source.time if self.irregular and source.timed else None,
                late="learn",
                **self._shared,
            )
        except ValueError as error:
            raise InputError(str(error)) from None

    @property
    def _shared(self) -> dict[str, Any]:
        """The parameters that both learners have."""
        from online_gmm import HalfLife, PowerDecay

        step_size: StepSize | None = None
        if self.half_life is not None:
            step_size = HalfLife(points=self.half_life)
        elif self.exponent is not None:
            step_size = PowerDecay(self.exponent)
        return {
            "covariance_type": self.covariance_type,
            "warm_up": self.warm_up,
            "step_size": step_size,
            "prior_strength": self.prior_strength,
            "seed": self.seed,
        }
