"""Options of the learner, and the settings they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from replay.cli.options.groups import Group, given_options
from replay.engine.rows import InputError
from replay.engine.settings import EXPONENT, Settings

DEFAULT = Settings()
LEARNING = "Regimes"

NOT_OF_SEGMENTER = (
    *("regimes", "warm_up", "seed", "covariance_type", "prior_strength", "exponent", "half_life"),
    *("recycle", "persist", "stickiness", "smooth", "irregular", "min_dwell", "confirm"),
    "shared_model",
)
"""Parameters that the segmenter does not have."""


@dataclass(frozen=True)
class Learning(Group):
    """Which learner labels the rows, and with which parameters."""

    panel = LEARNING
    learner: Annotated[
        Literal["segmenter", "mixture", "hmm"] | None,
        typer.Option(
            help="segmenter finds the regimes, their number, and where they change; it needs no "
            "other option of this section. mixture has a fixed number of --regimes and labels each "
            "row by itself. hmm is the same as --persist. [default: segmenter; mixture or hmm if "
            "one of their options is given]",
        ),
    ] = None
    regimes: Annotated[
        str,
        typer.Option(
            metavar="K|auto",
            help="Number of regimes. auto chooses it by the rows of the warm-up.",
        ),
    ] = str(DEFAULT.regimes)
    window: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS|TIME",
            help="With the segmenter: how long the slowest pattern within a regime is, a number of "
            "rows (at least 4), or a time with its unit, such as 30s or 5min. A time needs --time, "
            "and is made a number of rows by the mean interval of the first 16 rows of each key, "
            "their longest interval left out. [default: found from the data]",
        ),
    ] = None
    warm_up: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of rows at the start that are fitted together. They should show every "
            "regime if possible.",
        ),
    ] = DEFAULT.warm_up
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the warm start, which makes it repeatable.")
    ] = DEFAULT.seed
    covariance_type: Annotated[
        Literal["full", "tied", "diag", "spherical"],
        typer.Option(help="Shape of the covariance matrices of the regimes."),
    ] = DEFAULT.covariance_type
    prior_strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Weight of the covariance prior, in rows. It keeps a regime from collapsing onto "
            "a single row.",
        ),
    ] = DEFAULT.prior_strength
    exponent: Annotated[
        float | None,
        typer.Option(
            help="The step size is n^-EXPONENT, above 0.5 and up to 1. A lower exponent forgets a "
            "bad start sooner, and also a regime that stays away; with 1 all rows have the same "
            "weight. Unless it is given, steps are smaller where regimes last long. "
            f"[default: {EXPONENT}]",
        ),
    ] = None
    half_life: Annotated[
        float | None,
        typer.Option(
            metavar="ROWS",
            help="For a series that changes: the weight of a row halves after so many more rows. "
            "Replaces --exponent. [default: rows never lose their weight]",
        ),
    ] = None
    recycle: Annotated[
        bool,
        typer.Option(
            help="Retire regimes that no longer have rows, merge two that have become one, and "
            "give their places to rows that no regime explains. These events are listed. Labels of "
            "retired regimes are not used again, so labels may be any number.",
        ),
    ] = False
    persist: Annotated[
        bool,
        typer.Option(
            help="Regimes last: learn how long, and which follows which (a hidden Markov model), "
            "and label a row by the rows before it too. At most 16 regimes.",
        ),
    ] = False
    shared_model: Annotated[
        bool,
        typer.Option(
            help="With --key: one set of regimes for all keys, learnt from the rows of all, so "
            "that a label means the same for each. With --persist, how regimes follow each other "
            "is learnt from all too, and each key has a belief of its own. For a mixture or a "
            "hidden Markov model.",
        ),
    ] = False
    stickiness: Annotated[
        float | None,
        typer.Option(
            metavar="ROWS",
            help="With --persist: how many rows a regime is expected to last before any change is "
            f"seen. It has the weight of one stay. [default: {DEFAULT.stickiness:g}]",
        ),
    ] = None
    lag: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            min=0,
            help="With the segmenter or --persist: label a row once, after so many more rows have "
            "come, by what these have told. With the segmenter, `change` is then 1 where the "
            "label changes, and the file is not looked at again as a whole. [default: 0, at "
            "once]",
        ),
    ] = None
    smooth: Annotated[
        bool,
        typer.Option(
            help="With --persist: read the file again when it is learnt, and label it as a whole. "
            "All values are held in memory.",
        ),
    ] = False
    causal: Annotated[
        bool,
        typer.Option(
            help="With the segmenter: keep the label that was known when a row came. Otherwise the "
            "rows are held in memory, labelled again with all of them at hand, and the first label "
            "is a column of its own. Implied by --checkpoint, --max-keys and --speed, and for "
            "files of more than 2,097,152 values.",
        ),
    ] = False
    irregular: Annotated[
        bool,
        typer.Option(
            help="With --persist: rows come at irregular times. The times of --time count, in "
            "seconds or as in 2022-03-20T11:00:00+01:00, and regimes last for times, not rows.",
        ),
    ] = False

    def mixture(self) -> Settings:
        """Return the settings of the mixture."""
        if self.half_life is not None and self.exponent is not None:
            raise InputError(
                "--half-life and --exponent are two ways to weigh rows; give one of them"
            )
        k: int | Literal["auto"] = "auto"
        if self.regimes != "auto":
            if not (self.regimes.isdecimal() and int(self.regimes) >= 1):
                raise InputError(
                    f"--regimes is {self.regimes!r}; it must be a number from 1, or auto"
                )
            k = int(self.regimes)
        settings = Settings(
            k,
            self.warm_up,
            self.seed,
            self.covariance_type,
            self.prior_strength,
            half_life=self.half_life,
            recycle=self.recycle,
            shared_model=self.shared_model,
        )
        return settings if self.exponent is None else replace(settings, exponent=self.exponent)

    def settings(self, context: typer.Context) -> Settings:
        """Return the settings of the learner that was chosen, or that has the options given."""
        if self.shared_model:
            self._check_shared()
        settings = self._chosen(context)
        if self.window is not None and not settings.finds:
            raise InputError(
                "--window is for the segmenter, which tells regimes apart by windows; leave it "
                "out, or leave out the options of other learners"
            )
        if self.causal and not settings.finds:
            raise InputError(
                "--causal is for the segmenter; a mixture labels every row when it comes in any "
                "case, and a hidden Markov model unless --lag or --smooth is given"
            )
        return settings

    def because(self, context: typer.Context) -> str:
        """Say which learner runs and why, if it is not the one that runs by default."""
        given = given_options(context, NOT_OF_SEGMENTER)
        if self.learner is not None or not given:
            return ""
        name = "hidden Markov model" if self.persist else "mixture"
        options = ", ".join(given)
        are, them = ("are", "them") if len(given) > 1 else ("is", "it")
        return (
            f"the learner is a {name}, as {options} {are} given; without {them} the segmenter "
            "finds the regimes and their number"
        )

    def _check_shared(self) -> None:
        """Refuse what does not go with a model that all keys share."""
        given = {
            "--learner segmenter": self.learner == "segmenter",
            "--recycle": self.recycle,
            "--lag": self.lag is not None,
            "--smooth": self.smooth,
            "--irregular": self.irregular,
        }
        if name := next((name for name, is_given in given.items() if is_given), None):
            advice = (
                "the segmenter finds the regimes of each key by itself; choose --learner mixture "
                "or hmm"
                if name == "--learner segmenter"
                else "leave one of them out"
            )
            raise InputError(f"--shared-model and {name} do not go together: {advice}")

    def _chosen(self, context: typer.Context) -> Settings:
        given = given_options(context, NOT_OF_SEGMENTER)
        if self.learner == "segmenter" or (self.learner is None and not given):
            if given:
                raise InputError(
                    f"{given[0]} is not for --learner segmenter, which finds this itself; leave it "
                    "out, or choose --learner mixture or hmm"
                )
            return self._finding(self.mixture())
        settings = self._persistent(self.mixture())
        if self.learner == "mixture" and settings.persist:
            raise InputError("--persist is --learner hmm; leave out --learner mixture")
        return settings

    def _finding(self, settings: Settings) -> Settings:
        """Add the settings of the segmenter."""
        from online_gmm.segmentation.window_of_time import seconds_of_window

        window: int | str | None = self.window_of_time
        if window is None and self.window is not None:
            window = int(self.window)
        try:
            seconds_of_window(window)
        except ValueError as error:
            raise InputError(f"--{error}") from None
        if self.causal and self.lag:
            raise InputError(
                "--causal keeps the label that was known when a row came, and --lag waits for "
                "later rows; give one of them"
            )
        return replace(settings, finds=True, window=window, lag=self.lag or 0)

    @property
    def labels_once(self) -> bool:
        """Whether rows keep their first label: the file is not looked at again as a whole."""
        return self.causal or self.lag is not None

    @property
    def window_of_time(self) -> str | None:
        """The window, if it is a time and no number of rows."""
        return None if self.window is None or self.window.isdecimal() else self.window

    def _persistent(self, settings: Settings) -> Settings:
        """Add the settings of regimes that persist."""
        if not (self.persist or self.learner == "hmm"):
            given = {
                "--stickiness": self.stickiness is not None,
                "--lag": self.lag is not None,
                "--smooth": self.smooth,
                "--irregular": self.irregular,
            }
            if name := next((name for name, is_given in given.items() if is_given), None):
                raise InputError(
                    f"{name} is for regimes that persist; add --persist, or leave it out"
                )
            return settings
        if settings.recycle:
            raise InputError("--recycle and --persist do not go together; give one of them")
        if self.smooth and self.lag:
            raise InputError(
                "--lag and --smooth are two ways to give later rows a say; give one of them"
            )
        known: dict[str, Any] = {"stickiness": self.stickiness, "lag": self.lag}
        known = {name: value for name, value in known.items() if value is not None}
        return replace(settings, persist=True, irregular=self.irregular, **known)
