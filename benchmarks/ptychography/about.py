"""What the page says of the scans, the metrics, the costs and the peers before its figures."""

from __future__ import annotations

SIMULATED = """\
**Simulated** is the Siemens star of `smalti.simulation.simulate_star`, seed 0: a phase object of 0.9 rad \
with texture and an amplitude from 0.55 to 1 that is unlike it, 529 positions at fractions of a pixel, patterns of \
64 x 64 with 1e6 photons in the probe and Poisson noise. Metrics are those of the inner 126 x 126 pixels, after \
registration of complex scale, linear phase ramp and sub-pixel shift; the peak of the PSNR is the range of the truth \
there."""

MEASURED = """\
**Measured** is tike's Siemens star (Advanced Photon Source, Velociprobe), 516 patterns of 128 x 128. The R-factor is \
that of `smalti.ptycho.evaluate.metrics`, whose forward model is not that of the solver, for every method, at the \
best of 25 offsets of all positions. With one mode both solvers make the squares of amplitude differences small. \
With several, ours is shown with two losses: `absolute` makes small what the R-factor adds up, and has the better \
R-factor by it for that; `amplitude` does not. The correlation of the halves knows nothing of either."""

COSTS = """\
Each case runs in a process of its own, with one thread per library and fixed seeds. CPU seconds are user and system \
time of that whole process, seconds its wall time: imports and reading the scan included. Kernels that mlx \
compiled before are found again unless the line says otherwise."""

PEERS = """\
pty-chi runs in the environment that `--peers-venv` names: a virtual environment with a CPU build of torch, then \
`pip install --no-deps ptychi`, then `pip install h5py matplotlib pandas pydantic scikit-image scikit-learn scipy \
tqdm`. (A plain `pip install ptychi` brings torchvision, and with that a CUDA build of torch. pty-chi imports one \
class of torchvision, which nothing here uses, and `ptychi_lsqml.py` stands in for it.)"""

ABOUT = "\n\n".join((SIMULATED, MEASURED, COSTS, PEERS))
