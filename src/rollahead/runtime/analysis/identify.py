"""Identification: the first-order lag and pure delay with which each axis follows what it is sent.

An axis that is sent positions is told by the position measured, one that is sent velocities by the rate measured; the
fit is `runtime.analysis.lag_fit`. What is found goes into `calibration.json` of a run, and from there into rollers.

Assumes: that each state is of the tick that it is said to be of. The age of a sensor that does not tell it counts as
delay, which is right for rolling; of one that does, states have to be put where they belong first (`rollahead
identify` does).
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.analysis.lag_fit import fit_lag
from rollahead.runtime.rolling.roll import Chain, FirstOrderLag, StateRoller, VelocityLag, for_spec
from rollahead.runtime.system.patience import told
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.options import call, check_kind
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec, names_of

FILE = "calibration.json"
LEAST = 50  # samples of a fit
MOVED = 4.0  # times its noise that an axis has to have moved
GOOD = 0.9  # r2 of what may be called a first-order lag


@dataclass(frozen=True, slots=True)
class Axis:
    """An action, the state that follows it, and the position that it drives, as indices."""

    action: int
    state: int
    position: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Lag:
    """How the axis of `action` follows. state, position: what follows, and the position driven (the same, where
    positions are sent); tau_s_ci: its 95 % interval, which may end at infinity; delay: whole ticks; offset: where it
    comes to rest beside what is sent, which rollers leave out; r2: the share of the state's variation that is
    explained; rms: what is left, in the state's unit; samples: ticks of the fit."""

    action: str
    state: str
    position: str
    kind: Kind
    tau_s: float
    tau_s_ci: tuple[float, float]
    delay: int
    offset: float
    r2: float
    rms: float
    samples: int

    def identified(self, period_s: float) -> bool:
        """Whether the interval of tau is narrow enough to roll with: no wider than tau itself, or than a period."""
        low_s, high_s = self.tau_s_ci
        return high_s - low_s <= max(self.tau_s, period_s)

    def verdict(self, period_s: float) -> str:
        """Says in a few words, for a table, whether the lag could be identified and is of first order."""
        if not self.identified(period_s):
            return "not identifiable"
        return "a first-order lag" if self.r2 >= GOOD else "not a first-order lag"

    def why_not(self) -> str:
        """What is wrong with a lag that was not identified, and what to do."""
        low, high = (1000 * end for end in self.tau_s_ci)
        most = f"{high:.3g} ms" if math.isfinite(high) else "infinity"
        return (
            f"the lag of {self.action} is not identifiable: tau is {1000 * self.tau_s:.3g} ms and its 95 % interval "
            f"goes from {low:.3g} ms to {most}; use a longer hold_s and a larger share (or amplitude), or a roller of "
            "your own"
        )


# ---- which axes -----------------------------------------------------------------------------------------------------


def axes_of(spec: RobotSpec) -> list[Axis]:
    """The axes that have a lag to be found."""
    state = names_of(spec.state)
    found = []
    for j, dim in enumerate(spec.action):
        if not _why_not(spec, dim):
            position = state.index(str(dim.drives))
            rate = _rate(spec, dim)
            found.append(Axis(j, position if rate is None else rate, position, dim.kind))
    return found


def checked_axes(spec: RobotSpec) -> list[Axis]:
    """The axes that have a lag to be found. Raises: ConfigError, if there is none."""
    if axes := axes_of(spec):
        return axes
    why = "; ".join(f"{name}: {reason}" for name, reason in left_out(spec).items())
    raise ConfigError(
        f"the robot has no axis with a lag to find ({why or 'it has no action'}); use roller=robot, or name what it "
        "measures"
    )


def left_out(spec: RobotSpec) -> dict[str, str]:
    """The actions that have none, by name, and why."""
    return {dim.name: why for dim in spec.action if (why := _why_not(spec, dim))}


def _why_not(spec: RobotSpec, dim: Dim) -> str:
    if dim.kind not in (Kind.POSITION, Kind.VELOCITY):
        return f"only positions and velocities are taken to lag, and it is a {dim.kind.value}"
    if dim.drives is None:
        return "nothing that it drives is measured"
    if dim.kind is Kind.VELOCITY and _rate(spec, dim) is None:
        return f"no state is the rate of {dim.drives} (its rate_of)"
    return ""


def _rate(spec: RobotSpec, dim: Dim) -> int | None:
    """The state that a velocity `dim` is followed by."""
    rates = (i for i, state in enumerate(spec.state) if state.rate_of == dim.drives)
    return next(rates, None) if dim.kind is Kind.VELOCITY else None


# ---- from a record to lags ------------------------------------------------------------------------------------------


def identify(
    spec: RobotSpec, sent: FloatArray, states: FloatArray, *, starts: Sequence[int] = (0,), max_delay: int = 10
) -> tuple[Lag, ...]:
    """The lag of each axis, from what was sent in consecutive ticks (n, A) and the states at their heads (n, S), each
    measured before the action of its row was sent.

    starts: the rows with which stretches of consecutive ticks begin; max_delay: the longest delay that is looked for,
    in ticks, which are lost at the head of each stretch.

    Raises: ConfigError, if an axis cannot be told from this.
    """
    axes = checked_axes(spec)
    pieces = _pieces(np.isfinite(sent).all(axis=1) & np.isfinite(states).all(axis=1), starts, max_delay)
    return tuple(_lag(spec, axis, sent[:, axis.action], states[:, axis.state], pieces, max_delay) for axis in axes)


def _pieces(finite: Any, starts: Sequence[int], max_delay: int) -> list[slice]:
    """The stretches that are long enough to use. finite: (n,), where all numbers of a row are."""
    if max_delay < 0:
        raise ConfigError(f"max_delay is {max_delay}; give 0 ticks or more")
    if not finite.all():
        raise ConfigError(
            f"row {int(finite.argmin())} of {len(finite)} holds NaN or infinity; give only ticks that were measured"
        )
    stops = (*starts[1:], len(finite))
    pieces = [slice(i, j) for i, j in zip(starts, stops, strict=True) if j - i > max_delay + 2]
    samples = sum(piece.stop - piece.start - max_delay for piece in pieces)
    if samples < LEAST:
        raise ConfigError(
            f"{samples} samples are left of {len(finite)} ticks without the first {max_delay} of each stretch, and a "
            f"fit takes {LEAST}; give a longer record, or a lower max_delay"
        )
    return pieces


def _lag(
    spec: RobotSpec, axis: Axis, sent: FloatArray, states: FloatArray, pieces: Sequence[slice], max_delay: int
) -> Lag:
    """Of one axis, from (n,) and (n,)."""
    action, state = spec.action[axis.action], spec.state[axis.state]
    fit = fit_lag(sent, states, pieces, spec.period_s, max_delay)
    moved = min(float(np.ptp(sent)), float(np.ptp(fit.seen)))
    if moved <= MOVED * fit.noise or moved == 0.0:
        raise ConfigError(
            f"{action.name} was moved by {moved:.3g} {state.unit}, and the noise of {state.name} is {fit.noise:.3g} "
            f"{state.unit}, of which a fit takes {MOVED:g} times; give a record in which it moves more"
        )
    return Lag(
        action=action.name,
        state=state.name,
        position=spec.state[axis.position].name,
        kind=axis.kind,
        tau_s=fit.tau_s,
        tau_s_ci=fit.interval_s,
        delay=fit.delay,
        offset=fit.offset,
        r2=fit.r2,
        rms=fit.rms,
        samples=len(fit.seen),
    )


# ---- from lags to a roller ------------------------------------------------------------------------------------------


def roller_of(spec: RobotSpec, lags: Sequence[Lag]) -> StateRoller:
    """The roller of a robot that follows with `lags`, and what `for_spec` takes it for in all other dimensions."""
    rollers = [_ROLLERS[lag.kind](spec, lag) for lag in lags]
    return Chain((*rollers, for_spec(spec, without={lag.action for lag in lags})))


def _position_lag(spec: RobotSpec, lag: Lag) -> StateRoller:
    action, position, _ = _indices(spec, lag)
    return FirstOrderLag(action, position, lag.tau_s, spec.period_s, lag.delay)


def _velocity_lag(spec: RobotSpec, lag: Lag) -> StateRoller:
    action, position, rate = _indices(spec, lag)
    return VelocityLag(action, position, rate, lag.tau_s, spec.period_s, lag.delay)


_ROLLERS: Mapping[Kind, Callable[[RobotSpec, Lag], StateRoller]] = {
    Kind.POSITION: _position_lag,
    Kind.VELOCITY: _velocity_lag,
}


def _indices(spec: RobotSpec, lag: Lag) -> list[Any]:
    """Of action, position and what follows, (1,) each."""
    state = names_of(spec.state)
    at = (names_of(spec.action).index(lag.action), state.index(lag.position), state.index(lag.state))
    return [np.array([i], np.intp) for i in at]


# ---- on disk --------------------------------------------------------------------------------------------------------


def calibration(spec: RobotSpec, lags: Sequence[Lag]) -> dict[str, Any]:
    """What `calibration.json` holds: the lags, and the rate at which they were found."""
    return {"rate_hz": spec.rate_hz, "lags": [{**asdict(lag), "kind": lag.kind.value} for lag in lags]}


def read_lags(path: str | Path, spec: RobotSpec) -> tuple[Lag, ...]:
    """The lags in the `calibration.json` at `path`, or in the run folder `path`.

    Raises: ConfigError, if there is none, or it is of another robot or another rate.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check_kind("rate_hz", rate_hz := content["rate_hz"], float)
        lags = tuple(_read_lag(f"lags[{i}]", entry) for i, entry in enumerate(content["lags"]))
    except OSError as error:
        raise ConfigError(f"there is no calibration at {path}; give one that rollahead identify has made") from error
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        reason = error if isinstance(error, ConfigError) else told(error)
        raise ConfigError(f"{path} is no calibration ({reason}); give one that rollahead identify has made") from error
    if rate_hz != spec.rate_hz:
        raise ConfigError(
            f"{path} was made at {rate_hz:g} Hz and the robot runs at {spec.rate_hz:g} Hz; give one made at that rate"
        )
    for lag in lags:
        _check_fits(path, lag, spec)
    return lags


def _read_lag(where: str, entry: Mapping[str, Any]) -> Lag:
    low, high = entry["tau_s_ci"]
    return call(Lag, {**entry, "kind": Kind(entry["kind"]), "tau_s_ci": (low, high)}, where)


def _check_fits(path: Path, lag: Lag, spec: RobotSpec) -> None:
    known = {spec.action[axis.action].name: axis for axis in axes_of(spec)}
    if lag.action not in known:
        error = unknown_name("axis", lag.action, known)
        raise ConfigError(f"{path} is of another robot: {error}; give one of this robot")
    axis = known[lag.action]
    has = (spec.state[axis.state].name, spec.state[axis.position].name, axis.kind)
    if (lag.state, lag.position, lag.kind) != has:
        raise ConfigError(
            f"{path} is of another robot: its {lag.action} is a {lag.kind.value} that {lag.state} follows, and this "
            f"one's a {axis.kind.value} that {has[0]} follows; give one of this robot"
        )
