"""Identification: the first-order lag and pure delay with which each axis follows what it is sent.

The lag of an axis that is sent positions is fitted to the measured position, and that of an axis that is sent
velocities to the measured rate; the fit is in `runtime.analysis.lag_fit`. The result is written to `calibration.json`
of a run, from which rollers are built.

Assumes: each state is given at the tick at which it was measured. The age of a sensor that does not report it counts as
delay, which is right for rolling; states with a known age have to be moved to their tick first (`rollahead identify`
does).
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
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.options import call, check_kind
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec, names_of

FILE = "calibration.json"
LEAST = 50  # smallest number of samples for a fit
MOVED = 4.0  # an axis has to have moved by this many times its noise
GOOD = 0.9  # smallest r2 of a first-order lag


@dataclass(frozen=True, slots=True)
class Axis:
    """Indices of an action, of the state that follows it, and of the position that it drives."""

    action: int
    state: int
    position: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Lag:
    """Lag and delay of one axis, with the quality of the fit.

    Attributes:
        action: Name of the action.
        state: Name of the state that follows it.
        position: Name of the position that it drives; the same as `state` where positions are sent.
        kind: Kind of the action.
        tau_s: Time constant in seconds.
        tau_s_ci: 95 % interval of `tau_s`; its upper end may be infinite.
        delay: Pure delay in ticks.
        offset: Difference between where the axis comes to rest and what it is sent, in the state's unit; rollers leave
            it out.
        r2: Share of the state's variation that is explained.
        rms: Root mean square of the residuals, in the state's unit.
        samples: Number of ticks in the fit.
    """

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
        """Whether the interval of tau is narrow enough for rolling: no wider than tau itself, or than a period."""
        low_s, high_s = self.tau_s_ci
        return high_s - low_s <= max(self.tau_s, period_s)

    def verdict(self, period_s: float) -> str:
        """Short text for a table: whether the lag could be identified and is of first order."""
        if not self.identified(period_s):
            return "not identifiable"
        return "a first-order lag" if self.r2 >= GOOD else "not a first-order lag"

    def why_not(self) -> str:
        """Explanation of why the lag was not identified, and what to do."""
        low, high = (1000 * end for end in self.tau_s_ci)
        most = f"{high:.3g} ms" if math.isfinite(high) else "infinity"
        return (
            f"the lag of {self.action} is not identifiable: tau is {1000 * self.tau_s:.3g} ms and its 95 % interval "
            f"goes from {low:.3g} ms to {most}; use a longer hold_s and a larger share (or amplitude), or a roller of "
            "your own"
        )


# ---- which axes -----------------------------------------------------------------------------------------------------


def axes_of(spec: RobotSpec) -> list[Axis]:
    """Axes of the robot that may have a lag: actions that are positions or velocities and whose effect is measured."""
    state = names_of(spec.state)
    found = []
    for j, dim in enumerate(spec.action):
        if not _why_not(spec, dim):
            position = state.index(str(dim.drives))
            rate = _rate(spec, dim)
            found.append(Axis(j, position if rate is None else rate, position, dim.kind))
    return found


def checked_axes(spec: RobotSpec) -> list[Axis]:
    """Axes of the robot that may have a lag. Raises ConfigError if there is none."""
    if axes := axes_of(spec):
        return axes
    why = "; ".join(f"{name}: {reason}" for name, reason in left_out(spec).items())
    raise ConfigError(
        f"the robot has no axis with a lag to find ({why or 'it has no action'}); use roller=robot, or name what it "
        "measures"
    )


def left_out(spec: RobotSpec) -> dict[str, str]:
    """Reason, by name, for each action that has no lag to find."""
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
    """Fits the lag of each axis to what was sent and measured in consecutive ticks.

    Args:
        spec: Spec of the robot.
        sent: (n, A), the actions sent.
        states: (n, S), the states at the heads of the ticks, each measured before the action of its row was sent.
        starts: Rows with which stretches of consecutive ticks begin.
        max_delay: Longest delay in ticks that is tried. So many ticks are lost at the start of each stretch.

    Raises ConfigError if an axis cannot be identified from these.
    """
    axes = checked_axes(spec)
    pieces = _pieces(np.isfinite(sent).all(axis=1) & np.isfinite(states).all(axis=1), starts, max_delay)
    return tuple(_lag(spec, axis, sent[:, axis.action], states[:, axis.state], pieces, max_delay) for axis in axes)


def _pieces(finite: Any, starts: Sequence[int], max_delay: int) -> list[slice]:
    """Slices of the stretches that are long enough to use. finite: (n,), whether all numbers of a row are finite."""
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
    """Lag of one axis, from what was sent (n,) and the state that follows (n,)."""
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
    """Roller of a robot that follows with `lags`; in all other dimensions it rolls as `for_spec`."""
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
    """Index arrays (1,) of the action, the position and the state that follows."""
    state = names_of(spec.state)
    at = (names_of(spec.action).index(lag.action), state.index(lag.position), state.index(lag.state))
    return [np.array([i], np.intp) for i in at]


# ---- on disk --------------------------------------------------------------------------------------------------------


def calibration(spec: RobotSpec, lags: Sequence[Lag]) -> dict[str, Any]:
    """Content of `calibration.json`: the lags, and the rate at which they were found."""
    return {"rate_hz": spec.rate_hz, "lags": [{**asdict(lag), "kind": lag.kind.value} for lag in lags]}


def read_lags(path: str | Path, spec: RobotSpec) -> tuple[Lag, ...]:
    """Reads the lags from the `calibration.json` at `path`, or in the run folder `path`.

    Raises ConfigError if there is none, or it was made for another robot or another rate.
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
        reason = error if isinstance(error, ConfigError) else error_text(error)
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
