"""``python ptychi_lsqml.py IN.npz OUT.npz EPOCHS BATCH``: pty-chi's LSQML, in an environment that holds pty-chi.

IN has ``amplitude`` (N, H, W) with DC in the centre, ``probe`` (P, H, W) in the orthonormal convention, and ``xcoords``
and ``ycoords`` (N,) in pixels of an object of ``shape``. OUT gets ``object`` (E, M, K) and ``probe`` (E, P, H, W) after
each epoch, and ``cpu_s`` (E,), the CPU seconds that this process had taken by then. Nothing of Smalti is imported.

Source: pty-chi 2.2, M. Du et al., https://github.com/AdvancedPhotonSource/pty-chi; the method: M. Odstrcil, A. Menzel,
M. Guizar-Sicairos, Opt. Express 26, 3108 (2018).
"""

import importlib.util
import random
import sys
import time
import types

import numpy as np
import torch


def main(source: str, target: str, epochs: str, batch: str) -> None:
    if importlib.util.find_spec("torchvision") is None:
        _without_torchvision()
    from ptychi import api
    from ptychi.api.task import PtychographyTask

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with np.load(source) as given:
        amplitude, probe, shape = given["amplitude"], given["probe"], given["shape"]
        x, y = (given[axis] - (side / 2 - 0.5) for axis, side in (("xcoords", shape[1]), ("ycoords", shape[0])))
    side = probe.shape[-1]  # its transform is not normalised, so its probe is so much weaker
    options = api.LSQMLOptions()
    options.data_options.fft_shift = True
    options.object_options.pixel_size_m = 1.0
    options.probe_position_options.optimizable = False
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.batch_size = int(batch)
    options.reconstructor_options.num_epochs = int(epochs)
    options.reconstructor_options.random_seed = 0
    task = PtychographyTask(
        options,
        diffraction_data=amplitude**2,
        object_data=np.ones((1, *shape), np.complex64),
        probe_data=(probe / side)[None].astype(np.complex64),
        probe_position_x_px=x.astype(np.float32),
        probe_position_y_px=y.astype(np.float32),
    )
    objects, probes, cpu_s = [], [], []
    for _ in range(int(epochs)):
        task.run(1)
        cpu_s.append(time.process_time())
        objects.append(task.get_data_to_cpu("object", as_numpy=True)[0].copy())
        probes.append(task.get_data_to_cpu("probe", as_numpy=True)[0] * side)
    np.savez(target, object=objects, probe=probes, cpu_s=cpu_s)


def _without_torchvision() -> None:
    """Let pty-chi be imported where there is no torchvision for a CPU: it wants one class of it, which is not used."""
    torchvision, transforms = (types.ModuleType(name) for name in ("torchvision", "torchvision.transforms"))
    torchvision.transforms, transforms.GaussianBlur = transforms, None
    sys.modules |= {"torchvision": torchvision, "torchvision.transforms": transforms}


if __name__ == "__main__":
    main(*sys.argv[1:])
