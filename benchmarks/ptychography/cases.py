"""The cases of the benchmark: each reconstructs, evaluates, and returns lines of the table."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.line import Line
from benchmarks.ptychography import evaluation, large
from benchmarks.ptychography.rpie import rpie
from benchmarks.ptychography.running import Cost, run
from benchmarks.ptychography.scans import SCANS
from benchmarks.store.measure import in_fresh_process
from smalti import Reconstruction, Scan, open_store

PTYCHI = Path(__file__).with_name("ptychi_lsqml.py")  # imports torch, which is only there
PTYCHI_R = 0.197
PTYCHI_EPOCHS, PTYCHI_BATCH = 10, 64
RPIE_EPOCHS = 5
LARGE_NBYTES = 2e9


@dataclass(frozen=True)
class Workplace:
    """Where the scans are, where reconstructions and pictures go, and what else is at hand.

    Attributes:
        store: holds the scans that were made.
        folder, pictures: of reconstructions, and of what they look like.
        peers: the Python of an environment that holds pty-chi, if there is one.
        rounds: of what is measured in turns.
    """

    store: Path
    folder: Path
    pictures: Path
    peers: Path | None
    rounds: int

    def scan(self, name: str) -> Scan:
        """Return one of ``SCANS``. It is made once and stored, so that no case includes the cost of it."""
        store = open_store(self.store)
        if not store.versions(name):
            store.put(SCANS[name](), name)
        return store.get(name)

    def ours(self, case: str, scan: str, temporary: Path | None = None) -> tuple[Cost, Reconstruction, dict[str, Any]]:
        """Run a case of ``benchmarks.ptychography.ours`` in a process of its own; see ``run`` for ``temporary``."""
        self.scan(scan)
        target = self.folder / f"{case}.npz"
        command = [sys.executable, "-m", "benchmarks.ptychography.ours", case, str(self.store), scan, str(target)]
        cost, printed = run(command, temporary)
        made = evaluation.loaded(target)
        evaluation.keep_pictures(self.pictures, case, made)
        return cost, made, json.loads(printed.splitlines()[-1])


def known(at: Workplace) -> list[Line]:
    cost, made, _ = at.ours("known", "known")
    figures = evaluation.against_truth(made, at.scan("known"))
    reached = figures["phase_psnr_dB"] >= 38 and figures["phase_ssim"] >= 0.985 and cost.wall_s <= 60
    words = f"{evaluation.in_words(figures)}; {_seconds(cost)}"
    return [Line("simulated, known probe, 529 positions, Poisson", "phase 38 dB / 0.985 in 60 s", words, reached)]


def defocused(at: Workplace) -> list[Line]:
    cost, made, _ = at.ours("defocused", "defocused")
    figures = evaluation.against_truth(made, at.scan("known"))
    reached = figures["phase_psnr_dB"] >= 33 and figures["amplitude_psnr_dB"] >= 25
    words = f"{evaluation.in_words(figures)}; {_seconds(cost)}"
    return [Line("simulated, probe defocus 15 % wrong", "phase 33 dB, amplitude 25 dB", words, reached)]


def unknown(at: Workplace) -> list[Line]:
    cost, made, _ = at.ours("unknown", "unknown")
    figures = evaluation.against_truth(made, at.scan("known"))
    words = f"{evaluation.in_words(figures)}; {_seconds(cost)}"
    return [Line("simulated, probe unknown", "phase 28 dB", words, figures["phase_psnr_dB"] >= 28)]


def network(at: Workplace) -> list[Line]:
    cost, made, _ = at.ours("network", "known")
    figures = evaluation.against_truth(made, at.scan("known"))
    reached = figures["phase_psnr_dB"] >= 22 and figures["phase_ssim"] >= 0.85 and cost.wall_s <= 300
    words = f"{evaluation.in_words(figures)}; {_seconds(cost)}"
    return [Line("network alone, unsupervised, 529 patterns 64 x 64", "phase 22 dB / 0.85 in 5 min", words, reached)]


def star_one_mode(at: Workplace) -> list[Line]:
    """Ours beside pty-chi: both read the same arrays, and both count from the start of their process to its end."""
    scan = at.scan("measured")
    with tempfile.TemporaryDirectory(dir=at.folder) as kernels:
        anew, _, _ = at.ours("star_one_mode", "measured", Path(kernels))
        cost, made, _ = at.ours("star_one_mode", "measured", Path(kernels))
    r = evaluation.r_factor(made, scan)
    words = f"R {r:.4f}; {_seconds(cost)}; with every kernel compiled anew {_seconds(anew)}"
    case = "real Siemens star, one mode"
    if at.peers is None:
        to_reach = "R 0.190 in fewer CPU s than pty-chi takes for 0.197"
        return [Line(case, to_reach, f"{words}; pty-chi is not installed (`--peers-venv`)")]
    epochs = _ptychi(at)
    epoch, needed_s, theirs = next((one for one in epochs if one[2] <= PTYCHI_R), epochs[-1])
    last, last_s, best = epochs[-1]
    return [
        Line(
            case,
            f"R 0.190 in fewer than the {needed_s:.1f} CPU s in which pty-chi comes to {theirs:.4f}",
            words,
            r <= 0.19 and cost.cpu_s < needed_s,
        ),
        Line(
            "the same by pty-chi LSQML, one mode, batches of 64",
            "",
            f"R {theirs:.4f} after {epoch} epochs, {needed_s:.1f} CPU s; {best:.4f} after {last}, {last_s:.1f} CPU s",
        ),
    ]


def _ptychi(at: Workplace) -> list[tuple[int, float, float]]:
    """Return number, CPU seconds since the start of the process, and R-factor of each epoch of pty-chi."""
    scan = at.scan("measured")
    start = evaluation.empty(scan)
    source, target = at.folder / "ptychi-in.npz", at.folder / "ptychi-out.npz"
    np.savez(
        source,
        amplitude=scan.diffraction,
        probe=start.probe,
        xcoords=start.xcoords,
        ycoords=start.ycoords,
        shape=[side + side % 2 for side in start.object.shape],  # the middle of an odd one is half a pixel elsewhere
    )
    arguments = [str(PTYCHI), str(source), str(target), str(PTYCHI_EPOCHS), str(PTYCHI_BATCH)]
    run([str(at.peers), "-W", "ignore", *arguments])
    with np.load(target) as out:
        epochs = [replace(start, object=o, probe=p) for o, p in zip(out["object"], out["probe"], strict=True)]
        seconds = out["cpu_s"].tolist()
    evaluation.keep_pictures(at.pictures, "star_one_mode-ptychi", epochs[-1])
    r_factors = [evaluation.r_factor(made, scan) for made in epochs]
    return list(zip(range(1, len(epochs) + 1), seconds, r_factors, strict=True))


def star_modes(at: Workplace) -> list[Line]:
    """With the loss that explains this scan best, and with the one that has nothing to do with the R-factor."""
    lines = []
    for case, loss in (("star_modes", "absolute"), ("star_modes_amplitude", "amplitude")):
        cost, made, told = at.ours(case, "measured")
        r, half_bit = evaluation.r_factor(made, at.scan("measured")), told["frc_phase_half_bit"]
        words = f"R {r:.4f}, FRC half-bit {half_bit:.3f} (one-bit {told['frc_phase_one_bit']:.3f}) of Nyquist"
        lines.append(
            Line(
                f"real Siemens star, {len(made.probe)} modes, positions refined, loss `{loss}`",
                "R 0.15, FRC half-bit (phase, halves) 0.45 of Nyquist",
                f"{words}; {_seconds(cost)}, both halves included",
                r <= 0.15 and half_bit >= 0.45,
            )
        )
    return lines


def epoch_cost(at: Workplace) -> list[Line]:
    """Take turns with rPIE: what one pattern costs in one epoch, whole scans, what is done once left out."""
    ours_s, theirs_s, r = [], [], 1.0
    for _ in range(at.rounds):
        _, _, told = at.ours("timed", "measured")
        ours_s.append(told["epoch_cpu_s"])
        epoch_s, r = in_fresh_process(None, _timed_rpie, at.store)
        theirs_s.append(epoch_s)
    patterns = len(at.scan("measured").xcoords)
    ratio = median(one / other for one, other in zip(ours_s, theirs_s, strict=True))
    ours_ms, theirs_ms = (1e3 * median(times) / patterns for times in (ours_s, theirs_s))
    words = f"{ours_ms:.2f} ms against {theirs_ms:.2f} ms of CPU, {ratio:.2f} times; {at.rounds} alternating rounds"
    return [
        Line("cost per pattern and epoch, measured star, against numpy rPIE", "at most 2 times", words, ratio <= 2),
        Line("R of that rPIE", "", f"{r:.4f} after {RPIE_EPOCHS} epochs"),
    ]


def _timed_rpie(store: Path) -> tuple[float, float]:
    """Return the CPU seconds of an epoch in which rPIE moves object and probe, and its R-factor at the end."""
    scan = open_store(store).get("measured")
    start = evaluation.empty(scan)
    solved = rpie(scan.diffraction, start.probe[0], start.xcoords, start.ycoords, start.object.shape, RPIE_EPOCHS)
    made = replace(start, object=solved.object, probe=solved.probe[None])
    return median(solved.epoch_cpu_s[1:]), evaluation.r_factor(made, scan)


def initial_objects(at: Workplace) -> list[Line]:
    _, _, told = at.ours("initial_objects", "known")
    epochs = sorted({int(name.split()[1]) for name in told if name.startswith("flat ")})
    return [
        Line(
            f"solver after {number} epochs, from the network against from a flat object",
            "",
            "; ".join(
                f"{start}: phase {told[key]['phase_psnr_dB']:.1f} dB, R {told[key]['r_factor']:.4f}"
                for start, key in (("network", f"network {number}"), ("flat", f"flat {number}"))
            )
            + f"; the network took {told['network_cpu_s']:.1f} CPU s, the solver {told[f'flat {number}']['cpu_s']:.1f}",
        )
        for number in epochs
    ]


def large_scan(at: Workplace) -> list[Line]:
    found = large.measure(folder=at.folder)
    words = (
        f"{found.peak_nbytes / 1e9:.2f} GB for {found.scan_nbytes / 1e9:.2f} GB of patterns; {found.cpu_s:.0f} CPU s, "
        f"{found.patterns_per_s:.0f} patterns a second, R {found.r_factor:.3f}"
    )
    case = f"one epoch of {found.patterns:,} patterns of {found.window} x {found.window}"
    return [Line(case, "within 2 GB of memory", words, found.peak_nbytes <= LARGE_NBYTES)]


CASES: dict[str, Callable[[Workplace], list[Line]]] = {
    case.__name__: case
    for case in (known, defocused, unknown, network, star_one_mode, star_modes, epoch_cost, initial_objects, large_scan)
}


def _seconds(cost: Cost) -> str:
    return f"{cost.cpu_s:.1f} CPU s, {cost.wall_s:.1f} s"
